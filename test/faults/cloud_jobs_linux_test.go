package faults

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// counting loads the next number at each run: a state, and an artifact that goes from run to run. It starts a process
// that does not want to end.
const counting = "version: 1\n" + place + `
vars: [{key: fail, value: "true"}, {key: nap, value: "0"}]
tasks:
- name: load
  kill_after: 1
  state: true
  pipeline:
  - command: sh files/tap.sh {{ _state_file }}
  - command: 'read n; echo "{\"n\": $n}"'
- name: count
  kill_after: 1
  commands:
  - command: 'n=$(cat artifacts/runs 2>/dev/null || echo 0); echo $((n+1)) >artifacts/runs'
- name: linger
  kill_after: 1
  commands:
  - command: |
      (trap "" TERM HUP INT; exec setsid sleep 300) & sleep {{ nap }}; kill -9 $!; {{ fail }}
`

const tap = `n=$(tr -cd 0-9 <"$1")
echo $((${n:-0} + 1))
`

func counted(t *testing.T) *lab {
	t.Helper()
	return deployed(t, map[string]string{"project.yml": counting, "files/tap.sh": tap})
}

// count returns the state of the task and its artifact, as the next run would find them.
func (l *lab) count() (state, artifact int) {
	l.Helper()
	var s struct{ N int }
	res := l.handoff(0, "state", "show", "-p", "prj", "-o", "text")
	if err := json.Unmarshal([]byte(res.Stdout), &s); err != nil {
		l.Fatalf("state %q: %v", res.Stdout, err)
	}
	l.handoff(0, "artifacts", "get", "-p", "prj", "-w", "got")
	artifact, _ = strconv.Atoi(strings.TrimSpace(l.read("got/artifacts/runs")))
	return s.N, artifact
}

// pid is the process of a job, 0 where it has not come up yet.
func (l *lab) pid(id string) int {
	text, _ := os.ReadFile(filepath.Join(l.home, "jobs", "dev", "etl", "load", id, "job.json"))
	var r struct{ Pid int }
	_ = json.Unmarshal(text, &r)
	return r.Pid
}

// A job is killed at any point: it says so, nothing of it is left, the next one starts at once, and what a job had reported
// as done is there.
func TestCloudJobKilled(t *testing.T) {
	t.Parallel()
	checkJobKilled(t, 2)
}

func checkJobKilled(t *testing.T, rounds int) {
	t.Helper()
	l := counted(t)
	good := 0
	for range rounds {
		j := l.startJob("-v", "nap=0.1")
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
		if victim := l.pid(j.ID); victim > 0 {
			_ = syscall.Kill(victim, syscall.SIGKILL) // it may have ended
		}
		end := l.ended()[0]
		l.nothingLeft()
		switch {
		case end.State == "succeeded":
			good++
		case end.State == "lost":
			l.says(end.Reason, "its process was killed")
		default:
			t.Errorf("job %+v", end)
		}
	}
	res := l.handoff(0, "cloud", "run", "-p", "prj", "--wait", "--logs")
	l.says(res.Stderr, "run .*: success")
	good++
	if state, artifact := l.count(); state < good || artifact < good || state > rounds+1 || artifact > rounds+1 {
		t.Errorf("state %d, artifact %d after %d jobs that succeeded", state, artifact, good)
	}
	for _, r := range l.runs() {
		if r.Outcome == "running" {
			t.Errorf("a run is said to go on: %+v", r)
		}
	}
	l.nothingLeft()
}

