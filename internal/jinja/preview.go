package jinja

import "slices"

// Preview renders the template for a person to read, when some variables are not known yet: what depends on a name
// of late stays as it stands in the source, and so does what cannot be rendered. It never fails.
func (t *Template) Preview(v Vars, late ...string) Rendered {
	s := newState(t, v)
	s.late = map[string]bool{}
	for _, name := range late {
		s.late[name] = true
	}
	if !s.try(func() { s.exec(t.body) }) {
		return Rendered{Text: t.source}
	}
	return s.rendered()
}

// try runs f and reports whether it succeeded; if not, it leaves no trace of it but in the variables.
func (s *state) try(f func()) bool {
	scope, out, was, depth, quiet := s.scope, s.out, *s.out, s.depth, s.quiet
	var err error
	func() {
		defer catch(s.t.name, &s.line, &err)
		f()
	}()
	if err == nil {
		return true
	}
	s.scope, s.out, s.depth, s.quiet = scope, out, depth, quiet
	*s.out = was
	return false
}

// preview executes one statement, or copies its source.
func (s *state) preview(n stmt) {
	at := n.where()
	s.line = at.line
	if s.waits(n) || !s.try(func() { n.exec(s) }) {
		s.delay(n)
		s.out.write(s, marked{text: s.t.source[at.start:at.end]})
	}
}

// waits reports whether the statement depends on a late variable in a way that its parts cannot be looked at alone.
func (s *state) waits(n stmt) bool {
	at := n.where()
	switch n := n.(type) {
	case *ifStmt:
		return slices.ContainsFunc(n.branches, func(b branch) bool { return s.mentions(b.refs) })
	case *setBlockStmt, *filterStmt, *macroStmt, *callStmt:
		return s.mentions(at.all)
	}
	return s.mentions(at.refs)
}

func (s *state) mentions(refs [2]int) bool {
	return slices.ContainsFunc(s.t.refs[refs[0]:refs[1]], func(name string) bool { return s.late[name] })
}

// delay makes the variables late that the statement would have set.
func (s *state) delay(n stmt) {
	switch n := n.(type) {
	case *setStmt:
		s.delayTarget(n.target)
	case *setBlockStmt:
		s.delayTarget(n.target)
	case *macroStmt:
		s.late[n.name] = true
	}
}

func (s *state) delayTarget(t target) {
	switch t := t.(type) {
	case *nameTarget:
		s.late[t.name] = true
	case *fieldTarget:
		s.late[t.name] = true
	case *tupleTarget:
		for _, item := range t.items {
			s.delayTarget(item)
		}
	}
}
