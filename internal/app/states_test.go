package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
	"github.com/handoff-run/handoff/internal/commit"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/state"
)

// threeLines counts each line up in its state, and fails at those in bad.
const threeLines = `
vars: [{key: bad, value: none}]
tasks:
- name: all
  kill_loop_on_fail: false
  pipeline:
  - command: printf 'a\nb\nc\n'
  - concurrency: %d
    foreach:
    - name: load
      state: %s
      stderr_to_file: false
      pipeline: [{command: "n=$(tr -cd 0-9 <{{ _state_file }}); echo '{\"n\":'$((n + 1))'}'"}]
    - name: check
      stderr_to_file: false
      commands: [{command: "case '{{ bad }}' in *{{ _line }}*) exit 1;; esac"}]
`

// lines are the states of the lines in the bucket, and from what else the next run goes on.
func (b *bucket) lines() (string, commit.Commit) {
	b.t.Helper()
	commits := b.commits(b.cloud)
	c, err := commits.Read(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	var all []string
	for _, line := range []string{"a", "b", "c"} {
		v, err := commits.State(b.t.Context(), c, project.StateName("load", []string{line}))
		if err != nil && !errors.Is(err, cloud.ErrNotFound) {
			b.t.Fatal(err)
		}
		if err == nil && (v.Task != "load" || len(v.Lines) != 1 || v.Lines[0] != line || v.Checkpoint) {
			b.t.Errorf("state of line %s: %+v", line, v)
		}
		all = append(all, strings.Trim(string(v.State), `{"n:}`))
	}
	return strings.Join(all, ","), c
}

func (b *bucket) runWith(bad string) RunResult {
	b.t.Helper()
	res, err := b.run(b.t.Context(), func(o *RunReleaseOptions) { o.Vars = []project.KeyValue{{Key: "bad", Value: bad}} })
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

// The state of a line counts when its body has succeeded, whatever becomes of the run; with commit: run when the run has.
func TestStatesOfLines(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, state string
		concurrency int
		want        []string // after each run
	}{
		{"one after the other", "true", 1, []string{"1,1,", "2,2,1", "3,,"}},
		{"side by side", "true", 4, []string{"1,1,", "2,2,1", "3,,"}},
		{"with the run", "{commit: run}", 4, []string{",,", "1,1,1", ",,"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := pushed(t, fmt.Sprintf(threeLines, tc.concurrency, tc.state))
			if res := b.runWith("c"); res.ExitCode != 1 {
				t.Errorf("%+v", res)
			}
			got, c := b.lines()
			if got != tc.want[0] || c.RunID != "" || c.Artifacts != "" {
				t.Errorf("after a run that failed at one line: %q, %+v", got, c)
			}
			good := b.runWith("none")
			got, c = b.lines()
			if got != tc.want[1] || good.ExitCode != 0 || c.RunID != good.RunID || c.By != commit.ByRun {
				t.Errorf("after one that succeeded: %q, %+v, %+v", got, good, c)
			}
			failed := b.runWith("b c")
			got, after := b.lines()
			want := strings.Split(tc.want[1], ",")
			if first := strings.Split(tc.want[2], ",")[0]; first != "" {
				want[0] = first
			}
			if got != strings.Join(want, ",") || after.RunID != good.RunID || after.Artifacts != c.Artifacts || !after.Ended.Equal(c.Ended) {
				t.Errorf("after one more that failed: %q, %+v, before %+v", got, after, c)
			}
			run, err := b.RunShow(t.Context(), b.target, failed.RunID)
			if stored := run.Tasks[0].LineStates; err != nil || run.Outcome != "failed" || stored != int64(len(tc.want[2])-2) {
				t.Errorf("the record: %q, %d states, %v", run.Outcome, stored, err)
			}
		})
	}
}

// At whatever call of a run its bucket fails, or its process is killed: a line whose body is told as a success has its state in the bucket,
// and the next run goes on from just what is there.
func TestLinesOfARunThatIsCut(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	cutAtEveryCall(t, 20, cutLines)
}

func cutLines(t *testing.T, files *cutFiles, at int) (more bool) {
	t.Helper()
	b := inMemory(t, files, fmt.Sprintf(threeLines, 2, "true"))
	var mu sync.Mutex
	good := int64(0) // bodies that have succeeded
	files.set(at)
	_, _ = b.run(t.Context(), func(o *RunReleaseOptions) {
		o.Events = func(e pipeline.Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Kind == pipeline.StageEnded && e.Result.Lines != nil {
				good = e.Result.Lines.Succeeded
			}
		}
	})
	more = files.set(0) >= at
	got, c := b.lines()
	if n := int64(strings.Count(got, "1")); n < good {
		t.Errorf("call %d: %d bodies have succeeded, the bucket has %q", at, good, got)
	}
	if (c.RunID == "") != (c.Artifacts == "") {
		t.Errorf("call %d: a mixture: %+v", at, c)
	}
	// one that was killed has its lease no longer; this process, which lives, still has it
	if res, err := b.run(t.Context(), func(o *RunReleaseOptions) { o.Overlap = cloud.OverlapAllow }); err != nil || res.ExitCode != 0 {
		t.Errorf("call %d: the next run: %+v, %v", at, res, err)
	}
	next := map[string]string{"": "1", "1": "2"}
	var want []string
	for _, n := range strings.Split(got, ",") {
		want = append(want, next[n])
	}
	if now, _ := b.lines(); now != strings.Join(want, ",") {
		t.Errorf("call %d: the bucket had %q, after the next run %q", at, got, now)
	}
	return more
}

// forgetfulFiles makes the first commit of a body, does not answer, and is away until what has been started has looked in vain.
type forgetfulFiles struct {
	cloud.Files
	away, armed atomic.Bool
}

func (f *forgetfulFiles) Put(ctx context.Context, key string, body cloud.Body, o cloud.PutOptions) (cloud.Object, error) {
	stored, err := f.Files.Put(ctx, key, body, o)
	if strings.HasSuffix(key, "/current.json") && !o.Fleeting && !o.IfAbsent && f.armed.CompareAndSwap(true, false) {
		f.away.Store(true)
		return cloud.Object{}, errBroken
	}
	return stored, err
}

func (f *forgetfulFiles) Get(ctx context.Context, key string, part cloud.GetOptions) (io.ReadCloser, cloud.Object, error) {
	if f.away.Load() && strings.HasSuffix(key, "/current.json") {
		return nil, cloud.Object{}, errBroken
	}
	return f.Files.Get(ctx, key, part)
}

// A further try of a foreach goes on from what a commit has stored whose answer got lost.
func TestLineWhoseCommitIsNotKnown(t *testing.T) {
	t.Parallel()
	files := &forgetfulFiles{Files: &memory.Files{}}
	tasks := strings.Replace(fmt.Sprintf(threeLines, 1, "true"), "  pipeline:", "  retries: {max: 1}\n  pipeline:", 1)
	b := pushedTo(t, tasks, func(c *cloud.Cloud) { c.Files = files })
	files.armed.Store(true)
	res, err := b.run(t.Context(), func(o *RunReleaseOptions) {
		o.Events = func(e pipeline.Event) {
			if e.Kind == pipeline.TaskStarted && len(e.Lines) == 0 {
				files.away.Store(false)
			}
		}
	})
	if got, _ := b.lines(); err != nil || res.ExitCode != 0 || got != "2,1,1" {
		t.Errorf("%+v, %v, %q: want one that has gone on from what was stored, and two of which nothing was", res, err, got)
	}
}

// A run that has lost the task advances no line from then on.
func TestLinesOfARunThatLostItsLease(t *testing.T) {
	t.Parallel()
	b := pushed(t, fmt.Sprintf(threeLines, 1, "true"))
	res, err := b.run(t.Context(), func(o *RunReleaseOptions) {
		o.Events = func(e pipeline.Event) {
			if e.Kind == pipeline.TaskStarted && len(e.Lines) == 1 && e.Lines[0] == "b" && e.Task[1] == "load" {
				if _, err := b.commits(b.cloud).Claim(t.Context(), 1<<62, "other"); err != nil {
					t.Error(err)
				}
			}
		}
	})
	got, c := b.lines()
	if err != nil || res.ExitCode == 0 || got != "1,," || c.RunID != "" || !strings.Contains(res.Reason, `("b"): its state is not stored`) ||
		!strings.Contains(res.Reason, "run other has taken over the task") {
		t.Errorf("%+v, %v, %q", res, err, got)
	}
}

// A run of a backfill begins each line with an empty state, and leaves the states as they are.
func TestLinesOfABackfill(t *testing.T) {
	t.Parallel()
	b := pushed(t, fmt.Sprintf(threeLines, 1, "true"))
	b.runWith("none")
	b.runWith("none")
	res, err := b.job(t.Context(), cloud.Start{Trigger: cloud.TriggerBackfill, Series: "s", ScheduledAt: time.Now()})
	if got, _ := b.lines(); err != nil || res.ExitCode != 0 || got != "2,2,2" {
		t.Errorf("%+v, %v, %q", res, err, got)
	}
	if text, err := os.ReadFile(filepath.Join(res.Artifacts, "load_a_stdout.log")); string(text) != "{\"n\":1}\n" {
		t.Errorf("it has gone on from a state: %q, %v", text, err)
	}
}

// Of many bodies that print no state the first are told, and how many more there are.
func TestBodiesWithoutAState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var log bytes.Buffer
	s, _ := statesIn(dir, kept(func(state.Version) error { t.Error("a state was stored"); return nil }))
	rec, err := ledger.NewRecorder(filepath.Join(dir, ledger.FileName), ledger.Run{ID: "r"}, func(text string) string { return text })
	if err != nil {
		t.Fatal(err)
	}
	s.mask = func(text string) string { return strings.ReplaceAll(text, "hunter2", "[redacted]") }
	s.follow(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), rec)
	for i := range 10 {
		p := lineOf(fmt.Sprint("hunter2-", i))
		if err := s.Begin(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if err := s.Ended(t.Context(), []*pipeline.Stateful{p}, true); err != nil {
			t.Fatal(err)
		}
	}
	s.close(t.Context())
	if n := strings.Count(log.String(), "level=WARN"); n != mostSilent+1 || !strings.Contains(log.String(), "for 7 lines more") || strings.Contains(log.String(), "hunter2") {
		t.Errorf("%d warnings: %s", n, log.String())
	}
	if len(s.bodies) != 0 {
		t.Error("bodies that have ended are kept")
	}
}

