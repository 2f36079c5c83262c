package app

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/jinja"
	"github.com/handoff-run/handoff/internal/lease"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/workspace"
)

// Exit codes of handoff. The table is in the help of the command line.
const (
	ExitFailed  = 1                 // a task failed, or anything that has no code of its own
	ExitUsage   = 2                 // wrong usage or an invalid project; nothing ran
	ExitCloud   = 3                 // a cloud, store or container call failed
	ExitRefused = cloud.ExitSkipped // another run is going on
	ExitTimeout = 124               // the run took too long
	ExitSignal  = 128               // plus the number of the signal
)

// UsageError is a mistake in how handoff was called.
type UsageError struct {
	Message string
	Hint    string
}

func (e *UsageError) Error() string { return e.Message }

// HintOf returns the way out of err, "" where nobody knows one.
func HintOf(err error) string {
	if usage, ok := errors.AsType[*UsageError](err); ok && usage.Hint != "" {
		return usage.Hint
	}
	return cloud.Hint(err)
}

// BusyError says that another run has the workspace.
type BusyError struct{ error }

func (e *BusyError) Unwrap() error { return e.error }

// projectError is what was found in the project, or in a folder that was named for it.
type projectError struct{ error }

func (e *projectError) Unwrap() error { return e.error }

// inProject marks an error, which may be nil, as one of the project.
func inProject(err error) error {
	if err == nil {
		return nil
	}
	return &projectError{err}
}

// Code returns the exit code of a command that ended with err, before anything ran. What an error is, is known where it
// is made: by the types of mistakes, and by cloud.Mark for calls to a provider. Whatever has no such type is ExitFailed.
func Code(err error) int {
	switch {
	case err == nil:
		return 0
	case is[*lease.HeldError](err) || is[*BusyError](err):
		return ExitRefused
	case is[*UsageError](err) || errors.Is(err, cloud.ErrInvalid) || badProject(err):
		return ExitUsage
	case cloud.IsFailure(err):
		return ExitCloud
	}
	return ExitFailed
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// badProject reports whether the project, or the folder that was named for it, is to blame: not a disk or a right.
func badProject(err error) bool {
	if is[project.Errors](err) || is[*jinja.Error](err) || errors.Is(err, workspace.ErrOverlap) {
		return true
	}
	_, system := errors.AsType[syscall.Errno](err)
	missing := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
	return is[*projectError](err) && (!system || missing)
}

// exitCode is the exit code of a run whose tasks have been started.
func exitCode(ctx context.Context, res pipeline.Result) int {
	switch res.Outcome {
	case pipeline.Success, pipeline.Skipped:
		return 0
	case pipeline.TimedOut:
		return ExitTimeout
	case pipeline.Interrupted:
		if in, ok := errors.AsType[pipeline.Interrupt](context.Cause(ctx)); ok {
			return ExitSignal + int(in.Signal)
		}
		return ExitSignal + int(syscall.SIGINT)
	default:
		return ExitFailed
	}
}
