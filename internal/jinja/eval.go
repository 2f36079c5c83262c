package jinja

import "strings"

func (n *literal) eval(*state) any { return n.value }

func (n *nameRef) eval(s *state) any {
	s.line = n.line
	return s.lookup(n.name)
}

func (n *listExpr) eval(s *state) any { return &list{s.evalAll(n.items)} }

func (n *tupleExpr) eval(s *state) any { return &tuple{items: s.evalAll(n.items)} }

func (s *state) evalAll(list []expr) []any {
	items := make([]any, len(list))
	for i, x := range list {
		items[i] = x.eval(s)
	}
	return items
}

func (n *dictExpr) eval(s *state) any {
	d := &Dict{}
	for i, k := range n.keys {
		key := k.eval(s)
		d.set(s.hash(key), key, n.values[i].eval(s))
	}
	return d
}

func (n *sliceExpr) eval(s *state) any {
	s.fail("a slice stands only between brackets")
	return nil
}

func (n *notExpr) eval(s *state) any { return !s.truth(n.x.eval(s)) }

func (n *logicExpr) eval(s *state) any {
	x := n.x.eval(s)
	if s.truth(x) == n.and {
		return n.y.eval(s)
	}
	return x
}

func (n *condExpr) eval(s *state) any {
	if s.truth(n.test.eval(s)) {
		return n.then.eval(s)
	}
	if n.other != nil {
		return n.other.eval(s)
	}
	return &undefined{"", "the inline if-expression evaluated to false and no else section was defined"}
}

func (n *concatExpr) eval(s *state) any {
	var o output
	for _, x := range n.parts {
		o.write(s, s.printed(x.eval(s)))
	}
	return o.marked().value()
}

func (n *unaryExpr) eval(s *state) any {
	x := n.x.eval(s)
	if n.op == '-' {
		return s.negate(x)
	}
	if !isNumber(x) {
		s.operandError("+", x)
	}
	return s.arith("+", int64(0), x)
}

func (n *binaryExpr) eval(s *state) any {
	x := n.x.eval(s)
	y := n.y.eval(s)
	s.line = n.line
	return s.binary(n.op, x, y)
}

func (n *compareExpr) eval(s *state) any {
	x := n.first.eval(s)
	for _, c := range n.ops {
		y := c.y.eval(s)
		if !s.compare(c.op, x, y) {
			return false
		}
		x = y
	}
	return true
}

func (n *callExpr) eval(s *state) any {
	fn := n.fn.eval(s)
	a := n.args.eval(s)
	s.line = n.line
	return s.call(fn, a)
}

func (n *filterExpr) eval(s *state) any { return n.apply(s, n.x.eval(s)) }

func (n *filterExpr) apply(s *state, v any) any {
	a := n.args.eval(s)
	s.line = n.line
	return n.fn.apply(s, v, a)
}

func (n *testExpr) eval(s *state) any {
	x := n.x.eval(s)
	a := n.args.eval(s)
	s.line = n.line
	return s.runTest(n.name, n.fn, x, a)
}

// eval looks for an attribute first, then for an item: cfg.items is the method even if there is a key "items".
func (n *attrExpr) eval(s *state) any {
	x := n.x.eval(s)
	s.line = n.line
	if v, ok := s.attribute(x, n.name); ok {
		return v
	}
	if v, ok := s.item(x, n.name); ok {
		return v
	}
	return s.noAttribute(n.x, x, n.name)
}

func (n *indexExpr) eval(s *state) any {
	x := n.x.eval(s)
	if sl, ok := n.key.(*sliceExpr); ok {
		s.line = n.line
		return s.slice(x, sl)
	}
	key := n.key.eval(s)
	s.line = n.line
	if v, ok := s.getItem(x, key); ok {
		return v
	}
	return s.noAttribute(n.x, x, key)
}

// getItem is x[key] of Jinja2: an item, else an attribute.
func (s *state) getItem(x, key any) (any, bool) {
	if v, ok := s.item(x, key); ok {
		return v, true
	}
	if name, ok := text(key); ok {
		return s.attribute(x, name)
	}
	return nil, false
}

// noAttribute returns the undefined value of x.name or x[name]; x itself must be defined.
func (s *state) noAttribute(node expr, x, key any) any {
	if u, ok := x.(*undefined); ok {
		s.fail("%s", u.message)
	}
	name := s.keyName(key)
	msg := "'" + objectName(x) + "' has no attribute '" + name + "'"
	if _, ok := text(key); !ok {
		msg = objectName(x) + " has no element " + name
	}
	return &undefined{dotted(node, name), msg}
}

