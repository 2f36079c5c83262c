package plan

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/handoff-run/handoff/internal/jinja"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/secret"
)

// Notify returns who is told how the run ends, with every template in it filled in, and warnings. The redactor of in learns the
// URLs: whoever knows one can write there. The error is project.Errors.
func Notify(in Input) ([]project.Notify, []project.Diagnostic, error) {
	b := &builder{in: in, vars: Variables(in), redactor: in.Redactor}
	if b.redactor == nil {
		b.redactor = secret.NewRedactor(secretValues(in.Secrets)...)
	}
	list := make([]project.Notify, len(in.Project.Notify))
	for i, n := range in.Project.Notify {
		list[i] = b.notify("notify["+strconv.Itoa(i)+"]", n)
	}
	b.redactor.Learn(b.derived...)
	if len(b.errors) > 0 {
		return nil, b.warnings, b.errors
	}
	return list, b.warnings, nil
}

func (b *builder) notify(at string, n project.Notify) project.Notify {
	switch {
	case n.Mail != nil:
		m := *n.Mail
		at += ".mail"
		for _, field := range []*string{&m.Host, &m.User, &m.Password, &m.From} {
			*field = b.fill(at, m.Pos, *field)
		}
		m.To = make([]string, len(n.Mail.To))
		for i, to := range n.Mail.To {
			m.To[i] = b.fill(at, m.Pos, to)
		}
		n.Mail = &m
	case n.Command != "":
		n.Command = b.fill(at, n.At, n.Command)
	default:
		n.Webhook = strings.TrimSpace(b.fill(at, n.At, n.Webhook))
		b.checkURL(at, n)
	}
	return n
}

// fill returns a text with its templates filled in; where something was wanted and nothing has come out, that is an error.
func (b *builder) fill(at string, pos project.Pos, text string) string {
	c := &project.Command{Pos: pos, Text: text}
	t, err := jinja.Parse(pos.File, text)
	if err != nil {
		b.templateError(c, at, err)
		return ""
	}
	r, err := t.RenderMarked(b.vars)
	b.undefined(c, at, r.Undefined)
	if err != nil {
		b.templateError(c, at, err)
		return ""
	}
	b.derived = append(b.derived, secret.Derived(r.Text, r.Secrets)...)
	if strings.TrimSpace(r.Text) == "" && text != "" && len(r.Undefined) > 0 && !b.in.Project.Strict {
		b.fail(pos, at, "nothing is left of this text: nobody would be told")
	}
	return r.Text
}

// checkURL says what is wrong with a URL without a word of it.
func (b *builder) checkURL(at string, n project.Notify) {
	if n.Webhook == "" || b.in.CheckOnly && strings.Contains(n.Webhook, secret.Mask) {
		return
	}
	b.redactor.Add(secret.NewValue(n.Webhook))
	u, err := url.Parse(n.Webhook)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		b.errors = append(b.errors, project.Diagnostic{Pos: n.At, Path: at, Message: "the webhook is no URL that begins with https://", Hint: "correct the secret, or the text here"})
		return
	}
	if path := u.RequestURI(); len(path) >= 16 { // a shorter one is a word that other texts have, too
		b.redactor.Add(secret.NewValue(path))
	}
}
