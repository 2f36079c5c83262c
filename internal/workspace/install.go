package workspace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	Force    bool              // make each virtual environment anew, and run what has not changed
	Output   func(line string) // what the commands write, live and not masked; may be nil
	Environ  []string          // "K=V" of the commands; nothing is inherited
	Python   string            // name or path of the interpreter for new virtual environments; default python3
	VenvDir  string            // folder of the virtual environments; default: the workspace

	// Starting calls start, which starts one process; nil: nobody wants to know of it.
	Starting func(start func() error) error
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

// Unwrap returns the reason.
func (e *InstallError) Unwrap() error { return e.Err }

func quoteTail(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return "\n  | " + strings.Join(lines, "\n  | ")
}

// Install runs the installs in order and stops at the first that fails, with an *InstallError. A virtual environment is
// always what its installs make of a new one: it is made on demand, and anew when it is not whole or when an install of
// it has changed. What was installed before in the same way is skipped, unless Force. When ctx ends, the running
// command gets SIGTERM, SIGKILL after 10 s. The caller holds the Lock.
func (w *Workspace) Install(ctx context.Context, o InstallOptions) (InstallResult, error) {
	var result InstallResult
	for _, in := range o.Installs {
		if err := ValidVenv(in.Venv); in.Venv != "" && err != nil {
			return result, err
		}
	}
	i := w.installer(o)
	for _, dir := range []string{w.state(), filepath.Join(i.place, stateName)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return result, fmt.Errorf("install: %w", err)
		}
	}
	for _, in := range o.Installs {
		status, err := i.install(ctx, in)
		result.Steps = append(result.Steps, InstallStep{in.Venv, in.Command, status})
		if err != nil {
			return result, err
		}
	}
	return result, i.settle()
}

// ValidVenv returns an error if name cannot be the name of a virtual environment: it is a folder of the workspace.
func ValidVenv(name string) error {
	switch {
	case name == "":
		return errors.New("a venv needs a name")
	case strings.HasPrefix(name, "."), strings.ContainsAny(name, "/\\:\x00\n"):
		return fmt.Errorf(`venv %q: a name must not contain "/", "\" or ":" or begin with "."`, name)
	case slices.Contains([]string{filesName, artifactsName}, strings.ToLower(name)):
		return fmt.Errorf("venv %q: the workspace has a folder of that name for itself", name)
	}
	return nil
}

type installer struct {
	w         *Workspace
	o         InstallOptions
	place     string            // folder of the virtual environments
	stamps    map[string]*stamp // of the venvs that were opened; "": the installs without one
	next      map[string]int    // which of its installs is the next, by venv
	ran       bool              // anything
	found     python
	killAfter time.Duration
}

func (w *Workspace) installer(o InstallOptions) *installer {
	return &installer{
		w: w, o: o, place: cmp.Or(o.VenvDir, w.dir), stamps: map[string]*stamp{}, next: map[string]int{}, killAfter: killAfter,
	}
}

func (i *installer) install(ctx context.Context, in Install) (InstallStatus, error) {
	s, err := i.open(ctx, in.Venv)
	if err != nil {
		return InstallFailed, &InstallError{Venv: in.Venv, Command: in.Command, Code: -1, Err: err}
	}
	at := i.next[in.Venv]
	i.next[in.Venv]++
	if at < len(s.Done) {
		return InstallUnchanged, nil
	}
	file := i.stampFile(in.Venv)
	link := i.link(in.Command)
	i.ran, s.Open = true, true
	if err := s.write(file); err != nil {
		return InstallFailed, err
	}
	if err := i.run(ctx, in); err != nil {
		return InstallFailed, err
	}
	if err := flush(filepath.Dir(file)); err != nil { // a stamp that outlives a crash must not speak of files that did not
		return InstallFailed, fmt.Errorf("write installs to the disk: %w", err)
	}
	s.Done = append(s.Done, done{Command: in.Command, Hash: link.hash})
	s.Open = len(s.Done) < i.count(in.Venv)
	return InstallDone, s.write(file)
}

// count returns how many installs a venv has.
func (i *installer) count(venv string) int {
	n := 0
	for _, in := range i.o.Installs {
		if in.Venv == venv {
			n++
		}
	}
	return n
}

// open returns the stamp of a venv, which then exists, with the installs that need not run again.
func (i *installer) open(ctx context.Context, venv string) (*stamp, error) {
	if s := i.stamps[venv]; s != nil {
		return s, nil
	}
	s, err := i.begin(ctx, venv)
	if err != nil {
		return nil, err
	}
	i.stamps[venv] = s
	return s, nil
}

func (i *installer) begin(ctx context.Context, venv string) (*stamp, error) {
	if venv == "" {
		return i.beginPlain(), nil
	}
	s, err := i.look(ctx, venv)
	switch {
	case errors.Is(err, errNoVenv):
		return nil, err
	case err != nil || i.o.Force:
	case s == nil:
		return i.adopt(ctx, venv)
	default:
		n, clean, _ := s.keeps(i.links(venv))
		if s.Adopted || clean && !s.Open {
			s.Done = s.Done[:n]
			return s, nil
		}
	}
	if s, err = i.makeVenv(ctx, venv); err != nil {
		return nil, fmt.Errorf("create venv %q: %w", venv, err)
	}
	return s, nil
}

// beginPlain returns the stamp of the installs without a venv. They cannot be undone: from the first that has changed
// they run again.
func (i *installer) beginPlain() *stamp {
	s := readStamp(i.stampFile(""))
	if s == nil || s.Place != i.w.dir || i.o.Force {
		return &stamp{Place: i.w.dir}
	}
	n, _, _ := s.keeps(i.links(""))
	s.Done = s.Done[:n]
	return s
}

// settle notes how the installs, taken together, have left what they name.
func (i *installer) settle() error {
	if !i.ran {
		return nil
	}
	for venv, s := range i.stamps {
		for n, link := range i.links(venv) {
			s.Done[n].After = link.hash
		}
		if err := s.write(i.stampFile(venv)); err != nil {
			return err
		}
	}
	return nil
}

// run runs one command through the shell.
func (i *installer) run(ctx context.Context, in Install) error {
	environ := i.o.Environ
	command := in.Command
	if in.Venv != "" {
		environ = ActivateEnv(i.dir(in.Venv), venvEnviron(environ))
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
	return &child{args: args, dir: i.w.dir, environ: environ, output: i.o.Output, starting: i.o.Starting, killAfter: i.killAfter}
}

// shell returns bash where there is one, since that is what install commands have been written for.
func shell() string {
	if _, err := os.Stat("/bin/bash"); err == nil {
		return "/bin/bash"
	}
	return "/bin/sh"
}

// exitCode returns the code of an error as a shell would.
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
