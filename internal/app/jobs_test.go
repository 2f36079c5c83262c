package app

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
	"github.com/handoff-run/handoff/internal/project"
)

// stage stands in for a cloud on which jobs end as they are told.
type stage struct {
	cloud.Jobs
	cloud.Logs
	cloud.Infra
	jobs    []cloud.Job // those that Status returns, one after the other
	start   cloud.Start
	stopped cloud.StopOptions
	query   cloud.Query
	changes []cloud.Change
	want    cloud.Want
	applied bool
}

func (s *stage) Run(_ context.Context, start cloud.Start) (cloud.Job, error) {
	s.start = start
	return cloud.Job{ID: "j", Run: start.Run, State: cloud.JobStarting}, nil
}

func (s *stage) Status(context.Context, string) (cloud.Job, error) {
	job := s.jobs[0]
	if len(s.jobs) > 1 {
		s.jobs = s.jobs[1:]
	}
	return job, nil
}

func (s *stage) List(_ context.Context, q cloud.JobQuery) iter.Seq2[cloud.Job, error] {
	return func(yield func(cloud.Job, error) bool) {
		for _, job := range s.jobs {
			if q.Active && job.State.Ended() || q.Run != "" && q.Run != job.Run {
				continue
			}
			if !yield(job, nil) {
				return
			}
		}
	}
}

func (s *stage) Stop(_ context.Context, id string, o cloud.StopOptions) (cloud.Job, error) {
	s.stopped = o
	return cloud.Job{ID: id, State: cloud.JobStopping}, nil
}

func (s *stage) Read(ctx context.Context, q cloud.Query) iter.Seq2[cloud.Line, error] {
	return func(yield func(cloud.Line, error) bool) {
		s.query = q
		if yield(cloud.Line{Text: "first"}, nil) && q.Follow {
			select {
			case <-q.Done:
				yield(cloud.Line{Text: "last"}, nil)
			case <-ctx.Done():
			}
		}
	}
}

func (s *stage) app(t *testing.T) *App {
	t.Helper()
	return &App{
		Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }, Log: slog.New(slog.DiscardHandler),
		OpenCloud: func(_ context.Context, o CloudOptions) (*cloud.Cloud, error) {
			return cloud.Complete(cloud.Cloud{Provider: o.Provider, Scope: o.Scope, Jobs: s, Logs: s, Infra: infraOf{s}, Files: &memory.Files{}}), nil
		},
	}
}

// infraOf keeps the two Status apart.
type infraOf struct{ *stage }

func (i infraOf) Plan(_ context.Context, w cloud.Want) (cloud.Plan, error) {
	i.want = w
	return cloud.Plan{Want: w, Changes: i.changes, Exists: len(i.changes) == 0 || i.changes[0].Action != cloud.ActionCreate}, nil
}

func (i infraOf) Apply(context.Context, cloud.Plan, func(cloud.Step)) error {
	i.applied = true
	return nil
}

func (i infraOf) Status(context.Context, cloud.Kind) ([]cloud.Resource, error) { return nil, nil }

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

func code(n int) *int { return &n }

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
			s := &stage{}
			got, err := s.app(t).start(CloudRunOptions{Target: target(t, tc.envs, tc.vars), Like: tc.like, Release: tc.release}, p)
			if _, usage := errors.AsType[*UsageError](err); usage != tc.fails {
				t.Fatalf("err = %v", err)
			}
			if err != nil {
				return
			}
			want := cloud.Start{Run: got.Run, Trigger: cloud.TriggerManual, Zone: tc.zone, Release: tc.release, Env: tc.env, Written: tc.written}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || got.Run == "" {
				t.Errorf("%s\nstart %+v", diff, got)
			}
		})
	}
}

