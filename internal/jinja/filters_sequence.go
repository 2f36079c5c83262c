package jinja

import (
	"slices"
	"strconv"
	"strings"
)

func sequenceFilters() map[string]*builtin {
	m := map[string]*builtin{
		"length":   passing("", lengthFilter),
		"first":    passing("", firstFilter),
		"last":     passing("", lastFilter),
		"random":   passing("", randomItem),
		"list":     passing("", func(s *state, v any, _ []any) any { return &list{slices.Clone(s.iterate(v))} }),
		"reverse":  passing("", reverseFilter),
		"join":     define("d? attribute?", joinFilter),
		"sort":     passing("reverse? case_sensitive? attribute?", sortFilter),
		"unique":   passing("case_sensitive? attribute?", uniqueFilter),
		"min":      passing("case_sensitive? attribute?", minFilter),
		"max":      passing("case_sensitive? attribute?", maxFilter),
		"sum":      passing("attribute? start?", sumFilter),
		"batch":    passing("linecount fill_with?", batchFilter),
		"slice":    passing("slices fill_with?", sliceFilter),
		"items":    passing("", itemsFilter),
		"dictsort": passing("case_sensitive? by? reverse?", dictsortFilter),
		"groupby":  passing("attribute default? case_sensitive?", groupbyFilter),
	}
	m["count"] = m["length"]
	return m
}

func lengthFilter(s *state, v any, _ []any) any {
	n, ok := length(v)
	if !ok {
		s.fail("object of type '%s' has no len()", typeName(v))
	}
	s.useAll(v)
	return int64(n)
}

func firstFilter(s *state, v any, _ []any) any {
	items := s.iterate(v)
	if len(items) == 0 {
		return &undefined{"first item of an empty sequence", "No first item, sequence was empty."}
	}
	return items[0]
}

func lastFilter(s *state, v any, _ []any) any {
	items := s.iterate(v)
	if len(items) == 0 {
		return &undefined{"last item of an empty sequence", "No last item, sequence was empty."}
	}
	return items[len(items)-1]
}

func reverseFilter(s *state, v any, _ []any) any {
	items := slices.Clone(s.iterate(v))
	slices.Reverse(items)
	if _, ok := text(v); !ok {
		return &list{items}
	}
	var b strings.Builder
	for _, c := range items {
		b.WriteString(s.soft(c))
	}
	return withMark(b.String(), s.marks(v))
}

func joinFilter(s *state, v any, a []any) any {
	sep := ""
	if given(a[0]) {
		sep = s.soft(a[0])
	}
	get := s.getter(a[1], nil, false)
	return s.joinItems(s.iterate(v), sep, func(x any) string { return s.soft(get(x)) })
}

// joinItems joins texts without filling the memory.
func (s *state) joinItems(items []any, sep string, str func(any) string) string {
	var b strings.Builder
	for i, x := range items {
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(str(x))
		if b.Len() > maxOutput {
			s.alloc(b.Len())
		}
	}
	return b.String()
}

// getter returns a function that finds an attribute such as "address.city" or 0 in an item.
func (s *state) getter(attribute, def any, ignoreCase bool) func(any) any {
	parts := s.attributePath(attribute)
	return func(x any) any {
		for _, p := range parts {
			x = s.getOr(x, p, def)
		}
		if t, ok := text(x); ok && ignoreCase {
			return lower(t)
		}
		return x
	}
}

func (s *state) getOr(x, key, def any) any {
	v, ok := s.getItem(x, key)
	switch {
	case ok:
		return v
	case def != nil && given(def):
		return def
	}
	return s.noAttribute(&literal{}, x, key)
}

func (s *state) attributePath(attribute any) []any {
	if attribute == nil || !given(attribute) {
		return nil
	}
	t, ok := text(attribute)
	if !ok {
		return []any{attribute}
	}
	var parts []any
	for p := range strings.SplitSeq(t, ".") {
		if n, err := strconv.ParseInt(p, 10, 64); err == nil && n >= 0 {
			parts = append(parts, n)
		} else {
			parts = append(parts, p)
		}
	}
	return parts
}

func sortFilter(s *state, v any, a []any) any {
	items := slices.Clone(s.iterate(v))
	ignoreCase := !s.boolArg(a[1])
	t, ok := text(a[2])
	if !ok {
		sortBy(s, items, s.getter(a[2], nil, ignoreCase), s.boolArg(a[0]))
		return &list{items}
	}
	var gets []func(any) any
	for attribute := range strings.SplitSeq(t, ",") {
		gets = append(gets, s.getter(attribute, nil, ignoreCase))
	}
	key := func(x any) any {
		keys := make([]any, len(gets))
		for i, get := range gets {
			keys[i] = get(x)
		}
		return &list{keys}
	}
	sortBy(s, items, key, s.boolArg(a[0]))
	return &list{items}
}

