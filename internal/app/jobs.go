package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/lease"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/release"
	"github.com/handoff-run/handoff/internal/shell"
)

// CloudRunOptions says which job to start, and whether to follow it.
type CloudRunOptions struct {
	Target
	Wait    bool             // until the job has ended
	Line    func(cloud.Line) // with Wait: each line of its log; nil: not wanted
	Started func(cloud.Job)  // told as soon as the job is accepted; may be nil
	DryRun  bool             // return the job that would be started, and start none
	Overlap cloud.Overlap    // "": as the task says
	Release string           // "": that of the task, else the current one
	Like    string           // target id of a schedule of the project, from which environment and zone are taken; "": none
	Again   *Again           // the run to start again; nil: none
	Fire    string           // target id of a schedule that is in place, which is to fire now; "": none
	Trigger bool             // a schedule is to fire: where Fire names none, the only one

	fire *cloud.Schedule // that schedule
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
	c, p, err := a.openTask(ctx, o.Target)
	if err != nil {
		return JobResult{}, err
	}
	if o.Trigger && o.Fire == "" {
		if o.Fire, err = onlySchedule(ctx, c); err != nil {
			return JobResult{}, err
		}
	}
	if o.Fire != "" {
		placed, err := placedSchedules(ctx, c, []string{o.Fire})
		if err != nil {
			return JobResult{}, err
		}
		o.fire = &placed[0]
	}
	if o.Again != nil {
		o.Release = first(o.Release, o.Again.Run.Release)
	}
	if o.Release != "" { // better now than in the job
		if o.Release, err = knownRelease(ctx, c, o.Release); err != nil {
			return JobResult{}, err
		}
	}
	start, err := a.start(o, p)
	if err != nil {
		return JobResult{}, err
	}
	if err := a.checkWrittenVars(p, o.Client, start.Written, "the variables of the job"); err != nil {
		return JobResult{}, err
	}
	if o.Client == nobody {
		if err := checkStartOfNobody(ctx, c, p); err != nil {
			return JobResult{}, err
		}
	}
	if o.DryRun {
		job := cloud.Job{RunID: start.RunID, Task: c.Scope.Task, Client: c.Scope.Client, Stage: c.Scope.Stage, Release: start.Release, Trigger: start.Trigger}
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

// knownRelease returns the id of a release that the bucket has; "" is the current one.
func knownRelease(ctx context.Context, c *cloud.Cloud, name string) (string, error) {
	store := release.Open(c)
	id, err := store.Use(ctx, name)
	if err == nil && name == "" {
		_, err = store.Manifest(ctx, id)
	}
	if errors.Is(err, cloud.ErrNotFound) && name != "" {
		return "", &UsageError{Message: fmt.Sprintf("there is no release %q: %v", name, err), Hint: "see `handoff release list`"}
	}
	return id, err
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
	if err == nil && r.RunID != "" && !r.Released && a.sight(r) != lease.Gone {
		a.Log.Warn(fmt.Sprintf("run %s of this task is going on: with the overlap policy skip, the default, this job does not run unless that one ends first", r.RunID))
	}
}

func jobResult(job cloud.Job) JobResult {
	res := JobResult{Status: "success", Job: job}
	if job.State.Ended() && job.State != cloud.JobSucceeded {
		res.Status = string(job.State)
	}
	return res
}

// ScopeKeys are the Envs of a Target that choose the cloud and the task, and do not go into a job.
func ScopeKeys() []string {
	return []string{"resource_group", "task", "cloud_provider", "cloud_platform"}
}

// start is a job as it is asked for: Envs add to what it takes from a schedule or a run before it, and Vars are template variables
// of the run.
func (a *App) start(o CloudRunOptions, p *project.Project) (cloud.Start, error) {
	s := cloud.Start{Trigger: cloud.TriggerManual, Env: map[string]string{}, Written: map[string]string{}}
	switch {
	case o.Again != nil:
		s = o.Again.start()
	case o.fire != nil:
		s = o.fire.Fire(cloud.Scope{}, a.Now().UTC().Truncate(time.Second))
		s.Token, s.Trigger, s.Env, s.Written = "", cloud.TriggerManual, map[string]string{}, maps.Clone(s.Written)
		if s.Written == nil {
			s.Written = map[string]string{}
		}
		o.Overlap = cloud.Overlap(first(string(o.Overlap), string(s.Overlap)))
	}
	s.RunID, s.Overlap, s.Release = cloud.NewRunID(a.Now()), o.Overlap, first(o.Release, s.Release)
	if p != nil && p.Deploy.PushOnFail != nil {
		s.PushOnFail = *p.Deploy.PushOnFail
	}
	if o.Like != "" {
		from, err := scheduleOf(p, o.Like)
		if err != nil {
			return s, err
		}
		s.Zone, s.Written = first(from.Timezone, "UTC"), writtenEnv(from)
	}
	ask(&s, o.Target)
	if err := o.Again.check(o.Target); err != nil {
		return s, err
	}
	if err := checkWritten(s.Written); err != nil {
		return s, err
	}
	return s, nil
}

// ask adds the variables and the environment of the command line to a start.
func ask(s *cloud.Start, t Target) {
	for _, e := range t.Envs {
		switch {
		case slices.Contains(ScopeKeys(), e.Key):
		case e.Key == "vars" || e.Key == cloud.EnvVars: // 0.4.x takes both
			s.Written[cloud.EnvVars] = e.Value
		default:
			s.Env[e.Key] = e.Value
			delete(s.Written, e.Key)
		}
	}
	if words := quoted(t.Vars); words != "" {
		s.Written[cloud.EnvVars] = strings.TrimSpace(s.Written[cloud.EnvVars] + " " + words)
	}
}

// quoted returns variables as EnvVars has them: nothing in their values is evaluated.
func quoted(vars []project.KeyValue) string {
	words := make([]string, len(vars))
	for i, v := range vars {
		words[i] = shell.Quote(v.Key + "=" + v.Value)
	}
	return strings.Join(words, " ")
}

// scheduleOf returns the schedule of the project with this target id.
func scheduleOf(p *project.Project, id string) (project.Schedule, error) {
	if p == nil {
		p = &project.Project{}
	}
	list, err := chosen(p, []string{id})
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

// JobsOptions says which jobs to show.
type JobsOptions struct {
	Target
	Job           string // its id, or a part of it; "": any
	Run           string // its id, or a part of it; "": any
	Active, Ended bool   // only those; both: all
	Group         bool   // of all tasks of the resource group
	Limit         int    // at most so many, the last ones; 0: all
}

// JobsResult lists jobs, those created last first.
type JobsResult struct {
	Status string      `json:"status"`
	Jobs   []cloud.Job `json:"jobs"`
}

// JobStatus returns the jobs that o asks for.
func (a *App) JobStatus(ctx context.Context, o JobsOptions) (res JobsResult, err error) {
	c, p, err := a.openScope(ctx, o.Target)
	if err != nil {
		return JobsResult{}, err
	}
	res = JobsResult{Status: "success", Jobs: []cloud.Job{}}
	clouds := []*cloud.Cloud{c}
	if !o.Group {
		err = needTask(c)
	} else {
		clouds, err = a.taskClouds(ctx, o.Target, c)
	}
	if err != nil {
		return JobsResult{}, err
	}
	for _, c := range clouds {
		one := o
		if one.Run, err = a.runNamed(ctx, c, o.Run); o.Group && errors.Is(err, cloud.ErrNotFound) {
			continue // it is one of another task
		}
		if err == nil {
			one.Job, err = jobNamed(ctx, c, o.Job)
		}
		var list []cloud.Job
		if err == nil {
			list, err = listJobs(ctx, c, one)
		}
		if err != nil {
			return JobsResult{}, err
		}
		for _, job := range list {
			res.Jobs = append(res.Jobs, a.withReason(ctx, c, job))
		}
	}
	a.sayNone(c, p, "jobs", len(res.Jobs))
	slices.SortStableFunc(res.Jobs, func(x, y cloud.Job) int { return y.Created.Compare(x.Created) })
	if o.Limit > 0 && len(res.Jobs) > o.Limit {
		res.Jobs = res.Jobs[:o.Limit]
	}
	return res, nil
}

// taskClouds opens the cloud for each task that is registered in the resource group.
func (a *App) taskClouds(ctx context.Context, t Target, c *cloud.Cloud) (clouds []*cloud.Cloud, err error) {
	scopes, err := a.tasks(ctx, t, c)
	for _, scope := range scopes {
		one, err := a.connect(ctx, CloudOptions{Provider: c.Provider, Platform: c.Platform, Profile: t.Cloud.Profile, Scope: scope})
		if err != nil {
			return nil, err
		}
		clouds = append(clouds, one)
	}
	return clouds, err
}

// tasks returns the tasks that are registered in the resource group of c.
func (a *App) tasks(ctx context.Context, t Target, c *cloud.Cloud) ([]cloud.Scope, error) {
	scope := cloud.Scope{Stage: c.Scope.Stage, ResourceGroup: c.Scope.ResourceGroup}
	group, err := a.connect(ctx, CloudOptions{Provider: c.Provider, Platform: c.Platform, Profile: t.Cloud.Profile, Scope: scope})
	if err != nil {
		return nil, err
	}
	list, err := group.Infra.Status(ctx, cloud.KindTask)
	var scopes []cloud.Scope
	for _, r := range list {
		scope.Task, scope.Client = r.Name, r.Client
		scopes = append(scopes, scope)
	}
	return scopes, err
}

// Tasks returns the tasks that are registered in the resource group of t.
func (a *App) Tasks(ctx context.Context, t Target) ([]string, error) {
	c, _, err := a.openScope(ctx, t)
	if err != nil {
		return nil, err
	}
	scopes, err := a.tasks(ctx, t, c)
	var names []string
	for _, s := range scopes {
		names = append(names, s.Task)
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// jobNamed returns the id of the job that a person means: the beginning or the end is enough where only one job has it. A word of which
// no job is known is returned as it is: there may be more of a job than its record.
func jobNamed(ctx context.Context, c *cloud.Cloud, word string) (string, error) {
	if word == "" {
		return "", nil
	}
	if _, err := c.Jobs.Status(ctx, word); err == nil || !errors.Is(err, cloud.ErrNotFound) && !errors.Is(err, cloud.ErrInvalid) {
		return word, err
	}
	var found []string
	for job, err := range c.Jobs.List(ctx, cloud.JobQuery{}) {
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(job.ID, word) || strings.HasSuffix(job.ID, word) {
			found = append(found, job.ID)
		}
	}
	switch len(found) {
	case 0:
		return word, nil
	case 1:
		return found[0], nil
	}
	return "", &UsageError{Message: fmt.Sprintf("more than one job is meant by %q", word), Hint: "write more of its id: " + strings.Join(found[:min(len(found), 5)], ", ")}
}

// listJobs returns the jobs of a task; o.Run and o.Job are whole ids.
func listJobs(ctx context.Context, c *cloud.Cloud, o JobsOptions) ([]cloud.Job, error) {
	if o.Job != "" {
		job, err := c.Jobs.Status(ctx, o.Job)
		return []cloud.Job{job}, err
	}
	var list []cloud.Job
	for job, err := range c.Jobs.List(ctx, cloud.JobQuery{RunID: o.Run, Active: o.Active && !o.Ended}) {
		if err != nil {
			return nil, err
		}
		if o.Ended && !o.Active && !job.State.Ended() {
			continue
		}
		if list = append(list, job); len(list) == o.Limit {
			break
		}
	}
	return list, nil
}

// withReason says why a job has ended badly where the provider knows no more than its exit code: the record of its run tells.
func (a *App) withReason(ctx context.Context, c *cloud.Cloud, job cloud.Job) cloud.Job {
	if !job.State.Ended() || job.State == cloud.JobSucceeded || job.Reason != "" {
		return job
	}
	if run, err := a.ledger(c, 0).Get(ctx, job.RunID); err == nil {
		job.Reason = run.Reason
	}
	if job.Reason == "" && job.ExitCode != nil {
		job.Reason = fmt.Sprintf("exit code %d", *job.ExitCode)
	}
	return job
}

// JobStopOptions says which job to stop, and how. Without Job and Run it is the only one that is active.
type JobStopOptions struct {
	Target
	Job    string        // its id, or a part of it
	Run    string        // its id, or a part of it
	Reason string        // shown as the reason of its end
	Grace  time.Duration // between SIGTERM and SIGKILL; 0: the provider's default
	Wait   bool
	Asked  func(cloud.Job) // with Wait: told as soon as the job was asked to end; may be nil
	DryRun bool
}

// JobStop asks a job to end.
func (a *App) JobStop(ctx context.Context, o JobStopOptions) (res JobResult, err error) {
	c, _, err := a.openTask(ctx, o.Target)
	if err != nil {
		return JobResult{}, err
	}
	if o.Run, err = a.runNamed(ctx, c, o.Run); err != nil {
		return JobResult{}, err
	}
	if o.Job, err = jobNamed(ctx, c, o.Job); err != nil {
		return JobResult{}, err
	}
	job, err := oneJob(ctx, c, o)
	if err != nil {
		return JobResult{}, err
	}
	if o.DryRun {
		return JobResult{Status: status(true), Job: job}, nil
	}
	job, err = c.Jobs.Stop(ctx, job.ID, cloud.StopOptions{Grace: o.Grace, Reason: o.Reason})
	if err == nil && o.Wait {
		if o.Asked != nil {
			o.Asked(job)
		}
		job, err = a.awaitJob(ctx, c, job)
	}
	return JobResult{Status: "success", Job: job}, err
}

// oneJob returns the job that is meant.
func oneJob(ctx context.Context, c *cloud.Cloud, o JobStopOptions) (cloud.Job, error) {
	list, err := listJobs(ctx, c, JobsOptions{Job: o.Job, Run: o.Run, Active: o.Run == "", Limit: 2})
	switch {
	case err != nil:
		return cloud.Job{}, err
	case len(list) == 0:
		return cloud.Job{}, &UsageError{Message: "no such job is active", Hint: "see `handoff cloud job status`"}
	case len(list) > 1 && o.Run == "":
		return cloud.Job{}, &UsageError{Message: "several jobs are active", Hint: "name one: --job " + list[0].ID}
	}
	return list[0], nil
}
