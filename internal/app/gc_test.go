package app

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/artifact"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
	"github.com/handoff-run/handoff/internal/lease"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/release"
)

const keepLittle = `keep: {runs: 3, days: 10}
artifacts: {keep: 2}
tasks:
- name: count
  state: true
  pipeline: [{command: "n=$(cat artifacts/n 2>/dev/null); echo $((n+1)) > artifacts/n; echo '{\"n\":'$((n+1))'}'; {{ then }}"}]
`

// later sets the clock of the verbs.
func (b *bucket) later(days int) {
	b.Now = func() time.Time { return time.Now().AddDate(0, 0, days) }
}

func (b *bucket) gc(dryRun bool) (GCResult, error) {
	return b.GC(b.t.Context(), GCOptions{Target: b.target, DryRun: dryRun})
}

// whole checks that what the next run, a rollback and a look at the last run need can be read.
func (b *bucket) whole(want string) {
	b.t.Helper()
	commits := b.commits(b.cloud)
	c, err := commits.Read(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	if got := b.next("n"); got != want {
		b.t.Errorf("the next run finds %q, want %q", got, want)
	}
	if v, err := commits.State(b.t.Context(), c, "count"); err != nil || string(v.State) != `{"n":`+want+`}` {
		b.t.Errorf("state %s, %v", v.State, err)
	}
	if _, err := b.RunShow(b.t.Context(), b.target, c.RunID); err != nil {
		b.t.Errorf("the last good run: %v", err)
	}
	good, failed, err := commits.Artifacts.List(b.t.Context(), c.Artifacts)
	if err != nil {
		b.t.Error(err)
	}
	for _, a := range slices.Concat(good, failed) {
		if _, err := commits.Artifacts.Fetch(b.t.Context(), a.Name, artifact.FetchOptions{Dir: b.t.TempDir()}); err != nil {
			b.t.Errorf("archive %s is in the list: %v", a.Name, err)
		}
	}
	runs, err := b.Runs(b.t.Context(), b.target, RunsQuery{Limit: 100})
	if err != nil {
		b.t.Error(err)
	}
	for _, run := range runs.Runs {
		if _, err := b.RunShow(b.t.Context(), b.target, run.ID); err != nil {
			b.t.Errorf("run %s is in the list: %v", run.ID, err)
		}
	}
	if pushes, err := release.Open(b.cloud).List(b.t.Context()); err != nil || len(pushes) != 1 {
		b.t.Errorf("releases %v, %v", pushes, err)
	}
}

// TestGCThatIsCut makes a history of good and failed runs over weeks, and kills the removal at each of its writes.
func TestGCThatIsCut(t *testing.T) {
	t.Parallel()
	files := &cutFiles{done: true, dead: true}
	b := inMemory(t, files, keepLittle)
	good := 0
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for day := range 9 {
		b.later(3 * day)
		then := "false"
		if day == 2 || random.IntN(2) == 0 {
			then, good = "true", good+1
		}
		_, err := b.run(t.Context(), func(o *RunReleaseOptions) { o.Vars = []project.KeyValue{{Key: "then", Value: then}} })
		if err != nil {
			t.Fatal(err)
		}
	}
	want := map[bool]string{true: "1"}[good == 1]
	if want == "" {
		want = b.next("n")
	}
	b.later(60)
	plan, err := b.gc(true)
	if err != nil || len(plan.Removed) == 0 {
		t.Fatalf("seed %d: %+v, %v", seed, plan, err)
	}
	b.whole(want)
	before := copyOf(t, files.Files)
	for at := 1; ; at++ {
		files.Files = copyOf(t, before)
		files.set(at)
		_, err := b.gc(false)
		more := files.set(0) >= at
		if more != (err != nil) {
			t.Fatalf("seed %d, write %d: %v", seed, at, err)
		}
		b.whole(want)
		if _, err := b.gc(false); err != nil {
			t.Errorf("seed %d, write %d: again: %v", seed, at, err)
		}
		b.whole(want)
		if rest, err := b.gc(true); err != nil || len(rest.Removed) != 0 {
			t.Errorf("seed %d, write %d: left %+v, %v", seed, at, rest, err)
		}
		if t.Failed() || !more {
			if at < 4 {
				t.Errorf("seed %d: only %d writes", seed, at-1)
			}
			break
		}
	}
	res, err := b.run(t.Context(), func(o *RunReleaseOptions) { o.Vars = []project.KeyValue{{Key: "then", Value: "true"}} })
	if err != nil || res.Status != "success" {
		t.Errorf("the next run: %+v, %v", res, err)
	}
}

func copyOf(t *testing.T, from cloud.Files) cloud.Files {
	t.Helper()
	to := &memory.Files{}
	for o, err := range from.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		text, _, err := cloud.Read(t.Context(), from, o.Key, 1<<30)
		if err == nil {
			_, err = to.Put(t.Context(), o.Key, cloud.Bytes(text), cloud.PutOptions{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// TestRunsSweepOnceADay: a run removes what is too old, unless that was done less than a day ago, and never the record of the run that has the lease.
func TestRunsSweepOnceADay(t *testing.T) {
	t.Parallel()
	files := &cutFiles{}
	b := inMemory(t, files, keepLittle)
	run := func() {
		t.Helper()
		if _, err := b.run(t.Context(), func(o *RunReleaseOptions) { o.Vars = []project.KeyValue{{Key: "then", Value: "true"}} }); err != nil {
			t.Fatal(err)
		}
	}
	records := func() (n int) {
		t.Helper()
		for o, err := range files.List(t.Context(), "t/runs") {
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(filepath.Base(o.Key), "-") {
				n++
			}
		}
		return n
	}
	for i := range 5 {
		b.later(-100 + i)
		run()
	}
	b.later(0)
	run()
	after := records()
	if after > 2 {
		t.Errorf("%d records after a run much later", after)
	}
	run()
	if n := records(); n != after+1 {
		t.Errorf("%d records, %d before: it was done twice a day", n, after)
	}
	// The record of the run that has the lease stays, however long it has been going on.
	b.later(0)
	id := cloud.NewRunID(b.Now().AddDate(0, 0, -50))
	held, l, err := lease.Acquire(t.Context(), files, b.leaseOptions(b.cloud, id))
	if err == nil {
		err = b.ledger(b.cloud, 0).Put(held, ledger.Run{ID: id, Outcome: ledger.Running})
	}
	if err != nil {
		t.Fatal(err)
	}
	b.later(60)
	res, err := b.gc(true)
	if err != nil || res.Kept != 2 || slices.ContainsFunc(res.Removed, func(o Old) bool { return o.Name == id }) {
		t.Errorf("%+v, %v", res, err)
	}
	if err := l.Release(t.Context()); err != nil {
		t.Error(err)
	}
}
