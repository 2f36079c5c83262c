package jinja

// global returns a function that every template can call; nil if there is none.
func global(name string) any {
	switch name {
	case "range":
		return function(newRange)
	case "dict":
		return function(newDict)
	case "namespace":
		return function(newNamespace)
	case "cycler":
		return function(newCycler)
	case "joiner":
		return function(newJoiner)
	case "lipsum":
		return function(func(s *state, _ args) any {
			s.fail("lipsum is not available")
			return nil
		})
	}
	return nil
}

func newRange(s *state, a args) any {
	if len(a.pos) < 1 || len(a.pos) > 3 || len(a.kw) > 0 {
		s.fail("range expected 1 to 3 arguments, got %d", len(a.pos))
	}
	r := &rangeValue{step: 1}
	switch len(a.pos) {
	case 1:
		r.stop = s.rangeArg(a.pos[0])
	case 3:
		r.step = s.rangeArg(a.pos[2])
		fallthrough
	case 2:
		r.start, r.stop = s.rangeArg(a.pos[0]), s.rangeArg(a.pos[1])
	}
	if r.step == 0 {
		s.fail("range() arg 3 must not be zero")
	}
	if r.len() > maxRange {
		s.fail("Range too big. The sandbox blocks ranges larger than %d.", maxRange)
	}
	return r
}

func (s *state) rangeArg(v any) int64 {
	const limit = 1 << 60
	n := s.intArg(v, 0)
	if n > limit || n < -limit {
		s.fail("range() is too large")
	}
	return n
}

func newDict(s *state, a args) any {
	d := &Dict{}
	if len(a.pos) > 1 {
		s.fail("dict expected at most 1 argument, got %d", len(a.pos))
	}
	if len(a.pos) == 1 {
		s.update(d, a.pos[0])
	}
	for _, k := range a.kw {
		d.Set(k.name, k.value)
	}
	return d
}

// update sets the pairs of a mapping or of a list of pairs.
func (s *state) update(d *Dict, from any) {
	if f, ok := from.(*Dict); ok {
		s.step(len(f.keys))
		for i, k := range f.keys {
			d.set(s.hash(k), k, f.values[i])
		}
		return
	}
	for _, pair := range s.iterate(from) {
		kv := s.iterate(pair)
		if len(kv) != 2 {
			s.fail("dictionary update sequence element has length %d; 2 is required", len(kv))
		}
		d.set(s.hash(kv[0]), kv[0], kv[1])
	}
}

func newNamespace(s *state, a args) any {
	d, _ := newDict(s, a).(*Dict)
	return &namespace{d}
}

// cycler is {% set c = cycler("a", "b") %}.
type cycler struct {
	items []any
	at    int
}

func newCycler(s *state, a args) any {
	if len(a.pos) == 0 {
		s.fail("at least one item has to be provided")
	}
	return &cycler{items: a.pos}
}

func (c *cycler) attr(_ *state, name string) (any, bool) {
	switch name {
	case "current":
		return c.items[c.at], true
	case "next":
		return function(func(*state, args) any {
			v := c.items[c.at]
			c.at = (c.at + 1) % len(c.items)
			return v
		}), true
	case "reset":
		return function(func(*state, args) any {
			c.at = 0
			return nil
		}), true
	}
	return nil, false
}

// newJoiner returns a function that gives nothing when it is called first, then the separator.
func newJoiner(s *state, a args) any {
	var sep any = ", "
	if len(a.pos) > 0 {
		sep = a.pos[0]
	}
	used := false
	return function(func(*state, args) any {
		if !used {
			used = true
			return ""
		}
		return sep
	})
}
