package shell

import (
	"fmt"
	"strings"
)

// place is where a piece of data stands in a script.
type place struct {
	kind          placeKind
	tabs          bool   // in a here-document that strips tabs
	nested        bool   // in a command within a here-document
	array         bool   // an element of an array
	evaluated     bool   // in a variable that the script evaluates
	message, hint string // of refused
}

type placeKind uint8

const (
	unknown     placeKind = iota
	argument              // a bare word or part of one: plain text stays as it is
	word                  // the same where plain text could mean something else: quoted in any case
	double                // inside "..."
	doubleParam           // inside "${x:-...}"
	single                // inside '...'
	document              // a here-document that expands
	verbatim              // a here-document that does not
	comment               // after #
	arithmetic            // inside $(( ))
	number                // an operand of a numeric test
	refused               // no quoting is safe here
)

const argumentHint = `pass it as an argument: sh -c 'echo "$1"' _ {{ ... }}`

// quote writes data for its place.
func (p place) quote(data string) (string, *Error) {
	if err := p.check(data); err != nil {
		return "", err
	}
	switch p.kind {
	case argument:
		return Quote(data), nil
	case word:
		return singleQuote(data), nil
	case double:
		return escapeWith(data, "\\\"$`"), nil
	case doubleParam:
		// Inside "${x:-...}" a single quote is text to dash and opens a quoted text for bash: no way of writing it
		// means the same to both but this.
		return strings.ReplaceAll(escapeWith(data, "\\\"$`}"), "'", `$(printf '\047')`), nil
	case single:
		return strings.ReplaceAll(data, "'", `'\''`), nil
	case document:
		return escapeWith(data, "\\$`"), nil
	case verbatim:
		return data, nil
	case comment:
		return plainComment(data), nil
	case arithmetic, number:
		return integer(p.kind, data)
	}
	return "", &Error{Message: p.message, Hint: p.hint}
}

// check refuses the few texts that a shell cannot take in the place.
func (p place) check(data string) *Error {
	switch {
	case strings.IndexByte(data, 0) >= 0:
		return &Error{Message: "the data has a NUL byte, which no command can take"}
	case p.tabs && (strings.HasPrefix(data, "\t") || strings.Contains(data, "\n\t")):
		return &Error{Message: "the here-document would strip a tab from the data", Hint: "write << instead of <<-"}
	case p.nested && strings.Contains(data, "\\\n"): // shells join these lines before they look at quotes
		return &Error{
			Message: "data with a backslash at the end of a line stands in a command inside of a here-document",
			Hint:    "put it in a variable before the here-document",
		}
	case p.evaluated && !isInert(data):
		return &Error{
			Message: fmt.Sprintf("the data %q stands in a variable that the script evaluates, where it could be code", data),
			Hint:    rawHint,
		}
	case p.array && strings.ContainsAny(data, "\x01\x7f"):
		return &Error{Message: "the data has a control character, which bash would double in an array"}
	}
	return nil
}

// isInert reports whether a value does nothing when a shell evaluates it: no command in an index, no assignment.
func isInert(t string) bool {
	return t == "" || isPlain(t) && !strings.ContainsAny(t, "=") && !strings.Contains(t, "++") && !strings.Contains(t, "--")
}

// isPlain reports whether a bare word means itself to every shell.
func isPlain(t string) bool {
	for i := range len(t) {
		if c := t[i]; !isAlnum(c) && strings.IndexByte("_./:=@%+,-", c) < 0 {
			return false
		}
	}
	return t != "" && t[0] != '=' // zsh replaces =name by the path of a command
}

func singleQuote(t string) string {
	return "'" + strings.ReplaceAll(t, "'", `'\''`) + "'"
}

// escapeWith puts a backslash before the characters of a set.
func escapeWith(t, set string) string {
	if !strings.ContainsAny(t, set) {
		return t
	}
	var b strings.Builder
	b.Grow(len(t) + 8)
	for i := range len(t) {
		if strings.IndexByte(set, t[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(t[i])
	}
	return b.String()
}

// plainComment keeps of the data what cannot end a comment or confuse a shell that looks for the end of $( ).
func plainComment(t string) string {
	b := []byte(t)
	for i, c := range b {
		if !isAlnum(c) && strings.IndexByte(" _./:=@%+,-", c) < 0 {
			b[i] = '_'
		}
	}
	return string(b)
}

// integer lets only integers through. Leading zeros go: they would make 010 eight and 08 an error.
func integer(kind placeKind, data string) (string, *Error) {
	sign, digits := "", data
	if data != "" && (data[0] == '-' || data[0] == '+') {
		sign, digits = strings.TrimPrefix(data[:1], "+"), data[1:]
	}
	if digits == "" || len(digits) > 18 || strings.Trim(digits, "0123456789") != "" {
		return "", &Error{Message: fmt.Sprintf("the data %q stands in arithmetic, where only an integer is allowed", data)}
	}
	digits = strings.TrimLeft(digits[:len(digits)-1], "0") + digits[len(digits)-1:]
	if sign == "-" && kind == arithmetic {
		return "(-" + digits + ")", nil
	}
	return sign + digits, nil
}

func isAlnum(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' }
