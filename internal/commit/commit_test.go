package commit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/handoff-run/handoff/internal/artifact"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/cloudtest"
	"github.com/handoff-run/handoff/internal/cloud/memory"
	"github.com/handoff-run/handoff/internal/state"
)

func TestMain(m *testing.M) {
	var err error
	if folders, err = os.MkdirTemp("", "commit"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(folders)
		os.Exit(code)
	}))
}

// bucket is a task with some pipelines, whose states and artifacts all carry the same number where nothing is mixed up.
type bucket struct {
	*Store
	t         *testing.T
	pipelines int
	fence     int64
}

func newBucket(t *testing.T, files cloud.Files, pipelines int) *bucket {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var mu sync.Mutex
	now := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		at = at.Add(time.Second)
		return at
	}
	return &bucket{Store: Open(files, "t", 4, now), t: t, pipelines: pipelines}
}

// folder returns an artifacts folder of run n, which is made once.
func folder(t *testing.T, n int) string {
	t.Helper()
	foldersLock.Lock()
	defer foldersLock.Unlock()
	dir := filepath.Join(folders, fmt.Sprint(n))
	for _, name := range files {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(fmt.Sprint(n)), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var (
	files       = []string{"n", "sub/n"}
	folders     string
	foldersLock sync.Mutex
)

func name(i int) string { return fmt.Sprintf("p%02d", i) }

// change is what run n leaves.
func (b *bucket) change(n int) Change {
	b.t.Helper()
	dir := folder(b.t, n)
	ch := Change{By: ByRun, Writer: fmt.Sprint("r", n), Fence: b.fence}
	for i := range b.pipelines {
		ch.States = append(ch.States, state.Version{Task: name(i), By: state.ByRun, State: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))})
	}
	ch.Push = &artifact.PushOptions{Dir: dir, RunID: ch.Writer, Fence: b.fence, Keep: 2}
	return ch
}

// run is run n, from its start to its end.
func (b *bucket) run(n int) error {
	b.t.Helper()
	b.fence++
	ch := b.change(n)
	if _, err := b.Claim(b.t.Context(), b.fence, ch.Writer); err != nil {
		return err
	}
	_, err := b.Commit(b.t.Context(), ch)
	return err
}

// found returns the number that the next run finds everywhere: 0 where it finds nothing. A mixture fails the test.
func (b *bucket) found() int {
	b.t.Helper()
	c, err := b.Read(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	seen := map[string]bool{}
	for i := range b.pipelines {
		v, err := b.State(b.t.Context(), c, name(i))
		if err != nil && !errors.Is(err, cloud.ErrNotFound) {
			b.t.Fatal(err)
		}
		seen[strings.Trim(string(v.State), `{"n:}`)] = true
	}
	snap, err := b.Artifacts.Snapshot(b.t.Context(), c.Artifacts)
	if err != nil || len(snap.Entries) != len(files) && c.Artifacts != "" {
		b.t.Fatalf("%+v, %v", snap, err)
	}
	if c.Artifacts == "" {
		seen[""] = true
	}
	for _, e := range snap.Entries {
		text, _, err := cloud.Read(b.t.Context(), b.Files, "t/artifacts/"+snap.Name+"/"+e.Path, e.Size)
		if err != nil {
			b.t.Fatal(err)
		}
		seen[string(text)] = true
	}
	if len(seen) != 1 {
		b.t.Fatalf("a mixture: %v, %+v", seen, c)
	}
	n := 0
	for text := range seen {
		_, _ = fmt.Sscan(text, &n)
	}
	return n
}

// faulty fails one of the calls that write.
type faulty struct {
	cloud.Files
	mu     sync.Mutex
	at     int  // the call that fails; the first is 1
	done   bool // it does its work all the same, and only its answer is lost
	dead   bool // every later call fails, too: the process was killed
	writes int
}

var errFault = errors.New("no space left on device")

// enter reports whether a call is to be made, and whether its answer is to be an error.
func (f *faulty) enter(write bool) (work, fail bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if write {
		f.writes++
	}
	switch {
	case f.at == 0 || f.writes < f.at:
		return true, false
	case write && f.writes == f.at:
		return f.done, true
	}
	return !f.dead, f.dead
}

func (f *faulty) Put(ctx context.Context, key string, body cloud.Body, o cloud.PutOptions) (cloud.Object, error) {
	work, fail := f.enter(true)
	var stored cloud.Object
	var err error
	if work {
		stored, err = f.Files.Put(ctx, key, body, o)
	}
	if fail {
		return cloud.Object{}, errFault
	}
	return stored, err
}

func (f *faulty) Delete(ctx context.Context, keys ...string) error {
	work, fail := f.enter(true)
	var err error
	if work {
		err = f.Files.Delete(ctx, keys...)
	}
	if fail {
		return errFault
	}
	return err
}

func (f *faulty) Get(ctx context.Context, key string, part cloud.GetOptions) (io.ReadCloser, cloud.Object, error) {
	if _, fail := f.enter(false); fail {
		return nil, cloud.Object{}, errFault
	}
	return f.Files.Get(ctx, key, part)
}

// Whatever call of a run fails, or is the last one before it is killed, the next run finds all of what it left or nothing of
// it, and goes on.
func TestAllOrNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for _, tt := range []struct {
		name       string
		done, dead bool
	}{{"fails", false, false}, {"killed before", false, true}, {"killed behind", true, true}, {"answer lost", true, false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, before := range []int{0, 1} { // the first run of a task, and a further one
				for at := 1; ; at++ {
					files := &faulty{Files: &memory.Files{}, done: tt.done, dead: tt.dead}
					if !cut(t, files, before, at) {
						break
					}
				}
			}
		})
	}
}

