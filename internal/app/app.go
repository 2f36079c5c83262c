// Package app holds the verbs of handoff, one file each: what a command does, without flags, printing or
// exit codes. The command line and the server call the same verbs and show the same results.
package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/lease"
	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/secret"
	"github.com/handoff-run/handoff/internal/workspace"
)

// App carries what the verbs need from the outside world.
type App struct {
	Version string
	Environ []string         // "K=V"; the environment of commands
	Now     func() time.Time // in the zone in which _today is to be read
	Host    string
	Guard   []string   // argv that starts the guardian of a run; nil: none
	Held    []*os.File // kept open by the guardian of a run, until the last process of the run is gone
	Log     *slog.Logger

	// Lease has the times of the leases of runs; the zero Times are right but in tests.
	Lease lease.Times

	// Venvs is the folder of the virtual environments that the jobs of a task on this machine share; "": they do not.
	Venvs string

	Images string   // folder for container images and what they are made of; "": there is none
	Box    []string // argv that enters the files of an image: container.EnterBox
	Fill   []string // arguments of this program that make the virtual environment of an image: FillVenv

	// OpenCloud opens a provider for a scope; every field of the Cloud is set. The error of an unknown name is a UsageError.
	OpenCloud func(context.Context, CloudOptions) (*cloud.Cloud, error)

	// Providers are those that a project may name; none: any.
	Providers []project.Provider

	loads *sync.Map // folder of a project -> func() loaded; nil: nothing is remembered
}

// Target names the project and the workspace that a verb works on.
type Target struct {
	ProjectDir   string
	WorkspaceDir string // may be empty where no workspace is needed
	SecretsDir   string // "": .secrets in the project
	EnvStage     string // dev when empty
	Client       string // for whom a task runs; empty: nobody in particular
	Vars         []project.KeyValue
	Envs         []project.KeyValue
	Cloud        CloudFlags
}

// session is a loaded project with its secrets, and its workspace where one was asked for.
type session struct {
	target   Target
	project  *project.Project
	secrets  []secret.Entry
	redactor *secret.Redactor
	ws       *workspace.Workspace // nil: none
	input    plan.Input
	fetched  bool // the project folder is a copy that was fetched into the workspace
}

// open loads the project of t. Warnings are logged.
func (a *App) open(t Target) (*session, error) {
	s := &session{target: t}
	if s.target.EnvStage == "" {
		s.target.EnvStage = "dev"
	}
	var err error
	if t.WorkspaceDir != "" {
		if s.ws, err = openWorkspace(t); err != nil {
			return nil, err
		}
	}
	if err := a.loadProject(s); err != nil {
		return nil, err
	}
	if err := a.loadSecrets(s); err != nil {
		return nil, err
	}
	s.input = a.planInput(s)
	return s, nil
}

func openWorkspace(t Target) (*workspace.Workspace, error) {
	ws, err := workspace.Open(t.ProjectDir, t.WorkspaceDir)
	if errors.Is(err, workspace.ErrOverlap) {
		return nil, &UsageError{Message: err.Error(), Hint: "name another folder with -w, such as -w workspace; nothing was touched"}
	}
	return ws, inProject(err)
}

func (a *App) loadProject(s *session) error {
	var err error
	s.project, err = a.load(s.target)
	return err
}

// load reads the project of t, as it is for the client and the env stage of t. Warnings are logged.
func (a *App) load(t Target) (*project.Project, error) {
	l := a.read(t.ProjectDir)
	a.warn(l.warnings)
	if l.err != nil {
		return nil, inProject(l.err)
	}
	return t.of(l.project)
}

// loaded is what came of reading a project.yml.
type loaded struct {
	project  *project.Project
	warnings []project.Diagnostic
	err      error
}

// read reads the project.yml of a folder, unless it is remembered.
func (a *App) read(dir string) loaded {
	fresh := sync.OnceValue(func() (l loaded) {
		l.project, l.warnings, l.err = project.Load(dir, a.Providers...)
		return l
	})
	if a.loads == nil {
		return fresh()
	}
	once, _ := a.loads.LoadOrStore(dir, fresh)
	return once.(func() loaded)()
}

// remembering returns the verbs for a caller that calls many of them in one go: each project.yml is read once.
func (a *App) remembering() *App {
	b := *a
	b.loads = &sync.Map{}
	return &b
}

// of returns the project as it is for the client and the env stage of t.
func (t Target) of(p *project.Project) (*project.Project, error) {
	if own, ok := p.For(t.Client, first(t.EnvStage, "dev")); ok {
		return own, nil
	}
	return nil, NoClient(p, t.Client)
}

// NoClient is the error for a client that a project does not have.
func NoClient(p *project.Project, name string) error {
	names := p.ClientNames()
	hint := fmt.Sprintf("it has: %s; `handoff clients add %s` makes it", strings.Join(names, ", "), name)
	if len(names) == 0 {
		hint = fmt.Sprintf("it has none: `handoff clients add %s` makes one", name)
	}
	return &UsageError{Message: fmt.Sprintf("the project has no client %q", name), Hint: meant(name, names, hint)}
}

