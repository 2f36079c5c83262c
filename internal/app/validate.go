package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/handoff-run/handoff/internal/project"
)

// ValidateResult says that a project is valid.
type ValidateResult struct {
	Status  string   `json:"status"`
	Project string   `json:"project"`
	Tasks   int      `json:"tasks"`
	Clients []string `json:"clients,omitempty"` // for which it is valid

	Vars []DeclaredVar `json:"vars,omitempty"` // of which the project says what they have to be
}

// DeclaredVar is what a project says of a variable.
type DeclaredVar struct {
	Key         string   `json:"key"`
	Type        string   `json:"type,omitempty"`
	Required    bool     `json:"required,omitempty"`
	Default     any      `json:"default,omitempty"`
	Enum        []string `json:"enum,omitempty"`
	Description string   `json:"description,omitempty"`
}

func declaredVars(p *project.Project) (list []DeclaredVar) {
	for _, v := range p.Vars {
		if v.Typed() {
			list = append(list, DeclaredVar{v.Key, v.Type, v.Required, v.Value, v.Enum, v.Description})
		}
	}
	return list
}

// Validate reads the project, resolves every command and reads the times of schedules; the error is project.Errors, all problems at
// once. A project that has clients is checked for each of them, unless t names one.
func (a *App) Validate(ctx context.Context, t Target) (res ValidateResult, err error) {
	s, err := a.open(t)
	if err != nil {
		return ValidateResult{}, err
	}
	defer s.hideSecrets(&err)
	if len(s.project.Clients) > 0 && t.Client == "" {
		return a.validateClients(ctx, t, s.project)
	}
	s.input.CheckOnly = true // where projects are checked, their secrets need not be
	p, err := a.check(s)
	if err != nil {
		return ValidateResult{}, inProject(err)
	}
	return ValidateResult{Status: "success", Project: s.project.File, Tasks: len(p.Tasks), Vars: declaredVars(s.project)}, nil
}

// validateClients is Validate for each client. What is wrong for all of them is told once.
func (a *App) validateClients(ctx context.Context, t Target, p *project.Project) (res ValidateResult, err error) {
	clients := p.ClientNames()
	told := map[string][]string{} // problem -> clients that have it
	var errs project.Errors
	verbs := a.Once()
	for _, client := range clients {
		t.Client = client
		one, err := verbs.Validate(ctx, t)
		found, ok := errors.AsType[project.Errors](err)
		switch {
		case ok:
		case err != nil:
			return ValidateResult{}, err
		default:
			res = one
		}
		for _, d := range found {
			if told[d.String()] == nil {
				errs = append(errs, d)
			}
			told[d.String()] = append(told[d.String()], client)
		}
	}
	if len(errs) == 0 {
		res.Clients, res.Vars = clients, declaredVars(p)
		return res, nil
	}
	for i, d := range errs {
		if has := told[d.String()]; len(has) < len(clients) {
			errs[i].Message += fmt.Sprintf(" (for %s)", strings.Join(has, ", "))
		}
	}
	return ValidateResult{}, inProject(errs)
}
