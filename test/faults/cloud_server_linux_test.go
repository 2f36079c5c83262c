package faults

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"
)

// soon is how long before its time a schedule is written down: on a busy machine it takes a while until it is in place.
const soon = 5 * time.Second

// scheduled is a project with n schedules that fire once, spread over the time that begins when it returns; each writes its
// number down.
func scheduled(t *testing.T, n int, spread time.Duration) *lab {
	t.Helper()
	first := time.Now().Add(soon)
	var b strings.Builder
	b.WriteString("version: 1\n" + strings.Replace(place, "task: load", "task: load, overlap: allow", 1) + "tasks:\n- name: a\n" +
		"  commands: [{command: 'echo {{ n }} >>$HANDOFF_HOME/../fired'}]\nschedules:\n")
	for i := range n {
		at := first.Add(spread * time.Duration(i) / time.Duration(n)).UTC().Format("2006-01-02T15:04:05")
		fmt.Fprintf(&b, "- {target_id: %d, cron: 'at(%s)', envs: [{key: __VARS, value: 'n=%d'}]}\n", i, at, i)
	}
	l := deployed(t, map[string]string{"project.yml": b.String()})
	l.handoff(0, "cloud", "schedule", "create", "-p", "prj")
	time.Sleep(time.Until(first) - time.Second)
	return l
}

// once wants each of n schedules to have fired once: one job, one run, one line.
func (l *lab) once(n int) {
	l.Helper()
	jobs := map[string]int{}
	for _, j := range l.ended() {
		if j.State != "succeeded" || j.ScheduledAt.IsZero() {
			l.Errorf("job %+v", j)
		}
		jobs[j.Schedule]++
	}
	lines := map[string]int{}
	for line := range strings.Lines(l.read("fired")) {
		lines[strings.TrimSpace(line)]++
	}
	for i := range n {
		if id := fmt.Sprint(i); jobs[id] != 1 || lines[id] != 1 {
			l.Errorf("schedule %s: %d jobs, %d runs of its command", id, jobs[id], lines[id])
		}
	}
	if runs := l.runs(); len(runs) != n || len(jobs) != n {
		l.Errorf("%d runs, %d schedules with jobs, not %d", len(runs), len(jobs), n)
	}
}

// The server is killed over and over while schedules fire: none is lost, none fires twice, jobs go on.
func TestCloudServerKilled(t *testing.T) {
	t.Parallel()
	checkServerKilled(t, 12, 5)
}

// checkServerKilled lets n schedules fire and kills the server meanwhile, so often, at any point.
func checkServerKilled(t *testing.T, n, kills int) {
	t.Helper()
	const life = 600 * time.Millisecond // at most
	l := scheduled(t, n, time.Duration(kills)*life/2)
	for range kills {
		s := l.start(l.command("server"))
		time.Sleep(20*time.Millisecond + rand.N(life))
		s.signal(syscall.SIGKILL)
		s.end()
	}
	s := l.start(l.command("server"))
	l.eventually("a job for each schedule", func() bool { return len(l.jobs()) >= n })
	s.signal(syscall.SIGTERM)
	if code := s.end(); code != 0 && code != 143 {
		t.Errorf("exit code %d: %s", code, s.stderr())
	}
	l.once(n)
	l.nothingLeft()
}

// A job that the server has started outlives its kill, and the next server knows of it.
func TestCloudServerKilledBesideJob(t *testing.T) {
	t.Parallel()
	l := deployed(t, map[string]string{"project.yml": "version: 1\n" + place + "tasks:\n- name: a\n  commands:\n  - command: " +
		block(`touch "$HANDOFF_HOME/../at_work"; while [ ! -e "$HANDOFF_HOME/../go" ]; do sleep 0.05; done`) +
		fmt.Sprintf("schedules:\n- {target_id: 1, cron: 'at(%s)'}\n", time.Now().Add(soon).UTC().Format("2006-01-02T15:04:05"))})
	l.handoff(0, "cloud", "schedule", "create", "-p", "prj")
	s := l.start(l.command("server"))
	l.eventually("the job at work", func() bool { return l.exists("at_work") })
	s.signal(syscall.SIGKILL)
	s.end()
	if jobs := l.jobs(); len(jobs) != 1 || jobs[0].ended() {
		t.Fatalf("jobs %+v", jobs)
	}
	again := l.start(l.command("server"))
	l.eventually("the next server", func() bool { return strings.Contains(again.stderr(), "serving") })
	second := l.handoff(3, "server")
	l.says(second.Stderr, fmt.Sprintf(`^error: .*has a server already \(process %d\)`, again.cmd.Process.Pid), `^hint: .*--standby`)
	res := l.handoff(4, "cloud", "run", "-p", "prj", "--wait")
	l.says(res.Stdout, `^state: skipped`, `^reason: run .* of this task is going on`)
	l.write("go", "")
	jobs := l.ended()
	if len(jobs) != 2 || jobs[0].State != "skipped" || jobs[1].State != "succeeded" {
		t.Errorf("jobs %+v", jobs)
	}
	l.eventually("the word of the server", func() bool { return strings.Contains(again.stderr(), "succeeded") })
	again.signal(syscall.SIGTERM)
	again.end()
	l.nothingLeft()
}

