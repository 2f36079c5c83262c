package schedule

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// token is a piece of a date string. The kinds are 'n' (number), 's' (number with a sign), 'w' (word), 0 (the end), or the
// character itself.
type token struct {
	kind     byte
	word     string // in small letters, without dots
	value    int    // with its sign
	digits   int
	fraction int // nanoseconds
	decimal  bool
}

// maxDigits keeps all arithmetic with the numbers of a date string within an int64.
const maxDigits = 10

// tokens splits a date string. Blanks separate; comments in parentheses and hyphens before anything but a digit are nothing.
func tokens(s string) ([]token, error) {
	var found []token
	for s != "" {
		t, length, err := lex(s)
		if err != nil {
			return nil, err
		}
		if t.kind != 0 {
			found = append(found, t)
		}
		s = s[length:]
	}
	return found, nil
}

// lex reads one token and its length; what is nothing has kind 0.
func lex(s string) (token, int, error) {
	switch b := s[0]; {
	case isSpace(b):
		return token{}, 1, nil
	case b == '(':
		length, err := comment(s)
		return token{}, length, err
	case isDigit(b):
		return lexNumber(s)
	case b == '+' || b == '-':
		return lexSigned(s)
	case isLetter(b):
		end := 1
		for end < len(s) && (isLetter(s[end]) || s[end] == '.') {
			end++
		}
		return token{kind: 'w', word: strings.ToLower(strings.ReplaceAll(s[:end], ".", ""))}, end, nil
	case b == 0:
		return token{}, 0, errors.New("date: a date string has no NUL")
	}
	return token{kind: s[0]}, 1, nil
}

func isSpace(b byte) bool { return b == ' ' || b >= '\t' && b <= '\r' }

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

func isLetter(b byte) bool { return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' }

// comment returns the length of the parenthesis at the start of s.
func comment(s string) (int, error) {
	open := 0
	for i := range len(s) {
		switch s[i] {
		case '(':
			open++
		case ')':
			open--
		}
		if open == 0 {
			return i + 1, nil
		}
	}
	return 0, fmt.Errorf("date: a ) is missing in %q", s)
}

// lexSigned reads a sign and its number; without a digit the sign is nothing.
func lexSigned(s string) (token, int, error) {
	i := 1
	for i < len(s) && isSpace(s[i]) {
		i++
	}
	if i == len(s) || !isDigit(s[i]) {
		return token{}, 1, nil
	}
	t, length, err := lexNumber(s[i:])
	t.kind = 's'
	if s[0] == '-' {
		t.value = -t.value
	}
	return t, i + length, err
}

// lexNumber reads digits, and a fraction when one follows.
func lexNumber(s string) (token, int, error) {
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	if i > maxDigits {
		return token{}, 0, fmt.Errorf("date: the number %s is too large", s[:i])
	}
	value, err := strconv.Atoi(s[:i])
	if err != nil {
		return token{}, 0, fmt.Errorf("date: read %q: %w", s[:i], err)
	}
	t := token{kind: 'n', value: value, digits: i}
	if i+1 >= len(s) || s[i] != '.' && s[i] != ',' || !isDigit(s[i+1]) {
		return t, i, nil
	}
	i++
	t.decimal = true
	for scale := 100_000_000; i < len(s) && isDigit(s[i]); i++ {
		t.fraction += int(s[i]-'0') * scale
		scale /= 10
	}
	return t, i, nil
}

// unitOf finds a unit of time; its plural is the same.
func unitOf(word string) (string, bool) {
	singular := strings.TrimSuffix(word, "s")
	switch singular {
	case "year", "month", "fortnight", "week", "day", "hour", "minute", "second":
		return singular, true
	case "min", "sec":
		return map[string]string{"min": "minute", "sec": "second"}[singular], true
	}
	return "", false
}

// ordinalOf finds the words that count. There is none for 2, since second is a unit.
func ordinalOf(word string) (int, bool) {
	words := "last this next third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
	if word == "first" {
		return 1, true
	}
	n := -1
	for known := range strings.SplitSeq(words, " ") {
		if known == word {
			return n, true
		}
		n++
		if n == 2 {
			n = 3
		}
	}
	return 0, false
}

// monthOf finds a month by its name, or its first three letters.
func monthOf(word string) (int, bool) {
	if word == "sept" {
		return 9, true
	}
	i, ok := nameOf(word, "january february march april may june july august september october november december")
	return i + 1, ok
}

// weekdayOf finds a day of the week; Sunday is 0.
func weekdayOf(word string) (int, bool) {
	switch word {
	case "tues":
		return 2, true
	case "wednes":
		return 3, true
	case "thur", "thurs":
		return 4, true
	}
	return nameOf(word, "sunday monday tuesday wednesday thursday friday saturday")
}

func nameOf(word, names string) (int, bool) {
	i := 0
	for name := range strings.SplitSeq(names, " ") {
		if word == name || word == name[:3] {
			return i, true
		}
		i++
	}
	return 0, false
}
