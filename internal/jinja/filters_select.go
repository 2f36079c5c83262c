package jinja

func selectFilters() map[string]*builtin {
	return map[string]*builtin{
		"map":        rawArgs(true, mapFilter),
		"select":     rawArgs(true, func(s *state, v any, a args) any { return s.selectItems(v, a, false, true) }),
		"reject":     rawArgs(true, func(s *state, v any, a args) any { return s.selectItems(v, a, false, false) }),
		"selectattr": rawArgs(true, func(s *state, v any, a args) any { return s.selectItems(v, a, true, true) }),
		"rejectattr": rawArgs(true, func(s *state, v any, a args) any { return s.selectItems(v, a, true, false) }),
	}
}

func mapFilter(s *state, v any, a args) any {
	f := s.mapFunc(a)
	items := s.iterate(v)
	out := make([]any, len(items))
	s.enter()
	defer s.leave()
	for i, x := range items {
		out[i] = f(x)
	}
	return &list{out}
}

func (s *state) mapFunc(a args) func(any) any {
	if len(a.pos) == 0 {
		attribute, def := a.take("attribute"), a.take("default")
		if !given(attribute) {
			s.fail("map requires a filter argument")
		}
		if len(a.kw) > 0 {
			s.fail("Unexpected keyword argument '%s'", a.kw[0].name)
		}
		return s.getter(attribute, def, false)
	}
	name := s.strArg(a.pos[0], "")
	b := s.t.lib.filters[name]
	if b == nil {
		s.fail("No filter named '%s'.", name)
	}
	rest := args{a.pos[1:], a.kw}
	return func(x any) any { return b.apply(s, x, rest) }
}

// selectItems keeps the items that pass a test, or the truth test if none is named. With attr, the first
// argument names an attribute of the item to test.
func (s *state) selectItems(v any, a args, attr, want bool) any {
	get := func(x any) any { return x }
	if attr {
		if len(a.pos) == 0 {
			s.fail("Missing parameter for attribute name")
		}
		get = s.getter(a.pos[0], nil, false)
		a.pos = a.pos[1:]
	}
	test := func(x any) bool { return s.truth(x) }
	if len(a.pos) > 0 {
		test = s.testFunc(a)
	}
	out := []any{}
	for _, x := range s.iterate(v) {
		if test(get(x)) == want {
			out = append(out, x)
		}
	}
	return &list{out}
}

func (s *state) testFunc(a args) func(any) bool {
	name := s.strArg(a.pos[0], "")
	f := s.t.lib.tests[name]
	if f == nil {
		s.fail("No test named '%s'.", name)
	}
	rest := args{a.pos[1:], a.kw}
	return func(x any) bool { return s.runTest(name, f, x, rest) }
}