// A damaged schedule, a project that is not valid any more, a journal with junk in it: each is reported, and the other
// schedules fire.
func TestCloudServerDamage(t *testing.T) {
	t.Parallel()
	l := scheduled(t, 3, 3*time.Second)
	l.write("bad/project.yml", yml(strings.Replace(place, "load", "bad", 1)+"tasks:\n- name: a\n  commands: [{command: 'echo {{ day }}'}]\n"+
		fmt.Sprintf("schedules:\n- {target_id: 1, cron: 'at(%s)'}\n", time.Now().Add(soon).UTC().Format("2006-01-02T15:04:05"))))
	for _, args := range [][]string{{"project", "push"}, {"cloud", "task", "create"}, {"cloud", "schedule", "create"}} {
		l.handoff(0, append(args, "-p", "bad", "-y")...)
	}
	l.handoff(0, "cloud", "schedule", "create", "-p", "prj", "-v", "target_id=broken", "cron=0 0 1 1 *")
	l.write("home/schedules/dev/etl/load/broken.json", "junk")
	l.write("home/schedules/@journal", "junk\n{\"op\":\"due\",\"id\":\n")
	s := l.start(l.command("server"))
	l.eventually("a job for each schedule", func() bool { return len(l.jobs()) >= 3 })
	l.once(3)
	l.eventually("the job of the other project", func() bool {
		out := l.handoff(0, "cloud", "job", "status", "-e", "resource_group=etl", "task=bad", "-o", "text").Stdout
		return strings.Contains(out, `bad failed`) && strings.Contains(out, `variable "day" is not`)
	})
	s.signal(syscall.SIGTERM)
	s.end()
	l.says(s.stderr(), `schedule dev/etl/load/broken does not fire: .*damaged`)
	l.says(l.handoff(0, "cloud", "schedule", "list", "-p", "prj", "-o", "text").Stdout, `^ +schedule: damaged file .*broken.json`)
	l.nothingLeft()
}

// Everything dies at once, as when the power goes: server, jobs and what they have started. Each schedule has
// its job all the same, none has two, and what was cut off says so.
func TestCloudPowerCut(t *testing.T) {
	t.Parallel()
	checkPowerCut(t, 10, 3)
}

func checkPowerCut(t *testing.T, n, cuts int) {
	t.Helper()
	l := scheduled(t, n, time.Duration(cuts)*400*time.Millisecond)
	for range cuts {
		s := l.start(l.command("server"))
		time.Sleep(20*time.Millisecond + rand.N(800*time.Millisecond))
		for pids := l.processes(); len(pids) > 0; pids = l.processes() {
			for pid := range pids {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
			}
		}
		s.end()
	}
	s := l.start(l.command("server"))
	l.eventually("a job for each schedule", func() bool { return len(l.jobs()) >= n })
	good, all := map[string]bool{}, map[string]int{}
	for _, j := range l.ended() {
		all[j.Schedule]++
		good[j.Schedule] = j.State == "succeeded"
		if j.State != "succeeded" && j.State != "lost" {
			t.Errorf("job %+v", j)
		}
	}
	s.signal(syscall.SIGTERM)
	s.end()
	text := "\n"
	if l.exists("fired") {
		text += l.read("fired")
	}
	for i := range n {
		id := fmt.Sprint(i)
		if lines := strings.Count(text, "\n"+id+"\n"); all[id] != 1 || lines > 1 || good[id] && lines != 1 {
			t.Errorf("schedule %s: %d jobs, %d runs of its command, succeeded: %v", id, all[id], lines, good[id])
		}
	}
	l.handoff(0, "cloud", "run", "-p", "prj", "--wait", "--overlap", "skip", "-v", "n=last")
	for _, r := range l.runs() {
		if r.Outcome == "running" {
			t.Errorf("a run is said to go on: %+v", r)
		}
	}
	l.nothingLeft()
}

// A server that stands by takes over when the other one is killed.
func TestCloudServerStandsBy(t *testing.T) {
	t.Parallel()
	l := scheduled(t, 2, time.Second)
	first := l.start(l.command("server"))
	l.eventually("a server", func() bool { return strings.Contains(first.stderr(), "serving") })
	second := l.start(l.command("server", "--standby"))
	l.eventually("one that stands by", func() bool { return strings.Contains(second.stderr(), "waiting") })
	if strings.Contains(second.stderr(), "serving") {
		t.Errorf("two servers: %s", second.stderr())
	}
	first.signal(syscall.SIGKILL)
	first.end()
	l.eventually("a job for each schedule", func() bool { return len(l.jobs()) >= 2 })
	l.once(2)
	second.signal(syscall.SIGTERM)
	second.end()
	l.nothingLeft()
}
