package app

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
	"github.com/handoff-run/handoff/internal/release"
)

// inWorld pushes a project to a cloud in memory, whose jobs are real ones: they run in this process. The task is registered.
func inWorld(t *testing.T, tasks string) (*bucket, *memory.World) {
	t.Helper()
	a, _ := newApp(t)
	w := memory.Open(memory.Options{Start: time.Date(2030, 3, 1, 12, 0, 10, 0, time.UTC), Run: func(ctx context.Context, p *memory.Process) cloud.LastWord {
		inside := *a
		inside.Environ = slices.Concat(a.Environ, p.Environ(), []string{
			cloud.EnvJob + "=" + p.ID, cloud.EnvProvider + "=memory", cloud.EnvWorkspace + "=" + filepath.Join(t.TempDir(), "ws"),
		})
		res, err := inside.RunJob(ctx, JobOptions{})
		if err != nil {
			return cloud.LastWord{Code: ExitCloud, Reason: err.Error()}
		}
		return cloud.LastWord{Code: res.ExitCode, Skipped: res.Status == "skipped", Reason: res.Reason}
	}})
	t.Cleanup(w.Close)
	a.Now = w.Now
	a.OpenCloud = func(_ context.Context, o CloudOptions) (*cloud.Cloud, error) { return w.Cloud(o.Scope) }
	dir := t.TempDir()
	write(t, dir, map[string]string{"project.yml": "version: 1\ndeploy: {resource_group: g, task: t}\n" + tasks})
	b := &bucket{App: a, t: t, target: Target{ProjectDir: dir, EnvStage: "prod"}}
	if _, err := a.Push(t.Context(), PushOptions{Target: b.target, Parts: release.All, Force: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Infra(t.Context(), InfraOptions{Target: b.target, Kind: cloud.KindTask}); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.cloud, _, err = a.openScope(t.Context(), b.target); err != nil {
		t.Fatal(err)
	}
	return b, w
}

// TestWhatSchedulesHaveDone: when a schedule fires next, when it last did, and why nothing has run then, is told by what is
// in the bucket, so that it is the same on every cloud.
func TestWhatSchedulesHaveDone(t *testing.T) {
	t.Parallel()
	hold := filepath.Join(t.TempDir(), "hold")
	b, w := inWorld(t, `schedules:
- {target_id: often, cron: "*/10 * * * *"}
- {target_id: rarely, cron: "0 9 * * ? *", timezone: Asia/Tokyo}
- {target_id: rate, cron: rate(7 minutes)}
tasks:
- name: hello
  commands: [{command: "while test -e `+hold+`; do sleep 0.01; done"}]
`)
	if _, err := b.ScheduleCreate(t.Context(), ScheduleOptions{Target: b.target}); err != nil {
		t.Fatal(err)
	}
	b.wantSchedules(map[string]string{"often": "next 12:10", "rarely": "next 00:00", "rate": "next 12:07"})
	for range 15 {
		w.Advance(time.Minute)
		w.Wait()
	}
	b.wantSchedules(map[string]string{"often": "next 12:20 last 12:10", "rarely": "next 00:00", "rate": "next 12:21 last 12:14"})

	if err := os.WriteFile(hold, nil, 0o600); err != nil { // the job of 12:20 goes on when the next one comes
		t.Fatal(err)
	}
	w.Advance(5 * time.Minute)
	b.until("running", 1)
	w.Advance(3 * time.Minute)
	b.until("skipped", 1)
	if err := os.Remove(hold); err != nil {
		t.Fatal(err)
	}
	w.Wait()
	b.wantSchedules(map[string]string{
		"often": "next 12:30 last 12:20", "rarely": "next 00:00", "rate": "next 12:28 last 12:21 the one of 2030-03-01T12:21:10Z was skipped",
	})
}

// until waits until so many runs have this outcome.
func (b *bucket) until(outcome string, n int) {
	b.t.Helper()
	for {
		res, err := b.Runs(b.t.Context(), b.target, RunsQuery{Outcome: outcome})
		if err != nil {
			b.t.Fatal(err)
		}
		if len(res.Runs) == n {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (b *bucket) wantSchedules(want map[string]string) {
	b.t.Helper()
	res, err := b.ScheduleList(b.t.Context(), ScheduleListOptions{Target: b.target})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, s := range res.Schedules {
		got := "next " + s.Next.Format("15:04")
		if !s.Last.IsZero() {
			got += " last " + s.Last.Format("15:04")
		}
		if s.Note != "" {
			got += " " + s.Note
		}
		if want := want[s.TargetID]; got != want && !(strings.HasSuffix(want, "was skipped") && strings.HasPrefix(got, want+": ")) {
			b.t.Errorf("schedule %s: %q, want %q", s.TargetID, got, want)
		}
	}
	if len(res.Schedules) != len(want) {
		b.t.Errorf("schedules %+v", res.Schedules)
	}
}