// keyName is a key for people to read.
func (s *state) keyName(key any) string {
	if s.marks(key)&fromSecret != 0 {
		return hidden
	}
	return s.soft(key)
}

func objectName(v any) string {
	if v == nil {
		return "None"
	}
	return typeName(v) + " object"
}

// dotted is how a person would call the attribute.
func dotted(node expr, name string) string {
	switch n := node.(type) {
	case *nameRef:
		return n.name + "." + name
	case *attrExpr:
		return dotted(n.x, n.name) + "." + name
	}
	return name
}

// attribute is Python's getattr: methods, and the fields of loop, namespaces and groups.
func (s *state) attribute(x any, name string) (any, bool) {
	switch x := x.(type) {
	case object:
		return x.attr(s, name)
	case *undefined:
		return nil, false
	}
	if b := s.t.lib.methods(x)[name]; b != nil {
		return &boundMethod{x, b}, true
	}
	return nil, false
}

func (ns *namespace) attr(_ *state, name string) (any, bool) { return ns.fields.get(name) }

func (t *tuple) attr(s *state, name string) (any, bool) {
	for i, n := range t.names {
		if n == name {
			return t.items[i], true
		}
	}
	if b := s.t.lib.tuple[name]; b != nil {
		return &boundMethod{t, b}, true
	}
	return nil, false
}

// item is Python's x[key]; it is not ok where Python raises.
func (s *state) item(x, key any) (any, bool) {
	switch x := x.(type) {
	case *Dict:
		switch key.(type) {
		case *list, *Dict:
			return nil, false
		}
		return x.get(s.hash(key))
	case *undefined:
		s.fail("%s", x.message)
	}
	i, ok := asInt(key)
	if !ok {
		return nil, false
	}
	return s.itemAt(x, i)
}

func (s *state) itemAt(x any, i int64) (any, bool) {
	items, ok := sequence(x)
	if !ok {
		if _, ok := text(x); !ok {
			return nil, false
		}
		items = s.iterate(x)
	} else if isA[*view](x) {
		return nil, false
	}
	if i < 0 {
		i += int64(len(items))
	}
	if i < 0 || i >= int64(len(items)) {
		return nil, false
	}
	return items[i], true
}

// asInt returns the value of an integer or bool.
func asInt(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// slice is x[lo:hi:step].
func (s *state) slice(x any, n *sliceExpr) any {
	if u, ok := x.(*undefined); ok {
		s.fail("%s", u.message)
	}
	bounds := [3]any{}
	for i, e := range []expr{n.lo, n.hi, n.step} {
		if e != nil {
			bounds[i] = e.eval(s)
		}
	}
	pick := func(items []any) []any {
		out := sliceItems(s, items, bounds)
		s.made(len(out))
		return out
	}
	switch x := x.(type) {
	case *list:
		return &list{pick(x.items)}
	case *tuple:
		return &tuple{items: pick(x.items)}
	case *rangeValue:
		return &list{pick(x.items())}
	}
	t, ok := text(x)
	if !ok {
		return &undefined{"slice", typeName(x) + " cannot be sliced"}
	}
	s.step(len(t))
	part := ""
	if isASCII(t) {
		part = string(sliceItems(s, []byte(t), bounds))
	} else {
		part = strings.Join(sliceItems(s, chars(t), bounds), "")
	}
	s.alloc(len(part))
	return withMark(part, s.marks(x))
}

func sliceItems[T any](s *state, items []T, bounds [3]any) []T {
	step := int64(1)
	if bounds[2] != nil {
		step = s.intArg(bounds[2], 1)
	}
	if step == 0 {
		s.fail("slice step cannot be zero")
	}
	n := int64(len(items))
	lo, hi := int64(0), n
	if step < 0 {
		lo, hi = n-1, -1
	}
	if bounds[0] != nil {
		lo = clampIndex(s.intArg(bounds[0], 0), n, step)
	}
	if bounds[1] != nil {
		hi = clampIndex(s.intArg(bounds[1], 0), n, step)
	}
	out := make([]T, 0, max(0, (hi-lo)/step+1))
	for i := lo; step > 0 && i < hi || step < 0 && i > hi; i += step {
		out = append(out, items[i])
		if step > n || -step > n {
			break
		}
	}
	s.step(len(out))
	return out
}

// clampIndex is how Python limits a bound of a slice to the n items.
func clampIndex(i, n, step int64) int64 {
	low, high := int64(0), n
	if step < 0 {
		low, high = -1, n-1
	}
	if i < 0 {
		i += n
	}
	return max(low, min(i, high))
}
