package plan

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/handoff-run/handoff/internal/jinja"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/secret"
	"github.com/handoff-run/handoff/internal/shell"
)

// sampleLines stand for the line when the templates of a foreach body are tried out: a word, and a number for
// the places that take only that.
var sampleLines = []string{"line", "1"}

func (b *builder) command(at string, c *project.Command, depth int) *Command {
	out := &Command{Shell: c.Shell, Venv: c.Venv, Env: b.env, Timeout: Duration(c.Timeout), WaitForChildren: c.WaitForChildren}
	if out.Shell == "" {
		out.Shell = "/bin/sh"
	}
	if c.Venv != "" {
		if b.in.Activate == nil {
			b.fail(c.Pos, at, "venv %q needs a workspace", c.Venv)
			return out
		}
		out.Env = append(b.in.Activate(c.Venv), b.env...)
	}
	t, err := jinja.Parse(c.Pos.File, c.Text)
	if err != nil {
		b.templateError(c, at, err)
		return out
	}
	if depth > 0 && b.usesLine(t) {
		b.deferred(at, c, t, out, depth)
		return out
	}
	q := shell.For(out.Shell)
	r, err := t.RenderMarked(b.vars)
	b.undefined(c, at, r.Undefined)
	var text string
	if err == nil {
		text, err = quoted(r, q)
	}
	if err != nil {
		b.templateError(c, at, err)
		return out
	}
	b.derived = append(b.derived, secret.Derived(r.Text, r.Secrets)...)
	script := b.script(out.Shell, r, text)
	out.Direct = script.Words != nil
	out.Text = func([]string) (Script, error) { return script, nil }
	out.Script = text
	if len(r.Secrets) > 0 {
		out.Script = shown(r, q)
	}
	b.unseenFailure(c, at, out)
	b.warnAbsent(c, at, out.Script)
	return out
}

