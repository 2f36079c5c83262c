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
}

// Validate reads the project, resolves every command and reads the times of schedules; the error is project.Errors, all problems at
// once. A project that has clients is checked for each of them, unless t names one.
func (a *App) Validate(ctx context.Context, t Target) (res ValidateResult, err error) {
	s, err := a.open(t)
	if err != nil {
		return ValidateResult{}, err
	}
	defer s.hideSecrets(&err)
	if clients := s.project.ClientNames(); len(clients) > 0 && t.Client == "" {
		return a.validateClients(ctx, t, clients)
	}
	s.input.CheckOnly = true // where projects are checked, their secrets need not be
	p, err := a.check(s)
	if err != nil {
		return ValidateResult{}, inProject(err)
	}
	return ValidateResult{Status: "success", Project: s.project.File, Tasks: len(p.Tasks)}, nil
}

// validateClients is Validate for each client. What is wrong for all of them is told once.
func (a *App) validateClients(ctx context.Context, t Target, clients []string) (res ValidateResult, err error) {
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
		res.Clients = clients
		return res, nil
	}
	for i, d := range errs {
		if has := told[d.String()]; len(has) < len(clients) {
			errs[i].Message += fmt.Sprintf(" (for %s)", strings.Join(has, ", "))
		}
	}
	return ValidateResult{}, inProject(errs)
}
