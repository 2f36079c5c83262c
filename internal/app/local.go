package app

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/handoff-run/handoff/internal/artifact"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/commit"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/state"
	"github.com/handoff-run/handoff/internal/stream"
)

// localRun is what `run local` does around its tasks: the states stay in the workspace, and the artifacts too, unless they
// are asked for.
type localRun struct {
	app     *App
	session *session
	states  *states
	cloud   *cloud.Cloud // nil: the artifacts stay in the workspace
	log     *slog.Logger // of the run
	pushed  artifact.Pushed
	earlier earlier
	again   *Again   // nil: the run is new
	left    []string // tasks that it leaves out
}

func (a *App) newLocalRun(ctx context.Context, o RunOptions, s *session, p *plan.Plan) (*localRun, error) {
	l := &localRun{app: a, session: s}
	l.states = newStates(p, s.ws.Artifacts(), l, s.redactor.String, false)
	if err := state.FinishFiles(l.stateDir()); err != nil {
		return nil, err
	}
	for _, t := range l.states.tasks {
		if err := l.prepareState(ctx, t); err != nil {
			return nil, fmt.Errorf("task %q: %w", t.name, err)
		}
	}
	var err error
	if l.earlier, err = earlierInWorkspace(s.record(), p); err != nil || !o.Push {
		return l, err
	}
	if l.cloud, err = a.openCloud(ctx, s.target, s.project); err == nil {
		err = needTask(l.cloud)
	}
	return l, err
}

// prepareState implements keeper: what there is stays.
func (l *localRun) prepareState(_ context.Context, t *taskState) error {
	old, err := state.ReadFile(t.file)
	if err == nil && old == nil {
		err = state.WriteFile(t.file, nil)
	}
	return err
}

// store implements keeper.
func (l *localRun) store(_ context.Context, versions []state.Version) error {
	return state.WriteFiles(l.stateDir(), versions)
}

func (l *localRun) stateDir() string { return filepath.Join(l.session.ws.Dir(), plan.StateDir) }

// usual implements hooks.
func (l *localRun) usual(task []string, stage string) stream.Before {
	return l.earlier.of(task, stage)
}

// describe implements hooks.
func (l *localRun) describe(run *ledger.Run) {
	run.Local, run.LeftOut = true, l.left
	run.Asked = asked(typed(l.session.target), l.session.input.Now, l.session.redactor.String)
	run.Asked.Push = l.cloud != nil
	if l.again != nil {
		run.Trigger, run.Again = string(cloud.TriggerRetry), l.again.Run.ID
	}
}

// started implements hooks.
func (l *localRun) started(ctx context.Context, _ *pipeline.Engine, log *slog.Logger, rec *ledger.Recorder) error {
	l.log = log
	l.states.follow(context.WithoutCancel(ctx), log, rec)
	return nil
}

// stateful implements hooks.
func (l *localRun) stateful() pipeline.States { return l.states }

// commit implements hooks.
func (l *localRun) commit(ctx context.Context, _ pipeline.Result, code int) (final bool, err error) {
	ctx = context.WithoutCancel(ctx)
	l.states.close(ctx)
	if code == 0 {
		ended, err := l.states.ended()
		if err == nil {
			err = state.WriteFiles(l.stateDir(), ended)
		}
		if err != nil {
			return false, err
		}
	}
	policy := onFailure(l.session.project)
	if l.cloud == nil || code != 0 && policy == "discard" {
		return false, nil
	}
	return false, l.app.byHand(ctx, l.cloud, func(ctx context.Context, fence int64, _ string) error {
		return l.push(ctx, fence, code != 0 && policy != "commit")
	})
}

func (l *localRun) push(ctx context.Context, fence int64, failed bool) error {
	commits := l.app.commits(l.cloud)
	o := artifact.PushOptions{Dir: l.session.ws.Artifacts(), RunID: l.session.input.RunID, Fence: fence, Keep: keep(l.session.project), Skip: ofRun}
	if failed {
		pushed, err := commits.PushApart(ctx, o)
		if err == nil {
			l.pushed = pushed
			tellPushed(l.log, pushed)
		}
		return err
	}
	done, err := commits.Commit(ctx, commit.Change{By: commit.ByPush, Writer: o.RunID, Fence: fence, Push: &o})
	if err == nil {
		l.pushed = done.Pushed
		tellCommitted(l.log, done)
	}
	return err
}

// end implements hooks.
func (l *localRun) end(ctx context.Context, _ ledger.Run) error {
	l.states.close(context.WithoutCancel(ctx))
	return nil
}
