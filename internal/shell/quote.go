package shell

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// place is where a piece of data stands in a script.
type place struct {
	kind          placeKind
	tabs          bool   // in a here-document that strips tabs
	nested        bool   // in a command within a here-document
	array         bool   // an element of an array
	notFirst      string // characters that the data must not begin with: the program would take it for an option
	program       string // of notFirst
	message, hint string // of refused
}

// placeKind says how data is written.
type placeKind uint8

const (
	unknown          placeKind = iota
	asWord                     // a plain word as it is, else in single quotes
	asQuoted                   // in single quotes: here a plain word could mean something else
	asDouble                   // inside "..."
	asDoubleFallback           // inside "${x:-...}"
	asSingle                   // inside '...'
	asDocument                 // a here-document that expands
	asVerbatim                 // a here-document that does not
	asComment                  // after #: what is not plain becomes _
	asSum                      // an integer, in brackets if it is negative
	asNumber                   // an integer
	refused                    // no quoting is safe here
)

// quote returns data as it is written in its place, between two bytes of the script.
func (p place) quote(data string, before, after byte) (string, *Error) {
	if err := p.check(data); err != nil {
		return "", err
	}
	switch p.kind {
	case asWord:
		return Quote(data), nil
	case asQuoted:
		return singleQuote(data), nil
	case asDouble:
		quoted := escape(data, "\\\"$`", before, func(c byte) string { return `"'` + string(c) + `'"` })
		return quoted + apart(data, after, `""`), nil
	case asDoubleFallback:
		// Inside "${x:-...}" a single quote is text to dash and opens a quoted text for bash: no way of writing it
		// means the same to both but this.
		var b strings.Builder
		for i, part := range strings.Split(data, "'") {
			if i > 0 {
				b.WriteString(printed('\''))
				before = 0
			}
			b.WriteString(escape(part, "\\\"$`}", before, printed))
		}
		return b.String() + apart(data, after, "$()"), nil
	case asSingle:
		return strings.ReplaceAll(data, "'", `'\''`), nil
	case asDocument:
		return escape(data, "\\$`", before, printed) + apart(data, after, "$()"), nil
	case asVerbatim:
		return data, nil
	case asComment:
		return plainComment(data), nil
	case asSum, asNumber:
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
	case p.notFirst != "" && data != "" && strings.IndexByte(p.notFirst, data[0]) >= 0:
		return &Error{
			Message: fmt.Sprintf("the data %s would be an option of %s", shown(data), p.program),
			Hint:    "write -- before it, or ./ where it is the name of a file",
		}
	case p.array && strings.ContainsAny(data, "\x01\x7f"):
		return &Error{Message: "the data has a control character, which bash would double in an array"}
	}
	return nil
}

// IsPlain reports whether text is a word that no shell does anything with, however often and wherever it is
// evaluated: letters, digits and _ . / : @ % + , - only, and no ++ or --, which change a variable in arithmetic. No
// text is plain, too.
func IsPlain(text string) bool {
	return (text == "" || isWord(text)) && !strings.Contains(text, "=") && !strings.Contains(text, "++") && !strings.Contains(text, "--")
}

// isWord reports whether a bare word means itself to every shell as an argument.
func isWord(t string) bool {
	for i := range len(t) {
		if c := t[i]; !isAlnum(c) && strings.IndexByte("_./:=@%+,-", c) < 0 {
			return false
		}
	}
	return t != "" && t[0] != '=' // zsh replaces =name by the path of a command
}

// shown is data as it stands in a message.
func shown(data string) string {
	const most = 60
	if len(data) > most {
		return fmt.Sprintf("%q...", data[:most])
	}
	return fmt.Sprintf("%q", data)
}

func singleQuote(t string) string {
	return "'" + strings.ReplaceAll(t, "'", `'\''`) + "'"
}

// escape puts a backslash before the characters of a set. After a byte beyond ASCII they are written in another way: in
// GBK, Big5 and Shift_JIS such a byte makes one character with the backslash, and bash reads a script in the locale.
func escape(t, set string, before byte, otherwise func(c byte) string) string {
	if !strings.ContainsAny(t, set) {
		return t
	}
	var b strings.Builder
	b.Grow(len(t) + 8)
	for i := range len(t) {
		switch {
		case strings.IndexByte(set, t[i]) < 0:
			b.WriteByte(t[i])
		case before >= utf8.RuneSelf:
			b.WriteString(otherwise(t[i]))
		default:
			b.WriteByte('\\')
			b.WriteByte(t[i])
		}
		before = t[i]
	}
	return b.String()
}

// printed is a character as the output of a command, for places where it cannot be quoted.
func printed(c byte) string { return fmt.Sprintf(`$(printf '\%03o')`, c) }

// apart keeps data that ends beyond ASCII from making one character with what follows.
func apart(data string, after byte, nothing string) string {
	if data != "" && data[len(data)-1] >= utf8.RuneSelf && (after == '\\' || after == '}' || after == '`') {
		return nothing
	}
	return ""
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
		return "", &Error{Message: fmt.Sprintf("the data %s stands in arithmetic, where only an integer is allowed", shown(data))}
	}
	digits = strings.TrimLeft(digits[:len(digits)-1], "0") + digits[len(digits)-1:]
	if sign == "-" && kind == asSum {
		return "(-" + digits + ")", nil
	}
	return sign + digits, nil
}

func isAlnum(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' }
