package jinja

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// formatSpec is what follows the colon of a format field: [[fill]align][sign][#][0][width][,_][.precision][type].
type formatSpec struct {
	fill      string
	align     byte // 0: the default of the type
	sign      byte // +, space, or 0
	alt       bool
	width     int
	group     string
	precision int // -1: none
	verb      byte
}

func (s *state) parseSpec(t string) formatSpec {
	p := formatSpec{precision: -1}
	t = p.readAlign(t)
	if t != "" && strings.IndexByte("+- ", t[0]) >= 0 {
		p.sign, t = t[0], t[1:]
	}
	p.alt, t = cutByte(t, '#')
	zero, t := cutByte(t, '0')
	if zero && p.align == 0 {
		p.fill, p.align = "0", '='
	}
	p.width, t = s.specNumber(t, 0)
	if t != "" && (t[0] == ',' || t[0] == '_') {
		p.group, t = t[:1], t[1:]
	}
	if strings.HasPrefix(t, ".") {
		if p.precision, t = s.specNumber(t[1:], -1); p.precision < 0 {
			s.fail("Format specifier missing precision")
		}
	}
	if len(t) > 1 {
		s.fail("Invalid format specifier")
	}
	if t != "" {
		p.verb = t[0]
	}
	return p
}

// readAlign reads [[fill]align] and returns the rest.
func (p *formatSpec) readAlign(t string) string {
	p.fill = " "
	if _, n := utf8.DecodeRuneInString(t); n > 0 && len(t) > n && isAlign(t[n]) {
		p.fill, p.align = t[:n], t[n]
		return t[n+1:]
	}
	if t != "" && isAlign(t[0]) {
		p.align = t[0]
		return t[1:]
	}
	return t
}

func isAlign(c byte) bool { return strings.IndexByte("<>=^", c) >= 0 }

func cutByte(t string, c byte) (bool, string) {
	if t != "" && t[0] == c {
		return true, t[1:]
	}
	return false, t
}

