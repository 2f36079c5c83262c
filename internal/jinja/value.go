package jinja

import (
	"maps"
	"math/big"
	"slices"
)

// The values of a running template: nil, bool, int64, *big.Int, float64, string, marked and what follows.
type (
	list struct{ items []any }

	tuple struct {
		items []any
		names []string // of a group of groupby: grouper, list
	}

	// view is what keys(), values() and items() of a dict return.
	view struct {
		kind  string // dict_keys, ...
		items []any
	}

	rangeValue struct{ start, stop, step int64 }

	// undefined is a variable without a value.
	undefined struct {
		name    string // for Undefined; empty where it is nobody's mistake
		message string // of the error when it is used in earnest
	}

	namespace struct{ fields *Dict }

	// boundMethod is a method of a value, such as "a,b".split.
	boundMethod struct {
		recv any
		fn   *builtin
	}

	// absent stands for an argument that was not given.
	absent struct{}
)

// callable is a value that can be called.
type callable interface{ call(s *state, a args) any }

// object is a value with attributes.
type object interface {
	attr(s *state, name string) (any, bool)
}

// typeName is the name of Python's type.
func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case marked:
		if v.safe {
			return "Markup"
		}
		return "str"
	case *list:
		return "list"
	case *tuple:
		return "tuple"
	case *Dict:
		return "dict"
	}
	return objectType(v)
}

func objectType(v any) string {
	switch v := v.(type) {
	case *view:
		return v.kind
	case *rangeValue:
		return "range"
	case *undefined:
		return "Undefined"
	case *namespace:
		return "Namespace"
	case *loop:
		return "LoopContext"
	case *boundMethod:
		return "builtin_function_or_method"
	case *macro:
		return "Macro"
	}
	return "object"
}

// convert takes in a value of Vars, as a copy where a template could change it.
func (s *state) convert(v any) any {
	s.enter()
	defer s.leave()
	switch v := v.(type) {
	case nil, bool, int64, float64, string:
		return v
	case Data:
		s.seen |= fromLine
		return marked{text: string(v), mark: fromLine}
	case Secret:
		s.seen |= fromSecret
		return marked{text: string(v), mark: fromSecret}
	case int:
		return int64(v)
	case *big.Int:
		return s.integer(v)
	case []any:
		items := make([]any, len(v))
		for i, x := range v {
			items[i] = s.convert(x)
		}
		return &list{items}
	case map[string]any:
		d := &Dict{}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			d.Set(k, s.convert(v[k]))
		}
		return d
	case *Dict:
		d := v.clone()
		for i, x := range d.values {
			d.values[i] = s.convert(x)
		}
		return d
	}
	s.fail("a variable has a value of type %T, which a template cannot use", v)
	return nil
}

// truth is Python's bool().
func (s *state) truth(v any) bool {
	switch v := v.(type) {
	case nil, *undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case *big.Int:
		return v.Sign() != 0
	case float64:
		return v != 0
	}
	if n, ok := length(v); ok {
		return n > 0
	}
	return true
}

// length is Python's len().
func length(v any) (int, bool) {
	if t, ok := text(v); ok {
		return runeCount(t), true
	}
	switch v := v.(type) {
	case *list:
		return len(v.items), true
	case *tuple:
		return len(v.items), true
	case *Dict:
		return len(v.keys), true
	case *view:
		return len(v.items), true
	case *rangeValue:
		return v.len(), true
	case *loop:
		return len(v.items), true
	case *undefined:
		return 0, true
	}
	return 0, false
}

func (r *rangeValue) len() int {
	span, step := r.stop-r.start, r.step
	if step < 0 {
		span, step = -span, -step
	}
	if span <= 0 {
		return 0
	}
	return int((span-1)/step) + 1
}

func (r *rangeValue) items() []any {
	out := make([]any, r.len())
	for i := range out {
		out[i] = r.start + int64(i)*r.step
	}
	return out
}

// iterate returns the items of a value; the slice may be the value's own and must not be changed.
func (s *state) iterate(v any) []any {
	items, ok := s.tryIterate(v)
	if !ok {
		s.fail("'%s' object is not iterable", typeName(v))
	}
	s.step(len(items))
	return items
}

func (s *state) tryIterate(v any) ([]any, bool) {
	if items, ok := sequence(v); ok {
		return items, true
	}
	switch v := v.(type) {
	case *Dict:
		return v.keys, true
	case *undefined:
		s.use(v)
		return nil, true
	}
	if t, ok := text(v); ok {
		return s.charItems(t, v), true
	}
	return nil, false
}

// charItems splits text into one-character values with the marks of like.
func (s *state) charItems(t string, like any) []any {
	s.step(len(t))
	s.made(runeCount(t))
	parts := chars(t)
	items := make([]any, len(parts))
	m := s.marks(like)
	for i, c := range parts {
		items[i] = withMark(c, m)
	}
	return items
}
