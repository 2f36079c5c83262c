// Package binary builds handoff as users get it and runs it as they do, for the tests below test/. It knows nothing of
// what is inside.
package binary

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Root returns the top folder of the checkout, for a test that runs in a folder below it.
func Root() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above the working folder")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
}

// Build compiles the package at pkg, given from the top of the checkout, to dir and returns the path of the program.
func Build(dir, pkg string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	out := filepath.Join(dir, filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-tags", "grpcnotrace", "-o", out, "./"+pkg)
	cmd.Dir = root
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, text)
	}
	return out, nil
}

// Cache returns the folder outside of the checkout where downloads are kept; test/lib.sh names the same one.
func Cache() (string, error) {
	dir := os.Getenv("HANDOFF_DEV_CACHE")
	if dir == "" {
		base := os.Getenv("XDG_CACHE_HOME")
		if base == "" {
			base = filepath.Join(os.Getenv("HOME"), ".cache")
		}
		dir = filepath.Join(base, "handoff-dev")
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// Result is how a program ended. Code is -1 when it died by a signal.
type Result struct {
	Code           int
	Stdout, Stderr string
}

// String shows all of it, for the message of a failing test.
func (r Result) String() string {
	return fmt.Sprintf("exit code %d\n--- stdout\n%s\n--- stderr\n%s", r.Code, r.Stdout, r.Stderr)
}

// Command prepares a program in its own folder and environment: HOME is home, and nothing of the caller's cloud
// accounts is passed on.
func Command(ctx context.Context, home, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(clean(os.Environ()), "HOME="+home, "NO_COLOR=1")
	cmd.Dir = home
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

func clean(environ []string) []string {
	var kept []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if name != "HOME" && !strings.HasPrefix(name, "AWS_") && !strings.HasPrefix(name, "HO_") && !strings.HasPrefix(name, "HANDOFF_") {
			kept = append(kept, kv)
		}
	}
	return kept
}

// Run waits for the end of a prepared program.
func Run(cmd *exec.Cmd) (Result, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		return Result{}, err
	}
	return Result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}, nil
}

// Files returns the content of every regular file below dir, by its path with slashes. A missing dir has none.
func Files(dir string) (map[string]string, error) {
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		found[filepath.ToSlash(rel)] = string(content)
		return err
	})
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return found, err
}
