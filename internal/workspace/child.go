package workspace

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	killAfter = 10 * time.Second // from SIGTERM to SIGKILL
	linger    = 2 * time.Second  // for what a command leaves behind with its output still open
	tailLines = 20
	maxLine   = 64 << 10 // a longer line is shown in pieces
)

// child is a program that runs to its end in its own process group.
type child struct {
	args    []string
	dir     string
	environ []string
	output  func(line string) // both streams, line by line; may be nil

	starting  func(start func() error) error
	killAfter time.Duration
	tail      []string // the last lines that it wrote
}

// run returns an *exec.ExitError when the program ends without success, and the cause of ctx when that ended it. When
// it returns, no process of the group is left.
func (c *child) run(ctx context.Context) error {
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(c.args[0], c.args[1:]...)
	cmd.Dir, cmd.Env = c.dir, c.environ
	cmd.Stdout, cmd.Stderr = in, in
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if ctx.Err() != nil {
		in.Close()
		return context.Cause(ctx)
	}
	if c.starting == nil {
		err = cmd.Start()
	} else {
		err = c.starting(cmd.Start)
	}
	in.Close()
	if err != nil {
		return err
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		c.read(out)
	}()
	return c.wait(ctx, cmd, out, read)
}

// wait ends the group when ctx is done, and when only what the leader left behind still runs.
func (c *child) wait(ctx context.Context, cmd *exec.Cmd, out *os.File, read <-chan struct{}) error {
	group := -cmd.Process.Pid
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	interrupted, patience := false, linger
	select {
	case err = <-ended:
	case <-ctx.Done():
		interrupted, patience = true, c.killAfter
		_ = syscall.Kill(group, syscall.SIGTERM)
		kill := time.AfterFunc(c.killAfter, func() { _ = syscall.Kill(group, syscall.SIGKILL) })
		err = <-ended
		kill.Stop()
	}
	// The end of the output tells that all of the group are gone, or have nothing to say any more.
	within(read, patience)
	_ = syscall.Kill(group, syscall.SIGKILL)
	// A process that made a group of its own may still have the pipe.
	if !within(read, linger) {
		out.Close()
		<-read
	}
	if interrupted {
		return context.Cause(ctx)
	}
	return err
}

// within reports whether done is closed in time.
func within(done <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

func (c *child) read(out io.Reader) {
	r := bufio.NewReaderSize(out, maxLine)
	for {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			c.line(strings.TrimRight(string(line), "\r\n"))
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func (c *child) line(s string) {
	if len(c.tail) == tailLines {
		c.tail = c.tail[1:]
	}
	c.tail = append(c.tail, s)
	if c.output != nil {
		c.output(s)
	}
}
