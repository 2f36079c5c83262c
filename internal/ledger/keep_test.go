package ledger

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud/memory"
)

// TestBeyond has a run every hour for 25 days.
func TestBeyond(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Second)
	b := history(t, &memory.Files{}, 600, now)
	at := func(i int) string { return runID(now.Add(-time.Duration(i)*time.Hour), i) }
	for name, tt := range map[string]struct {
		limit Limit
		first int // of the runs that are beyond
		old   int
	}{
		"all are kept":         {Limit{Runs: 600}, 0, 0},
		"by number":            {Limit{Runs: 100}, 100, 500},
		"by age":               {Limit{Runs: 600, Before: now.Add(-10 * 24 * time.Hour)}, 241, 359},
		"the last day stays":   {Limit{Runs: 1}, 24, 576},
		"some always do":       {Limit{Runs: 598, Always: map[string]bool{at(598): true}}, 599, 1},
		"in the future, a bit": {Limit{Runs: 598, Before: now.Add(time.Hour)}, 24, 576},
	} {
		old, kept, err := b.Beyond(t.Context(), now, tt.limit)
		if err != nil || len(old) != tt.old || len(kept) != 600-tt.old || tt.old > 0 && old[0].RunID != at(tt.first) {
			t.Errorf("%s: %d old, %d kept, %v", name, len(old), len(kept), err)
		}
	}
}

// TestRemove: what was removed is in no list, the rest is as before, and a search still reads one object for the old days.
func TestRemove(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Second)
	files := &memory.Files{}
	b := history(t, files, 600, now)
	all := found(t, b, now, Query{Outcome: "failed"}, 0) // makes the summary
	old, kept, err := b.Beyond(t.Context(), now, Limit{Runs: 300})
	if err == nil {
		err = b.Remove(t.Context(), old, kept)
	}
	if err != nil {
		t.Fatal(err)
	}
	n := calls(files)
	got := found(t, b, now, Query{Outcome: "failed"}, 0)
	var want []Run
	for _, run := range all {
		if kept[run.ID] {
			want = append(want, run)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n.Load() > 100 { // those of two days and what never ended
		t.Errorf("%d calls after records were removed", n.Load())
	}
	if got := ids(t, b, 0); len(got) != 300 {
		t.Errorf("%d runs are left", len(got))
	}
}
