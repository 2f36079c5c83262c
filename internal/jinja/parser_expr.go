package jinja

import (
	"math/big"
	"strconv"
	"strings"
)

// tuple reads an expression, or several with commas between them as a tuple. With cond false, `a if b` ends
// before the if, which belongs to the tag.
func (p *parser) tuple(cond bool) expr {
	return p.tupleIn(cond, false)
}

func (p *parser) tupleIn(cond, parens bool) expr {
	var items []expr
	comma := false
	for !p.tupleEnd() {
		if cond {
			items = append(items, p.expression())
		} else {
			items = append(items, p.or())
		}
		if !p.op(",") {
			break
		}
		comma = true
	}
	switch {
	case comma || len(items) == 0 && parens:
		return &tupleExpr{items}
	case len(items) == 0:
		if p.tok().kind == tokenEOF {
			p.unexpected(tokenVarEnd, "")
		}
		p.fail(p.tok().line, "Expected an expression, got '%s'", describe(p.tok()))
	}
	return items[0]
}

func (p *parser) tupleEnd() bool {
	switch t := p.tok(); t.kind {
	case tokenVarEnd, tokenBlockEnd, tokenEOF:
		return true
	case tokenOperator:
		return t.text == ")"
	}
	return false
}

// expression reads `a if b else c` and everything that binds tighter.
func (p *parser) expression() expr {
	p.nest()
	defer p.unnest()
	x := p.or()
	for p.keyword("if") {
		c := &condExpr{then: x, test: p.or()}
		if p.keyword("else") {
			c.other = p.expression()
		}
		x = c
	}
	return x
}

func (p *parser) or() expr {
	x := p.and()
	for p.keyword("or") {
		x = &logicExpr{false, x, p.and()}
	}
	return x
}

func (p *parser) and() expr {
	x := p.not()
	for p.keyword("and") {
		x = &logicExpr{true, x, p.not()}
	}
	return x
}

func (p *parser) not() expr {
	p.nest()
	defer p.unnest()
	if p.keyword("not") {
		return &notExpr{p.not()}
	}
	return p.compare()
}

func (p *parser) compare() expr {
	first := p.sum()
	var ops []comparison
	for {
		op := p.compareOp()
		if op == "" {
			break
		}
		ops = append(ops, comparison{op, p.sum()})
	}
	if ops == nil {
		return first
	}
	return &compareExpr{first, ops}
}

func (p *parser) compareOp() string {
	t := p.tok()
	switch t.kind {
	case tokenOperator:
		switch t.text {
		case "==", "!=", "<", "<=", ">", ">=":
			return p.next().text
		}
	case tokenName:
		if t.text == "in" {
			return p.next().text
		}
		if after := p.tokens[p.pos+1]; t.text == "not" && after.kind == tokenName && after.text == "in" {
			p.next()
			p.next()
			return "not in"
		}
	}
	return ""
}

// operators reads x op y op z of one precedence, left to right.
func (p *parser) operators(operand func() expr, ops ...string) expr {
	x := operand()
	for {
		t := p.tok()
		found := ""
		for _, op := range ops {
			if t.kind == tokenOperator && t.text == op {
				found = op
			}
		}
		if found == "" {
			return x
		}
		p.next()
		x = &binaryExpr{found, x, operand(), t.line}
	}
}

func (p *parser) sum() expr { return p.operators(p.concat, "+", "-") }

func (p *parser) concat() expr {
	x := p.product()
	if !p.is(tokenOperator, "~") {
		return x
	}
	parts := []expr{x}
	for p.op("~") {
		parts = append(parts, p.product())
	}
	return &concatExpr{parts}
}

func (p *parser) product() expr { return p.operators(p.power, "*", "/", "//", "%") }
func (p *parser) power() expr   { return p.operators(p.unary, "**") }

func (p *parser) unary() expr { return p.filtered(p.signed()) }

// signed reads -x, +x or a primary, with what follows it except filters.
func (p *parser) signed() expr {
	p.nest()
	defer p.unnest()
	for _, op := range []string{"-", "+"} {
		if p.op(op) {
			return p.postfix(&unaryExpr{op[0], p.signed()})
		}
	}
	return p.postfix(p.primary())
}

func (p *parser) primary() expr {
	t := p.next()
	switch t.kind {
	case tokenName:
		return p.name(t)
	case tokenString:
		text := t.text
		for p.tok().kind == tokenString {
			text += p.next().text
		}
		return &literal{text}
	case tokenInteger:
		return &literal{p.integer(t)}
	case tokenFloat:
		f, _ := strconv.ParseFloat(strings.ReplaceAll(t.text, "_", ""), 64)
		return &literal{f}
	case tokenOperator:
		switch t.text {
		case "(":
			p.nest()
			defer p.unnest()
			x := p.tupleIn(true, true)
			p.expect(tokenOperator, ")")
			return x
		case "[":
			return &listExpr{p.list("]")}
		case "{":
			return p.dict()
		}
	case tokenEOF:
		p.fail(t.line, "unexpected end of template, expected 'end of print statement'")
	}
	p.fail(t.line, "unexpected '%s'", describe(&t))
	return nil
}

func (p *parser) name(t token) expr {
	switch t.text {
	case "true", "True":
		return &literal{true}
	case "false", "False":
		return &literal{false}
	case "none", "None":
		return &literal{nil}
	}
	p.refs = append(p.refs, t.text)
	return &nameRef{t.text, t.line}
}

func (p *parser) integer(t token) any {
	n, ok := new(big.Int).SetString(strings.ReplaceAll(t.text, "_", ""), 0)
	if !ok || n.BitLen() > maxIntBits {
		p.fail(t.line, "invalid integer")
	}
	if n.IsInt64() {
		return n.Int64()
	}
	return n
}

