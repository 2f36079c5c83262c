package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/handoff-run/handoff/internal/artifact"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/state"
)

// localRun is what `run local` does around its tasks: the states stay in the workspace, and the artifacts too, unless they
// are asked for.
type localRun struct {
	*states
	app    *App
	s      *session
	cloud  *cloud.Cloud // nil: the artifacts stay in the workspace
	pushed artifact.Pushed
}

func (a *App) newLocalRun(ctx context.Context, o RunOptions, s *session, p *plan.Plan) (*localRun, error) {
	l := &localRun{states: newStates(p, s.ws.Artifacts()), app: a, s: s}
	for _, t := range l.tasks {
		old, err := state.ReadFile(t.file)
		if err == nil && old == nil {
			err = state.WriteFile(t.file, nil)
		}
		if err != nil {
			return nil, fmt.Errorf("task %q: %w", t.name, err)
		}
	}
	l.store = l.storeState
	if !o.Push {
		return l, nil
	}
	var err error
	if l.cloud, err = a.openCloud(ctx, s.target, s.project); err == nil {
		err = needTask(l.cloud)
	}
	return l, err
}

func (l *localRun) storeState(_ context.Context, task string, got json.RawMessage, _ bool) error {
	for _, t := range l.tasks {
		if t.name == task {
			return state.WriteFile(t.file, got)
		}
	}
	return nil
}

// record implements edge.
func (l *localRun) record(*ledger.Run) {}

// begin implements edge.
func (l *localRun) begin(ctx context.Context, log *slog.Logger, _ *ledger.Recorder) error {
	l.log = log
	l.follow(context.WithoutCancel(ctx))
	return nil
}

// commit implements edge.
func (l *localRun) commit(ctx context.Context, _ pipeline.Result, code int) error {
	l.close()
	ctx = context.WithoutCancel(ctx)
	if code == 0 {
		if err := l.states.commit(ctx); err != nil {
			return err
		}
	}
	if l.cloud == nil {
		return nil
	}
	policy := onFailure(l.s.project)
	if code != 0 && policy == "discard" {
		return nil
	}
	return l.app.byHand(ctx, l.cloud, func(ctx context.Context, fence int64, _ string) error {
		return l.push(ctx, fence, code != 0 && policy != "commit")
	})
}

func (l *localRun) push(ctx context.Context, fence int64, failed bool) error {
	pushed, err := l.app.artifacts(l.cloud).Push(ctx, artifact.PushOptions{
		Dir: l.s.ws.Artifacts(), Run: l.s.input.RunID, Fence: fence, Keep: keep(l.s.project), Failed: failed, Skip: ofRun,
	})
	if err == nil {
		l.pushed = pushed
		tellPushed(l.log, pushed)
	}
	return err
}

// end implements edge.
func (l *localRun) end(context.Context, ledger.Run) error {
	l.close()
	return nil
}
