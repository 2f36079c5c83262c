package project

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, FileName), "\ufeffversion: 1\r\ntasks: [{commands: [{command: ls}]}]\r\n")
	p, warnings, err := Load(dir)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	if p.Dir != dir || p.File != filepath.Join(dir, FileName) || len(p.Tasks) != 1 {
		t.Errorf("%+v", p)
	}
}

func TestLoadRelative(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write(t, FileName, "version: 1\ntask: []\n")
	p, _, err := Load(".")
	var all Errors
	if !errors.As(err, &all) || p != nil || !strings.HasPrefix(err.Error(), `project.yml:2:1: unknown key "task" (did you mean "tasks"?)`) {
		t.Errorf("got %v, %v", p, err)
	}
	write(t, FileName, "version: 1\ntasks: []\n")
	p, _, err = Load(".")
	if err != nil || !filepath.IsAbs(p.Dir) || p.File != FileName {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestLoadNothing(t *testing.T) {
	t.Parallel()
	empty, misnamed, folder := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, filepath.Join(misnamed, "project.yaml"), "version: 1\n")
	if err := os.Mkdir(filepath.Join(folder, FileName), 0o700); err != nil {
		t.Fatal(err)
	}
	fifo := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(fifo, FileName), 0o600); err != nil {
		t.Fatal(err)
	}
	large := t.TempDir()
	write(t, filepath.Join(large, FileName), strings.Repeat("#", maxSize+10))
	tests := []struct {
		name, dir, want string
		absent          bool
	}{
		{"no file", empty, "no project.yml in \"" + empty + "\": name another folder with -p, or make a project with `handoff init`", true},
		{"no folder", filepath.Join(empty, "x"), `no project folder "`, true},
		{"another name", misnamed, "but a project.yaml: rename it", true},
		{"a folder", folder, "read the project: ", false},
		{"a pipe", fifo, "is not a regular file", false},
		{"the file itself", filepath.Join(large, FileName), `is a file, the project is its folder: -p ` + large, false},
		{"too large", large, "the file has more than the 4194304 bytes that are read", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := Load(tt.dir)
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, fs.ErrNotExist) != tt.absent {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
