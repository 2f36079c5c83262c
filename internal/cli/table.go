package cli

import (
	"strings"
	"unicode/utf8"
)

// A table is text in columns for a person. Columns in which nothing stands are left out.
type table struct {
	head  []string // a column whose title begins with ">" stands at the right
	rows  [][]string
	style func(row, col int, text string) string // what a cell, padded to its width, becomes; nil: itself
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) String() string {
	widths := make([]int, len(t.head))
	for i := range t.head {
		for _, row := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
		if widths[i] > 0 {
			widths[i] = max(widths[i], len(strings.TrimPrefix(t.head[i], ">")))
		}
	}
	var b strings.Builder
	t.line(&b, widths, -1, t.head)
	for i, row := range t.rows {
		t.line(&b, widths, i, row)
	}
	return b.String()
}

func (t *table) line(b *strings.Builder, widths []int, row int, cells []string) {
	var line string
	for i, text := range cells {
		if widths[i] == 0 {
			continue
		}
		if row < 0 {
			text = strings.TrimPrefix(text, ">")
		}
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text))
		if strings.HasPrefix(t.head[i], ">") {
			text = pad + text
		} else {
			text += pad
		}
		if row >= 0 && t.style != nil {
			text = t.style(row, i, text)
		}
		line += text + "  "
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}
