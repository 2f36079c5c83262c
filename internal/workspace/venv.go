package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const defaultPython = "python3"

func (i *installer) python() string {
	if i.o.Python != "" {
		return i.o.Python
	}
	return defaultPython
}

// makeVenv makes a virtual environment unless it is there. What a killed handoff left half made is made again; a folder
// that is no virtual environment is never touched.
func (i *installer) makeVenv(ctx context.Context, name string) error {
	dir := i.w.Venv(name)
	mark := filepath.Join(i.w.state(), "making-"+name)
	if _, err := os.Lstat(mark); err == nil {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove half-made venv %q: %w", name, err)
		}
	}
	usable, err := usableVenv(dir)
	if usable || err != nil {
		return err
	}
	delete(i.stamps, name)
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		return fmt.Errorf("create venv %q: %w", name, err)
	}
	if err := i.createVenv(ctx, dir); err != nil {
		err = fmt.Errorf("create venv %q: %w", name, err)
		return errors.Join(err, os.RemoveAll(dir), os.Remove(mark))
	}
	return os.Remove(mark)
}

// usableVenv reports whether dir is a virtual environment that works. Only one that does not, or nothing at all, may be
// replaced: for anything else it answers an error.
func usableVenv(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if _, err := os.Stat(filepath.Join(dir, "pyvenv.cfg")); err != nil {
		return false, fmt.Errorf("%s exists and is not a virtual environment", dir)
	}
	// The link leads nowhere when the interpreter that made it has been removed.
	if _, err := os.Stat(filepath.Join(dir, "bin", "python")); err != nil {
		return false, os.RemoveAll(dir)
	}
	return true, nil
}

func (i *installer) createVenv(ctx context.Context, dir string) error {
	var args []string
	if uv := find(i.o.Environ, "uv"); uv != "" {
		args = []string{uv, "venv", "--seed"}
		if i.o.Python != "" {
			args = append(args, "--python", i.o.Python)
		}
	} else if python := find(i.o.Environ, i.python()); python != "" {
		args = []string{python, "-m", "venv"}
	} else {
		return fmt.Errorf("no program %q in PATH", i.python())
	}
	c := i.child(without(i.o.Environ, "VIRTUAL_ENV", "PYTHONHOME"), append(args, dir)...)
	if err := c.run(ctx); err != nil {
		return fmt.Errorf("%s: %w%s", strings.Join(c.args, " "), describe(err), quoteTail(c.tail))
	}
	return nil
}

// plainPip reports whether command is one `pip install` with nothing in it that is for a shell, and only options that
// uv understands too.
func plainPip(command string) bool {
	if strings.ContainsAny(command, "|&;<>()$`\\\"'*?[]{}#~!\n") {
		return false
	}
	words := strings.Fields(command)
	if len(words) < 3 || words[0] != "pip" || words[1] != "install" {
		return false
	}
	known := []string{"-r", "--requirement", "-c", "--constraint", "-e", "--editable", "-U", "--upgrade", "-q", "--quiet",
		"--no-deps", "--pre", "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-cache-dir"}
	return !slices.ContainsFunc(words[2:], func(word string) bool {
		option, _, _ := strings.Cut(word, "=")
		return strings.HasPrefix(word, "-") && !slices.Contains(known, option)
	})
}
