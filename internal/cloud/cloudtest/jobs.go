package cloudtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
)

// JobsBench is a provider in which the task Load of the resource group Group in the env stage dev is registered. In the
// place of handoff its jobs run `/bin/sh -c "$SCRIPT"`; a request to end is SIGTERM to that shell, its exit code is that of
// the run, and 4 is a run that was skipped.
type JobsBench struct {
	Jobs cloud.Jobs
	Says func(t *testing.T, id string)     // waits until the job has written a line
	Kill func(t *testing.T, job cloud.Job) // kills the process of a job, as when its machine is lost
}

// Jobs runs the tests of cloud.Jobs.
func Jobs(t *testing.T, open func(t *testing.T) JobsBench) {
	for name, test := range map[string]func(*testing.T, JobsBench){
		"end":               testJobEnds,
		"environment":       testJobEnvironment,
		"one job a token":   testJobToken,
		"beside each other": testJobsBeside,
		"stop":              testJobStop,
		"kill what is deaf": testJobDeaf,
		"lost":              testJobLost,
		"list":              testJobList,
		"refused":           testJobRefused,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// untilAsked runs until it is asked to end, which it tells by its exit code, or its job is gone.
const untilAsked = `trap 'exit 3' TERM; echo up; while kill -0 $PPID; do sleep 0.05; done 2>/dev/null`

func (b JobsBench) run(t *testing.T, s cloud.Start) cloud.Job {
	t.Helper()
	job, err := b.Jobs.Run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func script(run, text string) cloud.Start {
	return cloud.Start{RunID: run, Trigger: cloud.TriggerManual, Env: map[string]string{"SCRIPT": text}}
}

// end waits for the end of a job.
func (b JobsBench) end(t *testing.T, id string) cloud.Job {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		job, err := b.Jobs.Status(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if job.State.Ended() {
			return job
		}
		if time.Since(begin) > 2*time.Minute {
			t.Fatalf("job is still %+v", job)
		}
	}
}

// wantEnd compares what a person looks at first.
func wantEnd(t *testing.T, job cloud.Job, state cloud.JobState, code int) {
	t.Helper()
	switch {
	case job.State != state || job.Created.IsZero() || job.Ended.Before(job.Created):
		t.Errorf("job %+v, want %s", job, state)
	case code >= 0 && (job.ExitCode == nil || *job.ExitCode != code):
		t.Errorf("exit code %v, want %d", job.ExitCode, code)
	case state == cloud.JobSucceeded && job.Reason != "", job.ExitCode == nil && job.Reason == "":
		t.Errorf("job %s with the reason %q", job.State, job.Reason)
	}
}

func testJobEnds(t *testing.T, b JobsBench) {
	for text, want := range map[string]struct {
		state cloud.JobState
		code  int
	}{
		"exit 0": {cloud.JobSucceeded, 0},
		"exit 7": {cloud.JobFailed, 7},
		"exit 4": {cloud.JobSkipped, 4},
	} {
		job := b.run(t, script("run-"+text[5:], text))
		wantEnd(t, b.end(t, job.ID), want.state, want.code)
	}
}

// What a Start says is what the job finds.
func testJobEnvironment(t *testing.T, b JobsBench) {
	s := script("run-1", `test "$HANDOFF_STAGE/$HANDOFF_RESOURCE_GROUP/$HANDOFF_TASK" = dev/Group/Load || exit 11
test "$HANDOFF_JOB_RUN $HANDOFF_TRIGGER $HANDOFF_SCHEDULE $HANDOFF_SCHEDULED_AT" = "run-1 schedule 7 2026-01-02T03:04:05Z" || exit 12
test "$HANDOFF_TIMEZONE $HANDOFF_RELEASE $HANDOFF_OVERLAP" = "Asia/Tokyo abc queue" || exit 13
test "$__VARS|$A" = 'day=$(date -I)|a b' || exit 14
test -n "$HANDOFF_JOB_ID" && test -n "$HANDOFF_CLOUD_PROVIDER" || exit 15
cd "$HANDOFF_WORKSPACE" || exit 16`)
	s.Trigger, s.ScheduleID, s.ScheduledAt = cloud.TriggerSchedule, "7", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s.Zone, s.Release, s.Overlap = "Asia/Tokyo", "abc", cloud.OverlapQueue
	s.Env["A"], s.Written = "a b", map[string]string{cloud.EnvVars: "day=$(date -I)"}
	job := b.end(t, b.run(t, s).ID)
	wantEnd(t, job, cloud.JobSucceeded, 0)
	want := cloud.Job{
		ID: job.ID, RunID: "run-1", Task: "Load", Stage: "dev", Release: "abc", Trigger: s.Trigger, ScheduleID: "7", ScheduledAt: s.ScheduledAt,
		State: job.State, Created: job.Created, Started: job.Started, Ended: job.Ended, ExitCode: job.ExitCode,
	}
	if diff := cmp.Diff(want, job); diff != "" {
		t.Error(diff)
	}
}

// Whoever asks again, at the same moment or when the job has ended, gets the job that there is.
func testJobToken(t *testing.T, b JobsBench) {
	s := script("run-1", "true")
	s.Token = "fire"
	var group sync.WaitGroup
	ids := make([]string, 10)
	for i := range ids {
		group.Go(func() {
			job, err := b.Jobs.Run(t.Context(), s)
			if err != nil {
				t.Error(err)
			}
			ids[i] = job.ID
		})
	}
	group.Wait()
	if one := slices.Compact(slices.Sorted(slices.Values(ids))); len(one) != 1 || one[0] == "" {
		t.Fatalf("one token, jobs %q", one)
	}
	b.end(t, ids[0])
	if job := b.run(t, s); job.ID != ids[0] || job.State != cloud.JobSucceeded {
		t.Errorf("job %+v", job)
	}
}

// A provider refuses no start because another job is there, whatever the policy: that is decided by the lease, in the job.
func testJobsBeside(t *testing.T, b JobsBench) {
	first := b.run(t, script("run-1", untilAsked))
	for i, policy := range []cloud.Overlap{"", cloud.OverlapSkip, cloud.OverlapQueue, cloud.OverlapReplace, cloud.OverlapAllow} {
		s := script(fmt.Sprintf("beside-%d", i), "true")
		s.Overlap = policy
		wantEnd(t, b.end(t, b.run(t, s).ID), cloud.JobSucceeded, 0)
	}
	b.stop(t, first.ID, cloud.StopOptions{})
	b.end(t, first.ID)
}

func (b JobsBench) stop(t *testing.T, id string, o cloud.StopOptions) cloud.Job {
	t.Helper()
	job, err := b.Jobs.Stop(t.Context(), id, o)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// A job is asked to end while it comes up, while it runs, once more, and when it has ended.
func testJobStop(t *testing.T, b JobsBench) {
	fresh := b.run(t, script("run-1", untilAsked))
	b.stop(t, fresh.ID, cloud.StopOptions{Reason: "at once", Grace: time.Second})
	if job := b.end(t, fresh.ID); job.State != cloud.JobStopped || !strings.HasPrefix(job.Reason, "at once") {
		t.Errorf("job %+v", job)
	}
	running := b.run(t, script("run-2", untilAsked))
	b.Says(t, running.ID)
	if job := b.stop(t, running.ID, cloud.StopOptions{Reason: "enough"}); job.State != cloud.JobStopping && job.State != cloud.JobStopped {
		t.Errorf("job %+v", job)
	}
	b.stop(t, running.ID, cloud.StopOptions{Reason: "more than enough"})
	end := b.end(t, running.ID)
	wantEnd(t, end, cloud.JobStopped, 3)
	if end.Reason != "enough" {
		t.Errorf("reason %q is not the first one", end.Reason)
	}
	if diff := cmp.Diff(end, b.stop(t, running.ID, cloud.StopOptions{Reason: "again"})); diff != "" {
		t.Errorf("a job that has ended changes: %s", diff)
	}
}

// What does not end when it is asked to is killed after the grace time, which may be shortened.
func testJobDeaf(t *testing.T, b JobsBench) {
	job := b.run(t, script("run-1", `trap '' TERM; echo up; while kill -0 $PPID; do sleep 0.05; done 2>/dev/null`))
	b.Says(t, job.ID)
	b.stop(t, job.ID, cloud.StopOptions{Grace: time.Hour, Reason: "enough"})
	b.stop(t, job.ID, cloud.StopOptions{Grace: 100 * time.Millisecond})
	if end := b.end(t, job.ID); end.State != cloud.JobStopped || !strings.HasPrefix(end.Reason, "enough") {
		t.Errorf("job %+v", end)
	}
}

// A job whose machine is gone is lost, says so, and keeps no other one from running.
func testJobLost(t *testing.T, b JobsBench) {
	job := b.run(t, script("run-1", untilAsked))
	b.Says(t, job.ID)
	b.Kill(t, job)
	wantEnd(t, b.end(t, job.ID), cloud.JobLost, -1)
	wantEnd(t, b.end(t, b.run(t, script("run-2", "true")).ID), cloud.JobSucceeded, 0)
}

func testJobList(t *testing.T, b JobsBench) {
	first := b.end(t, b.run(t, script("run-1", "true")).ID)
	second := b.run(t, script("run-2", untilAsked))
	for name, tc := range map[string]struct {
		q    cloud.JobQuery
		want []string
	}{
		"all":    {cloud.JobQuery{}, []string{second.ID, first.ID}},
		"active": {cloud.JobQuery{Active: true}, []string{second.ID}},
		"run":    {cloud.JobQuery{RunID: "run-1"}, []string{first.ID}},
		"limit":  {cloud.JobQuery{Limit: 1}, []string{second.ID}},
		"since":  {cloud.JobQuery{Since: second.Created}, []string{second.ID}},
	} {
		var got []string
		for job, err := range b.Jobs.List(t.Context(), tc.q) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, job.ID)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	b.stop(t, second.ID, cloud.StopOptions{})
	b.end(t, second.ID)
}

func testJobRefused(t *testing.T, b JobsBench) {
	for name, s := range map[string]cloud.Start{
		"no run":   {},
		"a path":   {RunID: "../x"},
		"a policy": {RunID: "run-1", Overlap: "sometimes"},
		"a name":   {RunID: "run-1", Env: map[string]string{"A B": "1"}},
	} {
		if _, err := b.Jobs.Run(t.Context(), s); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("%s: err = %v", name, err)
		}
	}
	for _, id := range []string{"nothing", "", ".."} {
		if _, err := b.Jobs.Status(t.Context(), id); !errors.Is(err, cloud.ErrNotFound) {
			t.Errorf("status of %q: err = %v", id, err)
		}
		if _, err := b.Jobs.Stop(t.Context(), id, cloud.StopOptions{}); !errors.Is(err, cloud.ErrNotFound) {
			t.Errorf("stop %q: err = %v", id, err)
		}
	}
}

// Starts runs the tests of what a start needs, and of what it takes over from the task that is registered.
func Starts(t *testing.T, open func(t *testing.T) World) {
	t.Parallel()
	world := open(t)
	jobs := world(scope).Jobs
	if _, err := jobs.Run(t.Context(), script("run-1", ":")); !errors.Is(err, cloud.ErrNotFound) || cloud.Hint(err) == "" {
		t.Errorf("a task that is not registered: %v", err)
	}
	group := scope
	group.Task = ""
	if _, err := world(group).Jobs.Run(t.Context(), script("run-1", ":")); !errors.Is(err, cloud.ErrInvalid) {
		t.Errorf("no task: %v", err)
	}
	want := task(256)
	want.Task.Release = "abc"
	mustApply(t, world(scope).Infra, want)

	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err := jobs.Run(ctx, script("run-1", ":"))
	wantStopped(t, "run", err, context.Canceled)
	_, err = jobs.Status(ctx, "nothing")
	wantStopped(t, "status", err, context.Canceled)
	_, err = jobs.Stop(ctx, "nothing", cloud.StopOptions{})
	wantStopped(t, "stop", err, context.Canceled)
	for _, err = range jobs.List(ctx, cloud.JobQuery{}) {
	}
	wantStopped(t, "list", err, context.Canceled)

	b := JobsBench{Jobs: jobs}
	registered := b.run(t, script("run-2", `test "$A $HANDOFF_RELEASE $HANDOFF_OVERLAP" = "1 abc queue"`))
	said := script("run-3", `test "$A $HANDOFF_RELEASE $HANDOFF_OVERLAP" = "2 def allow"`)
	said.Env["A"], said.Release, said.Overlap = "2", "def", cloud.OverlapAllow
	other := b.run(t, said)
	for _, job := range []cloud.Job{registered, other} {
		if job.CPU != 256 || job.Memory != 512 || job.Trigger != cloud.TriggerManual {
			t.Errorf("job %+v", job)
		}
		wantEnd(t, b.end(t, job.ID), cloud.JobSucceeded, 0)
	}
}
