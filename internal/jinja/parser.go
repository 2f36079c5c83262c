package jinja

import (
	"fmt"
	"slices"
)

// parser reads tokens into statements. Its methods fail with a failure.
type parser struct {
	t      *Template
	tokens []token
	pos    int
	line   int // of the current token
	depth  int
	refs   []string
}

func (p *parser) tok() *token { return &p.tokens[p.pos] }

func (p *parser) next() token {
	t := p.tokens[p.pos]
	if t.kind != tokenEOF {
		p.pos++
	}
	p.line = p.tokens[p.pos].line
	return t
}

func (p *parser) fail(line int, format string, args ...any) {
	panic(failure{&Error{Name: p.t.name, Line: line, Message: fmt.Sprintf(format, args...)}})
}

// is reports whether the current token is the operator or name.
func (p *parser) is(k kind, text string) bool {
	t := p.tok()
	return t.kind == k && t.text == text
}

func (p *parser) accept(k kind, text string) bool {
	if !p.is(k, text) {
		return false
	}
	p.next()
	return true
}

func (p *parser) op(text string) bool      { return p.accept(tokenOperator, text) }
func (p *parser) keyword(text string) bool { return p.accept(tokenName, text) }

func (p *parser) expect(k kind, text string) token {
	t := p.tok()
	if t.kind != k || text != "" && t.text != text {
		p.unexpected(k, text)
	}
	return p.next()
}

func (p *parser) unexpected(k kind, text string) {
	want := text
	if want == "" {
		want = kindName(k)
	}
	if p.tok().kind == tokenEOF {
		p.fail(p.tok().line, "unexpected end of template, expected '%s'", want)
	}
	p.fail(p.tok().line, "expected token '%s', got '%s'", want, describe(p.tok()))
}

func describe(t *token) string {
	if t.kind == tokenOperator || t.kind == tokenName {
		return t.text
	}
	return kindName(t.kind)
}

func kindName(k kind) string {
	return [...]string{
		tokenEOF: "end of template", tokenText: "template data / text", tokenVarBegin: "begin of print statement",
		tokenVarEnd: "end of print statement", tokenBlockBegin: "begin of statement block",
		tokenBlockEnd: "end of statement block", tokenName: "name", tokenString: "string", tokenInteger: "integer",
		tokenFloat: "float", tokenOperator: "operator",
	}[k]
}

// nest guards the recursion of the parser; the caller defers p.unnest.
func (p *parser) nest() {
	p.depth++
	if p.depth > maxNesting {
		p.fail(p.tok().line, "nested too deeply")
	}
}

func (p *parser) unnest() { p.depth-- }

// template reads everything and sets the final newline aside.
func (p *parser) template() []stmt {
	p.line = 1
	if n := len(p.tokens); n > 1 {
		last := &p.tokens[n-2]
		if last.kind == tokenText && last.text[len(last.text)-1] == '\n' && last.end == len(p.t.source) {
			last.text = last.text[:len(last.text)-1]
			p.t.finalNewline = true
		}
	}
	body, _ := p.until()
	return body
}

// until reads statements up to a tag with one of the names, which it consumes and returns; with no names, to the end.
func (p *parser) until(names ...string) (body []stmt, end string) {
	p.nest()
	defer p.unnest()
	for {
		t := p.next()
		switch t.kind {
		case tokenText:
			if t.text != "" {
				body = append(body, &textStmt{span{line: t.line, start: t.start, end: t.end}, t.text})
			}
		case tokenVarBegin:
			body = append(body, p.output(t))
		case tokenBlockBegin:
			if p.tok().kind == tokenName && slices.Contains(names, p.tok().text) {
				return body, p.next().text
			}
			body = append(body, p.statement(t))
		case tokenEOF:
			if len(names) > 0 {
				p.fail(t.line, "unexpected end of template: expected %s", quotedList(names))
			}
			return body, ""
		}
	}
}

func quotedList(names []string) string {
	s := ""
	for i, n := range names {
		if i > 0 {
			s += " or "
		}
		s += "'" + n + "'"
	}
	return s
}

func (p *parser) output(begin token) stmt {
	n := &outputStmt{span: p.begin(begin)}
	n.x = p.tuple(true)
	end := p.expect(tokenVarEnd, "")
	n.end = end.end
	n.refs[1] = len(p.refs)
	n.all = n.refs
	return n
}

