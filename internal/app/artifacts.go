package app

import (
	"context"

	"github.com/handoff-run/handoff/internal/artifact"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/commit"
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
	return ArtifactsResult{Status: "success", Name: a.Name, Run: a.RunID, Files: a.Files, Bytes: a.Bytes, Changed: true}
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
	commits := a.commits(c)
	now, err := commits.Read(ctx)
	if err != nil {
		return ArtifactsResult{}, err
	}
	if now.Artifacts == "" {
		return ArtifactsResult{}, commit.NoArtifacts(c.Scope.Task)
	}
	got, err := commits.Artifacts.Fetch(ctx, now.Artifacts, artifact.FetchOptions{Dir: s.ws.Artifacts()})
	if err != nil {
		return ArtifactsResult{}, err
	}
	return artifactsResult(got.Archive), nil
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
		o.RunID, o.Fence = id, fence
		done, err := a.commits(c).Commit(ctx, commit.Change{By: commit.ByPush, Writer: id, Fence: fence, Push: &o})
		if err == nil {
			tellCommitted(a.Log, done)
			res = artifactsResult(done.Pushed.Archive)
		}
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
	got, err := a.commits(c).Archive(ctx, keep(p))
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
	err = a.byHand(ctx, c, func(ctx context.Context, fence int64, id string) error {
		done, err := a.commits(c).Commit(ctx, commit.Change{By: commit.ByDelete, Writer: id, Fence: fence, Delete: true})
		if err == nil {
			tellCommitted(a.Log, done)
		}
		return err
	})
	res.Status, res.Changed = "success", res.Files > 0
	return res, err
}

// lastArtifacts says what the next run finds; nothing is no error.
func (a *App) lastArtifacts(ctx context.Context, c *cloud.Cloud) (ArtifactsResult, error) {
	commits := a.commits(c)
	now, err := commits.Read(ctx)
	if err != nil || now.Artifacts == "" {
		return ArtifactsResult{Status: "planned"}, err
	}
	last, err := commits.Artifacts.Snapshot(ctx, now.Artifacts)
	if err != nil {
		return ArtifactsResult{}, err
	}
	res := artifactsResult(last.Archive)
	res.Status, res.Changed = "planned", false
	return res, nil
}

// ArtifactsListResult tells what is stored.
type ArtifactsListResult struct {
	Status   string             `json:"status"`
	Last     *artifact.Snapshot `json:"last,omitempty"` // what the next run finds
	Archives []artifact.Archive `json:"archives"`       // the newest first
	Failed   []artifact.Archive `json:"failed"`         // the newest first
}

// ArtifactsList returns the archives of good runs and what failed ones have left.
func (a *App) ArtifactsList(ctx context.Context, t Target) (res ArtifactsListResult, err error) {
	c, _, err := a.openTask(ctx, t)
	if err != nil {
		return ArtifactsListResult{}, err
	}
	commits := a.commits(c)
	now, err := commits.Read(ctx)
	if err != nil {
		return ArtifactsListResult{}, err
	}
	res.Status = "success"
	if now.Artifacts != "" {
		if res.Last, err = commits.Artifacts.Snapshot(ctx, now.Artifacts); err != nil {
			return ArtifactsListResult{}, err
		}
	}
	res.Archives, res.Failed, err = commits.Artifacts.List(ctx, now.Artifacts)
	if err == nil {
		a.sayNone(c, "artifacts", len(res.Archives)+len(res.Failed))
	}
	return res, err
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
