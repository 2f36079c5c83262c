package app

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
	"github.com/handoff-run/handoff/internal/lease"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/project"
)

// memoryApp works on a cloud in memory, in which the task t of the group g is registered in the env stage dev, whose jobs do what run
// does.
type memoryApp struct {
	*App
	t     *testing.T
	world *memory.World
	cloud *cloud.Cloud
}

func newMemoryApp(t *testing.T, run func(context.Context, *memory.Process) cloud.LastWord) *memoryApp {
	t.Helper()
	m := &memoryApp{t: t, world: memory.Open(memory.Options{Run: run})}
	t.Cleanup(m.world.Close)
	m.App = &App{
		Now: m.world.Now, Log: slog.New(slog.DiscardHandler),
		OpenCloud: func(_ context.Context, o CloudOptions) (*cloud.Cloud, error) { return m.world.Cloud(o.Scope) },
	}
	var err error
	if m.cloud, err = m.world.Cloud(cloud.Scope{Stage: "dev", ResourceGroup: "g", Task: "t"}); err != nil {
		t.Fatal(err)
	}
	p, err := m.cloud.Infra.Plan(t.Context(), cloud.Want{Kind: cloud.KindTask})
	if err == nil {
		err = m.cloud.Infra.Apply(t.Context(), p, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// untilAsked is a job that runs until it is asked to end.
func untilAsked(ctx context.Context, p *memory.Process) cloud.LastWord {
	p.Say("first")
	<-ctx.Done()
	return cloud.LastWord{Code: 143, Interrupted: true}
}

// job starts a job.
func (m *memoryApp) job(run string) cloud.Job {
	m.t.Helper()
	job, err := m.cloud.Jobs.Run(m.t.Context(), cloud.Start{RunID: run})
	if err != nil {
		m.t.Fatal(err)
	}
	return job
}

// jobs returns the jobs that there are.
func (m *memoryApp) jobs() []cloud.Job {
	m.t.Helper()
	var list []cloud.Job
	for job, err := range m.cloud.Jobs.List(m.t.Context(), cloud.JobQuery{}) {
		if err != nil {
			m.t.Fatal(err)
		}
		list = append(list, job)
	}
	return list
}

func words(t *testing.T, text string) []project.KeyValue {
	t.Helper()
	var list []project.KeyValue
	for w := range strings.FieldsSeq(text) {
		k, v, _ := strings.Cut(w, "=")
		list = append(list, project.KeyValue{Key: k, Value: v})
	}
	return list
}

func target(t *testing.T, envs, vars string) Target {
	t.Helper()
	return Target{EnvStage: "dev", Envs: append(words(t, "resource_group=g task=t"), words(t, envs)...), Vars: words(t, vars)}
}

func TestStart(t *testing.T) {
	t.Parallel()
	value := "day=$(date -I)"
	p := &project.Project{Schedules: []project.Schedule{
		{TargetID: "7", Timezone: "Asia/Tokyo", Envs: []project.Env{{Key: cloud.EnvVars, Value: &value}, {Key: "DAY", Value: &value}, {Key: "X"}}},
		{TargetID: "9"},
	}}
	type env = map[string]string
	for _, tc := range []struct {
		name, envs, vars string
		like             string
		env, written     map[string]string
		zone, release    string
		fails            bool
	}{
		{name: "nothing"},
		{name: "environment is data", envs: "A=$(date) vars=x=1", env: env{"A": "$(date)"}, written: env{cloud.EnvVars: "x=1"}},
		{name: "variables are data", vars: "a=it's b=$(rm)", written: env{cloud.EnvVars: `'a=it'\''s' 'b=$(rm)'`}},
		{name: "schedule", vars: "a=1", like: "7", zone: "Asia/Tokyo", written: env{cloud.EnvVars: "day=$(date -I) a=1", "DAY": value}},
		{name: "schedule without a zone", like: "9", zone: "UTC"},
		{
			name: "environment over schedule", envs: "__VARS=b=2 DAY=today", like: "7", zone: "Asia/Tokyo",
			env: env{"DAY": "today"}, written: env{cloud.EnvVars: "b=2"},
		},
		{name: "release", release: "abc"},
		{name: "no such schedule", like: "8", fails: true},
		{name: "code", envs: "vars=a=$(rm)", fails: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := &App{Now: time.Now}
			got, err := a.start(CloudRunOptions{Target: target(t, tc.envs, tc.vars), Like: tc.like, Release: tc.release}, p)
			if _, usage := errors.AsType[*UsageError](err); usage != tc.fails {
				t.Fatalf("err = %v", err)
			}
			if err != nil {
				return
			}
			want := cloud.Start{RunID: got.RunID, Trigger: cloud.TriggerManual, Zone: tc.zone, Release: tc.release, Env: tc.env, Written: tc.written}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || got.RunID == "" {
				t.Errorf("%s\nstart %+v", diff, got)
			}
		})
	}
}

// TestCloudRunWaits: who waits gets the whole log, and the end of the job.
func TestCloudRunWaits(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		word  cloud.LastWord
		lost  bool
		state cloud.JobState
		code  int
	}{
		{"success", cloud.LastWord{}, false, cloud.JobSucceeded, 0},
		{"failure", cloud.LastWord{Code: 7}, false, cloud.JobFailed, 7},
		{"lost", cloud.LastWord{}, true, cloud.JobLost, 1},
		{"skipped", cloud.LastWord{Code: 4, Skipped: true}, false, cloud.JobSkipped, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var m *memoryApp
			m = newMemoryApp(t, func(_ context.Context, p *memory.Process) cloud.LastWord {
				p.Say("first")
				p.Say("last")
				if tc.lost {
					m.world.Lose(p.ID)
					<-p.Gone
				}
				return tc.word
			})
			var lines []string
			res, err := m.CloudRun(t.Context(), CloudRunOptions{
				Target: target(t, "", ""), Wait: true, Line: func(l cloud.Line) { lines = append(lines, l.Text) },
			})
			if err != nil || res.Code() != tc.code || res.State != tc.state {
				t.Errorf("result %+v, code %d, %v", res, res.Code(), err)
			}
			if diff := cmp.Diff([]string{"first", "last"}, lines); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCloudRunThatNobodyAwaits(t *testing.T) {
	t.Parallel()
	m := newMemoryApp(t, untilAsked)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := m.CloudRun(ctx, CloudRunOptions{Target: target(t, "", ""), Wait: true, Started: func(cloud.Job) { cancel() }})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "goes on") {
		t.Errorf("err = %v", err)
	}
	if jobs := m.jobs(); len(jobs) != 1 || jobs[0].State != cloud.JobRunning {
		t.Errorf("jobs %+v", jobs)
	}
}

func TestCloudRunDryRun(t *testing.T) {
	t.Parallel()
	m := newMemoryApp(t, nil)
	o := CloudRunOptions{Target: target(t, "", ""), DryRun: true}
	res, err := m.CloudRun(t.Context(), o)
	if err != nil || res.Status != "planned" || res.ID != "" || res.Task != "t" || len(m.jobs()) > 0 {
		t.Errorf("result %+v, started %+v, %v", res, m.jobs(), err)
	}
	o.Envs = nil
	if _, err := m.CloudRun(t.Context(), o); err == nil {
		t.Error("a job without a task is started")
	}
}

func TestJobStop(t *testing.T) {
	t.Parallel()
	const one, two = "20260102T030405.678Z-00000a", "20260102T030405.678Z-00000b"
	for _, tc := range []struct {
		name  string
		o     JobStopOptions
		runs  []string
		want  string
		usage bool
	}{
		{"the only one", JobStopOptions{Reason: "x"}, []string{one}, one, false},
		{"by run", JobStopOptions{Run: two}, []string{one, two}, two, false},
		{"by the end of a run", JobStopOptions{Run: "0b"}, []string{one, two}, two, false},
		{"none", JobStopOptions{}, nil, "", true},
		{"several", JobStopOptions{}, []string{one, two}, "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := newMemoryApp(t, untilAsked)
			for _, run := range tc.runs {
				m.job(run)
			}
			tc.o.Target = target(t, "", "")
			res, err := m.JobStop(t.Context(), tc.o)
			if _, usage := errors.AsType[*UsageError](err); usage != tc.usage || res.RunID != tc.want {
				t.Errorf("stopped %q, %v", res.RunID, err)
			}
			for _, job := range m.jobs() {
				if asked := job.State != cloud.JobRunning; asked != (job.RunID == tc.want) || asked && tc.o.Reason != "" && job.Reason != tc.o.Reason {
					t.Errorf("job %+v", job)
				}
			}
		})
	}
}

// The grace time is that of the command.
func TestJobStopGrace(t *testing.T) {
	t.Parallel()
	m := newMemoryApp(t, func(_ context.Context, p *memory.Process) cloud.LastWord {
		<-p.Gone
		return cloud.LastWord{}
	})
	m.job("r")
	if _, err := m.JobStop(t.Context(), JobStopOptions{Target: target(t, "", ""), Reason: "x", Grace: 30 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	m.world.Wait()
	if job := m.jobs()[0]; job.State != cloud.JobStopped || !strings.HasSuffix(job.Reason, "after 30ms") {
		t.Errorf("job %+v", job)
	}
}

func TestJobStatus(t *testing.T) {
	t.Parallel()
	m := newMemoryApp(t, func(ctx context.Context, p *memory.Process) cloud.LastWord {
		if p.RunID == "a" {
			return cloud.LastWord{Code: 1}
		}
		return untilAsked(ctx, p)
	})
	ended := m.job("a")
	m.world.Wait()
	m.job("b")
	for _, tc := range []struct {
		o    JobsOptions
		want string
	}{
		{JobsOptions{}, "ba"}, {JobsOptions{Active: true}, "b"}, {JobsOptions{Ended: true}, "a"},
		{JobsOptions{Active: true, Ended: true}, "ba"}, {JobsOptions{Limit: 1}, "b"}, {JobsOptions{Job: ended.ID}, "a"},
	} {
		tc.o.Target = target(t, "", "")
		res, err := m.JobStatus(t.Context(), tc.o)
		got := ""
		for _, job := range res.Jobs {
			got += job.RunID
		}
		if err != nil || got != tc.want {
			t.Errorf("%+v: %q, want %q, %v", tc.o, got, tc.want, err)
		}
	}
}

// Those of all tasks of the group are those of its clients, too.
func TestJobStatusOfAGroup(t *testing.T) {
	t.Parallel()
	m := newMemoryApp(t, nil)
	client := m.cloud.Scope
	client.Client = "acme"
	c, err := m.world.Cloud(client)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Infra.Plan(t.Context(), cloud.Want{Kind: cloud.KindTask})
	if err == nil {
		err = c.Infra.Apply(t.Context(), p, nil)
	}
	if err == nil {
		_, err = c.Jobs.Run(t.Context(), cloud.Start{RunID: "of-acme"})
	}
	if err != nil {
		t.Fatal(err)
	}
	m.job("of-nobody")
	res, err := m.JobStatus(t.Context(), JobsOptions{Target: target(t, "", ""), Group: true})
	if err != nil || len(res.Jobs) != 2 || res.Jobs[1].Client != "acme" || res.Jobs[0].Client != "" {
		t.Errorf("jobs %+v, %v", res.Jobs, err)
	}
}

func TestLogsRefuses(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, o := range []LogsOptions{{Limit: -1}, {Since: now, Until: now}} {
		o.Target = target(t, "", "")
		err := newMemoryApp(t, nil).Logs(t.Context(), o)
		if usage, ok := errors.AsType[*UsageError](err); !ok || usage.Hint == "" {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// Following a job ends with it.
func TestLogsFollow(t *testing.T) {
	t.Parallel()
	const run = "20260102T030405.678Z-00000a"
	end := make(chan struct{})
	m := newMemoryApp(t, func(_ context.Context, p *memory.Process) cloud.LastWord {
		p.Say("first")
		<-end
		p.Say("last")
		return cloud.LastWord{}
	})
	m.job(run)
	var lines []string
	err := m.Logs(t.Context(), LogsOptions{Target: target(t, "", ""), Run: "00000a", Follow: true, Line: func(l cloud.Line) error {
		if lines = append(lines, l.Text); l.Text == "first" {
			close(end)
		}
		return nil
	}})
	if diff := cmp.Diff([]string{"first", "last"}, lines); diff != "" || err != nil {
		t.Errorf("%s, %v", diff, err)
	}
	err = m.Logs(t.Context(), LogsOptions{Target: target(t, "", ""), Run: run[:len(run)-1] + "b", Follow: true})
	if Code(err) != ExitCloud || !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("err = %v", err)
	}
}

func TestInfra(t *testing.T) {
	t.Parallel()
	no := &UsageError{Message: "no"}
	for _, tc := range []struct {
		name  string
		o     InfraOptions
		there bool // the bucket, before
		after bool
		fails bool
	}{
		{"create", InfraOptions{}, false, true, false},
		{"nothing to do", InfraOptions{}, true, true, false},
		{"dry run", InfraOptions{DryRun: true, Absent: true}, true, true, false},
		{"update what is not there", InfraOptions{Update: true}, false, false, true},
		{"delete, refused", InfraOptions{Absent: true, Confirm: func([]cloud.Change) error { return no }}, true, true, true},
		{"delete", InfraOptions{Absent: true, Confirm: func([]cloud.Change) error { return nil }}, true, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := newMemoryApp(t, nil)
			tc.o.Target, tc.o.Kind = target(t, "", ""), cloud.KindBucket
			if tc.there {
				if _, err := m.Infra(t.Context(), InfraOptions{Target: tc.o.Target, Kind: tc.o.Kind}); err != nil {
					t.Fatal(err)
				}
			}
			res, err := m.Infra(t.Context(), tc.o)
			if _, usage := errors.AsType[*UsageError](err); usage != tc.fails {
				t.Errorf("result %+v, %v", res, err)
			}
			if list, err := m.cloud.Infra.Status(t.Context(), cloud.KindBucket); err != nil || (len(list) > 0) != tc.after {
				t.Errorf("afterwards there is %+v, %v", list, err)
			}
			if !tc.fails && tc.there && tc.after && !tc.o.DryRun && res.Message == "" {
				t.Error("nothing is said")
			}
		})
	}
}

func TestTaskSpec(t *testing.T) {
	t.Parallel()
	p := &project.Project{Deploy: project.Deploy{CPU: 256, Memory: 512, Overlap: "queue", Env: map[string]string{"A": "1"}}}
	got, err := taskSpec(p, InfraOptions{Release: "abc"})
	want := cloud.TaskSpec{CPU: 256, Memory: 512, Overlap: cloud.OverlapQueue, Env: map[string]string{"A": "1"}, Release: "abc"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err := taskSpec(nil, InfraOptions{}); err == nil {
		t.Error("a task without a project is registered")
	}
}

// A provider that knows of a job no more than its exit code leaves the reason to the record of the run.
func TestReasonOfTheRecord(t *testing.T) {
	t.Parallel()
	m := newMemoryApp(t, func(context.Context, *memory.Process) cloud.LastWord { return cloud.LastWord{Code: 1} })
	silent, told := cloud.NewRunID(time.Now()), cloud.NewRunID(time.Now())
	run := ledger.Run{ID: told, Start: time.Now(), Outcome: "failed", Reason: "task load, stage tap-rest-api: exit code 1"}
	if err := m.ledger(m.cloud, 0).Put(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{silent: "exit code 1", told: run.Reason} {
		job, err := m.awaitJob(t.Context(), m.cloud, m.job(id))
		if err != nil || job.State != cloud.JobFailed || job.Reason != want {
			t.Errorf("waited for: %+v, %v", job, err)
		}
		res, err := m.JobStatus(t.Context(), JobsOptions{Target: target(t, "", ""), Run: id})
		if err != nil || len(res.Jobs) != 1 || res.Jobs[0].Reason != want {
			t.Errorf("listed: %+v, %v", res.Jobs, err)
		}
	}
}

// Without an id the run that goes on is followed, not one that was refused because of it.
func TestFollowWhatGoesOn(t *testing.T) {
	t.Parallel()
	m := newMemoryApp(t, nil)
	now := time.Now()
	goesOn, refused := cloud.NewRunID(now), cloud.NewRunID(now.Add(time.Minute))
	_, held, err := lease.Acquire(t.Context(), m.cloud.Files, m.leaseOptions(m.cloud, goesOn))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release(t.Context())
	for id, outcome := range map[string]string{goesOn: "success", refused: ledger.Skipped} {
		if err := m.ledger(m.cloud, 0).Put(t.Context(), ledger.Run{ID: id, Start: now, Outcome: outcome}); err != nil {
			t.Fatal(err)
		}
	}
	run, err := m.RunFollow(t.Context(), target(t, "", ""), "", func(Step) {})
	if err != nil || run.ID != goesOn {
		t.Errorf("followed %q, %v; want %q", run.ID, err, goesOn)
	}
}
