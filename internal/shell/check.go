package shell

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// unsafe is the first construct of a script that is not known to leave data alone.
type unsafe struct {
	line   int // of the script
	what   string
	hint   string
	always bool // it keeps out plain words, too: what it reads is a program
}

const argumentHint = `pass it as an argument: sh -c 'echo "$1"' _ {{ ... }}`

func (u *unsafe) refusal(data string) *Error {
	if u.always {
		return &Error{Message: fmt.Sprintf("data would be code on line %d of the script: %s", u.line, u.what), Hint: u.hint}
	}
	cause := fmt.Sprintf("line %d of the script: %s", u.line, u.what)
	return &Error{Message: fmt.Sprintf("the data %s is not a plain word and could be code on %s", shown(data), cause), Hint: u.hint, Cause: cause}
}

// checker walks a script and finds what is not on the list of safe constructs. It does not follow data: every
// variable and the output of every command counts as data. So one construct that evaluates is enough to let no data
// in, and none of them leaves nothing that could evaluate it. What it does not know is unsafe.
type checker struct {
	text    string          // of the script
	within  string          // "sh -c" for the script of an inner shell, which has no data of its own
	line    int             // of the script before this one, for an inner shell
	c       *classifier     // nil within an inner shell
	written map[string]bool // names, without folders, of the files that redirections write
	rules   map[string]rule // of commands, by name
	found   *unsafe
}

func (k *checker) file(f *syntax.File) {
	k.written = map[string]bool{}
	named := map[string][]string{} // values that the script gives to variables
	syntax.Walk(f, func(n syntax.Node) bool {
		if a, ok := n.(*syntax.Assign); ok && a.Name != nil && a.Value != nil {
			if file, ok := lastName(a.Value); ok {
				named[a.Name.Value] = append(named[a.Name.Value], file)
			}
		}
		return true
	})
	syntax.Walk(f, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Redirect:
			k.writes(named, n.Word)
		case *syntax.CallExpr:
			if len(n.Args) > 0 && k.source(n.Args[0]) == "tee" {
				k.writes(named, n.Args[1:]...)
			}
		}
		return true
	})
	k.stmts(f.Stmts)
}

// writes remembers files that the script writes: it must not run them. Folders do not count, since a script can change its own.
func (k *checker) writes(named map[string][]string, words ...*syntax.Word) {
	for _, w := range words {
		if w == nil {
			continue
		}
		if file, ok := lastName(w); ok {
			k.written[file] = true
		}
		for _, file := range named[strings.Trim(k.source(w), `"${}`)] {
			k.written[file] = true
		}
	}
}

// isWritten reports whether the script writes a file of this name.
func (k *checker) isWritten(file string) bool { return k.written[path.Base(file)] }

// lastName returns the last part of the name of a file, where that is written out: s of "$PWD"/s.
func lastName(w *syntax.Word) (string, bool) {
	if file, ok := literal(w); ok {
		return path.Base(file), file != ""
	}
	last := w.Parts[len(w.Parts)-1]
	if q, ok := last.(*syntax.DblQuoted); ok && len(q.Parts) > 0 {
		last = q.Parts[len(q.Parts)-1]
	}
	l, ok := last.(*syntax.Lit)
	if !ok {
		return "", false
	}
	file, ok := literal(&syntax.Word{Parts: []syntax.WordPart{l}})
	return path.Base(file), ok && strings.Contains(file, "/") && !strings.HasSuffix(file, "/")
}

// refuse notes a construct that keeps out data that is not a plain word.
func (k *checker) refuse(n syntax.Node, what, hint string) { k.note(n, what, hint, false) }

// note keeps the first construct, or the first one that keeps out all data.
func (k *checker) note(n syntax.Node, what, hint string, always bool) {
	if k.found != nil && (k.found.always || !always) {
		return
	}
	if hint == "" {
		hint = "pass the data as an argument to a script file, or in an environment variable that a program reads; {{ ... | raw }} puts it in as code"
	}
	if k.within != "" {
		what += " in the script of " + k.within
	}
	k.found = &unsafe{k.line + int(n.Pos().Line()), what + " (" + excerpt(k.source(n)) + ")", hint, always}
}

// source is a node as it was written.
func (k *checker) source(n syntax.Node) string {
	return k.text[n.Pos().Offset():min(int(n.End().Offset()), len(k.text))]
}

