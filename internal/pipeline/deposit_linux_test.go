package pipeline

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Killed by SIGKILL, handoff can hold back nothing itself any more. What it has started must die without having seen
// an end-of-file, be it hidden behind a shell.
func TestNoTruncatedLoadWhenHandoffIsKilled(t *testing.T) {
	t.Parallel()
	for name, scripts := range map[string][]string{
		"target below a shell":     {"seq 10; exec sleep 60", "$STAGE commit $DIR/committed $DIR/pid; true"},
		"target in a pipeline":     {"seq 10; exec sleep 60", "cat | $STAGE commit $DIR/committed $DIR/pid"},
		"both below a shell":       {"seq 10; sleep 60; true", "$STAGE commit $DIR/committed $DIR/pid; true"},
		"target that ignores TERM": {"seq 10; sleep 60; true", "cat", "trap '' TERM; $STAGE commit $DIR/committed $DIR/pid; true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(exe, append([]string{helperArg, "engine", w.dir}, scripts...)...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			w.await("pid")
			time.Sleep(100 * time.Millisecond) // the guardian comes up
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			w.awaitDeath("pid")
			if got := w.file("committed"); got != "<none>" {
				t.Errorf("the target took a partial stream for a complete one: %s", got)
			}
		})
	}
}

// awaitDeath waits until the process that noted its id is gone.
func (w *world) awaitDeath(file string) {
	w.t.Helper()
	exe := filepath.Join("/proc", w.file(file), "exe")
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Readlink(exe); err != nil {
			return
		}
	}
	w.t.Fatalf("process of %s lives on", file)
}

func TestDeposit(t *testing.T) {
	t.Parallel()
	d := newDeposit()
	defer d.close()
	var rs, ws []*os.File
	var tickets []ticket
	for range 20 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		rs, ws = append(rs, r), append(ws, w)
		k := d.put(w)
		if k == 0 {
			t.Fatal("no room")
		}
		tickets = append(tickets, k)
		_ = w.Close() // the deposit has the only copy now
	}
	ended := func(i int) bool {
		_ = rs[i].SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		_, err := rs[i].Read(make([]byte, 1))
		return err != nil && !os.IsTimeout(err)
	}
	open := map[int]bool{}
	for i := range ws {
		open[i] = true
	}
	for _, i := range []int{7, 0, 19, 3, 3, 12} {
		d.remove(tickets[i])
		delete(open, i)
		for k := range ws {
			if ended(k) == open[k] {
				t.Errorf("after %d: pipe %d open: %v", i, k, open[k])
			}
		}
	}
	d.close()
	for k := range ws {
		if !ended(k) {
			t.Errorf("pipe %d is open after close", k)
		}
	}
}
