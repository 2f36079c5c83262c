package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/test/binary"
)

func TestAsOrdinaryUser(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	binary.AsUser(t, ".")
}

// hidden are scripts of commands that leave a daemon behind which a look at its environment does not show. Each writes the
// id of the daemon.
func hidden(t testing.TB) map[string]string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	sealed := filepath.Join(dir, "sealed") // its owner, too, may run it and not read it
	if err := os.WriteFile(sealed, text, 0o111); err != nil {
		t.Fatal(err)
	}
	agent, err := exec.LookPath("ssh-agent")
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"ssh-agent":                      fmt.Sprintf(`%s -a %s/$$ | sed -n 's/.*AGENT_PID=\([0-9]*\).*/\1/p'`, agent, t.TempDir()),
		"program that cannot be read":    fmt.Sprintf(`setsid %s 60 >/dev/null & echo $!`, sealed),
		"not dumpable":                   fmt.Sprintf(`setsid %s &`, strings.Join(self(t, "hide"), " ")),
		"another run":                    `HANDOFF_RUN=other setsid sleep 60 >/dev/null & echo $!`,
		"empty environment":              `setsid env -i sleep 60 >/dev/null & echo $!`,
		"empty environment, double fork": `setsid sh -c 'setsid env -i sh -c "echo \$\$; exec sleep 60 >/dev/null" & exit 0'; sleep 0.05`,
	}
}

// hide is a daemon that lets nobody look into it.
func hide() int {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return 96
	}
	fmt.Println(os.Getpid())
	time.Sleep(time.Minute)
	return 0
}

func TestHiddenDaemonsAreEnded(t *testing.T) {
	for name, script := range hidden(t) {
		t.Run(name, func(t *testing.T) {
			s := newTestSupervisor(t)
			p, out := sh(t, s, script)
			pid := pidOf(t, out)
			eventually(t, "the daemon has left the command", func() bool { d, ok := readStat(pid); return ok && d.pgrp != p.Pid() })
			p.Stop(time.Minute)
			if running(pid) {
				t.Error("the daemon outlives its command")
			}
			p, out = sh(t, s, script)
			pid = pidOf(t, out)
			p.Wait()
			if left := p.Settle(0); len(left) != 1 || left[0].Pid != pid {
				t.Errorf("left = %v, want process %d", left, pid)
			}
			if err := s.Close(time.Minute); err != nil {
				t.Error(err)
			}
			if running(pid) {
				t.Error("the daemon outlives the run")
			}
		})
	}
}

// Nothing needs time to be noticed: handoff is killed as soon as the daemon is there.
func TestGuardianEndsHiddenDaemons(t *testing.T) {
	for name, script := range hidden(t) {
		for _, then := range []string{"exit 0", "wait; sleep 60"} {
			t.Run(name+", "+then, func(t *testing.T) { killSupervisor(t, 0, script+"\n"+then) })
		}
	}
}

// Another guardian takes the place of one that was killed.
func TestGuardianIsReplaced(t *testing.T) {
	s := newTestSupervisor(t)
	p, out := sh(t, s, "echo ready; exec sleep 60")
	line(t, out)
	guard := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.guard.pid
	}
	first := guard()
	if err := unix.Kill(first, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another guardian", func() bool { pid := guard(); return pid > 0 && pid != first && running(pid) })
	p.Stop(time.Minute)
}

// Who kills everything that is called handoff leaves the guardian, which ends what the run has started.
func TestGuardianIsNotCalledHandoff(t *testing.T) {
	s := newTestSupervisor(t)
	p, out := sh(t, s, "echo ready; exec sleep 60")
	line(t, out)
	s.mu.Lock()
	guard := s.guard.pid
	s.mu.Unlock()
	eventually(t, "its name", func() bool {
		g, ok := readStat(guard)
		return ok && g.comm == guardName && !strings.Contains(g.comm, "handoff")
	})
	p.Stop(time.Minute)
}

// What a stage started must not take the death of another process for the end of its work. The publisher is not in the
// group, and must never get to its last step.
func TestNothingIsPublishedWhenItIsEnded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	scripts := map[string]string{
		"by a shell that waits":     `setsid sh -c 'cat > new; mv new table' <&3 & wait`,
		"by a shell in the group":   `sh -c 'sh -c "cat > new; mv new table" <&3; true'`,
		"by the reader of a pipe":   `setsid sh -c 'cat <&3 | { cat > new; mv new table; }' & wait`,
		"by a reader of the leader": `exec bash -c 'exec cat <&3 > >(cat > new; mv new table)'`,
		"by a job of its own":       `setsid bash -c 'set -m; cat > new; mv new table' <&3 & wait`,
	}
	ends := map[string]func(*Supervisor, *Process){
		"SIGKILL": func(_ *Supervisor, p *Process) { p.Signal(unix.SIGKILL) },
		"Stop":    func(_ *Supervisor, p *Process) { p.Stop(time.Minute) },
		"KillAll": func(s *Supervisor, _ *Process) { s.KillAll() },
		"Close":   func(s *Supervisor, _ *Process) { _ = s.Close(time.Minute) },
	}
	for name, script := range scripts {
		for how, end := range ends {
			t.Run(name+", "+how, func(t *testing.T) {
				limit := time.Now().Add(rounds() / 10)
				for n := 0; n < 200 && time.Now().Before(limit); n++ {
					endPublisher(t, script, end)
				}
			})
		}
	}
}

// rounds is how long a race is provoked.
func rounds() time.Duration {
	if testing.Short() {
		return time.Second
	}
	return 5 * time.Second
}

func endPublisher(t *testing.T, script string, end func(*Supervisor, *Process)) {
	t.Helper()
	s := newTestSupervisor(t)
	dir := t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close() // held as handoff holds it: what reads it sees no end-of-file
	p, err := s.Start(Spec{
		Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: os.Environ(), Dir: dir, Stderr: os.Stderr, Extra: []*os.File{r},
	})
	_ = r.Close()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the publisher is at work", func() bool { _, err := os.Stat(filepath.Join(dir, "new")); return err == nil })
	end(s, p)
	if err := s.Close(0); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "table")); err == nil {
		t.Fatal("a part was published")
	}
}

// A handoff that is killed must not make its commands publish either.
func TestGuardianLetsNothingBePublished(t *testing.T) {
	limit := time.Now().Add(rounds())
	const script = `
bash -c 'exec tail -f /dev/null > >(cat > new1; mv new1 table1)' &
setsid sh -c 'tail -f /dev/null | { cat > new2; mv new2 table2; }' &
while [ ! -e new1 ] || [ ! -e new2 ]; do sleep 0.01; done
echo $$
exec tail -f /dev/null > >(cat > new3; mv new3 table3)
`
	for n := 0; n < 100 && time.Now().Before(limit); n++ {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "script"), []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
		killSupervisor(t, 0, "cd "+dir+"; exec bash script")
		if got, _ := filepath.Glob(dir + "/table*"); len(got) > 0 {
			t.Fatalf("published: %v", got)
		}
	}
}
