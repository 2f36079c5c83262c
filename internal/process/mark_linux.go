package process

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

func newMark() mark {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return marked | mark(binary.LittleEndian.Uint64(b[:])&(uint64(marked)-1))>>commandBits<<commandBits
}

// forking is held while this process wears the mark of another one that it starts: a limit belongs to the whole process.
var forking sync.Mutex

// withMark calls start, which starts a process, so that the process wears m.
func withMark(m mark, start func()) {
	forking.Lock()
	defer forking.Unlock()
	defer setMark(m)()
	start()
}

// setMark makes m the mark of this process; the result undoes it.
func setMark(m mark) func() {
	var old unix.Rlimit
	if m == 0 || unix.Prlimit(0, unix.RLIMIT_LOCKS, nil, &old) != nil || old.Max < uint64(m) {
		return func() {}
	}
	_ = unix.Prlimit(0, unix.RLIMIT_LOCKS, &unix.Rlimit{Cur: uint64(m), Max: old.Max}, nil)
	return func() { _ = unix.Prlimit(0, unix.RLIMIT_LOCKS, &old, nil) }
}

// workingMark returns a new mark, or 0 where there can be none: the limit was lowered, or /proc does not show it.
func workingMark() mark {
	m := newMark()
	seen := mark(0)
	withMark(m, func() { seen = ownMark() })
	if seen != m {
		return 0
	}
	return m
}

// Leave takes this process, and those that it will start, out of the run that it was started by: the end of that run is not
// theirs. It is for what is meant to go on, such as a job.
func Leave() {
	var l unix.Rlimit
	if unix.Prlimit(0, unix.RLIMIT_LOCKS, nil, &l) == nil {
		l.Cur = l.Max
		_ = unix.Prlimit(0, unix.RLIMIT_LOCKS, &l, nil)
	}
}

// readMark returns the mark of a process, 0 where it has none or cannot be looked at.
func readMark(pid int) mark {
	var buf [2048]byte
	b, _ := readProc(pid, "/limits", buf[:])
	_, after, ok := bytes.Cut(b, []byte("\nMax file locks"))
	if !ok {
		return 0
	}
	if f := bytes.Fields(after[:min(len(after), 64)]); len(f) > 0 {
		if m := mark(number(f[0])); m >= marked && m < marked<<1 {
			return m
		}
	}
	return 0
}

// ownMark returns the mark that this process was started with.
func ownMark() mark { return readMark(os.Getpid()) }
