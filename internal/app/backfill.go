package app

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/release"
)

// BackfillOptions says for which times a task is to run, and how.
type BackfillOptions struct {
	Target
	From, To string // 2026-11-01 or 2026-11-01T06:00, in the zone; a day that To names belongs to it
	Every    string // a word of everyWords, or a cron expression; "": the times of the schedule
	Schedule string // target id; "": the only one there is, or none where Every is set
	Timezone string // "": that of the schedule, else UTC
	Release  string // "": the current one
	Parallel int    // runs at a time; 0: 1
	Again    bool   // also those that have succeeded
	DryRun   bool

	Tell  func(run BackfillRun, ended, all int) // told of each run at its end, serially; may be nil
	Going func(jobs []string)                   // told which jobs go on, whenever that changes; may be nil
}

// BackfillResult is what became of a backfill.
type BackfillResult struct {
	Status   string        `json:"status"` // success, failed, interrupted; planned
	Place    Place         `json:"place"`
	Schedule string        `json:"schedule,omitempty"` // target id
	Timezone string        `json:"timezone"`
	Release  string        `json:"release"`
	Made     int           `json:"made"`      // runs of this call that have succeeded
	Before   int           `json:"before"`    // runs that were there already
	Failed   int           `json:"failed"`    // that have not succeeded
	Open     int           `json:"open"`      // that go on, or were not started
	Runs     []BackfillRun `json:"runs"`      // by time
	ExitCode int           `json:"exit_code"` // 0 where all have succeeded
}

// BackfillRun is the run for one time.
type BackfillRun struct {
	At      time.Time `json:"scheduled_at"` // in the zone of the backfill
	Outcome string    `json:"outcome"`      // that of the run; running; planned, not started
	Before  bool      `json:"before,omitempty"`
	RunID   string    `json:"run,omitempty"`
	Job     string    `json:"job,omitempty"`
	Try     int       `json:"try,omitempty"`
	Seconds float64   `json:"seconds"`
	Reason  string    `json:"reason,omitempty"`
}

// What a run of a backfill can be beside the outcomes of runs.
const (
	notStarted = "not_started"
	planned    = "planned"
)

// backfill is a backfill that is going on.
type backfill struct {
	app     *App
	options BackfillOptions
	cloud   *cloud.Cloud
	base    cloud.Start // of each run, but for time and id
	zone    *time.Location
	inOrder bool // each run goes on from the one before it
	known   map[int64]madeRun
	records *ledger.Bucket

	mu    sync.Mutex // guards what follows
	res   BackfillResult
	ended int
	going []string // jobs
}

// madeRun is what is known of the runs for one time.
type madeRun struct {
	done  ledger.Run // one that has succeeded; the zero Run: none has
	going ledger.Run // one that is going on
	tries int        // runs that have ended
}

// Backfill makes the runs of a task for times that have passed, one for each time at which its schedule would have fired. What has
// succeeded is not run again, so that a backfill that was interrupted is said again. The error is for one that could not go on:
// a GoesOnError where ctx has ended; the result is good even then.
func (a *App) Backfill(ctx context.Context, o BackfillOptions) (BackfillResult, error) {
	b, times, err := a.newBackfill(ctx, o)
	if err != nil {
		return BackfillResult{}, err
	}
	if b.known, err = b.madeBefore(ctx, times); err != nil {
		return BackfillResult{}, err
	}
	for _, at := range times {
		b.res.Runs = append(b.res.Runs, b.before(at))
	}
	if !o.DryRun {
		err = b.run(ctx)
	}
	b.sum(ctx)
	return b.res, err
}

