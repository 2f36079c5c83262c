package workspace

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLock(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(tempDir(t), "ws")
	w, err := Open("", dir)
	if err != nil {
		t.Fatal(err)
	}
	first, err := w.Lock("run-1")
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Lock("run-2")
	if !errors.Is(err, ErrBusy) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{fmt.Sprintf("pid %d", os.Getpid()), "run run-1", dir} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if busy, ok := errors.AsType[*BusyError](err); !ok || busy.Pid != os.Getpid() || busy.Dead() {
		t.Errorf("got %+v", busy)
	}
	if gone := (&BusyError{Pid: 1<<22 + 1}); !gone.Dead() { // more than the kernel ever gives
		t.Error("nobody is taken for somebody")
	}
	if unknown := (&BusyError{}); unknown.Dead() {
		t.Error("who is not known is taken for dead")
	}
	for range 2 {
		if err := first.Release(); err != nil {
			t.Error(err)
		}
	}
	second, err := w.Lock("run-3")
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Release(); err != nil {
		t.Error(err)
	}
}

func TestLockTenAtOnce(t *testing.T) {
	t.Parallel()
	w := open(t, "", tempDir(t))
	var got atomic.Int32
	var wg sync.WaitGroup
	locks := make([]*Lock, 10)
	for i := range locks {
		wg.Go(func() {
			l, err := w.Lock(fmt.Sprint(i))
			switch {
			case err == nil:
				got.Add(1)
			case !errors.Is(err, ErrBusy):
				t.Error(err)
			}
			locks[i] = l
		})
	}
	wg.Wait()
	if got.Load() != 1 {
		t.Errorf("%d have the lock", got.Load())
	}
	for _, l := range locks {
		if err := l.Release(); err != nil {
			t.Error(err)
		}
	}
}

func TestLockIsNotInherited(t *testing.T) {
	t.Parallel()
	l, err := open(t, "", tempDir(t)).Lock("r")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	flags, err := unix.FcntlInt(l.File().Fd(), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %x, %v", flags, err)
	}
}

// Whoever is given the file keeps the workspace, until Release or its own end.
func TestLockOfAnotherProcess(t *testing.T) {
	t.Parallel()
	w := open(t, "", tempDir(t))
	l, err := w.Lock("run-1")
	if err != nil {
		t.Fatal(err)
	}
	keeper := exec.Command("/bin/cat")
	keeper.ExtraFiles = []*os.File{l.File()}
	stdin, err := keeper.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := keeper.Start(); err != nil {
		t.Fatal(err)
	}
	// As if this process had been killed.
	if err := l.File().Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Lock("run-2"); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v", err)
	}
	stdin.Close()
	if err := keeper.Wait(); err != nil {
		t.Fatal(err)
	}
	l, err = w.Lock("run-3")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
}
