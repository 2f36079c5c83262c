package jinja

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

type kind uint8

const (
	tokenEOF kind = iota
	tokenText
	tokenVarBegin
	tokenVarEnd
	tokenBlockBegin
	tokenBlockEnd
	tokenName
	tokenString
	tokenInteger
	tokenFloat
	tokenOperator
)

// token is one word of a template. For a string, text is its value.
type token struct {
	kind       kind
	text       string
	line       int
	start, end int // in the source, without the space that a "-" strips
}

type lexer struct {
	name    string
	src     string
	pos     int
	line    int
	counted int // up to where line has counted
	tokens  []token
	open    []byte // closing brackets that are awaited
}

// lex splits a source into tokens; it fails with a failure.
func lex(name, src string) []token {
	l := &lexer{name: name, src: src, line: 1, tokens: make([]token, 0, 8+len(src)/6)}
	for l.pos < len(l.src) {
		l.root()
	}
	l.add(tokenEOF, "", l.pos)
	return l.tokens
}

func (l *lexer) fail(format string, args ...any) {
	panic(failure{&Error{Name: l.name, Line: l.lineAt(l.pos), Message: fmt.Sprintf(format, args...)}})
}

func (l *lexer) lineAt(pos int) int {
	if pos > l.counted {
		l.line += strings.Count(l.src[l.counted:pos], "\n")
		l.counted = pos
	}
	return l.line
}

// add appends a token that began at start and ends at l.pos.
func (l *lexer) add(k kind, text string, start int) {
	l.tokens = append(l.tokens, token{k, text, l.lineAt(start), start, l.pos})
}

// root reads text up to the next tag, then the tag.
func (l *lexer) root() {
	start := l.pos
	at := nextTag(l.src, start)
	if at < 0 {
		l.pos = len(l.src)
		l.addText(start, l.pos)
		return
	}
	inner := at + 2
	end := at
	if inner < len(l.src) {
		switch l.src[inner] {
		case '-':
			end = start + len(strings.TrimRightFunc(l.src[start:at], isSpace))
			inner++
		case '+':
			inner++
		}
	}
	l.pos = at
	l.addText(start, end)
	l.tag(at, inner)
}

func (l *lexer) addText(start, end int) {
	if end > start {
		l.tokens = append(l.tokens, token{tokenText, l.src[start:end], l.lineAt(start), start, end})
	}
}

// tag reads the tag that begins at start and whose content begins at inner.
func (l *lexer) tag(start, inner int) {
	switch l.src[start+1] {
	case '#':
		l.comment(inner)
	case '{':
		l.pos = inner
		l.add(tokenVarBegin, "", start)
		l.inside(tokenVarEnd)
	default:
		if l.raw(inner) {
			return
		}
		l.pos = inner
		l.add(tokenBlockBegin, "", start)
		l.inside(tokenBlockEnd)
	}
}

func nextTag(src string, from int) int {
	for {
		i := strings.IndexByte(src[from:], '{')
		if i < 0 || from+i+1 >= len(src) {
			return -1
		}
		switch src[from+i+1] {
		case '{', '%', '#':
			return from + i
		}
		from += i + 1
	}
}

func (l *lexer) comment(inner int) {
	i := strings.Index(l.src[inner:], "#}")
	if i < 0 {
		panic(failure{&Error{Name: l.name, Line: l.lineAt(inner), Message: `"{#" begins a comment of the template, and no "#}" ends it`,
			Hint: "a text that is no comment stands in {% raw %} ... {% endraw %}, as in {% raw %}${#x}{% endraw %}"}})
	}
	l.pos = inner + i + 2
	if i > 0 && l.src[inner+i-1] == '-' {
		l.skipSpace()
	}
}

// raw reads {% raw %} ... {% endraw %} if that is what stands at inner.
func (l *lexer) raw(inner int) bool {
	body, strip, ok := rawTag(l.src, inner, "raw")
	if !ok {
		return false
	}
	if strip {
		body += spaceLen(l.src[body:])
	}
	for at := body; ; at += 2 {
		i := strings.Index(l.src[at:], "{%")
		if i < 0 {
			l.fail("Missing end of raw directive")
		}
		at += i
		if l.endRaw(body, at) {
			return true
		}
	}
}

// endRaw ends the raw text that began at body if an endraw tag stands at at.
func (l *lexer) endRaw(body, at int) bool {
	inner, end := at+2, at
	if inner < len(l.src) && (l.src[inner] == '-' || l.src[inner] == '+') {
		if l.src[inner] == '-' {
			end = body + len(strings.TrimRightFunc(l.src[body:at], isSpace))
		}
		inner++
	}
	after, strip, ok := rawTag(l.src, inner, "endraw")
	if !ok {
		return false
	}
	l.addText(body, end)
	l.pos = after
	if strip {
		l.skipSpace()
	}
	return true
}

