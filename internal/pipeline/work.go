package pipeline

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/handoff-run/handoff/internal/plan"
)

// work is one try of a task with commands or a pipeline, and its artifacts while they are open.
type work struct {
	e   *Engine
	t   *plan.Task
	sc  scope
	try int
	out output
	log *stderrLog // nil: none
}

// output is where the stdout of a last stage goes.
type output struct {
	f     *os.File // nil: read by handoff and told as Output
	file  string   // name of the artifact that f is
	piped bool     // f is read by a further stage, which may stop reading early

	reader string // name of that stage
}

func (e *Engine) openWork(t *plan.Task, sc scope, try int) (*work, error) {
	w := &work{e: e, t: t, sc: sc, try: try}
	var err error
	if t.StderrToFile {
		if w.log, err = e.openLog(stderrName(t, sc), sc.body); err != nil {
			return nil, err
		}
	}
	if w.out, err = w.openOut(); err != nil {
		_ = w.log.close()
		return nil, err
	}
	return w, nil
}

// openOut creates the stdout log. Outside of a foreach every task with stdout_to_file has one, be it empty:
// scripts rely on the names, and one of an earlier run must not stay.
func (w *work) openOut() (output, error) {
	kind := w.lastStage()
	writes := kind.Command != nil || kind.Check != nil
	var out output
	if w.sc.out == nil && w.t.StdoutToFile && (!w.sc.body || writes) {
		name := stdoutName(w.t, w.sc)
		f, err := w.e.create(name)
		if err != nil {
			return output{}, err
		}
		out = output{f: f, file: name}
	}
	switch {
	case kind.Null:
		w.closeOut(out)
		return output{f: w.e.null}, nil
	case !writes: // a foreach or fork gives its bodies and branches artifacts of their own
		w.closeOut(out)
		return output{f: w.sc.out, piped: w.sc.out != nil, reader: w.sc.reader}, nil
	case w.sc.out != nil:
		return output{f: w.sc.out, piped: true, reader: w.sc.reader}, nil
	}
	return out, nil
}

func (w *work) closeOut(out output) {
	if out.f != nil {
		_ = out.f.Close()
	}
}

// lastStage returns a Command for commands, and an empty stage for a task without any.
func (w *work) lastStage() plan.Stage {
	if n := len(w.t.Pipeline); n > 0 {
		return w.t.Pipeline[n-1]
	}
	if n := len(w.t.Commands); n > 0 {
		return w.t.Commands[n-1]
	}
	return plan.Stage{}
}

// close ends a try: what could not be written to an artifact is a failure too.
func (w *work) close(end ending) ending {
	err := w.log.close()
	if w.out.file != "" {
		room := checkRoom(w.out.f, fmt.Sprintf("artifact %q", w.out.file))
		if cerr := w.out.f.Close(); cerr != nil {
			room = fmt.Errorf("write artifact %q: %w", w.out.file, cerr)
		}
		if err == nil {
			err = room
		}
	}
	if err != nil && end.ok() {
		return failure("%v", err)
	}
	return end
}

// commands runs one after the other, up to the first that fails.
func (w *work) commands(ctx context.Context) ending {
	end := ending{Result: Result{Outcome: Success}}
	var rows rowTally
	for i := range w.t.Commands {
		if ctx.Err() != nil {
			return stoppedBetween(ctx, end)
		}
		end = w.newLinear(w.t.Commands[i:i+1], i).run(ctx)
		rows.addAll(end.Rows, strconv.Itoa(i)) // one that reads what the one before has written counts the same
		end.Rows = rows.rows()
		if !end.ok() || end.broken {
			return end
		}
	}
	return end
}

func (w *work) pipeline(ctx context.Context) ending {
	stages := w.t.Pipeline
	for i := range stages {
		if (stages[i].Null || stages[i].Fork != nil) && i < len(stages)-1 {
			return failure("stage %q must be the last of its pipeline", stages[i].Name)
		}
	}
	if stages[len(stages)-1].Null {
		stages = stages[:len(stages)-1]
	}
	if len(stages) == 0 {
		w.e.warn(w.sc, "the task has no active command: nothing to do")
		return ending{Result: Result{Outcome: Success}}
	}
	return w.newLinear(stages, 0).run(ctx)
}
