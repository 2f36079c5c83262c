package shell

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// The variables that mean something to a shell. What a prompt or a start file holds is evaluated, some are calculated
// when they are set, some change how a script is read.
var (
	evaluatedNames = strings.Fields(`
		ENV PROMPT_COMMAND PS0 PS1 PS2 PS3 PS4 SHELLOPTS POSIXLY_CORRECT PSVAR
		DIRSTACK EPOCHREALTIME EPOCHSECONDS EUID FUNCNAME GROUPS HISTCMD LINENO OPTERR OPTIND PPID RANDOM SECONDS SRANDOM UID
		CHILD_MAX EXECIGNORE FCEDIT FIGNORE GLOBIGNORE GLOBSORT IGNOREEOF INPUTRC MAIL MAILCHECK MAILPATH MAPFILE
		TIMEFORMAT TMOUT COPROC COMPREPLY HOSTFILE SHLVL _ histchars auto_resume`)
	evaluatedFamilies = []string{"BASH", "COMP_", "DYLD_", "HIST", "LD_", "READLINE_"}
	// pathNames are not evaluated, but what they hold decides what runs or how text is read: the author writes it.
	pathNames = strings.Fields("CDPATH HOME IFS LANG LANGUAGE LOCPATH NLSPATH OLDPWD PATH PWD SHELL TERM")
)

// assignable checks that a variable of the name may be set; own: to what the author has written, and no data.
func (k *checker) assignable(at syntax.Node, name string, own bool) {
	switch {
	case isEvaluated(name):
		k.refuse(at, "the variable "+name+", which a shell evaluates", "")
	case isPath(name) && !own:
		k.refuse(at, "the variable "+name+", which decides what the shell does", "")
	}
}

func isEvaluated(name string) bool {
	for _, family := range evaluatedFamilies {
		if strings.HasPrefix(name, family) {
			return true
		}
	}
	return contains(evaluatedNames, name)
}

func isPath(name string) bool { return contains(pathNames, name) || strings.HasPrefix(name, "LC_") }

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// isOwn reports whether a value is written by the author: literal, or made of such variables.
func isOwn(w *syntax.Word) bool {
	own := true
	syntax.Walk(w, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.ParamExp:
			own = own && n.Param != nil && isPath(n.Param.Value) && n.Exp == nil && n.Repl == nil
		case *syntax.CmdSubst, *syntax.ProcSubst, *syntax.ArithmExp, *syntax.ExtGlob:
			own = false
		case *syntax.Lit:
			own = own && !strings.Contains(n.Value, placeholder)
		case *syntax.SglQuoted:
			own = own && !strings.Contains(n.Value, placeholder)
		}
		return own
	})
	return own
}
