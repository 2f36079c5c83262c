package project

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"
)

const (
	maxDepth    = 250     // maps and lists inside one another, aliases followed
	maxExpanded = 100_000 // values that aliases add to those written
)

// parse returns the root of the only document, or what is wrong with the text. A nil root without a diagnostic
// is an empty document.
func parse(src *source) (*yaml.Node, *Diagnostic) {
	if d := src.check(); d != nil {
		return nil, d
	}
	loader, err := yaml.NewLoader(strings.NewReader(src.text))
	if err != nil {
		return nil, syntaxError(src, err)
	}
	var first, second yaml.Node
	if err := loader.Load(&first); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, syntaxError(src, err)
	}
	switch err := loader.Load(&second); {
	case err == nil:
		d := src.at(second.Line, second.Column, "a second document starts here", "a project is one document: remove the ---")
		return nil, &d
	case !errors.Is(err, io.EOF):
		return nil, syntaxError(src, err)
	}
	if len(first.Content) == 0 {
		return nil, nil
	}
	root := first.Content[0]
	return root, checkAliases(src, root)
}

// syntaxError turns the words of the parser into ours.
func syntaxError(src *source, err error) *Diagnostic {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		return &Diagnostic{Pos: Pos{File: src.file}, Message: "not YAML: " + err.Error()}
	}
	line, column := load.Mark.Line, load.Mark.Column
	message, hint := load.Message, ""
	rest := after(src.line(line), column)
	switch {
	case strings.Contains(message, "exceeded max depth"):
		message = tooDeep()
	case strings.Contains(message, "cannot start any token"):
		message, hint = badStart(src.line(line), column)
	case strings.Contains(message, "mapping values are not allowed"):
		message = "a second \": \" on this line, or an indentation that does not fit the line above"
		hint = "a text that contains \": \" needs quotes"
	case strings.HasPrefix(load.ContextMsg, "while scanning a quoted scalar") && load.ContextMark.Line > 0:
		line, column = load.ContextMark.Line, load.ContextMark.Column
		message = "this quote is never closed"
	case strings.HasPrefix(load.ContextMsg, "while parsing a flow") && load.ContextMark.Line > 0:
		line, column = load.ContextMark.Line, load.ContextMark.Column
		message = "this bracket is never closed, or a comma is missing after it"
	case strings.Contains(message, "unknown anchor"):
		message = fmt.Sprintf("no anchor for the alias %q above it", "*"+strings.Trim(strings.TrimSuffix(strings.TrimPrefix(message, "unknown anchor "), " referenced"), "'"))
		hint = "a text that begins with * needs quotes"
	case strings.HasPrefix(strings.TrimLeft(rest, " "), "\t"):
		message, hint = badStart(rest, 1)
	default:
		message = "not YAML: " + message
	}
	if strings.HasPrefix(message, "not YAML") || strings.Contains(message, "cannot begin") || strings.Contains(message, "anchor") {
		hint = cmp.Or(quoteHint(src.line(line)), quoteHint(src.line(line-1)), hint)
	}
	d := src.at(line, column, message, hint)
	return &d
}

// keyAndText is a line with a key and a value that begins with what means something to YAML.
var keyAndText = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[ -]*([A-Za-z_]\w*): +([{\[\]"'*&!|>%@\x60?,-].*?) *$`)
})

// quoteHint shows how to write the value of a line that was meant as a text, "" if it does not look like one.
func quoteHint(line string) string {
	m := keyAndText().FindStringSubmatch(line)
	if m == nil {
		return ""
	}
	return fmt.Sprintf("put the whole text in quotes: %s: '%s'", m[1], strings.ReplaceAll(m[2], "'", "''"))
}

func after(line string, column int) string {
	runes := []rune(line)
	return string(runes[min(max(column-1, 0), len(runes)):])
}

// badStart explains a character with which nothing can begin.
func badStart(line string, column int) (message, hint string) {
	rest := after(line, column)
	if strings.HasPrefix(rest, "\t") {
		return "a tab is used as indentation", "YAML takes only blanks there"
	}
	if rest == "" {
		return "nothing can begin here", ""
	}
	return fmt.Sprintf("a text cannot begin with %q", []rune(rest)[0]), "put the text in quotes"
}

func tooDeep() string { return fmt.Sprintf("more than %d levels of lists and maps", maxDepth) }

// extent is what a value comes to with its aliases followed.
type extent struct {
	depth, size int
	open        bool // still being measured: an alias that leads here is a cycle
}

// aliasCheck measures a tree once per node, however often aliases lead there.
type aliasCheck struct {
	src      *source
	done     map[*yaml.Node]*extent
	expanded int
	problem  *Diagnostic
}

// checkAliases refuses cycles, trees that are too deep and aliases that multiply into a tree too large to walk.
func checkAliases(src *source, root *yaml.Node) *Diagnostic {
	c := &aliasCheck{src: src, done: map[*yaml.Node]*extent{}}
	c.measure(root, 0)
	return c.problem
}

func (c *aliasCheck) measure(n *yaml.Node, above int) extent {
	if n.Kind == yaml.AliasNode {
		return c.follow(n, above)
	}
	if known := c.done[n]; known != nil {
		return *known
	}
	e := &extent{size: 1, open: true}
	if n.Anchor != "" {
		c.done[n] = e
	}
	if above > maxDepth {
		c.fail(n, tooDeep())
	}
	for _, child := range n.Content {
		if c.problem != nil {
			break
		}
		sub := c.measure(child, above+1)
		e.depth, e.size = max(e.depth, sub.depth+1), e.size+sub.size
	}
	e.open = false
	return *e
}

func (c *aliasCheck) follow(alias *yaml.Node, above int) extent {
	target := c.done[alias.Alias]
	switch {
	case target == nil || target.open:
		c.fail(alias, fmt.Sprintf("the alias %q leads into itself", "*"+alias.Value))
		return extent{}
	case above+target.depth > maxDepth:
		c.fail(alias, tooDeep())
	}
	c.expanded += target.size
	if c.expanded > maxExpanded {
		c.fail(alias, fmt.Sprintf("aliases multiply into more than %d values", maxExpanded))
	}
	return *target
}

func (c *aliasCheck) fail(n *yaml.Node, message string) {
	if c.problem == nil {
		d := c.src.at(n.Line, n.Column, message, "")
		c.problem = &d
	}
}
