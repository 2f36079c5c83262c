package app

import (
	"context"
)

// ValidateResult says that a project is valid.
type ValidateResult struct {
	Status  string `json:"status"`
	Project string `json:"project"`
	Tasks   int    `json:"tasks"`
}

// Validate reads the project, resolves every command and reads the times of schedules; the error is project.Errors, all problems at once.
func (a *App) Validate(_ context.Context, t Target) (res ValidateResult, err error) {
	s, err := a.open(t)
	if err != nil {
		return ValidateResult{}, err
	}
	defer s.hideSecrets(&err)
	s.input.CheckOnly = true // where projects are checked, their secrets need not be
	p, err := a.check(s)
	if err != nil {
		return ValidateResult{}, inProject(err)
	}
	return ValidateResult{Status: "success", Project: s.project.File, Tasks: len(p.Tasks)}, nil
}
