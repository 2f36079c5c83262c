package shell

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

func shellName(shell string) string {
	if shell == "" {
		shell = "/bin/sh"
	}
	return path.Base(strings.TrimSpace(shell))
}

// shellVariants returns the grammars of a shell. A script is read with each of them, since
// nobody knows which shell /bin/sh is: where they disagree about a piece of data, it is refused.
func shellVariants(name string) []syntax.LangVariant {
	switch name {
	case "sh", "dash", "ash", "busybox":
		return []syntax.LangVariant{syntax.LangPOSIX, syntax.LangBash}
	case "bash":
		return []syntax.LangVariant{syntax.LangBash}
	case "zsh":
		return []syntax.LangVariant{syntax.LangBash, syntax.LangZsh}
	case "ksh", "ksh93", "mksh":
		return []syntax.LangVariant{syntax.LangBash, syntax.LangMirBSDKorn}
	}
	return nil
}

// canQuote reports whether handoff knows what is safe in a shell. ksh and zsh evaluate in more places.
func canQuote(name string) bool {
	return contains([]string{"sh", "dash", "ash", "busybox", "bash"}, name)
}

// newShellPlan finds out where the words at starts stand in the script.
func newShellPlan(shell, skeleton string, starts []int) *shellPlan {
	var plan *shellPlan
	var first error
	for _, variant := range shellVariants(shell) {
		p, err := parseShell(variant, skeleton, starts)
		switch {
		case err != nil && first == nil:
			first = err
		case err != nil:
		case plan == nil:
			plan = p
		default:
			plan.merge(p)
		}
	}
	if plan == nil {
		return &shellPlan{message: "the script is not valid for " + shell + ": " + parseMessage(first), hint: rawHint}
	}
	return plan
}

func parseMessage(err error) string {
	if e, ok := errors.AsType[syntax.ParseError](err); ok {
		return fmt.Sprintf("line %d: %s", e.Pos.Line(), strings.ReplaceAll(e.Text, placeholder, "{{ ... }}"))
	}
	if e, ok := errors.AsType[syntax.LangError](err); ok {
		return fmt.Sprintf("line %d: %s", e.Pos.Line(), e.Feature)
	}
	return err.Error()
}

// merge keeps the stricter of two readings.
func (p *shellPlan) merge(other *shellPlan) {
	if p.unsafe == nil || other.unsafe != nil && other.unsafe.always {
		p.unsafe = other.unsafe
	}
	for i, o := range other.places {
		mine := &p.places[i]
		o.tabs, o.nested, o.array = o.tabs || mine.tabs, o.nested || mine.nested, o.array || mine.array
		if o.notFirst == "" {
			o.notFirst, o.program = mine.notFirst, mine.program
		}
		mine.tabs, mine.nested, mine.array, mine.notFirst, mine.program = o.tabs, o.nested, o.array, o.notFirst, o.program
		switch {
		case mine.kind == o.kind || mine.kind == refused:
		case o.kind == refused:
			*mine = o
		case mine.kind+o.kind == asWord+asQuoted:
			mine.kind = asQuoted
		default:
			*mine = place{kind: refused, message: "the data stands in a place that shells understand differently", hint: rawHint}
		}
	}
	p.heredocs = append(p.heredocs, other.heredocs...)
}

func parseShell(variant syntax.LangVariant, skeleton string, starts []int) (*shellPlan, error) {
	parser := syntax.NewParser(syntax.Variant(variant), syntax.KeepComments(true))
	file, err := parser.Parse(strings.NewReader(skeleton), "")
	if err != nil {
		return nil, err
	}
	c := &classifier{text: skeleton, starts: starts, places: make([]place, len(starts)), guards: make([]guard, len(starts))}
	c.wordLen = placeholderLen(skeleton, starts[0])
	k := &checker{rules: rules(), text: skeleton, c: c}
	k.file(file)
	syntax.Walk(file, c.visit)
	for i, p := range c.places {
		if p.kind == unknown {
			c.places[i] = refuse("data cannot be quoted in this place of a script")
		}
	}
	for i, start := range starts {
		c.checkBefore(i, start)
		c.places[i].notFirst, c.places[i].program = c.guards[i].chars, c.guards[i].program
	}
	return &shellPlan{places: c.places, heredocs: c.heredocs, wordLen: c.wordLen, unsafe: k.found}, nil
}

