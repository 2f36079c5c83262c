package app

import (
	"context"
	"fmt"

	"github.com/handoff-run/handoff/internal/release"
)

// ReleaseListResult is the history of a task.
type ReleaseListResult struct {
	Status   string         `json:"status"`
	Place    Place          `json:"place"`
	Current  string         `json:"current"`  // id; "" where there is none
	Releases []release.Push `json:"releases"` // what was made current, the last one first
}

// ReleaseList returns which releases were current, and when.
func (a *App) ReleaseList(ctx context.Context, t Target) (res ReleaseListResult, err error) {
	c, _, err := a.openTask(ctx, t)
	if err != nil {
		return ReleaseListResult{}, err
	}
	pushes, err := release.Open(c).List(ctx)
	if err != nil {
		return ReleaseListResult{}, err
	}
	res = ReleaseListResult{Status: "success", Place: placeOf(c), Releases: pushes}
	if len(pushes) > 0 {
		res.Current = pushes[0].Release
	}
	a.sayNone(c, nil, "releases", len(pushes))
	return res, nil
}

// ReleaseDiffOptions names two releases, as release.Store.Resolve does. With From only, To is the current one; with
// neither, the current one is compared with the project folder.
type ReleaseDiffOptions struct {
	Target
	From, To string
}

// ReleaseDiffResult is what is different.
type ReleaseDiffResult struct {
	Status  string               `json:"status"`
	Place   Place                `json:"place"`
	From    string               `json:"from"`            // id
	To      string               `json:"to"`              // id
	Local   bool                 `json:"local,omitempty"` // To is the project folder
	Changes []release.Difference `json:"changes"`
}

// ReleaseDiff compares two releases.
func (a *App) ReleaseDiff(ctx context.Context, o ReleaseDiffOptions) (res ReleaseDiffResult, err error) {
	c, p, err := a.openTask(ctx, o.Target)
	if err != nil {
		return ReleaseDiffResult{}, err
	}
	store := release.Open(c)
	res = ReleaseDiffResult{Status: "success", Place: placeOf(c), Local: o.From == ""}
	from, err := store.Manifest(ctx, o.From)
	if err != nil {
		return ReleaseDiffResult{}, err
	}
	var to []release.Entry
	if !res.Local {
		m, err := store.Manifest(ctx, o.To)
		if err != nil {
			return ReleaseDiffResult{}, err
		}
		to = m.Entries
	} else {
		if p == nil {
			return ReleaseDiffResult{}, &UsageError{Message: "no project given", Hint: "add -p FOLDER, or name releases: handoff release diff A B"}
		}
		tree, err := release.Scan(ctx, p.Dir, release.All)
		if err != nil {
			return ReleaseDiffResult{}, inProject(fmt.Errorf("read the project: %w", err))
		}
		to = tree.Entries
	}
	res.From, res.To, res.Changes = from.Release, release.ID(to), release.Diff(from.Entries, to)
	return res, nil
}

// RollbackOptions names the release that shall be current; "" is the one before the current one.
type RollbackOptions struct {
	Target
	To     string
	DryRun bool
}

// RollbackResult is what is current, or, with DryRun, what would be.
type RollbackResult struct {
	Status  string               `json:"status"` // success; planned
	Place   Place                `json:"place"`
	From    string               `json:"from"` // id that was current
	Release string               `json:"release"`
	Number  int                  `json:"number,omitempty"` // of the push that it makes
	Changes []release.Difference `json:"changes"`
}

// ReleaseRollback makes an earlier release current again. Jobs that run are not touched.
func (a *App) ReleaseRollback(ctx context.Context, o RollbackOptions) (res RollbackResult, err error) {
	c, _, err := a.openTask(ctx, o.Target)
	if err != nil {
		return RollbackResult{}, err
	}
	store := release.Open(c)
	from, err := store.Resolve(ctx, "")
	if err != nil {
		return RollbackResult{}, err
	}
	target, err := store.RollbackTarget(ctx, o.To)
	if err != nil {
		return RollbackResult{}, err
	}
	to, err := store.Manifest(ctx, target)
	if err != nil {
		return RollbackResult{}, err
	}
	var now []release.Entry // none where it is damaged: perhaps that is why
	if m, err := store.Manifest(ctx, from); err == nil {
		now = m.Entries
	}
	res = RollbackResult{
		Status: status(o.DryRun), Place: placeOf(c), From: from, Release: target, Changes: release.Diff(now, to.Entries),
	}
	if o.DryRun {
		return res, nil
	}
	done, err := store.Rollback(ctx, target, a.pushInfo("rollback"))
	res.Number = done.Number
	return res, err
}
