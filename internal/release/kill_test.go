package release

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/local"
)

// TestMain lets the test binary be a program that pushes: PUSH_HOME and PUSH_DIRS say where to and what, one after the
// other and over again.
func TestMain(m *testing.M) {
	if home := os.Getenv("PUSH_HOME"); home != "" {
		fmt.Println("ready")
		if err := pushForever(home, strings.Split(os.Getenv("PUSH_DIRS"), ":")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func pushForever(home string, dirs []string) error {
	h, err := local.Open(home)
	if err != nil {
		return err
	}
	c, err := h.Cloud(scope)
	if err != nil {
		return err
	}
	s := Open(cloud.Complete(*c))
	for i := 0; ; i++ {
		if _, err := pushTo(context.Background(), s, dirs[i%len(dirs)], All, i%3 == 0); err != nil {
			return err
		}
	}
}

// start starts programs that push, and waits until each of them does.
func start(t *testing.T, home string, dirs []string, n int) []*exec.Cmd {
	t.Helper()
	var all []*exec.Cmd
	for range n {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "PUSH_HOME="+home, "PUSH_DIRS="+strings.Join(dirs, ":"))
		cmd.Stderr = t.Output()
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		all = append(all, cmd)
	}
	return all
}

// Programs that push, two at once, are killed at any point: what is current is one of the releases, whole, and the next
// push works.
func TestKilledPushes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	home := t.TempDir()
	var dirs []string
	wants := map[string]map[string]string{}
	for i := range 3 {
		files := map[string]string{"project.yml": fmt.Sprint("version", i)}
		for j := range 40 {
			files[fmt.Sprintf("files/d%d/f%d", j%5, j)] = strings.Repeat(fmt.Sprint(i*j%7, " "), 500)
		}
		files["files/big"] = strings.Repeat(fmt.Sprint(i), largest+1)
		dir := folder(t, files)
		hash, err := Hash(dir)
		if err != nil {
			t.Fatal(err)
		}
		dirs, wants[hash] = append(dirs, dir), tree(t, dir)
	}
	s := openStore(t, home)
	push(t, s, dirs[0], All)
	pushes := 0
	for round := range 20 {
		programs := start(t, home, dirs, 2)
		time.Sleep(time.Duration(5+13*round%60) * time.Millisecond)
		for _, p := range programs {
			_ = p.Process.Kill()
			if err := p.Wait(); err == nil || p.ProcessState.ExitCode() >= 0 {
				t.Fatalf("a program that pushes ended by itself: %v", err)
			}
		}
		m, err := s.Manifest(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wants[m.Release], fetch(t, s, "")); diff != "" {
			t.Fatalf("round %d: %s", round, diff)
		}
		pushes = push(t, s, dirs[round%3], All).Number
	}
	if pushes < 25 {
		t.Errorf("only %d pushes in all: nothing was pushed before the kills", pushes)
	}
}

// A fetch that was killed leaves a folder that nobody takes for a project.
func TestFetchIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	dir := folder(t, map[string]string{"project.yml": "a", "files/x": "x"})
	push(t, s, dir, All)
	to := filepath.Join(t.TempDir(), "to")
	if err := os.Mkdir(to, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "old"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	cancel(stopped)
	if _, err := s.Fetch(ctx, "", to); !errors.Is(err, stopped) {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff(map[string]string{"old": ""}, tree(t, to)); diff != "" {
		t.Error(diff)
	}
	if _, err := s.Fetch(t.Context(), "", to); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tree(t, dir), tree(t, to)); diff != "" {
		t.Error(diff)
	}
	if left, err := os.ReadDir(filepath.Dir(to)); err != nil || len(left) != 1 {
		t.Errorf("left over: %v, %v", left, err)
	}
}
