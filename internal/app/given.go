package app

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/jinja"
	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/workspace"
)

// build makes the plan of a session. Warnings are logged; the error is project.Errors.
func (a *App) build(s *session) (*plan.Plan, error) {
	if !s.input.CheckOnly && !s.fetched {
		if err := meantForClients(s.project, s.target.Client, s.lackingHere()); err != nil {
			return nil, err
		}
	}
	p, warnings, err := plan.Build(s.input)
	a.warn(warnings)
	given := a.checkGiven(s.project, given{vars: s.input.Vars, by: "-v"})
	if err == nil || given == nil {
		return p, cmp.Or(err, given)
	}
	all, _ := errors.AsType[project.Errors](err)
	more, _ := errors.AsType[project.Errors](given)
	return nil, append(more, all...)
}

// given are variables that come from outside of a project.
type given struct {
	vars []project.KeyValue
	by   string      // what gives them, for a person
	at   project.Pos // where that stands; zero: on the command line
}

// checkGiven finds variables that no template can use, and those that the project neither declares nor uses: most are
// mistyped, and the run would go on with the default of the one that was meant. They are errors in strict projects, else
// warnings.
func (a *App) checkGiven(p *project.Project, lists ...given) error {
	if !slices.ContainsFunc(lists, func(g given) bool { return len(g.vars) > 0 }) {
		return nil // most runs: their templates need not be parsed once more
	}
	known := declared(p)
	var errs, unknown project.Errors
	for _, g := range lists {
		for _, v := range g.vars {
			switch {
			case !project.IsName(v.Key):
				errs = append(errs, project.Diagnostic{Pos: g.at, Message: fmt.Sprintf("%s: %q is not a valid name of a variable", g.by, v.Key),
					Hint: "a name has letters, digits and _, and does not begin with a digit"})
			case p.Var(v.Key) != nil && p.Var(v.Key).Typed():
				if _, err := p.Var(v.Key).Parse(v.Value); err != nil {
					by := strings.TrimSpace(g.by + " " + v.From)
					errs = append(errs, project.Diagnostic{Pos: g.at, Message: fmt.Sprintf("%s: variable %q: %v", by, v.Key, err)})
				}
			case !known[v.Key]:
				unknown = append(unknown, project.Diagnostic{Pos: g.at, Path: v.Key, Message: g.by})
			}
		}
	}
	if len(unknown) > 0 {
		errs = append(errs, a.unused(p, known, unknown)...)
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// unused words what is left of unknown when the templates of files/ are read, too, and returns what is an error of it.
func (a *App) unused(p *project.Project, known map[string]bool, unknown project.Errors) (errs project.Errors) {
	err := workspace.Templates(p.Dir, p.Files.Raw, func(name, text string) { addNames(known, name, text) })
	if err != nil {
		return nil // it is told where files/ is rendered
	}
	names := slices.Sorted(maps.Keys(known))
	for _, d := range unknown {
		name, by := d.Path, d.Message
		if known[name] {
			continue
		}
		d.Path, d.Message = "", fmt.Sprintf("%s: variable %q is neither declared in vars nor used in a template", by, name)
		d.Hint = meant(name, names, "declare it in project.yml, vars: [{key: "+name+"}]")
		if p.Strict {
			errs = append(errs, d)
		} else {
			a.Log.Warn(d.String())
		}
	}
	return errs
}

// declared returns the names that project.yml declares or uses, and those that every project has.
func declared(p *project.Project) map[string]bool {
	known := map[string]bool{"_line": true, "_line_safe": true, "_lines": true, "_state_file": true, "secrets_dir": true, "_client": true}
	for name := range jinja.Reserved("dev", time.Time{}, "", "") {
		known[name] = true
	}
	for _, v := range p.Vars {
		known[v.Key] = true
	}
	for _, e := range p.Envs {
		known[e.Key] = true
	}
	for _, s := range p.Secrets {
		known[s.Key] = true
	}
	everyCommand(p.Tasks, func(c *project.Command) { addNames(known, c.Pos.File, c.Text) })
	for _, n := range p.Notify {
		texts := []string{n.Webhook, n.Command}
		if n.Mail != nil {
			texts = append(texts, n.Mail.Host, n.Mail.User, n.Mail.Password, n.Mail.From)
			texts = append(texts, n.Mail.To...)
		}
		for _, text := range texts {
			addNames(known, n.Pos.File, text)
		}
	}
	return known
}

func addNames(known map[string]bool, file, text string) {
	t, err := jinja.Parse(file, text)
	if err != nil {
		return // it is told where the template is used
	}
	for _, name := range t.Names() {
		known[name] = true
	}
}

// everyCommand visits all commands, also those that are switched off.
func everyCommand(tasks []project.Task, visit func(*project.Command)) {
	for _, t := range tasks {
		everyCommand(t.Tasks, visit)
		for _, s := range slices.Concat(t.Pipeline, t.Commands) {
			if s.Command != nil {
				visit(s.Command)
			}
			everyCommand(s.Foreach, visit)
			everyCommand(s.Fork, visit)
		}
	}
}

// scheduledVars returns the variables that the schedules of a project give to their runs, and what is wrong with them.
func scheduledVars(p *project.Project, at time.Time) (lists []given, errs project.Errors) {
	for i, s := range p.Schedules {
		for _, e := range s.Envs {
			if e.Value == nil || e.Key != cloud.EnvVars {
				continue
			}
			vars, err := evaluateVars(*e.Value, at)
			if err != nil {
				errs = append(errs, project.Diagnostic{Pos: s.Pos, Path: fmt.Sprintf("schedules[%d]", i), Message: err.Message, Hint: err.Hint})
				continue
			}
			lists = append(lists, given{vars: vars, by: fmt.Sprintf("schedules[%d], %s", i, e.Key), at: s.Pos})
		}
	}
	return lists, errs
}

// lacks returns what is wrong with jobs that are given vars: a variable that has to have a value and has none.
func lacks(p *project.Project, vars []project.KeyValue) string {
	for _, v := range p.Vars {
		if v.Missing() && !slices.ContainsFunc(vars, func(g project.KeyValue) bool { return g.Key == v.Key && g.Value != "" }) {
			return fmt.Sprintf("variable %q has no value: every job would fail", v.Key)
		}
	}
	return ""
}

// schedulesLack finds the schedules whose jobs would lack a variable.
func schedulesLack(p *project.Project, at time.Time) (errs project.Errors) {
	for i, s := range p.Schedules {
		vars, err := evaluateVars(writtenEnv(s)[cloud.EnvVars], at)
		if err != nil {
			continue // it is told
		}
		if what := lacks(p, vars); what != "" {
			errs = append(errs, project.Diagnostic{Pos: s.Pos, Path: fmt.Sprintf("schedules[%d]", i), Message: what, Hint: "give it in envs: [{key: __VARS, value: ...}]"})
		}
	}
	return errs
}

// checkWrittenVars is checkGiven for variables as they are written in the environment of a job. Without a project in this place nothing is
// known.
func (a *App) checkWrittenVars(p *project.Project, client string, env map[string]string, by string) error {
	if p == nil {
		return nil
	}
	vars, err := evaluateVars(env[cloud.EnvVars], a.Now())
	if err != nil {
		return err
	}
	what := lacks(p, vars)
	if err := meantForClients(p, client, what); err != nil {
		return err
	}
	if what != "" {
		return &UsageError{Message: by + ": " + what, Hint: "give it with -v, or in __VARS"}
	}
	return a.checkGiven(p, given{vars: vars, by: by})
}
