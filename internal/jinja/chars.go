package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// chars splits text into characters; a byte that is not UTF-8 is a character and keeps its value.
func chars(t string) []string {
	out := make([]string, 0, len(t))
	for i := 0; i < len(t); {
		_, n := utf8.DecodeRuneInString(t[i:])
		out = append(out, t[i:i+n])
		i += n
	}
	return out
}

// part is characters lo to hi of t, as chars counts them.
func part(t string, lo, hi int) string {
	at, from := 0, len(t)
	for i := 0; i < len(t); at++ {
		if at == lo {
			from = i
		}
		if at == hi {
			return t[from:i]
		}
		_, n := utf8.DecodeRuneInString(t[i:])
		i += n
	}
	return t[from:]
}

func runeCount(t string) int { return utf8.RuneCountInString(t) }

// mapChars maps every character that is valid UTF-8.
func mapChars(t string, f func(rune) string) string {
	var b strings.Builder
	b.Grow(len(t))
	for i := 0; i < len(t); {
		r, n := utf8.DecodeRuneInString(t[i:])
		if r == utf8.RuneError && n == 1 {
			b.WriteByte(t[i])
		} else {
			b.WriteString(f(r))
		}
		i += n
	}
	return b.String()
}

func isASCII(t string) bool {
	for i := 0; i < len(t); i++ {
		if t[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func upper(t string) string {
	if isASCII(t) {
		return strings.ToUpper(t)
	}
	return mapChars(t, upperRune)
}

func lower(t string) string {
	if isASCII(t) {
		return strings.ToLower(t)
	}
	return mapChars(t, lowerRune)
}

func upperRune(r rune) string {
	switch r {
	case 'ß':
		return "SS"
	case 'ŉ':
		return "ʼN"
	case 'ﬀ':
		return "FF"
	case 'ﬁ':
		return "FI"
	case 'ﬂ':
		return "FL"
	}
	return string(unicode.ToUpper(r))
}

func lowerRune(r rune) string {
	if r == 'İ' {
		return "i̇"
	}
	return string(unicode.ToLower(r))
}

func titleRune(r rune) string {
	if u := upperRune(r); runeCount(u) > 1 {
		return u[:1] + lower(u[1:])
	}
	return string(unicode.ToTitle(r))
}

// capitalize is Python's str.capitalize.
func capitalize(t string) string {
	r, n := utf8.DecodeRuneInString(t)
	if n == 0 || r == utf8.RuneError {
		return lower(t)
	}
	return titleRune(r) + lower(t[n:])
}

// title is Python's str.title: a letter after a non-letter is upper case.
func title(t string) string {
	inWord := false
	return mapChars(t, func(r rune) string {
		cased := isCased(r)
		first := cased && !inWord
		inWord = cased
		switch {
		case first:
			return titleRune(r)
		case cased:
			return lowerRune(r)
		}
		return string(r)
	})
}

func swapcase(t string) string {
	return mapChars(t, func(r rune) string {
		if unicode.IsUpper(r) {
			return lowerRune(r)
		}
		return upperRune(r)
	})
}

func isCased(r rune) bool {
	return unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r)
}

// all reports whether t is not empty and every character passes.
func all(t string, f func(rune) bool) bool {
	for _, r := range t {
		if !f(r) {
			return false
		}
	}
	return t != ""
}

// cased reports whether there are cased characters and all of them are of the case.
func cased(t string, is, isNot func(rune) bool) bool {
	found := false
	for _, r := range t {
		if isNot(r) || unicode.IsTitle(r) {
			return false
		}
		found = found || is(r)
	}
	return found
}

func isTitle(t string) bool {
	found, inWord := false, false
	for _, r := range t {
		up := unicode.IsUpper(r) || unicode.IsTitle(r)
		if up && inWord || unicode.IsLower(r) && !inWord {
			return false
		}
		inWord = isCased(r)
		found = found || inWord
	}
	return found
}

func isIdentifier(t string) bool {
	for i, r := range t {
		if !isWord(r) || i == 0 && unicode.IsNumber(r) {
			return false
		}
	}
	return t != ""
}

// splitLines is Python's str.splitlines.
func splitLines(t string, keep bool) []string {
	var out []string
	start := 0
	for i := 0; i < len(t); {
		r, n := utf8.DecodeRuneInString(t[i:])
		end := i
		i += n
		if !isLineBreak(r) {
			continue
		}
		if r == '\r' && i < len(t) && t[i] == '\n' {
			i++
		}
		if keep {
			end = i
		}
		out = append(out, t[start:end])
		start = i
	}
	if start < len(t) {
		out = append(out, t[start:])
	}
	return out
}

// lines is splitLines that refuses to make too many.
func (s *state) lines(t string, keep bool) []string {
	n := 1
	for _, r := range t {
		if isLineBreak(r) {
			n++
		}
	}
	s.made(n)
	return splitLines(t, keep)
}

func isLineBreak(r rune) bool {
	switch r {
	case '\n', '\r', '\v', '\f', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
		return true
	}
	return false
}
