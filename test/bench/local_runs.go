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

// fillLedger writes the records of many runs of one task.
func (b *localBench) fillLedger() error {
	home, err := local.Open(filepath.Join(b.dir, "ledger"))
	if err != nil {
		return err
	}
	c, err := home.Cloud(cloud.Scope{Stage: "dev", ResourceGroup: "bench", Task: "t"})
	if err != nil {
		return err
	}
	begin := time.Now().UTC().Add(-manyRuns * 5 * time.Minute).Truncate(time.Millisecond)
	return putRecords(func(i int) (*ledger.Bucket, ledger.Run) {
		return &ledger.Bucket{Files: c.Files, Prefix: "t", Parallel: 1}, record(begin.Add(time.Duration(i)*5*time.Minute), i)
	})
}

// putRecords writes the records of many runs, those together that share a flush.
func putRecords(of func(i int) (*ledger.Bucket, ledger.Run)) error {
	var wg sync.WaitGroup
	var once sync.Once
	var failed error
	work := make(chan int)
	for range 1000 {
		wg.Go(func() {
			for i := range work {
				if bucket, run := of(i); bucket != nil {
					if err := bucket.Put(context.Background(), run); err != nil {
						once.Do(func() { failed = err })
					}
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

const (
	statusTasks   = 200
	statusClients = 5
)

// status measures the overview of many tasks, each for some clients, with as many runs as a month of hours and a schedule.
func (b *localBench) status() ([]localRow, error) {
	if err := b.fillStatus(); err != nil {
		return nil, err
	}
	var list []time.Duration
	for range max(b.rounds, 3) + 1 { // the first one warms
		took, out, err := run(b.home("overview", "status", "-e", "resource_group=bench", "--output", "text"))
		if err != nil {
			return nil, err
		}
		if n := strings.Count(out, "\nok "); n != statusTasks*statusClients {
			return nil, fmt.Errorf("%d tasks are ok", n)
		}
		list = append(list, took)
	}
	what := fmt.Sprintf("`status` of %d tasks for %d clients each, with %d runs, warm", statusTasks, statusClients, manyRuns)
	return []localRow{within(what, median(list[1:]), 300*time.Millisecond)}, nil
}

// fillStatus registers the tasks, with schedules, and writes records of their runs, the last ones of an hour ago.
func (b *localBench) fillStatus() error {
	home, err := local.Open(filepath.Join(b.dir, "overview"))
	if err != nil {
		return err
	}
	const scopes = statusTasks * statusClients
	buckets := make([]*ledger.Bucket, scopes)
	for i := range buckets {
		s := cloud.Scope{Stage: "dev", ResourceGroup: "bench", Task: fmt.Sprintf("t%d", i/statusClients), Client: fmt.Sprintf("c%d", i%statusClients)}
		c, err := home.Cloud(s)
		if err != nil {
			return err
		}
		buckets[i] = &ledger.Bucket{Files: c.Files, Prefix: s.Prefix(), Parallel: 1}
		infra := home.Infra(s)
		p, err := infra.Plan(context.Background(), cloud.Want{Kind: cloud.KindTask})
		if err == nil {
			err = infra.Apply(context.Background(), p, nil)
		}
		if err == nil {
			err = home.Schedules(s).Put(context.Background(), cloud.Schedule{TargetID: "1", Cron: "0 2 1 1 ? *", Enabled: true, Freshness: 26 * time.Hour})
		}
		if err != nil {
			return err
		}
	}
	last := time.Now().UTC().Add(-time.Hour).Truncate(time.Millisecond)
	return putRecords(func(i int) (*ledger.Bucket, ledger.Run) {
		r := record(last.Add(-time.Duration(i/scopes)*time.Hour), i)
		r.ScheduleID = "1"
		return buckets[i%scopes], r
	})
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
