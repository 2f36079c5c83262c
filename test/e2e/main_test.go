//go:build e2e

// Package e2e runs handoff with real parts: the quick-start projects, and the earthquake example with its tap and its
// target from PyPI.
package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/handoff-run/handoff/test/binary"
)

// programs are what TestMain has built.
var programs struct{ handoff, server, root string }

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "handoff-e2e")
	if err == nil {
		defer os.RemoveAll(dir)
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func build(dir string) (err error) {
	if programs.root, err = binary.Root(); err != nil {
		return err
	}
	if programs.handoff, err = binary.Build(dir, "cmd/handoff"); err != nil {
		return err
	}
	programs.server, err = binary.Build(dir, "examples/usgs-earthquakes/server")
	return err
}

// handoff runs the program to its end.
func handoff(t *testing.T, args ...string) binary.Result {
	t.Helper()
	result, err := binary.Run(binary.Command(t.Context(), t.TempDir(), programs.handoff, args...))
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func mustSucceed(t *testing.T, args ...string) binary.Result {
	t.Helper()
	result := handoff(t, args...)
	if result.Code != 0 {
		t.Fatalf("handoff %q: %s", args, result)
	}
	return result
}

func readFile(t *testing.T, parts ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func filesBelow(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := binary.Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	return files
}
