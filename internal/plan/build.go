package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/jinja"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/secret"
)

// defaultKillAfter is the grace between SIGTERM and SIGKILL when the project names none.
const defaultKillAfter = 10 * time.Second

// Input is everything that decides what will run.
type Input struct {
	Project   *project.Project
	EnvStage  string
	Client    string // for whom it runs; "": nobody in particular
	RunID     string
	Workspace string // absolute folder in which every command runs
	Now       time.Time
	Vars      []project.KeyValue         // from the command line; they win
	Envs      []project.KeyValue         // from the command line; they win
	Secrets   []secret.Entry             //
	Activate  func(venv string) []string // environment that switches a venv on: "K=V"; nil: venvs are refused
	StateFile func(name string) string   // where the state of this name is (project.StateName); nil: below the workspace
	Inherited func(key string) bool      // is the variable in the environment of handoff; nil: no
	CheckOnly bool                       // nothing will run: a secret without a value is a warning, and so is a variable
	ShowOnly  bool                       // nothing will run: a secret without a value is a warning
	AddSecret string                     // what gives a missing secret its value, as a hint; "": a file of the project does
	Redactor  *secret.Redactor           // knows the secrets, and is told what templates make of them; nil: one is made

	// What a command names is looked for, where a check wants that; nil: it is not.
	HasFile    func(name string) bool       // "files/..."
	HasProgram func(venv, name string) bool // on the PATH of a venv; "": of commands without one
}

// Build returns the plan for in, with warnings. The error is project.Errors: every problem at once.
func Build(in Input) (*Plan, []project.Diagnostic, error) {
	b := &builder{in: in, vars: Variables(in), redactor: in.Redactor}
	if b.redactor == nil {
		b.redactor = secret.NewRedactor(secretValues(in.Secrets)...)
	}
	b.checkVars()
	b.checkSecrets()
	b.env, b.shown = b.environment()
	p := in.Project
	defaults := inherited{
		killAfter:      defaultKillAfter,
		killDownstream: valueOr(p.KillDownstreamOnFail, true),
		killLoop:       valueOr(p.KillLoopOnFail, true),
	}
	out := &Plan{
		Project:     path.Base(p.Dir),
		Description: p.Description,
		EnvStage:    in.EnvStage,
		Client:      in.Client,
		RunID:       in.RunID,
		Dir:         in.Workspace,
		Timeout:     Duration(p.Timeout),
		Vars:        b.shownVars(),
		Env:         b.shown,
		Tasks:       b.tasks("tasks", p.Tasks, defaults, 0),
	}
	b.redactor.Learn(b.derived...)
	if len(b.errors) > 0 {
		return nil, b.warnings, b.errors
	}
	return out, b.warnings, nil
}

// Variables returns what templates see: secrets, then envs, then vars, then the command line, the later
// winning, over the reserved names.
func Variables(in Input) jinja.Vars {
	vars := jinja.Reserved(in.EnvStage, in.Now, in.RunID, in.Workspace)
	vars["_client"] = in.Client
	if in.CheckOnly || in.ShowOnly {
		for _, s := range in.Project.Secrets {
			vars[s.Key] = secret.Mask
		}
	}
	for _, s := range in.Secrets {
		vars[s.Key] = jinja.Secret(s.Value.Reveal())
	}
	for _, e := range in.Project.Envs {
		if e.Value != nil {
			vars[e.Key] = *e.Value
		}
	}
	for _, v := range in.Project.Vars {
		vars[v.Key] = v.Value
		if v.Missing() && in.CheckOnly {
			vars[v.Key] = v.Sample()
		}
	}
	for _, v := range in.Vars {
		vars[v.Key] = v.Value
		if d := in.Project.Var(v.Key); d != nil && d.Typed() {
			typed, err := d.Parse(v.Value)
			if err != nil { // it is told where it comes from
				typed = d.Sample()
			}
			vars[v.Key] = typed
		}
	}
	return vars
}

