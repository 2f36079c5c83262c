package jinja

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// str is Python's str(): what a value prints as, with its marks.
func (s *state) str(v any) (string, mark) {
	switch v := v.(type) {
	case string:
		return v, 0
	case marked:
		return v.text, v.mark
	case *undefined:
		s.use(v)
		return "", 0
	}
	return s.repr(v)
}

// soft is str for a caller that does not ask for the marks.
func (s *state) soft(v any) string {
	t, _ := s.str(v)
	return t
}

// repr is Python's repr().
func (s *state) repr(v any) (string, mark) {
	w := reprWriter{s: s}
	w.value(v)
	s.alloc(len(w.b))
	return string(w.b), w.mark
}

type reprWriter struct {
	s     *state
	b     []byte
	mark  mark
	stack []any // containers that are being written
	sort  bool  // keys of dicts, for pprint
}

func (w *reprWriter) put(t string) {
	w.b = append(w.b, t...)
	if len(w.b) > maxOutput {
		w.s.alloc(len(w.b))
	}
}

func (w *reprWriter) value(v any) {
	if t, ok := text(v); ok {
		w.text(v, t)
		return
	}
	w.numbers(v)
	switch v := v.(type) {
	case nil:
		w.put("None")
	case bool:
		w.put(pyBool(v))
	case int64:
		w.b = strconv.AppendInt(w.b, v, 10)
	case *big.Int:
		w.b = v.Append(w.b, 10)
	case float64:
		w.put(floatRepr(v))
	case *list, *tuple, *Dict, *view:
		w.container(v)
	case *rangeValue:
		w.rangeValue(v)
	case *undefined:
		w.s.use(v)
		w.put("Undefined")
	case *namespace:
		w.put("<Namespace ")
		w.container(v.fields)
		w.put(">")
	case *loop:
		w.put(fmt.Sprintf("<LoopContext %d/%d>", v.index+1, len(v.items)))
	case *macro:
		w.put("<Macro " + reprString(v.def.name) + ">")
	default:
		w.put("<" + typeName(v) + ">")
	}
}

func (w *reprWriter) text(v any, t string) {
	m, _ := v.(marked)
	w.mark |= m.mark
	if m.safe {
		w.put("Markup(" + reprString(t) + ")")
		return
	}
	w.put(reprString(t))
}

// numbers takes over the marks of numbers.
func (w *reprWriter) numbers(v any) {
	switch v.(type) {
	case int64, *big.Int, float64, *rangeValue:
		w.mark |= w.s.numbers
	}
}

func pyBool(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

func (w *reprWriter) rangeValue(r *rangeValue) {
	if r.step == 1 {
		w.put(fmt.Sprintf("range(%d, %d)", r.start, r.stop))
		return
	}
	w.put(fmt.Sprintf("range(%d, %d, %d)", r.start, r.stop, r.step))
}

// container writes a list, tuple, dict or view, and [...] for one that contains itself.
func (w *reprWriter) container(v any) {
	w.s.enter()
	defer w.s.leave()
	w.s.step(1 + len(w.stack))
	for _, outer := range w.stack {
		if outer == v {
			_, isDict := v.(*Dict)
			w.put(map[bool]string{true: "{...}", false: "[...]"}[isDict])
			return
		}
	}
	w.stack = append(w.stack, v)
	switch v := v.(type) {
	case *list:
		w.items("[", v.items, "]")
	case *tuple:
		end := ")"
		if len(v.items) == 1 {
			end = ",)"
		}
		w.items("(", v.items, end)
	case *view:
		w.items(v.kind+"([", v.items, "])")
	case *Dict:
		w.dict(v)
	}
	w.stack = w.stack[:len(w.stack)-1]
}

func (w *reprWriter) items(open string, items []any, end string) {
	w.s.step(len(items))
	w.put(open)
	for i, x := range items {
		if i > 0 {
			w.put(", ")
		}
		w.value(x)
	}
	w.put(end)
}

func (w *reprWriter) dict(d *Dict) {
	w.s.step(len(d.keys))
	w.put("{")
	for i, at := range w.order(d) {
		if i > 0 {
			w.put(", ")
		}
		w.value(d.keys[at])
		w.put(": ")
		w.value(d.values[at])
	}
	w.put("}")
}

func (w *reprWriter) order(d *Dict) []int {
	order := make([]int, len(d.keys))
	for i := range order {
		order[i] = i
	}
	if w.sort {
		sortBy(w.s, order, func(i int) any { return d.keys[i] }, false)
	}
	return order
}

// floatRepr is Python's repr of a float.
func floatRepr(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	t := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(t, ".") {
		t += ".0"
	}
	return t
}

// reprString is Python's repr of a string.
func reprString(t string) string {
	quote := byte('\'')
	if strings.Contains(t, "'") && !strings.Contains(t, `"`) {
		quote = '"'
	}
	b := make([]byte, 0, len(t)+2)
	b = append(b, quote)
	for i := 0; i < len(t); {
		r, n := utf8.DecodeRuneInString(t[i:])
		b = appendReprRune(b, r, t[i:i+n], quote)
		i += n
	}
	return string(append(b, quote))
}

func appendReprRune(b []byte, r rune, raw string, quote byte) []byte {
	switch {
	case r == '\n':
		return append(b, `\n`...)
	case r == '\r':
		return append(b, `\r`...)
	case r == '\t':
		return append(b, `\t`...)
	case r == '\\' || r == rune(quote):
		return append(b, '\\', byte(r))
	case r == utf8.RuneError && len(raw) == 1: // a byte that is not UTF-8: a lone surrogate to Python
		return fmt.Appendf(b, `\udc%02x`, raw[0])
	case unicode.IsPrint(r):
		return append(b, raw...)
	case r < 0x100:
		return fmt.Appendf(b, `\x%02x`, r)
	case r < 0x10000:
		return fmt.Appendf(b, `\u%04x`, r)
	}
	return fmt.Appendf(b, `\U%08x`, r)
}
