package shell

import (
	"slices"

	"mvdan.cc/sh/v3/syntax"
)

// countedNames are the variables whose values a shell may evaluate: bash runs the command in x='a[$(cmd)]' for
// $((x)), [[ x -eq 1 ]], ${!x} and printf -v "$x"; eval "$x" and some names are code to all shells.
func countedNames(file *syntax.File) map[string]bool {
	names := map[string]bool{}
	for _, name := range []string{"PS0", "PS1", "PS2", "PS4", "ENV", "BASH_ENV", "PROMPT_COMMAND"} {
		names[name] = true
	}
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.ArithmExp, *syntax.ArithmCmd, *syntax.LetClause, *syntax.CStyleLoop:
			namesIn(n, names)
		case *syntax.BinaryTest:
			if isNumeric(n.Op) {
				namesIn(n, names)
			}
		case *syntax.ParamExp:
			if n.Excl && n.Param != nil {
				names[n.Param.Value] = true
			}
			if n.Index != nil {
				namesIn(n.Index, names)
			}
			if n.Slice != nil {
				namesIn(n, names)
			}
		case *syntax.UnaryTest:
			if n.Op == syntax.TsVarSet || n.Op == syntax.TsRefVar {
				namesIn(n, names)
			}
		case *syntax.Assign:
			if n.Index != nil {
				namesIn(n.Index, names)
			}
		case *syntax.CallExpr:
			namesOfCall(n.Args, names)
		}
		return true
	})
	return names
}

// namesOfCall adds the variables in what a command takes for code, or for the name of a variable.
func namesOfCall(args []*syntax.Word, names map[string]bool) {
	if len(args) == 0 {
		return
	}
	name := static(args[0])
	takesName := slices.Contains([]string{"test", "[", "printf"}, name) &&
		slices.ContainsFunc(args, func(w *syntax.Word) bool { return static(w) == "-v" || static(w) == "-R" })
	if takesName || name == "eval" || name == "unset" || name == "trap" {
		for _, w := range args[1:] {
			namesIn(w, names)
		}
	}
	for i, w := range args {
		if isShell(commandName(w)) {
			if script := innerScript(commandName(w), args[i+1:]); script != nil {
				namesIn(script, names)
			}
		}
	}
}

// namesIn adds every variable that n mentions.
func namesIn(n syntax.Node, names map[string]bool) {
	syntax.Walk(n, func(n syntax.Node) bool {
		if l, ok := n.(*syntax.Lit); ok && syntax.ValidName(l.Value) {
			names[l.Value] = true
		}
		return true
	})
}

func isNumeric(op syntax.BinTestOperator) bool {
	switch op {
	case syntax.TsEql, syntax.TsNeq, syntax.TsLeq, syntax.TsGeq, syntax.TsLss, syntax.TsGtr:
		return true
	}
	return false
}

// evaluated reports whether the owner gives its words to a variable that the script evaluates.
func (c *classifier) evaluated(owner syntax.Node) bool {
	switch o := owner.(type) {
	case *syntax.Assign:
		return o.Name != nil && c.counted[o.Name.Value]
	case *syntax.WordIter:
		return o.Name != nil && c.counted[o.Name.Value]
	}
	return false
}

// arrayOwner is the assignment around the current element of an array.
func (c *classifier) arrayOwner() syntax.Node {
	for _, n := range slices.Backward(c.stack) {
		if a, ok := n.(*syntax.Assign); ok {
			return a
		}
	}
	return nil
}