// checkVars fails for a variable that has to have a value and has none.
func (b *builder) checkVars() {
	for _, v := range b.in.Project.Vars {
		if value := b.vars[v.Key]; !v.Required || value != nil && value != "" {
			continue
		}
		kind := ""
		if v.Type != "" {
			kind = " (" + v.Type + ")"
		}
		hint := fmt.Sprintf("add -v %s=%v", v.Key, v.Sample())
		if len(b.in.Project.Clients) > 0 && b.in.Client == "" {
			hint += ", or name a client that has one: --client " + b.in.Project.ClientNames()[0]
		}
		b.errors = append(b.errors, project.Diagnostic{Pos: v.Pos, Path: "vars", Message: fmt.Sprintf("variable %q%s has no value", v.Key, kind), Hint: hint})
	}
}

// shownVars returns the variables that the project declares and who gives each its value, where it says more of them than a value:
// a type, an env stage, a client.
func (b *builder) shownVars() []Var {
	p := b.in.Project
	show := b.in.Client != "" || len(p.Stages) > 0
	var list []Var
	for _, v := range p.Vars {
		one := Var{Key: v.Key, Type: v.Type, Value: shownValue(b.vars[v.Key]), From: v.Pos.String(), Description: v.Description}
		for _, given := range b.in.Vars {
			if given.Key == v.Key {
				one.From = cmp.Or(given.From, "-v")
			}
		}
		if one.From == v.Pos.String() && v.Value == nil {
			one.From = ""
		}
		show = show || v.Typed()
		list = append(list, one)
	}
	if !show {
		return nil
	}
	return list
}

func shownValue(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []any, map[string]any:
		text, _ := json.Marshal(v) //nolint:errchkjson // of a file of YAML: texts, numbers, lists and maps
		return string(text)
	}
	return fmt.Sprint(v)
}

type builder struct {
	in       Input
	vars     jinja.Vars
	bodyFile func(lines []string) string // the file with the state, of a pipeline in a foreach; nil: of another
	env      []string
	shown    []string // env with the values of secrets masked
	redactor *secret.Redactor
	derived  []string // what templates have made of secrets
	warnings []project.Diagnostic
	errors   project.Errors
}

// inherited is what a task takes from the one above it.
type inherited struct {
	killAfter                time.Duration
	killDownstream, killLoop bool
	onFailure                string // on_upstream_failure
}

func (b *builder) fail(pos project.Pos, path, format string, args ...any) {
	b.errors = append(b.errors, project.Diagnostic{Pos: pos, Path: path, Message: fmt.Sprintf(format, args...)})
}

func (b *builder) tasks(at string, tasks []project.Task, up inherited, depth int) []Task {
	out := make([]Task, 0, len(tasks))
	for i, t := range tasks {
		out = append(out, b.task(at+"["+strconv.Itoa(i)+"]", t, up, depth))
	}
	return out
}

func (b *builder) task(at string, t project.Task, up inherited, depth int) Task {
	if t.KillAfter > 0 {
		up.killAfter = t.KillAfter
	}
	if t.OnUpstreamFailure != "" {
		up.onFailure = t.OnUpstreamFailure
	}
	up.killDownstream = valueOr(t.KillDownstreamOnFail, up.killDownstream)
	up.killLoop = valueOr(t.KillLoopOnFail, up.killLoop)
	out := Task{
		Name:                 t.Name,
		Description:          t.Description,
		Skip:                 !t.Active,
		Timeout:              Duration(t.Timeout),
		Retries:              Retries{Max: t.Retries.Max, Delay: Duration(t.Retries.Delay), Backoff: max(t.Retries.Backoff, 1)},
		KillAfter:            Duration(up.killAfter),
		Drain:                up.onFailure == "drain",
		Terminate:            up.onFailure == "terminate",
		AllowFailure:         t.AllowFailure,
		KillDownstreamOnFail: up.killDownstream,
		KillLoopOnFail:       up.killLoop,
		StdoutToFile:         t.StdoutToFile,
		StderrToFile:         t.StderrToFile,
	}
	if t.Retries.Max == 0 {
		out.Retries = Retries{}
	}
	if out.Skip {
		return out // what does not run need not be resolvable
	}
	switch {
	case t.Tasks != nil:
		out.Tasks = b.tasks(at+".tasks", t.Tasks, up, depth)
	case t.Commands != nil:
		out.Commands = b.stages(at+".commands", t.Commands, up, depth)
	default:
		if t.State.On {
			defer b.withState(&out, t, depth)()
		}
		out.Pipeline = b.stages(at+".pipeline", t.Pipeline, up, depth)
		b.warnEarly(at+".state", t, &out)
	}
	return out
}