// rawTag matches `word %}` or `word -%}` at pos and returns the position after it.
func rawTag(src string, pos int, word string) (after int, strip, ok bool) {
	pos += spaceLen(src[pos:])
	if !strings.HasPrefix(src[pos:], word) {
		return 0, false, false
	}
	pos += len(word)
	pos += spaceLen(src[pos:])
	if pos < len(src) && (src[pos] == '-' || src[pos] == '+' && word == "endraw") {
		strip = src[pos] == '-'
		pos++
	}
	return pos + 2, strip, strings.HasPrefix(src[pos:], "%}")
}

// inside reads tokens up to the end of a tag.
func (l *lexer) inside(end kind) {
	closing := "}}"
	if end == tokenBlockEnd {
		closing = "%}"
	}
	l.open = l.open[:0]
	for first := len(l.tokens); ; {
		l.skipSpace()
		if len(l.tokens)-first > maxTokens {
			l.fail("the expression is too long")
		}
		if l.pos >= len(l.src) {
			return
		}
		if len(l.open) == 0 && l.tagEnd(end, closing) {
			return
		}
		l.expr()
	}
}

func (l *lexer) tagEnd(end kind, closing string) bool {
	start, sign := l.pos, byte(0)
	if c := l.src[start]; c == '-' || c == '+' && end == tokenBlockEnd {
		sign = c
		start++
	}
	if !strings.HasPrefix(l.src[start:], closing) {
		return false
	}
	at := l.pos
	l.pos = start + len(closing)
	l.add(end, "", at)
	if sign == '-' {
		l.skipSpace()
	}
	return true
}

// expr reads one token of an expression.
func (l *lexer) expr() {
	c := l.src[l.pos]
	switch {
	case c == '"' || c == '\'':
		l.str(c)
	case isDigit(c):
		l.number()
	case c == '_' || isLetter(c):
		l.ident()
	case c >= utf8.RuneSelf:
		r, _ := utf8.DecodeRuneInString(l.src[l.pos:])
		if !unicode.IsLetter(r) {
			l.fail("unexpected char %s", reprString(string(r)))
		}
		l.ident()
	default:
		l.operator()
	}
}

func (l *lexer) ident() {
	start := l.pos
	for l.pos < len(l.src) {
		r, n := utf8.DecodeRuneInString(l.src[l.pos:])
		if !isWord(r) {
			break
		}
		l.pos += n
	}
	name := l.src[start:l.pos]
	// The documentation of handoff 0.4 shows {{ _stage- }}, which Jinja2 cannot read.
	if name == "_stage" && strings.HasPrefix(l.src[l.pos:], "- ") && stageEnd(l.src[l.pos+1:]) {
		l.pos++
		name = "_stage-"
	}
	l.add(tokenName, name, start)
}

func stageEnd(rest string) bool {
	rest = rest[spaceLen(rest):]
	return strings.HasPrefix(rest, "}}") || strings.HasPrefix(rest, "-}}")
}

func (l *lexer) operator() {
	start := l.pos
	n := 1
	if two := l.src[start:min(start+2, len(l.src))]; len(two) == 2 {
		switch two {
		case "//", "**", "==", "!=", ">=", "<=":
			n = 2
		}
	}
	op := l.src[start : start+n]
	if !strings.Contains("+-/*%~[](){}=><.:|,;", op[:1]) && op != "!=" {
		l.fail("unexpected char %s", reprString(op))
	}
	l.balance(op)
	l.pos += n
	l.add(tokenOperator, op, start)
}

func (l *lexer) balance(op string) {
	switch op {
	case "(":
		l.open = append(l.open, ')')
	case "[":
		l.open = append(l.open, ']')
	case "{":
		l.open = append(l.open, '}')
	case ")", "]", "}":
		if len(l.open) == 0 {
			l.fail("unexpected '%s'", op)
		}
		want := l.open[len(l.open)-1]
		if want != op[0] {
			l.fail("unexpected '%s', expected '%c'", op, want)
		}
		l.open = l.open[:len(l.open)-1]
	}
}

func (l *lexer) skipSpace() { l.pos += spaceLen(l.src[l.pos:]) }

func spaceLen(s string) int {
	for i, r := range s {
		if !isSpace(r) {
			return i
		}
	}
	return len(s)
}

// isSpace is Python's str.isspace for one character.
func isSpace(r rune) bool {
	return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// isWord is \w of Python's re.
func isWord(r rune) bool {
	if r < utf8.RuneSelf {
		return r == '_' || isDigit(byte(r)) || isLetter(byte(r))
	}
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsNumber(r))
}