// placeholderLen measures the placeholder, which may have been made longer to be unique.
func placeholderLen(skeleton string, start int) int {
	n := len(placeholder)
	for start+n < len(skeleton) && skeleton[start+n] == 'Q' {
		n++
	}
	return n
}

func refuse(message string) place { return place{kind: refused, message: message, hint: rawHint} }

// classifier walks the tree of a script and finds the place of each word at starts.
type classifier struct {
	text     string
	starts   []int
	wordLen  int
	places   []place
	heredocs []heredoc
	guards   []guard
	stack    []syntax.Node // from the file to the current node
}

func (c *classifier) visit(n syntax.Node) bool {
	if n == nil {
		c.stack = c.stack[:len(c.stack)-1]
		return true
	}
	c.stack = append(c.stack, n)
	switch n := n.(type) {
	case *syntax.Lit:
		c.mark(n, c.literal)
	case *syntax.SglQuoted:
		c.mark(n, c.singleQuoted)
	case *syntax.Comment:
		c.mark(n, func() place {
			if c.inBackquotes() {
				return refuse("data cannot be quoted inside backquotes: write $( ) instead")
			}
			return placeFor(remark, none)
		})
	case *syntax.Redirect:
		c.heredoc(n)
	}
	return true
}

// pieces returns which words stand within the node.
func (c *classifier) pieces(n syntax.Node) (lo, hi int) {
	lo, _ = slices.BinarySearch(c.starts, int(n.Pos().Offset()))
	hi, _ = slices.BinarySearch(c.starts, int(n.End().Offset()))
	return lo, hi
}

func (c *classifier) has(n syntax.Node) bool {
	lo, hi := c.pieces(n)
	return hi > lo
}

// mark sets the place of the words within the node, unless a command around it has refused them.
func (c *classifier) mark(n syntax.Node, find func() place) {
	lo, hi := c.pieces(n)
	for i := lo; i < hi; i++ {
		if c.places[i].kind == unknown {
			c.places[i] = find()
			c.places[i].nested = c.places[i].kind != asDocument && c.inDocument()
		}
	}
}

func (c *classifier) refuseAll(n syntax.Node, message, hint string) {
	c.mark(n, func() place { return place{kind: refused, message: message, hint: hint} })
}

// checkBefore refuses data after a backslash or dollar that would change how it is read.
func (c *classifier) checkBefore(i, start int) {
	switch c.places[i].kind {
	case asWord, asQuoted, asDouble, asDoubleFallback, asDocument:
	default:
		return
	}
	before := c.text[:start]
	slashes := len(before) - len(strings.TrimRight(before, `\`))
	if slashes%2 == 1 {
		c.places[i] = refuse(`data cannot be quoted after a backslash`)
	}
	if strings.HasSuffix(before, "$") && slashes == 0 {
		c.places[i] = refuse(`data cannot be quoted after a "$"`)
	}
}

func (c *classifier) inBackquotes() bool {
	return slices.ContainsFunc(c.stack, func(n syntax.Node) bool {
		s, ok := n.(*syntax.CmdSubst)
		return ok && s.Backquotes
	})
}

// inDocument reports whether a here-document is around the current node, directly or around its command.
func (c *classifier) inDocument() bool {
	for i, n := range c.stack {
		if i == 0 {
			continue
		}
		if r, ok := c.stack[i-1].(*syntax.Redirect); ok && r.Hdoc != nil && n == syntax.Node(r.Hdoc) {
			return !isQuoted(r.Word)
		}
	}
	return false
}

// parent returns the node n levels above the current one.
func (c *classifier) parent(n int) syntax.Node {
	if i := len(c.stack) - 1 - n; i >= 0 {
		return c.stack[i]
	}
	return nil
}
