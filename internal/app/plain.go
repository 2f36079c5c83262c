package app

import (
	"strings"
	"unicode/utf8"
)

// Plain returns text without what a terminal takes for a command: escape sequences (colours, movements of the cursor,
// titles, links) are left out, other control characters are shown as ^X. Tabs and newlines stay.
func Plain(text string) string {
	if !hasControl(text) {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if skip := sequence(text[i:], r, n); skip > 0 {
			i += skip
			continue
		}
		b.WriteString(visible(text[i:], r, n))
		i += n
	}
	return b.String()
}

func hasControl(text string) bool {
	for i := range len(text) {
		// 0x80 to 0x9f are control characters where they are no part of a longer UTF-8 character.
		if c := text[i]; c < ' ' && c != '\n' && c != '\t' || c >= 0x7f && c < 0xa0 {
			return true
		}
	}
	return false
}

const (
	escape   = 0x1b
	bell     = 0x07
	csi      = 0x9b
	endOfStr = 0x9c
)

// sequence returns the length of the escape sequence that t begins with; 0: none. r is the first character, of n bytes.
func sequence(t string, r rune, n int) int {
	switch {
	case r == csi:
		return n + parameters(t[n:])
	case isString(r):
		return n + stringEnd(t[n:])
	case r != escape:
		return 0
	case len(t) == 1:
		return 1
	}
	switch c := t[1]; {
	case c == '[':
		return 2 + parameters(t[2:])
	case isString(rune(c) + 0x40): // each control of 0x80 to 0x9f is also written as ESC and a letter
		return 2 + stringEnd(t[2:])
	case c >= ' ' && c < 0x7f:
		return 1 + intermediate(t[1:])
	}
	return 1
}

// isString reports a control that begins a text for the terminal: DCS, SOS, OSC, PM, APC.
func isString(r rune) bool { return r == 0x90 || r == 0x98 || r >= 0x9d && r <= 0x9f }

// parameters is the length of the parameters of a CSI sequence with all that follows them.
func parameters(t string) int {
	i := span(t, '0', '?')
	return i + intermediate(t[i:])
}

// intermediate is the length of the end of a sequence: characters from blank to slash, then the final one.
func intermediate(t string) int {
	i := span(t, ' ', '/')
	if i < len(t) && t[i] >= '0' && t[i] < 0x7f {
		i++
	}
	return i
}

// span counts the bytes from lo to hi that t begins with.
func span(t string, lo, hi byte) int {
	i := 0
	for i < len(t) && t[i] >= lo && t[i] <= hi {
		i++
	}
	return i
}

// stringEnd is the length of a text for the terminal with its end. One without an end is no such text: it is shown.
func stringEnd(t string) int {
	for i, r := range t {
		switch {
		case r == bell:
			return i + 1
		case r == endOfStr:
			return i + 2
		case r == escape && strings.HasPrefix(t[i+1:], `\`):
			return i + 2
		}
	}
	return 0
}

// visible writes the character r of n bytes that t begins with so that it moves nothing on a terminal.
func visible(t string, r rune, n int) string {
	switch {
	case r == '\n' || r == '\t':
	case r == '\r' && strings.HasPrefix(t[n:], "\n"):
		return ""
	case r < ' ' || r == 0x7f:
		return "^" + string(r^0x40)
	case r > 0x7f && r < 0xa0:
		return ""
	case r == utf8.RuneError && n == 1 && t[0] < 0xa0:
		return `\x` + string("89"[t[0]>>4&1]) + string("0123456789abcdef"[t[0]&15])
	}
	return t[:n]
}
