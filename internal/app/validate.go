package app

import (
	"context"

	"github.com/handoff-run/handoff/internal/plan"
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
	p, warnings, err := plan.Build(s.input)
	a.warn(warnings)
	if err != nil {
		return ValidateResult{}, err
	}
	if errs := wrongSchedules(s.project); len(errs) > 0 {
		return ValidateResult{}, errs
	}
	return ValidateResult{Status: "success", Project: s.project.File, Tasks: len(p.Tasks)}, nil
}
