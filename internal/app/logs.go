package app

import (
	"context"
	"fmt"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/project"
)

// LogsOptions says which lines of the logs of a task to read.
type LogsOptions struct {
	Target
	Job    string    // its id, or a part of it; "": any
	Run    string    // its id, or a part of it; "": any
	Since  time.Time // only lines at or after it
	Until  time.Time // only lines before it
	Filter string    // only lines that contain it
	Limit  int       // at most so many, the last ones there are now; 0: all
	Follow bool      // wait for more, until the end of the job or run that is named
	Line   func(cloud.Line) error
}

// Logs reads the logs of the jobs of a task. With follow it ends with ctx, or with the job or run that was named.
func (a *App) Logs(ctx context.Context, o LogsOptions) (err error) {
	q := cloud.Query{JobID: o.Job, Start: o.Since, End: o.Until, Filter: o.Filter, Tail: o.Limit, Follow: o.Follow}
	if err := q.Check(); err != nil {
		return &UsageError{Message: err.Error(), Hint: "give a start before the end, and a limit of 1 or more"}
	}
	c, p, err := a.openTask(ctx, o.Target)
	if err != nil {
		return err
	}
	if q.RunID, err = a.runNamed(ctx, c, o.Run); err == nil {
		q.JobID, err = jobNamed(ctx, c, o.Job)
	}
	if err != nil {
		return err
	}
	if q.Follow && (q.JobID != "" || q.RunID != "") {
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
	found := 0
	err = a.readLines(ctx, c, q, func(l cloud.Line) error {
		found++
		return o.Line(l)
	})
	if err == nil && found == 0 && q.JobID != "" { // the logs of a job may outlive its record
		_, err = namedJob(ctx, c, q)
	}
	if err == nil {
		a.sayNone(c, p, "such lines", found)
	}
	return err
}

// sayNone tells a person that nothing was found, and where: a name may be mistyped, or a client of the project, nil: any, be meant.
func (a *App) sayNone(c *cloud.Cloud, p *project.Project, what string, found int) {
	if found > 0 {
		return
	}
	where := fmt.Sprintf("resource group %q, env stage %s", c.Scope.ResourceGroup, c.Scope.Stage)
	if c.Scope.Task != "" {
		where = fmt.Sprintf("task %q, %s%s", c.Scope.Task, ofClient(c.Scope.Client), where)
	}
	if p != nil && len(p.Clients) > 0 && c.Scope.Client == "" {
		where += "; add --all-clients for those of its clients"
	}
	a.Log.Info(fmt.Sprintf("no %s found: %s", what, where))
}

// namedJob returns the job that q names.
func namedJob(ctx context.Context, c *cloud.Cloud, q cloud.Query) (cloud.Job, error) {
	list, err := listJobs(ctx, c, JobsOptions{Job: q.JobID, Run: q.RunID, Limit: 1})
	if err != nil {
		return cloud.Job{}, err
	}
	if len(list) == 0 {
		return cloud.Job{}, fmt.Errorf("job of run %q: %w", q.RunID, cloud.ErrNotFound)
	}
	return list[0], nil
}