// cut runs a bucket whose call at fails, and returns whether there was such a call.
func cut(t *testing.T, files *faulty, before, at int) bool {
	t.Helper()
	b := newBucket(t, files, 40)
	for n := range before {
		if err := b.run(n + 1); err != nil {
			t.Fatal(err)
		}
	}
	files.writes, files.at = 0, at
	err := b.run(before + 1)
	more := files.writes >= at
	files.at = 0
	got := b.found()
	switch {
	case err == nil && got != before+1:
		t.Fatalf("call %d: a success, but the next run finds %d", at, got)
	case err != nil && got == before+1 && !strings.Contains(err.Error(), "not known"):
		t.Fatalf("call %d: %v, but the next run finds what it left", at, err)
	case got != before && got != before+1:
		t.Fatalf("call %d: the next run finds %d", at, got)
	}
	c, err := b.Read(t.Context())
	if err != nil || (c.RunID == fmt.Sprint("r", before+1)) != (got == before+1) {
		t.Fatalf("call %d: the commit names %q, %v", at, c.RunID, err)
	}
	for n := before + 2; n < before+4; n++ { // with what is left lying about
		if err := b.run(n); err != nil || b.found() != n {
			t.Fatalf("call %d: run %d: %v, found %d", at, n, err, b.found())
		}
	}
	b.checkLeftovers(at)
	return more
}

