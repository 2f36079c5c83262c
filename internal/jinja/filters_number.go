package jinja

import (
	"math"
	"math/big"
	"strconv"
)

func numberFilters() map[string]*builtin {
	return map[string]*builtin{
		"int":            passing("default? base?", intFilter),
		"float":          passing("default?", floatFilter),
		"abs":            passing("", absFilter),
		"round":          passing("precision? method?", roundFilter),
		"filesizeformat": define("binary?", fileSizeFilter),
	}
}

func intFilter(s *state, v any, a []any) any {
	def := any(int64(0))
	if given(a[0]) {
		def = a[0]
	}
	switch v := v.(type) {
	case *big.Int:
		return v
	case float64:
		if n, ok := truncate(v); ok {
			return n
		}
		return def
	case *undefined:
		s.fail("%s", v.message)
	}
	if n, ok := asInt(v); ok {
		return n
	}
	t, ok := text(v)
	if !ok {
		return def
	}
	s.numbers |= s.marks(v) & fromSecret
	if n, ok := parseInt(t, int(s.intArg(a[1], 10))); ok {
		return s.integer(n)
	}
	if f, ok := parseFloat(t); ok {
		if n, ok := truncate(f); ok {
			return n
		}
	}
	return def
}

func floatFilter(s *state, v any, a []any) any {
	if isNumber(v) {
		return s.asFloat(v)
	}
	if u, ok := v.(*undefined); ok {
		s.fail("%s", u.message)
	}
	if t, ok := text(v); ok {
		s.numbers |= s.marks(v) & fromSecret
		if f, ok := parseFloat(t); ok {
			return f
		}
	}
	if given(a[0]) {
		return a[0]
	}
	return 0.0
}

func absFilter(s *state, v any, _ []any) any {
	if !isNumber(v) {
		s.operandError("abs", v)
	}
	if f, ok := v.(float64); ok {
		return math.Abs(f)
	}
	if n, _ := bigInt(v); n.Sign() < 0 {
		return s.negate(v)
	}
	return s.arith("+", int64(0), v)
}

func roundFilter(s *state, v any, a []any) any {
	precision := s.intArg(a[0], 0)
	if !isNumber(v) {
		s.operandError("round", v)
	}
	if precision > 400 || precision < -400 {
		s.fail("the precision is out of range")
	}
	switch method := s.strArg(a[1], "common"); method {
	case "common":
		if f, ok := v.(float64); ok {
			return roundFloat(f, int(precision))
		}
		return s.roundInt(v, precision)
	case "ceil", "floor":
		return s.roundDirected(v, precision, method == "ceil")
	}
	s.fail("method must be common, ceil or floor")
	return nil
}

func (s *state) roundDirected(v any, precision int64, ceil bool) any {
	factor := s.arith("**", int64(10), precision)
	f := s.asFloat(s.arith("*", v, factor))
	if ceil {
		f = math.Ceil(f)
	} else {
		f = math.Floor(f)
	}
	return s.arith("/", f, factor)
}

// roundFloat is Python's round: to even, on the exact decimal value.
func roundFloat(f float64, precision int) float64 {
	if math.IsInf(f, 0) || math.IsNaN(f) || precision > 320 {
		return f
	}
	if precision >= 0 {
		r, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', precision, 64), 64)
		return r
	}
	p := math.Pow(10, float64(-precision))
	if math.IsInf(p, 0) {
		return math.Copysign(0, f)
	}
	return math.RoundToEven(f/p) * p
}

// roundInt rounds an integer to a negative precision, half to even.
func (s *state) roundInt(v any, precision int64) any {
	n, _ := bigInt(v)
	if precision >= 0 {
		return s.integer(n)
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(-precision), nil)
	div, mod := new(big.Int).DivMod(n, unit, new(big.Int))
	switch twice := new(big.Int).Lsh(mod, 1); twice.Cmp(unit) {
	case 1:
		div.Add(div, big.NewInt(1))
	case 0:
		div.Add(div, big.NewInt(int64(div.Bit(0))))
	}
	return s.integer(div.Mul(div, unit))
}

func fileSizeFilter(s *state, v any, a []any) any {
	f, ok := floatFilter(s, v, []any{nil}).(float64)
	if !ok {
		s.fail("could not convert to float: %s", s.soft(v))
	}
	base, units := 1000.0, []string{"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"}
	if s.boolArg(a[0]) {
		base, units = 1024, []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"}
	}
	switch {
	case f == 1:
		return "1 Byte"
	case f < base:
		n, _ := truncate(f)
		return s.soft(n) + " Bytes"
	}
	for i := 0; ; i++ {
		f /= base
		if f < base || i == len(units)-1 {
			return strconv.FormatFloat(f, 'f', 1, 64) + " " + units[i]
		}
	}
}