func TestCloudRunWaits(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		end  cloud.Job
		code int
	}{
		{"success", cloud.Job{State: cloud.JobSucceeded, ExitCode: code(0)}, 0},
		{"failure", cloud.Job{State: cloud.JobFailed, ExitCode: code(7)}, 7},
		{"lost", cloud.Job{State: cloud.JobLost}, 1},
		{"skipped", cloud.Job{State: cloud.JobSkipped}, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := &stage{jobs: []cloud.Job{{State: cloud.JobRunning}, tc.end}}
			var lines []string
			res, err := s.app(t).CloudRun(t.Context(), CloudRunOptions{
				Target: target(t, "", ""), Wait: true, Line: func(l cloud.Line) { lines = append(lines, l.Text) },
			})
			if err != nil || res.Code() != tc.code || res.State != tc.end.State {
				t.Errorf("result %+v, code %d, %v", res, res.Code(), err)
			}
			if diff := cmp.Diff([]string{"first", "last"}, lines); diff != "" {
				t.Error(diff)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := &stage{jobs: []cloud.Job{{State: cloud.JobRunning}}}
	o := CloudRunOptions{Target: target(t, "", ""), Wait: true, Started: func(cloud.Job) { cancel() }}
	if _, err := s.app(t).CloudRun(ctx, o); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "goes on") {
		t.Errorf("err = %v", err)
	}
}

func TestCloudRunDryRun(t *testing.T) {
	t.Parallel()
	s := &stage{}
	o := CloudRunOptions{Target: Target{Envs: words(t, "resource_group=g task=old_style")}, DryRun: true}
	res, err := s.app(t).CloudRun(t.Context(), o)
	if err != nil || res.Status != "planned" || res.ID != "" || res.Task != "old_style" || s.start.Run != "" {
		t.Errorf("result %+v, started %+v, %v", res, s.start, err)
	}
	o.Envs = nil
	if _, err := s.app(t).CloudRun(t.Context(), o); err == nil {
		t.Error("a job without a task is started")
	}
}

func TestJobStop(t *testing.T) {
	t.Parallel()
	one := cloud.Job{ID: "a", Run: "20260102T030405.678Z-00000a", State: cloud.JobRunning}
	two := cloud.Job{ID: "b", Run: "20260102T030405.678Z-00000b", State: cloud.JobRunning}
	for _, tc := range []struct {
		name  string
		o     JobStopOptions
		jobs  []cloud.Job
		want  string
		usage bool
	}{
		{"the only one", JobStopOptions{Reason: "x", Grace: 5 * time.Second}, []cloud.Job{one}, "a", false},
		{"by run", JobStopOptions{Run: "20260102T030405.678Z-00000b"}, []cloud.Job{one, two}, "b", false},
		{"by the end of a run", JobStopOptions{Run: "0b"}, []cloud.Job{one, two}, "b", false},
		{"none", JobStopOptions{}, nil, "", true},
		{"several", JobStopOptions{}, []cloud.Job{one, two}, "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := &stage{jobs: tc.jobs}
			tc.o.Target = target(t, "", "")
			res, err := s.app(t).JobStop(t.Context(), tc.o)
			if _, usage := errors.AsType[*UsageError](err); usage != tc.usage || res.ID != tc.want {
				t.Errorf("stopped %q, %v", res.ID, err)
			}
			if tc.o.Reason != "" && (s.stopped != cloud.StopOptions{Grace: 5 * time.Second, Reason: "x"}) {
				t.Errorf("options %+v", s.stopped)
			}
		})
	}
}

func TestJobStatus(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		o    JobsOptions
		want string
	}{
		{JobsOptions{}, "ba"}, {JobsOptions{Active: true}, "b"}, {JobsOptions{Ended: true}, "a"},
		{JobsOptions{Active: true, Ended: true}, "ba"}, {JobsOptions{Limit: 1}, "b"}, {JobsOptions{Job: "x"}, "b"},
	} {
		s := &stage{jobs: []cloud.Job{{ID: "b", State: cloud.JobRunning}, {ID: "a", State: cloud.JobFailed}}}
		tc.o.Target = target(t, "", "")
		res, err := s.app(t).JobStatus(t.Context(), tc.o)
		got := ""
		for _, job := range res.Jobs {
			got += job.ID
		}
		if err != nil || got != tc.want {
			t.Errorf("%+v: %q, want %q, %v", tc.o, got, tc.want, err)
		}
	}
}

func TestLogsRefuses(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, o := range []LogsOptions{{Limit: -1}, {Since: now, Until: now}} {
		o.Target = target(t, "", "")
		err := (&stage{}).app(t).Logs(t.Context(), o)
		if usage, ok := errors.AsType[*UsageError](err); !ok || usage.Hint == "" {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// Following a job ends with it.
func TestLogsFollow(t *testing.T) {
	t.Parallel()
	const run = "20260102T030405.678Z-00000a"
	s := &stage{jobs: []cloud.Job{{ID: "j", Run: run, State: cloud.JobRunning}, {ID: "j", State: cloud.JobSucceeded}}}
	var lines []string
	err := s.app(t).Logs(t.Context(), LogsOptions{Target: target(t, "", ""), Run: "00000a", Follow: true, Line: func(l cloud.Line) error {
		lines = append(lines, l.Text)
		return nil
	}})
	if diff := cmp.Diff([]string{"first", "last"}, lines); diff != "" || err != nil {
		t.Errorf("%s, %v", diff, err)
	}
	s.jobs = nil
	err = s.app(t).Logs(t.Context(), LogsOptions{Target: target(t, "", ""), Run: run, Follow: true})
	if Code(err) != ExitCloud || !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("err = %v", err)
	}
}

func TestInfra(t *testing.T) {
	t.Parallel()
	create, remove := cloud.Change{Action: cloud.ActionCreate, Name: "b"}, cloud.Change{Action: cloud.ActionDelete, Name: "b"}
	no := &UsageError{Message: "no"}
	for _, tc := range []struct {
		name    string
		o       InfraOptions
		changes []cloud.Change
		applied bool
		fails   bool
	}{
		{"create", InfraOptions{}, []cloud.Change{create}, true, false},
		{"nothing to do", InfraOptions{}, nil, false, false},
		{"dry run", InfraOptions{DryRun: true, Absent: true}, []cloud.Change{remove}, false, false},
		{"update what is not there", InfraOptions{Update: true}, []cloud.Change{create}, false, true},
		{"delete, refused", InfraOptions{Absent: true, Confirm: func([]cloud.Change) error { return no }}, []cloud.Change{remove}, false, true},
		{"delete", InfraOptions{Absent: true, Confirm: func([]cloud.Change) error { return nil }}, []cloud.Change{remove}, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := &stage{changes: tc.changes}
			tc.o.Target, tc.o.Kind = target(t, "", ""), cloud.KindBucket
			res, err := s.app(t).Infra(t.Context(), tc.o)
			if _, usage := errors.AsType[*UsageError](err); usage != tc.fails || s.applied != tc.applied {
				t.Errorf("result %+v, applied %v, %v", res, s.applied, err)
			}
			if !tc.fails && len(tc.changes) == 0 && res.Message == "" {
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
