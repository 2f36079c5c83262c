package app

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/ledger"
)

// TestStatusReadsARecordOnce looks again: records are read once each, and those again that have changed, or of runs that go on.
func TestStatusReadsARecordOnce(t *testing.T) {
	t.Parallel()
	m := newMemoryApp(t, nil)
	files := &countingFiles{Files: m.cloud.Files}
	a := &App{Now: m.world.Now, Log: slog.New(slog.DiscardHandler), OpenCloud: func(_ context.Context, o CloudOptions) (*cloud.Cloud, error) {
		c, err := m.world.Cloud(o.Scope)
		if err == nil {
			c.Files = files
		}
		return c, err
	}}
	begin := m.world.Now().Add(-10 * time.Hour)
	put := func(hour int, outcome string) {
		t.Helper()
		at := begin.Add(time.Duration(hour) * time.Hour)
		run := ledger.Run{ID: at.UTC().Format("20060102T150405.000Z") + "-abcdef", Start: at, End: at.Add(time.Minute), Updated: at, Outcome: outcome, Reason: outcome}
		if err := m.ledger(m.cloud, 0).Put(t.Context(), run); err != nil {
			t.Fatal(err)
		}
	}
	look := func(what, state string, reads int) {
		t.Helper()
		files.reads = 0
		res, err := a.StatusAll(t.Context(), StatusOptions{Target: target(t, "", "")})
		if err != nil || len(res.Tasks) != 1 || res.Tasks[0].State != state || files.reads != reads {
			t.Errorf("%s: %+v, %v; %d records read, want %q, %d", what, res.Tasks, err, files.reads, state, reads)
		}
	}
	for hour := range 4 {
		put(hour, "success")
	}
	look("the first time", StateOK, 4)
	look("again", StateOK, 0)
	put(4, "failed")
	look("a new one", StateFailed, 1)
	put(4, "success")
	look("it has changed", StateOK, 1)
	put(5, "running")
	look("one goes on", StateRunning, 2) // and when it was last heard of
	look("it still does", StateRunning, 2)
	if _, err := m.cloud.Files.Put(t.Context(), statusKey, cloud.Text("t\t{damaged\n"), cloud.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	look("what is noted is damaged", StateRunning, 7)
}

// countingFiles counts the records that are read.
type countingFiles struct {
	cloud.Files
	mu    sync.Mutex
	reads int
}

// Get implements cloud.Files.
func (f *countingFiles) Get(ctx context.Context, key string, o cloud.GetOptions) (io.ReadCloser, cloud.Object, error) {
	if strings.HasPrefix(key, "t/runs/") && !strings.HasSuffix(key, ".jsonl") {
		f.mu.Lock()
		f.reads++
		f.mu.Unlock()
	}
	return f.Files.Get(ctx, key, o)
}
