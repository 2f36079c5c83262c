package pipeline

import (
	"context"
	"slices"
	"sync"

	"github.com/handoff-run/handoff/internal/plan"
)

// A Stateful is a pipeline with a state, in one body of a foreach or outside of all. It is the same one over all its tries.
type Stateful struct {
	Task   []string // names from the root to the task
	Lines  []string // of the enclosing foreach loops, outermost first
	State  *plan.State
	Stdout string // name of the artifact that takes what its last stage prints

	Succeeded bool // its last try has ended with success; may be read when its body has ended
}

// States is told of the pipelines that have a state, each on a goroutine of its own: what it waits for keeps nobody else waiting.
type States interface {
	// Begin is called before each try of p, while the artifact still has what the try before has printed. With an error the try fails.
	Begin(ctx context.Context, p *Stateful) error

	// Emptied is called when the artifact is empty: what is in it from now on is of this try.
	Emptied(p *Stateful)

	// Ended is called when all of one body of a foreach has ended, with all of its pipelines that have begun but for those of a foreach
	// in it, and once at the end for those outside of any foreach. With an error a body that had succeeded fails.
	Ended(ctx context.Context, body []*Stateful, success bool) error
}

// A body is one of a foreach, or all that is outside of any.
type body struct {
	mu       sync.Mutex // the branches of a fork run side by side
	stateful []*Stateful
}

// stateful returns the pipeline t of the body of sc, nil if it has no state.
func (e *Engine) stateful(t *plan.Task, sc scope) *Stateful {
	if t.State == nil || e.o.States == nil {
		return nil
	}
	b := sc.around
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.stateful { // when the tasks around it are tried again
		if slices.Equal(p.Task, sc.path) {
			return p
		}
	}
	p := &Stateful{Task: sc.path, Lines: sc.lines, State: t.State, Stdout: stdoutName(t, sc)}
	b.stateful = append(b.stateful, p)
	return p
}

// begin prepares a try of p.
func (e *Engine) begin(ctx context.Context, p *Stateful) ending {
	err := e.o.States.Begin(ctx, p)
	if err != nil && ctx.Err() != nil {
		return stoppedBetween(ctx, ending{})
	}
	if err != nil {
		return failure("%v", err)
	}
	return ending{Result: Result{Outcome: Success}}
}

// ended is the end of a body whose tasks have ended as end.
func (e *Engine) ended(ctx context.Context, sc scope, end ending) ending {
	all := sc.around.stateful
	if len(all) == 0 {
		return end
	}
	success := end.ok() && !end.broken
	if err := e.o.States.Ended(ctx, all, success); err != nil && success {
		e.warn(scope{path: all[0].Task, lines: sc.lines}, err.Error()) // its tasks have told that they succeeded
		rows := end.Rows
		end = failure("%v", err)
		end.Task, end.Rows = all[0].Task, rows
	}
	return end
}

// hasState reports whether one of these tasks, or of those in them at any depth, has a state.
func hasState(tasks []plan.Task) bool {
	return slices.ContainsFunc(tasks, func(t plan.Task) bool {
		return !t.Skip && (t.State != nil || hasState(t.Tasks) || slices.ContainsFunc(t.Pipeline, func(s plan.Stage) bool {
			return hasState(s.Fork) || s.Foreach != nil && hasState(s.Foreach.Tasks)
		}))
	})
}