// withState gives a pipeline its state, and its commands the name of the file with that. The function that is returned ends this.
func (b *builder) withState(out *Task, t project.Task, depth int) (end func()) {
	file := func(lines []string) string { return b.stateFile(project.StateName(t.Name, lines[:depth])) }
	out.State = &State{
		Checkpoint: t.State.Checkpoint, Backfill: t.State.Backfill == "use", Body: depth > 0 && t.State.Commit != "run", FileOf: file,
	}
	vars, outer := b.vars, b.bodyFile
	b.vars = maps.Clone(vars)
	if b.bodyFile = file; depth == 0 {
		b.bodyFile = nil
		out.State.File = file(nil)
		b.vars[stateVar] = jinja.Data(out.State.File) // quoted for its place in the command
	} else {
		out.State.File = b.stateFile(t.Name + "@*")
		delete(b.vars, stateVar)
	}
	return func() { b.vars, b.bodyFile = vars, outer }
}

// stateVar is the variable that has the name of the file with the state.
const stateVar = "_state_file"

func (b *builder) stateFile(name string) string {
	if b.in.StateFile != nil {
		return b.in.StateFile(name)
	}
	return path.Join(b.in.Workspace, StateDir, name+".json")
}

// warnEarly warns of a state that is committed before the artifacts are into which its target writes: if another line fails later,
// what it has loaded is not stored, and never loaded again.
func (b *builder) warnEarly(at string, t project.Task, out *Task) {
	if out.State == nil || !out.State.Body || len(out.Pipeline) == 0 {
		return
	}
	last := out.Pipeline[len(out.Pipeline)-1].Command
	if last == nil || !strings.Contains(last.Script, "artifacts/") {
		return
	}
	b.warnings = append(b.warnings, project.Diagnostic{
		Pos: t.Pos, Path: at, Message: fmt.Sprintf("the state of %q is committed with its line, the artifacts into which it loads only with a run that succeeds", t.Name),
		Hint: "if another line fails, what this one has loaded is not stored and not loaded again; state: {commit: run} stores both together",
	})
}

// StateDir is the folder in the workspace that has the states for the taps.
const StateDir = "state"

func (b *builder) stages(at string, stages []project.Stage, up inherited, depth int) []Stage {
	out := make([]Stage, 0, len(stages))
	names := map[string]int{}
	for i, s := range stages {
		if !s.Active {
			continue
		}
		stage := b.stage(at+"["+strconv.Itoa(i)+"]", s, up, depth)
		names[stage.Name]++
		if n := names[stage.Name]; n > 1 {
			stage.Name += "-" + strconv.Itoa(n)
		}
		out = append(out, stage)
		if s.Expect != nil {
			out = append(out, b.expected(at+"["+strconv.Itoa(i)+"].expect", s.Expect, &out[len(out)-1], up)...)
		}
	}
	return out
}

// expected returns the stage that checks what the one before it writes; none where only its log is looked at.
func (b *builder) expected(at string, e *project.Expect, of *Stage, up inherited) []Stage {
	of.Command.NoErrors = e.NoErrors
	if up.onFailure == "drain" {
		b.fail(e.Pos, at, "it has no effect with on_upstream_failure: drain: the next stage would still see the end of its input")
	}
	if !e.OfStream() {
		return nil
	}
	return []Stage{{Name: "expect " + of.Name, Check: &Check{Contract: e.Contract}}}
}

func (b *builder) stage(at string, s project.Stage, up inherited, depth int) Stage {
	out := Stage{Name: s.Name, Null: s.Null}
	kind := "nulldev"
	switch {
	case s.Foreach != nil:
		kind = "foreach"
		out.Foreach = &Foreach{Concurrency: max(s.Concurrency, 1), Tasks: b.tasks(at+".foreach", s.Foreach, up, depth+1)}
	case s.Fork != nil:
		kind = "fork"
		out.Fork = b.tasks(at+".fork", s.Fork, up, depth)
	case s.Command != nil:
		out.Command = b.command(at, s.Command, depth)
		kind = stageName(s.Command.Text)
	}
	if out.Name == "" {
		out.Name = kind
	}
	return out
}

func valueOr[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}

func secretValues(entries []secret.Entry) []secret.Value {
	values := make([]secret.Value, len(entries))
	for i, e := range entries {
		values[i] = e.Value
	}
	return values
}
