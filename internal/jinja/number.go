package jinja

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// isNumber reports whether Python counts v as a number; bool is one.
func isNumber(v any) bool {
	switch v.(type) {
	case bool, int64, *big.Int, float64:
		return true
	}
	return false
}

// bigInt returns the value of an integer or bool.
func bigInt(v any) (*big.Int, bool) {
	switch v := v.(type) {
	case *big.Int:
		return v, true
	case int64:
		return big.NewInt(v), true
	case bool:
		n, _ := asInt(v)
		return big.NewInt(n), true
	}
	return nil, false
}

// asFloat returns the value of a number as a float.
func (s *state) asFloat(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		if math.IsInf(f, 0) {
			s.fail("int too large to convert to float")
		}
		return f
	}
	n, _ := asInt(v)
	return float64(n)
}

// arith is x op y for two numbers.
func (s *state) arith(op string, x, y any) any {
	a, aInt := bigOrInt(x)
	b, bInt := bigOrInt(y)
	if !aInt || !bInt {
		return s.floatArith(op, s.asFloat(x), s.asFloat(y))
	}
	if m, ok := a.(int64); ok {
		if n, ok := b.(int64); ok {
			if v, ok := smallArith(op, m, n); ok {
				return v
			}
		}
	}
	p, _ := bigInt(a)
	q, _ := bigInt(b)
	return s.bigArith(op, p, q)
}

// bigOrInt returns int64 or *big.Int for an integer or bool.
func bigOrInt(v any) (any, bool) {
	if n, ok := asInt(v); ok {
		return n, true
	}
	b, ok := v.(*big.Int)
	return b, ok
}

// smallArith is the quick way for what cannot overflow.
func smallArith(op string, m, n int64) (any, bool) {
	const limit = 1 << 31
	if m >= limit || m <= -limit || n >= limit || n <= -limit {
		return nil, false
	}
	switch op {
	case "+":
		return m + n, true
	case "-":
		return m - n, true
	case "*":
		return m * n, true
	}
	return nil, false
}

func (s *state) bigArith(op string, p, q *big.Int) any {
	if q.Sign() == 0 && (op == "/" || op == "//" || op == "%") {
		s.zeroDivision(op, "integer ")
	}
	switch op {
	case "+":
		return s.integer(new(big.Int).Add(p, q))
	case "-":
		return s.integer(new(big.Int).Sub(p, q))
	case "*":
		return s.integer(new(big.Int).Mul(p, q))
	case "/":
		f, _ := new(big.Rat).SetFrac(p, q).Float64()
		if math.IsInf(f, 0) {
			s.fail("integer division result too large for a float")
		}
		return f
	case "**":
		return s.intPower(p, q)
	}
	div, mod := new(big.Int).QuoRem(p, q, new(big.Int))
	if mod.Sign() != 0 && mod.Sign() != q.Sign() { // Python rounds down, Go towards zero
		div.Sub(div, big.NewInt(1))
		mod.Add(mod, q)
	}
	if op == "%" {
		return s.integer(mod)
	}
	return s.integer(div)
}

func (s *state) zeroDivision(op, what string) {
	switch op {
	case "/":
		s.fail("division by zero")
	case "%":
		s.fail("%smodulo by zero", what)
	}
	s.fail("%sdivision or modulo by zero", what)
}

func (s *state) intPower(p, q *big.Int) any {
	if q.Sign() < 0 {
		return s.floatArith("**", s.asFloat(p), s.asFloat(q))
	}
	if p.BitLen() > 1 && (!q.IsInt64() || q.Int64() > maxIntBits/int64(p.BitLen()-1)+1) {
		s.fail("the integer is too large")
	}
	if p.BitLen() <= 1 { // 0, 1 or -1 to any power
		if q.Bit(0) == 0 && q.Sign() > 0 {
			return s.integer(new(big.Int).Mul(p, p))
		}
		if q.Sign() == 0 {
			return int64(1)
		}
		return s.integer(p)
	}
	return s.integer(new(big.Int).Exp(p, q, nil))
}

