package app

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/lease"
	"github.com/handoff-run/handoff/internal/project"
)

// CloudRunOptions says which job to start, and whether to follow it.
type CloudRunOptions struct {
	Target
	Wait    bool             // until the job has ended
	Line    func(cloud.Line) // with Wait: each line of its log; nil: not wanted
	Started func(cloud.Job)  // told as soon as the job is accepted; may be nil
	DryRun  bool             // return the job that would be started, and start none
	Overlap cloud.Overlap    // "": as the task says
}

// JobResult is a job.
type JobResult struct {
	Status string `json:"status"` // success; planned; with Wait that of the job: failed, stopped, skipped, lost
	cloud.Job
}

// Code is the exit code of a command that has waited for the job.
func (r JobResult) Code() int {
	switch {
	case !r.State.Ended() || r.State == cloud.JobSucceeded:
		return 0
	case r.ExitCode != nil && *r.ExitCode != 0:
		return *r.ExitCode
	case r.State == cloud.JobSkipped:
		return ExitRefused
	}
	return ExitFailed
}

// CloudRun starts a job of the task. With Wait the error is a GoesOnError where ctx ends first.
func (a *App) CloudRun(ctx context.Context, o CloudRunOptions) (res JobResult, err error) {
	moveScope(&o.Target)
	c, p, err := a.openTask(ctx, o.Target)
	if err != nil {
		return JobResult{}, err
	}
	start, err := a.start(o, p)
	if err != nil {
		return JobResult{}, err
	}
	if err := a.checkWrittenVars(p, start.Written, "the variables of the job"); err != nil {
		return JobResult{}, err
	}
	if o.DryRun {
		job := cloud.Job{Run: start.Run, Task: c.Scope.Task, Client: c.Scope.Client, Stage: c.Scope.Stage, Release: start.Release, Trigger: start.Trigger}
		return JobResult{Status: status(true), Job: job}, nil
	}
	a.warnHeld(ctx, c, start, p)
	job, err := c.Jobs.Run(ctx, start)
	if err != nil {
		return JobResult{}, err
	}
	if o.Started != nil {
		o.Started(job)
	}
	if o.Wait {
		job, err = a.follow(ctx, c, job, o.Line)
	}
	return jobResult(job), err
}

// warnHeld says that a job will probably be skipped. Whether it is, the lease decides.
func (a *App) warnHeld(ctx context.Context, c *cloud.Cloud, start cloud.Start, p *project.Project) {
	policy := start.Overlap
	if policy == "" && p != nil {
		policy = cloud.Overlap(p.Deploy.Overlap)
	}
	if policy != "" && policy != cloud.OverlapSkip {
		return
	}
	r, _, err := lease.Read(ctx, c.Files, leaseKey(c))
	if err == nil && r.Run != "" && !r.Released && a.sight(r) != lease.Gone {
		a.Log.Warn(fmt.Sprintf("run %s of this task is going on: by the overlap policy skip, the default, this job does not run unless that ends first", r.Run))
	}
}

func jobResult(job cloud.Job) JobResult {
	res := JobResult{Status: "success", Job: job}
	if job.State.Ended() && job.State != cloud.JobSucceeded {
		res.Status = string(job.State)
	}
	return res
}

// scopeKeys are the -e, and for 0.4.x the -v, that choose the cloud and the task, and do not go into a job.
func scopeKeys() []string {
	return []string{"resource_group", "task", "cloud_provider", "cloud_platform"}
}

// moveScope takes -v resource_group=... task=... for -e, as 0.4.x documents it.
func moveScope(t *Target) {
	var vars []project.KeyValue
	for _, v := range t.Vars {
		if slices.Contains(scopeKeys(), v.Key) {
			t.Envs = append(slices.Clone(t.Envs), v)
			continue
		}
		vars = append(vars, v)
	}
	t.Vars = vars
}

