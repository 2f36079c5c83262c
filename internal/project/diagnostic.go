package project

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxShown is the widest part of a source line that a message shows, in characters.
const maxShown = 120

// Diagnostic is one thing to say about one place of a file.
type Diagnostic struct {
	Pos     Pos
	Path    string // the way to the value, as in tasks[0].pipeline[1]; empty for the file as a whole
	Message string
	Hint    string // the way out, where one is known
	Source  string // the line of the file, without its line break; empty where there is nothing to show
}

// String returns the position, the path and the message on one line and then, where the source is known,
// the source line with a caret under the column.
func (d Diagnostic) String() string {
	var b strings.Builder
	if at := d.Pos.String(); at != "" {
		b.WriteString(at + ": ")
	}
	if d.Path != "" {
		b.WriteString(d.Path + ": ")
	}
	b.WriteString(d.Message)
	if d.Hint != "" {
		b.WriteString(" (" + d.Hint + ")")
	}
	if d.Source != "" && d.Pos.Column > 0 {
		line, caret := excerpt(d.Source, d.Pos.Column)
		b.WriteString("\n" + line + "\n" + caret)
	}
	return b.String()
}

// String returns file:line:column, without the parts that are unknown.
func (p Pos) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	default:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
}

// excerpt returns the part of a line that surrounds the column, and a second line that points at it.
func excerpt(line string, column int) (shown, caret string) {
	line, column = near(line, column)
	runes := []rune(line)
	at := min(column-1, len(runes))
	from := 0
	if len(runes) > maxShown {
		from = max(0, min(at-maxShown/2, len(runes)-maxShown))
		runes = runes[from:min(from+maxShown, len(runes))]
	}
	var pad strings.Builder
	for _, r := range runes[:at-from] {
		switch {
		case r == '\t':
			pad.WriteRune('\t')
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul):
			pad.WriteString("  ") // a terminal gives them two columns
		default:
			pad.WriteRune(' ')
		}
	}
	return printable(runes), pad.String() + "^"
}

// near cuts a line of megabytes down to what excerpt may show of it.
func near(line string, column int) (part string, at int) {
	const most = maxShown * utf8.UTFMax
	if len(line) <= 2*most {
		return line, column
	}
	offset := 0
	for range column - 1 {
		_, n := utf8.DecodeRuneInString(line[offset:])
		offset += n
	}
	from, to := max(0, offset-most), min(len(line), offset+most)
	for from > 0 && !utf8.RuneStart(line[from]) {
		from--
	}
	for to < len(line) && !utf8.RuneStart(line[to]) {
		to++
	}
	return line[from:to], utf8.RuneCountInString(line[from:offset]) + 1
}

// printable keeps what would move the cursor or ring the bell off the terminal.
func printable(runes []rune) string {
	out := slices.Clone(runes)
	for i, r := range out {
		if r != '\t' && (r < ' ' || r == 0x7f) {
			out[i] = utf8.RuneError
		}
	}
	return string(out)
}

// Errors is everything that is wrong with a file, as one error.
type Errors []Diagnostic

// Error prints all of them, in the order of the file.
func (e Errors) Error() string {
	sorted := slices.Clone(e)
	sortByPosition(sorted)
	parts := make([]string, len(sorted))
	for i, d := range sorted {
		parts[i] = d.String()
	}
	return strings.Join(parts, "\n")
}

// sortByPosition keeps the order of those at one place, and that of files. It puts those without a line last.
func sortByPosition(list []Diagnostic) {
	file := map[string]int{}
	for _, d := range list {
		if _, known := file[d.Pos.File]; !known {
			file[d.Pos.File] = len(file)
		}
	}
	slices.SortStableFunc(list, func(a, b Diagnostic) int {
		if (a.Pos.Line == 0) != (b.Pos.Line == 0) {
			return cmp.Compare(b.Pos.Line, a.Pos.Line)
		}
		return cmp.Or(cmp.Compare(file[a.Pos.File], file[b.Pos.File]), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
}