func (a *App) newBackfill(ctx context.Context, o BackfillOptions) (*backfill, []time.Time, error) {
	c, p, err := a.openTask(ctx, o.Target)
	if err != nil {
		return nil, nil, err
	}
	b := &backfill{app: a, options: o, cloud: c, records: a.ledger(c, 0)}
	times, err := b.plan(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	if b.base.Release, err = knownRelease(ctx, c, o.Release); err != nil {
		return nil, nil, err
	}
	if err := a.checkWrittenVars(p, o.Client, b.base.Written, "the variables of the backfill"); err != nil {
		return nil, nil, err
	}
	pushed, err := a.releasedProject(ctx, release.Open(c), b.base.Release)
	if err != nil {
		return nil, nil, err
	}
	b.inOrder = !apart(b.base, pushed)
	if b.inOrder && o.Parallel > 1 {
		return nil, nil, &UsageError{
			Message: "the runs of this backfill go on from one another: they cannot run in parallel",
			Hint:    "leave out --parallel, or `backfill: use` of state and artifacts in project.yml",
		}
	}
	if b.inOrder { // it may meet a run of the schedule
		b.base.Overlap = cloud.OverlapQueue
	}
	b.res = BackfillResult{
		Status: status(o.DryRun), Place: placeOf(c), Schedule: b.base.ScheduleID, Timezone: b.base.Zone, Release: b.base.Release,
		Runs: []BackfillRun{},
	}
	return b, times, nil
}

// releasedProject returns the project.yml of a release, without what it has for a client.
func (a *App) releasedProject(ctx context.Context, store *release.Store, id string) (*project.Project, error) {
	text, err := store.File(ctx, id, project.FileName)
	if err != nil {
		return nil, err
	}
	p, _, err := project.Decode(project.FileName, "", text, a.Providers...) // the runs tell its warnings
	return p, inProject(err)
}

// apart reports whether a run neither goes on from what other runs have left nor leaves anything to them: one of a backfill, unless
// the project wants it otherwise.
func apart(s cloud.Start, p *project.Project) bool {
	return s.Series != "" && p.Artifacts.Backfill != "use" && !usesState(p.Tasks)
}

func usesState(tasks []project.Task) (uses bool) {
	project.Walk(tasks, func(t project.Task, _ int) { uses = uses || t.State.On && t.State.Backfill == "use" })
	return uses
}

// series tells a backfill apart from those that ask for other variables at the same times.
func series(s cloud.Start, t Target) string {
	own := typed(t)
	text, _ := json.Marshal([]any{s.Zone, own.Env, own.Written, t.env("vars"), t.env(cloud.EnvVars)}) // texts
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:4])
}

// madeBefore looks up which runs there are for these times, of this backfill, or of the schedule where the backfill has no
// variables of its own.
func (b *backfill) madeBefore(ctx context.Context, times []time.Time) (map[int64]madeRun, error) {
	made := map[int64]madeRun{}
	for _, at := range times {
		made[at.Unix()] = madeRun{}
	}
	sight, err := b.app.readKnown(ctx, b.cloud)
	if err != nil {
		return nil, err
	}
	plain := b.base.ScheduleID != "" && b.base.Series == series(b.base, Target{})
	for run, err := range b.records.Runs(ctx, b.app.Now(), ledger.Query{All: true}) {
		if err != nil {
			return nil, err
		}
		m, wanted := made[run.ScheduledAt.Unix()]
		mine := run.Series == b.base.Series || run.Series == "" && plain
		if !wanted || run.ScheduledAt.IsZero() || !mine || run.ScheduleID != b.base.ScheduleID {
			continue
		}
		if run, err = b.app.settle(ctx, b.cloud, b.records, run, sight); err != nil {
			return nil, err
		}
		switch {
		case run.Outcome == ledger.Running:
			m.going = run
		case run.Outcome == string(pipeline.Success) && m.done.ID == "":
			m.done = run
			fallthrough
		default:
			m.tries++
		}
		made[run.ScheduledAt.Unix()] = m
	}
	return made, nil
}

// before is the run for a time, as far as there is one.
func (b *backfill) before(at time.Time) BackfillRun {
	m := b.known[at.Unix()]
	switch run := m.done; {
	case run.ID != "" && !b.options.Again:
		return BackfillRun{
			At: at, Outcome: run.Outcome, Before: true, RunID: run.ID, Job: run.JobID, Try: m.tries, Seconds: seconds(run.End.Sub(run.Start)),
		}
	case b.options.DryRun && m.going.ID != "":
		return BackfillRun{At: at, Outcome: ledger.Running, RunID: m.going.ID, Job: m.going.JobID}
	case b.options.DryRun:
		return BackfillRun{At: at, Outcome: planned, Try: m.tries + 1}
	}
	return BackfillRun{At: at, Outcome: notStarted}
}

// errEnough ends a backfill whose runs go on from one another at the first one that has not succeeded.
var errEnough = errors.New("the runs after one that has failed would go on from what it has not done")

func (b *backfill) run(ctx context.Context) error {
	var todo []int
	for i, run := range b.res.Runs {
		if !run.Before {
			todo = append(todo, i)
		}
	}
	b.ended = len(b.res.Runs) - len(todo)
	err := cloud.Each(ctx, b.options.Parallel, todo, b.one)
	switch {
	case ctx.Err() != nil:
		return &GoesOnError{strings.Join(b.going, ", "), context.Cause(ctx)}
	case errors.Is(err, errEnough):
		return nil
	}
	return err
}

