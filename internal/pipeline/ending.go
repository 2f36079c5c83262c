package pipeline

import (
	"fmt"

	"github.com/handoff-run/handoff/internal/process"
)

// ending is what a stage or task hands to what encloses it.
type ending struct {
	Result

	// broken: it could not go on because nobody reads its output any more. That is a success if the reader ended with
	// success, which only the pipeline around it can tell.
	broken bool
}

func (d ending) ok() bool { return d.Outcome == Success || d.Outcome == Skipped }

// failed tells a failure of its own from being stopped because of something else.
func (d ending) failed() bool { return d.Outcome == Failed || d.Outcome == TimedOut }

func failure(format string, args ...any) ending {
	return ending{Result: Result{Outcome: Failed, Code: 1, Reason: fmt.Sprintf(format, args...)}}
}

// exitCode is the code as a shell would tell it.
func exitCode(x process.Exit) int {
	if x.Signal != 0 {
		return 128 + int(x.Signal)
	}
	return x.Code
}

// ofExit says how a process ended that nobody stopped.
func ofExit(x process.Exit) Result {
	if x.Success() {
		return Result{Outcome: Success}
	}
	res := Result{Outcome: Failed, Code: exitCode(x), Reason: died(x)}
	if x.Signal != 0 {
		res.Signal = signalName(x.Signal)
	}
	return res
}

// ofStage is the end of a task whose first failing stage ended with res.
func ofStage(name string, res Result) Result {
	res.Stage = name
	res.Lines, res.First, res.ErrorLines = nil, false, 0
	if res.Outcome == TimedOut || res.Outcome == Failed {
		res.Reason = fmt.Sprintf("stage %q %s", name, res.Reason)
	}
	return res
}
