package workspace

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrBusy says that another run holds the workspace.
var ErrBusy = errors.New("workspace is in use")

// Lock is the right to run in a workspace. The kernel gives it back when the last copy of its file is closed, so it
// does not outlive the processes that hold it.
type Lock struct {
	file *os.File
}

// Lock takes the workspace for a run, or answers ErrBusy, naming the process and the run that have it. It does not wait.
func (w *Workspace) Lock(runID string) (*Lock, error) {
	if err := os.MkdirAll(w.state(), 0o700); err != nil {
		return nil, fmt.Errorf("lock workspace %q: %w", w.dir, err)
	}
	f, err := os.OpenFile(filepath.Join(w.state(), "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock workspace %q: %w", w.dir, err)
	}
	if err := take(f, runID); err != nil {
		return nil, errors.Join(fmt.Errorf("lock workspace %q: %w", w.dir, err), f.Close())
	}
	return &Lock{file: f}, nil
}

func take(f *os.File, runID string) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("%w by %s", ErrBusy, holder(f))
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

// holder answers what the one who has the lock wrote into it: for a moment after the lock was taken that is nothing.
func holder(f *os.File) string {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 1024))
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if err != nil || lines[0] == "" {
		return "another run"
	}
	return strings.Join(lines, ", ")
}

// File answers the locked file; a process that inherits it keeps the lock until it ends.
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
