package app

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/process"
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
	return FilesResult{Status: "success", Files: ws.Files()}, ws.Init()
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
	return a.install(ctx, s, lock, o)
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
	installs := make([]workspace.Install, 0, len(s.project.Installs))
	for _, in := range s.project.Installs {
		installs = append(installs, workspace.Install{Venv: in.Venv, Command: strings.TrimSpace(in.Command + " " + in.Args)})
	}
	return s.ws.Install(ctx, workspace.InstallOptions{
		Installs: installs, Force: o.Force, Environ: sup.Environ(a.Environ),
		Output: func(line string) {
			if o.Output != nil {
				o.Output(s.redactor.String(line))
			}
		},
	})
}
