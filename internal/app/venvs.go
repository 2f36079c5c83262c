package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/workspace"
)

const (
	readyName = "ready"             // written when all installs of a shared folder have succeeded; its time is that of the last use
	unusedFor = 30 * 24 * time.Hour // after which a shared folder is removed
)

// needVenvs installs what the workspace lacks. The workspaces of jobs are new ones: on this machine the jobs of a task
// share their virtual environments, so that only the first one installs.
func (r *remoteRun) needVenvs(ctx context.Context, lock *workspace.Lock) error {
	if r.app.checkVenvs(r.f.session) == nil {
		return nil
	}
	o := InstallOptions{Output: func(line string) { r.app.Log.Info(line) }, Started: r.o.Started}
	var err error
	if dir := r.sharedVenvs(); dir != "" {
		err = r.shareVenvs(ctx, dir, o)
	} else {
		r.app.Log.Info("the workspace lacks what the project installs: installing it now")
		_, err = r.app.install(ctx, r.f.session, lock, o)
	}
	if err != nil {
		return err
	}
	return r.app.checkVenvs(r.f.session)
}

// sharedVenvs answers the folder of the virtual environments that jobs with these installs share, "" where they do not:
// an install without a virtual environment leaves its files in the workspace.
func (r *remoteRun) sharedVenvs() string {
	installs := r.f.project.Installs
	inWorkspace := slices.ContainsFunc(installs, func(in project.Install) bool { return in.Venv == "" })
	if r.jobID == "" || r.app.Venvs == "" || r.f.cloud.Provider != defaultProvider || len(installs) == 0 || inWorkspace {
		return ""
	}
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, in := range installs {
		_ = enc.Encode([]string{in.Venv, in.Command, in.Args}) // texts into a hash
	}
	scope := r.f.cloud.Scope
	return filepath.Join(r.app.Venvs, scope.Stage, scope.ResourceGroup, scope.Task, hex.EncodeToString(h.Sum(nil)[:8]))
}

// shareVenvs links the virtual environments in dir into the workspace, after it has installed them where they are not.
func (r *remoteRun) shareVenvs(ctx context.Context, dir string, o InstallOptions) error {
	ws, err := workspace.Open("", dir)
	if err != nil {
		return err
	}
	ready := filepath.Join(dir, readyName)
	if !exists(ready) {
		if err := r.installShared(ctx, ws, ready, o); err != nil {
			return err
		}
	}
	now := time.Now()
	_ = os.Chtimes(ready, now, now) // at worst it is installed again in a month
	dropUnused(filepath.Dir(dir), now)
	for _, in := range r.f.project.Installs {
		err := os.Symlink(ws.Venv(in.Venv), r.f.ws.Venv(in.Venv))
		if err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("share venv %q: %w", in.Venv, err)
		}
	}
	return nil
}

// installShared installs into ws, unless another job has done it when its turn comes.
func (r *remoteRun) installShared(ctx context.Context, ws *workspace.Workspace, ready string, o InstallOptions) error {
	if err := ws.Init(); err != nil {
		return err
	}
	lock, err := waitFor(ctx, ws, r.f.input.RunID)
	if err != nil {
		return err
	}
	defer lock.Release() //nolint:errcheck // the kernel frees it with the process
	if exists(ready) {
		return nil
	}
	r.app.Log.Info("installing what the jobs of this task share, into " + ws.Dir())
	s := *r.f.session
	s.ws = ws
	if _, err := r.app.install(ctx, &s, lock, o); err != nil {
		return err
	}
	if err := os.WriteFile(ready, nil, 0o600); err != nil {
		return fmt.Errorf("share venvs: %w", err)
	}
	return nil
}

// waitFor takes the lock of a workspace as soon as nobody has it.
func waitFor(ctx context.Context, ws *workspace.Workspace, runID string) (*workspace.Lock, error) {
	for {
		lock, err := ws.Lock(runID)
		if !errors.Is(err, workspace.ErrBusy) {
			return lock, err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// dropUnused removes the shared folders of a task that no job has used for long.
func dropUnused(dir string, now time.Time) {
	folders, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, d := range folders {
		info, err := os.Stat(filepath.Join(dir, d.Name(), readyName))
		if err == nil && now.Sub(info.ModTime()) > unusedFor {
			_ = os.RemoveAll(filepath.Join(dir, d.Name())) // what stays only takes room
		}
	}
}
