package workspace

import (
	"context"
	"errors"
	"io/fs"
	"slices"
)

// Problem is why a run cannot rely on what is installed.
type Problem struct {
	Venv   string // "": the installs without one
	Kind   ProblemKind
	Reason string // a sentence on the venv; of a missing one, what follows its name
}

// ProblemKind says how bad it is.
type ProblemKind int

// The kinds, the worst last.
const (
	Unsure  ProblemKind = iota // it works; nobody can tell whether it is what the installs would make now
	Stale                      // it works, and is not what the installs would make now
	Broken                     // it does not work, or was never finished
	Missing                    // there is none
)

// Problems returns what is wrong with the virtual environments of these names ("": with the installs that have none), in
// that order. files/ is rendered. It changes nothing. The caller holds the Lock.
func (w *Workspace) Problems(ctx context.Context, o InstallOptions, venvs []string) []Problem {
	i := w.installer(o)
	var problems []Problem
	for _, venv := range venvs {
		if kind, reason := i.problem(ctx, venv); reason != "" {
			problems = append(problems, Problem{venv, kind, reason})
		}
	}
	return problems
}

func (i *installer) problem(ctx context.Context, venv string) (ProblemKind, string) {
	links := i.links(venv)
	if venv == "" {
		return i.problemWithoutVenv(links)
	}
	s, err := i.look(ctx, venv)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Missing, "is not in the workspace"
	case err != nil:
		return Broken, err.Error()
	case s == nil && len(links) == 0:
		return 0, ""
	case s == nil:
		return Stale, "it was not made by handoff, and nobody knows whether it has what project.yml installs"
	case len(links) == 0:
		return Stale, "no install of project.yml makes it any more"
	case s.Open:
		return Broken, "its installs were not finished"
	}
	return s.problem(links)
}

func (i *installer) problemWithoutVenv(links []link) (ProblemKind, string) {
	s := readStamp(i.stampFile(""))
	switch {
	case len(links) == 0:
		return 0, ""
	case s == nil || s.Place != i.w.dir:
		return Stale, "they have not been run in this workspace"
	case s.Open:
		return Stale, "they were not finished"
	}
	return s.problem(links)
}

func (s *stamp) problem(links []link) (ProblemKind, string) {
	_, _, why := s.keeps(links)
	if why == "" && slices.ContainsFunc(links, func(l link) bool { return !l.sure }) {
		return Unsure, "nobody can tell whether what its installs name has changed"
	}
	return Stale, why
}
