package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/local"
	"github.com/handoff-run/handoff/internal/ledger"
)

const manyRuns = 100_000

// runs measures the list of the last runs among many. All days have as many as a busy task: 288.
func (b *localBench) runs() ([]localRow, error) {
	if err := b.fillLedger(); err != nil {
		return nil, err
	}
	var list []time.Duration
	for range max(b.rounds, 3) + 1 { // the first one warms
		took, out, err := run(b.home("ledger", "runs", "list", "-e", "resource_group=bench", "task=t", "--output", "text"))
		if err != nil {
			return nil, err
		}
		if n := strings.Count(out, "\n"); n != 50 {
			return nil, fmt.Errorf("%d runs listed", n)
		}
		list = append(list, took)
	}
	return []localRow{within(fmt.Sprintf("`runs list`, the last 50 of %d, warm", manyRuns), median(list[1:]), 100*time.Millisecond)}, nil
}

// fillLedger writes the records of many runs.
func (b *localBench) fillLedger() error {
	home, err := local.Open(filepath.Join(b.dir, "ledger"))
	if err != nil {
		return err
	}
	c, err := home.Cloud(cloud.Scope{Stage: "dev", ResourceGroup: "bench", Task: "t"})
	if err != nil {
		return err
	}
	bucket := &ledger.Bucket{Files: c.Files, Prefix: "t", Parallel: 1}
	begin := time.Now().UTC().Add(-manyRuns * 5 * time.Minute).Truncate(time.Millisecond)
	var wg sync.WaitGroup
	var once sync.Once
	var failed error
	work := make(chan int)
	for range 1000 { // records that are flushed together
		wg.Go(func() {
			for i := range work {
				if err := bucket.Put(context.Background(), record(begin.Add(time.Duration(i)*5*time.Minute), i)); err != nil {
					once.Do(func() { failed = err })
				}
			}
		})
	}
	for i := range manyRuns {
		work <- i
	}
	close(work)
	wg.Wait()
	return failed
}

// record is the record of a run as it is written at its end.
func record(at time.Time, n int) ledger.Run {
	end := at.Add(42 * time.Second)
	stage := &ledger.Stage{Name: "load", Start: at, End: end, Outcome: "success", CPUSeconds: 1.5, PeakMemory: 12 << 20}
	task := &ledger.Task{Name: "t", Start: at, End: end, Outcome: "success", Tries: 1, Stages: []*ledger.Stage{stage}}
	return ledger.Run{
		SchemaVersion: ledger.SchemaVersion, ID: at.Format("20060102T150405.000Z") + fmt.Sprintf("-%06x", n), Project: "bench",
		ResourceGroup: "bench", Task: "t", EnvStage: "dev", Trigger: "schedule", Release: "sha256:" + strings.Repeat("0", 64),
		Host: "bench", Pid: 1, Start: at, End: end, Updated: end, Outcome: "success", Tasks: []*ledger.Task{task},
	}
}
