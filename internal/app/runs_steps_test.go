package app

import (
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/ledger"
)

// A task that was skipped has no time of its own: it is told with that of the record.
func TestStepsHaveATime(t *testing.T) {
	t.Parallel()
	seen := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tasks := []*ledger.Task{
		{Name: "a", Outcome: "failed", Start: seen.Add(-time.Minute), End: seen.Add(-time.Second)},
		{Name: "b", Outcome: "skipped", Tasks: []*ledger.Task{{Name: "c", Outcome: "skipped"}}},
	}
	n := 0
	tellSteps(tasks, "", seen, map[string]string{}, func(s Step) {
		n++
		if s.Time.IsZero() {
			t.Errorf("%+v", s)
		}
	})
	if n != 4 {
		t.Errorf("%d steps", n)
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0 files", 1: "1 file", 2: "2 files"} {
		if got := Count(n, "file"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
