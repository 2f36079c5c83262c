package project

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxSize is the largest project.yml that is read, in bytes.
const maxSize = 4 << 20

// source is the text of a file, by line.
type source struct {
	file  string
	text  string
	lines []int // offset at which each line starts
}

// newSource splits at the line breaks that YAML knows, so that line numbers agree with those of the parser.
func newSource(file string, text []byte) *source {
	s := &source{file: file, text: string(text), lines: []int{0}}
	for i := 0; i < len(s.text); {
		n := breakAt(s.text[i:])
		if n > 0 {
			s.lines = append(s.lines, i+n)
		}
		i += max(n, 1)
	}
	return s
}

// breakAt returns the length of the line break with which text begins, 0 for none.
func breakAt(text string) int {
	switch {
	case text[0] == '\n':
		return 1
	case text[0] == '\r' && len(text) > 1 && text[1] == '\n':
		return 2
	case text[0] == '\r':
		return 1
	case strings.HasPrefix(text, "\u0085"):
		return 2
	case strings.HasPrefix(text, "\u2028"), strings.HasPrefix(text, "\u2029"):
		return 3
	}
	return 0
}

// line returns a line without its break; empty if there is no such line.
func (s *source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	if n == len(s.lines) {
		return s.text[s.lines[n-1]:]
	}
	return strings.TrimRight(s.text[s.lines[n-1]:s.lines[n]], "\r\n\u0085\u2028\u2029")
}

// at makes a diagnostic for a place.
func (s *source) at(line, column int, message, hint string) Diagnostic {
	return Diagnostic{
		Pos:     Pos{s.file, line, column},
		Message: message,
		Hint:    hint,
		Source:  s.line(line),
	}
}

// check refuses what no editor would show as text, before the parser meets it.
func (s *source) check() *Diagnostic {
	if len(s.text) > maxSize {
		d := Diagnostic{
			Pos:     Pos{File: s.file},
			Message: fmt.Sprintf("the file has more than the %d bytes that are read", maxSize),
			Hint:    "put data into files/ and keep the project file small",
		}
		return &d
	}
	line, column := 1, 1
	for i := 0; i < len(s.text); {
		if n := breakAt(s.text[i:]); n > 0 {
			line, column, i = line+1, 1, i+n
			continue
		}
		r, n := utf8.DecodeRuneInString(s.text[i:])
		if message := badRune(r, n, s.text[i]); message != "" {
			d := s.at(line, column, fmt.Sprintf("byte %d of the line: %s", i-s.lines[line-1]+1, message), "")
			d.Source = strings.ToValidUTF8(d.Source, "\ufffd")
			return &d
		}
		column, i = column+1, i+n
	}
	return nil
}

func badRune(r rune, size int, first byte) string {
	switch {
	case r == utf8.RuneError && size <= 1:
		return fmt.Sprintf("0x%02X is not UTF-8 text", first)
	case r == 0:
		return "a NUL byte is not text"
	case r < ' ' && r != '\t', r == 0xFFFE, r == 0xFFFF:
		return fmt.Sprintf("the control character U+%04X is not allowed", r)
	}
	return ""
}
