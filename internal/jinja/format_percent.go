package jinja

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxWidth is the largest width and precision of a format.
const maxWidth = 1 << 20

// percentFormat is Python's "text" % values. A tuple holds several values, a dict those of %(name)s.
func (s *state) percentFormat(format string, values any) string {
	f := &percentFormatter{s: s, values: []any{values}}
	if t, ok := values.(*tuple); ok {
		f.values = t.items
	}
	f.dict, _ = values.(*Dict)
	for format != "" {
		i := strings.IndexByte(format, '%')
		if i < 0 {
			i = len(format)
		}
		f.b.WriteString(format[:i])
		if format = format[i:]; format != "" {
			format = f.directive(format[1:])
		}
		if f.b.Len() > maxOutput {
			s.alloc(f.b.Len())
		}
	}
	_, isList := values.(*list)
	if f.next < len(f.values) && f.dict == nil && !(isList && f.next == 0) {
		s.fail("not all arguments converted during string formatting")
	}
	return f.b.String()
}

type percentFormatter struct {
	s      *state
	b      strings.Builder
	values []any
	dict   *Dict
	next   int
}

// spec is one %-directive.
type percentSpec struct {
	left, zero, plus, space, alt bool
	width                        int
	precision                    int // -1: none
}

// directive writes one directive, which begins after its %, and returns the rest of the format.
func (f *percentFormatter) directive(format string) string {
	var value any
	keyed := false
	if strings.HasPrefix(format, "(") {
		value, format = f.key(format)
		keyed = true
	}
	spec := percentSpec{precision: -1}
	format = spec.flags(format)
	spec.width, format = f.number(format)
	if spec.width < 0 {
		spec.left, spec.width = true, -spec.width
	}
	if strings.HasPrefix(format, ".") {
		spec.precision, format = f.number(format[1:])
		spec.precision = max(spec.precision, 0)
	}
	format = strings.TrimLeft(format, "hlL")
	if format == "" {
		f.s.fail("incomplete format")
	}
	verb, n := utf8.DecodeRuneInString(format)
	if verb == '%' {
		f.b.WriteByte('%')
		return format[n:]
	}
	if !keyed {
		value = f.value()
	}
	f.b.WriteString(f.convert(spec, verb, value))
	return format[n:]
}

