package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/handoff-run/handoff/internal/plan"
)

// maxArgument is the longest script that is passed as an argument; Linux takes 128 KiB.
const maxArgument = 100 << 10

// arguments is the command line that runs a script. A script that contains a secret, or is too long for an argument,
// is handed over as file 3. It closes that file itself: its commands must neither see nor trip over it.
func arguments(c *plan.Command, script plan.Script) ([]string, *os.File, error) {
	text := script.Text
	if strings.ContainsRune(text, 0) {
		return nil, nil, errors.New("the command contains a NUL byte")
	}
	if !script.Private && len(text) <= maxArgument {
		return []string{c.Shell, "-c", text}, nil, nil
	}
	reads, closes, ok := handOver(c.Shell)
	if !ok {
		return nil, nil, fmt.Errorf("a script that has a secret in it, or more than %d KiB, cannot be handed to %q: "+
			"put the secret into an environment variable (envs), the script into a file below files/", maxArgument>>10, c.Shell)
	}
	f, err := anonymousFile()
	if err != nil {
		return nil, nil, fmt.Errorf("create script file: %w", err)
	}
	_, err = f.WriteString(closes + text + "\n")
	if err == nil {
		_, err = f.Seek(0, 0)
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, fmt.Errorf("write script file: %w", err)
	}
	return append([]string{c.Shell, "-c"}, reads...), f, nil
}

// handOver is how a shell reads its program from file 3: its arguments after -c, and what the program begins with. It is
// not ok for a shell of which nobody knows that.
func handOver(shell string) (reads []string, closes string, ok bool) {
	switch name := filepath.Base(shell); {
	case slices.Contains([]string{"sh", "dash", "bash", "rbash", "ash", "busybox", "zsh", "ksh", "ksh93", "mksh", "yash"}, name):
		return []string{". /dev/fd/3", shell}, "exec 3<&-; ", true
	case strings.HasPrefix(name, "python"), strings.HasPrefix(name, "pypy"):
		return []string{`exec(compile(open(3, encoding="utf-8").read(), "<string>", "exec"))`}, "", true
	}
	return nil, "", false
}

// environ is the environment of a command: its own entries win over the base. The bodies of a foreach share it.
func (e *Engine) environ(c *plan.Command) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if env, ok := e.envs[c]; ok {
		return env
	}
	env := merge(e.o.Environ, c.Env)
	e.envs[c] = env
	return env
}

// merge keeps the last entry of every name.
func merge(lists ...[]string) []string {
	seen := map[string]bool{}
	var out []string
	for _, kv := range slices.Backward(slices.Concat(lists...)) {
		name, _, _ := strings.Cut(kv, "=")
		if !seen[name] {
			seen[name] = true
			out = append(out, kv)
		}
	}
	slices.Reverse(out)
	return out
}

// lookPath finds a shell by name in the PATH of the command, not in that of handoff.
func lookPath(shell string, env []string) (string, error) {
	if strings.ContainsRune(shell, '/') {
		return shell, nil
	}
	for _, kv := range env {
		path, ok := strings.CutPrefix(kv, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(path) {
			file := filepath.Join(dir, shell)
			if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return file, nil
			}
		}
	}
	return "", fmt.Errorf("shell %q is not in PATH: %w", shell, fs.ErrNotExist)
}

// unlinkedFile is readable by its owner only (os.CreateTemp sees to that) and has no name any more.
func unlinkedFile() (*os.File, error) {
	f, err := os.CreateTemp("", "script")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