// list reads expressions up to the closing bracket.
func (p *parser) list(end string) (items []expr) {
	for !p.op(end) {
		if len(items) > 0 {
			p.expect(tokenOperator, ",")
			if p.op(end) {
				break
			}
		}
		items = append(items, p.expression())
	}
	return items
}

func (p *parser) dict() expr {
	d := &dictExpr{}
	for !p.op("}") {
		if len(d.keys) > 0 {
			p.expect(tokenOperator, ",")
			if p.op("}") {
				break
			}
		}
		d.keys = append(d.keys, p.expression())
		p.expect(tokenOperator, ":")
		d.values = append(d.values, p.expression())
	}
	return d
}

// postfix reads .name, [key] and (args).
func (p *parser) postfix(x expr) expr {
	for {
		t := p.tok()
		if t.kind != tokenOperator {
			return x
		}
		switch t.text {
		case ".":
			p.next()
			x = p.attribute(x)
		case "[":
			p.next()
			x = &indexExpr{x, p.subscript(), t.line}
		case "(":
			x = &callExpr{x, p.args(), t.line}
		default:
			return x
		}
	}
}

func (p *parser) attribute(x expr) expr {
	t := p.next()
	switch t.kind {
	case tokenName:
		return &attrExpr{x, t.text, t.line}
	case tokenInteger:
		return &indexExpr{x, &literal{p.integer(t)}, t.line}
	}
	p.fail(t.line, "expected name or number")
	return nil
}

func (p *parser) subscript() expr {
	var items []expr
	for !p.op("]") {
		if len(items) > 0 {
			p.expect(tokenOperator, ",")
		}
		items = append(items, p.slice())
	}
	if len(items) == 1 {
		return items[0]
	}
	return &tupleExpr{items}
}

// slice reads lo:hi:step, or one expression.
func (p *parser) slice() expr {
	n := &sliceExpr{}
	if !p.is(tokenOperator, ":") {
		n.lo = p.expression()
		if !p.is(tokenOperator, ":") {
			return n.lo
		}
	}
	p.next()
	n.hi = p.sliceEnd()
	if p.op(":") {
		n.step = p.sliceEnd()
	}
	return n
}

func (p *parser) sliceEnd() expr {
	if p.is(tokenOperator, ":") || p.is(tokenOperator, "]") || p.is(tokenOperator, ",") {
		return nil
	}
	return p.expression()
}

// args reads (a, b=1, *c, **d).
func (p *parser) args() argList {
	open := p.expect(tokenOperator, "(")
	a := argList{}
	for first := true; !p.is(tokenOperator, ")"); first = false {
		if !first {
			p.expect(tokenOperator, ",")
			if p.is(tokenOperator, ")") {
				break
			}
		}
		if !p.arg(&a) {
			p.fail(open.line, "invalid syntax for function call expression")
		}
	}
	p.next()
	return a
}

func (p *parser) arg(a *argList) bool {
	switch {
	case p.op("*"):
		ok := a.star == nil && a.starKw == nil
		a.star = p.expression()
		return ok
	case p.op("**"):
		ok := a.starKw == nil
		a.starKw = p.expression()
		return ok
	case p.tok().kind == tokenName && p.tokens[p.pos+1].kind == tokenOperator && p.tokens[p.pos+1].text == "=":
		name := p.next().text
		p.next()
		a.names = append(a.names, name)
		a.kw = append(a.kw, p.expression())
		return a.starKw == nil
	}
	a.pos = append(a.pos, p.expression())
	return a.star == nil && a.starKw == nil && len(a.kw) == 0
}

// filtered reads | filter, is test and (args) after a value.
func (p *parser) filtered(x expr) expr {
	for {
		switch {
		case p.op("|"):
			x = p.filter(x)
		case p.keyword("is"):
			x = p.test(x)
		case p.is(tokenOperator, "("):
			line := p.tok().line
			x = &callExpr{x, p.args(), line}
		default:
			return x
		}
	}
}

// filter reads the name and arguments of a filter.
func (p *parser) filter(x expr) *filterExpr {
	t := p.expect(tokenName, "")
	f := &filterExpr{x: x, name: t.text, line: t.line, fn: p.t.lib.filters[t.text]}
	if f.fn == nil {
		p.fail(t.line, "No filter named '%s'.", t.text)
	}
	if p.is(tokenOperator, "(") {
		f.args = p.args()
	}
	return f
}

func (p *parser) test(x expr) expr {
	negated := p.keyword("not")
	t := p.expect(tokenName, "")
	n := &testExpr{x: x, name: t.text, line: t.line, fn: p.t.lib.tests[t.text]}
	if n.fn == nil {
		p.fail(t.line, "No test named '%s'.", t.text)
	}
	switch {
	case p.is(tokenOperator, "("):
		n.args = p.args()
	case p.startsOperand():
		if p.is(tokenName, "is") {
			p.fail(t.line, "You cannot chain multiple tests with is")
		}
		n.args.pos = []expr{p.postfix(p.primary())}
	}
	if negated {
		return &notExpr{n}
	}
	return n
}

// startsOperand reports whether a test without parentheses is followed by its argument.
func (p *parser) startsOperand() bool {
	t := p.tok()
	switch t.kind {
	case tokenName:
		return t.text != "else" && t.text != "or" && t.text != "and"
	case tokenString, tokenInteger, tokenFloat:
		return true
	case tokenOperator:
		return t.text == "[" || t.text == "{"
	}
	return false
}
