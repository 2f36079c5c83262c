package jinja

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// tojsonFilter writes JSON as Python's json.dumps does with sorted keys, with <, >, & and ' escaped.
func tojsonFilter(s *state, v any, a []any) any {
	w := jsonWriter{s: s, indent: "", pretty: given(a[0]) && a[0] != nil}
	if w.pretty {
		if t, ok := text(a[0]); ok {
			w.indent = t
		} else {
			w.indent = s.repeat(" ", s.intArg(a[0], 0))
		}
	}
	w.value(v, "\n")
	return safeText(string(w.b))
}

type jsonWriter struct {
	s      *state
	b      []byte
	pretty bool
	indent string
}

func (w *jsonWriter) put(t string) {
	w.b = append(w.b, t...)
	if len(w.b) > maxOutput {
		w.s.alloc(len(w.b))
	}
}

// value writes v; newline is a line break with the indent of the value around it.
func (w *jsonWriter) value(v any, newline string) {
	w.s.enter()
	defer w.s.leave()
	w.s.step(1)
	if t, ok := text(v); ok {
		w.text(t)
		return
	}
	switch v := v.(type) {
	case nil:
		w.put("null")
	case bool:
		w.put(strconv.FormatBool(v))
	case int64:
		w.put(strconv.FormatInt(v, 10))
	case *big.Int:
		w.put(v.String())
	case float64:
		w.put(jsonFloat(v))
	case *list:
		w.list(v.items, newline)
	case *tuple:
		w.list(v.items, newline)
	case *Dict:
		w.dict(v, newline)
	case *undefined:
		w.s.use(v)
		w.s.fail("Object of type Undefined is not JSON serializable")
	default:
		w.s.fail("Object of type %s is not JSON serializable", typeName(v))
	}
}

func jsonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return floatRepr(f)
}

func (w *jsonWriter) text(t string) {
	w.put(`"`)
	for i := 0; i < len(t); {
		r, n := utf8.DecodeRuneInString(t[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			w.put(fmt.Sprintf(`\udc%02x`, t[i]))
		default:
			w.rune(r)
		}
		i += n
	}
	w.put(`"`)
}

func (w *jsonWriter) rune(r rune) {
	if i := strings.IndexRune("\"\\\n\r\t\b\f", r); i >= 0 {
		w.put(`\` + `"\nrtbf`[i:i+1])
		return
	}
	switch {
	case r < 0x20 || r == '<' || r == '>' || r == '&' || r == '\'' || r >= 0x7f && r < 0x10000:
		w.put(fmt.Sprintf(`\u%04x`, r))
	case r >= 0x10000:
		r -= 0x10000
		w.put(fmt.Sprintf(`\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff))
	default:
		w.put(string(r))
	}
}

func (w *jsonWriter) list(items []any, newline string) {
	if len(items) == 0 {
		w.put("[]")
		return
	}
	w.put("[")
	for i, x := range items {
		w.separate(i, newline)
		w.value(x, newline+w.indent)
	}
	w.end("]", newline)
}

func (w *jsonWriter) dict(d *Dict, newline string) {
	if len(d.keys) == 0 {
		w.put("{}")
		return
	}
	w.put("{")
	for i, pair := range w.sorted(d) {
		w.separate(i, newline)
		w.text(w.key(pair[0]))
		w.put(": ")
		w.value(pair[1], newline+w.indent)
	}
	w.end("}", newline)
}

func (w *jsonWriter) sorted(d *Dict) [][2]any {
	pairs := make([][2]any, len(d.keys))
	for i, k := range d.keys {
		pairs[i] = [2]any{k, d.values[i]}
	}
	sortBy(w.s, pairs, func(p [2]any) any { return p[0] }, false)
	return pairs
}

func (w *jsonWriter) key(k any) string {
	if t, ok := text(k); ok {
		return t
	}
	switch k := k.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(k)
	case int64, *big.Int:
		return w.s.soft(k)
	case float64:
		return jsonFloat(k)
	}
	w.s.fail("keys must be str, int, float, bool or None, not %s", typeName(k))
	return ""
}

func (w *jsonWriter) separate(i int, newline string) {
	switch {
	case i > 0 && w.pretty:
		w.put(",")
	case i > 0:
		w.put(", ")
	}
	if w.pretty {
		w.put(newline + w.indent)
	}
}

func (w *jsonWriter) end(bracket, newline string) {
	if w.pretty {
		w.put(newline)
	}
	w.put(bracket)
}

// pprintFilter is Python's pformat: repr with sorted keys, one item a line where that is longer than 80.
func pprintFilter(s *state, v any, _ []any) any {
	return s.pformat(v, 0, 0)
}

func (s *state) pformat(v any, indent, after int) string {
	s.enter()
	defer s.leave()
	w := reprWriter{s: s, sort: true}
	w.value(v)
	if runeCount(string(w.b)) <= 80-indent-after {
		return string(w.b)
	}
	switch v := v.(type) {
	case *list:
		return "[" + s.pformatItems(v.items, indent+1, after+1) + "]"
	case *tuple:
		end := ")"
		if len(v.items) == 1 {
			end = ",)"
		}
		return "(" + s.pformatItems(v.items, indent+1, after+len(end)) + end
	case *Dict:
		return "{" + s.pformatDict(w.order(v), v, indent+1, after+1) + "}"
	}
	return string(w.b)
}

func (s *state) pformatItems(items []any, indent, after int) string {
	var parts []string
	for i, x := range items {
		rest := 1
		if i == len(items)-1 {
			rest = after
		}
		parts = append(parts, s.pformat(x, indent, rest))
	}
	return strings.Join(parts, ",\n"+s.repeat(" ", int64(indent)))
}

func (s *state) pformatDict(order []int, d *Dict, indent, after int) string {
	var parts []string
	for i, at := range order {
		rest := 1
		if i == len(order)-1 {
			rest = after
		}
		key, _ := s.repr(d.keys[at])
		parts = append(parts, key+": "+s.pformat(d.values[at], indent+runeCount(key)+2, rest))
	}
	return strings.Join(parts, ",\n"+s.repeat(" ", int64(indent)))
}
