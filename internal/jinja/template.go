// Package jinja is a Jinja2 engine for configuration files and shell commands: values print as Python prints
// them, and nothing outside of the given variables can be reached: no files, no environment, no Go methods.
// RenderMarked tells which pieces of the text come from data, so that they can be quoted for a shell, and which from
// secrets, so that they can be hidden.
package jinja

import (
	"slices"
	"strings"
)

// Vars are the variables of a rendering. Values are nil, bool, int, int64, float64, string, []any,
// map[string]any (its keys come out sorted), Data, Secret and *Dict. They are never changed.
type Vars map[string]any

// Data is text that comes from data, such as a line of a foreach. RenderMarked tells where it is in the text.
// What a template makes of it is Data again, until the filter raw says otherwise.
type Data string

// Secret is text that must not be seen. RenderMarked tells where it is in the text, and what was made of it: by filters,
// methods, slices, loops, macros, and by numbers that were read from it. What a template only decides by a secret (if,
// a comparison, a length, what it looks up) is not followed.
type Secret string

// Template is a parsed template, safe for concurrent use.
type Template struct {
	name         string
	lib          *library
	source       string // newlines normalised
	body         []stmt
	blocks       map[string]*blockStmt
	refs         []string // every variable name in the source, in order
	finalNewline bool     // the source ended with a newline that Render leaves out
}

// Parse reads a template. The name is for error messages; an error is an *Error.
func Parse(name, source string) (*Template, error) {
	t := &Template{name: name, lib: standard(), source: normalizeNewlines(source)}
	if err := t.parse(); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Template) parse() (err error) {
	p := &parser{t: t}
	defer catch(t.name, &p.line, &err)
	p.tokens = lex(t.name, t.source)
	t.body = p.template()
	t.refs = p.refs
	return nil
}

// Render fills the template in. One final newline of the source is left out, as Jinja2 does. Undefined variables
// print nothing and are reported; an error is an *Error.
func (t *Template) Render(v Vars) (string, []Undefined, error) {
	r, err := t.render(v, false)
	return r.Text, r.Undefined, err
}

// Rendered is what a template has become.
type Rendered struct {
	Text      string
	Data      []Piece  // what comes from Data, in order
	Secrets   [][2]int // what comes from Secret, in order: Text[s[0]:s[1]]
	Undefined []Undefined
}

// Piece is a part of a rendered text that comes from Data: Text[Start:End], made on a line of the template (from 1).
type Piece struct{ Start, End, Line int }

// RenderMarked is Render that also tells where the text comes from.
func (t *Template) RenderMarked(v Vars) (Rendered, error) { return t.render(v, false) }

// RenderFile is RenderMarked for whole files: the final newline of the source is kept.
func (t *Template) RenderFile(v Vars) (Rendered, error) { return t.render(v, t.finalNewline) }

func (t *Template) render(v Vars, newline bool) (r Rendered, err error) {
	s := newState(t, v)
	defer catch(t.name, &s.line, &err)
	s.exec(t.body)
	if newline {
		s.out.write(s, marked{text: "\n"})
	}
	return s.rendered(), nil
}

// Uses reports whether the template refers to the variable.
func (t *Template) Uses(name string) bool {
	return slices.Contains(t.refs, name)
}

// Names returns the variables that the template refers to, in no order.
func (t *Template) Names() []string { return slices.Clone(t.refs) }

func normalizeNewlines(s string) string {
	if !strings.Contains(s, "\r") {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}
