package workspace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

var errNoVenv = errors.New("is not a virtual environment")

// dir returns the folder of a venv.
func (i *installer) dir(venv string) string { return filepath.Join(i.place, venv) }

// mark returns the file that is there while a venv is being made.
func (i *installer) mark(venv string) string {
	return filepath.Join(i.place, stateName, "making-"+venv)
}

// look returns the stamp of a virtual environment that works, nil if it has none. The error says why it does not work;
// it is fs.ErrNotExist where there is nothing, and errNoVenv for a folder that is something else.
func (i *installer) look(ctx context.Context, venv string) (*stamp, error) {
	dir := i.dir(venv)
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) == 0 {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	if exists(i.mark(venv)) {
		return nil, errors.New("it is not finished: handoff was killed while it made it")
	}
	if !exists(filepath.Join(dir, "pyvenv.cfg")) {
		return nil, fmt.Errorf("%s exists and %w", dir, errNoVenv)
	}
	now, err := i.parts(dir)
	if err != nil {
		return nil, err
	}
	if s := readStamp(i.stampFile(venv)); s != nil {
		return s, i.same(ctx, s, dir, now)
	}
	return nil, i.foreign(ctx, dir)
}

// parts returns the interpreter of a venv, or what the venv lacks.
func (i *installer) parts(dir string) (binary, error) {
	path := filepath.Join(dir, "bin", "python")
	now, err := binaryOf(path)
	if err != nil {
		return now, fmt.Errorf("its Python (%s) is gone", farthest(path))
	}
	if home := configOf(dir)["home"]; home != "" && !exists(home) {
		return now, fmt.Errorf("its Python (in %s) is gone", home)
	}
	if packages, _ := filepath.Glob(filepath.Join(dir, "lib", "*", "site-packages")); len(packages) == 0 {
		return now, errors.New("its packages (lib/*/site-packages) are gone")
	}
	return now, nil
}

// farthest follows the links of path as far as they lead.
func farthest(path string) string {
	for range maxLinks {
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return path
}

// same compares a venv with its stamp.
func (i *installer) same(ctx context.Context, s *stamp, dir string, now binary) error {
	if real, err := filepath.EvalSymlinks(dir); err != nil || real != s.Place {
		return fmt.Errorf("it was made in %s, and a virtual environment cannot be moved", s.Place)
	}
	if now == s.Binary {
		return nil
	}
	py, err := i.ask(ctx, filepath.Join(dir, "bin", "python"))
	switch {
	case err != nil:
		return fmt.Errorf("its Python does not start: %v", err)
	case py.Version != s.Python.Version:
		return fmt.Errorf("its Python is version %s now, and was %s when it was made", py.Version, s.Python.Version)
	}
	return nil
}

// foreign checks a venv that handoff has not made.
func (i *installer) foreign(ctx context.Context, dir string) error {
	if from := madeIn(dir); from != "" && !sameFile(from, dir) {
		return fmt.Errorf("it was made in %s, and a virtual environment cannot be moved", from)
	}
	config := configOf(dir)
	was := python{Version: config["version"]}
	if was.Version == "" {
		was.Version = config["version_info"]
	}
	py, err := i.ask(ctx, filepath.Join(dir, "bin", "python"))
	switch {
	case err != nil:
		return fmt.Errorf("its Python does not start: %v", err)
	case was.Version != "" && py.minor() != was.minor():
		return fmt.Errorf("its Python is version %s now, and was %s when it was made", py.Version, was.Version)
	}
	return nil
}

// configOf reads pyvenv.cfg.
func configOf(dir string) map[string]string {
	text, _ := os.ReadFile(filepath.Join(dir, "pyvenv.cfg")) // without it nothing is known
	config := map[string]string{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, "=")
		config[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
	}
	return config
}

var activated = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?m)^\s*(?:export )?VIRTUAL_ENV=["']?(/[^"'\n]+)`) })

// madeIn returns the folder for which a venv was made, "" if that is not known.
func madeIn(dir string) string {
	if configOf(dir)["relocatable"] == "true" {
		return ""
	}
	text, _ := os.ReadFile(filepath.Join(dir, "bin", "activate"))
	if m := activated().FindSubmatch(text); m != nil {
		return string(m[1])
	}
	return ""
}

// makeVenv makes a virtual environment in the place of what is there, and its stamp, which is open.
func (i *installer) makeVenv(ctx context.Context, venv string) (*stamp, error) {
	py, err := i.wanted(ctx)
	if err != nil {
		return nil, err
	}
	dir := i.dir(venv)
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real // a person has put it elsewhere
	}
	mark := i.mark(venv)
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		return nil, err
	}
	if err := removeTree(dir); err != nil {
		return nil, err
	}
	s, err := i.fill(ctx, venv, dir, py)
	if err != nil {
		return nil, errors.Join(err, removeTree(dir), os.Remove(mark))
	}
	return s, os.Remove(mark)
}

func (i *installer) fill(ctx context.Context, venv, dir string, py python) (*stamp, error) {
	if err := i.createVenv(ctx, dir, py); err != nil {
		return nil, err
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	s := &stamp{Place: real, Python: py, Open: true}
	program := filepath.Join(dir, "bin", "python")
	if s.Binary, err = binaryOf(program); err != nil {
		return nil, err
	}
	if py.Path == "" {
		if s.Python, err = i.ask(ctx, program); err != nil {
			return nil, err
		}
	}
	// A pip.conf of the person may send packages elsewhere; that of the venv takes this back, and only this.
	const conf = "[global]\nuser =\ntarget =\nprefix =\nroot =\n\n[install]\nuser =\ntarget =\nprefix =\nroot =\n"
	if err := os.WriteFile(filepath.Join(dir, "pip.conf"), []byte(conf), 0o600); err != nil {
		return nil, err
	}
	return s, s.write(i.stampFile(venv))
}

func (i *installer) createVenv(ctx context.Context, dir string, py python) error {
	args := []string{py.Path, "-m", "venv"}
	if uv := find(i.o.Environ, "uv"); uv != "" {
		args = []string{uv, "venv", "--seed"}
		if py.Path != "" {
			args = append(args, "--python", py.Path)
		} else if request := cmp.Or(i.o.Python, lookup(i.o.Environ, "UV_PYTHON")); request != "" {
			args = append(args, "--python", request)
		}
	}
	c := i.child(venvEnviron(i.o.Environ), append(args, dir)...)
	if err := c.run(ctx); err != nil {
		return fmt.Errorf("%s: %w%s", strings.Join(c.args, " "), describe(err), quoteTail(c.tail))
	}
	return nil
}

// adopt writes a stamp for a virtual environment that somebody else has made.
func (i *installer) adopt(ctx context.Context, venv string) (*stamp, error) {
	dir := i.dir(venv)
	s := &stamp{Adopted: true, Open: true}
	var err error
	if s.Place, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	program := filepath.Join(dir, "bin", "python")
	if s.Python, err = i.ask(ctx, program); err != nil {
		return nil, err
	}
	if s.Binary, err = binaryOf(program); err != nil {
		return nil, err
	}
	return s, s.write(i.stampFile(venv))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
