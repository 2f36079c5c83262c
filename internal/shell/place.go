package shell

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// surroundings is what encloses a part of a word, up to the command that it belongs to.
type surroundings struct {
	double   bool             // inside "..."
	param    *syntax.ParamExp // inside ${ }
	outer    bool             // "..." or a here-document around param
	document *syntax.Redirect // inside its here-document
	arith    bool             // inside $(( )), (( )), an index, or an offset
	test     syntax.TestExpr  // the innermost test of [[ ]]
	inner    *syntax.Word     // the innermost word
	word     *syntax.Word     // the outermost word
	owner    syntax.Node      // what the outermost word belongs to
}

// around looks outwards from the current node.
func (c *classifier) around() (a surroundings) {
	for i := len(c.stack) - 2; i > 0 && a.enter(c.stack[i], c.stack[i-1]); i-- {
	}
	return a
}

// enter notes a node around what has been seen so far; it is false at the border of the command.
func (a *surroundings) enter(n, parent syntax.Node) bool {
	switch n := n.(type) {
	case *syntax.CmdSubst, *syntax.ProcSubst, *syntax.Stmt:
		return false
	case *syntax.Word:
		a.enterWord(n, parent)
	case *syntax.DblQuoted:
		a.double = a.double || a.param == nil
		a.outer = a.outer || a.param != nil
	case *syntax.ParamExp:
		a.enterParameter(n)
	case *syntax.Assign:
		a.arith = a.arith || within(a.word, n.Index)
	case *syntax.ArrayElem:
		a.arith = a.arith || within(a.word, n.Index)
	case syntax.ArithmExpr, *syntax.ArithmCmd, *syntax.ArithmExp, *syntax.LetClause, *syntax.CStyleLoop:
		a.arith = true
	case syntax.TestExpr:
		if a.test == nil {
			a.test = n
		}
	}
	return true
}

func (a *surroundings) enterWord(n *syntax.Word, parent syntax.Node) {
	if a.inner == nil {
		a.inner = n
	}
	a.word, a.owner = n, parent
	if r, ok := parent.(*syntax.Redirect); ok && r.Hdoc == n {
		a.document = r
		a.outer = a.outer || a.param != nil
	}
}

// enterParameter notes a ${ } around what has been seen so far.
func (a *surroundings) enterParameter(n *syntax.ParamExp) {
	switch {
	case a.param != nil:
		a.arith = true // ${a:-${b:-...}}: nobody needs it, and shells differ
	case n.Slice != nil:
		a.arith = a.arith || within(a.word, n.Slice.Offset, n.Slice.Length)
	default:
		a.arith = a.arith || within(a.word, n.Index)
	}
	a.param = n
}

// within reports whether the word stands inside one of the expressions.
func within(w *syntax.Word, exprs ...syntax.ArithmExpr) bool {
	for _, e := range exprs {
		if w != nil && e != nil && w.Pos().Offset() >= e.Pos().Offset() && w.End().Offset() <= e.End().Offset() {
			return true
		}
	}
	return false
}

// literal is the place of data in plain text of the script, the current node.
func (c *classifier) literal() place {
	if c.inBackquotes() {
		return refuse("data cannot be quoted inside backquotes: write $( ) instead")
	}
	switch c.parent(1).(type) {
	case *syntax.Word, *syntax.DblQuoted:
	case *syntax.ExtGlob:
		return refuse("data cannot be quoted inside a pattern like @( )")
	default: // the name of a variable, function, ...
		return refuse("data cannot be a name in a script")
	}
	a := c.around()
	switch {
	case a.arith:
		return c.arithmetic(a)
	case a.param != nil:
		return c.parameter(a)
	case a.document != nil:
		return c.document(a.document)
	case a.double:
		return c.find(a, double)
	}
	return c.find(a, none)
}

// singleQuoted is the place of data between single quotes, the current node.
func (c *classifier) singleQuoted() place {
	n, _ := c.parent(0).(*syntax.SglQuoted)
	a := c.around()
	switch {
	case c.inBackquotes():
		return refuse("data cannot be quoted inside backquotes: write $( ) instead")
	case n.Dollar || strings.HasSuffix(c.text[:n.Pos().Offset()], "$"):
		return refuse(`data cannot be quoted inside $'...': write "..." or '...' instead`)
	case a.arith || a.outer || a.document != nil:
		return refuse("data cannot be quoted in this place of a script")
	case a.param != nil && !isDefault(a.param):
		return c.parameter(a)
	case a.param != nil:
		return placeFor(fallback, single)
	}
	return c.find(a, single)
}

// find is a place in a word of a command, looked up in the table of contexts.
func (c *classifier) find(a surroundings, q quotes) place {
	switch t := a.test.(type) {
	case *syntax.UnaryTest:
		if t.Op == syntax.TsVarSet || t.Op == syntax.TsRefVar {
			return refuse("data cannot be the name of a variable")
		}
	case *syntax.BinaryTest:
		if isNumeric(t.Op) {
			return c.numeric(a.word)
		}
	}
	return placeFor(c.where(a, q), q)
}