// meant asks whether the nearest known word was meant; otherwise is what there is to say where none is near.
func meant(word string, known []string, otherwise string) string {
	if near := project.Suggest(word, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return otherwise
}

func (a *App) loadSecrets(s *session) error {
	if _, err := os.Stat(s.target.secretsDir()); s.target.SecretsDir != "" && errors.Is(err, fs.ErrNotExist) {
		return &UsageError{Message: fmt.Sprintf("no folder of secrets %q", s.target.SecretsDir), Hint: "correct --secrets-dir"}
	}
	entries, warnings, err := secret.LoadFor(s.target.secretsDir(), s.target.Client, s.target.EnvStage)
	for _, w := range warnings {
		a.Log.Warn(w)
	}
	if err != nil {
		return inProject(err)
	}
	a.mask(s, entries)
	return nil
}

// secretsDir returns the folder of the secrets.
func (t Target) secretsDir() string {
	if t.SecretsDir != "" {
		return t.SecretsDir
	}
	return filepath.Join(t.ProjectDir, ".secrets")
}

// clientSecrets returns the folder of the secrets of the client.
func (t Target) clientSecrets() string {
	return filepath.Join(t.secretsDir(), secret.ClientsDir, t.Client)
}

// mask gives the session its secrets, and hides them from then on.
func (a *App) mask(s *session, entries []secret.Entry) {
	s.secrets = entries
	s.redactor = secret.NewRedactor()
	for _, e := range entries {
		s.redactor.Add(e.Value)
	}
	for _, w := range secret.Unmasked(entries) {
		a.Log.Warn(w)
	}
}

func (a *App) planInput(s *session) plan.Input {
	now := a.Now()
	in := plan.Input{
		Project: s.project, EnvStage: s.target.EnvStage, Client: s.target.Client, RunID: cloud.NewRunID(now), Now: now,
		Workspace: anyWorkspace,
		Vars:      s.target.Vars, Envs: s.target.Envs, Secrets: s.secrets, Redactor: s.redactor, Inherited: a.inherited,
		Activate: func(venv string) []string { return a.activate(anyWorkspace + "/" + venv) },
	}
	switch {
	case s.fetched: // nobody here has its .secrets
		in.AddSecret = fmt.Sprintf("push it where the project is: `handoff secrets push -s %s%s`", s.target.EnvStage, s.target.clientFlag())
	case s.target.Client != "":
		in.AddSecret = addClientSecret(s.target.Client)
	}
	if s.ws != nil {
		in.Workspace = s.ws.Dir()
		in.Activate = func(venv string) []string { return a.activate(s.ws.Venv(venv)) }
	}
	return in
}

// clientFlag is what to add to a command that is for the client of t.
func (t Target) clientFlag() string {
	if t.Client == "" {
		return ""
	}
	return " --client " + t.Client
}

// addClientSecret says where a secret of a client goes: of what is for nobody in particular it gets only what all share.
func addClientSecret(client string) string {
	return fmt.Sprintf("add it to .secrets/%s, or, for all clients, to .secrets/secrets.yml with level: %s",
		filepath.Join(secret.ClientsDir, client, "secrets.yml"), secret.LevelResourceGroup)
}

// activate returns what a virtual environment changes in the environment of a command.
func (a *App) activate(venv string) []string {
	var env []string
	for _, kv := range workspace.ActivateEnv(venv, a.Environ) {
		if strings.HasPrefix(kv, "PATH=") || strings.HasPrefix(kv, "VIRTUAL_ENV=") {
			env = append(env, kv)
		}
	}
	if a.inherited("PYTHONHOME") {
		env = append(env, "PYTHONHOME=") // it would turn the interpreter of the venv away from its packages
	}
	return env
}

func (a *App) inherited(key string) bool {
	for _, kv := range a.Environ {
		if name, _, _ := strings.Cut(kv, "="); name == key {
			return true
		}
	}
	return false
}

func (a *App) warn(warnings []project.Diagnostic) {
	for _, w := range warnings {
		a.Log.Warn(w.String())
	}
}

// needWorkspace is the error of a verb that cannot do without one.
func (s *session) needWorkspace() error {
	if s.ws == nil {
		return &UsageError{Message: "no workspace folder given", Hint: "add -w FOLDER, such as -w workspace; handoff makes it"}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// maskedError is an error whose text shows no secret and no control characters.
type maskedError struct {
	error
	mask func(string) string
}

func (e *maskedError) Error() string { return e.mask(e.error.Error()) }
func (e *maskedError) Unwrap() error { return e.error }

// clean returns text as it may be shown: without secrets, and without what a terminal takes for a command.
func (s *session) clean(text string) string {
	masked := s.redactor.String(text)
	plain := Plain(masked)
	if plain == masked {
		return plain
	}
	return s.redactor.String(plain) // an escape sequence may have stood in the middle of a secret
}

// hideSecrets masks the text of *err: what a tool printed, or a part of a script, may be in it.
func (s *session) hideSecrets(err *error) {
	if *err != nil {
		*err = &maskedError{*err, s.clean}
	}
}
