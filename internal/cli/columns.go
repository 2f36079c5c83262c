package cli

import (
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"

	"github.com/handoff-run/handoff/internal/app"
)

// screen is the size of the terminal f, in columns and lines.
func screen(f *os.File) (width, height int) {
	width, height, err := term.GetSize(int(f.Fd()))
	if err != nil || width < 20 {
		return 80, 24
	}
	return width, height
}

// columns is how many columns of a terminal text takes.
func columns(text string) (n int) {
	for _, r := range text {
		n += columnsOf(r)
	}
	return n
}

func columnsOf(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case isWide(r):
		return 2
	}
	return 1
}

// isWide reports characters that take two columns: those of East Asia, and pictures.
func isWide(r rune) bool {
	for _, part := range [...][2]rune{
		{0x1100, 0x115f}, {0x231a, 0x231b}, {0x23e9, 0x23f3}, {0x25fd, 0x25fe}, {0x2614, 0x2615}, {0x2648, 0x2653}, {0x26a1, 0x26a1},
		{0x26bd, 0x26be}, {0x26c4, 0x26c5}, {0x26d4, 0x26d4}, {0x2705, 0x2705}, {0x270a, 0x270b}, {0x2728, 0x2728}, {0x274c, 0x274e},
		{0x2753, 0x2757}, {0x2795, 0x2797}, {0x2b1b, 0x2b1c}, {0x2b50, 0x2b55}, {0x2e80, 0x303e}, {0x3041, 0xa4cf}, {0xa960, 0xa97c},
		{0xac00, 0xd7a3}, {0xf900, 0xfaff}, {0xfe30, 0xfe6f}, {0xff01, 0xff60}, {0xffe0, 0xffe6}, {0x1f000, 0x1faff}, {0x20000, 0x3fffd},
	} {
		if r <= part[1] {
			return r >= part[0]
		}
	}
	return false
}

// oneLine is text that moves nothing on a terminal, in one line.
func oneLine(text string) string {
	return strings.Join(strings.Fields(app.Plain(text)), " ")
}

// clipRight keeps the beginning of text, as much as has room in width columns.
func clipRight(text string, width int) string {
	for i, r := range text {
		if width -= columnsOf(r); width < 0 {
			return text[:i]
		}
	}
	return text
}

// shorten cuts text to a width, and shows that it did.
func shorten(text string, width int) string {
	if columns(text) <= width {
		return text
	}
	return clipRight(text, width-1) + "…"
}

// clipLeft keeps the end of a label, where the stage is.
func clipLeft(text string, width int) string {
	all := columns(text)
	if all <= width {
		return text
	}
	for i, r := range text {
		if all < width {
			return "…" + text[i:]
		}
		all -= columnsOf(r)
	}
	return "…"
}

// padded fills text with blanks up to a width.
func padded(text string, width int) string {
	return text + strings.Repeat(" ", max(width-columns(text), 0))
}

// fold breaks text at blanks into lines of a width; a word that is longer is cut into pieces.
func fold(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && columns(line)+1+columns(word) <= width {
			line += " " + word
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		for columns(word) > width {
			part := clipRight(word, width)
			lines, word = append(lines, part), word[len(part):]
		}
		line = word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