// begin opens the span of a statement.
func (p *parser) begin(t token) span {
	return span{line: t.line, start: t.start, refs: [2]int{len(p.refs), len(p.refs)}, all: [2]int{len(p.refs)}}
}

// body reads the body of a block tag: the end of the tag, then statements up to one of the names.
func (p *parser) body(n *span, names ...string) ([]stmt, string) {
	n.refs[1] = len(p.refs)
	p.op(":")
	p.expect(tokenBlockEnd, "")
	return p.until(names...)
}

// statement reads one tag; its "{%" has been read.
func (p *parser) statement(begin token) stmt {
	t := p.tok()
	if t.kind != tokenName {
		if t.kind == tokenEOF {
			p.fail(t.line, "unexpected end of template, expected a tag name")
		}
		p.fail(t.line, "tag name expected")
	}
	n := p.tag(begin, p.next())
	at := n.where()
	at.end = p.expect(tokenBlockEnd, "").end
	at.all[1] = len(p.refs)
	return n
}

func (p *parser) tag(begin, name token) stmt {
	switch name.text {
	case "if":
		return p.ifTag(begin)
	case "for":
		return p.forTag(begin)
	case "set":
		return p.setTag(begin)
	case "with":
		return p.withTag(begin)
	case "macro":
		return p.macroTag(begin)
	case "call":
		return p.callTag(begin)
	case "filter":
		return p.filterTag(begin)
	case "block":
		return p.blockTag(begin)
	case "print":
		return p.printTag(begin)
	case "autoescape":
		return p.autoescapeTag(begin)
	}
	p.unknownTag(name)
	return nil
}

func (p *parser) unknownTag(name token) {
	switch name.text {
	case "include", "import", "from", "extends":
		panic(failure{&Error{
			Name: p.t.name, Line: name.line,
			Message: fmt.Sprintf("'%s' is not available: a template cannot use other files", name.text),
			Hint:    "write the text here, or define a macro in this template",
		}})
	}
	p.fail(name.line, "Encountered unknown tag '%s'.", name.text)
}

func (p *parser) ifTag(begin token) stmt {
	n := &ifStmt{span: p.begin(begin)}
	for {
		b := branch{refs: [2]int{len(p.refs), 0}, test: p.tuple(false)}
		b.refs[1] = len(p.refs)
		body, end := p.body(&n.span, "elif", "else", "endif")
		b.body = body
		n.branches = append(n.branches, b)
		if end == "elif" {
			continue
		}
		if end == "else" {
			body, _ := p.body(&n.span, "endif")
			n.branches = append(n.branches, branch{body: body})
		}
		n.refs[1] = n.refs[0]
		return n
	}
}

func (p *parser) forTag(begin token) stmt {
	n := &forStmt{span: p.begin(begin)}
	n.target = p.targets("in")
	p.expect(tokenName, "in")
	n.over = p.tuple(false)
	if p.keyword("if") {
		n.filter = p.expression()
	}
	n.recursive = p.keyword("recursive")
	body, end := p.body(&n.span, "endfor", "else")
	n.body = body
	refs := n.refs
	if end == "else" {
		n.otherwise, _ = p.body(&n.span, "endfor")
	}
	n.refs = refs
	return n
}

func (p *parser) setTag(begin token) stmt {
	at := p.begin(begin)
	target := p.targets("")
	if p.op("=") {
		n := &setStmt{at, target, p.tuple(true)}
		n.refs[1] = len(p.refs)
		return n
	}
	n := &setBlockStmt{span: at, target: target, filters: p.filters()}
	n.body, _ = p.body(&n.span, "endset")
	return n
}

func (p *parser) withTag(begin token) stmt {
	n := &withStmt{span: p.begin(begin)}
	for p.tok().kind != tokenBlockEnd && !p.is(tokenOperator, ":") {
		if len(n.targets) > 0 {
			p.expect(tokenOperator, ",")
		}
		n.targets = append(n.targets, p.targets(""))
		p.expect(tokenOperator, "=")
		n.values = append(n.values, p.expression())
	}
	n.body, _ = p.body(&n.span, "endwith")
	return n
}

func (p *parser) macroTag(begin token) stmt {
	n := &macroStmt{p.begin(begin), &macroDef{name: p.expect(tokenName, "").text}}
	p.signature(n.macroDef)
	p.macroBody(&n.span, n.macroDef, "endmacro")
	return n
}

