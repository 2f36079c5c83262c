package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/commit"
	"github.com/handoff-run/handoff/internal/lease"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/workspace"
)

// workspaceOf opens the workspace of t for a verb that reads no project. Its lock is named after a new id.
func (a *App) workspaceOf(t Target) (*session, error) {
	s := &session{target: t}
	if t.WorkspaceDir == "" {
		return nil, s.needWorkspace()
	}
	var err error
	if s.ws, err = workspace.Open(t.ProjectDir, t.WorkspaceDir); err != nil {
		return nil, inProject(err)
	}
	s.input.RunID = cloud.NewRunID(a.Now())
	return s, nil
}

// RunsQuery says which runs to list.
type RunsQuery struct {
	Limit   int       // at most so many, the newest; 0: all
	Since   time.Time // only those that started at or after it
	Until   time.Time // only those that started before it; zero: all
	Outcome string    // only those that ended so; "": all
}

// RunSummary is one line of a list of runs.
type RunSummary struct {
	ID      string    `json:"id"`
	Outcome string    `json:"outcome"`
	Start   time.Time `json:"start,omitzero"`
	Seconds float64   `json:"seconds"` // until now for one that is running
	Trigger string    `json:"trigger,omitempty"`
	Release string    `json:"release,omitempty"`
	Job     string    `json:"job,omitempty"`
	Rows    *int64    `json:"rows,omitempty"` // records; nil: nobody has counted
	Reason  string    `json:"reason,omitempty"`
}

// RunsList is a list of runs, the newest first.
type RunsList struct {
	Status string       `json:"status"`
	Runs   []RunSummary `json:"runs"`
}

// Outcomes are those that a run can have.
func Outcomes() []string {
	return []string{
		ledger.Running, string(pipeline.Success), string(pipeline.Failed), string(pipeline.TimedOut), string(pipeline.Interrupted), ledger.Died, ledger.Skipped,
	}
}

// outcome returns how a person has named the outcome of a run, as records have it.
func outcome(name string) (string, error) {
	known := Outcomes()
	got := strings.ReplaceAll(name, " ", "_") // as lists of runs show it
	if got != "" && !slices.Contains(known, got) {
		return "", &UsageError{Message: fmt.Sprintf("there is no outcome %q", name), Hint: "there are: " + strings.Join(known, ", ")}
	}
	return got, nil
}

// Runs lists the runs of the task.
func (a *App) Runs(ctx context.Context, t Target, q RunsQuery) (res RunsList, err error) {
	if q.Outcome, err = outcome(q.Outcome); err != nil {
		return RunsList{}, err
	}
	c, p, err := a.openTask(ctx, t)
	if err != nil {
		return RunsList{}, err
	}
	now := a.Now()
	known, err := a.readKnown(ctx, c)
	if err != nil {
		return RunsList{}, err
	}
	res = RunsList{Status: "success", Runs: []RunSummary{}}
	b := a.ledger(c, q.Limit)
	if q.Outcome != "" || !q.Until.IsZero() { // nobody knows how many have to be looked at
		b = a.ledger(c, 0)
	}
	for run, err := range b.Runs(ctx, now, ledger.Query{Outcome: q.Outcome, Also: known.from.RunID, All: q.Limit == 0 && q.Since.IsZero()}) {
		if err == nil {
			run, err = a.settle(ctx, c, b, run, known)
		}
		if err != nil {
			return RunsList{}, err
		}
		if !run.Start.IsZero() && run.Start.Before(q.Since) {
			break
		}
		if q.Outcome != "" && run.Outcome != q.Outcome || !q.Until.IsZero() && !run.Start.Before(q.Until) {
			continue
		}
		if res.Runs = append(res.Runs, summary(run, now)); len(res.Runs) == q.Limit {
			break
		}
	}
	a.sayNone(c, p, "runs", len(res.Runs))
	return res, nil
}

// ledger returns the records of the task; limit is how many are wanted, 0 where that is not known.
func (a *App) ledger(c *cloud.Cloud, limit int) *ledger.Bucket {
	parallel := c.Parallel
	if limit > 0 {
		parallel = min(parallel, limit)
	}
	return &ledger.Bucket{Files: c.Files, Prefix: c.Scope.Prefix(), Parallel: parallel}
}

func summary(run ledger.Run, now time.Time) RunSummary {
	end := run.End
	if end.IsZero() {
		end = now
	}
	out := RunSummary{
		ID: run.ID, Outcome: run.Outcome, Start: run.Start, Trigger: run.Trigger, Release: run.Release,
		Job: run.JobID, Rows: run.Rows, Reason: run.Reason,
	}
	if !run.Start.IsZero() {
		out.Seconds = seconds(end.Sub(run.Start))
	}
	return out
}

