package pipeline

import (
	"context"
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Interrupt is the cause with which the caller cancels the context of Run when a signal asks handoff to end.
type Interrupt struct{ Signal syscall.Signal }

// Error implements error.
func (i Interrupt) Error() string {
	if i.Signal == 0 {
		return "interrupted"
	}
	return "interrupted by " + signalName(i.Signal)
}

// timeout is the cause of a context whose time is over. Each limit is a value of its own, compared by address.
type timeout struct{ after time.Duration }

func (t *timeout) Error() string { return "timed out after " + t.after.String() }

// terminated is the cause with which a stage is stopped because something else failed.
type terminated struct {
	why   string
	after bool // what is stopped stands after what failed: all of it works on a stream that was cut short
}

func (t *terminated) Error() string { return t.why }

// byCause says how something ended that was stopped by its context.
func byCause(cause error) Result {
	_, late := errors.AsType[*timeout](cause)
	_, stopped := errors.AsType[*terminated](cause)
	switch {
	case late:
		return Result{Outcome: TimedOut, Reason: cause.Error()}
	case stopped:
		return Result{Outcome: Terminated, Reason: cause.Error()}
	case isInterrupt(cause):
		return Result{Outcome: Interrupted, Reason: cause.Error()}
	default: // cancelled by the caller with a cause of its own
		return Result{Outcome: Interrupted, Reason: "interrupted: " + cause.Error()}
	}
}

func isInterrupt(cause error) bool {
	if cause == nil {
		return false
	}
	_, ours := errors.AsType[*timeout](cause)
	_, stopped := errors.AsType[*terminated](cause)
	return !ours && !stopped
}

func isTimeout(cause error) bool {
	_, ok := errors.AsType[*timeout](cause)
	return ok
}

// withTimeout derives a context that ends with limit as its cause; a limit of 0 never comes.
func withTimeout(ctx context.Context, limit *timeout) (context.Context, context.CancelFunc) {
	if limit.after <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, limit.after, limit)
}

func signalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	return sig.String()
}

// stoppedWith is the end of a foreach or fork that was stopped; cut is that of the first of its bodies or branches, nil if none was
// stopped.
func stoppedWith(cause error, cut *ending) ending {
	end := ending{Result: byCause(cause)}
	if cut != nil {
		end.Tail = cut.Tail
	}
	return end
}
