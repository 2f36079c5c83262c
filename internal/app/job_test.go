package app

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

const showing = `
vars: [{key: day, value: none}]
tasks:
- name: show
  commands:
  - command: echo {{ _today }} {{ _yesterday }} {{ day }} $DAY
`

// What is written is evaluated in the job, at the time for which it was due, in the zone of its schedule: the same whoever
// has started it.
func TestJobEvaluates(t *testing.T) {
	t.Parallel()
	due := time.Date(2025, 6, 7, 23, 30, 0, 0, time.UTC)
	written := map[string]string{cloud.EnvVars: "day=$(date +%d)", "DAY": "$(date +%H)"}
	for _, tc := range []struct {
		name  string
		start cloud.Start
		now   time.Time
		want  string
	}{
		{"schedule", cloud.Start{Trigger: cloud.TriggerSchedule, ScheduleID: "7", ScheduledAt: due, Zone: "Asia/Tokyo"}, time.Now(), "2025-06-08 2025-06-07 08 08"},
		{"schedule without a zone", cloud.Start{Trigger: cloud.TriggerSchedule, ScheduleID: "7", ScheduledAt: due}, time.Now(), "2025-06-07 2025-06-06 07 23"},
		{"by hand, as a schedule", cloud.Start{Trigger: cloud.TriggerManual, Zone: "Asia/Tokyo"}, due, "2025-06-08 2025-06-07 08 08"},
		{"by hand", cloud.Start{Trigger: cloud.TriggerManual}, due.In(time.FixedZone("here", 3600)), "2025-06-08 2025-06-07 08 00"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := pushed(t, showing)
			b.Environ = os.Environ()
			b.Now = func() time.Time { return tc.now }
			tc.start.RunID, tc.start.Written = cloud.NewRunID(time.Now()), written
			res, err := b.job(t.Context(), tc.start)
			if err != nil || res.RunID != tc.start.RunID || res.ExitCode != 0 {
				t.Fatalf("%+v, %v", res, err)
			}
			if got := b.next("show_stdout.log"); got != tc.want {
				t.Errorf("output %q, want %q", got, tc.want)
			}
			run, err := b.RunShow(t.Context(), b.target, res.RunID)
			s := tc.start
			if err != nil || run.JobID != "j1" || run.ScheduleID != s.ScheduleID || !run.ScheduledAt.Equal(s.ScheduledAt) || run.Trigger != string(s.Trigger) {
				t.Errorf("record %+v, %v", run, err)
			}
		})
	}
}

// A job says in its environment what it is. A handoff in it that is no job does not take that for itself.
func TestJobIsSeenByItsCommands(t *testing.T) {
	t.Parallel()
	b := pushed(t, "tasks:\n- name: show\n  commands:\n  - command: echo $HANDOFF_JOB_ID $HANDOFF_JOB_RUN $HANDOFF_TRIGGER $HANDOFF_TASK\n")
	b.Environ = append(os.Environ(), cloud.EnvRun+"=other", cloud.EnvScheduledAt+"=2001-01-01T00:00:00Z")
	res, err := b.run(t.Context(), nil)
	if err != nil || res.RunID == "other" {
		t.Fatalf("%+v, %v", res, err)
	}
	id := cloud.NewRunID(time.Now())
	if _, err := b.job(t.Context(), cloud.Start{RunID: id, Trigger: cloud.TriggerManual}); err != nil {
		t.Fatal(err)
	}
	if got := b.next("show_stdout.log"); got != "j1 "+id+" manual t" {
		t.Errorf("output %q", got)
	}
}

// The last word of a job is a record in the bucket, also where nothing could start.
func TestJobThatCannotStartIsRecorded(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, project string
		start         cloud.Start
		reason        string
		code          int
	}{
		{"no such release", showing, cloud.Start{Release: "nothing"}, "nothing", 3},
		{"a date that is none", showing, cloud.Start{Written: map[string]string{cloud.EnvVars: "a=$(rm x)"}}, "only $(date ...) is evaluated", 2},
		{"no variables", showing, cloud.Start{Written: map[string]string{cloud.EnvVars: "abc"}}, "abc", 2},
		{"a zone that is none", showing, cloud.Start{Zone: "Mars/Base"}, "Mars/Base", 2},
		{"a secret that is missing", "secrets: [{key: nobody_has_it}]\n" + showing, cloud.Start{}, "nobody_has_it", 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := pushed(t, tc.project)
			b.Environ = os.Environ()
			tc.start.RunID, tc.start.Trigger, tc.start.ScheduleID = cloud.NewRunID(time.Now()), cloud.TriggerSchedule, "7"
			if res, err := b.job(t.Context(), tc.start); err == nil {
				t.Fatalf("%+v", res)
			}
			run, err := b.RunShow(t.Context(), b.target, tc.start.RunID)
			if err != nil || run.Outcome != "failed" || run.ExitCode != tc.code || !strings.Contains(run.Reason, tc.reason) ||
				strings.Contains(run.Reason, "\n") || run.JobID != "j1" || run.ScheduleID != "7" {
				t.Errorf("record %+v, %v", run, err)
			}
		})
	}
	b := pushed(t, showing)
	if _, err := b.RunJob(t.Context(), JobOptions{}); err == nil {
		t.Error("what is no job runs")
	} else if _, ok := errors.AsType[*UsageError](err); !ok {
		t.Errorf("err = %v", err)
	}
}
