package cli

import (
	"slices"
	"strings"

	"github.com/handoff-run/handoff/internal/app"
)

// A table is text in columns for a person. Columns in which nothing stands are left out. Signs before a title say what becomes of
// its column:
//
//	>  it stands at the right
//	+  it is the last one, of long texts: one that has no room stands below its row
//	-  it may be left out where the screen is narrow
//	=  it is never cut
type table struct {
	head  []string
	rows  [][]string
	style func(row, col int, text string) string // what a cell, padded to its width, becomes; nil: itself
	width int                                    // of the screen; 0: none, so that all is shown as it is
	bare  bool                                   // the titles are shown on a screen only
	notes map[int][]string                       // below a row
	long  int                                    // the column whose texts stand below their rows where they have no room; 0: none
}

const (
	signs    = ">+-="
	gap      = 2  // columns between columns
	leastCut = 10 // columns that a column keeps when it is cut
	indented = 4  // columns before what stands below a row
)

// table returns a table that fits the screen on which the product of the command is shown.
func (c *cli) table(head ...string) *table {
	c.last = &table{head: head, width: c.width()}
	return c.last
}

// width is how many columns the product may have; 0: as many as it wants.
func (c *cli) width() int {
	if c.parent != nil {
		return max(c.parent.width()-gap, 0) // it is shown below the name of the client
	}
	if !isTerminal(c.Out) {
		return 0
	}
	width, _ := screen(c.Out)
	return width
}

// list is a table that has its titles on a screen only: programs read its lines.
func (c *cli) list(head ...string) *table {
	t := c.table(head...)
	t.bare = true
	return t
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// note adds a line below the last row.
func (t *table) note(text string) {
	if text == "" {
		return
	}
	if t.notes == nil {
		t.notes = map[int][]string{}
	}
	last := len(t.rows) - 1
	t.notes[last] = append(t.notes[last], text)
}

// outcomes is a table that has outcomes in the column of this title.
func (c *cli) outcomes(head ...string) *table {
	t := c.table(head...)
	t.style = c.outcomeIn(max(slices.Index(head, "OUTCOME"), slices.Index(head, "STATUS")))
	return t
}

// outcomeIn colours the outcomes in a column.
func (c *cli) outcomeIn(column int) func(row, col int, text string) string {
	return func(_, col int, text string) string {
		if col == column {
			return c.outcome(text)
		}
		return text
	}
}

// besides is the style of a table behind one more column.
func besides(style func(row, col int, text string) string) func(row, col int, text string) string {
	if style == nil {
		return nil
	}
	return func(row, col int, text string) string { return style(row, col-1, text) }
}

func (t *table) has(col int, sign string) bool {
	return strings.Contains(t.head[col][:len(t.head[col])-len(t.title(col))], sign)
}

func (t *table) title(col int) string { return strings.TrimLeft(t.head[col], signs) }

func (t *table) String() string { return strings.Join(t.lines(), "") }

// lines are the titles, if they are shown, and each row with what stands below it.
func (t *table) lines() (lines []string) {
	t.clean()
	widths := t.fit()
	if t.titled() {
		titles := make([]string, len(t.head))
		for i := range t.head {
			titles[i] = t.title(i)
		}
		lines = append(lines, t.line(widths, -1, titles))
	}
	for i, row := range t.rows {
		text := t.line(widths, i, row)
		for _, note := range t.notes[i] {
			text += t.below(note)
		}
		lines = append(lines, text)
	}
	return lines
}

func (t *table) titled() bool { return !t.bare || t.width > 0 && len(t.rows) > 0 }

// clean takes out what would move something on a screen.
func (t *table) clean() {
	if t.width == 0 {
		return
	}
	for _, row := range t.rows {
		for i := range row {
			row[i] = strings.Map(blank, app.Plain(row[i]))
		}
	}
}

func blank(r rune) rune {
	if r == '\n' || r == '\t' {
		return ' '
	}
	return r
}

// fit returns the width of each column; 0: it is left out.
func (t *table) fit() []int {
	widths := make([]int, len(t.head))
	for i := range t.head {
		for _, row := range t.rows {
			widths[i] = max(widths[i], columns(row[i]))
		}
		if widths[i] > 0 && t.titled() {
			widths[i] = max(widths[i], columns(t.title(i)))
		}
	}
	if t.width == 0 || total(widths) <= t.width {
		return widths
	}
	last := len(widths) - 1
	for last > 0 && widths[last] == 0 {
		last--
	}
	if !t.has(last, "+") {
		if t.narrow(widths, t.width); total(widths) <= t.width {
			return widths
		}
	}
	t.narrow(widths[:last], t.width-gap-columns(t.title(last)))
	widths[last] = max(min(widths[last], t.width-gap-total(widths[:last])), 1)
	t.long = last
	return widths
}

// narrow makes columns narrower until all of them have room.
func (t *table) narrow(widths []int, room int) {
	for i := len(widths) - 1; i >= 0 && total(widths) > room; i-- {
		if t.has(i, "-") {
			widths[i] = 0
		}
	}
	for total(widths) > room {
		widest := -1
		for i, w := range widths {
			if w > leastCut && !t.has(i, "=") && !t.has(i, ">") && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

// total is the width of a row.
func total(widths []int) (n int) {
	for _, w := range widths {
		if w > 0 {
			n += w + gap
		}
	}
	return max(n-gap, 0)
}

// line is a row, or with -1 the titles, and below it the text that has no room.
func (t *table) line(widths []int, row int, cells []string) string {
	var line, below string
	for i, text := range cells {
		if widths[i] == 0 {
			continue
		}
		if i == t.long && columns(text) > widths[i] && row >= 0 {
			below = text
			break
		}
		text = shorten(text, widths[i])
		if t.has(i, ">") {
			text = strings.Repeat(" ", widths[i]-columns(text)) + text
		} else {
			text = padded(text, widths[i])
		}
		if row >= 0 && t.style != nil {
			text = t.style(row, i, text)
		}
		line += text + strings.Repeat(" ", gap)
	}
	return strings.TrimRight(line, " ") + "\n" + t.below(below)
}

// below is a text that stands below its row.
func (t *table) below(text string) string {
	lines := []string{text}
	if t.width > 0 {
		lines = fold(app.Plain(text), max(t.width-indented, leastCut))
	}
	var b strings.Builder
	for _, line := range lines {
		if line != "" {
			b.WriteString(strings.Repeat(" ", indented) + line + "\n")
		}
	}
	return b.String()
}
