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
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/process"
)

// renewLocally is how often the lease of a run is renewed in a bucket that is a folder.
const renewLocally = 2 * time.Second

// leaseOptions says who takes the lease of the task of c's scope.
func (a *App) leaseOptions(c *cloud.Cloud, runID string) lease.Options {
	where := a.where()
	renew := time.Duration(0)
	if c.Provider == defaultProvider { // a file of this machine costs nothing to write
		renew = renewLocally
	}
	return lease.Options{
		Renew: renew,
		Key:   leaseKey(c), Run: runID, Host: where, Pid: os.Getpid(), Now: a.Now,
		Dead: func(r lease.Record) bool {
			return r.Host == where && r.Pid > 0 && process.Gone(r.Pid)
		},
	}
}

// where names the machine, since when it runs, and the space in which a process id means something there.
func (a *App) where() string {
	parts := []string{a.Host}
	if boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		parts = append(parts, strings.TrimSpace(string(boot)))
	}
	if space, err := os.Readlink("/proc/self/ns/pid"); err == nil {
		parts = append(parts, space)
	}
	return strings.Join(parts, " ")
}

// goneRun answers the id of the run that has the lease of the task although its process is known to be gone, "" if there
// is none: one need not wait for it to have been silent for long.
func (a *App) goneRun(ctx context.Context, c *cloud.Cloud) string {
	r, _, err := lease.Read(ctx, c.Files, leaseKey(c))
	if err != nil || r.Released || r.Run == "" || !a.leaseOptions(c, "").Dead(r) {
		return ""
	}
	return r.Run
}

func leaseKey(c *cloud.Cloud) string { return c.Scope.Task + "/lease.json" }

// takeLease makes this the only run of its task, as the overlap policy wants it. The context ends when that is over.
func (r *remoteRun) takeLease(ctx context.Context) (context.Context, error) {
	policy := cmp.Or(r.o.Overlap, r.job.Overlap, cloud.Overlap(r.f.project.Deploy.Overlap))
	o := r.app.leaseOptions(r.f.cloud, r.f.input.RunID)
	waiting := func(held lease.Record) {
		r.app.Log.Info(fmt.Sprintf("waiting for the end of run %s of this task (overlap: %s)", held.Run, policy))
	}
	var err error
	switch policy {
	case cloud.OverlapAllow:
		return ctx, nil
	case cloud.OverlapQueue:
		ctx, r.lease, err = lease.Wait(ctx, r.f.cloud.Files, o, waiting)
	case cloud.OverlapReplace:
		ctx, r.lease, err = lease.Replace(ctx, r.f.cloud.Files, o, waiting)
	default:
		ctx, r.lease, err = lease.Acquire(ctx, r.f.cloud.Files, o)
	}
	if err == nil {
		r.buryPrevious(ctx, r.lease.Previous())
	}
	return ctx, err
}

// buryPrevious finishes the record of the run before this one if that has died.
func (r *remoteRun) buryPrevious(ctx context.Context, before lease.Record) {
	if before.Run == "" || before.Released {
		return
	}
	run, died, err := r.ledger.MarkDied(ctx, before.Run, r.app.Now())
	switch {
	case err != nil:
		r.app.Log.Warn(fmt.Sprintf("the record of the run before this one cannot be finished: %v", err))
	case died:
		r.app.Log.Warn(fmt.Sprintf("run %s died: %s", run.ID, run.Reason))
	}
}

func (r *remoteRun) releaseLease(ctx context.Context) {
	if r.lease == nil {
		return
	}
	if err := r.lease.Release(context.WithoutCancel(ctx)); err != nil {
		r.app.Log.Warn(fmt.Sprintf("%v; the next run can start half a minute from now", err))
	}
}

// refused is the result of a run that did not start because another one is going on.
func (r *remoteRun) refused(ctx context.Context, held *lease.HeldError) (RunResult, error) {
	res := RunResult{
		Status: ledger.Skipped, RunID: r.f.input.RunID, Reason: held.Error(), ExitCode: exitCloud,
		Tasks: []TaskResult{}, Artifacts: r.f.ws.Artifacts(), Record: r.f.record(),
	}
	r.app.Log.Error(held.Error())
	return res, r.neverStarted(ctx, ledger.Skipped, held)
}

// byHand is a change of what the next run goes on from, made by a person: no run may go on meanwhile.
func (a *App) byHand(ctx context.Context, c *cloud.Cloud, do func(ctx context.Context, fence int64, id string) error) error {
	id := newRunID(a.Now())
	held, l, err := lease.Acquire(ctx, c.Files, a.leaseOptions(c, id))
	if err != nil {
		return cloud.WithHint(err, "wait for its end: `handoff runs follow`")
	}
	err = do(held, l.Fence(), id)
	return errors.Join(err, l.Release(context.WithoutCancel(ctx)))
}
