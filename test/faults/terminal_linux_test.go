package faults

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// terminal is the far end of a pseudo-terminal.
type terminal struct {
	*lab
	master *os.File

	mu   sync.Mutex
	seen strings.Builder
}

// terminal makes a new pseudo-terminal the controlling one of cmd and all its streams.
func (l *lab) terminal(cmd *exec.Cmd) *terminal {
	l.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		l.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		l.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		l.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		l.Fatal(err)
	}
	term := &terminal{lab: l, master: os.NewFile(uintptr(fd), "ptmx")}
	l.Cleanup(func() { slave.Close(); term.master.Close() })
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	go term.read()
	return term
}

func (t *terminal) read() {
	buf := make([]byte, 4096)
	for {
		n, err := t.master.Read(buf)
		t.mu.Lock()
		t.seen.Write(buf[:n])
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (t *terminal) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen.String()
}

func (t *terminal) write(s string) {
	t.Helper()
	if _, err := t.master.WriteString(s); err != nil {
		t.Fatal(err)
	}
}

func (t *terminal) close() { t.master.Close() }
