package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/artifact"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/lease"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/release"
)

// bucket is a pushed project, and what is needed to look behind the verbs.
type bucket struct {
	*App
	t      *testing.T
	target Target
	cloud  *cloud.Cloud
}

func pushed(t *testing.T, tasks string) *bucket {
	t.Helper()
	return pushedTo(t, tasks, func(*cloud.Cloud) {})
}

// pushedTo is pushed to a cloud of which something else stands for a part.
func pushedTo(t *testing.T, tasks string, change func(*cloud.Cloud)) *bucket {
	t.Helper()
	a, _ := newApp(t)
	a.Now = time.Now
	withLocal(t, a)
	open := a.OpenCloud
	a.OpenCloud = func(ctx context.Context, o CloudOptions) (*cloud.Cloud, error) {
		c, err := open(ctx, o)
		if err == nil {
			change(c)
		}
		return c, err
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"project.yml": "version: 1\ndeploy: {resource_group: g, task: t}\n" + tasks})
	b := &bucket{App: a, t: t, target: Target{ProjectDir: dir}}
	// by force: some of these projects lack secrets
	if _, err := a.Push(t.Context(), PushOptions{Target: b.target, Parts: release.All, Force: true}); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.cloud, _, err = a.openScope(t.Context(), b.target); err != nil {
		t.Fatal(err)
	}
	return b
}

// run runs in a new workspace and stores the artifacts.
func (b *bucket) run(ctx context.Context, change func(*RunReleaseOptions)) (RunResult, error) {
	o := RunReleaseOptions{RunOptions: RunOptions{Target: b.target, Push: true}}
	o.WorkspaceDir = filepath.Join(b.t.TempDir(), "ws")
	if change != nil {
		change(&o)
	}
	return b.RunRelease(ctx, o)
}

// job runs what s says, as a job in a new workspace.
func (b *bucket) job(ctx context.Context, s cloud.Start) (RunResult, error) {
	s.Scope = b.cloud.Scope
	inside := *b.App
	inside.Environ = slices.Concat(b.Environ, s.Environ(), []string{
		cloud.EnvJob + "=j1", cloud.EnvWorkspace + "=" + filepath.Join(b.t.TempDir(), "ws"),
	})
	return inside.RunJob(ctx, JobOptions{})
}

