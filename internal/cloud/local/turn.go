package local

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// What jobs of a home do by turns. Many that come up in one second, or end in one, cost twice the processor time when all do it
// at once.
const (
	turnStart = "start"
	turnEnd   = "end"
)

// inLine is how long a job waits for its turn. It goes on without one then: who has the turn may be stopped, or hang.
const inLine = time.Second

// turn waits until fewer jobs of the home than the machine has processors do what, or for inLine, and returns what gives the
// turn back. A process that ends gives it back, too.
func (h *Home) turn(what string) (done func()) {
	return takeTurn(filepath.Join(h.dir, "turns"), what, runtime.NumCPU(), inLine)
}

func takeTurn(dir, what string, turns int, most time.Duration) (done func()) {
	nothing := func() {}
	for n := range turns {
		f, err := openTurn(dir, what, n)
		if err != nil {
			return nothing // a job does not depend on it
		}
		if flock(f, unix.LOCK_EX|unix.LOCK_NB) == nil {
			return func() { _ = f.Close() }
		}
		_ = f.Close()
	}
	f, err := openTurn(dir, what, os.Getpid()%turns)
	if err != nil {
		return nothing
	}
	got, over := make(chan struct{}), make(chan struct{})
	go func() {
		_ = flock(f, unix.LOCK_EX) // it may last: this goroutine closes what nobody waits for any more
		select {
		case got <- struct{}{}:
		case <-over:
			_ = f.Close()
		}
	}()
	select {
	case <-got:
		return func() { _ = f.Close() }
	case <-time.After(most):
		close(over)
		return nothing
	}
}

func openTurn(dir, what string, n int) (*os.File, error) {
	path := filepath.Join(dir, fmt.Sprintf("%s-%d", what, n))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if os.IsNotExist(err) {
		if err = os.Mkdir(dir, 0o700); err == nil || os.IsExist(err) {
			f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		}
	}
	return f, err
}
