package jinja

import (
	"slices"
	"strings"
)

// args are the evaluated arguments of a call.
type args struct {
	pos []any
	kw  []kwarg
}

type kwarg struct {
	name  string
	value any
}

// take removes a keyword argument; absent{} if it was not given.
func (a *args) take(name string) any {
	for i, k := range a.kw {
		if k.name == name {
			a.kw = slices.Delete(slices.Clone(a.kw), i, i+1)
			return k.value
		}
	}
	return absent{}
}

func (l *argList) eval(s *state) args {
	var a args
	for _, x := range l.pos {
		a.pos = append(a.pos, x.eval(s))
	}
	if l.star != nil {
		a.pos = append(a.pos, s.iterate(l.star.eval(s))...)
	}
	for i, x := range l.kw {
		a.kw = append(a.kw, kwarg{l.names[i], x.eval(s)})
	}
	if l.starKw != nil {
		d, ok := l.starKw.eval(s).(*Dict)
		if !ok {
			s.fail("argument after ** must be a mapping")
		}
		for i, k := range d.keys {
			if s.marks(k) != 0 {
				s.fail("neither data nor a secret can be the name of an argument")
			}
			a.kw = append(a.kw, kwarg{s.soft(k), d.values[i]})
		}
	}
	return a
}

// function is a callable without a signature.
type function func(s *state, a args) any

func (f function) call(s *state, a args) any { return f(s, a) }

// builtin is a filter or a method. Either fn or raw is set.
type builtin struct {
	name   string
	params []string
	min    int // parameters that must be given
	fn     func(s *state, recv any, a []any) any
	raw    func(s *state, recv any, a args) any
	passes bool // returns what it was given, or numbers: what it returns is marked as it was before
}

// define makes a builtin of a signature like "old new count?".
func define(signature string, fn func(s *state, recv any, a []any) any) *builtin {
	b := &builtin{fn: fn, params: strings.Fields(signature)}
	for i, p := range b.params {
		if strings.HasSuffix(p, "?") {
			b.params[i] = p[:len(p)-1]
		} else {
			b.min = i + 1
		}
	}
	return b
}

// passing is define for a builtin that hands through values instead of making new text.
func passing(signature string, fn func(s *state, recv any, a []any) any) *builtin {
	b := define(signature, fn)
	b.passes = true
	return b
}

// rawArgs makes a builtin that reads its arguments itself.
func rawArgs(passes bool, fn func(s *state, recv any, a args) any) *builtin {
	return &builtin{raw: fn, passes: passes}
}

// named sets the names, for messages.
func named(m map[string]*builtin) map[string]*builtin {
	for name, b := range m {
		b.name = name
	}
	return m
}

// apply runs the builtin. Text that it makes of marked text has its marks.
func (b *builtin) apply(s *state, recv any, a args) any {
	if s.seen == 0 || b.passes && s.seen == fromLine {
		return b.run(s, recv, a)
	}
	m := s.marks(recv) | s.allMarks(a.pos)
	for _, k := range a.kw {
		m |= s.marks(k.value)
	}
	v := s.withQuiet(m, func() any { return b.run(s, recv, a) })
	if b.passes {
		return v
	}
	return withMark(v, m)
}

func (b *builtin) run(s *state, recv any, a args) (v any) {
	if b.raw != nil {
		v = b.raw(s, recv, a)
	} else {
		v = b.fn(s, recv, b.bind(s, a))
	}
	s.count(v)
	return v
}

// count counts what a builtin has made.
func (s *state) count(v any) {
	switch v := v.(type) {
	case *list:
		s.made(len(v.items))
	case *tuple:
		s.made(len(v.items))
	case *view:
		s.made(len(v.items))
	case *Dict:
		s.made(len(v.keys))
	default:
		if t, ok := text(v); ok {
			s.alloc(len(t))
		}
	}
}

