package jinja

import (
	"math/big"
	"unicode"
)

// testFunc is a test of `x is name(args)`; it is called with as many arguments as its entry says.
type testFunc func(s *state, x any, a []any) bool

func typeTests() map[string]testFunc {
	return map[string]testFunc{
		"defined":   func(_ *state, x any, _ []any) bool { return !isA[*undefined](x) },
		"undefined": func(_ *state, x any, _ []any) bool { return isA[*undefined](x) },
		"none":      func(_ *state, x any, _ []any) bool { return x == nil },
		"boolean":   func(_ *state, x any, _ []any) bool { return isA[bool](x) },
		"true":      func(_ *state, x any, _ []any) bool { return isA[bool](x) && x == true },
		"false":     func(_ *state, x any, _ []any) bool { return isA[bool](x) && x == false },
		"integer":   func(_ *state, x any, _ []any) bool { return isA[int64](x) || isA[*big.Int](x) },
		"float":     func(_ *state, x any, _ []any) bool { return isA[float64](x) },
		"number":    func(_ *state, x any, _ []any) bool { return isNumber(x) },
		"mapping":   func(_ *state, x any, _ []any) bool { return isA[*Dict](x) },
		"callable":  func(_ *state, x any, _ []any) bool { return isA[callable](x) },
		"escaped":   func(_ *state, x any, _ []any) bool { return isSafe(x) },
		"string": func(_ *state, x any, _ []any) bool {
			_, ok := text(x)
			return ok
		},
		"iterable": func(_ *state, x any, _ []any) bool { return isIterable(x) },
		"sequence": func(_ *state, x any, _ []any) bool { return isIterable(x) && !isA[*view](x) },
		"filter": func(s *state, x any, _ []any) bool {
			t, ok := text(x)
			return ok && s.t.lib.filters[t] != nil
		},
		"test": func(s *state, x any, _ []any) bool {
			t, ok := text(x)
			return ok && s.t.lib.tests[t] != nil
		},
	}
}

func valueTests() map[string]testFunc {
	m := map[string]testFunc{
		"odd":  func(s *state, x any, _ []any) bool { return s.equal(s.binary("%", x, int64(2)), int64(1)) },
		"even": func(s *state, x any, _ []any) bool { return s.equal(s.binary("%", x, int64(2)), int64(0)) },
		"divisibleby": func(s *state, x any, a []any) bool {
			return s.equal(s.binary("%", x, a[0]), int64(0))
		},
		"lower":  func(s *state, x any, _ []any) bool { return isLowerText(s.soft(x)) },
		"upper":  func(s *state, x any, _ []any) bool { return isUpperText(s.soft(x)) },
		"in":     func(s *state, x any, a []any) bool { return s.contains(a[0], x) },
		"sameas": func(s *state, x any, a []any) bool { return typeName(x) == typeName(a[0]) && s.equal(x, a[0]) },
	}
	for op, names := range map[string][]string{
		"==": {"eq", "equalto"}, "!=": {"ne"}, "<": {"lt", "lessthan"}, "<=": {"le"}, ">": {"gt", "greaterthan"}, ">=": {"ge"},
	} {
		for _, name := range append(names, op) {
			m[name] = func(s *state, x any, a []any) bool { return s.compare(op, x, a[0]) }
		}
	}
	return m
}

func isA[T any](x any) bool {
	_, ok := x.(T)
	return ok
}

func isIterable(x any) bool {
	if u, ok := x.(*undefined); ok {
		return u != nil
	}
	_, ok := length(x)
	return ok
}

func isLowerText(t string) bool { return cased(t, unicode.IsLower, unicode.IsUpper) }
func isUpperText(t string) bool { return cased(t, unicode.IsUpper, unicode.IsLower) }

// runTest checks the number of arguments and runs the test.
func (s *state) runTest(name string, f testFunc, x any, a args) bool {
	for _, k := range a.kw {
		a.pos = append(a.pos, k.value)
	}
	if want := testArgs(name); len(a.pos) != want {
		s.fail("the test '%s' takes %d argument(s), not %d", name, want, len(a.pos))
	}
	return f(s, x, a.pos)
}

func testArgs(name string) int {
	switch name {
	case "divisibleby", "in", "sameas", "eq", "equalto", "ne", "lt", "lessthan", "le", "gt", "greaterthan", "ge",
		"==", "!=", "<", "<=", ">", ">=":
		return 1
	}
	return 0
}