// start is a job as the command line asks for it: -v target_id=... takes environment and zone of that schedule, -e adds to
// it, and every other -v is a template variable of the run.
func (a *App) start(o CloudRunOptions, p *project.Project) (cloud.Start, error) {
	s := cloud.Start{
		Run: newRunID(a.Now()), Trigger: cloud.TriggerManual, Overlap: o.Overlap,
		Env: map[string]string{}, Written: map[string]string{},
	}
	if p != nil && p.Deploy.PushOnFail != nil {
		s.PushOnFail = *p.Deploy.PushOnFail
	}
	var words []string
	for _, v := range o.Vars {
		switch v.Key {
		case "target_id":
			from, err := scheduleOf(p, v.Value)
			if err != nil {
				return s, err
			}
			s.Zone, s.Written = first(from.Timezone, "UTC"), writtenEnv(from)
		case "release":
			s.Release = v.Value
		default:
			words = append(words, quoteWord(v.Key+"="+v.Value))
		}
	}
	for _, e := range o.Envs {
		switch {
		case slices.Contains(scopeKeys(), e.Key):
		case e.Key == "vars" || e.Key == cloud.EnvVars: // 0.4.x takes both
			s.Written[cloud.EnvVars] = e.Value
		default:
			s.Env[e.Key] = e.Value
			delete(s.Written, e.Key)
		}
	}
	if len(words) > 0 {
		s.Written[cloud.EnvVars] = strings.TrimSpace(s.Written[cloud.EnvVars] + " " + strings.Join(words, " "))
	}
	if err := checkWritten(s.Written); err != nil {
		return s, err
	}
	return s, nil
}

// scheduleOf returns the schedule of the project with this target id.
func scheduleOf(p *project.Project, target string) (project.Schedule, error) {
	if p == nil {
		p = &project.Project{}
	}
	list, err := chosen(p, []string{target})
	if err != nil {
		return project.Schedule{}, err
	}
	return list[0], nil
}

// writtenEnv is the environment that a schedule gives to its jobs, as it is written.
func writtenEnv(s project.Schedule) map[string]string {
	env := map[string]string{}
	for _, e := range s.Envs {
		if e.Value != nil {
			env[e.Key] = *e.Value
		}
	}
	return env
}