// where names what the outermost word is to its command; "" is in no table.
func (c *classifier) where(a surroundings, q quotes) where {
	switch owner := a.owner.(type) {
	case *syntax.CallExpr:
		if len(owner.Args) > 0 && owner.Args[0] == a.word {
			return name // a plain word could be a keyword or an assignment here
		}
		return c.touches(argument, a.word, q)
	case *syntax.Assign:
		return c.touches(assigned, a.word, q)
	case *syntax.ArrayElem:
		return element
	case *syntax.Redirect:
		switch owner.Op {
		case syntax.Hdoc, syntax.DashHdoc, syntax.DplIn, syntax.DplOut:
			return "" // the word that ends a here-document, the number of a file descriptor
		}
		return redirected
	case *syntax.WordIter:
		return item
	case *syntax.CaseClause, *syntax.CaseItem:
		return matched
	case *syntax.BinaryTest, *syntax.UnaryTest, *syntax.TestClause, *syntax.ParenTest:
		return operand
	}
	return ""
}

// touches is w, or touching where the text around the data gives meaning to plain characters: ~{{ x }}, {a,{{ x }}},
// [{{ x }}], {{ x }}>file.
func (c *classifier) touches(w where, of *syntax.Word, q quotes) where {
	start, end := int(of.Pos().Offset()), int(of.End().Offset())
	if q == none && (strings.ContainsAny(c.text[start:end], "{~[(") || end < len(c.text) && strings.IndexByte("<>(&", c.text[end]) >= 0) {
		return touching
	}
	return w
}

func (c *classifier) arithmetic(a surroundings) place {
	if c.isWhole(a.inner) && !a.double {
		return placeFor(calculated, none)
	}
	return refuse("data in arithmetic must stand alone, without quotes and as one number")
}

// isWhole reports whether the word is nothing but one piece of data.
func (c *classifier) isWhole(w *syntax.Word) bool {
	return w != nil && int(w.End().Offset()-w.Pos().Offset()) == c.wordLen
}

// isDefault reports whether a parameter expansion is one of ${x:-word}, ${x:=word}, ${x:?word}, ${x:+word}.
func isDefault(p *syntax.ParamExp) bool {
	if p.Exp == nil || p.Excl || p.Length || p.Index != nil || p.Flags != nil || p.NestedParam != nil {
		return false
	}
	switch p.Exp.Op {
	case syntax.AlternateUnset, syntax.AlternateUnsetOrNull, syntax.DefaultUnset, syntax.DefaultUnsetOrNull,
		syntax.ErrorUnset, syntax.ErrorUnsetOrNull, syntax.AssignUnset, syntax.AssignUnsetOrNull:
		return true
	}
	return false
}

func (c *classifier) parameter(a surroundings) place {
	if !isDefault(a.param) {
		return place{kind: refused, message: "data cannot be quoted inside ${ }", hint: `put it in a variable first: v={{ ... }}; echo "${x#"$v"}"`}
	}
	switch depth := c.doubleDepth(); {
	case a.document != nil:
	case a.outer && depth == 1:
		return placeFor(fallback, outer)
	case !a.outer && depth == 0:
		return placeFor(fallback, none)
	case !a.outer:
		return placeFor(fallback, inner)
	}
	return place{kind: refused, message: "data cannot be quoted in this place inside ${ }", hint: `put it in a variable first: v={{ ... }}; echo "${x:-$v}"`}
}

// doubleDepth is how many "..." are around the current node in its command.
func (c *classifier) doubleDepth() (n int) {
	for i := len(c.stack) - 2; i >= 0; i-- {
		switch c.stack[i].(type) {
		case *syntax.CmdSubst, *syntax.ProcSubst, *syntax.Stmt:
			return n
		case *syntax.DblQuoted:
			n++
		}
	}
	return n
}

func (c *classifier) document(r *syntax.Redirect) place {
	q := none
	if isQuoted(r.Word) {
		q = single
	}
	p := placeFor(document, q)
	p.tabs = r.Op == syntax.DashHdoc
	return p
}

// isQuoted reports whether any part of the word that ends a here-document is quoted.
func isQuoted(w *syntax.Word) bool {
	for _, part := range w.Parts {
		if l, ok := part.(*syntax.Lit); !ok || strings.Contains(l.Value, `\`) {
			return true
		}
	}
	return false
}

// numeric is the place of an operand that the shell reads as a number.
func (c *classifier) numeric(w *syntax.Word) place {
	text := c.text[w.Pos().Offset():w.End().Offset()]
	if len(strings.Trim(text, `"'`)) == c.wordLen {
		return placeFor(compared, none)
	}
	return refuse("data in a numeric test must stand alone, as one number")
}

// heredoc remembers a here-document that has data in it.
func (c *classifier) heredoc(r *syntax.Redirect) {
	if r.Hdoc == nil || !c.has(r.Hdoc) {
		return
	}
	d := heredoc{
		start: int(r.Hdoc.Pos().Offset()), end: int(r.Hdoc.End().Offset()),
		delimiter: delimiter(r.Word), tabs: r.Op == syntax.DashHdoc,
	}
	d.ends = d.unfit(c.text[d.start:d.end])
	c.heredocs = append(c.heredocs, d)
}

// delimiter is the word that ends a here-document, without its quotes.
func delimiter(w *syntax.Word) string {
	var b strings.Builder
	syntax.Walk(w, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Lit:
			b.WriteString(strings.ReplaceAll(n.Value, `\`, ""))
		case *syntax.SglQuoted:
			b.WriteString(n.Value)
		}
		return true
	})
	return b.String()
}

func isNumeric(op syntax.BinTestOperator) bool {
	switch op {
	case syntax.TsEql, syntax.TsNeq, syntax.TsLeq, syntax.TsGeq, syntax.TsLss, syntax.TsGtr:
		return true
	}
	return false
}