// next returns the content of an artifact as the next run finds it, "" where it finds none.
func (b *bucket) next(name string) string {
	b.t.Helper()
	dir := b.t.TempDir()
	commits := b.commits(b.cloud)
	now, err := commits.Read(b.t.Context())
	if err == nil {
		_, err = commits.Artifacts.Fetch(b.t.Context(), now.Artifacts, artifact.FetchOptions{Dir: dir})
	}
	if err != nil {
		b.t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil && !os.IsNotExist(err) {
		b.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

const counting = `tasks:
- name: count
  commands:
  - command: n=$(cat artifacts/n 2>/dev/null); echo $((n+1)) > artifacts/n; {{ then }}
`

func TestWhatAFailedRunLeaves(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, next, pushed string }{
		{"apart", "", "1", "failed/"},
		{"discarded", "artifacts: {on_failure: discard}\n", "1", ""},
		{"committed", "artifacts: {on_failure: commit}\n", "2", "archives/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := pushed(t, tt.text+"vars: [{key: then, value: 'true'}]\n"+counting)
			if res, err := b.run(t.Context(), nil); err != nil || res.ExitCode != 0 {
				t.Fatalf("%+v, %v", res, err)
			}
			res, err := b.run(t.Context(), func(o *RunReleaseOptions) { o.Vars = []project.KeyValue{{Key: "then", Value: "false"}} })
			if err != nil || res.ExitCode != 1 || !strings.HasPrefix(res.Pushed, tt.pushed) || (res.Pushed == "") != (tt.pushed == "") {
				t.Errorf("%+v, %v", res, err)
			}
			if got := b.next("n"); got != tt.next {
				t.Errorf("the next run finds %q, want %q", got, tt.next)
			}
		})
	}
}

func TestPushOnFailOfAnOlderProject(t *testing.T) {
	t.Parallel()
	b := pushed(t, "vars: [{key: then, value: 'false'}]\n"+counting)
	text := "version: 0.4\ndeploy: {resource_group: g, task: t, push_artifacts_on_fail: false}\nvars: [{key: then, value: 'false'}]\n" + counting
	write(t, b.target.ProjectDir, map[string]string{"project.yml": text})
	if _, err := b.Push(t.Context(), PushOptions{Target: b.target, Parts: release.All}); err != nil {
		t.Fatal(err)
	}
	if res, err := b.run(t.Context(), nil); err != nil || res.ExitCode != 1 || res.Pushed != "" {
		t.Errorf("%+v, %v", res, err)
	}
}

// A run that was taken for dead while it worked stores nothing that the next one would go on from.
func TestRunThatLostItsLease(t *testing.T) {
	t.Parallel()
	b := pushed(t, "vars: [{key: then, value: 'true'}]\n"+counting)
	if res, err := b.run(t.Context(), nil); err != nil || res.ExitCode != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	var thief *lease.Lease
	res, err := b.run(t.Context(), func(o *RunReleaseOptions) {
		o.Events = func(e pipeline.Event) {
			if e.Kind != pipeline.TaskEnded {
				return
			}
			lo := b.leaseOptions(b.cloud, cloud.NewRunID(time.Now()))
			lo.Sight = func(lease.Record) lease.Sight { return lease.Gone }
			var err error
			if _, thief, err = lease.Acquire(t.Context(), b.cloud.Files, lo); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil || res.ExitCode == 0 || !strings.Contains(res.Reason, "taken over") || !strings.HasPrefix(res.Pushed, "failed/") {
		t.Errorf("%+v, %v", res, err)
	}
	if got := b.next("n"); got != "1" {
		t.Errorf("the next run finds %q", got)
	}
	if err := thief.Check(t.Context()); err != nil {
		t.Errorf("the new holder: %v", err)
	}
	if err := thief.Release(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestInterruptedRunIsRecordedAndStored(t *testing.T) {
	t.Parallel()
	b := pushed(t, "tasks:\n- name: long\n  commands:\n  - command: echo x > artifacts/x; sleep 60\n")
	ctx, cancel := context.WithCancelCause(t.Context())
	res, err := b.run(ctx, func(o *RunReleaseOptions) {
		o.Events = func(e pipeline.Event) {
			if e.Kind == pipeline.StageStarted {
				time.AfterFunc(50*time.Millisecond, func() { cancel(pipeline.Interrupt{Signal: syscall.SIGTERM}) })
			}
		}
	})
	if err != nil || res.ExitCode != 143 || !strings.HasPrefix(res.Pushed, "failed/") {
		t.Fatalf("%+v, %v", res, err)
	}
	run, err := b.RunShow(t.Context(), b.target, "")
	if err != nil || run.Outcome != "interrupted" || run.ExitCode != 143 {
		t.Errorf("record %+v, %v", run, err)
	}
	if r, _, err := lease.Read(t.Context(), b.cloud.Files, "t/lease.json"); err != nil || !r.Released {
		t.Errorf("lease %+v, %v", r, err)
	}
}

func TestRunThatCannotStartIsRecorded(t *testing.T) {
	t.Parallel()
	b := pushed(t, "secrets: [{key: nobody_has_it}]\ntasks: [{name: a, commands: [{command: 'true'}]}]\n")
	_, err := b.run(t.Context(), nil)
	if _, ok := errors.AsType[project.Errors](err); !ok {
		t.Fatalf("error %v", err)
	}
	run, err := b.RunShow(t.Context(), b.target, "")
	if err != nil || run.Outcome != "failed" || run.ExitCode != 2 || !strings.Contains(run.Reason, "nobody_has_it") {
		t.Errorf("record %+v, %v", run, err)
	}
}

// brokenFiles fails puts of keys that contain a text.
type brokenFiles struct {
	cloud.Files
	part atomic.Value
}

var errBroken = errors.New("the disk is full")

func (b *brokenFiles) Put(ctx context.Context, key string, body cloud.Body, o cloud.PutOptions) (cloud.Object, error) {
	if part, _ := b.part.Load().(string); part != "" && strings.Contains(key, part) {
		return cloud.Object{}, errBroken
	}
	return b.Files.Put(ctx, key, body, o)
}

// A run whose tasks succeeded has failed all the same when what it leaves cannot be stored.
func TestWhatCannotBeStoredFailsTheRun(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ part, outcome string }{
		{"/artifacts/archives/", "failed"}, {"/artifacts/index.json", "failed"}, {"/artifacts/manifests/archives", "failed"}, {"/state/", "failed"},
	} {
		t.Run(strings.ReplaceAll(tt.part, "/", " "), func(t *testing.T) {
			t.Parallel()
			b := pushed(t, "tasks:\n- name: load\n  state: true\n  pipeline: [{command: \"echo '{\\\"n\\\":1}'\"}]\n")
			files := &brokenFiles{Files: b.cloud.Files}
			files.part.Store(tt.part)
			open := b.OpenCloud
			b.OpenCloud = func(ctx context.Context, o CloudOptions) (*cloud.Cloud, error) {
				c, err := open(ctx, o)
				if err == nil {
					c.Files = files
				}
				return c, err
			}
			res, err := b.run(t.Context(), nil)
			if err != nil || res.ExitCode != 3 || res.Status != "failed" || !strings.Contains(res.Reason, errBroken.Error()) {
				t.Errorf("%+v, %v", res, err)
			}
			run, err := b.RunShow(t.Context(), b.target, "")
			if err != nil || run.Outcome != tt.outcome || run.ExitCode != 3 {
				t.Errorf("record %+v, %v", run, err)
			}
			local, err := ledger.Read(res.Record)
			if err != nil || local.Outcome != tt.outcome {
				t.Errorf("record in the workspace %+v, %v", local, err)
			}
		})
	}
}

func TestMissingVenvIsInstalled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	b := pushed(t, "installs: [{venv: v, command: 'exit 4'}]\ntasks:\n- name: a\n  commands: [{command: 'true', venv: v}]\n")
	_, err := b.run(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "exit") {
		t.Errorf("error %v", err)
	}
	run, err := b.RunShow(t.Context(), b.target, "")
	if err != nil || run.Outcome != "failed" {
		t.Errorf("record %+v, %v", run, err)
	}
}

func TestRunsOfALongTask(t *testing.T) {
	t.Parallel()
	b := pushed(t, "tasks: []\n")
	bucket := b.ledger(b.cloud, 0)
	start := time.Now().Add(-24 * time.Hour).UTC()
	for i := range 10 {
		at := start.Add(time.Duration(i) * time.Hour)
		outcome := "success"
		if i%2 == 0 {
			outcome = "failed"
		}
		run := ledger.Run{ID: cloud.NewRunID(at), Start: at, End: at.Add(time.Minute), Updated: at, Outcome: outcome, Tasks: []*ledger.Task{}}
		if err := bucket.Put(t.Context(), run); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		q    RunsQuery
		want int
	}{
		{RunsQuery{}, 10}, {RunsQuery{Limit: 3}, 3}, {RunsQuery{Outcome: "failed"}, 5},
		{RunsQuery{Since: start.Add(7 * time.Hour)}, 3}, {RunsQuery{Outcome: "failed", Limit: 2}, 2},
	} {
		res, err := b.Runs(t.Context(), b.target, tt.q)
		if err != nil || len(res.Runs) != tt.want {
			t.Errorf("%+v: %d runs, %v", tt.q, len(res.Runs), err)
		}
		for i, run := range res.Runs {
			if run.Seconds != 60 || i > 0 && run.Start.After(res.Runs[i-1].Start) {
				t.Errorf("%+v: %+v", tt.q, run)
			}
		}
	}
}

func TestRunLocalStoresWhereAsked(t *testing.T) {
	t.Parallel()
	b := pushed(t, "vars: [{key: then, value: 'true'}]\n"+counting)
	o := RunOptions{Target: b.target, Push: true}
	o.WorkspaceDir = filepath.Join(t.TempDir(), "ws")
	res, err := b.Run(t.Context(), o)
	if err != nil || res.ExitCode != 0 || !strings.HasPrefix(res.Pushed, "archives/") || b.next("n") != "1" {
		t.Errorf("%+v, %v, %q", res, err, b.next("n"))
	}
	o.Vars = []project.KeyValue{{Key: "then", Value: "false"}}
	if res, err = b.Run(t.Context(), o); err != nil || res.ExitCode != 1 || !strings.HasPrefix(res.Pushed, "failed/") || b.next("n") != "1" {
		t.Errorf("%+v, %v, %q", res, err, b.next("n"))
	}
	o.Push, o.Vars = false, nil
	if res, err = b.Run(t.Context(), o); err != nil || res.Pushed != "" || b.next("n") != "1" {
		t.Errorf("%+v, %v, %q", res, err, b.next("n"))
	}
}

func TestStoppedWhileItWaits(t *testing.T) {
	t.Parallel()
	b := pushed(t, "tasks: [{name: a, commands: [{command: 'true'}]}]\n")
	held, l, err := lease.Acquire(t.Context(), b.cloud.Files, b.leaseOptions(b.cloud, cloud.NewRunID(time.Now())))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(held)
	_, err = b.run(ctx, func(o *RunReleaseOptions) {
		o.Overlap = cloud.OverlapQueue
		o.waits = func(string) { cancel(pipeline.Interrupt{Signal: syscall.SIGTERM}) }
	})
	if err == nil {
		t.Error("no error")
	}
	run, err := b.RunShow(t.Context(), b.target, "")
	if err != nil || run.Outcome != "interrupted" || run.ExitCode != 143 {
		t.Errorf("record %+v, %v", run, err)
	}
	if err := l.Release(t.Context()); err != nil {
		t.Error(err)
	}
}
