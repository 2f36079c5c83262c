package jinja

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// number reads an integer or a float, with Python's underscores.
func (l *lexer) number() {
	start := l.pos
	if n := prefixedLen(l.src[start:]); n > 0 {
		l.pos += n
		l.add(tokenInteger, l.src[start:l.pos], start)
		return
	}
	whole := digitsLen(l.src[start:])
	if n := fractionLen(l.src[start+whole:]); n > 0 && !(start > 0 && l.src[start-1] == '.') {
		l.pos += whole + n
		l.add(tokenFloat, l.src[start:l.pos], start)
		return
	}
	if l.src[start] == '0' { // 007 is 0 followed by 07, as in Jinja2: a syntax error
		whole = len(l.src[start:start+whole]) - len(strings.TrimLeft(l.src[start:start+whole], "0_"))
	}
	l.pos += whole
	l.add(tokenInteger, l.src[start:l.pos], start)
}

// prefixedLen is the length of 0x1f, 0o17 or 0b11 at the start of s, 0 if there is none.
func prefixedLen(s string) int {
	if len(s) < 3 || s[0] != '0' {
		return 0
	}
	digits := ""
	switch s[1] {
	case 'x', 'X':
		digits = "0123456789abcdefABCDEF_"
	case 'o', 'O':
		digits = "01234567_"
	case 'b', 'B':
		digits = "01_"
	default:
		return 0
	}
	n := len(s[2:]) - len(strings.TrimLeft(s[2:], digits))
	if n == 0 {
		return 0
	}
	return 2 + n
}

// digitsLen is the length of (\d+_)*\d+ at the start of s.
func digitsLen(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		switch {
		case isDigit(s[i]):
			n = i + 1
		case s[i] != '_' || i == 0 || s[i-1] == '_':
			return n
		}
	}
	return n
}

// fractionLen is the length of .5, e10 or .5e-3 at the start of s.
func fractionLen(s string) int {
	n := 0
	if len(s) > 1 && s[0] == '.' && isDigit(s[1]) {
		n = 1 + digitsLen(s[1:])
	}
	e := n
	if e >= len(s) || s[e]|0x20 != 'e' {
		return n
	}
	e++
	if e < len(s) && (s[e] == '+' || s[e] == '-') {
		e++
	}
	if d := digitsLen(s[e:]); d > 0 {
		return e + d
	}
	return n
}

// str reads a string literal that opens with quote.
func (l *lexer) str(quote byte) {
	start := l.pos
	escaped := false
	for i := start + 1; i < len(l.src); i++ {
		switch l.src[i] {
		case '\\':
			escaped = true
			i++
		case quote:
			text := l.src[start+1 : i]
			if escaped {
				text = l.unescape(text)
			}
			l.pos = i + 1
			l.add(tokenString, text, start)
			return
		}
	}
	l.fail("unexpected char %s (a string that does not end)", reprString(string(quote)))
}

// unescape reads Python's escapes.
func (l *lexer) unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i += l.escape(&b, s[i+1:])
	}
	return b.String()
}

// escape writes the character that the escape stands for; s begins after the backslash. It returns how much it read.
func (l *lexer) escape(b *strings.Builder, s string) int {
	const from, to = `\'"abfnrtv`, "\\'\"\a\b\f\n\r\t\v"
	c := s[0]
	if i := strings.IndexByte(from, c); i >= 0 {
		b.WriteByte(to[i])
		return 1
	}
	switch {
	case c == '\n':
		return 1
	case c == 'x':
		return l.hexEscape(b, s, 2)
	case c == 'u':
		return l.hexEscape(b, s, 4)
	case c == 'U':
		return l.hexEscape(b, s, 8)
	case c >= '0' && c <= '7':
		n := min(3, len(s)-len(strings.TrimLeft(s, "01234567")))
		v, _ := strconv.ParseUint(s[:n], 8, 32)
		b.WriteRune(rune(v))
		return n
	}
	b.WriteByte('\\')
	_, n := utf8.DecodeRuneInString(s)
	b.WriteString(s[:n])
	return n
}

func (l *lexer) hexEscape(b *strings.Builder, s string, digits int) int {
	if len(s) < 1+digits {
		l.fail(`truncated \%cXX escape`, s[0])
	}
	v, err := strconv.ParseUint(s[1:1+digits], 16, 32)
	if err != nil || v > utf8.MaxRune {
		l.fail(`truncated \%cXX escape`, s[0])
	}
	b.WriteRune(rune(v))
	return 1 + digits
}
