package atomicfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

var writers = map[string]func(string, []byte, fs.FileMode) error{"plain": Write, "durable": WriteDurable}

func TestWrite(t *testing.T) {
	t.Parallel()
	for name, write := range writers {
		dir := t.TempDir()
		path := filepath.Join(dir, "a.json")
		for _, text := range []string{"one, which is longer", "two", ""} {
			if err := write(path, []byte(text), 0o600); err != nil {
				t.Fatal(name, err)
			}
			if got, err := os.ReadFile(path); string(got) != text || err != nil {
				t.Errorf("%s: got %q, %v, want %q", name, got, err, text)
			}
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
			t.Error(name, info, err)
		}
		alone(t, dir, 1)
	}
}

// TestWriteFails: what was there stays, and nothing is left beside it.
func TestWriteFails(t *testing.T) {
	t.Parallel()
	for name, write := range writers {
		dir := t.TempDir()
		path := filepath.Join(dir, "full")
		if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := write(path, []byte("x"), 0o600); err == nil {
			t.Error(name, "replaced a folder")
		}
		alone(t, dir, 1)
		if err := write(filepath.Join(dir, "none", "a"), nil, 0o600); err == nil {
			t.Error(name, "wrote into a folder that does not exist")
		}
	}
}

// TestReadersSeeWholeFiles reads while the file is replaced.
func TestReadersSeeWholeFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a")
	texts := [][]byte{bytes.Repeat([]byte("a"), 1<<16), bytes.Repeat([]byte("b"), 1<<15)}
	if err := Write(path, texts[0], 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		for i := range 300 {
			if err := Write(path, texts[i%2], 0o600); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for {
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, texts[0]) && !bytes.Equal(got, texts[1]) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
}

func alone(t *testing.T, dir string, want int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != want {
		t.Errorf("%v, %v: want %d", entries, err, want)
	}
}

func TestOnlyFilesAreRead(t *testing.T) {
	dir := t.TempDir()
	file, pipe := filepath.Join(dir, "file"), filepath.Join(dir, "pipe")
	if err := errors.Join(os.WriteFile(file, []byte("text"), 0o600), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	if text, err := Read(file); err != nil || string(text) != "text" {
		t.Errorf("file: %q, %v", text, err)
	}
	for _, path := range []string{pipe, dir} {
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "is no file") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Read(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
}

// What a program has planted in place of the new file neither stops the writer nor leads it elsewhere.
func TestPlantedFiles(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(other, at string) error{
		"pipe": func(_, at string) error { return syscall.Mkfifo(at, 0o600) },
		"link": os.Symlink,
	} {
		dir, other := t.TempDir(), filepath.Join(t.TempDir(), "other")
		path := filepath.Join(dir, "f")
		if err := errors.Join(os.WriteFile(other, []byte("other"), 0o600), plant(other, filepath.Join(dir, ".f.new"))); err != nil {
			t.Fatal(err)
		}
		if err := Write(path, []byte("new"), 0o600); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if text, err := Read(path); err != nil || string(text) != "new" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		if text, _ := os.ReadFile(other); string(text) != "other" {
			t.Errorf("%s: the other file is %q", name, text)
		}
	}
}
