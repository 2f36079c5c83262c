package app

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/stream"
)

// usualOf is how many good runs say what is usual.
const usualOf = 7

// earlier is what good runs before this one have counted; the newest first.
type earlier []ledger.Run

// earlierInBucket reads the last good runs, where the plan expects something of which they tell.
func earlierInBucket(ctx context.Context, b *ledger.Bucket, a *App, p *plan.Plan) (earlier, error) {
	if !comparesRuns(p.Tasks) {
		return nil, nil
	}
	var out earlier
	for run, err := range b.Runs(ctx, a.Now(), ledger.Query{Outcome: string(pipeline.Success)}) {
		if err == nil && (run.Outcome != string(pipeline.Success) || ofBackfill(run)) {
			continue // a backfill says nothing of what is usual
		}
		if err == nil && len(run.Tasks) == 0 { // a list has no more of old runs
			run, err = b.Get(ctx, run.ID)
		}
		if err != nil {
			return nil, err
		}
		if out = append(out, run); len(out) == usualOf {
			break
		}
	}
	return out, nil
}

// earlierInWorkspace goes by the record that the next run replaces: that of a good run, or of one that says with what it was compared.
func earlierInWorkspace(record string, p *plan.Plan) (earlier, error) {
	if !comparesRuns(p.Tasks) {
		return nil, nil
	}
	run, err := ledger.Read(record)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && run.Outcome != string(pipeline.Success) {
		eachTask(run.Tasks, func(t *ledger.Task) {
			for _, s := range t.Stages {
				s.Rows, s.Streams, s.Columns = nil, nil, nil
				if s.Before != nil {
					s.Streams, s.Columns = s.Before.Rows, s.Before.Columns
				}
			}
		})
	}
	return earlier{run}, err
}

func comparesRuns(tasks []plan.Task) bool {
	return slices.ContainsFunc(tasks, func(t plan.Task) bool {
		return comparesRuns(t.Tasks) || slices.ContainsFunc(t.Pipeline, func(s plan.Stage) bool {
			return s.Check != nil && s.Check.Compares() || comparesRuns(s.Fork)
		})
	})
}

// of returns what a stage has to compare with: the columns of the last good run, and of the numbers of records the median.
func (e earlier) of(task []string, stage string) stream.Before {
	var out stream.Before
	numbers := map[string][]int64{}
	for _, run := range e {
		s := stageAt(run.Tasks, task, stage)
		if s == nil {
			continue
		}
		if out.Columns == nil {
			out.Columns = s.Columns
		}
		for name, n := range counted(s) {
			numbers[name] = append(numbers[name], n)
		}
	}
	for name, all := range numbers {
		if out.Rows == nil {
			out.Rows = map[string]int64{}
		}
		slices.Sort(all)
		out.Rows[name] = all[len(all)/2]
	}
	return out
}

// counted returns the records of a stage by stream, "" where they have no names.
func counted(s *ledger.Stage) map[string]int64 {
	if len(s.Streams) == 0 && s.Rows != nil {
		return map[string]int64{"": *s.Rows}
	}
	return s.Streams
}

func stageAt(tasks []*ledger.Task, path []string, stage string) *ledger.Stage {
	for _, t := range tasks {
		switch {
		case len(path) == 0 || t.Name != path[0]:
		case len(path) > 1:
			return stageAt(t.Tasks, path[1:], stage)
		default:
			if i := slices.IndexFunc(t.Stages, func(s *ledger.Stage) bool { return s.Name == stage }); i >= 0 {
				return t.Stages[i]
			}
		}
	}
	return nil
}
