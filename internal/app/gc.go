package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/handoff-run/handoff/internal/artifact"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/lease"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/project"
)

// GCOptions says whose leftovers are meant.
type GCOptions struct {
	Target
	DryRun bool
}

// Old is something that is kept no longer.
type Old struct {
	Kind  string    `json:"kind"`          // run, archive, release; part: of a release that there is not
	Name  string    `json:"name"`          // id of the run or release, or name of the archive
	Run   string    `json:"run,omitempty"` // of an archive: who has left it
	Time  time.Time `json:"time"`          // of a release: since when it is marked
	Bytes int64     `json:"bytes"`
}

// GCResult is what was removed, or would be.
type GCResult struct {
	Status  string `json:"status"` // success; planned
	Place   Place  `json:"place"`
	Runs    int    `json:"keep_runs"`     // the limits
	Days    int    `json:"keep_days"`     // of records and archives
	Number  int    `json:"keep_archives"` // of archives
	Newest  int    `json:"keep_releases"` // of releases
	Kept    int    `json:"runs_kept"`
	Removed []Old  `json:"removed"`          // each kind the newest first
	Marked  []Old  `json:"marked,omitempty"` // releases that go a day later, unless somebody uses them
	Bytes   int64  `json:"bytes"`
}

// GC removes what the project does not keep of what runs have left in the bucket.
func (a *App) GC(ctx context.Context, o GCOptions) (GCResult, error) {
	c, p, err := a.openTask(ctx, o.Target)
	if err != nil {
		return GCResult{}, err
	}
	if p == nil {
		return GCResult{}, &UsageError{Message: "no project given", Hint: "add -p FOLDER: its project.yml says what is kept"}
	}
	res, err := a.sweep(ctx, c, p, o.DryRun)
	if err != nil || c.Scope.Client != "" { // the releases are those of all clients
		return res, err
	}
	return res, a.sweepReleases(ctx, o.Target, c, p, o.DryRun, &res)
}

// mostDays is a time that is as good as for ever, and that a calendar can still go back.
const mostDays = 200 * 366

// sweep is GC, for whoever has opened what it needs. Killed anywhere it has removed some of what is too old, and nothing else.
func (a *App) sweep(ctx context.Context, c *cloud.Cloud, p *project.Project, dryRun bool) (GCResult, error) {
	res := GCResult{
		Status: status(dryRun), Place: placeOf(c), Removed: []Old{}, Number: keep(p),
		Newest: cmp.Or(p.Keep.Releases, project.DefaultKeepReleases), Runs: cmp.Or(p.Keep.Runs, project.DefaultKeepRuns), Days: cmp.Or(p.Keep.Days, project.DefaultKeepDays),
	}
	before := a.Now().AddDate(0, 0, -min(res.Days, mostDays))
	commits, records := a.commits(c), a.ledger(c, 0)
	now, err := commits.Read(ctx)
	if err != nil {
		return res, err
	}
	always := map[string]bool{now.RunID: true}
	for _, ref := range now.States {
		always[ref.RunID] = true
	}
	if r, _, err := lease.Read(ctx, c.Files, leaseKey(c)); err == nil {
		always[r.RunID] = true
	}
	old, kept, err := records.Beyond(ctx, a.Now(), ledger.Limit{Runs: res.Runs, Before: before, Always: always})
	if err != nil {
		return res, err
	}
	limit := artifact.Limit{Archives: res.Number, Before: before}
	archives, err := commits.Artifacts.Beyond(ctx, now.Artifacts, limit)
	if err != nil {
		return res, err
	}
	res.Kept = len(kept)
	for _, r := range old {
		res.add(Old{Kind: "run", Name: r.RunID, Time: r.Start, Bytes: r.Bytes})
	}
	for _, x := range archives {
		res.add(Old{Kind: "archive", Name: x.Name, Run: x.RunID, Time: x.Time, Bytes: x.Bytes})
	}
	if dryRun {
		return res, nil
	}
	return res, errors.Join(commits.Sweep(ctx, limit), records.Remove(ctx, old, kept))
}

func (r *GCResult) add(o Old) {
	r.Removed = append(r.Removed, o)
	r.Bytes += o.Bytes
}

// swept notes when something was last removed: the object swept.json beside it.
type swept struct {
	Time time.Time `json:"time"` // UTC, by the clock of who does it
}

const sweepEvery = 24 * time.Hour

// sweepDaily is sweep, if nobody has done so for a day.
func (a *App) sweepDaily(ctx context.Context, c *cloud.Cloud, p *project.Project) error {
	due, _, err := a.daily(ctx, c, c.Scope.Prefix()+"/runs/swept.json")
	if err == nil && due {
		_, err = a.sweep(ctx, c, p, false)
	}
	return err
}

// daily reports whether something is due that is done once a day, and notes in the object key that it is done; now is the time by the
// clock of the bucket. Of several at a time one does it. Who dies meanwhile has put it off by a day.
func (a *App) daily(ctx context.Context, c *cloud.Cloud, key string) (due bool, now time.Time, err error) {
	var last swept
	text, o, err := cloud.Read(ctx, c.Files, key, 1<<10)
	switch {
	case errors.Is(err, cloud.ErrNotFound):
	case err != nil:
		return false, now, err
	case json.Unmarshal(text, &last) != nil: // damaged: as if it had never been done
		last.Time = time.Time{}
	}
	if age := a.Now().Sub(last.Time); age < sweepEvery && age > -sweepEvery { // a clock that was wrong must not put it off for years
		return false, now, nil
	}
	return a.noteSwept(ctx, c, key, cloud.PutOptions{IfAbsent: o.ETag == "", IfMatch: o.ETag})
}

// noteSwept notes that something is done; it is not due where somebody else has done so.
func (a *App) noteSwept(ctx context.Context, c *cloud.Cloud, key string, o cloud.PutOptions) (due bool, now time.Time, err error) {
	text, err := json.Marshal(swept{a.Now().UTC()})
	if err != nil {
		return false, now, err
	}
	stored, err := c.Files.Put(ctx, key, cloud.Bytes(append(text, '\n')), o)
	if errors.Is(err, cloud.ErrConflict) {
		return false, now, nil
	}
	if err != nil {
		return false, now, fmt.Errorf("note that what is old is removed: %w", err)
	}
	return true, stored.Modified, nil
}
