package workspace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Install is one command that prepares the workspace, in the virtual environment Venv if that is not "".
type Install struct {
	Venv    string
	Command string
}

// InstallOptions say what to install and how.
type InstallOptions struct {
	Installs []Install
	Force    bool              // also what has not changed since it was installed
	Output   func(line string) // what the commands write, live and not masked; may be nil
	Environ  []string          // "K=V" of the commands; nothing is inherited
	Python   string            // name or path of the interpreter for new virtual environments; default python3
}

// InstallStatus is how an install ended.
type InstallStatus string

// The ways in which an install ends.
const (
	InstallDone      InstallStatus = "done"
	InstallUnchanged InstallStatus = "unchanged"
	InstallFailed    InstallStatus = "failed"
)

// InstallStep is the result of one install.
type InstallStep struct {
	Venv    string        `json:"venv,omitempty" yaml:"venv,omitempty"`
	Command string        `json:"command" yaml:"command"`
	Status  InstallStatus `json:"status" yaml:"status"`
}

// InstallResult has a step for each install that was reached.
type InstallResult struct {
	Steps []InstallStep `json:"steps" yaml:"steps"`
}

// InstallError is an install that failed. Tail and the message are not masked.
type InstallError struct {
	Venv    string
	Command string
	Code    int      // exit code; 128 + the signal when it died by one; -1 when it did not start
	Tail    []string // the last lines that it wrote
	Err     error
}

// Error implements error.
func (e *InstallError) Error() string {
	where := ""
	if e.Venv != "" {
		where = fmt.Sprintf(" (venv %s)", e.Venv)
	}
	return fmt.Sprintf("install %q%s: %v%s", e.Command, where, e.Err, quoteTail(e.Tail))
}

// Unwrap answers the reason.
func (e *InstallError) Unwrap() error { return e.Err }

func quoteTail(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return "\n  | " + strings.Join(lines, "\n  | ")
}

// Install runs the installs in order and stops at the first that fails, with an *InstallError. Virtual environments are
// made on demand. What was installed before in the same way is skipped, unless Force. When ctx ends, the running
// command gets SIGTERM, SIGKILL after 10 s. The caller holds the Lock.
func (w *Workspace) Install(ctx context.Context, o InstallOptions) (InstallResult, error) {
	var result InstallResult
	for _, in := range o.Installs {
		if err := ValidVenv(in.Venv); in.Venv != "" && err != nil {
			return result, err
		}
	}
	if err := os.MkdirAll(w.state(), 0o700); err != nil {
		return result, fmt.Errorf("install: %w", err)
	}
	i := &installer{w: w, o: o, stamps: w.readStamps(), chains: map[string]*chain{}, killAfter: killAfter}
	for _, in := range o.Installs {
		status, err := i.install(ctx, in)
		result.Steps = append(result.Steps, InstallStep{in.Venv, in.Command, status})
		if err != nil {
			return result, err
		}
	}
	return result, nil
}

// ValidVenv answers an error if name cannot be the name of a virtual environment: it is a folder of the workspace.
func ValidVenv(name string) error {
	switch {
	case name == "":
		return errors.New("a venv needs a name")
	case strings.HasPrefix(name, "."), strings.ContainsAny(name, "/\\:\x00\n"):
		return fmt.Errorf(`venv %q: a name has no "/", "\", ":" and does not begin with "."`, name)
	case slices.Contains([]string{filesName, artifactsName}, strings.ToLower(name)):
		return fmt.Errorf("venv %q: the workspace has a folder of that name for itself", name)
	}
	return nil
}

type installer struct {
	w         *Workspace
	o         InstallOptions
	stamps    stamps
	chains    map[string]*chain // by venv
	killAfter time.Duration
}

func (i *installer) install(ctx context.Context, in Install) (InstallStatus, error) {
	c, err := i.chain(ctx, in.Venv)
	if err != nil {
		return InstallFailed, &InstallError{Venv: in.Venv, Command: in.Command, Code: -1, Err: err}
	}
	done := i.stamps[in.Venv]
	inputs, hashable := i.w.inputs(in.Command)
	link := c.add(in.Command, inputs, hashable)
	if !i.o.Force && link.stable && len(done) > link.index && done[link.index] == link.hash {
		return InstallUnchanged, nil
	}
	// From here on the later installs of this venv have to run again, also when this one fails.
	i.stamps[in.Venv] = done[:min(len(done), link.index)]
	if err := i.w.writeStamps(i.stamps); err != nil {
		return InstallFailed, err
	}
	if err := i.run(ctx, in); err != nil {
		return InstallFailed, err
	}
	i.stamps[in.Venv] = append(i.stamps[in.Venv], link.hash)
	return InstallDone, i.w.writeStamps(i.stamps)
}

// run runs one command through the shell.
func (i *installer) run(ctx context.Context, in Install) error {
	environ := i.o.Environ
	command := in.Command
	if in.Venv != "" {
		environ = ActivateEnv(i.w.Venv(in.Venv), environ)
		if find(i.o.Environ, "uv") != "" && plainPip(command) {
			command = "uv " + strings.TrimSpace(command)
		}
	}
	c := i.child(append(without(environ, "PIP_DISABLE_PIP_VERSION_CHECK"), "PIP_DISABLE_PIP_VERSION_CHECK=1"), shell(), "-c", command)
	if err := c.run(ctx); err != nil {
		return &InstallError{Venv: in.Venv, Command: in.Command, Code: exitCode(err), Tail: c.tail, Err: describe(err)}
	}
	return nil
}

func (i *installer) child(environ []string, args ...string) *child {
	return &child{args: args, dir: i.w.dir, environ: environ, output: i.o.Output, killAfter: i.killAfter}
}

// shell answers bash where there is one, since that is what install commands have been written for.
func shell() string {
	if _, err := os.Stat("/bin/bash"); err == nil {
		return "/bin/bash"
	}
	return "/bin/sh"
}

// exitCode answers the code of an error as a shell would.
func exitCode(err error) int {
	e, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return -1
	}
	if s, ok := e.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return 128 + int(s.Signal())
	}
	return e.ExitCode()
}

// describe says how a program ended in our own words.
func describe(err error) error {
	e, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return err
	}
	if s, ok := e.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return fmt.Errorf("killed by signal %d (%s)", s.Signal(), s.Signal())
	}
	return fmt.Errorf("exit code %d", e.ExitCode())
}
