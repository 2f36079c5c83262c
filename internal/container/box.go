package container

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// Box is a program that runs on this machine as it would in a container of an image, without an engine: it sees the unpacked files of
// the image, which it cannot change, and what is put over them.
type Box struct {
	Enter  []string  // the command that calls EnterBox
	Root   string    // folder with the files of the image: Rootfs
	Binds  []Bind    // put over them, in this order
	Args   []string  // the program, as its path in the box, and its arguments
	Env    []string  // "K=V"; nothing is inherited
	Stdin  io.Reader // nil: empty
	Output io.Writer // stdout and stderr
}

// Bind is a file or folder of this machine that is seen in a box.
type Bind struct {
	From string // absolute
	To   string // absolute, in the box; it is made where the image does not have it
	Keep bool   // it cannot be changed from within
}

// entry is what EnterBox is told.
type entry struct {
	Root  string
	Binds []Bind
	Args  []string
	Env   []string
}

// boxGrace is the time between SIGTERM and SIGKILL for a box whose context has ended. Everything in a box ends with it.
const boxGrace = 10 * time.Second

// ErrNoBox says that this machine does not let the caller make a box.
var ErrNoBox = errors.New("this machine does not let handoff unpack and enter an image by itself")

// Run runs the program to its end. An *exec.ExitError is that of the program, an ErrNoBox is for a machine that allows no boxes.
func (b Box) Run(ctx context.Context) error {
	told, err := json.Marshal(entry{Root: b.Root, Binds: b.Binds, Args: b.Args, Env: b.Env})
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := exec.CommandContext(ctx, b.Enter[0], b.Enter[1:]...) // #nosec G204 -- handoff itself
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = []string{}, b.Stdin, b.Output, b.Output, []*os.File{r}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = boxGrace
	isolate(cmd)
	if err := cmd.Start(); err != nil {
		_ = w.Close()
		return fmt.Errorf("%w: %w", ErrNoBox, err)
	}
	_, werr := io.Copy(w, bytes.NewReader(told))
	err = errors.Join(cmd.Wait(), w.Close())
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == exitNoBox {
		return ErrNoBox
	}
	return errors.Join(err, werr)
}

// exitNoBox is the exit code of EnterBox where it could not make the box.
const exitNoBox = 214
