package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
)

// history is a bucket with runs, one every hour up to now; every tenth has failed, every hundredth has never ended.
func history(t *testing.T, files cloud.Files, runs int, now time.Time) *Bucket {
	t.Helper()
	b := &Bucket{Files: files, Prefix: "t", Parallel: 16}
	for i := range runs {
		run := finished(now.Add(-time.Duration(i)*time.Hour), i)
		switch {
		case i%100 == 50:
			run.Outcome, run.End = Running, time.Time{}
		case i%10 == 0:
			run.Outcome, run.Reason, run.JobID, run.Trigger = "failed", "a reason", "j1", "schedule"
			run.ScheduleID, run.ScheduledAt = fmt.Sprint(i/10%3), run.Start.UTC()
		}
		if err := b.Put(t.Context(), run); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// found returns what a search yields, up to limit runs; 0: all of them.
func found(t *testing.T, b *Bucket, now time.Time, q Query, limit int) []Run {
	t.Helper()
	var out []Run
	for run, err := range b.Runs(t.Context(), now, q) {
		if err != nil {
			t.Fatal(err)
		}
		run = lineOf(run).Run()
		if q.Outcome != "" && run.Outcome != q.Outcome {
			continue
		}
		if out = append(out, run); len(out) == limit {
			break
		}
	}
	return out
}

// calls counts the calls to a bucket.
func calls(files *memory.Files) *atomic.Int64 {
	var n atomic.Int64
	files.Before = func(string, string) error { n.Add(1); return nil }
	return &n
}

// A search of many runs reads each old record once in its life. What it yields is what a search of the records would.
func TestSearchOfManyRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	files := &memory.Files{}
	n := calls(files)
	now := time.Now().UTC()
	b := history(t, files, 1000, now)
	queries := []Query{{All: true}, {Outcome: "success"}, {Outcome: "failed"}, {Outcome: Died}, {Outcome: Running}, {Outcome: "timed_out"}, {}}
	var want [][]Run
	for _, q := range queries {
		want = append(want, found(t, b, now, q, 0))
	}
	for i, q := range queries {
		if diff := cmp.Diff(want[i], found(t, b, now, q, 0)); diff != "" {
			t.Errorf("%+v: %s", q, diff)
		}
	}
	if got := found(t, b, now, Query{Outcome: "failed"}, 3); !cmp.Equal(got, want[2][:3]) {
		t.Errorf("the first three: %+v", got)
	}
	n.Store(0)
	if got := found(t, b, now, Query{Outcome: "timed_out"}, 0); got != nil || n.Load() > 120 {
		t.Errorf("%d calls, found %v", n.Load(), got)
	}
	later := now.Add(300 * time.Hour)
	for i := range 300 {
		if err := b.Put(t.Context(), finished(now.Add(time.Duration(i+1)*time.Hour), 5000+i)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if got := found(t, b, later, Query{All: true}, 0); len(got) != 1300 || got[0].ID != runID(later, 5299) || got[1299].ID != want[0][999].ID {
			t.Errorf("later: %d runs", len(got))
		}
	}
	n.Store(0)
	if got := found(t, b, later, Query{Outcome: "failed"}, 0); !cmp.Equal(got, want[2]) || n.Load() > 120 {
		t.Errorf("later: %d failed, %d calls", len(got), n.Load())
	}
}

// The summary is never asked for what is not so any more.
func TestSummaryAgreesWithTheRecords(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	now := time.Now().UTC()
	old := now.Add(-500 * time.Hour)
	for name, tt := range map[string]struct {
		change func(b *Bucket) error
		want   int
	}{
		"a run that began long ago ends": {func(b *Bucket) error {
			run := finished(now.Add(-450*time.Hour), 450)
			run.Outcome = "failed"
			return b.Put(t.Context(), run)
		}, 91},
		"a record comes late": {func(b *Bucket) error {
			run := finished(old, 7777)
			run.Outcome = "failed"
			return b.Put(t.Context(), run)
		}, 91},
		"a record is finished by the next run": {func(b *Bucket) error {
			_, err := b.MarkCommitted(t.Context(), runID(now.Add(-600*time.Hour), 600), now)
			return err
		}, 89},
		"the summary is lost": {func(b *Bucket) error { return b.Files.Delete(t.Context(), b.summaryKey()) }, 90},
		"the summary is damaged": {func(b *Bucket) error {
			_, err := b.Files.Put(t.Context(), b.summaryKey(), cloud.Text("junk"), cloud.PutOptions{})
			return err
		}, 90},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := history(t, &memory.Files{}, 1000, now)
			for range 2 {
				found(t, b, now, Query{Outcome: "failed"}, 0)
			}
			if err := tt.change(b); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if n := len(found(t, b, now, Query{Outcome: "failed"}, 0)); n != tt.want {
					t.Errorf("%d failed, want %d", n, tt.want)
				}
			}
		})
	}
}

