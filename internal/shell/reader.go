package shell

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

const scriptMessage = "data in the script of a shell would be code"

// readsInput reports whether a shell with these arguments reads its script from standard input.
func readsInput(args []*syntax.Word) bool {
	for i := 0; i < len(args); i++ {
		t := static(args[i])
		switch {
		case hasFlag(t, 's') || isStdin(t):
			return true
		case hasFlag(t, 'c') || !isOption(t) && t != "-":
			return false
		case takesValue(t):
			i++
		}
	}
	return true
}

func isStdin(file string) bool {
	return file == "/dev/stdin" || file == "/dev/fd/0" || file == "/proc/self/fd/0"
}

func isSource(name string) bool { return name == "." || name == "source" }

// isScriptReader reports whether the command is a shell, or the command source, that runs what it reads.
func isScriptReader(call *syntax.CallExpr) bool {
	if len(call.Args) == 0 {
		return false
	}
	if isSource(static(call.Args[0])) {
		return len(call.Args) > 1 && isStdin(static(call.Args[1]))
	}
	at := slices.IndexFunc(call.Args, func(w *syntax.Word) bool { return isShell(commandName(w)) })
	if at < 0 || at > 0 && startsNothing(static(call.Args[0])) {
		return false
	}
	return readsInput(call.Args[at+1:]) || insertsInput(call.Args[:at], call.Args[at:])
}

// startsNothing names common commands to which a word such as sh is only text: grep sh.
func startsNothing(name string) bool {
	switch name {
	case "grep", "egrep", "fgrep", "rg", "echo", "printf", "cat", "ls", "sed", "tr", "cut", "sort", "uniq", "head", "tail", "wc", "jq", "diff":
		return true
	}
	return false
}

// insertsInput reports whether xargs puts what it reads into the script of a shell: xargs -I{} sh -c 'echo {}'.
func insertsInput(before, shell []*syntax.Word) bool {
	script := innerScript(commandName(shell[0]), shell[1:])
	if script == nil || !slices.ContainsFunc(before, func(w *syntax.Word) bool { return static(w) == "xargs" }) {
		return false
	}
	for i, w := range before {
		mark, ok := strings.CutPrefix(static(w), "-I")
		if ok && mark == "" && i+1 < len(before) {
			mark = static(before[i+1])
		}
		if mark != "" && ok && strings.Contains(static(script), mark) {
			return true
		}
	}
	return false
}

// scriptFile refuses data in what is printed by <( ) for a shell, or source, to run.
func (c *classifier) scriptFile(args []*syntax.Word) {
	for i, w := range args {
		name := commandName(w)
		if !isShell(name) && !(i == 0 && isSource(name)) {
			continue
		}
		for _, file := range args[i+1:] {
			if t := static(file); isOption(t) {
				continue
			}
			if printsScript(file) {
				c.refuseAll(file, scriptMessage, argumentHint)
			}
			break
		}
	}
}

func printsScript(w *syntax.Word) bool {
	return slices.ContainsFunc(w.Parts, func(p syntax.WordPart) bool {
		_, ok := p.(*syntax.ProcSubst)
		return ok
	})
}

// shellInput refuses data in a redirection that a shell reads as its script.
func (c *classifier) shellInput(n *syntax.Stmt) {
	call, ok := n.Cmd.(*syntax.CallExpr)
	if !ok || !isScriptReader(call) {
		return
	}
	for _, r := range n.Redirs {
		if r.Hdoc != nil {
			c.refuseAll(r.Hdoc, scriptMessage, argumentHint)
		}
		if r.Op == syntax.WordHdoc || r.Word != nil && printsScript(r.Word) {
			c.refuseAll(r.Word, scriptMessage, argumentHint)
		}
	}
}

// pipedScript refuses data that is printed into a shell, also by way of other commands: echo {{ x }} | tee f | sh.
func (c *classifier) pipedScript(n *syntax.BinaryCmd) {
	if n.Op != syntax.Pipe && n.Op != syntax.PipeAll || !c.has(n.X) || !readsScript(n.Y) {
		return
	}
	syntax.Walk(n.X, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CallExpr:
			if len(n.Args) > 0 && slices.Contains([]string{"echo", "printf", "print"}, static(n.Args[0])) {
				c.refuseAll(n, scriptMessage, argumentHint)
			}
		case *syntax.Redirect:
			if n.Hdoc != nil {
				c.refuseAll(n.Hdoc, scriptMessage, argumentHint)
			}
			if n.Op == syntax.WordHdoc {
				c.refuseAll(n.Word, scriptMessage, argumentHint)
			}
		}
		return true
	})
}

// readsScript reports whether a shell that runs its input is anywhere in the node.
func readsScript(n syntax.Node) (found bool) {
	syntax.Walk(n, func(n syntax.Node) bool {
		if call, ok := n.(*syntax.CallExpr); ok {
			found = found || isScriptReader(call)
		}
		return !found
	})
	return found
}