// What ends while something is being stored is stored together.
func TestGathering(t *testing.T) {
	t.Parallel()
	var g gathering
	begun, goOn := make(chan struct{}), make(chan struct{})
	var sizes []int
	do := func(all []state.Version) error {
		if sizes = append(sizes, len(all)); len(sizes) == 1 {
			close(begun)
			<-goOn
			return nil
		}
		return errors.New("no")
	}
	var all sync.WaitGroup
	errs := make([]error, 5)
	all.Go(func() { errs[0] = g.store(make([]state.Version, 1), do) })
	<-begun
	for i := 1; i < len(errs); i++ {
		all.Go(func() { errs[i] = g.store(make([]state.Version, 2), do) })
	}
	for { // until all of them wait
		g.mu.Lock()
		n := 0
		if g.next != nil {
			n = len(g.next.versions)
		}
		g.mu.Unlock()
		if n == 8 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	close(goOn)
	all.Wait()
	if diff := cmp.Diff([]int{1, 8}, sizes); diff != "" {
		t.Error(diff)
	}
	for i, err := range errs {
		if (err == nil) != (i == 0) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func lineOf(line string) *pipeline.Stateful {
	of := &plan.State{Body: true, FileOf: func([]string) string { return "" }}
	return &pipeline.Stateful{Task: []string{"all", "load"}, Lines: []string{line}, State: of, Stdout: "none", Succeeded: true}
}

// branches has two pipelines with a state side by side in a fork: one that is outside of any foreach waits for the run.
const branches = `
vars: [{key: bad, value: none}]
tasks:
- name: all
  pipeline:
  - command: echo 'a'
  - fork:
    - name: own
      state: true
      stderr_to_file: false
      pipeline: [{command: "cat >/dev/null; n=$(tr -cd 0-9 <{{ _state_file }}); echo '{\"n\":'$((n + 1))'}'"}]
    - name: each
      pipeline:
      - foreach:
        - name: load
          state: true
          stderr_to_file: false
          pipeline: [{command: "n=$(tr -cd 0-9 <{{ _state_file }}); echo '{\"n\":'$((n + 1))'}'"}]
- name: end
  commands: [{command: "test {{ bad }} = none"}]
`

// The state of a branch of a fork counts with the run, that of a line in another branch with its body.
func TestStatesOfBranches(t *testing.T) {
	t.Parallel()
	b := pushed(t, branches)
	for _, tc := range []struct{ bad, own, line string }{{"end", "", "1,,"}, {"none", `{"n":1}`, "2,,"}, {"end", `{"n":1}`, "3,,"}, {"none", `{"n":2}`, "4,,"}} {
		res := b.runWith(tc.bad)
		lines, c := b.lines()
		own, err := b.commits(b.cloud).State(t.Context(), c, "own")
		if errors.Is(err, cloud.ErrNotFound) {
			err = nil
		}
		if err != nil || string(own.State) != tc.own || lines != tc.line || (res.ExitCode == 0) != (tc.bad == "none") {
			t.Errorf("%+v: the branch has %s, the line %q, %v, %+v", tc, own.State, lines, err, res)
		}
	}
}

// A line whose body fails goes on from its last checkpoint, and nobody else does.
func TestCheckpointOfALine(t *testing.T) {
	t.Parallel()
	b := pushed(t, fmt.Sprintf(threeLines, 2, "{checkpoint: true}"))
	commits := b.commits(b.cloud)
	for _, tc := range []struct {
		bad  string
		want []string // numbers of a, b, c; * is a checkpoint
	}{{"b", []string{"1", "1*", "1"}}, {"b", []string{"2", "2*", "2"}}, {"none", []string{"3", "3", "3"}}} {
		b.runWith(tc.bad)
		c, err := commits.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, line := range []string{"a", "b", "c"} {
			v, err := commits.State(t.Context(), c, project.StateName("load", []string{line}))
			if err != nil {
				t.Error(err)
			}
			got = append(got, strings.Trim(string(v.State), `{"n:}`)+map[bool]string{true: "*"}[v.Checkpoint])
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s fails: %s", tc.bad, diff)
		}
	}
}

// A pipeline with backfill: use goes on from the states of its lines in a backfill, and advances them.
func TestLinesThatABackfillUses(t *testing.T) {
	t.Parallel()
	b := pushed(t, fmt.Sprintf(threeLines, 2, "{backfill: use}"))
	b.runWith("none")
	res, err := b.job(t.Context(), cloud.Start{Trigger: cloud.TriggerBackfill, Series: "s", ScheduledAt: time.Now()})
	if got, _ := b.lines(); err != nil || res.ExitCode != 0 || got != "2,2,2" {
		t.Errorf("%+v, %v, %q", res, err, got)
	}
}

// What removes runs, artifacts and releases leaves the states of lines, also those that come no more.
func TestStatesOfLinesStay(t *testing.T) {
	t.Parallel()
	b := pushed(t, "keep: {runs: 1, days: 1}\n"+fmt.Sprintf(threeLines, 2, "true"))
	b.runWith("c")
	b.runWith("a b c")
	b.later(60)
	if _, err := b.gc(false); err != nil {
		t.Error(err)
	}
	if _, err := b.ProjectDelete(t.Context(), DeleteOptions{Target: b.target}); err != nil {
		t.Error(err)
	}
	if got, _ := b.lines(); got != "1,1," {
		t.Errorf("the states are %q", got)
	}
}

// A secret in a line is masked in its state, also where a person names the line.
func TestLineThatIsASecretChangedByHand(t *testing.T) {
	t.Parallel()
	b := pushed(t, fmt.Sprintf(threeLines, 1, "true"))
	line := []string{"hunter2"}
	v := state.Version{Task: "load", Name: project.StateName("load", line), Lines: []string{"[redacted]"}, By: state.ByRun, State: []byte(`{"n":1}`)}
	if _, err := b.commits(b.cloud).Commit(t.Context(), commit.Change{By: commit.ByBody, Writer: "r", States: []state.Version{v}}); err != nil {
		t.Fatal(err)
	}
	o := StateOptions{Target: b.target, Name: "load", Lines: line}
	set, err := b.StateSet(t.Context(), o, []byte(`{"n":2}`))
	if err != nil || set.State.Lines[0] != "[redacted]" {
		t.Errorf("set: %+v, %v", set.State, err)
	}
	back, err := b.StateRollback(t.Context(), o, 0)
	if err != nil || back.State.Lines[0] != "[redacted]" || string(back.State.State) != `{"n":1}` {
		t.Errorf("rollback: %+v, %v", back.State, err)
	}
}
