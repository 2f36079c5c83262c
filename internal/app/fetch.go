package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/release"
	"github.com/handoff-run/handoff/internal/secret"
	"github.com/handoff-run/handoff/internal/workspace"
)

// fetched is a release in the workspace, ready to be rendered and run.
type fetched struct {
	*remote
	release string // id
	dir     string // of project.yml and files/, inside of the workspace
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
	f = &fetched{remote: &remote{session: s, cloud: c}, release: id}
	if s.ws, err = workspace.OpenFetched(t.WorkspaceDir, release.Short(id)); err != nil {
		return nil, inProject(err)
	}
	f.dir = s.ws.Project()
	if err := a.fetch(ctx, store, id, f.dir); err != nil {
		return nil, err
	}
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
	if !exists(filepath.Join(f.dir, project.FileName)) {
		return &UsageError{
			Message: fmt.Sprintf("release %s has no %s", release.Short(f.release), project.FileName),
			Hint:    "push it: handoff config push, or handoff project push",
		}
	}
	p, warnings, err := project.LoadAs(f.dir, project.FileName)
	a.warn(warnings)
	if err != nil {
		return inProject(err)
	}
	f.project = p
	if err := a.cloudSecrets(ctx, f.remote); err != nil {
		return err
	}
	f.input = a.planInput(f.session)
	return nil
}

// cloudSecrets takes the secrets of the task from the cloud.
func (a *App) cloudSecrets(ctx context.Context, r *remote) error {
	all, err := r.cloud.Secrets.All(ctx)
	if err != nil {
		return err
	}
	entries := make([]secret.Entry, len(all))
	for i, s := range all {
		entries[i] = secret.Entry{Key: s.Key, Value: s.Value, Level: string(s.Level), Source: r.cloud.Provider}
	}
	a.mask(r.session, entries)
	return nil
}

// unused is from when on a release in a workspace counts as left over: until then another run may be about to begin.
const unused = time.Hour

// dropReleases removes what other releases have left in the workspace.
func (f *fetched) dropReleases() {
	dirs, err := os.ReadDir(filepath.Dir(f.dir))
	if err != nil {
		return
	}
	for _, d := range dirs {
		info, err := d.Info()
		if err == nil && d.Name() != filepath.Base(f.dir) && f.input.Now.Sub(info.ModTime()) > unused {
			_ = os.RemoveAll(filepath.Join(filepath.Dir(f.dir), d.Name()))
		}
	}
}
