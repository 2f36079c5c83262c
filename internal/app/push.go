package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/release"
)

// Place says where in a cloud something is.
type Place struct {
	Provider string `json:"provider"`
	cloud.Scope
}

func placeOf(c *cloud.Cloud) Place { return Place{Provider: c.Provider, Scope: c.Scope} }

// PushOptions says which parts of a project to push.
type PushOptions struct {
	Target
	Parts    release.Parts
	Secrets  bool // also the secrets of the project; those first, so that no run finds a release without them
	OnlyNew  bool // with Secrets: not those that are at the provider as they are here, where one may read them
	Force    bool // push also a project in which something is wrong, and upload also what the bucket seems to have
	DryRun   bool
	Progress func(release.Uploads) // may be nil; called serially
}

// PushResult is what was pushed, or, with DryRun, what would be.
type PushResult struct {
	Status        string               `json:"status"` // success; planned
	Place         Place                `json:"place"`
	Release       string               `json:"release"`
	Number        int                  `json:"number,omitempty"` // of the push
	Changed       bool                 `json:"changed"`          // false: the bucket had just this
	Files         int                  `json:"files"`
	Size          int64                `json:"size"` // bytes
	UploadedFiles int                  `json:"uploaded_files"`
	UploadedSize  int64                `json:"uploaded_size"`
	Changes       []release.Difference `json:"changes,omitempty"` // with DryRun
	Secrets       []SecretStatus       `json:"secrets,omitempty"`
}

// Push pushes parts of the project as a new release, which becomes the current one as a whole, at the very end.
func (a *App) Push(ctx context.Context, o PushOptions) (res PushResult, err error) {
	s, c, err := a.openWithCloud(ctx, o.Target)
	if err != nil {
		return PushResult{}, err
	}
	defer s.hideSecrets(&err)
	if err := a.checkPush(ctx, s, c, o); err != nil {
		return PushResult{}, err
	}
	var secrets []SecretStatus
	if o.Secrets {
		if secrets, err = a.pushSecrets(ctx, s, c, o); err != nil {
			return PushResult{}, err
		}
	}
	res, err = a.pushRelease(ctx, s, c, o)
	res.Secrets = secrets
	return res, err
}

// pushRelease pushes what is no secret.
func (a *App) pushRelease(ctx context.Context, s *session, c *cloud.Cloud, o PushOptions) (PushResult, error) {
	tree, err := release.Scan(ctx, s.project.Dir, o.Parts)
	if err != nil {
		return PushResult{}, inProject(fmt.Errorf("read the project: %w", err))
	}
	for _, w := range tree.Warnings {
		a.Log.Warn(w)
	}
	p := release.PushOptions{
		Tree: tree, Parts: o.Parts, Force: o.Force, Progress: o.Progress, Info: a.pushInfo(action(o.Parts, "push")),
	}
	if o.DryRun {
		return previewPush(ctx, c, p)
	}
	res, err := push(ctx, c, p)
	if err == nil && res.Changed {
		a.tidyReleases(ctx, o.Target, c, s.project)
	}
	return res, err
}

// action names a change of a release as the command line does.
func action(p release.Parts, verb string) string {
	switch p {
	case release.All:
		return "project " + verb
	case release.Parts{Config: true}:
		return "config " + verb
	}
	return "files " + verb
}

// pushInfo says who changes what is current, and when.
func (a *App) pushInfo(action string) release.Push {
	by := a.Host
	if user := first(a.env("USER"), a.env("LOGNAME")); user != "" {
		by = user + "@" + by
	}
	return release.Push{Time: a.Now().UTC(), By: by, Action: action, Version: a.Version}
}

func push(ctx context.Context, c *cloud.Cloud, o release.PushOptions) (PushResult, error) {
	done, err := release.Open(c).Push(ctx, o)
	if err != nil {
		return PushResult{}, err
	}
	return PushResult{
		Status: "success", Place: placeOf(c), Release: done.Release, Number: done.Number, Changed: done.Changed,
		Files: done.Files, Size: done.Size, UploadedFiles: done.Uploaded.Done, UploadedSize: done.Uploaded.DoneSize,
	}, nil
}