// one makes the run number i.
func (b *backfill) one(ctx context.Context, i int) error {
	at := b.res.Runs[i].At
	job, try, err := b.start(ctx, at)
	if err != nil {
		return err
	}
	b.goes(job.ID, true)
	job, err = b.app.awaitJob(ctx, b.cloud, job)
	if err != nil {
		b.set(i, BackfillRun{At: at, Outcome: ledger.Running, RunID: job.RunID, Job: job.ID, Try: try})
		return err
	}
	b.goes(job.ID, false)
	run := b.outcome(ctx, job)
	run.At, run.Try = at, try
	b.set(i, run)
	if b.inOrder && run.Outcome != string(pipeline.Success) {
		return errEnough
	}
	return nil
}

// start returns the job of the run for a time: one that goes on, or a new one. Its token is that of the time and the try, so
// that two backfills, or one that was killed and said again, start it once.
func (b *backfill) start(ctx context.Context, at time.Time) (job cloud.Job, try int, err error) {
	m := b.known[at.Unix()]
	if m.going.JobID != "" {
		if job, err = b.cloud.Jobs.Status(ctx, m.going.JobID); err == nil && !job.State.Ended() {
			return job, m.tries + 1, nil
		}
	}
	t := tries{app: b.app, what: "start the run of " + at.Format(time.RFC3339)}
	for try = m.tries + 1; ; {
		s := b.base
		s.ScheduledAt = at
		s.Token = fmt.Sprintf("%s/%s/%s@%s#%d", b.cloud.Scope, s.ScheduleID, s.Series, at.UTC().Format(time.RFC3339), try)
		s.RunID = cloud.RunIDOf(b.app.Now(), s.Token)
		job, err = b.cloud.Jobs.Run(ctx, s)
		switch {
		case ctx.Err() != nil:
			return job, try, context.Cause(ctx)
		case err != nil:
			if err := t.failed(ctx, err); err != nil {
				return job, try, err
			}
		case job.RunID != s.RunID && job.State.Ended() && job.State != cloud.JobSucceeded:
			try++ // an earlier one, which had no time to make a record
		default:
			return job, try, nil
		}
	}
}

// outcome is how the run of a job that has ended did end.
func (b *backfill) outcome(ctx context.Context, job cloud.Job) BackfillRun {
	out := BackfillRun{RunID: job.RunID, Job: job.ID, Reason: job.Reason, Seconds: seconds(job.Ended.Sub(cmp.Or(job.Started, job.Created)))}
	switch job.State {
	case cloud.JobSucceeded:
		out.Outcome = string(pipeline.Success)
	case cloud.JobSkipped:
		out.Outcome = ledger.Skipped
	case cloud.JobStopped:
		out.Outcome = string(pipeline.Interrupted)
	case cloud.JobLost:
		out.Outcome = ledger.Died
	default:
		out.Outcome = string(pipeline.Failed)
	}
	return out
}

// goes notes that a job has begun, or has ended.
func (b *backfill) goes(job string, on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.going = slices.DeleteFunc(b.going, func(id string) bool { return id == job })
	if on {
		b.going = append(b.going, job)
	}
	if b.options.Going != nil {
		b.options.Going(slices.Clone(b.going))
	}
}

func (b *backfill) set(i int, run BackfillRun) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.res.Runs[i] = run
	if run.Outcome == ledger.Running {
		return
	}
	b.ended++
	if b.options.Tell != nil {
		b.options.Tell(run, b.ended, len(b.res.Runs))
	}
}

// sum counts what became of the runs.
func (b *backfill) sum(ctx context.Context) {
	r := &b.res
	for _, run := range r.Runs {
		switch {
		case run.Before:
			r.Before++
		case run.Outcome == string(pipeline.Success):
			r.Made++
		case slices.Contains([]string{ledger.Running, notStarted, planned}, run.Outcome):
			r.Open++
		default:
			r.Failed++
		}
	}
	switch {
	case b.options.DryRun:
	case ctx.Err() != nil:
		r.Status = string(pipeline.Interrupted)
	case r.Failed+r.Open > 0:
		r.Status, r.ExitCode = string(pipeline.Failed), ExitFailed
	}
}