var templateTag = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?s)\{\{.*?\}\}|\{%.*?%\}`) })

// noPipe stands for a | that is none of the shell.
const noPipe = "\ufffc"

// unseenFailure warns of a pipe inside of a command: only its last part decides how the command ends, so that a load of
// the half looks complete.
func (b *builder) unseenFailure(c *project.Command, at string, out *Command) {
	if c.AllowPipe || !strings.Contains(out.Script, "|") {
		return
	}
	// The script of a foreach body has its templates still in it, and a filter is no pipe.
	script := templateTag().ReplaceAllStringFunc(out.Script, func(tag string) string { return strings.ReplaceAll(tag, "|", noPipe) })
	if line, part, found := shell.UnseenFailure(out.Shell, script); found {
		part = strings.ReplaceAll(part, noPipe, "|")
		b.warnings = append(b.warnings, project.Diagnostic{
			Pos: linePos(c, line), Path: at, Message: fmt.Sprintf("a failure of %q would not be noticed: it stands before a pipe within one command", shorten(b.redactor.String(part))),
			Hint: "split it into stages; or shell: /bin/bash and `set -o pipefail`; allow_pipe: true if that is what you want",
		})
	}
}

// warnAbsent warns of files and programs that a command names and that are not there. Another command may make them: no error.
func (b *builder) warnAbsent(c *project.Command, at, script string) {
	if b.in.HasFile == nil || b.in.HasProgram == nil {
		return
	}
	warn := func(message, hint string) {
		d := project.Diagnostic{Pos: c.Pos, Path: at, Message: b.redactor.String(message), Hint: hint}
		if !slices.Contains(b.warnings, d) {
			b.warnings = append(b.warnings, d)
		}
	}
	uses := shell.Look(c.Shell, script)
	for _, name := range uses.Arguments {
		if _, value, option := strings.Cut(name, "="); option {
			name = value
		}
		if strings.HasPrefix(name, "files/") && !strings.ContainsAny(name, "*?[{") && !b.in.HasFile(name) {
			warn(fmt.Sprintf("%q is not in the project", name), "")
		}
	}
	for _, name := range uses.Programs {
		switch {
		case strings.Contains(name, secret.Mask) || strings.ContainsAny(name, "{}*?[") || b.in.HasProgram(c.Venv, name):
		case c.Venv == "":
			warn(fmt.Sprintf("there is no program %q on the PATH", name), "install it, or name its venv")
		default:
			warn(fmt.Sprintf("there is no program %q in venv %q or on the PATH", name, c.Venv), "see what the installs of this venv bring")
		}
	}
}

// shorten cuts a text down to what a message shows of it.
func shorten(text string) string {
	const most = 60
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}

// quoted is the rendered script with its data quoted for the shell.
func quoted(r jinja.Rendered, q *shell.Quoter) (string, error) {
	data := make([]shell.Piece, len(r.Data))
	for i, p := range r.Data {
		data[i] = shell.Piece(p)
	}
	return q.Script(r.Text, data)
}

// shown is quoted without secrets.
func shown(r jinja.Rendered, q *shell.Quoter) string {
	r = r.Masked(secret.Mask)
	if text, err := quoted(r, q); err == nil {
		return text
	}
	return r.Text
}

// script is text, which was rendered as r, with what is to be known of it.
func (b *builder) script(sh string, r jinja.Rendered, text string) Script {
	if len(r.Secrets) > 0 || b.redactor.Contains(text) {
		return Script{Text: text, Private: true}
	}
	return Script{Text: text, Words: shell.Direct(sh, text)}
}

func (b *builder) usesLine(t *jinja.Template) bool {
	return t.Uses("_line") || t.Uses("_line_safe") || t.Uses("_lines") || b.bodyFile != nil && t.Uses(stateVar)
}

// deferred resolves a command of a foreach body: all but the line is known now.
func (b *builder) deferred(at string, c *project.Command, t *jinja.Template, out *Command, depth int) {
	vars, file, quoter := b.vars, b.bodyFile, shell.For(out.Shell)
	names := []string{"_line", "_line_safe", "_lines"}
	if file != nil {
		names = append(names, stateVar)
	}
	preview := t.Preview(vars, names...)
	b.derived = append(b.derived, secret.Derived(preview.Text, preview.Secrets)...)
	out.Script = preview.Masked(secret.Mask).Text
	b.unseenFailure(c, at, out)
	out.Text = func(lines []string) (Script, error) {
		r, err := t.RenderMarked(withLines(vars, file, lines))
		b.redactor.LearnForNow(secret.Derived(r.Text, r.Secrets)...)
		var text string
		if err == nil {
			text, err = quoted(r, quoter)
		}
		if err != nil {
			return Script{}, project.Errors{diagnose(c, at, err)}
		}
		return b.script(out.Shell, r, text), nil
	}
	b.tryOut(at, c, t, out, quoter, depth)
}

// tryOut finds what is wrong with a command of a foreach whatever its line is: undefined names, and a script in
// which data cannot be quoted. A template that fails as such proves nothing: it may split a real line into parts.
func (b *builder) tryOut(at string, c *project.Command, t *jinja.Template, out *Command, q *shell.Quoter, depth int) {
	var bad error
	for i, line := range sampleLines {
		r, err := t.RenderMarked(withLines(b.vars, b.bodyFile, slices.Repeat([]string{line}, depth)))
		if i == 0 {
			b.undefined(c, at, r.Undefined)
		}
		if err != nil {
			return
		}
		var text string
		if text, bad = quoted(r, q); bad == nil {
			out.Direct = b.script(out.Shell, r, text).Words != nil
			b.tryHostile(at, c, t, q, depth)
			return
		}
		b.derived = append(b.derived, secret.Derived(r.Text, r.Secrets)...) // the error may show them
	}
	b.templateError(c, at, bad)
}

// tryHostile warns of a command that will refuse lines that are not plain words: better now than at the first of them.
func (b *builder) tryHostile(at string, c *project.Command, t *jinja.Template, q *shell.Quoter, depth int) {
	r, err := t.RenderMarked(withLines(b.vars, b.bodyFile, slices.Repeat([]string{"a; b"}, depth)))
	if err != nil {
		return
	}
	_, err = quoted(r, q)
	if e, ok := errors.AsType[*shell.Error](err); ok && e.Cause != "" {
		b.derived = append(b.derived, secret.Derived(r.Text, r.Secrets)...) // the cause may show them
		b.warnings = append(b.warnings, project.Diagnostic{
			Pos: linePos(c, e.Line), Path: at, Message: "a line that is not a plain word stops the run here: " + e.Cause, Hint: e.Hint,
		})
	}
}

// withLines adds what a foreach body sees of its lines: the innermost, its name for files, and all of them; and the file with the state
// of a pipeline that has one for each line.
func withLines(vars jinja.Vars, file func([]string) string, lines []string) jinja.Vars {
	out := make(jinja.Vars, len(vars)+4)
	maps.Copy(out, vars)
	if len(lines) == 0 {
		return out
	}
	all := make([]any, len(lines))
	for i, l := range lines {
		all[i] = jinja.Data(l)
	}
	last := lines[len(lines)-1]
	out["_line"] = jinja.Data(last)
	out["_line_safe"] = jinja.LineSafe(last)
	out["_lines"] = all
	if file != nil {
		out[stateVar] = jinja.Data(file(lines))
	}
	return out
}

func (b *builder) undefined(c *project.Command, at string, names []jinja.Undefined) {
	for _, u := range names {
		d := project.Diagnostic{Pos: linePos(c, u.Line), Path: at, Message: "variable \"" + u.Name + "\" is not defined"}
		if known := project.Suggest(u.Name, b.names()); known != "" {
			d.Hint = "did you mean \"" + known + "\"?"
		}
		if b.in.Project.Strict {
			b.errors = append(b.errors, d)
			continue
		}
		d.Message += ": it becomes empty text"
		b.warnings = append(b.warnings, d)
	}
}

func (b *builder) names() []string {
	names := make([]string, 0, len(b.vars))
	for name := range b.vars {
		names = append(names, name)
	}
	return names
}

func (b *builder) templateError(c *project.Command, at string, err error) {
	b.errors = append(b.errors, diagnose(c, at, err))
}

// diagnose gives an error of a template its place in the project file.
func diagnose(c *project.Command, at string, err error) project.Diagnostic {
	if te, ok := errors.AsType[*jinja.Error](err); ok {
		return project.Diagnostic{Pos: linePos(c, te.Line), Path: at, Message: te.Message, Hint: te.Hint}
	}
	if se, ok := errors.AsType[*shell.Error](err); ok {
		return project.Diagnostic{Pos: linePos(c, se.Line), Path: at, Message: se.Message, Hint: se.Hint}
	}
	return project.Diagnostic{Pos: c.Pos, Path: at, Message: err.Error()}
}

// linePos is the place in the file of a line (from 1) of the command's text.
func linePos(c *project.Command, line int) project.Pos {
	pos := c.Pos
	if line > 1 {
		pos.Line += line - 1
		pos.Column = 1
	}
	return pos
}

// checkSecrets fails for what the project declares and nobody gave: better now than in the middle of a load.
func (b *builder) checkSecrets() {
	add := cmp.Or(b.in.AddSecret, "add it to .secrets/secrets.yml")
	have := map[string]bool{}
	for _, s := range b.in.Secrets {
		have[s.Key] = true
	}
	for _, s := range b.in.Project.Secrets {
		if !have[s.Key] {
			b.reportMissing(s.Pos, "secrets", fmt.Sprintf("secret %q has no value", s.Key), add)
			have[s.Key] = true // told
		}
	}
	for _, e := range b.in.Project.Envs {
		if e.Value == nil && !have[e.Key] && !b.given(e.Key) {
			b.reportMissing(e.Pos, "envs", fmt.Sprintf("%q has no value and there is no secret of that name", e.Key),
				fmt.Sprintf("%s, or give -e %s=...", add, e.Key))
		}
	}
}

func (b *builder) reportMissing(pos project.Pos, path, message, hint string) {
	d := project.Diagnostic{Pos: pos, Path: path, Message: message, Hint: hint}
	if b.in.CheckOnly || b.in.ShowOnly {
		b.warnings = append(b.warnings, d)
		return
	}
	b.errors = append(b.errors, d)
}

func (b *builder) given(key string) bool {
	for _, e := range b.in.Envs {
		if strings.EqualFold(e.Key, key) {
			return true
		}
	}
	return b.in.Inherited != nil && b.in.Inherited(key)
}

// environment is what every command gets on top of handoff's own environment, and the same for show.
func (b *builder) environment() (env, shown []string) {
	secrets := map[string]secret.Value{}
	for _, s := range b.in.Secrets {
		secrets[s.Key] = s.Value
	}
	set := func(key, value string) {
		env, shown = append(env, key+"="+value), append(shown, key+"="+b.redactor.String(value))
	}
	for _, e := range b.in.Project.Envs {
		if e.Value != nil {
			set(e.Key, *e.Value)
		} else if v, ok := secrets[e.Key]; ok {
			env, shown = append(env, e.Key+"="+v.Reveal()), append(shown, e.Key+"="+v.String())
		}
	}
	for _, e := range b.in.Envs {
		// 0.4.x turns the name to upper case; the name as typed is there too.
		if up := strings.ToUpper(e.Key); up != e.Key {
			set(up, e.Value)
		}
		set(e.Key, e.Value)
	}
	set("HANDOFF_RUN_ID", b.in.RunID)
	set("HANDOFF_STAGE", b.in.EnvStage)
	return env, shown
}
