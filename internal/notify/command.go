package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// command runs a script of /bin/sh, which gets the record on its standard input. The script comes by a pipe, since a secret may be
// in it. Nothing of its process group is left when it returns.
func (s Sender) command(ctx context.Context, script string, m Message, record []byte) error {
	reads, writes, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reads.Close() // read only
	go func() {
		_, _ = writes.WriteString("exec 3<&-; " + script + "\n") // it fails where the shell does not run any more
		_ = writes.Close()
	}()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", ". /dev/fd/3", "/bin/sh")
	var said tail
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(record), &said, &said
	cmd.Dir, cmd.ExtraFiles = s.Dir, []*os.File{reads}
	cmd.Env = append(append([]string{}, s.Environ...), m.environ()...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return nil
	}
	if last := said.last(); last != "" {
		return fmt.Errorf("the command failed: %w: %s", err, last)
	}
	return fmt.Errorf("the command failed: %w", err)
}

// environ tells a command what has happened.
func (m Message) environ() []string {
	env := []string{
		"HANDOFF_EVENT=" + string(m.Event), "HANDOFF_EVENT_ID=" + m.ID, "HANDOFF_TITLE=" + m.Title, "HANDOFF_TEXT=" + m.Text(),
		"HANDOFF_RESOURCE_GROUP=" + m.ResourceGroup, "HANDOFF_TASK=" + m.Task, "HANDOFF_CLIENT=" + m.Client, "HANDOFF_STAGE=" + m.EnvStage,
		"HANDOFF_RUN_ID=" + m.Run,
	}
	for i := range env {
		env[i] = strings.ReplaceAll(env[i], "\x00", "")
	}
	return env
}

// tail keeps the last KiB that a command has said.
type tail struct{ text []byte }

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	const most = 1 << 10
	t.text = append(t.text, p...)
	t.text = t.text[max(len(t.text)-most, 0):]
	return len(p), nil
}

// last is its last line.
func (t *tail) last() string {
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	return cut(lines[len(lines)-1], 200)
}
