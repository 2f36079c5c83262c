package template

import (
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

// quotePiece writes data for its place.
func (s *state) quotePiece(p place, data string) string {
	s.checkData(p, data)
	switch p.kind {
	case argument:
		return Quote(data)
	case word:
		return singleQuote(data)
	case double:
		return escapeWith(data, "\\\"$`")
	case doubleParam:
		// Inside "${x:-...}" a single quote is text to dash and opens a quoted text for bash: no way of writing it
		// means the same to both but this.
		return strings.ReplaceAll(escapeWith(data, "\\\"$`}"), "'", `$(printf '\047')`)
	case single:
		return strings.ReplaceAll(data, "'", `'\''`)
	case document:
		return escapeWith(data, "\\$`")
	case verbatim:
		return data
	case comment:
		return plainComment(data)
	case arithmetic, number:
		return s.shellInteger(p.kind, data)
	}
	s.failHint(p.hint, "%s", p.message)
	return ""
}

// checkData refuses the few texts that a shell cannot take in the place.
func (s *state) checkData(p place, data string) {
	switch {
	case strings.IndexByte(data, 0) >= 0:
		s.fail("the data has a NUL byte, which no command can take")
	case p.tabs && (strings.HasPrefix(data, "\t") || strings.Contains(data, "\n\t")):
		s.failHint("write << instead of <<-", "the here-document would strip a tab from the data")
	case p.nested && strings.Contains(data, "\\\n"): // shells join these lines before they look at quotes
		s.failHint("put it in a variable before the here-document",
			"data with a backslash at the end of a line stands in a command inside of a here-document")
	case p.evaluated && !isInert(data):
		s.failHint(rawHint, "the data %s stands in a variable that the script evaluates, where it could be code", reprString(data))
	case p.array && strings.ContainsAny(data, "\x01\x7f"):
		s.fail("the data has a control character, which bash would double in an array")
	}
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

// shellInteger lets only integers through. Leading zeros go: they would make 010 eight and 08 an error.
func (s *state) shellInteger(kind placeKind, data string) string {
	sign, digits := "", data
	if data != "" && (data[0] == '-' || data[0] == '+') {
		sign, digits = strings.TrimPrefix(data[:1], "+"), data[1:]
	}
	if digits == "" || len(digits) > 18 || strings.Trim(digits, "0123456789") != "" {
		s.failHint("", "the data %s stands in arithmetic, where only an integer is allowed", reprString(data))
	}
	digits = strings.TrimLeft(digits[:len(digits)-1], "0") + digits[len(digits)-1:]
	if sign == "-" && kind == arithmetic {
		return "(-" + digits + ")"
	}
	return sign + digits
}
