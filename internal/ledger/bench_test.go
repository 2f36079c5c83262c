package ledger

import (
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/local"
)

// BenchmarkLastRuns lists the last 50 of many runs in a bucket on this disk.
func BenchmarkLastRuns(b *testing.B) {
	const runs = 100_000
	home, err := local.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	c, err := home.Cloud(cloud.Scope{Stage: "dev", ResourceGroup: "g", Task: "t"})
	if err != nil {
		b.Fatal(err)
	}
	bucket := &Bucket{Files: c.Files, Task: "t", Parallel: 50}
	work := make(chan int)
	done := make(chan error)
	for range c.Parallel {
		go func() {
			var first error
			for i := range work {
				if err := bucket.Put(b.Context(), finished(newYear.Add(time.Duration(i)*5*time.Minute), i)); err != nil && first == nil {
					first = err
				}
			}
			done <- first
		}()
	}
	for i := range runs {
		work <- i
	}
	close(work)
	for range c.Parallel {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		n := 0
		for _, err := range bucket.Runs(b.Context(), newYear) {
			if err != nil {
				b.Fatal(err)
			}
			if n++; n == 50 {
				break
			}
		}
	}
}