// checkLeftovers fails the test where something is left that nobody names.
func (b *bucket) checkLeftovers(at int) {
	b.t.Helper()
	c, err := b.Read(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	archives, _, err := b.Artifacts.List(b.t.Context(), c.Artifacts)
	if err != nil {
		b.t.Fatal(err)
	}
	for o, err := range b.Files.List(b.t.Context(), "t/artifacts/archives") {
		known := slices.ContainsFunc(archives, func(a artifact.Archive) bool { return strings.HasPrefix(o.Key, "t/artifacts/"+a.Name+"/") })
		if err != nil || !known {
			b.t.Fatalf("call %d: %s is left, %v", at, o.Key, err)
		}
	}
	log, err := b.States.Log(b.t.Context(), name(0), c.States[name(0)].Seq, 0)
	for i := 1; i < len(log); i++ {
		if log[i].RunID == log[i-1].RunID || log[i].Seq >= log[i-1].Seq {
			b.t.Fatalf("call %d: history %+v", at, log)
		}
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// A holder that lost its lease can commit nothing, from the start of its successor on.
func TestWhoLostTheLeaseCannotCommit(t *testing.T) {
	t.Parallel()
	b := newBucket(t, &memory.Files{}, 2)
	if err := b.run(1); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Claim(t.Context(), 2, "stale"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Claim(t.Context(), 3, "successor"); err != nil {
		t.Fatal(err)
	}
	b.fence = 2
	for _, by := range []By{ByRun, ByFailed, ByCheckpoint} {
		ch := b.change(2)
		ch.By = by
		if _, err := b.Commit(t.Context(), ch); !errors.Is(err, cloud.ErrConflict) || !strings.Contains(err.Error(), "successor") {
			t.Errorf("%s: %v", by, err)
		}
	}
	if _, err := b.Claim(t.Context(), 2, "stale"); !errors.Is(err, cloud.ErrConflict) {
		t.Errorf("claim: %v", err)
	}
	b.fence = 3
	if _, err := b.Commit(t.Context(), b.change(3)); err != nil || b.found() != 3 {
		t.Errorf("the successor: %v, %d", err, b.found())
	}
}

// A checkpoint advances one state and keeps everything else, and is no success of its run.
func TestCheckpoint(t *testing.T) {
	t.Parallel()
	b := newBucket(t, &memory.Files{}, 2)
	if err := b.run(1); err != nil {
		t.Fatal(err)
	}
	before, err := b.Claim(t.Context(), 2, "r2")
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		v := state.Version{Task: name(0), By: state.ByRun, Checkpoint: true, State: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n+7))}
		if _, err := b.Commit(t.Context(), Change{By: ByCheckpoint, Writer: "r2", Fence: 2, States: []state.Version{v}}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := b.Read(t.Context())
	if err != nil || c.RunID != "r1" || c.Artifacts != before.Artifacts || c.States[name(1)] != before.States[name(1)] {
		t.Errorf("%+v, %v", c, err)
	}
	if v, err := b.State(t.Context(), c, name(0)); err != nil || string(v.State) != `{"n":9}` || !v.Checkpoint {
		t.Errorf("%+v, %v", v, err)
	}
	log, err := b.States.Log(t.Context(), name(0), c.States[name(0)].Seq, 0)
	if err != nil || len(log) != 2 || log[1].RunID != "r1" {
		t.Errorf("history %+v, %v", log, err)
	}
}

// Runs that go on at the same time, without a lease: who ends last wins, with all that it has, also while others tidy up.
func TestConcurrentRunsWithoutALease(t *testing.T) {
	t.Parallel()
	for range 10 {
		b := newBucket(t, &memory.Files{}, 2)
		var changes []Change
		for n := range 6 {
			changes = append(changes, b.change(n+1))
		}
		var wg sync.WaitGroup
		for _, ch := range changes {
			wg.Go(func() {
				if _, err := b.Commit(t.Context(), ch); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := b.found(); n < 1 || n > 6 {
			t.Errorf("found %d", n)
		}
	}
}

// What a person changes goes through the commit as well, and touches nothing else.
func TestByHand(t *testing.T) {
	t.Parallel()
	b := newBucket(t, &memory.Files{}, 2)
	if err := b.run(1); err != nil {
		t.Fatal(err)
	}
	set := state.Version{Task: name(0), By: state.BySet, State: json.RawMessage(`{}`)}
	if _, err := b.Commit(t.Context(), Change{By: BySet, Writer: "hand", Fence: 2, States: []state.Version{set}}); err != nil {
		t.Fatal(err)
	}
	c, err := b.Commit(t.Context(), Change{By: ByDelete, Writer: "hand", Fence: 3, Delete: true})
	if err != nil || c.Artifacts != "" || c.RunID != "r1" || c.States[name(1)].RunID != "r1" || c.States[name(0)].RunID != "hand" || c.Fence != 3 {
		t.Errorf("%+v, %v", c, err)
	}
	if archives, _, err := b.Artifacts.List(t.Context(), ""); err != nil || len(archives) != 1 {
		t.Errorf("archives %+v, %v", archives, err)
	}
	if _, err := b.Archive(t.Context(), 0); !errors.Is(err, cloud.ErrNotFound) || cloud.Hint(err) == "" {
		t.Errorf("archive of nothing: %v", err)
	}
	archives, _, err := b.Artifacts.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	back, err := b.Commit(t.Context(), Change{By: ByRestore, Writer: "hand", Fence: 4, Restore: archives[0].Name, Keep: 1})
	if err != nil || back.Artifacts == "" || back.Artifacts == archives[0].Name || back.States[name(1)].RunID != "r1" {
		t.Errorf("%+v, %v", back, err)
	}
	snap, err := b.Artifacts.Snapshot(t.Context(), back.Artifacts)
	if err != nil || len(snap.Entries) != len(files) {
		t.Errorf("restored: %+v, %v", snap, err)
	}
	if archives, _, err := b.Artifacts.List(t.Context(), back.Artifacts); err != nil || len(archives) != 1 || archives[0].Name != back.Artifacts {
		t.Errorf("archives after that: %+v, %v", archives, err)
	}
}

// Where the commit is lost, the newest of everything counts. Where it is damaged, only a person can go on.
func TestLostAndDamagedCommit(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	b := newBucket(t, files, 2)
	for n := range 2 {
		if err := b.run(n + 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := files.Delete(t.Context(), b.key()); err != nil || b.found() != 2 {
		t.Errorf("lost: %v, found %d", err, b.found())
	}
	if _, err := files.Put(t.Context(), b.key(), cloud.Text(`{"schema`), cloud.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := b.run(3); !errors.Is(err, cloud.ErrCorrupt) || !strings.Contains(cloud.Hint(err), "handoff state rollback") {
		t.Errorf("damaged: %v", err)
	}
	back := state.Version{Task: name(0), By: state.ByRollback, State: json.RawMessage(`{"n":2}`)}
	if _, err := b.Commit(t.Context(), Change{By: ByRollback, Writer: "hand", Fence: b.fence, States: []state.Version{back}}); err != nil || b.found() != 2 {
		t.Errorf("by hand: %v, found %d", err, b.found())
	}
}

// A bucket of an earlier handoff is read as it was left, and from the first start on only the commit counts.
func TestBucketOfAnEarlierHandoff(t *testing.T) {
	t.Parallel()
	store := &memory.Files{}
	b := newBucket(t, store, 2)
	objects := map[string]string{"t/artifacts/index.json": `{"schema_version": 1, "fence": 7, "archives": [{"name": "archives/x"}], "failed": [],
		"last": {"name": "archives/x", "entries": [{"path": "n", "size": 1}, {"path": "sub/n", "size": 1}]}}`}
	for i := range 2 {
		v := fmt.Sprintf(`{"schema_version":1,"task":%q,"seq":4,"run":"r4","by":"run","fence":7,"state":{"n":4}}`, name(i))
		objects["t/state/"+name(i)+"/current.json"] = v
		objects[fmt.Sprintf("t/state/%s/log/%010d.json", name(i), 9_999_999_995)] = v
	}
	for _, name := range files {
		objects["t/artifacts/archives/x/"+name] = "4"
	}
	for key, text := range objects {
		if _, err := store.Put(t.Context(), key, cloud.Text(text), cloud.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.found(); n != 4 {
		t.Errorf("found %d", n)
	}
	b.fence = 7
	if err := b.run(5); err != nil || b.found() != 5 {
		t.Errorf("%v, found %d", err, b.found())
	}
	archives, _, err := b.Artifacts.List(t.Context(), "")
	if err != nil || len(archives) != 2 || archives[1].Name != "archives/x" {
		t.Errorf("archives %+v, %v", archives, err)
	}
	log, err := b.States.Log(t.Context(), name(0), 5, 0)
	if err != nil || len(log) != 2 {
		t.Errorf("history %+v, %v", log, err)
	}
}

// A network that loses answers costs nothing: no run, and no number in the history.
func TestCommitsThatAreSentTwice(t *testing.T) {
	t.Parallel()
	b := newBucket(t, cloudtest.Twice(&memory.Files{}), 2)
	for n := 1; n <= 3; n++ {
		if err := b.run(n); err != nil || b.found() != n {
			t.Fatalf("run %d: %v; found %d", n, err, b.found())
		}
	}
	c, err := b.Read(t.Context())
	if err != nil || c.States[name(0)].Seq != 3 {
		t.Errorf("after three runs: %+v, %v", c.States, err)
	}
}
