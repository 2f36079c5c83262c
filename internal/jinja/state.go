package jinja

import "fmt"

// state is one rendering.
type state struct {
	t       *Template
	vars    Vars
	root    *scope
	scope   *scope
	out     *output
	missing []Undefined
	line    int
	seen    mark            // the marks of all values so far
	numbers mark            // the marks of numbers: once one was read from a secret, every number may hold it
	quiet   bool            // an error shows no values, since secrets are among them
	late    map[string]bool // names that a preview does not know yet; nil otherwise
	depth   int
	steps   int
	bytes   int
}

func newState(t *Template, v Vars) *state {
	s := &state{t: t, vars: v, line: 1, root: &scope{}, out: &output{}}
	s.scope = s.root
	return s
}

// fail ends the rendering with an error at the current line.
func (s *state) fail(format string, args ...any) {
	s.failHint("", format, args...)
}

func (s *state) failHint(hint, format string, args ...any) {
	if s.quiet {
		for i, a := range args {
			if isA[string](a) {
				args[i] = hidden
			}
		}
	}
	panic(failure{&Error{Name: s.t.name, Line: s.line, Message: fmt.Sprintf(format, args...), Hint: hint}})
}

// use records that an undefined value was printed, iterated, counted or compared.
func (s *state) use(u *undefined) {
	if u.name != "" {
		s.missing = append(s.missing, Undefined{Name: u.name, Line: s.line})
	}
}

// scope holds the variables of a tag's body. Tags have few of them, so a slice is the quickest map.
type scope struct {
	parent *scope
	names  []string
	values []any
}

func (c *scope) set(name string, v any) {
	for i, n := range c.names {
		if n == name {
			c.values[i] = v
			return
		}
	}
	c.names = append(c.names, name)
	c.values = append(c.values, v)
}

func (c *scope) get(name string) (any, bool) {
	for ; c != nil; c = c.parent {
		for i, n := range c.names {
			if n == name {
				return c.values[i], true
			}
		}
	}
	return nil, false
}

// inScope runs f with a new scope inside parent.
func (s *state) inScope(parent *scope, f func()) {
	old := s.scope
	s.scope = &scope{parent: parent}
	f()
	s.scope = old
}

// lookup returns the value of a variable.
func (s *state) lookup(name string) any {
	if v, ok := s.scope.get(name); ok {
		return v
	}
	if v, ok := s.vars[name]; ok {
		v = s.convert(v)
		s.root.set(name, v) // so that {% set _ = d.update(...) %} lasts, and only for this rendering
		return v
	}
	if name == "self" {
		return selfValue{}
	}
	if f := global(name); f != nil {
		return f
	}
	return &undefined{name, "'" + name + "' is undefined"}
}
