package ledger

import (
	"context"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/local"
)

// many is a bucket on this disk with many runs, the last of them now; each hundredth has failed.
func many(b *testing.B, runs int) (*Bucket, time.Time) {
	b.Helper()
	home, err := local.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	c, err := home.Cloud(cloud.Scope{Stage: "dev", ResourceGroup: "g", Task: "t"})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now().UTC()
	bucket := &Bucket{Files: c.Files, Prefix: "t", Parallel: c.Parallel}
	all := make([]int, runs)
	for i := range all {
		all[i] = i
	}
	err = cloud.Each(b.Context(), 500, all, func(ctx context.Context, i int) error {
		run := finished(now.Add(-time.Duration(i)*5*time.Minute), i)
		if i%100 == 0 {
			run.Outcome, run.Reason = "failed", "a reason"
		}
		run.Tasks = append(run.Tasks, &Task{Name: "load", Outcome: run.Outcome, Stages: []*Stage{{Name: "tap"}, {Name: "target"}}})
		return bucket.Put(ctx, run)
	})
	if err != nil {
		b.Fatal(err)
	}
	return bucket, now
}

// BenchmarkLastRuns lists the last 50 of many runs in a bucket on this disk.
func BenchmarkLastRuns(b *testing.B) {
	bucket, now := many(b, 100_000)
	for b.Loop() {
		look(b, bucket, now, Query{}, 50)
	}
}

// BenchmarkSearchRuns looks for runs that have failed: all of them, and the last 50.
func BenchmarkSearchRuns(b *testing.B) {
	bucket, now := many(b, 20_000)
	look(b, bucket, now, Query{Outcome: "failed"}, 0) // reads all records for the last time
	for name, limit := range map[string]int{"all": 0, "last 50": 50} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				look(b, bucket, now, Query{Outcome: "failed"}, limit)
			}
		})
	}
}

func look(b *testing.B, bucket *Bucket, now time.Time, q Query, limit int) {
	b.Helper()
	n := 0
	for _, err := range bucket.Runs(b.Context(), now, q) {
		if err != nil {
			b.Fatal(err)
		}
		if n++; n == limit {
			return
		}
	}
}
