package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
)

// lockFile takes a lock on the file at path, which it makes, and waits for it until ctx ends. The kernel frees the lock
// when its holder closes the file or dies.
func lockFile(ctx context.Context, path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(ctx, f, how); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// lock polls, since a wait in the kernel could not be cancelled, and a holder may be a process that someone has stopped.
// how is unix.LOCK_SH or unix.LOCK_EX.
func lock(ctx context.Context, f *os.File, how int) error {
	for wait := 100 * time.Microsecond; ; wait = min(2*wait, 10*time.Millisecond) {
		err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case !errors.Is(err, unix.EWOULDBLOCK):
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		if err := cloud.Sleep(ctx, wait); err != nil {
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
	}
}
