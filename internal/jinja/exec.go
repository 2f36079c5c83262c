package jinja

import "slices"

func (s *state) exec(body []stmt) {
	for _, n := range body {
		if s.late != nil {
			s.preview(n)
			continue
		}
		s.line = n.where().line
		n.exec(s)
	}
}

func (n *textStmt) exec(s *state) { s.out.write(s, marked{text: n.text}) }

func (n *outputStmt) exec(s *state) {
	v := n.x.eval(s)
	s.line = n.line
	s.print(v)
}

func (n *ifStmt) exec(s *state) {
	for _, b := range n.branches {
		if b.test == nil || s.truth(b.test.eval(s)) {
			s.exec(b.body)
			return
		}
	}
}

func (n *setStmt) exec(s *state) { n.target.assign(s, n.value.eval(s)) }

func (n *setBlockStmt) exec(s *state) {
	v := s.capture(func() { s.inScope(s.scope, func() { s.exec(n.body) }) })
	n.target.assign(s, s.applyFilters(n.filters, v))
}

func (n *filterStmt) exec(s *state) {
	v := s.capture(func() { s.inScope(s.scope, func() { s.exec(n.body) }) })
	s.print(s.applyFilters(n.filters, v))
}

func (s *state) applyFilters(filters []*filterExpr, v any) any {
	for _, f := range filters {
		v = f.apply(s, v)
	}
	return v
}

func (n *withStmt) exec(s *state) {
	values := make([]any, len(n.values))
	for i, x := range n.values {
		values[i] = x.eval(s)
	}
	s.inScope(s.scope, func() {
		for i, t := range n.targets {
			t.assign(s, values[i])
		}
		s.exec(n.body)
	})
}

func (n *groupStmt) exec(s *state) { s.exec(n.body) }

// exec shows a block where it is defined. It sees the variables of the whole template, as in Jinja2.
func (n *blockStmt) exec(s *state) {
	parent := s.root
	if n.scoped {
		parent = s.scope
	}
	s.enter()
	defer s.leave()
	s.inScope(parent, func() { s.exec(n.body) })
}

// selfValue is the variable self: its attributes are the blocks.
type selfValue struct{}

func (selfValue) attr(s *state, name string) (any, bool) {
	b := s.t.blocks[name]
	if b == nil {
		return nil, false
	}
	return function(func(s *state, _ args) any {
		s.step(1)
		return s.capture(func() { b.exec(s) })
	}), true
}

func (t *nameTarget) assign(s *state, v any) { s.scope.set(t.name, v) }

func (t *fieldTarget) assign(s *state, v any) {
	ns, ok := s.lookup(t.name).(*namespace)
	if !ok {
		s.line = t.line
		s.fail("cannot assign attribute on non-namespace object")
	}
	ns.fields.set(t.field, t.field, v)
}

func (t *tupleTarget) assign(s *state, v any) {
	items := s.iterate(v)
	switch {
	case len(items) > len(t.items):
		s.fail("too many values to unpack (expected %d)", len(t.items))
	case len(items) < len(t.items):
		s.fail("not enough values to unpack (expected %d, got %d)", len(t.items), len(items))
	}
	for i, item := range slices.Clone(items) {
		t.items[i].assign(s, item)
	}
}