// What a run that failed has left is not what the next one goes on from.
func TestCloudFailedRunLeavesNothing(t *testing.T) {
	t.Parallel()
	l := counted(t)
	l.handoff(0, "cloud", "run", "-p", "prj", "--wait")
	l.handoff(1, "cloud", "run", "-p", "prj", "--wait", "-v", "fail=false")
	stopped := l.startJob("-v", "nap=100")
	l.eventually("the task before the last one", func() bool {
		return l.exists("home/jobs/dev/etl/load/workspaces/1/artifacts/linger_stdout.log")
	})
	l.handoff(0, "cloud", "job", "stop", "-p", "prj", "--wait", "-v", "id="+stopped.ID, "grace=5s")
	if state, artifact := l.count(); state != 1 || artifact != 1 {
		t.Errorf("state %d, artifact %d after one run that succeeded", state, artifact)
	}
	l.handoff(0, "cloud", "run", "-p", "prj", "--wait")
	if state, artifact := l.count(); state != 2 || artifact != 2 {
		t.Errorf("state %d, artifact %d after two runs that succeeded", state, artifact)
	}
	l.nothingLeft()
}

// journaling writes down when it begins and ends.
const journaling = "version: 1\n" + place + `
vars: [{key: nap, value: "0"}]
tasks:
- name: work
  commands:
  - command: 'echo "begin $$" >>$HANDOFF_HOME/../journal; sleep {{ nap }}; echo "end $$" >>$HANDOFF_HOME/../journal'
`

// atOnce starts n jobs at the same time, each by its own command, and returns how many commands had which exit code.
func (l *lab) atOnce(n int, args ...string) map[int]int {
	l.Helper()
	codes := map[int]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for range n {
		s := l.start(l.command(append([]string{"cloud", "run", "-p", "prj"}, args...)...))
		all.Go(func() {
			code := s.end()
			mu.Lock()
			defer mu.Unlock()
			codes[code]++
		})
	}
	all.Wait()
	return codes
}

// checkConcurrent starts n jobs at once under each policy and looks at what has run.
func checkConcurrent(t *testing.T, n int) {
	t.Helper()
	tests := []struct {
		policy, nap string
		apart       bool // one after the other
	}{
		{"skip", "20", true},
		{"queue", "0", true},
		{"allow", "0", false},
	}
	for _, tt := range tests {
		t.Run(tt.policy, func(t *testing.T) {
			t.Parallel()
			l := deployed(t, map[string]string{"project.yml": journaling})
			l.limit = 4 * limit
			codes := l.atOnce(n, "--overlap", tt.policy, "-v", "nap="+tt.nap)
			if codes[0] != n {
				t.Errorf("exit codes %v", codes)
			}
			if tt.policy == "skip" {
				l.eventually("the end of all but one", func() bool { return len(l.jobs("-v", "running=true")) == 1 })
				l.handoff(0, "cloud", "job", "stop", "-p", "prj", "-v", "grace=5s")
				states := map[string]int{}
				for _, j := range l.ended() {
					states[j.State]++
				}
				if states["stopped"] != 1 || states["skipped"] != n-1 {
					t.Errorf("jobs %v", states)
				}
				l.nothingLeft()
				return
			}
			for _, j := range l.ended() {
				if j.State != "succeeded" {
					t.Errorf("job %+v", j)
				}
			}
			lines := strings.Split(strings.TrimSpace(l.read("journal")), "\n")
			if len(lines) != 2*n || len(l.jobs()) != n || len(l.runs()) != n {
				t.Errorf("%d lines, %d jobs, %d runs", len(lines), len(l.jobs()), len(l.runs()))
			}
			for i := 0; tt.apart && i+1 < len(lines); i += 2 {
				if b, e := lines[i], lines[i+1]; b[:5] != "begin" || e != "end"+b[5:] {
					t.Fatalf("two at a time: %q, %q", b, e)
				}
			}
			l.nothingLeft()
		})
	}
}

// Jobs that are asked for at the same moment: the overlap policy holds.
func TestCloudConcurrentJobs(t *testing.T) {
	t.Parallel()
	checkConcurrent(t, 10)
}