func (s *state) floatArith(op string, a, b float64) any {
	if b == 0 && (op == "/" || op == "//" || op == "%") {
		if op == "/" {
			s.fail("float division by zero")
		}
		s.zeroDivision(op, "float ")
	}
	switch op {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	case "/":
		return a / b
	case "%":
		return floorMod(a, b)
	case "//":
		return floorDiv(a, b)
	}
	return s.floatPower(a, b)
}

func floorMod(a, b float64) float64 {
	m := math.Mod(a, b)
	switch {
	case m == 0:
		return math.Copysign(0, b)
	case (m < 0) != (b < 0):
		return m + b
	}
	return m
}

func floorDiv(a, b float64) float64 {
	div := (a - floorMod(a, b)) / b
	if div == 0 {
		return math.Copysign(0, a/b)
	}
	floor := math.Floor(div)
	if div-floor > 0.5 {
		floor++
	}
	return floor
}

func (s *state) floatPower(a, b float64) any {
	if a == 0 && b < 0 {
		s.fail("0.0 cannot be raised to a negative power")
	}
	if a < 0 && b != math.Trunc(b) && !math.IsInf(a, 0) {
		s.fail("a negative number cannot be raised to a fractional power")
	}
	f := math.Pow(a, b)
	if math.IsInf(f, 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0) {
		s.fail("numerical result out of range")
	}
	return f
}

func (s *state) negate(x any) any {
	if f, ok := x.(float64); ok {
		return -f
	}
	if !isNumber(x) {
		s.operandError("-", x)
	}
	return s.arith("-", int64(0), x)
}

// truncate is Python's int(float).
func truncate(f float64) (any, bool) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return nil, false
	}
	n, _ := big.NewFloat(f).Int(nil)
	if n.IsInt64() {
		return n.Int64(), true
	}
	return n, true
}

// parseFloat is Python's float(text).
func parseFloat(t string) (float64, bool) {
	t = strings.TrimFunc(t, isSpace)
	digits, ok := dropUnderscores(t)
	if !ok || strings.ContainsAny(digits, "xXpP") {
		return 0, false
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// parseInt is Python's int(text, base).
func parseInt(t string, base int) (*big.Int, bool) {
	digits, ok := dropUnderscores(strings.TrimFunc(t, isSpace))
	if !ok || base != 0 && (base < 2 || base > 36) {
		return nil, false
	}
	sign := ""
	if digits != "" && (digits[0] == '-' || digits[0] == '+') {
		sign, digits = digits[:1], digits[1:]
	}
	if digits, base, ok = cutPrefix(digits, base); !ok {
		return nil, false
	}
	if digits == "" || !isAlnum(digits[0]) || len(digits) > 4300 {
		return nil, false
	}
	return new(big.Int).SetString(sign+digits, base)
}

// cutPrefix takes 0x, 0o or 0b off, where the base allows it.
func cutPrefix(digits string, base int) (rest string, newBase int, ok bool) {
	if len(digits) > 2 && digits[0] == '0' {
		if b := prefixBase(digits[1]); b != 0 && (base == 0 || base == b) {
			return digits[2:], b, true
		}
	}
	if base != 0 {
		return digits, base, true
	}
	zeros := strings.TrimLeft(digits, "0")
	return digits, 10, zeros == "" || zeros == digits // 007 is not a number of Python
}

func prefixBase(c byte) int {
	switch c | 0x20 {
	case 'x':
		return 16
	case 'o':
		return 8
	case 'b':
		return 2
	}
	return 0
}

// dropUnderscores takes the underscores out that stand between digits; other places are not ok.
func dropUnderscores(t string) (string, bool) {
	if !strings.Contains(t, "_") {
		return t, true
	}
	for i := range len(t) {
		if t[i] == '_' && (i == 0 || i == len(t)-1 || !isAlnum(t[i-1]) || !isAlnum(t[i+1])) {
			return "", false
		}
	}
	return strings.ReplaceAll(t, "_", ""), true
}

func isAlnum(c byte) bool { return isDigit(c) || isLetter(c) }
