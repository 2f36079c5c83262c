package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/handoff-run/handoff/internal/artifact"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/commit"
	"github.com/handoff-run/handoff/internal/ledger"
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

// ArtifactsGet brings the artifacts of the last good run into the workspace, or those of the run, failed or good, that is named, with
// its record and its log. What else is there stays.
func (a *App) ArtifactsGet(ctx context.Context, t Target, run string) (res ArtifactsResult, err error) {
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
	name := now.Artifacts
	if run != "" {
		name, err = archiveNamed(ctx, commits.Artifacts, now.Artifacts, run)
	} else if name == "" {
		err = commit.NoArtifacts(c.Scope.Task)
	}
	if err != nil {
		return ArtifactsResult{}, err
	}
	o := artifact.FetchOptions{Dir: s.ws.Artifacts()}
	got, err := commits.Artifacts.Fetch(ctx, name, o)
	if err == nil && run != "" {
		err = commits.Artifacts.FetchBeside(ctx, name, o, ledger.FileName, runLog)
	}
	if err != nil {
		return ArtifactsResult{}, err
	}
	return artifactsResult(got.Archive), nil
}

// archiveNamed returns the name of the archive that a person means: its name, or the id of its run, or the beginning or end of that.
func archiveNamed(ctx context.Context, store *artifact.Store, current, word string) (string, error) {
	good, failed, err := store.List(ctx, current)
	if err != nil {
		return "", err
	}
	var found []string
	for _, x := range append(good, failed...) {
		if x.Name == word || x.RunID == word {
			return x.Name, nil
		}
		if word != "" && (strings.HasPrefix(x.RunID, word) || strings.HasSuffix(x.RunID, word) || strings.HasPrefix(x.Name, "archives/"+word)) {
			found = append(found, x.Name)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", cloud.WithHint(fmt.Errorf("artifacts of run %q: %w", word, cloud.ErrNotFound),
			"see `handoff artifacts list`; a run stores its artifacts with -a, and older ones are removed (`artifacts: {keep: 30}`)")
	}
	return "", cloud.WithHint(fmt.Errorf("artifacts of run %q: %w: more than one fits", word, cloud.ErrInvalid),
		"write more of it: "+strings.Join(found[:min(len(found), 5)], ", "))
}

// ArtifactsRestore makes an archive, or what a failed run has left, the artifacts that the next run finds: as a copy, so that what is
// there now stays as well.
func (a *App) ArtifactsRestore(ctx context.Context, t Target, word string, dryRun bool) (res ArtifactsResult, err error) {
	c, p, err := a.openTask(ctx, t)
	if err != nil {
		return ArtifactsResult{}, err
	}
	commits := a.commits(c)
	now, err := commits.Read(ctx)
	if err != nil {
		return ArtifactsResult{}, err
	}
	name, err := archiveNamed(ctx, commits.Artifacts, now.Artifacts, word)
	if err != nil {
		return ArtifactsResult{}, err
	}
	if dryRun {
		found, err := commits.Artifacts.Snapshot(ctx, name)
		if err != nil {
			return ArtifactsResult{}, err
		}
		res = artifactsResult(found.Archive)
		res.Status, res.Changed = "planned", name != now.Artifacts
		return res, nil
	}
	if name == now.Artifacts {
		res, err = a.lastArtifacts(ctx, c)
		res.Status = "success"
		return res, err
	}
	err = a.byHand(ctx, c, func(ctx context.Context, fence int64, id string) error {
		done, err := commits.Commit(ctx, commit.Change{By: commit.ByRestore, Writer: id, Fence: fence, Restore: name, Keep: keep(p)})
		if err == nil {
			tellCommitted(a.Log, done)
			res = artifactsResult(done.Pushed.Archive)
		}
		return err
	})
	return res, err
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
		a.sayNone(c, nil, "artifacts", len(res.Archives)+len(res.Failed))
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
