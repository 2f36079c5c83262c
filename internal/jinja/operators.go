package jinja

import (
	"html"
	"math"
	"math/big"
	"slices"
	"strings"
)

// binary is x op y.
func (s *state) binary(op string, x, y any) any {
	for _, v := range []any{x, y} {
		if u, ok := v.(*undefined); ok {
			s.fail("%s", u.message)
		}
	}
	if isNumber(x) && isNumber(y) {
		return s.arith(op, x, y)
	}
	switch op {
	case "+":
		return s.add(x, y)
	case "*":
		if n, ok := asInt(y); ok {
			return s.multiply(x, n, y)
		}
		if n, ok := asInt(x); ok {
			return s.multiply(y, n, x)
		}
	case "%":
		if t, ok := text(x); ok {
			m := s.marks(x) | s.marks(y)
			return withMark(s.withQuiet(m, func() any { return s.percentFormat(t, y) }), m)
		}
	}
	return s.operandError(op, x, y)
}

// operandError is Python's TypeError.
func (s *state) operandError(op string, v ...any) any {
	if u, ok := v[0].(*undefined); ok {
		s.fail("%s", u.message)
	}
	if len(v) == 1 {
		s.fail("bad operand type for unary %s: '%s'", op, typeName(v[0]))
	}
	if _, ok := text(v[0]); ok && op == "+" {
		s.fail(`can only concatenate str (not "%s") to str`, typeName(v[1]))
	}
	s.fail("unsupported operand type(s) for %s: '%s' and '%s'", op, typeName(v[0]), typeName(v[1]))
	return nil
}

func (s *state) add(x, y any) any {
	switch x := x.(type) {
	case *list:
		if y, ok := y.(*list); ok {
			return &list{s.join(x.items, y.items)}
		}
	case *tuple:
		if y, ok := y.(*tuple); ok {
			return &tuple{items: s.join(x.items, y.items)}
		}
	}
	a, ok := asMarked(x)
	b, ok2 := asMarked(y)
	if !ok || !ok2 {
		return s.operandError("+", x, y)
	}
	return s.addTexts(a, b)
}

// addTexts joins two texts; one that is safe makes the other one safe, as in Jinja2.
func (s *state) addTexts(a, b marked) any {
	if a.safe != b.safe {
		unsafe := &a
		if a.safe {
			unsafe = &b
		}
		*unsafe = marked{text: escapeHTML(unsafe.text), mark: unsafe.mark}
	}
	var o output
	o.write(s, a)
	o.write(s, b)
	m := o.marked()
	m.safe = a.safe || b.safe
	return m.value()
}

func (s *state) join(a, b []any) []any {
	s.step(len(a) + len(b))
	s.made(len(a) + len(b))
	return slices.Concat(a, b)
}

func escapeHTML(t string) string { return html.EscapeString(t) }

// multiply is x * n; y is what n was, for the message.
func (s *state) multiply(x any, n int64, y any) any {
	switch x := x.(type) {
	case *list:
		return &list{s.multiplyItems(x.items, n)}
	case *tuple:
		return &tuple{items: s.multiplyItems(x.items, n)}
	case string:
		return s.repeat(x, n)
	case marked:
		return marked{text: s.repeat(x.text, n), mark: x.mark, safe: x.safe}.value()
	}
	return s.operandError("*", x, y)
}

func (s *state) multiplyItems(items []any, n int64) []any {
	if n <= 0 || len(items) == 0 {
		return nil
	}
	if n > int64(maxSteps/len(items)) {
		s.step(maxSteps + 1)
	}
	s.step(len(items) * int(n))
	s.made(len(items) * int(n))
	return slices.Repeat(items, int(n))
}

// compare is x op y of a comparison.
func (s *state) compare(op string, x, y any) bool {
	switch op {
	case "==", "!=":
		s.useAll(x, y)
		return s.equal(x, y) == (op == "==")
	case "in":
		return s.contains(y, x)
	case "not in":
		return !s.contains(y, x)
	}
	for _, v := range []any{x, y} {
		if u, ok := v.(*undefined); ok {
			s.fail("%s", u.message)
		}
	}
	c, ok := s.order(x, y)
	if !ok {
		s.fail("'%s' not supported between instances of '%s' and '%s'", op, typeName(x), typeName(y))
	}
	switch op {
	case "<":
		return c == -1
	case "<=":
		return c == -1 || c == 0
	case ">":
		return c == 1
	}
	return c == 0 || c == 1
}

func (s *state) useAll(values ...any) {
	for _, v := range values {
		if u, ok := v.(*undefined); ok {
			s.use(u)
		}
	}
}

