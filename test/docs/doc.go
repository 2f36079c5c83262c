// Package docs holds the pages for people to what they say: the sessions in them are run, the projects in them are
// checked, the links in them are followed. It knows only the text of the pages and the built program.
package docs

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// block is one fenced block of a page.
type block struct {
	line int    // of its first line of text, from 1
	lang string // first word behind the fence: console, yaml, ...
	args []string
	text []string
}

// blocks returns the fenced blocks of a page, in order.
func blocks(page string) []block {
	var found []block
	var open *block
	for i, line := range strings.Split(page, "\n") {
		info, fence := strings.CutPrefix(line, "```")
		switch {
		case open != nil && fence:
			found = append(found, *open)
			open = nil
		case open != nil:
			open.text = append(open.text, line)
		case fence:
			open = &block{line: i + 2}
			if words := strings.Fields(info); len(words) > 0 {
				open.lang, open.args = words[0], words[1:]
			}
		}
	}
	return found
}

// step is one command of a session and what a terminal shows for it.
type step struct {
	line    int
	command string
	output  []string
}

// steps parts a console block: `$ ` begins a command, `> ` goes on with it, the rest is output.
func (b block) steps() ([]step, error) {
	var found []step
	for i, line := range b.text {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			found = append(found, step{line: b.line + i, command: command})
			continue
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("line %d: output before the first command", b.line+i)
		}
		last := &found[len(found)-1]
		if more, ok := strings.CutPrefix(line, "> "); ok && len(last.output) == 0 {
			last.command += "\n" + more
			continue
		}
		last.output = append(last.output, line)
	}
	return found, nil
}

// pattern returns what output has to match: `...` in a line stands for any text, alone for any lines.
func (s step) pattern() *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`\A`)
	for _, line := range s.output {
		if strings.TrimSpace(line) == "..." {
			b.WriteString(`(?:.*\n)*?`)
			continue
		}
		pieces := strings.Split(strings.TrimRight(line, " "), "...")
		for i, piece := range pieces {
			pieces[i] = regexp.QuoteMeta(piece)
		}
		b.WriteString(strings.Join(pieces, `.*`) + ` *\n`)
	}
	return regexp.MustCompile(b.String() + `\z`)
}

// anchors returns what links to the headings of a page end with.
func anchors(page string) []string {
	var found []string
	for _, line := range strings.Split(page, "\n") {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			found = append(found, "#"+strings.Map(anchorRune, title))
		}
	}
	return found
}

// anchorRune is how hosts of Markdown spell a heading in a link.
func anchorRune(r rune) rune {
	switch {
	case r == ' ':
		return '-'
	case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
		return unicode.ToLower(r)
	}
	return -1
}

// project returns the file name that a block ```yaml project [FILE] gives to a project, and whether it is one.
func (b block) project() (file string, ok bool) {
	if b.lang != "yaml" || len(b.args) == 0 || b.args[0] != "project" {
		return "", false
	}
	if len(b.args) > 1 {
		return b.args[1], true
	}
	return "project.yml", true
}
