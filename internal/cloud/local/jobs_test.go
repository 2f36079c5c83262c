package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

const jobMark = "HANDOFF_TEST_JOB"

// TestJobProcess is no test: started by another test it is the process of a job, in which a shell stands in for the run. Its
// exit code 4 says that it was skipped, and what it writes into the file "reason" is why it ended.
func TestJobProcess(t *testing.T) {
	if os.Getenv(jobMark) == "" {
		return
	}
	if err := insideJob(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func insideJob() error {
	job, err := Enter(os.Getenv("HANDOFF_HOME"), os.Getenv(EnvJobDir), "")
	if err != nil {
		return err
	}
	cmd := exec.Command("/bin/sh", append([]string{"-c", os.Getenv("SCRIPT"), "handoff"}, os.Args[slices.Index(os.Args, "--")+1:]...)...)
	cmd.Env = append(job.Environ(os.Environ()), cloud.EnvWorkspace+"="+job.Workspace())
	cmd.Stdout, cmd.Stderr = job.Output(), job.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	job.Begins()
	if err := cmd.Start(); err != nil {
		return err
	}
	job.Watch(func() { _ = cmd.Process.Signal(syscall.SIGTERM) }, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	_ = cmd.Wait()
	code := cmd.ProcessState.ExitCode()
	if code < 0 {
		code = exitKilled
	}
	reason, _ := os.ReadFile("reason")
	return job.End(cloud.LastWord{Code: code, Skipped: code == 4, Reason: string(reason)})
}

// scriptJobs makes TestJobProcess the process of a job.
func scriptJobs() JobOptions {
	return JobOptions{
		Command: []string{os.Args[0], "-test.run=^TestJobProcess$", "--", "run", "--job"},
		Environ: append(os.Environ(), jobMark+"=1", "GORACE=atexit_sleep_ms=0"),
		Place:   []string{cloud.EnvProvider + "=local", cloud.EnvPlatform + "=process"},
	}
}

type bench struct {
	t    *testing.T
	home *Home
	jobs *Jobs
	runs int
}

func newBench(t *testing.T, task cloud.TaskSpec) *bench {
	t.Helper()
	home, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	scope := cloud.Scope{Stage: "dev", ResourceGroup: "Group", Task: "Load"}
	apply(t, home.Infra(scope), cloud.Want{Kind: cloud.KindTask, Task: task})
	b := &bench{t: t, home: home, jobs: home.Jobs(scope, scriptJobs())}
	t.Cleanup(b.stopAll)
	return b
}

func apply(t *testing.T, i *Infra, w cloud.Want) []cloud.Change {
	t.Helper()
	p, err := i.Plan(t.Context(), w)
	if err == nil {
		err = i.Apply(t.Context(), p, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p.Changes
}

// stopAll leaves nothing behind.
func (b *bench) stopAll() {
	ctx := context.Background()
	for job := range b.jobs.List(ctx, cloud.JobQuery{Active: true}) {
		_, _ = b.jobs.Stop(ctx, job.ID, cloud.StopOptions{Grace: time.Millisecond})
	}
	for range 1000 {
		if ids, err := b.jobs.ids(); err == nil && !slices.ContainsFunc(ids, b.jobs.busy) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.t.Error("jobs are still active")
}

func (b *bench) spec(script string) cloud.Start {
	b.runs++
	return cloud.Start{RunID: "run-" + strconv.Itoa(b.runs), Env: map[string]string{"SCRIPT": script}}
}

func (b *bench) run(spec cloud.Start) cloud.Job {
	b.t.Helper()
	job, err := b.jobs.Run(b.t.Context(), spec)
	if err != nil {
		b.t.Fatal(err)
	}
	return job
}

// await polls until ok holds for the job.
func (b *bench) await(id string, ok func(cloud.Job) bool) cloud.Job {
	b.t.Helper()
	var job cloud.Job
	for begin := time.Now(); time.Since(begin) < 30*time.Second; time.Sleep(5 * time.Millisecond) {
		var err error
		if job, err = b.jobs.Status(b.t.Context(), id); err != nil {
			b.t.Fatal(err)
		}
		if ok(job) {
			return job
		}
	}
	b.t.Fatalf("job is still %+v", job)
	return job
}

func (b *bench) end(id string) cloud.Job {
	b.t.Helper()
	return b.await(id, func(j cloud.Job) bool { return j.State.Ended() })
}

func (b *bench) lines(id string) []string {
	b.t.Helper()
	var lines []string
	for l, err := range b.home.Logs(b.jobs.scope).Read(b.t.Context(), cloud.Query{JobID: id}) {
		if err != nil {
			b.t.Fatal(err)
		}
		lines = append(lines, l.Text)
	}
	return lines
}

// says waits for the first line of a job: the shell in it has come so far.
func (b *bench) says(id string) {
	b.t.Helper()
	for begin := time.Now(); len(b.lines(id)) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > 30*time.Second {
			b.t.Fatal("the job says nothing")
		}
	}
}

func TestJobEnds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, script string
		spec         cloud.TaskSpec
		state        cloud.JobState
		code         int
		reason, log  string
	}{
		{name: "success", script: `echo "$HANDOFF_JOB_RUN $GREETING"; echo oops >&2`, state: cloud.JobSucceeded, log: "run-1 hello|oops"},
		{name: "failure", script: "exit 7", state: cloud.JobFailed, code: 7, reason: "exit code 7", log: "handoff: job failed: exit code 7"},
		{
			name: "reason", script: `printf 'the tap broke' >reason; exit 1`, code: 1,
			state: cloud.JobFailed, reason: "the tap broke", log: "handoff: job failed with exit code 1",
		},
		{
			name: "skipped", script: `printf 'run x goes on' >reason; exit 4`, state: cloud.JobSkipped, code: 4,
			reason: "run x goes on", log: "handoff: job skipped with exit code 4",
		},
		{
			name: "what it says is no reason", script: "echo 'error: no release'; echo 'run run-1: skipped after 0s'; exit 3", state: cloud.JobFailed, code: 3,
			reason: "exit code 3", log: "error: no release|run run-1: skipped after 0s|handoff: job failed: exit code 3",
		},
		{
			name: "timeout", script: "exec sleep 60", spec: cloud.TaskSpec{Timeout: 300 * time.Millisecond},
			state: cloud.JobFailed, code: 124, reason: "timed out after 300ms", log: "handoff: job failed: timed out after 300ms",
		},
		{name: "no line end", script: `printf a; printf b`, state: cloud.JobSucceeded, log: "ab"},
		{name: "stubborn daemon", script: `(sleep 1; echo late) & echo early`, state: cloud.JobSucceeded, log: "early|late"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.spec.Env = map[string]string{"GREETING": "hello"}
			b := newBench(t, tc.spec)
			job := b.end(b.run(b.spec(tc.script)).ID)
			if job.State != tc.state || job.ExitCode == nil || *job.ExitCode != tc.code || job.Reason != tc.reason {
				t.Errorf("job = %+v, exit code %v", job, *job.ExitCode)
			}
			if got := strings.Join(b.lines(job.ID), "|"); got != tc.log {
				t.Errorf("log = %q, want %q", got, tc.log)
			}
		})
	}
}

// A starter that was killed between the record and the runner is made up for by the next call with the token, and only so.
func TestJobTokenRevives(t *testing.T) {
	t.Parallel()
	b := newBench(t, cloud.TaskSpec{})
	spec := b.spec("echo here")
	spec.Token = spec.RunID
	r := b.jobs.newRecord(spec, cloud.TaskSpec{}, newJobID(nil, tokenMark(spec.Token)))
	r.Created = time.Now().Add(-time.Hour)
	if err := os.MkdirAll(b.jobs.path(r.ID), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.jobs.path(r.ID, busyFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.jobs.record(r); err != nil {
		t.Fatal(err)
	}
	job, err := b.jobs.Status(t.Context(), r.ID)
	if err != nil || job.State != cloud.JobLost {
		t.Fatalf("job = %+v, %v", job, err)
	}
	if again := b.run(spec); again.ID != r.ID {
		t.Errorf("another job was started: %+v", again)
	}
	if job := b.end(r.ID); job.State != cloud.JobSucceeded {
		t.Errorf("job = %+v", job)
	}
}

// The table of observe, line by line.
func TestJobObserved(t *testing.T) {
	t.Parallel()
	ended := &jobRecord{Job: cloud.Job{State: cloud.JobFailed, Reason: "why"}, Pid: 7}
	up := &jobRecord{Job: cloud.Job{State: cloud.JobRunning}, Pid: 7}
	before := &jobRecord{Job: cloud.Job{State: cloud.JobStarting}}
	stop := &stopRequest{Reason: "enough"}
	for _, tc := range []struct {
		name    string
		facts   facts
		state   cloud.JobState
		reason  string
		settled bool
	}{
		{"ended", facts{rec: ended}, cloud.JobFailed, "why", false},
		{"ended, and about to go", facts{rec: ended, busy: true, stop: stop}, cloud.JobFailed, "why", false},
		{"running", facts{rec: up, busy: true}, cloud.JobRunning, "", false},
		{"coming up", facts{rec: before, busy: true}, cloud.JobStarting, "", false},
		{"asked to end", facts{rec: up, busy: true, stop: stop}, cloud.JobStopping, "enough", false},
		{"asked to end before it was up", facts{rec: before, busy: true, stop: stop}, cloud.JobStopping, "enough", false},
		{"about to be started", facts{rec: before, young: true}, cloud.JobStarting, "", false},
		{"its starter was killed", facts{rec: before}, cloud.JobLost, "what asked for it ended before it could start it", false},
		{"killed", facts{rec: up}, cloud.JobLost, "its process was killed, the machine went down, or its disk was full", true},
		{"killed after it was asked to end", facts{rec: up, stop: stop}, cloud.JobStopped, "enough", true},
	} {
		job, settled := tc.facts.observe()
		if job.State != tc.state || job.Reason != tc.reason || settled != tc.settled {
			t.Errorf("%s: %s (%s), settled %v", tc.name, job.State, job.Reason, settled)
		}
	}
}

func TestJobStop(t *testing.T) {
	t.Parallel()
	b := newBench(t, cloud.TaskSpec{})
	polite := b.run(b.spec(`trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done`))
	b.says(polite.ID)
	job, err := b.jobs.Stop(t.Context(), polite.ID, cloud.StopOptions{Reason: "enough"})
	if err != nil || job.State != cloud.JobStopping {
		t.Errorf("job = %+v, %v", job, err)
	}
	if job := b.end(polite.ID); job.State != cloud.JobStopped || job.Reason != "enough" || *job.ExitCode != 3 {
		t.Errorf("job = %+v", job)
	}
	if got := b.lines(polite.ID); !slices.Contains(got, "bye") {
		t.Errorf("log = %q", got)
	}
	deaf := b.run(b.spec(`trap '' TERM; echo up; while :; do sleep 0.05; done`))
	b.says(deaf.ID)
	if _, err := b.jobs.Stop(t.Context(), deaf.ID, cloud.StopOptions{Grace: 100 * time.Millisecond}); err != nil {
		t.Error(err)
	}
	if job := b.end(deaf.ID); job.State != cloud.JobStopped || *job.ExitCode != 137 || !strings.Contains(job.Reason, "killed, since") {
		t.Errorf("job = %+v", job)
	}
	if job, err := b.jobs.Stop(t.Context(), deaf.ID, cloud.StopOptions{Reason: "again"}); err != nil || job.State != cloud.JobStopped {
		t.Errorf("job = %+v, %v", job, err)
	}
}

// A job whose process was killed is lost, and its log says so. One that was asked to end before has been stopped.
func TestJobKilled(t *testing.T) {
	t.Parallel()
	b := newBench(t, cloud.TaskSpec{})
	running := func(j cloud.Job) bool { return j.State == cloud.JobRunning }
	for _, tc := range []struct {
		stop  bool
		state cloud.JobState
		log   string
	}{
		{false, cloud.JobLost, "handoff: job lost: its process was killed, the machine went down, or its disk was full"},
		{true, cloud.JobStopped, "handoff: job stopped: enough"},
	} {
		job := b.run(b.spec(`trap '' TERM; echo $$ >pid; exec sleep 60`))
		b.await(job.ID, running)
		for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(5 * time.Millisecond) {
			if text, _ := os.ReadFile(b.jobs.path(job.ID, "pid")); len(text) > 0 {
				break
			}
		}
		if tc.stop {
			if _, err := b.jobs.Stop(t.Context(), job.ID, cloud.StopOptions{Reason: "enough"}); err != nil {
				t.Error(err)
			}
		}
		r, err := b.jobs.read(job.ID)
		if err == nil {
			err = syscall.Kill(r.Pid, syscall.SIGKILL)
		}
		if err != nil {
			t.Fatal(err)
		}
		end := b.end(job.ID)
		if end.State != tc.state || end.Ended.IsZero() || end.ExitCode != nil {
			t.Errorf("job = %+v", end)
		}
		if got := b.lines(job.ID); !slices.Equal(got, []string{tc.log}) {
			t.Errorf("log = %q", got)
		}
		if text, err := os.ReadFile(b.jobs.path(job.ID, "pid")); err == nil { // here is no guardian
			pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if again, err := b.jobs.Status(t.Context(), job.ID); err != nil || again.Ended != end.Ended {
			t.Errorf("job = %+v, %v", again, err)
		}
	}
}

// What the process of a job says when it crashes is told with its end.
func TestJobCrashes(t *testing.T) {
	t.Parallel()
	b := newBench(t, cloud.TaskSpec{})
	spec := b.spec(`echo 'panic: a bug' >>crash.log; kill -9 $PPID`)
	if end := b.end(b.run(spec).ID); end.State != cloud.JobLost || !strings.HasSuffix(end.Reason, "; it said: panic: a bug") {
		t.Errorf("job = %+v", end)
	}
}

func TestJobList(t *testing.T) {
	t.Parallel()
	b := newBench(t, cloud.TaskSpec{Overlap: cloud.OverlapAllow})
	first := b.end(b.run(b.spec("true")).ID)
	second := b.run(b.spec("exec sleep 60"))
	if err := os.MkdirAll(b.jobs.path(newJobID([]string{second.ID}, tokenMark("z"))), 0o700); err != nil { // killed before the record
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		q    cloud.JobQuery
		want []string
	}{
		{"all", cloud.JobQuery{}, []string{second.ID, first.ID}},
		{"active", cloud.JobQuery{Active: true}, []string{second.ID}},
		{"run", cloud.JobQuery{RunID: "run-1"}, []string{first.ID}},
		{"limit", cloud.JobQuery{Limit: 1}, []string{second.ID}},
		{"since", cloud.JobQuery{Since: second.Created}, []string{second.ID}},
	} {
		var got []string
		for job, err := range b.jobs.List(t.Context(), tc.q) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, job.ID)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
	if err := os.WriteFile(b.jobs.path(first.ID, recordFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.jobs.Status(t.Context(), first.ID); !errors.Is(err, cloud.ErrCorrupt) || cloud.Hint(err) == "" {
		t.Errorf("err = %v", err)
	}
	n := 0
	for job, err := range b.jobs.List(t.Context(), cloud.JobQuery{}) {
		if n++; err != nil || job.ID == "" {
			t.Errorf("job = %+v, %v", job, err)
		}
	}
	if n != 2 {
		t.Errorf("a damaged record hides others: %d jobs", n)
	}
	for _, id := range []string{"", "..", "nothing", "20260102T030405.678Z-0123456789ab"} {
		if _, err := b.jobs.Status(t.Context(), id); !errors.Is(err, cloud.ErrNotFound) {
			t.Errorf("%q: err = %v", id, err)
		}
	}
}

func TestJobIDRises(t *testing.T) {
	t.Parallel()
	future := time.Now().Add(time.Hour).UTC().Format(jobTime) + "-0123456789ab"
	id := newJobID([]string{future}, tokenMark("x"))
	if id <= future || !isJobID(id) {
		t.Errorf("id = %q after %q", id, future)
	}
}

// Two jobs at a time have workspaces of their own; one after the other they share one, with what was made in it.
func TestJobWorkspace(t *testing.T) {
	t.Parallel()
	b := newBench(t, cloud.TaskSpec{Overlap: cloud.OverlapAllow})
	place := func(id string) string {
		r, err := b.jobs.read(id)
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Base(r.Workspace)
	}
	running := func(j cloud.Job) bool { return j.State == cloud.JobRunning }
	first := b.run(b.spec(`touch "$HANDOFF_WORKSPACE/made"; exec sleep 60`))
	b.await(first.ID, running)
	second := b.end(b.run(b.spec("true")).ID)
	if place(first.ID) != "1" || place(second.ID) != "2" {
		t.Errorf("workspaces %s and %s", place(first.ID), place(second.ID))
	}
	b.stopAll()
	third := b.end(b.run(b.spec(`cd "$HANDOFF_WORKSPACE" && ls`)).ID)
	if got := b.lines(third.ID); place(third.ID) != "1" || !slices.Equal(got, []string{"made"}) {
		t.Errorf("workspace %s, log %q", place(third.ID), got)
	}
}

func TestJobPrune(t *testing.T) {
	t.Parallel()
	b := newBench(t, cloud.TaskSpec{})
	id := b.end(b.run(b.spec("echo a")).ID).ID
	b.stopAll()
	if got := b.lines(id); len(got) != 1 {
		t.Errorf("log = %q", got)
	}
	for i := range keepJobs {
		stamp := time.Date(2030, 1, 1, 0, 0, i, 0, time.UTC).Format(jobTime)
		if err := os.Mkdir(filepath.Join(b.jobs.dir, stamp+tokenMark("x")), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.jobs.prune(); err != nil {
		t.Error(err)
	}
	if _, err := b.jobs.Status(t.Context(), id); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("err = %v", err)
	}
	if got := b.lines(id); len(got) != 0 {
		t.Errorf("log = %q", got)
	}
}

// A job is started by one command that never differs; what it is to do is in its environment, and nowhere else.
func TestJobCommand(t *testing.T) {
	t.Parallel()
	b := newBench(t, cloud.TaskSpec{Release: "abc", Env: map[string]string{"A": "1", "B": "1"}})
	spec := b.spec(`echo "$1 $2 $#"; env | sort >seen`)
	spec.Env["B"], spec.Written = "2", map[string]string{cloud.EnvVars: "day=$(date -I)"}
	job := b.end(b.run(spec).ID)
	if got := b.lines(job.ID); len(got) != 1 || got[0] != "run --job 2" {
		t.Errorf("argv = %q", got)
	}
	text, err := os.ReadFile(b.jobs.path(job.ID, "seen"))
	if err != nil {
		t.Fatal(err)
	}
	seen := strings.Split(string(text), "\n")
	for _, want := range []string{
		"A=1", "B=2", "__VARS=day=$(date -I)", "HANDOFF_EVALUATE=__VARS", "HANDOFF_STAGE=dev", "HANDOFF_RESOURCE_GROUP=Group", "HANDOFF_TASK=Load",
		"HANDOFF_JOB_ID=" + job.ID, "HANDOFF_JOB_RUN=run-1", "HANDOFF_TRIGGER=manual", "HANDOFF_RELEASE=abc", "HANDOFF_OVERLAP=skip",
		"HANDOFF_CLOUD_PROVIDER=local", "HANDOFF_CLOUD_PLATFORM=process", "HANDOFF_HOME=" + b.home.Dir(),
		"HANDOFF_WORKSPACE=" + b.jobs.path("workspaces", "1"),
	} {
		if !slices.Contains(seen, want) {
			t.Errorf("the environment lacks %s", want)
		}
	}
}

// BenchmarkJobStart measures what a job costs beside what it runs: from the call of Run to the start of handoff in it, and
// from its end to the record of the end. The stand-in for the runner is the test binary.
func BenchmarkJobStart(b *testing.B) {
	home, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	scope := cloud.Scope{Stage: "dev", ResourceGroup: "g", Task: "t"}
	p, err := home.Infra(scope).Plan(b.Context(), cloud.Want{Kind: cloud.KindTask})
	if err == nil {
		err = home.Infra(scope).Apply(b.Context(), p, nil)
	}
	if err != nil {
		b.Fatal(err)
	}
	jobs := home.Jobs(scope, JobOptions{
		Command: []string{os.Args[0], "-test.run=^TestJobProcess$", "--"}, Environ: append(os.Environ(), jobMark+"=1"),
	})
	for n := 0; b.Loop(); n++ {
		spec := cloud.Start{RunID: "run-" + strconv.Itoa(n), Overlap: cloud.OverlapQueue, Env: map[string]string{"SCRIPT": "exit 0"}}
		job, err := jobs.Run(b.Context(), spec)
		for err == nil && !job.State.Ended() {
			time.Sleep(time.Millisecond)
			job, err = jobs.Status(b.Context(), job.ID)
		}
		if err != nil || job.State != cloud.JobSucceeded {
			b.Fatal(job, err)
		}
	}
}