// signature reads (a, b=1).
func (p *parser) signature(m *macroDef) {
	p.expect(tokenOperator, "(")
	for !p.is(tokenOperator, ")") {
		if len(m.params) > 0 {
			p.expect(tokenOperator, ",")
		}
		a := param{name: p.assignable(p.expect(tokenName, ""))}
		if p.op("=") {
			a.def = p.expression()
		} else if len(m.params) > 0 && m.params[len(m.params)-1].def != nil {
			p.fail(p.line, "non-default argument follows default argument")
		}
		m.params = append(m.params, a)
	}
	p.expect(tokenOperator, ")")
}

func (p *parser) macroBody(at *span, m *macroDef, end string) {
	from := len(p.refs)
	m.body, _ = p.body(at, end)
	used := p.refs[from:]
	m.usesArgs = slices.Contains(used, "varargs")
	m.usesKw = slices.Contains(used, "kwargs")
	m.usesCaller = slices.Contains(used, "caller")
}

func (p *parser) callTag(begin token) stmt {
	n := &callStmt{span: p.begin(begin), caller: &macroDef{name: "caller"}}
	if p.is(tokenOperator, "(") {
		p.signature(n.caller)
	}
	call, ok := p.expression().(*callExpr)
	if !ok {
		p.fail(begin.line, "expected call")
	}
	n.call = call
	p.macroBody(&n.span, n.caller, "endcall")
	return n
}

func (p *parser) filterTag(begin token) stmt {
	n := &filterStmt{span: p.begin(begin)}
	n.filters = append([]*filterExpr{p.filter(nil)}, p.filters()...)
	n.body, _ = p.body(&n.span, "endfilter")
	return n
}

// filters reads | a | b, for the text of a block.
func (p *parser) filters() (list []*filterExpr) {
	for p.op("|") {
		list = append(list, p.filter(nil))
	}
	return list
}

func (p *parser) blockTag(begin token) stmt {
	n := &blockStmt{span: p.begin(begin), name: p.expect(tokenName, "").text}
	n.scoped = p.keyword("scoped")
	p.keyword("required")
	if p.t.blocks[n.name] != nil {
		p.fail(begin.line, "block '%s' defined twice", n.name)
	}
	if p.t.blocks == nil {
		p.t.blocks = map[string]*blockStmt{}
	}
	p.t.blocks[n.name] = n
	n.body, _ = p.body(&n.span, "endblock")
	p.keyword(n.name)
	return n
}

func (p *parser) printTag(begin token) stmt {
	n := &groupStmt{span: p.begin(begin)}
	for p.tok().kind != tokenBlockEnd {
		if len(n.body) > 0 {
			p.expect(tokenOperator, ",")
		}
		n.body = append(n.body, &outputStmt{p.begin(begin), p.expression()})
	}
	n.refs[1] = len(p.refs)
	return n
}

func (p *parser) autoescapeTag(begin token) stmt {
	n := &groupStmt{span: p.begin(begin)}
	if lit, ok := p.expression().(*literal); !ok || lit.value != false {
		p.fail(begin.line, "automatic escaping is not available: use the filter e")
	}
	n.body, _ = p.body(&n.span, "endautoescape")
	return n
}

// targets reads a, b before end, or one name, or ns.field.
func (p *parser) targets(end string) target {
	var items []target
	for {
		if end != "" && p.is(tokenName, end) {
			break
		}
		items = append(items, p.target())
		if !p.op(",") {
			if len(items) == 1 {
				return items[0]
			}
			break
		}
		if p.is(tokenOperator, "=") {
			break
		}
	}
	return &tupleTarget{items}
}

func (p *parser) target() target {
	p.nest()
	defer p.unnest()
	if p.op("(") {
		t := p.targets("")
		p.expect(tokenOperator, ")")
		return t
	}
	name := p.expect(tokenName, "")
	if p.op(".") {
		p.refs = append(p.refs, name.text)
		return &fieldTarget{name.text, p.expect(tokenName, "").text, name.line}
	}
	return &nameTarget{p.assignable(name)}
}

// assignable fails for names that are constants.
func (p *parser) assignable(t token) string {
	switch t.text {
	case "true", "false", "none", "True", "False", "None":
		p.fail(t.line, "can't assign to 'const'")
	}
	return t.text
}
