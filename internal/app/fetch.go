package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/release"
	"github.com/handoff-run/handoff/internal/secret"
	"github.com/handoff-run/handoff/internal/workspace"
)

// fetched is a release in the workspace, ready to be rendered and run.
type fetched struct {
	session *session
	cloud   *cloud.Cloud
	id      string // of the release
}

// openRelease is open for a project in the bucket: it brings the release into the workspace and takes the secrets from
// the cloud. name is an id, as release.Store.Resolve takes it; "" is the current release. It does not need the lock of
// the workspace.
func (a *App) openRelease(ctx context.Context, t Target, name string) (f *fetched, err error) {
	c, _, err := a.openTask(ctx, t)
	if err != nil {
		return nil, err
	}
	s := &session{target: t, fetched: true}
	s.target.EnvStage = c.Scope.Stage
	if t.WorkspaceDir == "" {
		return nil, s.needWorkspace()
	}
	store := release.Open(c)
	id, err := store.Resolve(ctx, name)
	if err != nil {
		return nil, err
	}
	if name != "" {
		if _, err := store.Use(ctx, id); err != nil && !errors.Is(err, cloud.ErrDenied) { // a job may not write there: the list of jobs keeps its release
			return nil, err
		}
	}
	if s.ws, err = workspace.OpenFetched(t.WorkspaceDir, release.Short(id)); err != nil {
		return nil, inProject(err)
	}
	if err := a.fetch(ctx, store, id, s.ws.Project()); err != nil {
		return nil, err
	}
	f = &fetched{session: s, cloud: c, id: id}
	return f, a.loadFetched(ctx, f)
}

// fetch brings a release into dir, unless it is there already.
func (a *App) fetch(ctx context.Context, store *release.Store, id, dir string) error {
	if got, err := release.Hash(dir); err == nil && got == id {
		now := a.Now()
		_ = os.Chtimes(dir, now, now) // it is in use
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return &UsageError{Message: fmt.Sprintf("make %s: %v", filepath.Dir(dir), err)}
	}
	m, err := store.Fetch(ctx, id, dir)
	if err != nil {
		return err
	}
	files, size := m.Count()
	a.Log.Info(fmt.Sprintf("release %s: %s, %s", release.Short(id), Count(files, "file"), Bytes(size)))
	return nil
}

func (a *App) loadFetched(ctx context.Context, f *fetched) error {
	s := f.session
	if !exists(filepath.Join(s.ws.Project(), project.FileName)) {
		return &UsageError{
			Message: fmt.Sprintf("release %s has no %s", release.Short(f.id), project.FileName),
			Hint:    "push it: handoff config push, or handoff project push",
		}
	}
	p, warnings, err := project.LoadAs(s.ws.Project(), project.FileName, a.Providers...)
	a.warn(warnings)
	if err != nil {
		return inProject(err)
	}
	own, ok := p.For(s.target.Client, s.target.EnvStage)
	if !ok {
		return &UsageError{
			Message: fmt.Sprintf("release %s has no client %q: push the project that has it", release.Short(f.id), s.target.Client),
			Hint:    "handoff config push, or handoff project push, where the project is",
		}
	}
	s.project = own
	if err := a.cloudSecrets(ctx, s, f.cloud); err != nil {
		return err
	}
	s.input = a.planInput(s)
	return nil
}

// cloudSecrets takes the secrets of the task from the cloud.
func (a *App) cloudSecrets(ctx context.Context, s *session, c *cloud.Cloud) error {
	all, err := c.Secrets.All(ctx)
	if err != nil {
		return err
	}
	entries := make([]secret.Entry, len(all))
	for i, one := range all {
		entries[i] = secret.Entry{Key: one.Key, Value: one.Value, Level: string(one.Level), Source: c.Provider}
	}
	a.mask(s, entries)
	return nil
}

// unused is from when on a release in a workspace counts as left over: until then another run may be about to begin.
const unused = time.Hour

// dropReleases removes what other releases have left in the workspace.
func (s *session) dropReleases() {
	mine := s.ws.Project()
	dirs, err := os.ReadDir(filepath.Dir(mine))
	if err != nil {
		return
	}
	for _, d := range dirs {
		info, err := d.Info()
		if err == nil && d.Name() != filepath.Base(mine) && s.input.Now.Sub(info.ModTime()) > unused {
			_ = os.RemoveAll(filepath.Join(filepath.Dir(mine), d.Name()))
		}
	}
}
