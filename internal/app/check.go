package app

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/project"
)

// check makes the plan of a session that will not run, and looks for all else that can be found wrong with the project
// before it runs: times and variables of schedules, templates in files/, venvs that no install makes, programs and files that
// are not there.
func (a *App) check(s *session) (*plan.Plan, error) {
	s.input.HasFile = func(name string) bool { return exists(filepath.Join(s.project.Dir, name)) }
	type program struct{ venv, name string }
	found := map[program]bool{} // many commands run the same few
	s.input.HasProgram = func(venv, name string) bool {
		at := program{venv, name}
		has, known := found[at]
		if !known {
			has = a.hasProgram(s, venv, name)
			found[at] = has
		}
		return has
	}
	errs := wrongSchedules(s.project)
	lists, wrong := scheduledVars(s.project, s.input.Now)
	errs = append(errs, wrong...)
	if s.target.Client != "" || len(s.project.Clients) == 0 { // else the clients have it
		errs = append(errs, schedulesLack(s.project, s.input.Now)...)
	}
	for _, d := range uninstalled(s) {
		if s.project.Strict {
			errs = append(errs, d)
		} else {
			a.Log.Warn(d.String())
		}
	}
	if s.knowsSecrets() { // what a template makes of a secret that is not here, nobody knows
		errs = append(errs, a.checkFiles(s)...)
	}
	errs = append(errs, a.checkNotify(s)...)
	p, err := a.build(s)
	if more := a.checkGiven(s.project, lists...); more != nil {
		errs = append(errs, more.(project.Errors)...)
	}
	if wrong, ok := err.(project.Errors); ok {
		errs = append(errs, wrong...)
	} else if err != nil {
		return nil, err
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return p, nil
}

// checkNotify fills in the templates of notify. Where a secret is not here, nobody knows what they would become.
func (a *App) checkNotify(s *session) project.Errors {
	if !s.knowsSecrets() {
		return nil
	}
	_, warnings, err := plan.Notify(s.input)
	a.warn(warnings)
	errs, _ := err.(project.Errors)
	return errs
}

// knowsSecrets reports whether templates can be filled in with the values of secrets. Where nothing will run they need not be here.
func (s *session) knowsSecrets() bool {
	return !s.input.CheckOnly && !s.input.ShowOnly || s.hasSecrets()
}

// hasSecrets reports whether each secret that the project declares is here.
func (s *session) hasSecrets() bool {
	return !slices.ContainsFunc(s.project.Secrets, func(d project.Secret) bool { return !s.has(d.Key) })
}

// uninstalled finds the venvs that commands run in and no install makes.
func uninstalled(s *session) (list project.Errors) {
	seen := map[string]bool{}
	walkCommands(s.project.Tasks, func(c *project.Command) {
		if c.Venv != "" && !seen[c.Venv] && !s.installs(c.Venv) {
			list = append(list, project.Diagnostic{Pos: c.Pos, Message: fmt.Sprintf("no install makes the venv %q", c.Venv), Hint: installHint(c.Venv)})
		}
		seen[c.Venv] = true
	})
	return list
}

func installHint(venv string) string {
	return fmt.Sprintf("add one to project.yml, installs: [{venv: %s, command: pip install ...}]", venv)
}

// hasProgram reports whether a command finds a program; true also where that cannot be known: the venv is not made yet, the
// project says where to look, or it is only checked, and may run on another machine.
func (a *App) hasProgram(s *session, venv, name string) bool {
	var env []string
	switch {
	case venv == "" && (s.input.CheckOnly || setsPath(s)):
		return true
	case venv == "":
		env = a.Environ
	case s.ws == nil || !exists(s.ws.Venv(venv)):
		return true
	default:
		env = a.activate(s.ws.Venv(venv))
	}
	for _, kv := range env {
		path, ok := strings.CutPrefix(kv, "PATH=")
		for _, dir := range filepath.SplitList(path) {
			if ok && exists(filepath.Join(dir, name)) {
				return true
			}
		}
	}
	return false
}

// setsPath reports whether commands get a PATH of their own.
func setsPath(s *session) bool {
	return slices.ContainsFunc(s.project.Envs, func(e project.Env) bool { return e.Key == "PATH" }) || s.target.env("PATH") != ""
}
