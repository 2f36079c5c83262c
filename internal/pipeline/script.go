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

// arguments is the command line that runs text. A script that contains a secret, or is too long for an argument,
// is handed over as file 3. It closes that file itself: its commands must neither see nor trip over it.
func arguments(c *plan.Command, text string) ([]string, *os.File, error) {
	if strings.ContainsRune(text, 0) {
		return nil, nil, errors.New("the command contains a NUL byte")
	}
	private := c.Private != nil && c.Private(text)
	if !private && len(text) <= maxArgument {
		return []string{c.Shell, "-c", text}, nil, nil
	}
	f, err := anonymousFile()
	if err != nil {
		return nil, nil, fmt.Errorf("create script file: %w", err)
	}
	_, err = f.WriteString("exec 3<&-; " + text + "\n")
	if err == nil {
		_, err = f.Seek(0, 0)
	}
	if err != nil {
		_ = f.Close()
		return nil, nil, fmt.Errorf("write script file: %w", err)
	}
	return []string{c.Shell, "-c", ". /dev/fd/3", c.Shell}, f, nil
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