func uniqueFilter(s *state, v any, a []any) any {
	get := s.getter(a[1], nil, !s.boolArg(a[0]))
	seen := map[any]bool{}
	out := []any{}
	for _, x := range s.iterate(v) {
		if h := s.hash(get(x)); !seen[h] {
			seen[h] = true
			out = append(out, x)
		}
	}
	return &list{out}
}

func minFilter(s *state, v any, a []any) any { return s.extreme(v, a, "<", -1) }
func maxFilter(s *state, v any, a []any) any { return s.extreme(v, a, ">", 1) }

func (s *state) extreme(v any, a []any, op string, want int) any {
	items := s.iterate(v)
	if len(items) == 0 {
		return &undefined{"smallest or largest item of an empty sequence", "No aggregated item, sequence was empty."}
	}
	get := s.getter(a[1], nil, !s.boolArg(a[0]))
	best, bestKey := items[0], get(items[0])
	for _, x := range items[1:] {
		k := get(x)
		c, ok := s.order(k, bestKey)
		if !ok {
			s.fail("'%s' not supported between instances of '%s' and '%s'", op, typeName(k), typeName(bestKey))
		}
		if c == want {
			best, bestKey = x, k
		}
	}
	return best
}

func sumFilter(s *state, v any, a []any) any {
	get := s.getter(a[0], nil, false)
	total := any(int64(0))
	if given(a[1]) {
		total = a[1]
	}
	for _, x := range s.iterate(v) {
		total = s.binary("+", total, get(x))
	}
	return total
}

func batchFilter(s *state, v any, a []any) any {
	n := s.intArg(a[0], 0)
	if n <= 0 || n > maxRange {
		s.fail("batch size must be between 1 and %d", maxRange)
	}
	out := []any{}
	for part := range slices.Chunk(s.iterate(v), int(n)) {
		row := slices.Clone(part)
		for given(a[1]) && a[1] != nil && len(row) < int(n) {
			row = append(row, a[1])
		}
		s.step(len(row))
		s.made(len(row))
		out = append(out, &list{row})
	}
	return &list{out}
}

func sliceFilter(s *state, v any, a []any) any {
	n := s.intArg(a[0], 0)
	if n <= 0 || n > maxRange {
		s.fail("the number of slices must be between 1 and %d", maxRange)
	}
	items := s.iterate(v)
	size, extra := len(items)/int(n), len(items)%int(n)
	out := make([]any, n)
	for i, start := 0, 0; i < int(n); i++ {
		end := start + size
		if i < extra {
			end++
		}
		row := slices.Clone(items[start:end])
		if given(a[1]) && a[1] != nil && i >= extra {
			row = append(row, a[1])
		}
		out[i] = &list{row}
		start = end
	}
	return &list{out}
}

func itemsFilter(s *state, v any, _ []any) any {
	switch v := v.(type) {
	case *undefined:
		s.use(v)
		return &list{}
	case *Dict:
		return &list{s.pairs(v)}
	}
	s.fail("Can only get item pairs from a mapping.")
	return nil
}

// pairs returns the items of a dict as tuples.
func (s *state) pairs(d *Dict) []any {
	s.step(len(d.keys))
	s.made(3 * len(d.keys))
	out := make([]any, len(d.keys))
	for i, k := range d.keys {
		out[i] = &tuple{items: []any{k, d.values[i]}}
	}
	return out
}

func dictsortFilter(s *state, v any, a []any) any {
	d, ok := v.(*Dict)
	if !ok {
		s.fail("'%s' object has no attribute 'items'", typeName(v))
	}
	pos := int64(0)
	switch s.strArg(a[1], "key") {
	case "key":
	case "value":
		pos = 1
	default:
		s.fail(`You can only sort by either "key" or "value"`)
	}
	items := s.pairs(d)
	sortBy(s, items, s.getter(pos, nil, !s.boolArg(a[0])), s.boolArg(a[2]))
	return &list{items}
}

func groupbyFilter(s *state, v any, a []any) any {
	items := slices.Clone(s.iterate(v))
	ignoreCase := !s.boolArg(a[2])
	key := s.getter(a[0], a[1], ignoreCase)
	sortBy(s, items, key, false)
	show := s.getter(a[0], a[1], false)
	out := []any{}
	var group *list
	var last any
	for _, x := range items {
		k := key(x)
		if group == nil || !s.equal(last, k) {
			group, last = &list{}, k
			out = append(out, &tuple{items: []any{show(x), group}, names: []string{"grouper", "list"}})
		}
		group.items = append(group.items, x)
	}
	return &list{out}
}
