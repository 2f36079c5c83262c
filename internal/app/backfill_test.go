package app

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/schedule"
)

func TestTimesOfABackfill(t *testing.T) {
	t.Parallel()
	a := &App{Now: func() time.Time { return time.Date(2026, 11, 4, 12, 0, 0, 0, time.UTC) }, Log: slog.New(slog.DiscardHandler)}
	for _, tc := range []struct {
		from, to, every string
		want            string // the first, the last, how many; "": an error
	}{
		{"2026-11-01", "2026-11-03", "day", "2026-11-01T00:00:00+01:00 2026-11-03T00:00:00+01:00 3"},
		{"2026-11-01", "2026-11-01", "hour", "2026-11-01T00:00:00+01:00 2026-11-01T23:00:00+01:00 24"},
		{"2026-10-25", "2026-10-25", "hour", "2026-10-25T00:00:00+02:00 2026-10-25T23:00:00+01:00 25"}, // a long day
		{"2026-11-01T06:30", "2026-11-03T06:30", "day", "2026-11-01T06:30:00+01:00 2026-11-03T06:30:00+01:00 3"},
		{"2026-10-01", "2026-10-31", "week", "2026-10-01T00:00:00+02:00 2026-10-29T00:00:00+01:00 5"},
		{"2026-01-31", "2026-05-31", "month", "2026-01-31T00:00:00+01:00 2026-05-31T00:00:00+02:00 3"}, // those that have the day
		{"2026-11-01T00:00:00Z", "2026-11-01T02:00:00Z", "0 * * * *", "2026-11-01T01:00:00+01:00 2026-11-01T03:00:00+01:00 3"},
		{"2026-11-01", "2026-11-01", "rate(6 hours)", "2026-11-01T00:00:00+01:00 2026-11-01T18:00:00+01:00 4"},
		{"2026-11-03", "2026-11-30", "day", "2026-11-03T00:00:00+01:00 2026-11-04T00:00:00+01:00 2"}, // no time to come
		{"2026-11-05", "2026-11-30", "day", ""},
		{"2026-11-03", "2026-11-02", "day", ""},
		{"2026-11-03T01:00", "2026-11-03T02:00", "0 12 * * *", ""},
		{"2025-01-01", "2026-11-03", "* * * * *", ""},
		{"", "2026-11-03", "day", ""},
	} {
		got, err := timesBetween(t, a, tc.from, tc.to, tc.every)
		if got != tc.want || (err == nil) == (tc.want == "") || err != nil && Code(err) != ExitUsage {
			t.Errorf("from %q to %q every %q: %q, %v; want %q", tc.from, tc.to, tc.every, got, err, tc.want)
		}
	}
}

func timesBetween(t *testing.T, a *App, from, to, every string) (string, error) {
	b := &backfill{app: a, options: BackfillOptions{From: from, To: to, Every: every, Timezone: "Europe/Paris"}}
	b.cloud = &cloud.Cloud{}
	times, err := b.plan(t.Context(), nil)
	if err != nil {
		return "", err
	}
	words := []string{times[0].Format(time.RFC3339), times[len(times)-1].Format(time.RFC3339), fmt.Sprint(len(times))}
	return strings.Join(words, " "), nil
}

// Only a backfill may be apart, and only where the project does not want otherwise.
func TestApart(t *testing.T) {
	t.Parallel()
	using := project.Task{Active: true, State: project.State{On: true, Backfill: "use"}}
	plain := project.Task{Active: true, State: project.State{On: true}}
	off := using
	off.Active = false
	for _, tc := range []struct {
		name   string
		series string
		p      project.Project
		want   bool
	}{
		{"no backfill", "", project.Project{Tasks: []project.Task{plain}}, false},
		{"a state", "s", project.Project{Tasks: []project.Task{plain, off}}, true},
		{"a state that is used", "s", project.Project{Tasks: []project.Task{plain, {Active: true, Tasks: []project.Task{using}}}}, false},
		{"artifacts that are used", "s", project.Project{Artifacts: project.Artifacts{Backfill: "use"}}, false},
	} {
		if got := apart(cloud.Start{Series: tc.series}, &tc.p); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

// Backfills are the same where they ask for the same, whatever their times are.
func TestSeries(t *testing.T) {
	t.Parallel()
	zone, err := schedule.Zone("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	base := cloud.Start{Zone: zone.String()}
	plain := series(base, target(t, "", ""))
	if plain == "" || plain != series(base, target(t, "cloud_provider=local", "")) || plain != series(base, Target{}) {
		t.Error("what names the task counts")
	}
	seen := map[string]bool{plain: true}
	for _, other := range []string{
		series(base, target(t, "", "a=1")), series(base, target(t, "", "a=2")), series(base, target(t, "a=1", "")),
		series(base, target(t, "__VARS=a=1", "")), series(base, target(t, "vars=a=1", "")), series(cloud.Start{Zone: "UTC"}, target(t, "", "")),
	} {
		if seen[other] {
			t.Errorf("%s is that of two", other)
		}
		seen[other] = true
	}
}

// A run whose job has left no record is tried again under another name; one that goes on, or has succeeded, is not started twice.
func TestStartOfABackfill(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		ends []int // exit codes of the jobs that there were, one after the other
		try  int
	}{
		{"none", nil, 1},
		{"one has failed", []int{1}, 2},
		{"two have failed", []int{1, 1}, 3},
		{"one has succeeded", []int{0}, 1},
		{"one has succeeded at last", []int{1, 0}, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			codes := make(chan int, 10)
			m := newMemoryApp(t, func(context.Context, *memory.Process) cloud.LastWord { return cloud.LastWord{Code: <-codes} })
			b := &backfill{app: m.App, cloud: m.cloud, base: cloud.Start{Series: "s", Trigger: cloud.TriggerBackfill}}
			at := time.Date(2026, 11, 1, 7, 0, 0, 0, time.UTC)
			for _, code := range tc.ends {
				codes <- code
				job, _, err := b.start(t.Context(), at)
				if err == nil {
					_, err = m.awaitJob(t.Context(), m.cloud, job)
				}
				if err != nil {
					t.Fatal(err)
				}
				m.world.Advance(time.Second)
			}
			codes <- 0
			job, try, err := b.start(t.Context(), at)
			again, _, err2 := b.start(t.Context(), at)
			if err != nil || err2 != nil || try != tc.try || job.ID != again.ID || !job.ScheduledAt.Equal(at) {
				t.Errorf("try %d of job %s, then %s; %v, %v", try, job.ID, again.ID, err, err2)
			}
			if got := len(m.jobs()); got != tc.try {
				t.Errorf("%d jobs, want %d", got, tc.try)
			}
		})
	}
}