// key reads (name) and returns its value.
func (f *percentFormatter) key(format string) (value any, rest string) {
	depth, end := 0, -1
	for i := range len(format) {
		switch format[i] {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth == 0 {
			end = i
			break
		}
	}
	if end < 0 {
		f.s.fail("incomplete format key")
	}
	if f.dict == nil {
		f.s.fail("format requires a mapping")
	}
	value, ok := f.dict.get(format[1:end])
	if !ok {
		f.s.fail("no such key: %s", reprString(format[1:end]))
	}
	return value, format[end+1:]
}

func (p *percentSpec) flags(format string) string {
	for i := range len(format) {
		switch format[i] {
		case '-':
			p.left = true
		case '0':
			p.zero = true
		case '+':
			p.plus = true
		case ' ':
			p.space = true
		case '#':
			p.alt = true
		default:
			return format[i:]
		}
	}
	return ""
}

// number reads a width or precision: digits, or * for one of the values.
func (f *percentFormatter) number(format string) (int, string) {
	if strings.HasPrefix(format, "*") {
		n := f.s.intArg(f.value(), 0)
		if n > maxWidth || n < -maxWidth {
			f.s.fail("width too big")
		}
		return int(n), format[1:]
	}
	rest := strings.TrimLeft(format, "0123456789")
	digits := format[:len(format)-len(rest)]
	if digits == "" {
		return 0, format
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n > maxWidth {
		f.s.fail("width too big")
	}
	return n, rest
}

func (f *percentFormatter) value() any {
	if f.next >= len(f.values) {
		f.s.fail("not enough arguments for format string")
	}
	f.next++
	return f.values[f.next-1]
}

func (f *percentFormatter) convert(p percentSpec, verb rune, v any) string {
	s := f.s
	switch verb {
	case 's', 'r', 'a', 'c':
		return s.padText(p, f.text(p, verb, v))
	case 'd', 'i', 'u', 'x', 'X', 'o':
		sign, prefix, digits := f.integer(p, verb, v)
		return s.padNumber(p, sign, prefix, digits)
	case 'e', 'E', 'f', 'F', 'g', 'G':
		if !isNumber(v) {
			s.fail("must be real number, not %s", typeName(v))
		}
		precision := p.precision
		if precision < 0 {
			precision = 6
		}
		number := s.asFloat(v)
		digits := formatFloat(math.Abs(number), byte(verb), precision, p.alt)
		return s.padNumber(p, p.sign(math.Signbit(number) && !math.IsNaN(number)), "", digits)
	}
	s.fail("unsupported format character %s", reprString(string(verb)))
	return ""
}

func (f *percentFormatter) text(p percentSpec, verb rune, v any) string {
	s := f.s
	var t string
	switch verb {
	case 's':
		t = s.soft(v)
	case 'c':
		if n, ok := asInt(v); ok {
			if n < 0 || n > utf8.MaxRune {
				s.fail("%%c arg not in range(0x110000)")
			}
			return string(rune(n))
		}
		if t = s.strArg(v, ""); runeCount(t) != 1 {
			s.fail("%%c requires int or char")
		}
		return t
	default:
		t, _ = s.repr(v)
		if verb == 'a' {
			t = asciiOnly(t)
		}
	}
	if p.precision >= 0 && runeCount(t) > p.precision {
		t = part(t, 0, p.precision)
	}
	return t
}

// asciiOnly escapes what is not ASCII, as Python's ascii() does.
func asciiOnly(t string) string {
	return mapChars(t, func(r rune) string {
		if r < utf8.RuneSelf {
			return string(r)
		}
		quoted := strconv.QuoteRuneToASCII(r)
		if quoted = quoted[1 : len(quoted)-1]; strings.HasPrefix(quoted, `\u00`) && len(quoted) == 6 {
			return `\x` + quoted[4:]
		}
		return quoted
	})
}

func (f *percentFormatter) integer(p percentSpec, verb rune, v any) (sign, prefix, digits string) {
	if x, ok := v.(float64); ok && (verb == 'd' || verb == 'i' || verb == 'u') {
		n, ok := truncate(x)
		if !ok {
			f.s.fail("cannot convert float %s to integer", floatRepr(x))
		}
		v = n
	}
	n, ok := bigInt(v)
	if !ok {
		what := "a real number"
		if verb == 'x' || verb == 'X' || verb == 'o' {
			what = "an integer"
		}
		f.s.fail("%%%c format: %s is required, not %s", verb, what, typeName(v))
	}
	digits, prefix = radix(n, verb)
	if !p.alt {
		prefix = ""
	}
	if missing := p.precision - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	return p.sign(n.Sign() < 0), prefix, digits
}

// radix writes the absolute value in the base of the verb, and returns the prefix of that base.
func radix(n *big.Int, verb rune) (digits, prefix string) {
	n = new(big.Int).Abs(n)
	switch verb {
	case 'x':
		return n.Text(16), "0x"
	case 'X':
		return strings.ToUpper(n.Text(16)), "0X"
	case 'o':
		return n.Text(8), "0o"
	case 'b':
		return n.Text(2), "0b"
	}
	return n.String(), ""
}

func (p *percentSpec) sign(negative bool) string {
	switch {
	case negative:
		return "-"
	case p.plus:
		return "+"
	case p.space:
		return " "
	}
	return ""
}

func (s *state) padText(p percentSpec, t string) string {
	pad := s.repeat(" ", int64(p.width-runeCount(t)))
	if p.left {
		return t + pad
	}
	return pad + t
}

func (s *state) padNumber(p percentSpec, sign, prefix, digits string) string {
	if p.zero && !p.left {
		return s.padZeros(sign, prefix, digits, p.width)
	}
	return s.padText(p, sign+prefix+digits)
}
