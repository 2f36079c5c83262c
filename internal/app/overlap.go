package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/lease"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/process"
)

// renewLocally is how often the lease of a run is renewed in a bucket that is a folder: that costs nothing.
const renewLocally = 2 * time.Second

// leaseOptions says who takes the lease of the task of c's scope.
func (a *App) leaseOptions(c *cloud.Cloud, runID string) lease.Options {
	o := lease.Options{
		Key: leaseKey(c), Times: a.Lease, Now: a.Now, Sight: a.sight,
		Above: func(ctx context.Context) int64 {
			from, err := a.commits(c).Read(ctx)
			if err != nil {
				return 0 // who goes on from it says so
			}
			return from.Fence
		},
		Holder: lease.Holder{RunID: runID, Host: a.where(), Pid: os.Getpid(), Born: process.Born(os.Getpid())},
	}
	if o.Renew == 0 && c.Here {
		o.Renew = min(renewLocally, o.Stop()/8)
	}
	return o
}

// where names the machine, since when it runs, and the space in which a process id means something there.
func (a *App) where() string { return strings.TrimSpace(a.Host + " " + process.Machine()) }

// sight says what can be seen here of who holds a lease. The processes of a run outlive it by moments: as long as one is
// left, the lease is not free.
func (a *App) sight(r lease.Record) lease.Sight {
	seen := a.seen(r.Host, r.Pid, r.Born)
	if seen == lease.Gone && process.Remains(r.RunID) {
		return lease.Unseen
	}
	return seen
}

// seen says what can be seen here of a process on a host as where names it.
func (a *App) seen(host string, pid int, born uint64) lease.Sight {
	if pid <= 0 || process.Machine() == "" || host != a.where() {
		return lease.Unseen
	}
	now := process.Born(pid)
	switch {
	case now != 0 && now == born:
		return lease.Alive
	case (born == 0 || now == 0) && !process.Gone(pid):
		return lease.Unseen
	}
	return lease.Gone
}

func leaseKey(c *cloud.Cloud) string { return c.Scope.Prefix() + "/lease.json" }

// takeLease makes this the only run of its task, as the overlap policy wants it. The context ends when that is over.
func (r *releaseRun) takeLease(ctx context.Context) (context.Context, error) {
	if r.apart {
		return ctx, nil
	}
	policy := cmp.Or(r.options.Overlap, cloud.Overlap(r.session.project.Deploy.Overlap))
	o := r.app.leaseOptions(r.cloud, r.session.input.RunID)
	o.Waiting = func(held lease.Record) {
		r.app.Log.Info(fmt.Sprintf("waiting for the end of run %s of this task (overlap: %s)", held.RunID, policy))
		if r.options.waits != nil {
			r.options.waits(held.RunID)
		}
	}
	var err error
	switch policy {
	case cloud.OverlapAllow:
		return ctx, nil
	case cloud.OverlapQueue:
		ctx, r.lease, err = lease.Wait(ctx, r.cloud.Files, o)
	case cloud.OverlapReplace:
		ctx, r.lease, err = lease.Replace(ctx, r.cloud.Files, o)
	default:
		o.Waiting = func(held lease.Record) {
			r.app.Log.Info(fmt.Sprintf("run %s holds this task: waiting at most %v to see whether it is still alive", held.RunID, lease.Patience(held, o.Times)))
		}
		ctx, r.lease, err = lease.Acquire(ctx, r.cloud.Files, o)
	}
	if err == nil {
		r.finishPrevious(ctx, r.lease.Previous())
	}
	return ctx, err
}

// endWithLease lets the processes of the run live as long as its lease allows. Those that were asked to end and have not are killed
// then, and all of them at once where another run is known to have the lease.
func (r *releaseRun) endWithLease(ctx context.Context, e *pipeline.Engine) {
	if r.lease == nil {
		return
	}
	times := r.app.Lease
	r.lease.OnRenew(func(proven time.Time) { e.Lives(proven, times.Kill()) })
	context.AfterFunc(ctx, func() {
		switch lost := lostLease(ctx); {
		case lost == nil:
		case lost.Silent > 0:
			time.AfterFunc(times.Kill()-times.Stop(), e.KillAll)
		default:
			e.KillAll()
		}
	})
}

// lostLease returns why the run in ctx may not go on; nil where it may, or was only asked to end.
func lostLease(ctx context.Context) *lease.LostError {
	lost, ok := errors.AsType[*lease.LostError](context.Cause(ctx))
	if !ok || lost.Asks {
		return nil
	}
	return lost
}

// finishPrevious finishes the record of the run before this one if that has died.
func (r *releaseRun) finishPrevious(ctx context.Context, before lease.Record) {
	if before.RunID == "" || before.Released {
		return
	}
	if from, err := r.commits.Read(ctx); err == nil && from.RunID == before.RunID {
		return // it has stored all that it left: see claim
	}
	run, died, err := r.records.MarkDied(ctx, before.RunID, r.app.Now())
	switch {
	case err != nil:
		r.app.Log.Warn(fmt.Sprintf("the record of the run before this one cannot be finished: %v", err))
	case died:
		r.died = run
		r.app.Log.Warn(fmt.Sprintf("run %s died: %s", run.ID, run.Reason))
	}
}

func (r *releaseRun) releaseLease(ctx context.Context) {
	if r.lease == nil {
		return
	}
	if err := r.lease.Release(context.WithoutCancel(ctx)); err != nil {
		r.app.Log.Warn(fmt.Sprintf("%v; another machine can start the next run a minute from now", err))
	}
	r.lease = nil
}

// byHand is a change of what the next run goes on from, made by a person: no run may go on meanwhile.
func (a *App) byHand(ctx context.Context, c *cloud.Cloud, do func(ctx context.Context, fence int64, id string) error) error {
	id := cloud.NewRunID(a.Now())
	held, l, err := lease.Acquire(ctx, c.Files, a.leaseOptions(c, id))
	if err != nil {
		return cloud.WithHint(err, "wait for its end: `handoff runs follow`")
	}
	err = do(held, l.Fence(), id)
	return errors.Join(err, l.Release(context.WithoutCancel(ctx)))
}