// A record that changes while a summary is made is not lost: whatever call of the search it comes before.
func TestRecordThatChangesWhileASummaryIsMade(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	now := time.Now().UTC()
	for at := int64(1); ; at += 37 {
		files := &memory.Files{}
		b := history(t, files, 400, now)
		b.Parallel = 1
		var n atomic.Int64
		var busy atomic.Bool
		files.Before = func(string, string) error {
			if busy.Load() || n.Add(1) != at {
				return nil
			}
			busy.Store(true)
			defer busy.Store(false)
			run := finished(now.Add(-301*time.Hour), 301)
			run.Outcome = "failed"
			return b.Put(context.Background(), run)
		}
		found(t, b, now, Query{Outcome: "failed"}, 0)
		if n.Load() < at {
			return
		}
		for range 3 {
			if got := len(found(t, b, now, Query{Outcome: "failed"}, 0)); got != 37 {
				t.Fatalf("changed before call %d: %d failed", at, got)
			}
		}
	}
}

// Who may only read, reads the records.
func TestSearchByWhoMayNotWrite(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	now := time.Now().UTC()
	b := history(t, files, 400, now)
	files.Before = func(call, _ string) error {
		if call == "put" || call == "delete" {
			return fmt.Errorf("%w: %w", cloud.ErrDenied, errors.New("read only"))
		}
		return nil
	}
	for range 2 {
		if n := len(found(t, b, now, Query{Outcome: "failed"}, 0)); n != 36 {
			t.Errorf("%d failed", n)
		}
	}
}

// TestLastOfSchedules: what a schedule has started last is found however long ago it was, with a summary and without one.
func TestLastOfSchedules(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Second)
	b := history(t, &memory.Files{}, 500, now)
	yearly := finished(now.Add(-600*time.Hour), 600)
	yearly.ScheduleID, yearly.ScheduledAt = "yearly", yearly.Start.UTC()
	failed := finished(now.Add(-500*time.Hour), 500)
	failed.ID, failed.ScheduleID, failed.Outcome = cloud.NewRunID(failed.Start), "yearly", "failed"
	backfilled := finished(now, 500)
	backfilled.ID, backfilled.ScheduleID, backfilled.Series = cloud.NewRunID(now), "yearly", "s"
	yearly.Outcome = "success"
	for _, run := range []Run{yearly, failed, backfilled} {
		if err := b.Put(t.Context(), run); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		last, err := b.LastOfSchedules(t.Context(), now, []string{"0", "1", "2", "yearly", "never"})
		if err != nil || len(last) != 4 || last["never"].Run.ID != "" || last["yearly"].Run.ID != failed.ID || last["yearly"].Success.ID != yearly.ID || !last["yearly"].Success.ScheduledAt.Equal(yearly.ScheduledAt) {
			t.Fatalf("%+v, %v", last, err)
		}
		for target, run := range map[string]int{"0": 0, "1": 10, "2": 20} {
			if at := now.Add(-time.Duration(run) * time.Hour); !last[target].Run.ScheduledAt.Equal(at) {
				t.Errorf("schedule %s has last fired for %s, want %s", target, last[target].Run.ScheduledAt, at)
			}
		}
	}
}