func previewPush(ctx context.Context, c *cloud.Cloud, o release.PushOptions) (PushResult, error) {
	now, err := currentEntries(ctx, c)
	if err != nil {
		return PushResult{}, err
	}
	next := o.Preview(now)
	m := release.Manifest{Entries: next}
	res := PushResult{Status: "planned", Place: placeOf(c), Release: release.ID(next), Changes: release.Diff(now, next)}
	res.Files, res.Size = m.Count()
	res.Changed = len(res.Changes) > 0
	return res, nil
}

// currentEntries returns what the current release consists of; none where there is none.
func currentEntries(ctx context.Context, c *cloud.Cloud) ([]release.Entry, error) {
	store := release.Open(c)
	pushes, err := store.List(ctx)
	if err != nil || len(pushes) == 0 {
		return nil, err
	}
	m, err := store.Manifest(ctx, pushes[0].Release)
	if err != nil {
		return nil, err
	}
	return m.Entries, nil
}

// DeleteOptions says what of a project to delete in the cloud.
type DeleteOptions struct {
	Target
	Parts  release.Parts // not all of them
	DryRun bool
}

// DeleteParts makes a release without the parts. Earlier releases stay: a rollback brings the parts back.
func (a *App) DeleteParts(ctx context.Context, o DeleteOptions) (res PushResult, err error) {
	c, _, err := a.openTask(ctx, o.Target)
	if err != nil {
		return PushResult{}, err
	}
	p := release.PushOptions{Parts: o.Parts, Info: a.pushInfo(action(o.Parts, "delete"))}
	if o.DryRun {
		return previewPush(ctx, c, p)
	}
	return push(ctx, c, p)
}

// ProjectDeleteResult is what was deleted, or, with DryRun, what would be.
type ProjectDeleteResult struct {
	Status  string   `json:"status"` // success; planned
	Place   Place    `json:"place"`
	Pushes  int      `json:"pushes"`  // that were remembered
	Secrets []string `json:"secrets"` // keys on the level of the task
}

// ProjectDelete deletes every release of the task and its own secrets. Secrets of the resource group, artifacts, state
// and run records stay. For a client it deletes only the secrets: the releases are those of all clients.
func (a *App) ProjectDelete(ctx context.Context, o DeleteOptions) (res ProjectDeleteResult, err error) {
	c, _, err := a.openTask(ctx, o.Target)
	if err != nil {
		return ProjectDeleteResult{}, err
	}
	res = ProjectDeleteResult{Status: "planned", Place: placeOf(c), Secrets: []string{}}
	infos, err := c.Secrets.List(ctx)
	if err != nil {
		return res, err
	}
	for _, s := range infos {
		if s.Level == cloud.LevelTask {
			res.Secrets = append(res.Secrets, s.Key)
		}
	}
	store := release.Open(c)
	if o.DryRun {
		if c.Scope.Client == "" {
			pushes, err := store.List(ctx)
			res.Pushes = len(pushes)
			return res, err
		}
		return res, nil
	}
	if err := cloud.NeedIdle(ctx, c.Jobs); err != nil {
		return res, err
	}
	res.Status = "success"
	if c.Scope.Client == "" {
		if res.Pushes, err = store.Delete(ctx); err != nil {
			return res, err
		}
	}
	return res, c.Secrets.Delete(ctx, cloud.LevelTask, res.Secrets...)
}

// ConfigText returns the project.yml of a release, as it was pushed; name is as release.Store.Resolve takes it.
func (a *App) ConfigText(ctx context.Context, t Target, name string) (text []byte, err error) {
	c, _, err := a.openTask(ctx, t)
	if err != nil {
		return nil, err
	}
	return release.Open(c).File(ctx, name, project.FileName)
}

// FilesGet renders the files of the current release into the workspace, with the secrets of the cloud.
func (a *App) FilesGet(ctx context.Context, t Target) (res FilesResult, err error) {
	f, err := a.openRelease(ctx, t, "")
	if err != nil {
		return FilesResult{}, err
	}
	s := f.session
	defer s.hideSecrets(&err)
	lock, err := a.lock(ctx, s)
	if err != nil {
		return FilesResult{}, err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	s.dropReleases()
	if err := a.render(ctx, s); err != nil {
		return FilesResult{}, err
	}
	return FilesResult{Status: "success", Files: s.ws.Files()}, nil
}