// bind puts the arguments in the order of the parameters.
func (b *builtin) bind(s *state, a args) []any {
	if len(a.pos) > len(b.params) {
		s.fail("%s() takes at most %d arguments (%d given)", b.name, len(b.params), len(a.pos))
	}
	out := make([]any, len(b.params))
	n := copy(out, a.pos)
	for i := n; i < len(out); i++ {
		out[i] = absent{}
	}
	for _, k := range a.kw {
		i := slices.Index(b.params, k.name)
		if i < 0 {
			s.fail("%s() got an unexpected keyword argument '%s'", b.name, k.name)
		}
		if i < n {
			s.fail("%s() got multiple values for argument '%s'", b.name, k.name)
		}
		out[i] = k.value
	}
	for i, v := range out[:b.min] {
		if v == (absent{}) {
			s.fail("%s() missing required argument: '%s'", b.name, b.params[i])
		}
	}
	return out
}

func (m *boundMethod) call(s *state, a args) any { return m.fn.apply(s, m.recv, a) }

// given reports whether an argument was given.
func given(v any) bool {
	_, missing := v.(absent)
	return !missing
}

// intArg returns an integer argument.
func (s *state) intArg(v any, def int64) int64 {
	switch v := v.(type) {
	case absent:
		return def
	case int64:
		return v
	case bool:
		if v {
			return 1
		}
		return 0
	case *undefined:
		s.fail("%s", v.message)
	}
	s.fail("'%s' object cannot be interpreted as an integer", typeName(v))
	return 0
}

// strArg returns a text argument.
func (s *state) strArg(v any, def string) string {
	if !given(v) {
		return def
	}
	t, ok := text(v)
	if !ok {
		if u, isUndefined := v.(*undefined); isUndefined {
			s.fail("%s", u.message)
		}
		s.fail("a string is required, not '%s'", typeName(v))
	}
	return t
}

func (s *state) boolArg(v any) bool { return given(v) && s.truth(v) }

// macro is a macro, or the caller of a call block, with the variables around its definition.
type macro struct {
	def   *macroDef
	scope *scope
}

func (n *macroStmt) exec(s *state) { s.scope.set(n.name, &macro{n.macroDef, s.scope}) }

func (n *callStmt) exec(s *state) {
	fn := n.call.fn.eval(s)
	a := n.call.args.eval(s)
	a.kw = append(a.kw, kwarg{"caller", &macro{n.caller, s.scope}})
	s.print(s.call(fn, a))
}

func (m *macro) attr(_ *state, name string) (any, bool) {
	if name == "name" {
		return m.def.name, true
	}
	return nil, false
}

func (m *macro) call(s *state, a args) any {
	s.enter()
	defer s.leave()
	s.step(1)
	line := s.line
	v := s.capture(func() {
		s.inScope(m.scope, func() {
			m.bind(s, a)
			s.exec(m.def.body)
		})
	})
	s.line = line
	return v
}

// bind sets the parameters as variables.
func (m *macro) bind(s *state, a args) {
	for i, p := range m.def.params {
		if i < len(a.pos) {
			s.scope.set(p.name, a.pos[i])
			continue
		}
		v := a.take(p.name)
		switch {
		case given(v):
		case p.def != nil:
			v = p.def.eval(s)
		default:
			v = &undefined{p.name, "parameter '" + p.name + "' was not provided"}
		}
		s.scope.set(p.name, v)
	}
	m.bindRest(s, a)
}

func (m *macro) bindRest(s *state, a args) {
	if m.def.usesCaller {
		caller := a.take("caller")
		if !given(caller) {
			caller = &undefined{"caller", "No caller defined"}
		}
		s.scope.set("caller", caller)
	}
	rest := a.pos[min(len(a.pos), len(m.def.params)):]
	if m.def.usesArgs {
		s.scope.set("varargs", &tuple{items: rest})
	} else if len(rest) > 0 {
		s.fail("macro '%s' takes not more than %d argument(s)", m.def.name, len(m.def.params))
	}
	if m.def.usesKw {
		d := &Dict{}
		for _, k := range a.kw {
			d.Set(k.name, k.value)
		}
		s.scope.set("kwargs", d)
	} else if len(a.kw) > 0 {
		s.fail("macro '%s' takes no keyword argument '%s'", m.def.name, a.kw[0].name)
	}
}

// call calls a value.
func (s *state) call(fn any, a args) any {
	if c, ok := fn.(callable); ok {
		return c.call(s, a)
	}
	if u, ok := fn.(*undefined); ok {
		s.fail("%s", u.message)
	}
	s.fail("'%s' object is not callable", typeName(fn))
	return nil
}
