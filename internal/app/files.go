package app

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/handoff-run/handoff/internal/jinja"
	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/secret"
	"github.com/handoff-run/handoff/internal/workspace"
)

// FilesResult names the rendered folder.
type FilesResult struct {
	Status string `json:"status"`
	Files  string `json:"files"`
}

// FilesGetLocal renders the files of the project into the workspace.
func (a *App) FilesGetLocal(ctx context.Context, t Target) (res FilesResult, err error) {
	s, err := a.open(t)
	if err != nil {
		return FilesResult{}, err
	}
	defer s.hideSecrets(&err)
	if err := s.needWorkspace(); err != nil {
		return FilesResult{}, err
	}
	lock, err := a.lock(ctx, s)
	if err != nil {
		return FilesResult{}, err
	}
	defer lock.Release()
	if err := a.render(ctx, s); err != nil {
		return FilesResult{}, err
	}
	return FilesResult{Status: "success", Files: s.ws.Files()}, nil
}

// render fills <workspace>/files. In strict mode an undefined variable is an error, else a warning.
func (a *App) render(ctx context.Context, s *session) error {
	vars := plan.Variables(s.input)
	var derived made
	defer func() { s.redactor.Learn(derived.texts...) }()
	warnings, err := s.ws.Render(ctx, workspace.RenderOptions{
		Raw:  s.project.Files.Raw,
		Link: s.fetched, // what a command changes is noticed, and fetched anew, the next time
		Render: func(name, text string) (string, bool, error) {
			r, err := a.renderFile(s, vars, name, text)
			derived.add(secret.Derived(r.Text, r.Secrets))
			return r.Text, len(r.Secrets) > 0 || s.redactor.Contains(r.Text), err
		},
	})
	for _, w := range warnings {
		a.Log.Warn(w.String())
	}
	return inProject(err)
}

// renderFile renders the text of one file.
func (a *App) renderFile(s *session, vars jinja.Vars, name, text string) (jinja.Rendered, error) {
	t, err := jinja.Parse(name, text)
	if err != nil {
		return jinja.Rendered{}, err
	}
	r, err := t.RenderFile(vars)
	if err != nil {
		return jinja.Rendered{}, err
	}
	return r, a.undefined(s, name, r.Undefined)
}

// checkFiles finds what would be wrong with the templates in files/ when they are rendered, and renders none into a workspace.
func (a *App) checkFiles(s *session) (errs project.Errors) {
	vars := plan.Variables(s.input)
	_ = workspace.Templates(s.project.Dir, s.project.Files.Raw, func(name, text string) { // what is wrong with the folder, a run tells
		_, err := a.renderFile(s, vars, name, text)
		found, _ := errors.AsType[project.Errors](err)
		if e, ok := errors.AsType[*jinja.Error](err); ok {
			found = project.Errors{{Pos: project.Pos{File: name, Line: e.Line, Column: 1}, Message: e.Message}}
		}
		for _, d := range found {
			d.Hint = "to copy the file as it is: " + workspace.CopyAsItIs(name)
			errs = append(errs, d)
		}
	})
	return errs
}

// made collects what templates have made of secrets.
type made struct {
	mu    sync.Mutex
	texts []string
}

func (m *made) add(texts []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.texts = append(m.texts, texts...)
}

func (a *App) undefined(s *session, name string, undefined []jinja.Undefined) error {
	var errs project.Errors
	for _, u := range undefined {
		d := project.Diagnostic{
			Pos:     project.Pos{File: name, Line: u.Line, Column: 1},
			Message: fmt.Sprintf("variable %q is not defined", u.Name),
		}
		if s.project.Strict {
			errs = append(errs, d)
			continue
		}
		d.Message += ": it becomes empty text"
		a.Log.Warn(d.String())
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}
