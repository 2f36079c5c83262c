package shell

import (
	"path"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// static answers the text of a word without expansions, without its quotes; "" for another word.
func static(w *syntax.Word) string {
	var b strings.Builder
	for _, part := range w.Parts {
		switch p := part.(type) {
		case *syntax.Lit:
			b.WriteString(unescapeLit(p.Value))
		case *syntax.SglQuoted:
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			for _, inner := range p.Parts {
				l, ok := inner.(*syntax.Lit)
				if !ok {
					return ""
				}
				b.WriteString(l.Value)
			}
		default:
			return ""
		}
	}
	return b.String()
}

func unescapeLit(t string) string {
	if !strings.Contains(t, `\`) {
		return t
	}
	var b strings.Builder
	for i := 0; i < len(t); i++ {
		if t[i] == '\\' && i+1 < len(t) {
			i++
		}
		b.WriteByte(t[i])
	}
	return b.String()
}

// call refuses data in arguments that a command takes for code.
func (c *classifier) call(n *syntax.CallExpr) {
	if len(n.Args) == 0 || !c.has(n) {
		return
	}
	c.innerShells(n.Args)
	c.scriptFile(n.Args)
	args := n.Args
	for len(args) > 1 && isPrefix(static(args[0])) {
		args = args[1:]
	}
	name := static(args[0])
	switch name {
	case "eval", "trap", "alias":
		c.refuseWords(args[1:], "data in "+name+" would be code", argumentHint)
	case "let":
		c.refuseWords(args[1:], "data in let would be code", "write $(( )) instead")
	case "unset", "read", "getopts", "mapfile", "readarray", "wait":
		c.refuseWords(args[1:], "data cannot be the name of a variable", rawHint)
	case "declare", "typeset", "local", "export", "readonly":
		c.declared(args[1:])
	case "printf":
		c.printf(args)
	case "env":
		c.splitString(args[1:])
	case "test", "[":
		c.testCommand(args)
	}
}

// printf refuses data in the name after -v.
func (c *classifier) printf(args []*syntax.Word) {
	const message = "data cannot be the name of a variable"
	switch {
	case len(args) < 2 || !strings.HasPrefix(c.source(args[1]), "-v"):
	case c.has(args[1]):
		c.refuseAll(args[1], message, rawHint)
	case len(args) > 2 && static(args[1]) == "-v":
		c.refuseAll(args[2], message, rawHint)
	}
}

// splitString refuses data in what env -S takes for a command line.
func (c *classifier) splitString(args []*syntax.Word) {
	for i, w := range args {
		t := c.source(w)
		if !strings.HasPrefix(t, "-S") && !strings.HasPrefix(t, "--split-string") {
			continue
		}
		c.refuseWords(args[i:min(len(args), i+2)], "data in env -S would be split into words", rawHint)
	}
}

// source is a word as it was written.
func (c *classifier) source(w *syntax.Word) string { return c.text[w.Pos().Offset():w.End().Offset()] }

func isPrefix(name string) bool { return name == "command" || name == "builtin" || name == "exec" }

func (c *classifier) refuseWords(words []*syntax.Word, message, hint string) {
	for _, w := range words {
		c.refuseAll(w, message, hint)
	}
}

func isShell(name string) bool {
	switch path.Base(name) {
	case "sh", "bash", "dash", "ash", "zsh", "ksh", "ksh93", "mksh", "busybox", "su", "rbash":
		return true
	}
	return false
}

// commandName is the static text of a word; a variable such as $SHELL counts as a shell.
func commandName(w *syntax.Word) string {
	part := w.Parts[0]
	if q, ok := part.(*syntax.DblQuoted); ok && len(q.Parts) == 1 {
		part = q.Parts[0]
	}
	p, ok := part.(*syntax.ParamExp)
	if !ok || len(w.Parts) > 1 || p.Param == nil {
		return static(w)
	}
	if name := strings.ToUpper(p.Param.Value); name == "SHELL" || strings.HasSuffix(name, "SH") {
		return "sh"
	}
	return ""
}

// innerShells refuses data in the script of `sh -c script`, wherever in a command that stands: the outer quoting is
// gone when the inner shell reads it.
func (c *classifier) innerShells(args []*syntax.Word) {
	for i, w := range args {
		if name := commandName(w); name != "" && isShell(name) {
			if script := innerScript(path.Base(name), args[i+1:]); script != nil {
				c.refuseAll(script, "data in the script of "+path.Base(name)+" -c would be code", argumentHint)
			}
		}
	}
}

// innerScript answers the script among the arguments of a shell, nil if there is none.
func innerScript(shell string, args []*syntax.Word) *syntax.Word {
	command := false
	for i := 0; i < len(args); i++ {
		t := static(args[i])
		switch {
		case isOption(t):
			command = command || hasFlag(t, 'c') || t == "--command" || t == "--session-command"
			if takesValue(t) {
				i++
			}
		case command:
			return args[i]
		case t != "" && shell != "su": // a file: what follows are its arguments
			return nil
		}
	}
	return nil
}

func isOption(t string) bool { return len(t) > 1 && (t[0] == '-' || t[0] == '+') }

// hasFlag reports whether a group of one-letter options has the flag.
func hasFlag(t string, flag byte) bool {
	return isOption(t) && !strings.HasPrefix(t, "--") && strings.IndexByte(t, flag) > 0
}

func takesValue(t string) bool {
	if strings.HasPrefix(t, "--") {
		return t == "--rcfile" || t == "--init-file"
	}
	return strings.HasSuffix(t, "o") || strings.HasSuffix(t, "O")
}

// declared refuses data in declare and its like, except in the value of name=value.
func (c *classifier) declared(args []*syntax.Word) {
	integer := false
	for _, w := range args {
		t := c.source(w)
		if len(t) > 1 && (t[0] == '-' || t[0] == '+') && strings.Contains(t, "i") {
			integer = true
		}
		lo, hi := c.pieces(w)
		if hi == lo {
			continue
		}
		before := c.text[w.Pos().Offset():c.starts[lo]]
		if integer || !isAssignment(before) {
			c.refuseAll(w, "data cannot be the name of a variable", rawHint)
		}
	}
}

// isAssignment reports whether the text begins with name= or "name=.
func isAssignment(t string) bool {
	name, _, ok := strings.Cut(strings.TrimLeft(t, `"'`), "=")
	return ok && syntax.ValidName(strings.TrimSuffix(name, "+"))
}

// declaration is declared for the shells whose grammar knows declare.
func (c *classifier) declaration(n *syntax.DeclClause) {
	integer := n.Variant.Value == "nameref"
	for _, a := range n.Args {
		if a.Naked && a.Value != nil {
			c.declared([]*syntax.Word{a.Value})
			t := c.text[a.Pos().Offset():a.End().Offset()]
			integer = integer || len(t) > 1 && (t[0] == '-' || t[0] == '+') && strings.ContainsAny(t, "in")
		}
		if integer {
			c.refuseAll(a, "data in an integer variable would be code", rawHint)
		}
	}
}

// testCommand looks after test and [: numbers must be numbers, and -v takes a name.
func (c *classifier) testCommand(args []*syntax.Word) {
	for i, w := range args {
		switch static(w) {
		case "-v", "-R":
			if i+1 < len(args) {
				c.refuseAll(args[i+1], "data cannot be the name of a variable", rawHint)
			}
		case "-eq", "-ne", "-lt", "-le", "-gt", "-ge":
			c.number(args[i-1])
			if i+1 < len(args) {
				c.number(args[i+1])
			}
		}
	}
}

// number makes the operand of a numeric test a number; data in a $( ) within it is left to that command.
func (c *classifier) number(w *syntax.Word) {
	nested := false
	syntax.Walk(w, func(n syntax.Node) bool {
		switch n.(type) {
		case *syntax.CmdSubst, *syntax.ProcSubst:
			nested = nested || c.has(n)
		}
		return true
	})
	if !nested {
		c.mark(w, func() place { return c.numeric(w) })
	}
}
