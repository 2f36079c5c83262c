package template

import (
	"slices"

	"mvdan.cc/sh/v3/syntax"
)

// countedNames are the variables whose values a shell may evaluate: bash runs the command in x='a[$(cmd)]' for
// $((x)), [[ x -eq 1 ]] and ${!x}.
func countedNames(file *syntax.File) map[string]bool {
	names := map[string]bool{}
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
		case *syntax.Assign:
			if n.Index != nil {
				namesIn(n.Index, names)
			}
		}
		return true
	})
	return names
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
