package jinja

import (
	"math/big"
	"slices"
	"strings"
)

// mark says where text comes from. What is made of marked text carries the marks of all that it was made of.
type mark uint8

const (
	fromLine   mark = 1 << iota // from Data, until the filter raw
	fromSecret                  // from Secret
)

// hidden stands for a value in the message of an error.
const hidden = "[redacted]"

// marked is text that is more than a string.
type marked struct {
	text    string
	mark    mark
	safe    bool      // the filter e does not escape it again
	secrets *[][2]int // where in text secrets are; nil: all of it is one, if it is marked so
}

// value returns the simplest value that is m.
func (m marked) value() any {
	if m.mark == 0 && !m.safe {
		return m.text
	}
	return m
}

// text returns the text of a string value.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case marked:
		return v.text, true
	}
	return "", false
}

// asMarked returns a string value with its marks.
func asMarked(v any) (marked, bool) {
	if m, ok := v.(marked); ok {
		return m, true
	}
	t, ok := v.(string)
	return marked{text: t}, ok
}

// safeText is text that the filter e does not escape again.
func safeText(t string) any { return marked{text: t, safe: true} }

func isSafe(v any) bool {
	m, ok := v.(marked)
	return ok && m.safe
}

// marks returns the marks of all text in a value, at any depth.
func (s *state) marks(v any) mark {
	if s.seen == 0 {
		return 0
	}
	switch v := v.(type) {
	case marked:
		return v.mark
	case int64, float64, *big.Int, *rangeValue:
		return s.numbers
	case *list:
		return s.allMarks(v.items)
	case *tuple:
		return s.allMarks(v.items)
	case *view:
		return s.allMarks(v.items)
	case *loop:
		return s.allMarks(v.items)
	case *cycler:
		return s.allMarks(v.items)
	case *Dict:
		return s.allMarks(v.keys) | s.allMarks(v.values)
	case *namespace:
		return s.marks(v.fields)
	}
	return 0
}

func (s *state) allMarks(items []any) (m mark) {
	if s.seen == 0 {
		return 0
	}
	s.enter()
	defer s.leave()
	s.step(len(items))
	for _, x := range items {
		if m == s.seen {
			break
		}
		m |= s.marks(x)
	}
	return m
}

// withMark marks the texts of a fresh value.
func withMark(v any, m mark) any {
	switch v := v.(type) {
	case string:
		return marked{text: v, mark: m}.value()
	case marked:
		if v.mark|m != v.mark {
			v.mark, v.secrets = v.mark|m, nil
		}
		return v
	case *list:
		markItems(v.items, m)
	case *tuple:
		markItems(v.items, m)
	}
	return v
}

func markItems(items []any, m mark) {
	for i, x := range items {
		items[i] = withMark(x, m)
	}
}

// raw returns the value as if it came from the project, not from data: what the filter raw does. A secret stays one.
func (s *state) raw(v any) any {
	s.enter()
	defer s.leave()
	switch v := v.(type) {
	case marked:
		v.mark &^= fromLine
		return v.value()
	case *list:
		return &list{s.rawItems(v.items)}
	case *tuple:
		return &tuple{items: s.rawItems(v.items), names: v.names}
	case *Dict:
		d := v.clone()
		d.keys, d.values = s.rawItems(v.keys), s.rawItems(v.values)
		return d
	case *view:
		return &view{v.kind, s.rawItems(v.items)}
	}
	return v
}

func (s *state) rawItems(items []any) []any {
	s.step(len(items))
	out := make([]any, len(items))
	for i, x := range items {
		out[i] = s.raw(x)
	}
	return out
}

// withQuiet runs f; where a secret is in what it works on, an error of f shows no values.
func (s *state) withQuiet(m mark, f func() any) any {
	old := s.quiet
	s.quiet = old || m&fromSecret != 0
	v := f()
	s.quiet = old
	return v
}

// output collects text and remembers which parts of it come from data and from secrets.
type output struct {
	buf     []byte
	data    []Piece
	secrets [][2]int
}

func (o *output) write(s *state, m marked) {
	s.alloc(len(m.text))
	if len(o.buf)+len(m.text) > maxOutput {
		s.fail("the result is longer than %d MiB", maxOutput>>20)
	}
	start := len(o.buf)
	o.buf = append(o.buf, m.text...)
	if m.mark&fromLine != 0 {
		o.addData(start, s.line)
	}
	switch {
	case m.mark&fromSecret == 0 || m.text == "":
	case m.secrets == nil:
		o.secrets = append(o.secrets, [2]int{start, len(o.buf)})
	default:
		for _, p := range *m.secrets {
			o.secrets = append(o.secrets, [2]int{start + p[0], start + p[1]})
		}
	}
}

// addData marks what was written from start on as data.
func (o *output) addData(start, line int) {
	if n := len(o.data); n > 0 && o.data[n-1].End == start {
		o.data[n-1].End = len(o.buf)
		return
	}
	o.data = append(o.data, Piece{start, len(o.buf), line})
}

// marked returns the text as one: all of it is data if some is, but what is secret is known.
func (o *output) marked() marked {
	m := marked{text: string(o.buf)}
	if len(o.data) > 0 {
		m.mark |= fromLine
	}
	if len(o.secrets) > 0 {
		m.mark |= fromSecret
		m.secrets = &o.secrets
	}
	return m
}

// print writes what a value prints as.
func (s *state) print(v any) { s.out.write(s, s.printed(v)) }

func (s *state) printed(v any) marked {
	if m, ok := v.(marked); ok {
		return m
	}
	t, mark := s.str(v)
	return marked{text: t, mark: mark}
}

// capture runs f with an output of its own and returns the text.
func (s *state) capture(f func()) any {
	old := s.out
	s.out = &output{}
	f()
	made := s.out
	s.out = old
	return made.marked().value()
}

func (s *state) rendered() Rendered {
	return Rendered{Text: string(s.out.buf), Data: s.out.data, Secrets: s.out.secrets, Undefined: s.missing}
}

// Masked returns r with each secret in it replaced by mask, neighbours by one.
func (r Rendered) Masked(mask string) Rendered {
	var b strings.Builder
	done := 0
	moved := slices.Clone(r.Data)
	for i, p := range r.Secrets {
		b.WriteString(r.Text[done:p[0]])
		if i == 0 || p[0] > done {
			b.WriteString(mask)
		}
		for j, d := range r.Data { // a piece of data begins and ends outside of secrets
			if d.Start >= p[1] {
				moved[j].Start = d.Start + b.Len() - p[1]
			}
			if d.End >= p[1] {
				moved[j].End = d.End + b.Len() - p[1]
			}
		}
		done = p[1]
	}
	b.WriteString(r.Text[done:])
	return Rendered{Text: b.String(), Data: moved, Undefined: r.Undefined}
}