// A job for which others wait is killed: they go on without it. One that waits can be stopped, or killed, and the others do
// not notice.
func TestCloudQueueOfKilled(t *testing.T) {
	t.Parallel()
	l := deployed(t, map[string]string{"project.yml": journaling})
	first := l.startJob("--overlap", "queue", "-v", "nap=60")
	l.eventually("the first job at work", func() bool { return l.exists("journal") })
	var waiting []job
	for range 4 {
		waiting = append(waiting, l.startJob("--overlap", "queue"))
	}
	l.handoff(0, "cloud", "job", "stop", "-p", "prj", "--wait", "-v", "id="+waiting[0].ID)
	l.eventually("all others in the queue", func() bool { return len(l.objects("load/lease/queue/")) == 3 })
	for _, id := range []string{waiting[1].ID, first.ID} {
		if err := syscall.Kill(l.pid(id), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{
		first.ID: "lost", waiting[0].ID: "stopped", waiting[1].ID: "lost", waiting[2].ID: "succeeded", waiting[3].ID: "succeeded",
	}
	for _, j := range l.ended() {
		if j.State != want[j.ID] {
			t.Errorf("job %+v: want %s", j, want[j.ID])
		}
	}
	l.nothingLeft()
}

// What a command has open belongs to who has started handoff: a job and its stages get 0, 1, 2 and nothing else. Else a
// lock stays locked, and a shell waits for its $(...), as long as the job goes on.
func TestCloudJobInheritsNoDescriptors(t *testing.T) {
	t.Parallel()
	l := deployed(t, map[string]string{"project.yml": "version: 1\n" + place + `
vars: [{key: nap, value: "0"}]
tasks:
- name: show
  pipeline:
  - command: 'for f in /proc/$$/fd/*; do echo "$f $(readlink $f)" >>fds; done; sleep {{ nap }}'
  - command: cat
`})
	for _, shell := range []string{"dash", "bash"} {
		in := func(script string) string {
			cmd := l.shell(script)
			cmd.Path, cmd.Env = "/bin/"+shell, append(cmd.Env, "HANDOFF_HOME="+l.home)
			return l.wait(0, cmd).Stdout
		}
		out := in(`exec 8<>open 9>lock; flock 9
			out=$("$0" cloud run -p prj -v nap=60 -o text)
			exec 9>&-
			flock -n lock echo free
			echo "$out"`)
		l.says(out, "^free$", " load starting$")
		l.handoff(0, "cloud", "job", "stop", "-p", "prj", "--wait", "-v", "grace=1s")
		in(`exec 8<>open 9>lock; "$0" cloud run -p prj --wait`)
		in(`exec 8<>open 9>lock; "$0" run local -p prj -w ws`)
		for _, ws := range []string{"ws", "home/jobs/dev/etl/load/workspaces/1"} {
			fds := l.read(ws + "/fds")
			l.says(fds, "/fd/1 pipe:")
			if strings.Contains(fds, "/open") || strings.Contains(fds, "/lock") || strings.Contains(fds, "/busy") {
				t.Errorf("%s, %s: a stage has %s", shell, ws, fds)
			}
		}
	}
	l.nothingLeft()
}

// Ctrl-C ends the waiting, and says at once that the job goes on and what to type to stop it.
func TestCloudWaitInterrupted(t *testing.T) {
	t.Parallel()
	l := deployed(t, map[string]string{"project.yml": yml(place + "tasks:\n- name: a\n  commands: [{command: sleep 600}]\n")})
	wait := l.start(l.command("cloud", "run", "-p", "prj", "--wait", "--logs"))
	l.eventually("the job runs", func() bool { return strings.Contains(wait.stderr(), "a: started") })
	if err := wait.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := wait.end(); code != 130 {
		t.Errorf("exit code %d", code)
	}
	_, after, found := strings.Cut(wait.stderr(), "goes on; to stop it: handoff ")
	command, _, _ := strings.Cut(after, "\n")
	if !found || strings.Count(wait.stderr(), "goes on") != 1 {
		t.Fatal(wait.stderr())
	}
	if jobs := l.jobs(); len(jobs) != 1 || jobs[0].ended() {
		t.Errorf("jobs %+v", jobs)
	}
	l.handoff(0, append(strings.Fields(command), "--wait")...)
	l.nothingLeft()
}
