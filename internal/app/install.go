package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/process"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/workspace"
)

// leftoverGrace is the time between SIGTERM and SIGKILL for what an install left running.
const leftoverGrace = 2 * time.Second

// InstallOptions says what to install, and who sees the output.
type InstallOptions struct {
	Target
	Force   bool
	Output  func(line string)    // masked; may be nil
	Started func(killAll func()) // told how to kill every process of the installs at once; may be nil
	venvDir string               // folder of the virtual environments; "": the workspace
}

// WorkspaceInit makes the workspace folders.
func (a *App) WorkspaceInit(_ context.Context, t Target) (FilesResult, error) {
	if t.WorkspaceDir == "" {
		return FilesResult{}, (&session{}).needWorkspace()
	}
	ws, err := openWorkspace(t)
	if err != nil {
		return FilesResult{}, err
	}
	return FilesResult{Status: "success", Files: ws.Files()}, inProject(ws.Init())
}

// WorkspaceInstall runs the installs of the project. A failed install is an error that names it.
func (a *App) WorkspaceInstall(ctx context.Context, o InstallOptions) (res workspace.InstallResult, err error) {
	s, err := a.open(o.Target)
	if err != nil {
		return workspace.InstallResult{}, err
	}
	defer s.hideSecrets(&err)
	if err := s.needWorkspace(); err != nil {
		return workspace.InstallResult{}, err
	}
	lock, err := a.lock(ctx, s)
	if err != nil {
		return workspace.InstallResult{}, err
	}
	defer lock.Release()
	// What only a run is given, such as a date or a secret, may be missing here. Should an install depend on it, then the
	// run finds that the file is another one.
	if err := a.render(ctx, s.lenient()); err != nil {
		return workspace.InstallResult{}, err
	}
	return a.install(ctx, s, lock, o)
}

// lenient returns s with undefined variables as warnings.
func (s *session) lenient() *session {
	p := *s.project
	p.Strict = false
	out := *s
	out.project = &p
	return &out
}

// installOptions says what the project installs.
func (a *App) installOptions(s *session) workspace.InstallOptions {
	o := workspace.InstallOptions{Environ: a.Environ}
	for _, in := range s.project.Installs {
		o.Installs = append(o.Installs, workspace.Install{Venv: in.Venv, Command: strings.TrimSpace(in.Command + " " + in.Args)})
	}
	return o
}

// install runs the installs of the project in a workspace that is locked. Nothing that they start outlives it.
func (a *App) install(ctx context.Context, s *session, lock *workspace.Lock, o InstallOptions) (res workspace.InstallResult, err error) {
	sup := process.NewSupervisor(process.Options{Cookie: s.input.RunID, Guard: a.Guard, GuardFiles: []*os.File{lock.File()}})
	if err := sup.Watch(); err != nil {
		return workspace.InstallResult{}, err
	}
	defer func() { err = errors.Join(err, sup.Close(leftoverGrace)) }()
	if o.Started != nil {
		o.Started(sup.KillAll)
	}
	i := a.installOptions(s)
	i.Force, i.VenvDir, i.Environ, i.Starting = o.Force, o.venvDir, sup.Environ(i.Environ), sup.Starting
	i.Output = func(line string) {
		if o.Output != nil {
			o.Output(s.clean(line))
		}
	}
	return s.ws.Install(ctx, i)
}

// checkInstalls fails before anything runs when a virtual environment that a task names is missing or does not work: better
// than in the last task, or than with the packages of the machine. One that is not what project.yml installs now is an
// error in a strict project, and a warning in a lenient one. files/ is rendered.
func (a *App) checkInstalls(ctx context.Context, s *session) error {
	used := s.usedVenvs()
	names := slices.Sorted(maps.Keys(used))
	var errs project.Errors
	for _, l := range s.ws.Problems(ctx, a.installOptions(s), names) {
		d := s.problemOf(l)
		d.Pos = used[l.Venv]
		switch {
		case l.Kind == workspace.Unsure:
		case l.Kind == workspace.Stale && !s.project.Strict:
			a.Log.Warn(d.String())
		default:
			errs = append(errs, d)
		}
	}
	if len(errs) > 0 {
		slices.SortStableFunc(errs, func(a, b project.Diagnostic) int { return cmp.Compare(a.Pos.Line, b.Pos.Line) })
		return errs
	}
	return nil
}

// usedVenvs returns the virtual environments that tasks name, each with its first place; "" stands for the installs without one.
func (s *session) usedVenvs() map[string]project.Pos {
	used := map[string]project.Pos{}
	for _, in := range slices.Backward(s.project.Installs) {
		if in.Venv == "" {
			used[""] = in.Pos
		}
	}
	walkCommands(s.project.Tasks, func(c *project.Command) {
		if _, seen := used[c.Venv]; !seen && c.Venv != "" {
			used[c.Venv] = c.Pos
		}
	})
	return used
}

// problemOf says what is wrong, and what to do.
func (s *session) problemOf(l workspace.Problem) project.Diagnostic {
	d := project.Diagnostic{Message: fmt.Sprintf("venv %q: %s", l.Venv, l.Reason)}
	if l.Kind == workspace.Missing {
		d.Message = fmt.Sprintf("venv %q %s", l.Venv, l.Reason)
	}
	switch {
	case l.Venv == "":
		d.Message = "installs without a venv: " + l.Reason
	case !s.installs(l.Venv) && l.Kind == workspace.Stale:
		d.Hint = fmt.Sprintf("remove %s, or add its install to project.yml again", s.ws.Venv(l.Venv))
		return d
	case !s.installs(l.Venv):
		d.Message += ", and no install makes it"
		d.Hint = fmt.Sprintf("add one to project.yml, installs: [{venv: %s, command: pip install ...}], and run `handoff workspace install`", l.Venv)
		return d
	}
	d.Hint = "run `handoff workspace install` with the same -p, -w and -v first"
	if l.Kind == workspace.Broken {
		d.Hint += ": it makes it anew"
	}
	return d
}

func (s *session) installs(venv string) bool {
	return slices.ContainsFunc(s.project.Installs, func(i project.Install) bool { return i.Venv == venv })
}
