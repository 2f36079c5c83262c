package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/shell"
)

// GoesOnError says that nobody waits for a job any more.
type GoesOnError struct {
	Job   string // its id
	cause error
}

// Error implements error.
func (e *GoesOnError) Error() string { return fmt.Sprintf("job %s goes on: %v", e.Job, e.cause) }

// Unwrap returns why nobody waits.
func (e *GoesOnError) Unwrap() error { return e.cause }

// follow waits for the end of the job, and passes on its log.
func (a *App) follow(ctx context.Context, c *cloud.Cloud, job cloud.Job, line func(cloud.Line)) (cloud.Job, error) {
	if line == nil {
		return a.awaitJob(ctx, c, job)
	}
	done, read := make(chan struct{}), make(chan error, 1)
	q := cloud.Query{JobID: job.ID, RunID: job.RunID, Follow: true, Done: done}
	go func() {
		read <- a.readLines(ctx, c, q, func(l cloud.Line) error {
			line(l)
			return nil
		})
	}()
	job, err := a.awaitJob(ctx, c, job)
	close(done)
	if readErr := <-read; err == nil {
		err = readErr
	}
	return job, err
}

// awaitJob asks for the state of a job until it has ended, soon at first. It goes on where a call fails, unless the provider
// says what another call would not change. The error is a GoesOnError where ctx ends first.
func (a *App) awaitJob(ctx context.Context, c *cloud.Cloud, job cloud.Job) (cloud.Job, error) {
	t := tries{app: a, what: "ask for the state of job " + job.ID}
	for wait := 10 * time.Millisecond; !job.State.Ended(); wait = min(wait*5/4, time.Second) {
		if cloud.Sleep(ctx, wait) != nil {
			return job, &GoesOnError{job.ID, context.Cause(ctx)}
		}
		now, err := c.Jobs.Status(ctx, job.ID)
		switch {
		case err == nil:
			t.worked()
			job = now
		case ctx.Err() != nil: // said above
		default:
			if err := t.failed(ctx, err); err != nil {
				return job, err
			}
		}
	}
	return a.withReason(ctx, c, job), nil
}

// readLines passes on the lines that q asks for. Following goes on where a call fails, as awaitJob does.
func (a *App) readLines(ctx context.Context, c *cloud.Cloud, q cloud.Query, line func(cloud.Line) error) error {
	t := tries{app: a, what: "read the log"}
	told := resumed{q: q}
	for {
		var failed error
		for l, err := range c.Logs.Read(ctx, told.next()) {
			if failed = err; err != nil {
				break
			}
			t.worked()
			if told.before(l) {
				continue
			}
			if err := line(l); err != nil {
				return err
			}
		}
		if failed == nil || !q.Follow || ctx.Err() != nil {
			return failed
		}
		if err := t.failed(ctx, failed); err != nil {
			return err
		}
	}
}

// resumed makes one log of several readings, the later ones of which begin at the time of the last line.
type resumed struct {
	q    cloud.Query
	last time.Time
	seen map[cloud.Line]int // lines of that time, and how often
	skip map[cloud.Line]int // those that the current reading has yet to pass
}

// next is the query of the next reading.
func (r *resumed) next() cloud.Query {
	q := r.q
	if !r.last.IsZero() {
		q.Start, q.Tail = r.last, 0
	}
	r.skip = maps.Clone(r.seen)
	return q
}

// before reports whether an earlier reading has had the line.
func (r *resumed) before(l cloud.Line) bool {
	if r.skip[l] > 0 {
		r.skip[l]--
		return true
	}
	if r.seen == nil || !l.Time.Equal(r.last) {
		r.last, r.seen = l.Time, map[cloud.Line]int{}
	}
	r.seen[l]++
	return false
}

// tries goes on with calls that fail.
type tries struct {
	app   *App
	what  string
	count int
}

// between is the wait after calls that failed.
var between = cloud.Backoff{First: time.Second, Max: 30 * time.Second}

// failed waits before the next try. The error is for those that would fail as well, or the end of ctx.
func (t *tries) failed(ctx context.Context, err error) error {
	for _, final := range []error{cloud.ErrNotFound, cloud.ErrInvalid, cloud.ErrDenied, cloud.ErrUnsupported, cloud.ErrCorrupt} {
		if errors.Is(err, final) && !cloud.IsTemporary(err) {
			return fmt.Errorf("%s: %w", t.what, err)
		}
	}
	if t.count++; t.count == 1 {
		t.app.Log.Warn(fmt.Sprintf("%s: %v; trying again (Ctrl-C ends the waiting, not the job)", t.what, err))
	}
	_ = cloud.Sleep(ctx, between.Wait(t.count)) // who calls looks at ctx
	return nil
}

func (t *tries) worked() {
	if t.count > 0 {
		t.app.Log.Info(t.what + ": it works again")
	}
	t.count = 0
}

// StopCommand is what to type to stop a job of the task of t.
func StopCommand(t Target, job string) string {
	words := []string{"handoff", "cloud", "job", "stop"}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, flag, value)
		}
	}
	add("-p", t.ProjectDir)
	add("-s", t.EnvStage)
	add("--client", t.Client)
	for _, e := range t.Envs {
		for _, key := range ScopeKeys() {
			if e.Key == key {
				add("-e", key+"="+e.Value)
			}
		}
	}
	add("--cloud-provider", t.Cloud.Provider)
	add("--cloud-platform", t.Cloud.Platform)
	add("--cloud-profile", t.Cloud.Profile)
	add("--job", job)
	for i, w := range words {
		words[i] = shell.Quote(w)
	}
	return strings.Join(words, " ")
}
