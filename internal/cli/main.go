// Package cli is the command line: flags, wiring, printing, exit codes. One file per group of commands.
// It holds no logic of its own; the verbs are in package app.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/container"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/process"
	"github.com/handoff-run/handoff/internal/workspace"
)

// Version is set by the linker. It is a number also where nobody sets it.
var Version = "0.5.0-dev"

// Words that start something else instead of a command.
const (
	guardWord = "__guard" // the guardian of a run
	boxWord   = "__box"   // a program among the files of an image
	fillWord  = "__fill"  // what makes a virtual environment there
)

// Stdio is where the program reads and writes.
type Stdio struct{ In, Out, Err *os.File }

// Main runs one command and returns the exit code of the process.
func Main(args []string, io Stdio) int {
	keepDescriptors()
	if len(args) > 0 && args[0] == guardWord {
		guard(args[1:])
		return 0
	}
	c := &cli{Stdio: io, environ: os.Environ()}
	if len(args) == 1 && args[0] == boxWord {
		code, err := container.EnterBox()
		fmt.Fprintln(io.Err, err)
		return code
	}
	if len(args) == 1 && args[0] == fillWord {
		return fill(io)
	}
	if isJob(args) {
		return c.job(args[2:])
	}
	process.Seal()
	debug.SetTraceback("crash") // a panic ends by SIGABRT: code 2, the choice of the runtime, says that nothing has run
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	c.con = newConsole(io.Err)
	defer c.con.close()
	unwatch := c.watchSignals(stop)
	defer unwatch()
	root := c.root()
	if len(args) > 0 && args[0] == cobra.ShellCompRequestCmd {
		plainUsages(root)
	}
	c.args = splitLists(args, root)
	root.SetArgs(c.args)
	root.SetIn(io.In)
	root.SetOut(io.Out)
	root.SetErr(c.con)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return c.code
	}
	return c.fail(ctx, err)
}

// guard is the life of the guardian process: when handoff vanished, its processes are ended and the record
// of its run is finished.
func guard(args []string) {
	died, rest := process.RunGuard(args, func(rest []string) { _ = ledger.MarkLate(rest[0], time.Now()) })
	if died && len(rest) > 0 {
		_, _, _ = ledger.MarkDied(rest[0], time.Now()) // the next run in the workspace tries again
	}
}

// fill makes a virtual environment of an image. It is the first process of its box, which is signalled when it is to end.
func fill(io Stdio) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	verbs := &app.App{Environ: os.Environ(), Now: time.Now}
	err := verbs.FillVenv(ctx, io.In, func(line string) { fmt.Fprintln(io.Out, line) })
	if e, ok := errors.AsType[*workspace.InstallError](err); ok {
		e.Tail = nil // it has been told as it came
	}
	if err != nil {
		fmt.Fprintln(io.Out, err)
		return app.ExitFailed
	}
	return 0
}

// cli is the state of one invocation.
type cli struct {
	Stdio
	con     *console // writes to Err
	environ []string
	flags   flags
	read    *readVars  // nil: -v holds template variables only
	code    int        // exit code of a command that ended without an error
	held    []*os.File // see app.App
	args    []string   // of the command line, lists split

	client  string   // for whom the command works
	many    []string // for whom it does, where it does not work for each of them alone
	parent  *cli     // nil: this is the process; else it works for one client of several, and its product goes there:
	product any
	text    string // the product as text
	last    *table // made for the product

	asking  sync.Mutex // held while a person is asked for one of several clients
	mu      sync.Mutex
	killAll map[*cli]func() // ends every process of the current run at once
	ending  string          // what the first signal does, where it is not the end of a run
}

// fail prints err and returns its exit code.
func (c *cli) fail(ctx context.Context, err error) int {
	if in, ok := errors.AsType[pipeline.Interrupt](context.Cause(ctx)); ok {
		if _, said := errors.AsType[*app.GoesOnError](err); said {
			return app.ExitSignal + int(in.Signal)
		}
		fmt.Fprintln(c.con, c.style(c.Err, red, "error:"), err)
		return app.ExitSignal + int(in.Signal)
	}
	c.printError(err)
	return c.codeOf(ctx, err)
}

// codeOf returns the exit code of a command that ended with err.
func (c *cli) codeOf(ctx context.Context, err error) int {
	if in, ok := errors.AsType[pipeline.Interrupt](context.Cause(ctx)); ok {
		return app.ExitSignal + int(in.Signal)
	}
	if c.code != 0 { // what was run tells more than what could not be said about it
		return c.code
	}
	if coded, ok := errors.AsType[*codedError](err); ok {
		return coded.code
	}
	return app.Code(err)
}

// codedError gives an error its exit code.
type codedError struct {
	error
	code int
}

func (e *codedError) Unwrap() error { return e.error }
