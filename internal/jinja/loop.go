package jinja

// loop is the variable loop of a for tag.
type loop struct {
	node    *forStmt
	scope   *scope // around the tag
	items   []any
	index   int // of the current item, from 0
	depth   int // of a recursive loop, from 0
	changed any
}

func (n *forStmt) exec(s *state) { n.run(s, s.scope, n.over.eval(s), 0) }

// run executes the loop over a value in a scope inside parent.
func (n *forStmt) run(s *state, parent *scope, over any, depth int) {
	l := &loop{node: n, scope: parent, items: n.pick(s, parent, over), depth: depth, changed: absent{}}
	if len(l.items) == 0 {
		s.inScope(parent, func() { s.exec(n.otherwise) })
		return
	}
	for i, item := range l.items {
		s.step(1)
		l.index = i
		s.inScope(parent, func() {
			n.target.assign(s, item)
			s.scope.set("loop", l)
			s.exec(n.body)
		})
	}
}

// pick returns the items that pass the filter of `for x in y if z`.
func (n *forStmt) pick(s *state, parent *scope, over any) []any {
	all := s.iterate(over)
	items := make([]any, 0, len(all))
	if n.filter == nil {
		return append(items, all...)
	}
	for _, item := range all {
		s.inScope(parent, func() {
			n.target.assign(s, item)
			if s.truth(n.filter.eval(s)) {
				items = append(items, item)
			}
		})
	}
	return items
}

// call runs a recursive loop over further items: {{ loop(item.children) }}.
func (l *loop) call(s *state, a args) any {
	if !l.node.recursive {
		s.fail("The loop must have the 'recursive' marker to be called recursively.")
	}
	if len(a.pos) != 1 {
		s.fail("loop() takes one argument")
	}
	s.enter()
	defer s.leave()
	return s.capture(func() { l.node.run(s, l.scope, a.pos[0], l.depth+1) })
}

func (l *loop) attr(s *state, name string) (any, bool) {
	switch name {
	case "index":
		return int64(l.index + 1), true
	case "index0":
		return int64(l.index), true
	case "revindex":
		return int64(len(l.items) - l.index), true
	case "revindex0":
		return int64(len(l.items) - l.index - 1), true
	case "first":
		return l.index == 0, true
	case "last":
		return l.index == len(l.items)-1, true
	case "length":
		return int64(len(l.items)), true
	case "depth":
		return int64(l.depth + 1), true
	case "depth0":
		return int64(l.depth), true
	case "previtem":
		return l.item(l.index-1, name), true
	case "nextitem":
		return l.item(l.index+1, name), true
	case "cycle":
		return function(l.cycle), true
	case "changed":
		return function(l.isChanged), true
	}
	return nil, false
}

func (l *loop) item(i int, name string) any {
	if i < 0 || i >= len(l.items) {
		return &undefined{"", "loop." + name + " is undefined: there is no such item"}
	}
	return l.items[i]
}

func (l *loop) cycle(s *state, a args) any {
	if len(a.pos) == 0 {
		s.fail("no items for cycling given")
	}
	return a.pos[l.index%len(a.pos)]
}

func (l *loop) isChanged(s *state, a args) any {
	now := &tuple{items: a.pos}
	if s.equal(l.changed, now) {
		return false
	}
	l.changed = now
	return true
}
