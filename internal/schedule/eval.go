package schedule

import (
	"fmt"
	"strings"
	"time"

	"mvdan.cc/sh/v3/syntax"
)

// maxDepth bounds how deep one $(date ...) may stand in another.
const maxDepth = 8

// Eval returns text with each $(date ...) in it replaced by what GNU date prints when the clock shows now and the local zone is
// loc (nil is UTC). Nothing is run: any other command, also in backquotes, is an error, and so is $((1 + 1)). The rest of the
// text is data and stays as it is, quotes and $NAME included; \$( and \` stand for $( and `.
//
// It knows the options -d (--date), -u (--utc), -I (--iso-8601), a +FORMAT, TZ=zone in front of the command, and a date inside a
// date. Which date strings it knows is said at dateAt; the others are errors with what to write instead.
func Eval(text string, now time.Time, loc *time.Location) (string, error) {
	if !strings.Contains(text, "$(") && !strings.Contains(text, "`") {
		return text, nil
	}
	word, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Document(strings.NewReader(text))
	if err != nil {
		return "", fmt.Errorf("evaluate %q: %w", text, err)
	}
	e := newEvaluator(text, now, loc)
	var out strings.Builder
	for _, part := range word.Parts {
		value, err := e.outside(part)
		if err != nil {
			return "", fmt.Errorf("evaluate %q: %w", text, err)
		}
		out.WriteString(value)
	}
	return out.String(), nil
}

// Words splits text into words as a shell does, without quotes, and evaluates the $(date ...) in them like Eval. What a date
// prints is never split. In single quotes there is nothing to evaluate. It is for __VARS, which holds words such as key=value.
func Words(text string, now time.Time, loc *time.Location) ([]string, error) {
	e := newEvaluator(text, now, loc)
	var words []string
	for w, err := range syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).WordsSeq(strings.NewReader(text)) {
		if err != nil {
			return nil, fmt.Errorf("evaluate %q: %w", text, err)
		}
		word, err := e.word(w, 0)
		if err != nil {
			return nil, fmt.Errorf("evaluate %q: %w", text, err)
		}
		words = append(words, word)
	}
	return words, nil
}

// evaluator replaces the dates of one text.
type evaluator struct {
	text string
	now  time.Time
	loc  *time.Location
}

func newEvaluator(text string, now time.Time, loc *time.Location) *evaluator {
	if loc == nil {
		loc = time.UTC
	}
	return &evaluator{text, now, loc}
}

// source is the text of a node.
func (e *evaluator) source(n syntax.Node) string {
	return e.text[n.Pos().Offset():n.End().Offset()]
}

// refuse is the answer to everything that is code and not a date.
func (e *evaluator) refuse(n syntax.Node) error {
	return fmt.Errorf("%s: only $(date ...) is evaluated here, and nothing is ever run", e.source(n))
}

// outside gives a piece of the text that is not within a command.
func (e *evaluator) outside(part syntax.WordPart) (string, error) {
	switch part := part.(type) {
	case *syntax.Lit:
		return strings.NewReplacer(`\$(`, `$(`, "\\`", "`").Replace(e.source(part)), nil
	case *syntax.CmdSubst:
		return e.command(part, 0)
	case *syntax.ParamExp:
		return e.variable(part)
	}
	return "", e.refuse(part)
}

// variable leaves $NAME and ${NAME} alone, unless there is code in it.
func (e *evaluator) variable(v *syntax.ParamExp) (string, error) {
	pure := true
	syntax.Walk(v, func(n syntax.Node) bool {
		switch n.(type) {
		case *syntax.CmdSubst, *syntax.ArithmExp, *syntax.ProcSubst:
			pure = false
		}
		return pure
	})
	if !pure {
		return "", e.refuse(v)
	}
	return e.source(v), nil
}

// command evaluates one $( ) or ` `.
func (e *evaluator) command(c *syntax.CmdSubst, depth int) (string, error) {
	if len(c.Stmts) != 1 || depth >= maxDepth {
		return "", e.refuse(c)
	}
	stmt := c.Stmts[0]
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok || stmt.Negated || stmt.Background || stmt.Coprocess || len(stmt.Redirs) > 0 || len(call.Args) == 0 {
		return "", e.refuse(c)
	}
	if call.Args[0].Lit() != "date" {
		return "", e.refuse(c)
	}
	loc, err := e.zone(call.Assigns, depth)
	if err != nil {
		return "", fmt.Errorf("%s: %w", e.source(c), err)
	}
	var args []string
	for _, w := range call.Args[1:] {
		arg, err := e.word(w, depth+1)
		if err != nil {
			return "", err
		}
		args = append(args, arg)
	}
	out, err := date(args, e.now, loc)
	if err != nil {
		return "", fmt.Errorf("%s: %w", e.source(c), err)
	}
	return strings.TrimRight(out, "\n"), nil
}

// zone reads the TZ=... in front of a command.
func (e *evaluator) zone(assigns []*syntax.Assign, depth int) (*time.Location, error) {
	loc := e.loc
	for _, a := range assigns {
		if a.Name == nil || a.Name.Value != "TZ" || a.Append || a.Index != nil || a.Array != nil {
			return nil, e.refuse(a)
		}
		name := ""
		if a.Value != nil {
			var err error
			if name, err = e.word(a.Value, depth+1); err != nil {
				return nil, err
			}
		}
		var err error
		if loc, err = dateZone(name); err != nil {
			return nil, err
		}
	}
	return loc, nil
}

// word gives the text of a shell word without its quotes.
func (e *evaluator) word(w *syntax.Word, depth int) (string, error) {
	var out strings.Builder
	for _, part := range w.Parts {
		value, err := e.part(part, depth)
		if err != nil {
			return "", err
		}
		out.WriteString(value)
	}
	return out.String(), nil
}

func (e *evaluator) part(part syntax.WordPart, depth int) (string, error) {
	switch part := part.(type) {
	case *syntax.Lit:
		return unescape(part.Value, ""), nil
	case *syntax.SglQuoted:
		return part.Value, nil
	case *syntax.CmdSubst:
		return e.command(part, depth)
	case *syntax.DblQuoted:
		var out strings.Builder
		for _, inner := range part.Parts {
			value, err := e.quoted(inner, depth)
			if err != nil {
				return "", err
			}
			out.WriteString(value)
		}
		return out.String(), nil
	case *syntax.ParamExp:
		if depth == 0 {
			return e.variable(part)
		}
	}
	return "", e.refuse(part)
}

// quoted gives a part within double quotes.
func (e *evaluator) quoted(part syntax.WordPart, depth int) (string, error) {
	if lit, ok := part.(*syntax.Lit); ok {
		return unescape(lit.Value, "$`\"\\\n"), nil
	}
	return e.part(part, depth)
}

// unescape takes backslashes away: all of them, or those before one of the given characters.
func unescape(s, only string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (only == "" || strings.IndexByte(only, s[i+1]) >= 0) {
			i++
			if s[i] == '\n' {
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}
