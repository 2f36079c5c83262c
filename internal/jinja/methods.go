package jinja

import (
	"math"
	"slices"
)

func numberMethods() map[string]*builtin {
	return map[string]*builtin{
		"bit_length": define("", func(s *state, v any, _ []any) any {
			n, ok := bigInt(v)
			if !ok {
				s.fail("'%s' object has no attribute 'bit_length'", typeName(v))
			}
			return int64(n.BitLen())
		}),
		"is_integer": define("", func(s *state, v any, _ []any) any {
			f := s.asFloat(v)
			return f == math.Trunc(f) && !math.IsInf(f, 0)
		}),
	}
}

func tupleMethods() map[string]*builtin {
	return map[string]*builtin{
		"count": passing("value", countItem),
		"index": passing("value start? stop?", indexItem),
	}
}

func listMethods() map[string]*builtin {
	return map[string]*builtin{
		"count":   passing("value", countItem),
		"index":   passing("value start? stop?", indexItem),
		"append":  onList("object", func(s *state, l *list, a []any) any { l.items = append(l.items, a[0]); return nil }),
		"clear":   onList("", func(s *state, l *list, _ []any) any { l.items = nil; return nil }),
		"copy":    onList("", func(s *state, l *list, _ []any) any { return &list{slices.Clone(l.items)} }),
		"extend":  onList("iterable", listExtend),
		"insert":  onList("index object", listInsert),
		"pop":     onList("index?", listPop),
		"remove":  onList("value", listRemove),
		"reverse": onList("", listReverse),
		"sort":    onList("key? reverse?", listSort),
	}
}

func onList(signature string, f func(s *state, l *list, a []any) any) *builtin {
	return passing(signature, func(s *state, v any, a []any) any {
		l, _ := v.(*list)
		s.step(1)
		return f(s, l, a)
	})
}

func listExtend(s *state, l *list, a []any) any {
	l.items = s.join(l.items, s.iterate(a[0]))
	return nil
}

func listInsert(s *state, l *list, a []any) any {
	i := clampIndex(s.intArg(a[0], 0), int64(len(l.items)), 1)
	s.step(len(l.items))
	l.items = slices.Insert(slices.Clone(l.items), int(i), a[1])
	return nil
}

func listPop(s *state, l *list, a []any) any {
	i, n := s.intArg(a[0], -1), int64(len(l.items))
	if i < 0 {
		i += n
	}
	if i < 0 || i >= n {
		s.fail("pop index out of range")
	}
	v := l.items[i]
	l.items = slices.Delete(slices.Clone(l.items), int(i), int(i)+1)
	return v
}

func listRemove(s *state, l *list, a []any) any {
	i := s.find(l.items, a[0])
	if i < 0 {
		s.fail("list.remove(x): x not in list")
	}
	l.items = slices.Delete(slices.Clone(l.items), i, i+1)
	return nil
}

func listReverse(s *state, l *list, _ []any) any {
	l.items = slices.Clone(l.items)
	slices.Reverse(l.items)
	return nil
}

func listSort(s *state, l *list, a []any) any {
	if given(a[0]) && a[0] != nil {
		s.fail("sort(key=...) is not available: use the filter sort")
	}
	l.items = slices.Clone(l.items)
	sortBy(s, l.items, func(x any) any { return x }, s.boolArg(a[1]))
	return nil
}

func countItem(s *state, v any, a []any) any {
	n := int64(0)
	for _, x := range s.iterate(v) {
		if s.equal(x, a[0]) {
			n++
		}
	}
	return n
}

func indexItem(s *state, v any, a []any) any {
	items := s.iterate(v)
	n := int64(len(items))
	lo := clampIndex(s.intArg(a[1], 0), n, 1)
	hi := clampIndex(s.intArg(a[2], n), n, 1)
	if lo < hi {
		if i := s.find(items[lo:hi], a[0]); i >= 0 {
			return lo + int64(i)
		}
	}
	shown, _ := s.repr(a[0])
	s.fail("%s is not in list", shown)
	return nil
}

func (s *state) find(items []any, v any) int {
	return slices.IndexFunc(items, func(x any) bool { return s.equal(x, v) })
}

func dictMethods() map[string]*builtin {
	return map[string]*builtin{
		"get":        onDict("key default?", dictGet),
		"keys":       onDict("", func(s *state, d *Dict, _ []any) any { return &view{"dict_keys", slices.Clone(d.keys)} }),
		"values":     onDict("", func(s *state, d *Dict, _ []any) any { return &view{"dict_values", slices.Clone(d.values)} }),
		"items":      onDict("", func(s *state, d *Dict, _ []any) any { return &view{"dict_items", s.pairs(d)} }),
		"copy":       onDict("", func(s *state, d *Dict, _ []any) any { return d.clone() }),
		"clear":      onDict("", func(s *state, d *Dict, _ []any) any { *d = Dict{}; return nil }),
		"pop":        onDict("key default?", dictPop),
		"popitem":    onDict("", dictPopItem),
		"setdefault": onDict("key default?", dictSetDefault),
		"update":     rawArgs(true, dictUpdate),
	}
}

func onDict(signature string, f func(s *state, d *Dict, a []any) any) *builtin {
	return passing(signature, func(s *state, v any, a []any) any {
		d, _ := v.(*Dict)
		s.step(1)
		return f(s, d, a)
	})
}

func dictGet(s *state, d *Dict, a []any) any {
	if v, ok := d.get(s.hash(a[0])); ok {
		return v
	}
	if given(a[1]) {
		return a[1]
	}
	return nil
}

func dictPop(s *state, d *Dict, a []any) any {
	s.step(len(d.keys))
	if v, ok := d.remove(s.hash(a[0])); ok {
		return v
	}
	if !given(a[1]) {
		shown, _ := s.repr(a[0])
		s.fail("no such key: %s", shown)
	}
	return a[1]
}

func dictPopItem(s *state, d *Dict, _ []any) any {
	n := len(d.keys)
	if n == 0 {
		s.fail("popitem(): dictionary is empty")
	}
	k := d.keys[n-1]
	v, _ := d.remove(s.hash(k))
	return &tuple{items: []any{k, v}}
}

func dictSetDefault(s *state, d *Dict, a []any) any {
	h := s.hash(a[0])
	if v, ok := d.get(h); ok {
		return v
	}
	var def any
	if given(a[1]) {
		def = a[1]
	}
	d.set(h, a[0], def)
	return def
}

func dictUpdate(s *state, v any, a args) any {
	d, _ := v.(*Dict)
	if len(a.pos) > 1 {
		s.fail("update expected at most 1 argument, got %d", len(a.pos))
	}
	if len(a.pos) == 1 {
		s.update(d, a.pos[0])
	}
	for _, k := range a.kw {
		d.Set(k.name, k.value)
	}
	return nil
}