// equal is Python's ==.
func (s *state) equal(x, y any) bool {
	if isNumber(x) && isNumber(y) {
		return numberOrder(x, y) == 0
	}
	if a, ok := text(x); ok {
		b, ok := text(y)
		return ok && a == b
	}
	if a, ok := sequence(x); ok {
		b, ok := sequence(y)
		return ok && typeName(x) == typeName(y) && s.equalItems(a, b)
	}
	switch x := x.(type) {
	case *Dict:
		y, ok := y.(*Dict)
		return ok && s.equalDicts(x, y)
	case *undefined:
		return isA[*undefined](y)
	case function:
		return false
	}
	return !isA[function](y) && x == y
}

// sequence returns the items of a list and its like, not of text.
func sequence(v any) ([]any, bool) {
	switch v := v.(type) {
	case *list:
		return v.items, true
	case *tuple:
		return v.items, true
	case *view:
		return v.items, true
	case *rangeValue:
		return v.items(), true
	}
	return nil, false
}

func (s *state) equalItems(a, b []any) bool {
	s.enter()
	defer s.leave()
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		s.step(1)
		if !s.equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func (s *state) equalDicts(a, b *Dict) bool {
	s.enter()
	defer s.leave()
	if len(a.keys) != len(b.keys) {
		return false
	}
	for i, k := range a.keys {
		s.step(1)
		v, ok := b.get(s.hash(k))
		if !ok || !s.equal(a.values[i], v) {
			return false
		}
	}
	return true
}

// incomparable is the order of NaN and anything.
const incomparable = -2

// order is -1, 0, 1 or incomparable; not ok where Python raises.
func (s *state) order(x, y any) (int, bool) {
	if isNumber(x) && isNumber(y) {
		return numberOrder(x, y), true
	}
	if a, ok := text(x); ok {
		b, ok := text(y)
		return strings.Compare(a, b), ok
	}
	switch x := x.(type) {
	case *list:
		if y, ok := y.(*list); ok {
			return s.orderItems(x.items, y.items)
		}
	case *tuple:
		if y, ok := y.(*tuple); ok {
			return s.orderItems(x.items, y.items)
		}
	}
	return 0, false
}

func (s *state) orderItems(a, b []any) (int, bool) {
	s.enter()
	defer s.leave()
	for i := range min(len(a), len(b)) {
		s.step(1)
		if !s.equal(a[i], b[i]) {
			return s.order(a[i], b[i])
		}
	}
	return numberOrder(int64(len(a)), int64(len(b))), true
}

// numberOrder compares two numbers exactly, whatever their types.
func numberOrder(x, y any) int {
	if m, ok := asInt(x); ok {
		if n, ok := asInt(y); ok {
			switch {
			case m < n:
				return -1
			case m > n:
				return 1
			}
			return 0
		}
	}
	for _, v := range []any{x, y} {
		if f, ok := v.(float64); ok && math.IsNaN(f) {
			return incomparable
		}
	}
	return exact(x).Cmp(exact(y))
}

func exact(v any) *big.Float {
	if f, ok := v.(float64); ok {
		return big.NewFloat(f)
	}
	n, _ := bigInt(v)
	return new(big.Float).SetPrec(uint(max(64, n.BitLen()))).SetInt(n)
}

// contains is Python's x in c.
func (s *state) contains(c, x any) bool {
	s.useAll(x)
	if t, ok := text(c); ok {
		sub, ok := text(x)
		if !ok {
			s.fail("'in <string>' requires string as left operand, not %s", typeName(x))
		}
		return strings.Contains(t, sub)
	}
	if d, ok := c.(*Dict); ok {
		_, found := d.get(s.hash(x))
		return found
	}
	items, ok := s.tryIterate(c)
	if !ok {
		s.fail("argument of type '%s' is not iterable", typeName(c))
	}
	s.step(len(items))
	return slices.ContainsFunc(items, func(item any) bool { return s.equal(item, x) })
}

// sortBy sorts stably by key, as Python's sorted does, also in reverse.
func sortBy[T any](s *state, items []T, key func(T) any, reverse bool) {
	type entry struct {
		item T
		key  any
	}
	s.step(2 * len(items))
	entries := make([]entry, len(items))
	for i, x := range items {
		entries[i] = entry{x, key(x)}
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		s.step(1)
		c, ok := s.order(a.key, b.key)
		switch {
		case !ok:
			s.useAll(a.key, b.key)
			s.fail("'<' not supported between instances of '%s' and '%s'", typeName(a.key), typeName(b.key))
		case c == incomparable:
			return 0
		case reverse:
			return -c
		}
		return c
	})
	for i, e := range entries {
		items[i] = e.item
	}
}
