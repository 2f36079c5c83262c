package pipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

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
	env := inFolder(merge(e.o.Environ, c.Env), e.dir)
	e.envs[c] = env
	return env
}

// inFolder says in PWD, as shells do, in which folder a command runs. A name for it that is there already stays, be it one
// through a link.
func inFolder(env []string, dir string) []string {
	here, err := os.Stat(dir)
	if err != nil {
		return env
	}
	if pwd, ok := lookup(env, "PWD"); ok && filepath.IsAbs(pwd) {
		if there, err := os.Stat(pwd); err == nil && os.SameFile(here, there) {
			return env
		}
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil || !filepath.IsAbs(dir) {
		return env
	}
	return merge(env, []string{"PWD=" + dir})
}

// lookup returns the value of a variable that env has once.
func lookup(env []string, name string) (string, bool) {
	for _, kv := range env {
		if key, value, _ := strings.Cut(kv, "="); key == name {
			return value, true
		}
	}
	return "", false
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
	path, _ := lookup(env, "PATH")
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, shell)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", fmt.Errorf("shell %q is not in PATH: %w", shell, fs.ErrNotExist)
}

// program finds what a shell would start for words. It is not ok where only the shell itself knows: for an unusual PATH, a
// file that cannot be executed, and variables that make another program of bash.
func program(words, env []string) (path string, ok bool) {
	if len(words) == 0 || slices.ContainsFunc(env, changesBash) {
		return "", false
	}
	if strings.ContainsRune(words[0], '/') {
		return words[0], true
	}
	list, _ := lookup(env, "PATH")
	for dir := range strings.SplitSeq(list, ":") {
		if !strings.HasPrefix(dir, "/") || strings.ContainsRune(dir, '%') { // dash reads more than a name behind %
			return "", false
		}
		path = dir + "/" + words[0]
		switch info, err := os.Stat(path); {
		case err == nil:
			return path, info.Mode().IsRegular() && canExecute(path)
		case !errors.Is(err, syscall.ENOENT) && !errors.Is(err, syscall.ENOTDIR):
			return "", false
		}
	}
	return "", false
}

// changesBash reports variables from which bash takes functions, options and files to read.
func changesBash(kv string) bool {
	for _, name := range []string{"BASH_ENV=", "BASH_FUNC_", "BASHOPTS=", "SHELLOPTS=", "EXECIGNORE="} {
		if strings.HasPrefix(kv, name) {
			return true
		}
	}
	return false
}

// canExecute reports whether this process may execute a file, as its user is now.
func canExecute(path string) bool {
	return unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS) == nil
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
