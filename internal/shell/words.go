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
	if words := Direct(shell, script); words != nil { // as most are: no need to parse
		u.Arguments = words[1:]
		if !strings.Contains(words[0], "/") {
			u.Programs = words[:1:1]
		}
		return u
	}
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
		return name == "" || strings.Contains(name, "/") || functions[name] || isBuiltin(name)
	})
	return u
}

// isBuiltin reports whether shells know a name without a program, in any of the shells that handoff knows: a builtin or a
// reserved word.
func isBuiltin(name string) bool { return strings.Contains(builtins, " "+name+" ") }

const builtins = " . : [ [[ alias bg bind break builtin caller case cd chdir command compgen complete compopt continue coproc " +
	"declare dirs disown do done echo elif else enable esac eval exec exit export false fc fg fi for function getopts hash help " +
	"history if in jobs kill let local logout mapfile popd print printf pushd pwd read readarray readonly return select set " +
	"shift shopt source suspend test then time times trap true type typeset ulimit umask unalias unset until wait whence while "
