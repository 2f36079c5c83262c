package shell

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Uses is what a script names in plain words.
type Uses struct {
	Programs  []string // first words that are neither builtins nor functions of the script, without a "/"
	Arguments []string // other words; not those to which output is redirected
}

// Look reads what a script uses. What it makes by expansion is not in it, and nothing at all where the script cannot be
// parsed, or its shell is none that handoff knows.
func Look(shell, script string) Uses {
	var u Uses
	variants := shellVariants(shellName(shell))
	if len(variants) == 0 {
		return u
	}
	file, err := syntax.NewParser(syntax.Variant(variants[len(variants)-1])).Parse(strings.NewReader(script), "")
	if err != nil {
		return u
	}
	functions := map[string]bool{}
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.FuncDecl:
			functions[n.Name.Value] = true
		case *syntax.Redirect:
			if n.Op == syntax.RdrIn && n.Word != nil {
				u.Arguments = append(u.Arguments, textOf(n.Word.Parts))
			}
		case *syntax.CallExpr:
			words := literals(n.Args)
			if len(words) > 0 {
				u.Programs = append(u.Programs, words[0])
				u.Arguments = append(u.Arguments, words[1:]...)
			}
		}
		return true
	})
	u.Programs = slices.DeleteFunc(u.Programs, func(name string) bool {
		return name == "" || strings.Contains(name, "/") || functions[name] || slices.Contains(builtins(), name)
	})
	return u
}

// builtins are the names that shells know without a program, in any of the shells that handoff knows.
func builtins() []string {
	return strings.Fields(`. : [ [[ alias bg bind break builtin caller case cd command compgen complete compopt continue
		declare dirs disown echo enable eval exec exit export false fc fg function getopts hash help history jobs kill let local
		logout mapfile popd print printf pushd pwd read readarray readonly return select set shift shopt source suspend test time
		times trap true type typeset ulimit umask unalias unset until wait whence`)
}
