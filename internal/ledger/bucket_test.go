package ledger

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
	"github.com/handoff-run/handoff/internal/pipeline"
)

var newYear = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func runID(at time.Time, n int) string { return at.Format(cloud.RunIDTime) + fmt.Sprintf("-%06x", n) }

func finished(at time.Time, n int) Run {
	return Run{SchemaVersion: 1, ID: runID(at, n), Start: at, End: at, Updated: at, Outcome: "success", Tasks: []*Task{}}
}

func ids(t *testing.T, b *Bucket, limit int) []string {
	t.Helper()
	var out []string
	for run, err := range b.Runs(t.Context(), newYear, Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if out = append(out, run.ID); len(out) == limit {
			break
		}
	}
	return out
}

func TestRunsNewestFirst(t *testing.T) {
	t.Parallel()
	b := &Bucket{Files: &memory.Files{}, Prefix: "t", Parallel: 3}
	var want []string
	for i, at := range []time.Time{newYear, newYear.Add(time.Millisecond), newYear.Add(23 * time.Hour), newYear.AddDate(0, 0, 1), newYear.AddDate(3, 0, 0), newYear.AddDate(3, 0, 0)} {
		run := finished(at, i)
		if err := b.Put(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		if i < 4 {
			want = append([]string{run.ID}, want...)
		}
	}
	last := newYear.AddDate(3, 0, 0)
	want = append([]string{runID(last, 4), runID(last, 5)}, want...) // equal times: by id
	if diff := cmp.Diff(want, ids(t, b, 0)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want[:2], ids(t, b, 2)); diff != "" {
		t.Error(diff)
	}
}

func TestRunsReadsNoMoreThanAsked(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	b := &Bucket{Files: files, Prefix: "t", Parallel: 8}
	for i := range 500 {
		if err := b.Put(t.Context(), finished(newYear.Add(time.Duration(i)*time.Minute), i)); err != nil {
			t.Fatal(err)
		}
	}
	var reads atomic.Int32
	files.Before = func(call, _ string) error {
		if call == "get" {
			reads.Add(1)
		}
		return nil
	}
	if got := ids(t, b, 10); len(got) != 10 {
		t.Fatalf("%d runs", len(got))
	}
	if n := reads.Load(); n > 17 { // two batches of 8, and one look for a summary
		t.Errorf("%d records read for 10 runs", n)
	}
}

func TestKeyRefusesOtherIDs(t *testing.T) {
	t.Parallel()
	b := &Bucket{Prefix: "t"}
	for _, id := range []string{"", "x", "20260102-a", "20260102T030405.678Z", "20260102T030405.678Z-a/b"} {
		if _, err := b.Key(id); !errors.Is(err, cloud.ErrInvalid) || cloud.Hint(err) == "" {
			t.Errorf("%q: %v", id, err)
		}
	}
	if key, err := b.Key("20260102T030405.678Z-1a2b3c"); err != nil || !strings.HasPrefix(key, "t/runs/79544/") {
		t.Errorf("key %q, %v", key, err)
	}
}

func TestDamagedRecordHidesNoOther(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	b := &Bucket{Files: files, Prefix: "t", Parallel: 2}
	for i := range 3 {
		if err := b.Put(t.Context(), finished(newYear.Add(time.Duration(i)*time.Hour), i)); err != nil {
			t.Fatal(err)
		}
	}
	bad := runID(newYear.Add(time.Hour), 1)
	key, _ := b.Key(bad)
	if _, err := files.Put(t.Context(), key, cloud.Text(`{"id": `), cloud.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	var outcomes []string
	for run, err := range b.Runs(t.Context(), newYear, Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		outcomes = append(outcomes, run.Outcome)
		if run.Outcome == Damaged && run.ID != bad {
			t.Errorf("id %q", run.ID)
		}
	}
	if diff := cmp.Diff([]string{"success", "damaged", "success"}, outcomes); diff != "" {
		t.Error(diff)
	}
	if _, err := b.Get(t.Context(), bad); !errors.Is(err, cloud.ErrCorrupt) {
		t.Errorf("get: %v", err)
	}
	if _, err := b.Get(t.Context(), runID(newYear, 99)); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("get of none: %v", err)
	}
}

func TestRunThatDied(t *testing.T) {
	t.Parallel()
	b := &Bucket{Files: &memory.Files{}, Prefix: "t", Parallel: 2}
	run := finished(newYear, 1)
	run.Outcome, run.ExitCode, run.End, run.Host, run.Pid = Running, -1, time.Time{}, "box", 7
	run.Tasks = []*Task{{Name: "load", Outcome: Running}}
	if err := b.Put(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if heard, err := b.Heard(t.Context(), run.ID); err != nil || began.Sub(heard).Abs() > time.Minute {
		t.Errorf("heard at %v, %v", heard, err)
	}
	got, err := b.Get(t.Context(), run.ID)
	if err != nil || got.Outcome != Running { // its times are those of another clock
		t.Errorf("as it is: %+v, %v", got, err)
	}
	if got = AsDied(got); got.Outcome != Died || got.Tasks[0].Outcome != Died || got.ExitCode != 137 || !strings.Contains(got.Reason, "box") {
		t.Errorf("buried: %+v", got)
	}
	if _, marked, err := b.MarkDied(t.Context(), run.ID, newYear); !marked || err != nil {
		t.Errorf("mark: %v, %v", marked, err)
	}
	if _, marked, err := b.MarkDied(t.Context(), run.ID, newYear); marked || err != nil {
		t.Errorf("mark twice: %v, %v", marked, err)
	}
	if got, err := b.Get(t.Context(), run.ID); err != nil || got.Outcome != Died {
		t.Errorf("marked: %+v, %v", got, err)
	}
}

func TestMirrorIsLiveAndSurvivesAnOutage(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), FileName)
	synctest.Test(t, func(t *testing.T) {
		files := &memory.Files{}
		var down atomic.Bool
		files.Before = func(call, _ string) error {
			if down.Load() && call == "put" {
				return errors.New("no network")
			}
			return nil
		}
		b := &Bucket{Files: files, Prefix: "t", Parallel: 1}
		run := finished(newYear, 1)
		rec, err := NewRecorder(path, run, none)
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		m, err := b.Follow(t.Context(), rec, func(err error) { told = append(told, err.Error()) })
		if err != nil {
			t.Fatal(err)
		}
		get := func() Run {
			t.Helper()
			got, err := b.Get(context.Background(), run.ID)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if got := get(); got.Outcome != Running {
			t.Errorf("at once: %+v", got)
		}
		rec.Event(pipeline.Event{Kind: pipeline.TaskStarted, Task: []string{"load"}, Try: 1})
		time.Sleep(3 * time.Second)
		if got := get(); len(got.Tasks) != 1 {
			t.Errorf("not live: %+v", got)
		}
		time.Sleep(10 * time.Minute)
		if got := get(); time.Since(got.Updated) > 20*time.Second {
			t.Errorf("no sign of life in a quiet run: %+v", got)
		}
		down.Store(true)
		time.Sleep(10 * time.Minute)
		if got := get(); time.Since(got.Updated) < 9*time.Minute {
			t.Errorf("after an outage: %+v", got)
		}
		down.Store(false)
		time.Sleep(10 * time.Second)
		if got := get(); time.Since(got.Updated) > 20*time.Second {
			t.Errorf("after the outage: %+v", got)
		}
		m.Close()
		if len(told) != 1 {
			t.Errorf("told %q", told)
		}
		last, err := rec.Finish("success", "", 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Put(t.Context(), last); err != nil {
			t.Fatal(err)
		}
		if got := get(); got.Outcome != "success" {
			t.Errorf("at the end: %+v", got)
		}
	})
}
