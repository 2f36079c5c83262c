package workspace

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const defaultPython = "python3"

// python is an interpreter of which virtual environments are made.
type python struct {
	Path    string `json:"path"` // without links, and outside of any virtual environment
	Version string `json:"version"`
}

// minor returns the part of the version that names its packages' folder: 3.12 of 3.12.4.
func (p python) minor() string {
	parts := strings.SplitN(p.Version, ".", 3)
	return strings.Join(parts[:min(len(parts), 2)], ".")
}

// binary tells a file from another one that has taken its place.
type binary struct {
	Path     string `json:"path"` // without links
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"` // nanoseconds
}

func binaryOf(path string) (binary, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return binary{}, err
	}
	info, err := os.Stat(real)
	if err != nil {
		return binary{}, err
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return binary{}, fmt.Errorf("%s is not a program", real)
	}
	return binary{Path: real, Size: info.Size(), Modified: info.ModTime().UnixNano()}, nil
}

const probe = `import os, sys
print(os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable))
print(sys.version.split()[0])`

// ask returns what the program at path says that it is.
func (i *installer) ask(ctx context.Context, path string) (python, error) {
	c := i.child(venvEnviron(i.o.Environ), path, "-E", "-s", "-S", "-c", probe)
	c.output = nil
	if err := c.run(ctx); err != nil {
		return python{}, fmt.Errorf("%s: %w%s", path, describe(err), quoteTail(c.tail))
	}
	if len(c.tail) < 2 {
		return python{}, fmt.Errorf("%s does not say which Python it is", path)
	}
	said := c.tail[len(c.tail)-2:]
	return python{Path: said[0], Version: said[1]}, nil
}

// wanted returns the interpreter of which a new virtual environment would be made. It is the zero python where uv
// would fetch one.
func (i *installer) wanted(ctx context.Context) (python, error) {
	if i.found.Path != "" {
		return i.found, nil
	}
	name := cmp.Or(i.o.Python, defaultPython)
	path := find(i.o.Environ, name)
	if uv := find(i.o.Environ, "uv"); uv != "" {
		var ok bool
		if path, ok = i.wantedOfUv(ctx, uv); !ok {
			return python{}, nil
		}
	}
	if path == "" {
		return python{}, fmt.Errorf("no program %q in PATH", name)
	}
	var err error
	i.found, err = i.ask(ctx, path)
	return i.found, err
}

// wantedOfUv returns the interpreter that uv would take; false: it knows none on this machine.
func (i *installer) wantedOfUv(ctx context.Context, uv string) (string, bool) {
	args := []string{uv, "python", "find", "--system"}
	if request := cmp.Or(i.o.Python, lookup(i.o.Environ, "UV_PYTHON")); request != "" {
		args = append(args, request)
	}
	c := i.child(venvEnviron(i.o.Environ), args...)
	c.output = nil
	if err := c.run(ctx); err != nil || len(c.tail) == 0 {
		return "", false
	}
	return c.tail[len(c.tail)-1], true
}