// excerpt is the beginning of a piece of script on one line, with the data as it stands in a template.
func excerpt(text string) string {
	const most = 50
	text, _, _ = strings.Cut(strings.ReplaceAll(text, placeholder, "{{ ... }}"), "\n")
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

func (k *checker) stmts(list []*syntax.Stmt) {
	for _, s := range list {
		k.stmt(s)
	}
}

func (k *checker) stmt(s *syntax.Stmt) {
	if s.Coprocess || s.Disown {
		k.refuse(s, "a coprocess", "")
	}
	for _, r := range s.Redirs {
		k.redirect(r)
	}
	switch n := s.Cmd.(type) {
	case nil:
	case *syntax.CallExpr:
		k.call(n, s.Redirs)
	case *syntax.DeclClause:
		k.declaration(n)
	case *syntax.TestClause:
		k.test(n.X)
	case *syntax.TimeClause:
		if n.Stmt != nil {
			k.stmt(n.Stmt)
		}
	case *syntax.FuncDecl:
		k.function(n)
	default:
		k.compound(n)
	}
}

// compound checks the commands that consist of others.
func (k *checker) compound(n syntax.Command) {
	switch n := n.(type) {
	case *syntax.BinaryCmd:
		k.stmt(n.X)
		k.stmt(n.Y)
	case *syntax.Block:
		k.stmts(n.Stmts)
	case *syntax.Subshell:
		k.stmts(n.Stmts)
	case *syntax.IfClause:
		for c := n; c != nil; c = c.Else {
			k.stmts(c.Cond)
			k.stmts(c.Then)
		}
	case *syntax.WhileClause:
		k.stmts(n.Cond)
		k.stmts(n.Do)
	case *syntax.ForClause:
		k.loop(n)
	case *syntax.CaseClause:
		k.word(n.Word)
		for _, item := range n.Items {
			k.words(item.Patterns)
			k.stmts(item.Stmts)
		}
	case *syntax.ArithmCmd, *syntax.LetClause:
		k.refuse(n, "arithmetic", "")
	case *syntax.CoprocClause:
		k.refuse(n, "a coprocess", "")
	default:
		k.refuse(n, "a command that handoff does not know", "")
	}
}

func (k *checker) loop(n *syntax.ForClause) {
	words, ok := n.Loop.(*syntax.WordIter)
	switch {
	case n.Select:
		k.refuse(n, "select", "")
		return
	case !ok:
		k.refuse(n, "arithmetic", "")
		return
	}
	k.assignable(n, words.Name.Value, false)
	k.words(words.Items)
	k.stmts(n.Do)
}

// function checks a function where it is defined: its arguments are data, and its body knows no more than the rest.
func (k *checker) function(n *syntax.FuncDecl) {
	if n.RsrvWord || n.Name == nil || !syntax.ValidName(n.Name.Value) || k.rule(n.Name.Value) != nil {
		k.refuse(n, "a function of this name", "")
		return
	}
	k.stmt(n.Body)
}

// redirect checks a redirection and its here-document.
func (k *checker) redirect(r *syntax.Redirect) {
	if r.N != nil && (len(r.N.Value) > 1 || r.N.Value < "0" || r.N.Value > "9") {
		k.refuse(r, "a redirection to a file descriptor beyond 9", "")
	}
	switch r.Op {
	case syntax.RdrIn, syntax.RdrInOut, syntax.RdrOut, syntax.AppOut, syntax.RdrClob, syntax.RdrAll, syntax.AppAll, syntax.WordHdoc:
		k.word(r.Word)
	case syntax.DplIn, syntax.DplOut:
		if t, ok := literal(r.Word); !ok || len(t) != 1 || t != "-" && (t < "0" || t > "9") {
			k.refuse(r, "a file descriptor that is not a number", "")
		}
	case syntax.Hdoc, syntax.DashHdoc:
		if r.Hdoc != nil && !isQuoted(r.Word) {
			k.word(r.Hdoc)
		}
	default:
		k.refuse(r, "a redirection that handoff does not know", "")
	}
}

// test checks what stands in [[ ]]: comparisons of text and questions about files.
func (k *checker) test(x syntax.TestExpr) {
	switch x := x.(type) {
	case *syntax.Word:
		k.word(x)
	case *syntax.ParenTest:
		k.test(x.X)
	case *syntax.UnaryTest:
		switch x.Op {
		case syntax.TsVarSet, syntax.TsRefVar, syntax.TsOptSet, syntax.TsFdTerm:
			k.refuse(x, "a test that evaluates its operand", "")
		}
		k.test(x.X)
	case *syntax.BinaryTest:
		if isNumeric(x.Op) {
			k.refuse(x, "arithmetic in [[ ]]", `write [ "$x" -gt 5 ]: it takes nothing but numbers`)
		}
		k.test(x.X)
		k.test(x.Y)
	default:
		k.refuse(x, "a test that handoff does not know", "")
	}
}

func (k *checker) words(words []*syntax.Word) {
	for _, w := range words {
		k.word(w)
	}
}

// word checks what is expanded within a word.
func (k *checker) word(w *syntax.Word) {
	if w != nil {
		k.parts(w.Parts)
	}
}

func (k *checker) parts(parts []syntax.WordPart) {
	for _, part := range parts {
		switch p := part.(type) {
		case *syntax.Lit:
		case *syntax.SglQuoted:
			if p.Dollar {
				k.refuse(p, "$'...', which shells read differently", "")
			}
		case *syntax.DblQuoted:
			if p.Dollar {
				k.refuse(p, `$"...", which shells read differently`, "")
			}
			k.parts(p.Parts)
		case *syntax.ParamExp:
			k.parameter(p)
		case *syntax.CmdSubst:
			if p.Backquotes || p.TempFile || p.ReplyVar {
				k.refuse(p, "backquotes", "write $( ) instead")
			}
			k.stmts(p.Stmts)
		case *syntax.ProcSubst:
			k.stmts(p.Stmts)
		case *syntax.ArithmExp:
			if !k.isSum(p) {
				k.refuse(p, "arithmetic", "let a program calculate, such as awk or python, or keep to numbers")
			}
		default:
			k.refuse(p, "an expansion that handoff does not know", "")
		}
	}
}

// isSum reports whether arithmetic is about numbers only: digits, and data, which must be a number there.
func (k *checker) isSum(n *syntax.ArithmExp) bool {
	sum := !n.Bracket
	syntax.Walk(n.X, func(n syntax.Node) bool {
		if w, ok := n.(*syntax.Word); ok {
			sum = sum && (isDigits(k.source(w)) || k.within == "" && k.c.isWhole(w) && k.c.has(w))
			return false
		}
		return true
	})
	return sum
}

func isDigits(t string) bool { return t != "" && strings.Trim(t, "0123456789") == "" }

// parameter checks a $x or ${x...}: no indirection, nothing that is calculated, no transformation.
func (k *checker) parameter(p *syntax.ParamExp) {
	switch {
	case !isKnown(p):
		k.refuse(p, "an expansion that evaluates", "")
	case p.Index != nil && !k.isIndex(p.Index):
		k.refuse(p, "an index that is calculated", "")
	case p.Slice != nil && !(k.isOffset(p.Slice.Offset) && k.isOffset(p.Slice.Length)):
		k.refuse(p, "an offset that is calculated", "")
	}
	if p.Repl != nil {
		k.word(p.Repl.Orig)
		k.word(p.Repl.With)
	}
	if p.Exp == nil {
		return
	}
	switch p.Exp.Op {
	case syntax.OtherParamOps:
		k.refuse(p, "an expansion that evaluates", "")
	case syntax.AssignUnset, syntax.AssignUnsetOrNull:
		if p.Param != nil {
			k.assignable(p, p.Param.Value, false)
		}
	}
	k.word(p.Exp.Word)
}

// isKnown reports whether an expansion is one of POSIX, or of an array: no ${!x}, nothing of other shells.
func isKnown(p *syntax.ParamExp) bool {
	return p.Param != nil && !p.Excl && p.Names == 0 && !p.Width && !p.IsSet && p.Flags == nil && p.NestedParam == nil &&
		p.Split == 0 && p.GlobSubst == 0 && p.RcExpand == 0 && len(p.Modifiers) == 0
}

func (k *checker) isIndex(x syntax.ArithmExpr) bool {
	t := k.source(x)
	return t == "@" || t == "*" || isDigits(t)
}

func (k *checker) isOffset(x syntax.ArithmExpr) bool { return x == nil || isDigits(k.source(x)) }

// assign checks an assignment: to a variable that has no meaning to a shell, and to no calculated index.
func (k *checker) assign(a *syntax.Assign) {
	if a.Index != nil {
		k.refuse(a, "an index that is calculated", "")
	}
	if a.Array != nil {
		for _, e := range a.Array.Elems {
			if e.Index != nil {
				k.refuse(e, "an index that is calculated", "")
			}
			k.word(e.Value)
		}
	}
	k.word(a.Value)
	if a.Name != nil {
		k.assignable(a, a.Name.Value, a.Array == nil && (a.Value == nil || isOwn(a.Value)))
	}
}

// declaration checks the commands export, local and the like, in the shells whose grammar knows them.
func (k *checker) declaration(n *syntax.DeclClause) {
	if !slices.Contains(strings.Fields("declare export local readonly typeset"), n.Variant.Value) {
		k.refuse(n, n.Variant.Value, "")
	}
	for _, a := range n.Args {
		if a.Naked && a.Value != nil {
			k.word(a.Value)
			k.declared([]*syntax.Word{a.Value})
			continue
		}
		k.assign(a)
	}
}