// quoteWord makes text one word of a shell, with nothing in it to be evaluated.
func quoteWord(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// JobQuery says which jobs to show, as -v of `cloud job status` and `cloud job stop`.
type JobQuery struct {
	ID, Run, Reason string
	Active, Ended   bool // only those; both: all
	Group           bool // of all tasks of the resource group
	Limit           int
	Grace           time.Duration
}

// defaultJobs is how many jobs are shown where nobody says how many.
const defaultJobs = 20

func jobQuery(vars []project.KeyValue) (JobQuery, error) {
	q := JobQuery{Limit: defaultJobs}
	for _, v := range vars {
		var err error
		switch v.Key {
		case "id":
			q.ID = v.Value
		case "run":
			q.Run = v.Value
		case "reason":
			q.Reason = v.Value
		case "running":
			q.Active, err = parseBool(v)
		case "stopped":
			q.Ended, err = parseBool(v)
		case "resource_group_level":
			q.Group, err = parseBool(v)
		case "full": // 0.4.x: its raw answers; here all is always shown
			_, err = parseBool(v)
		case "limit":
			q.Limit, err = strconv.Atoi(v.Value)
		case "grace":
			q.Grace, err = time.ParseDuration(v.Value)
		default:
			return q, &UsageError{
				Message: fmt.Sprintf("there is no -v %s here", v.Key),
				Hint:    "there are: id, run, running, stopped, resource_group_level, limit, reason, grace",
			}
		}
		if err != nil || q.Limit < 0 || q.Grace < 0 {
			return q, &UsageError{Message: fmt.Sprintf("-v %s=%s cannot be read", v.Key, v.Value), Hint: "write running=true, limit=10, grace=30s"}
		}
	}
	return q, nil
}

// parseBool reads a truth value as 0.4.x does: true, false, t, f, in any case; and 1, 0, yes, no.
func parseBool(v project.KeyValue) (bool, error) {
	switch strings.ToLower(v.Value) {
	case "yes", "y", "on":
		return true, nil
	case "no", "n", "off":
		return false, nil
	}
	return strconv.ParseBool(strings.ToLower(v.Value))
}

// JobsResult lists jobs, those created last first.
type JobsResult struct {
	Status string      `json:"status"`
	Jobs   []cloud.Job `json:"jobs"`
}

// JobStatus returns the jobs that the variables of t ask for.
func (a *App) JobStatus(ctx context.Context, t Target) (res JobsResult, err error) {
	moveScope(&t)
	q, err := jobQuery(t.Vars)
	if err != nil {
		return JobsResult{}, err
	}
	c, _, err := a.openScope(ctx, t)
	if err != nil {
		return JobsResult{}, err
	}
	res = JobsResult{Status: "success", Jobs: []cloud.Job{}}
	clouds := []*cloud.Cloud{c}
	if !q.Group {
		err = needTask(c)
	} else {
		clouds, err = a.taskClouds(ctx, t, c)
	}
	if err != nil {
		return JobsResult{}, err
	}
	for _, c := range clouds {
		list, err := listJobs(ctx, c, q)
		if err != nil {
			return JobsResult{}, err
		}
		res.Jobs = append(res.Jobs, list...)
	}
	slices.SortStableFunc(res.Jobs, func(x, y cloud.Job) int { return y.Created.Compare(x.Created) })
	if q.Limit > 0 && len(res.Jobs) > q.Limit {
		res.Jobs = res.Jobs[:q.Limit]
	}
	return res, nil
}

// taskClouds opens the cloud for each task that is registered in the resource group.
func (a *App) taskClouds(ctx context.Context, t Target, c *cloud.Cloud) (clouds []*cloud.Cloud, err error) {
	t.Envs = append(slices.Clone(t.Envs), project.KeyValue{Key: "resource_group", Value: c.Scope.ResourceGroup})
	group, err := a.connect(ctx, CloudOptions{Provider: c.Provider, Platform: c.Platform, Profile: t.Cloud.Profile, Scope: cloud.Scope{
		Stage: c.Scope.Stage, ResourceGroup: c.Scope.ResourceGroup,
	}})
	if err != nil {
		return nil, err
	}
	tasks, err := group.Infra.Status(ctx, cloud.KindTask)
	for _, task := range tasks {
		scope := group.Scope
		scope.Task, scope.Client = task.Name, task.Client
		one, err := a.connect(ctx, CloudOptions{Provider: c.Provider, Platform: c.Platform, Profile: t.Cloud.Profile, Scope: scope})
		if err != nil {
			return nil, err
		}
		clouds = append(clouds, one)
	}
	return clouds, err
}

func listJobs(ctx context.Context, c *cloud.Cloud, q JobQuery) ([]cloud.Job, error) {
	if q.ID != "" {
		job, err := c.Jobs.Status(ctx, q.ID)
		return []cloud.Job{job}, err
	}
	var list []cloud.Job
	for job, err := range c.Jobs.List(ctx, cloud.JobQuery{Run: q.Run, Active: q.Active && !q.Ended}) {
		if err != nil {
			return nil, err
		}
		if q.Ended && !q.Active && !job.State.Ended() {
			continue
		}
		if list = append(list, job); len(list) == q.Limit {
			break
		}
	}
	return list, nil
}

// JobStopOptions says which job to stop: by its variables id or run, or the only one that is active.
type JobStopOptions struct {
	Target
	Wait   bool
	Asked  func(cloud.Job) // with Wait: told as soon as the job was asked to end; may be nil
	DryRun bool
}

// JobStop asks a job to end.
func (a *App) JobStop(ctx context.Context, o JobStopOptions) (res JobResult, err error) {
	moveScope(&o.Target)
	q, err := jobQuery(o.Vars)
	if err != nil {
		return JobResult{}, err
	}
	c, _, err := a.openTask(ctx, o.Target)
	if err != nil {
		return JobResult{}, err
	}
	job, err := oneJob(ctx, c, q)
	if err != nil {
		return JobResult{}, err
	}
	if o.DryRun {
		return JobResult{Status: status(true), Job: job}, nil
	}
	job, err = c.Jobs.Stop(ctx, job.ID, cloud.StopOptions{Grace: q.Grace, Reason: q.Reason})
	if err == nil && o.Wait {
		if o.Asked != nil {
			o.Asked(job)
		}
		job, err = a.awaitJob(ctx, c, job)
	}
	return JobResult{Status: "success", Job: job}, err
}

// oneJob returns the job that is meant.
func oneJob(ctx context.Context, c *cloud.Cloud, q JobQuery) (cloud.Job, error) {
	q.Active, q.Ended, q.Limit = q.Run == "", false, 2
	list, err := listJobs(ctx, c, q)
	switch {
	case err != nil:
		return cloud.Job{}, err
	case len(list) == 0:
		return cloud.Job{}, &UsageError{Message: "no such job is active", Hint: "see `handoff cloud job status`"}
	case len(list) > 1 && q.Run == "":
		return cloud.Job{}, &UsageError{Message: "several jobs are active", Hint: "name one: -v id=" + list[0].ID}
	}
	return list[0], nil
}