// runNamed returns the id of the run that a person means, "" for "". A run whose job has only been started has no record yet.
func (a *App) runNamed(ctx context.Context, c *cloud.Cloud, word string) (string, error) {
	if word == "" {
		return "", nil
	}
	id, err := a.ledger(c, 0).Resolve(ctx, word)
	if err == nil && id == word { // a whole id is not looked for: it may be that of a job
		if job, err := c.Jobs.Status(ctx, word); err == nil && job.RunID != "" {
			return job.RunID, nil
		}
	}
	if !errors.Is(err, cloud.ErrNotFound) {
		return id, err
	}
	var found []string
	for job, jobErr := range c.Jobs.List(ctx, cloud.JobQuery{Active: true}) {
		if jobErr == nil && (strings.HasPrefix(job.RunID, word) || strings.HasSuffix(job.RunID, word)) {
			found = append(found, job.RunID)
		}
	}
	if len(found) == 0 {
		found = a.runsOfJob(ctx, c, word)
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return "", err
}

// runsOfJob returns the runs of the jobs that word means: who has the id of a job at hand need not look for that of its run.
func (a *App) runsOfJob(ctx context.Context, c *cloud.Cloud, word string) (found []string) {
	for job, err := range c.Jobs.List(ctx, cloud.JobQuery{}) {
		if err == nil && job.RunID != "" && (strings.HasPrefix(job.ID, word) || strings.HasSuffix(job.ID, word)) {
			found = append(found, job.RunID)
		}
	}
	return found
}

// RunShow returns the record of one run; id "" is the newest. The beginning of an id is enough where only one of the
// newest runs has it.
func (a *App) RunShow(ctx context.Context, t Target, id string) (run ledger.Run, err error) {
	c, _, err := a.openTask(ctx, t)
	if err != nil {
		return ledger.Run{}, err
	}
	b := a.ledger(c, 0)
	if id, err = b.Resolve(ctx, id); err != nil {
		return ledger.Run{}, err
	}
	return a.readRun(ctx, c, b, id)
}

// readRun returns the record of a run as it is to be understood now.
func (a *App) readRun(ctx context.Context, c *cloud.Cloud, b *ledger.Bucket, id string) (ledger.Run, error) {
	run, err := b.Get(ctx, id)
	if err != nil || run.Outcome == string(pipeline.Success) {
		return run, err
	}
	known, err := a.readKnown(ctx, c)
	if err != nil {
		return ledger.Run{}, err
	}
	return a.settle(ctx, c, b, run, known)
}

// known is what tells more of a run than its record.
type known struct {
	from  commit.Commit // what the last good run has stored
	lease lease.Record
	sight lease.Sight               // of who has the lease
	clock func() (time.Time, error) // of the bucket
}

func (a *App) readKnown(ctx context.Context, c *cloud.Cloud) (known, error) {
	from, err := a.commits(c).Read(ctx)
	if err != nil && !errors.Is(err, cloud.ErrCorrupt) { // then it tells nothing; who goes on from it says so
		return known{}, err
	}
	k := known{from: from}
	k.lease, _, err = lease.Read(ctx, c.Files, leaseKey(c))
	if err != nil && !errors.Is(err, cloud.ErrCorrupt) {
		return known{}, err
	}
	k.sight = a.sight(k.lease)
	k.clock = sync.OnceValues(func() (time.Time, error) {
		o, err := c.Files.Put(ctx, c.Scope.Prefix()+"/lease/clock", cloud.Text("{}\n"), cloud.PutOptions{})
		return o.Modified, err
	})
	return k, nil
}

// fate is what is known of a run whose record says that it is running.
type fate int

const (
	unknown fate = iota
	lives
	dead
)

// fate goes by the lease: who has lost it, or has given it back, does not run any more.
func (k known) fate(run ledger.Run) fate {
	switch {
	case run.ID == k.lease.RunID && k.lease.Released, run.Fence > 0 && k.lease.Fence > run.Fence:
		return dead
	case run.ID != k.lease.RunID:
		return unknown
	case k.sight == lease.Gone:
		return dead
	case k.sight == lease.Alive:
		return lives
	}
	return unknown
}

// settle returns run as the success that it is where what it left was stored, and as one that died where it says that it is
// running, but has lost the lease or is known to be gone, or its job has ended without a word of it. Nobody can know from afar
// whether a run is dead or cut off: then it is running, with how long nothing was heard of it.
func (a *App) settle(ctx context.Context, c *cloud.Cloud, b *ledger.Bucket, run ledger.Run, k known) (ledger.Run, error) {
	if run.ID == k.from.RunID {
		return ledger.Committed(run, k.from.Ended), nil
	}
	if run.Outcome != ledger.Running {
		return run, nil
	}
	f := k.fate(run)
	if f != dead && jobEnded(ctx, c, run.JobID) {
		f = dead
	}
	switch f {
	case lives:
		return run, nil
	case unknown:
		return a.silent(ctx, c, b, run, k), nil
	}
	run, err := b.Get(ctx, run.ID) // it may have ended meanwhile
	if err != nil {
		return run, err
	}
	return ledger.AsDied(run), nil
}

// silent says of a running run for how long nothing was heard of it, if that is long. Both times are of the clock of the bucket.
func (a *App) silent(ctx context.Context, c *cloud.Cloud, b *ledger.Bucket, run ledger.Run, k known) ledger.Run {
	heard, err := b.Heard(ctx, run.ID)
	if run.ID == k.lease.RunID {
		heard, err = lease.Heard(ctx, c.Files, leaseKey(c))
	}
	if err != nil {
		return run
	}
	now, err := k.clock()
	if err != nil { // one may be allowed to read only
		return run
	}
	if d := now.Sub(heard); d > lease.Patience(k.lease, a.Lease) {
		run.Reason = fmt.Sprintf("no sign of life for %v by the clock of the bucket: it is cut off, or its machine is gone", short(d))
	}
	return run
}

// jobEnded reports whether it is known that a job has ended. id may be "": there is none.
func jobEnded(ctx context.Context, c *cloud.Cloud, id string) bool {
	if id == "" {
		return false
	}
	job, err := c.Jobs.Status(ctx, id)
	return err == nil && job.State.Ended()
}

// lookAtRun is how often a run that is followed is looked at.
const lookAtRun = time.Second

// awaitRecord returns the id of a run. Where its job has only just been started it waits for the record.
func awaitRecord(ctx context.Context, c *cloud.Cloud, b *ledger.Bucket, id string) (string, error) {
	for {
		full, err := b.Resolve(ctx, id)
		if !errors.Is(err, cloud.ErrNotFound) || !starting(ctx, c, id) {
			return full, err
		}
		if err := cloud.Sleep(ctx, lookAtRun/5); err != nil {
			return "", err
		}
	}
}

// starting reports whether an active job is to become the run.
func starting(ctx context.Context, c *cloud.Cloud, id string) bool {
	for _, err := range c.Jobs.List(ctx, cloud.JobQuery{RunID: id, Active: true, Limit: 1}) {
		return err == nil
	}
	return false
}

// RunFollow tells each step of a run until it has ended, and returns its record then.
func (a *App) RunFollow(ctx context.Context, t Target, id string, tell func(Step)) (run ledger.Run, err error) {
	c, _, err := a.openTask(ctx, t)
	if err != nil {
		return ledger.Run{}, err
	}
	b := a.ledger(c, 0)
	if id == "" { // what goes on, also where a later run was refused because of it
		if held, _, err := lease.Read(ctx, c.Files, leaseKey(c)); err == nil && !held.Released {
			id = held.RunID
		}
	}
	if id, err = awaitRecord(ctx, c, b, id); err != nil {
		return ledger.Run{}, err
	}
	told := map[string]string{}
	var seen time.Time // sign of life, and since when there is no other one
	since := time.Now()
	for {
		run, err := a.readRun(ctx, c, b, id)
		if !run.Updated.Equal(seen) {
			seen, since = run.Updated, time.Now()
		}
		if err == nil && run.Outcome == ledger.Running && run.Reason != "" && time.Since(since) > lease.Patience(lease.Record{}, a.Lease) {
			run = ledger.AsDied(run) // it is silent by two clocks now
		}
		if err != nil && !errors.Is(err, cloud.ErrNotFound) {
			return ledger.Run{}, err
		}
		if err == nil {
			tellSteps(run.Tasks, "", run.Updated, told, tell)
			if run.Outcome != ledger.Running {
				return run, nil
			}
		}
		if err := cloud.Sleep(ctx, lookAtRun); err != nil {
			return ledger.Run{}, err
		}
	}
}

// Step is a change of a task of a run that is followed.
type Step struct {
	Time    time.Time `json:"time"`
	Task    string    `json:"task"` // with those above it: "a/b"
	Outcome string    `json:"outcome"`
	Reason  string    `json:"reason,omitempty"`
}

// tellSteps tells what is new. What has no time of its own, a task that was skipped, was seen at the given one.
func tellSteps(tasks []*ledger.Task, above string, seen time.Time, told map[string]string, tell func(Step)) {
	for _, t := range tasks {
		name := above + t.Name
		if told[name] == "" && t.Outcome != ledger.Running && !t.Start.IsZero() {
			tell(Step{Time: t.Start, Task: name, Outcome: ledger.Running})
		}
		tellSteps(t.Tasks, name+"/", seen, told, tell)
		if told[name] != t.Outcome {
			tell(Step{Time: cmp.Or(t.End, t.Start, seen), Task: name, Outcome: t.Outcome, Reason: t.Reason})
		}
		told[name] = t.Outcome
	}
}
