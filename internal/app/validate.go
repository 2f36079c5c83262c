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

// anyWorkspace stands for a workspace that is not known, as a word that is nothing to a shell.
const anyWorkspace = "/workspace"

// checkOnly makes s one that is only checked: its secrets need not be here, and nobody sees where it would run.
func (s *session) checkOnly() {
	s.input.CheckOnly = true
	if s.ws == nil {
		s.input.Workspace = anyWorkspace
	}
}

// Validate reads the project, resolves every command and reads the times of schedules; the error is project.Errors, all problems at once.
func (a *App) Validate(_ context.Context, t Target) (res ValidateResult, err error) {
	s, err := a.open(t)
	if err != nil {
		return ValidateResult{}, err
	}
	defer s.hideSecrets(&err)
	s.checkOnly()
	p, err := a.check(s)
	if err != nil {
		return ValidateResult{}, inProject(err)
	}
	return ValidateResult{Status: "success", Project: s.project.File, Tasks: len(p.Tasks)}, nil
}
