package workspace

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrBusy says that another run holds the workspace.
var ErrBusy = errors.New("workspace is in use")

// BusyError says who holds the workspace; ErrBusy is in its chain.
type BusyError struct {
	Holder string // "pid 7, run ..."
	Pid    int    // 0: unknown
}

// Error implements error.
func (e *BusyError) Error() string { return ErrBusy.Error() + " by " + e.Holder }

// Unwrap returns ErrBusy.
func (e *BusyError) Unwrap() error { return ErrBusy }

// Dead reports that the holder has ended: what still has the lock is its guardian, which ends the last processes of
// that run.
func (e *BusyError) Dead() bool { return e.Pid > 0 && errors.Is(unix.Kill(e.Pid, 0), unix.ESRCH) }

// Lock is the right to run in a workspace. The kernel gives it back when the last copy of its file is closed, so it
// does not outlive the processes that hold it.
type Lock struct {
	file *os.File
}

// Lock takes the workspace for a run, or returns a BusyError with the process and the run that have it. It does not wait.
func (w *Workspace) Lock(runID string) (*Lock, error) {
	if err := os.MkdirAll(w.state(), 0o700); err != nil {
		return nil, fmt.Errorf("lock workspace %q: %w", w.dir, err)
	}
	f, err := os.OpenFile(filepath.Join(w.state(), "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock workspace %q: %w", w.dir, err)
	}
	if err := lockNow(f, runID); err != nil {
		return nil, errors.Join(fmt.Errorf("lock workspace %q: %w", w.dir, err), f.Close())
	}
	return &Lock{file: f}, nil
}

func lockNow(f *os.File, runID string) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return holder(f)
	}
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "pid %d\nrun %s\n", os.Getpid(), runID)
	return err
}

// holder reads what the one who has the lock wrote into it: for a moment after the lock was taken that is nothing.
func holder(f *os.File) *BusyError {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 1024))
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if err != nil || lines[0] == "" {
		return &BusyError{Holder: "another run"}
	}
	pid, _ := strconv.Atoi(strings.TrimPrefix(lines[0], "pid "))
	return &BusyError{Holder: strings.Join(lines, ", "), Pid: pid}
}

// File returns the locked file; a process that inherits it keeps the lock until it ends.
func (l *Lock) File() *os.File { return l.file }

// Release gives the workspace back, also for processes that inherited the file. Only the first call counts.
func (l *Lock) Release() error {
	if l == nil || l.file == nil {
		return nil
	}
	f := l.file
	l.file = nil
	err := errors.Join(f.Truncate(0), unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
	if err != nil {
		return fmt.Errorf("release workspace: %w", err)
	}
	return nil
}
