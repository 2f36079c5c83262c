package app

import (
	"context"
	"fmt"

	"github.com/handoff-run/handoff/internal/artifact"
	"github.com/handoff-run/handoff/internal/cloud"
)

// ArtifactsResult says what was copied, and where it is in the bucket.
type ArtifactsResult struct {
	Status  string `json:"status"`
	Name    string `json:"name,omitempty"` // below artifacts/ in the bucket
	Run     string `json:"run,omitempty"`
	Files   int    `json:"files"`
	Bytes   int64  `json:"bytes"`
	Changed bool   `json:"changed"`
}

func artifactsResult(a artifact.Archive) ArtifactsResult {
	return ArtifactsResult{Status: "success", Name: a.Name, Run: a.Run, Files: a.Files, Bytes: a.Bytes, Changed: true}
}

// ArtifactsGet brings the artifacts of the last good run into the workspace. What else is there stays.
func (a *App) ArtifactsGet(ctx context.Context, t Target) (res ArtifactsResult, err error) {
	c, s, err := a.openArtifacts(ctx, t)
	if err != nil {
		return ArtifactsResult{}, err
	}
	lock, err := a.lock(ctx, s)
	if err != nil {
		return ArtifactsResult{}, err
	}
	defer lock.Release()
	got, found, err := a.artifacts(c).Fetch(ctx, artifact.FetchOptions{Dir: s.ws.Artifacts()})
	if err != nil {
		return ArtifactsResult{}, err
	}
	if !found {
		return ArtifactsResult{}, cloud.WithHint(fmt.Errorf("artifacts of task %q: %w", c.Scope.Task, cloud.ErrNotFound),
			"a successful `handoff run -a` or `handoff artifacts push` makes some")
	}
	return artifactsResult(got), nil
}

// ArtifactsPush makes the artifacts of the workspace those that the next run finds.
func (a *App) ArtifactsPush(ctx context.Context, t Target, dryRun bool) (res ArtifactsResult, err error) {
	c, s, err := a.openArtifacts(ctx, t)
	if err != nil {
		return ArtifactsResult{}, err
	}
	o := artifact.PushOptions{Dir: s.ws.Artifacts(), Keep: keep(s.project), Skip: ofRun}
	if dryRun {
		files, bytes, err := artifact.Count(o)
		return ArtifactsResult{Status: "planned", Files: files, Bytes: bytes}, err
	}
	lock, err := a.lock(ctx, s)
	if err != nil {
		return ArtifactsResult{}, err
	}
	defer lock.Release()
	err = a.byHand(ctx, c, func(ctx context.Context, fence int64, id string) error {
		o.Run, o.Fence = id, fence
		pushed, err := a.artifacts(c).Push(ctx, o)
		res = artifactsResult(pushed.Archive)
		return err
	})
	return res, err
}

// ArtifactsArchive copies the artifacts that the next run finds into a new archive.
func (a *App) ArtifactsArchive(ctx context.Context, t Target, dryRun bool) (res ArtifactsResult, err error) {
	c, p, err := a.openTask(ctx, t)
	if err != nil {
		return ArtifactsResult{}, err
	}
	if dryRun {
		return a.lastArtifacts(ctx, c)
	}
	got, err := a.artifacts(c).Archive(ctx, keep(p))
	if err != nil {
		return ArtifactsResult{}, err
	}
	return artifactsResult(got), nil
}

// ArtifactsDelete removes the artifacts that the next run finds; archives stay.
func (a *App) ArtifactsDelete(ctx context.Context, t Target, dryRun bool) (res ArtifactsResult, err error) {
	c, _, err := a.openTask(ctx, t)
	if err != nil {
		return ArtifactsResult{}, err
	}
	res, err = a.lastArtifacts(ctx, c)
	if err != nil || dryRun {
		return res, err
	}
	err = a.byHand(ctx, c, func(ctx context.Context, fence int64, _ string) error {
		return a.artifacts(c).Delete(ctx, fence)
	})
	res.Status, res.Changed = "success", res.Files > 0
	return res, err
}

// lastArtifacts says what the next run finds; nothing is no error.
func (a *App) lastArtifacts(ctx context.Context, c *cloud.Cloud) (ArtifactsResult, error) {
	last, found, err := a.artifacts(c).Last(ctx)
	if err != nil || !found {
		return ArtifactsResult{Status: "planned"}, err
	}
	res := artifactsResult(last)
	res.Status, res.Changed = "planned", false
	return res, nil
}

// ArtifactsListResult tells what is stored.
type ArtifactsListResult struct {
	Status string `json:"status"`
	*artifact.Index
}

// ArtifactsList answers the archives of good runs and what failed ones have left.
func (a *App) ArtifactsList(ctx context.Context, t Target) (res ArtifactsListResult, err error) {
	c, _, err := a.openTask(ctx, t)
	if err != nil {
		return ArtifactsListResult{}, err
	}
	x, err := a.artifacts(c).Index(ctx)
	return ArtifactsListResult{"success", x}, err
}

// openArtifacts opens the cloud and the workspace for a verb that copies between them.
func (a *App) openArtifacts(ctx context.Context, t Target) (*cloud.Cloud, *session, error) {
	c, p, err := a.openTask(ctx, t)
	if err != nil {
		return nil, nil, err
	}
	s, err := a.workspaceOf(t)
	if err != nil {
		return nil, nil, err
	}
	s.project = p
	return c, s, nil
}
