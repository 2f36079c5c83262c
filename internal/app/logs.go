package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/project"
)

// LogsOptions says which lines of the logs of a task to read, by its variables: job, run, start_time, end_time, filter,
// limit, follow.
type LogsOptions struct {
	Target
	Line func(cloud.Line) error
}

// Logs reads the logs of the jobs of a task. With follow it ends with ctx, or with the job or run that was named.
func (a *App) Logs(ctx context.Context, o LogsOptions) (err error) {
	moveScope(&o.Target)
	q, err := a.logQuery(o.Vars)
	if err != nil {
		return err
	}
	c, _, err := a.openTask(ctx, o.Target)
	if err != nil {
		return err
	}
	if q.Follow && (q.Job != "" || q.Run != "") {
		job, err := namedJob(ctx, c, q)
		if err != nil {
			return err
		}
		waiting, cancel := context.WithCancel(ctx)
		defer cancel()
		done := make(chan struct{})
		q.Done = done
		go func() {
			defer close(done)
			_, _ = a.awaitJob(waiting, c, job) // without an answer there is nothing more to wait for
		}()
	}
	return a.readLines(ctx, c, q, o.Line)
}

// namedJob returns the job that q names.
func namedJob(ctx context.Context, c *cloud.Cloud, q cloud.Query) (cloud.Job, error) {
	list, err := listJobs(ctx, c, JobQuery{ID: q.Job, Run: q.Run, Limit: 1})
	if err != nil {
		return cloud.Job{}, err
	}
	if len(list) == 0 {
		return cloud.Job{}, fmt.Errorf("job of run %q: %w", q.Run, cloud.ErrNotFound)
	}
	return list[0], nil
}

func (a *App) logQuery(vars []project.KeyValue) (cloud.Query, error) {
	var q cloud.Query
	for _, v := range vars {
		var err error
		switch v.Key {
		case "job", "id":
			q.Job = v.Value
		case "run":
			q.Run = v.Value
		case "filter":
			q.Filter = v.Value
		case "follow":
			q.Follow, err = parseBool(v)
		case "limit":
			q.Tail, err = strconv.Atoi(v.Value)
		case "start_time":
			q.Start, err = pointInTime(v.Value, a.Now())
		case "end_time":
			q.End, err = pointInTime(v.Value, a.Now())
		default:
			return q, &UsageError{
				Message: fmt.Sprintf("there is no -v %s here", v.Key),
				Hint:    "there are: start_time, end_time, follow, filter, run, job, limit",
			}
		}
		if err != nil {
			return q, &UsageError{
				Message: fmt.Sprintf("-v %s=%s cannot be read", v.Key, v.Value),
				Hint:    "write a time as 2026-01-02T03:04:05Z, 2026-01-02, or 90m for 90 minutes ago; follow=true; limit=100",
			}
		}
	}
	if err := q.Check(); err != nil {
		return q, &UsageError{Message: err.Error(), Hint: "give a start_time before the end_time, and a limit of 1 or more"}
	}
	return q, nil
}

// pointInTime reads a time in ISO 8601, UTC where it names no zone, or how long ago it was: 90m, 36h.
func pointInTime(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago).UTC(), nil
	}
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05",
		"2006-01-02 15:04", time.DateOnly, "2006-01-02T15:04:05Z0700",
	} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("not a time")
}