func (s *state) specNumber(t string, def int) (int, string) {
	rest := strings.TrimLeft(t, "0123456789")
	digits := t[:len(t)-len(rest)]
	if digits == "" {
		return def, t
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n > maxWidth {
		s.fail("the width or precision is too big")
	}
	return n, rest
}

// formatValue is Python's format(v, spec).
func (s *state) formatValue(v any, spec string) string {
	if spec == "" {
		return s.soft(v)
	}
	if b, ok := v.(bool); ok {
		if v = any(pyBool(b)); strings.ContainsAny(spec[len(spec)-1:], "bcdoxXneEfFgG%") {
			v, _ = asInt(b)
		}
	}
	p := s.parseSpec(spec)
	switch v := v.(type) {
	case int64, *big.Int:
		if p.verb != 0 && strings.IndexByte("eEfFgG%", p.verb) >= 0 {
			return s.formatFloatSpec(p, s.asFloat(v))
		}
		n, _ := bigInt(v)
		return s.formatIntSpec(p, n)
	case float64:
		return s.formatFloatSpec(p, v)
	}
	t, ok := text(v)
	if !ok {
		if u, ok := v.(*undefined); ok {
			s.use(u)
		}
		s.fail("unsupported format string passed to %s.__format__", typeName(v))
	}
	return s.formatTextSpec(p, t)
}

func (s *state) formatTextSpec(p formatSpec, t string) string {
	if p.verb != 0 && p.verb != 's' {
		s.fail("Unknown format code '%c' for object of type 'str'", p.verb)
	}
	if p.sign != 0 || p.group != "" || p.alt {
		s.fail("Sign, grouping and '#' are not allowed in string format specifier")
	}
	if p.align == '=' && p.fill != "0" {
		s.fail("'=' alignment not allowed in string format specifier")
	}
	if p.precision >= 0 && runeCount(t) > p.precision {
		t = part(t, 0, p.precision)
	}
	if p.align == 0 || p.align == '=' {
		p.align = '<'
	}
	return s.align(p, "", t)
}

func (s *state) formatIntSpec(p formatSpec, n *big.Int) string {
	if p.precision >= 0 {
		s.fail("Precision not allowed in integer format specifier")
	}
	verb := p.verb
	switch verb {
	case 0, 'n':
		verb = 'd'
	case 'c':
		if !n.IsInt64() || n.Sign() < 0 || n.Int64() > utf8.MaxRune {
			s.fail("%%c arg not in range(0x110000)")
		}
		return s.formatTextSpec(formatSpec{fill: p.fill, align: p.align, width: p.width, precision: -1}, string(rune(n.Int64())))
	case 'd', 'b', 'o', 'x', 'X':
	default:
		s.fail("Unknown format code '%c' for object of type 'int'", p.verb)
	}
	digits, prefix := radix(n, rune(verb))
	if !p.alt {
		prefix = ""
	}
	size := 3
	if verb != 'd' {
		size = 4
	}
	return s.formatNumber(p, n.Sign() < 0, prefix, digits, "", size)
}

func (s *state) formatFloatSpec(p formatSpec, f float64) string {
	precision, verb := p.precision, p.verb
	if precision < 0 {
		precision = 6
	}
	abs := math.Abs(f)
	var t string
	switch verb {
	case 0:
		t = formatPlain(abs, p)
	case 'e', 'E', 'f', 'F', 'g', 'G':
		t = formatFloat(abs, verb, precision, p.alt)
	case 'n':
		t = formatFloat(abs, 'g', precision, p.alt)
	case '%':
		t = formatFloat(abs*100, 'f', precision, p.alt) + "%"
	default:
		s.fail("Unknown format code '%c' for object of type 'float'", p.verb)
	}
	whole := len(t) - len(strings.TrimLeft(t, "0123456789"))
	return s.formatNumber(p, math.Signbit(f) && !math.IsNaN(f), "", t[:whole], t[whole:], 3)
}

// formatPlain is a float without a type: repr, or %g that keeps one digit after the point.
func formatPlain(f float64, p formatSpec) string {
	if p.precision < 0 {
		return floatRepr(f)
	}
	precision := max(p.precision, 1)
	t := formatFloat(f, 'g', precision, p.alt)
	if strings.ContainsAny(t, ".einf") {
		return t
	}
	if len(t) >= precision && precision > 0 && len(t) == precision && f != 0 {
		return formatFloat(f, 'e', precision-1, p.alt)
	}
	return t + ".0"
}

// formatNumber puts sign, prefix, digits in groups and fill together; tail is what follows the integer part.
func (s *state) formatNumber(p formatSpec, negative bool, prefix, digits, tail string, size int) string {
	sign := ""
	switch {
	case negative:
		sign = "-"
	case p.sign == '+' || p.sign == ' ':
		sign = string(p.sign)
	}
	if p.group != "" {
		if p.fill == "0" && p.align == '=' {
			digits = s.zeroGroups(p, len(sign)+len(prefix)+len(tail), digits, size)
		}
		digits = group(digits, p.group, size)
	}
	if p.align == 0 {
		p.align = '>'
	}
	return s.align(p, sign+prefix, digits+tail)
}

// zeroGroups adds leading zeros until the grouped digits fill the width.
func (s *state) zeroGroups(p formatSpec, other int, digits string, size int) string {
	n := len(digits)
	for n+(n-1)/size+other < p.width {
		n++
	}
	return s.repeat("0", int64(n-len(digits))) + digits
}

func group(digits, sep string, size int) string {
	var b strings.Builder
	for i := range len(digits) {
		if i > 0 && (len(digits)-i)%size == 0 {
			b.WriteString(sep)
		}
		b.WriteByte(digits[i])
	}
	return b.String()
}

// align fills head+body up to the width.
func (s *state) align(p formatSpec, head, body string) string {
	pad := int64(p.width - runeCount(head) - runeCount(body))
	switch p.align {
	case '<':
		return head + body + s.repeat(p.fill, pad)
	case '^':
		return s.repeat(p.fill, pad/2) + head + body + s.repeat(p.fill, pad-pad/2)
	case '=':
		return head + s.repeat(p.fill, pad) + body
	}
	return s.repeat(p.fill, pad) + head + body
}
