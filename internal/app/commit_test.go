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

	"github.com/handoff-run/handoff/internal/artifact"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/state"
)

// cutFiles fails the call at which it is cut: the work of the call is not done, or it is and only its answer is lost. dead
// means that every later call fails, too.
type cutFiles struct {
	cloud.Files
	done, dead bool
	beside     func() // called at the cut, in its place; nil: it fails

	mu         sync.Mutex
	writes, at int
}

func (c *cutFiles) set(at int) (writes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	writes = c.writes
	c.writes, c.at = 0, at
	return writes
}

func (c *cutFiles) enter(write bool) (work bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if write {
		c.writes++
	}
	switch {
	case c.beside != nil && c.at > 0 && write && c.writes == c.at:
		c.at = 0
		c.mu.Unlock()
		c.beside()
		c.mu.Lock()
		return true, nil
	case c.at == 0 || c.writes < c.at:
		return true, nil
	case write && c.writes == c.at:
		return c.done, errBroken
	case c.dead:
		return false, errBroken
	}
	return true, nil
}

func (c *cutFiles) Put(ctx context.Context, key string, body cloud.Body, o cloud.PutOptions) (stored cloud.Object, err error) {
	work, cut := c.enter(true)
	if work {
		stored, err = c.Files.Put(ctx, key, body, o)
	}
	return stored, errors.Join(cut, err)
}

func (c *cutFiles) Delete(ctx context.Context, keys ...string) (err error) {
	work, cut := c.enter(true)
	if work {
		err = c.Files.Delete(ctx, keys...)
	}
	return errors.Join(cut, err)
}

func (c *cutFiles) Get(ctx context.Context, key string, part cloud.GetOptions) (io.ReadCloser, cloud.Object, error) {
	if _, cut := c.enter(false); cut != nil {
		return nil, cloud.Object{}, cut
	}
	return c.Files.Get(ctx, key, part)
}

// inMemory pushes a project to a bucket in memory.
func inMemory(t *testing.T, files *cutFiles, tasks string) *bucket {
	t.Helper()
	files.Files = &memory.Files{}
	b := pushedTo(t, tasks, func(c *cloud.Cloud) { c.Files = files })
	b.Lease.Poll = 10 * time.Millisecond // between the tries to give a lease back to a bucket that is away
	return b
}

const threeStates = `
- name: p%d
  state: true
  stdout_to_file: true
  stderr_to_file: false
  pipeline: [{command: "tr -cd 0-9 <{{ _state_file }} >n%d; n=$(cat n%d); echo '{\"n\":'$((n + 1))'}'"}]
`

// stored returns the number that the states and the artifacts of a run carry, which has to be the same everywhere.
func (b *bucket) stored() string {
	b.t.Helper()
	commits := b.commits(b.cloud)
	c, err := commits.Read(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	dir := b.t.TempDir()
	if _, err := commits.Artifacts.Fetch(b.t.Context(), c.Artifacts, artifact.FetchOptions{Dir: dir}); err != nil {
		b.t.Fatal(err)
	}
	seen := map[string]bool{}
	for i := range 3 {
		name := fmt.Sprint("p", i)
		v, err := commits.State(b.t.Context(), c, name)
		if err != nil && !errors.Is(err, cloud.ErrNotFound) {
			b.t.Fatal(err)
		}
		text, _ := os.ReadFile(filepath.Join(dir, name+"_stdout.log"))
		seen[string(v.State)], seen[strings.TrimSpace(string(text))] = true, true
	}
	if len(seen) != 1 {
		b.t.Fatalf("a mixture: %v", seen)
	}
	for text := range seen {
		return text
	}
	return ""
}

// At whatever call of a run its bucket fails, or its process is killed: the bucket has all of what it left or nothing of it, and
// the record that is shown says which.
func TestRunThatIsCutStoresAllOrNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	tasks := "tasks:"
	for i := range 3 {
		tasks += fmt.Sprintf(threeStates, i, i, i)
	}
	cutAtEveryCall(t, 8, func(t *testing.T, files *cutFiles, at int) bool { return cutRun(t, files, tasks, at) })
}

// cutAtEveryCall lets cut use a bucket that is cut at a call, for each one that there is, so many at the same time: they wait more than they work,
// and so do not share the places of parallel tests. cut returns whether the call came.
func cutAtEveryCall(t *testing.T, together int, cut func(t *testing.T, files *cutFiles, at int) (more bool)) {
	t.Helper()
	for _, tt := range []struct {
		name       string
		done, dead bool
	}{{"killed", false, true}, {"answer lost", true, false}, {"refused once", false, false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var ended atomic.Bool // there are no more calls to cut at
			for at := 1; !ended.Load(); at += together {
				var all sync.WaitGroup
				for i := range together {
					all.Go(func() {
						t.Run(fmt.Sprint(at+i), func(t *testing.T) {
							if !cut(t, &cutFiles{done: tt.done, dead: tt.dead}, at+i) {
								ended.Store(true)
							}
						})
					})
				}
				all.Wait()
			}
		})
	}
}

func cutRun(t *testing.T, files *cutFiles, tasks string, at int) (more bool) {
	t.Helper()
	b := inMemory(t, files, tasks)
	files.set(at)
	res, err := b.run(t.Context(), nil)
	more = files.set(0) >= at
	want := map[string]string{"": "failed", `{"n":1}`: "success"}[b.stored()]
	if (err != nil || res.Status != "success") && want == "success" && !strings.Contains(res.Reason, "not known") {
		t.Errorf("call %d: the run says %q (%s), the bucket %q", at, res.Status, res.Reason, want)
	}
	if err == nil && res.Status == "success" && want != "success" {
		t.Errorf("call %d: a success that has stored nothing", at)
	}
	run, err := b.RunShow(t.Context(), b.target, "")
	if errors.Is(err, cloud.ErrNotFound) && want != "success" { // it could not even say that it had begun
		return more
	}
	if err != nil || (run.Outcome == "success") != (want == "success") {
		t.Errorf("call %d: the record says %q, the bucket %q, %v", at, run.Outcome, want, err)
	}
	return more
}

// A run removes nothing that only a `run local` has made, unless it is told to, and says how much it removes.
func TestRunKeepsWhatOnlyTheWorkspaceHas(t *testing.T) {
	t.Parallel()
	b := pushed(t, "vars: [{key: then, value: 'true'}]\n"+counting)
	if res, err := b.run(t.Context(), nil); err != nil || res.ExitCode != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	local := RunOptions{Target: b.target}
	local.WorkspaceDir = filepath.Join(t.TempDir(), "ws")
	write(t, local.WorkspaceDir, map[string]string{"artifacts/mine": "m", "artifacts/sub/mine": "m"})
	if res, err := b.Run(t.Context(), local); err != nil || res.ExitCode != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	there := func() bool { return exists(filepath.Join(local.WorkspaceDir, "artifacts/sub/mine")) }
	here := func(o *RunReleaseOptions) { o.WorkspaceDir = local.WorkspaceDir }
	_, err := b.run(t.Context(), here)
	usage, ok := errors.AsType[*UsageError](err)
	if !ok || !strings.Contains(usage.Message, "2 artifacts of `handoff run local`") || !strings.Contains(usage.Hint, "--force") || !there() {
		t.Errorf("error %v, %v", err, there())
	}
	var log bytes.Buffer
	b.Log = slog.New(slog.NewTextHandler(&log, nil))
	res, err := b.run(t.Context(), func(o *RunReleaseOptions) { here(o); o.Force = true })
	if err != nil || res.ExitCode != 0 || there() || !strings.Contains(log.String(), "removed 2 artifacts that the bucket does not have from the workspace") {
		t.Errorf("%+v, %v, %v\n%s", res, err, there(), log.String())
	}
	if res, err := b.run(t.Context(), here); err != nil || res.ExitCode != 0 {
		t.Errorf("in a workspace of a run of the bucket: %+v, %v", res, err)
	}
}

// A file that a local run has changed is as much its work as a new one.
func TestRunKeepsWhatTheWorkspaceHasChanged(t *testing.T) {
	t.Parallel()
	b := pushed(t, "vars: [{key: then, value: 'true'}]\n"+counting)
	for range 2 {
		if res, err := b.run(t.Context(), nil); err != nil || res.ExitCode != 0 {
			t.Fatalf("%+v, %v", res, err)
		}
	}
	o := RunOptions{Target: b.target}
	o.WorkspaceDir = filepath.Join(t.TempDir(), "ws")
	if res, err := b.Run(t.Context(), o); err != nil || res.ExitCode != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	here := func(r *RunReleaseOptions) { r.WorkspaceDir = o.WorkspaceDir }
	if _, err := b.run(t.Context(), here); err == nil || !strings.Contains(err.Error(), "1 artifact of") {
		t.Errorf("error %v", err)
	}
	push := b.target
	push.WorkspaceDir = o.WorkspaceDir
	if _, err := b.ArtifactsPush(t.Context(), push, false); err != nil {
		t.Fatal(err)
	}
	if res, err := b.run(t.Context(), here); err != nil || res.ExitCode != 0 || b.next("n") != "2" {
		t.Errorf("when it is stored: %+v, %v, %q", res, err, b.next("n"))
	}
}

// kept is a keeper of a test.
type kept func(state.Version) error

func (k kept) prepareState(context.Context, *taskState) error { return nil }

func (k kept) store(_ context.Context, versions []state.Version) error { return k(versions[0]) }

// statesIn follows pipelines with checkpoints outside of a foreach.
func statesIn(dir string, keeper keeper, names ...string) (s *states, of func(name string) *pipeline.Stateful) {
	p, all := &plan.Plan{}, map[string]*pipeline.Stateful{}
	for _, name := range names {
		file := func([]string) string { return filepath.Join(dir, name+".json") }
		t := plan.Task{Name: name, State: &plan.State{File: file(nil), FileOf: file, Checkpoint: true}}
		p.Tasks = append(p.Tasks, t)
		all[name] = &pipeline.Stateful{Task: []string{name}, State: t.State, Stdout: name + "_stdout.log"}
	}
	return newStates(p, dir, keeper, func(text string) string { return text }, false), func(name string) *pipeline.Stateful { return all[name] }
}

// A bucket that does not respond while a checkpoint is stored stops no other pipeline at its beginning or end.
func TestNobodyWaitsForACheckpoint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	begun, respond := make(chan struct{}), make(chan struct{})
	var stored []string
	s, of := statesIn(dir, kept(func(v state.Version) error {
		if len(stored) == 0 {
			close(begun)
			<-respond
		}
		stored = append(stored, string(v.State))
		return nil
	}), "a", "b")
	begin := func(name string) {
		if err := s.Begin(t.Context(), of(name)); err != nil {
			t.Fatal(err)
		}
		s.Emptied(of(name))
	}
	begin("a")
	if err := os.WriteFile(filepath.Join(dir, "a_stdout.log"), []byte("{\"n\":1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.follow(t.Context(), slog.New(slog.DiscardHandler), nil)
	<-begun
	begin("b")
	close(respond)
	if err := os.WriteFile(filepath.Join(dir, "b_stdout.log"), []byte("{\"n\":2}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.close(t.Context())
	if diff := cmp.Diff([]string{`{"n":1}`, `{"n":2}`}, stored); diff != "" {
		t.Error(diff)
	}
}

// What `run local` has brought to the disk as a checkpoint is not replaced by a file that may be empty after a crash of the machine.
func TestCheckpointStaysOnTheDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "a.json")
	var durable os.FileInfo
	s, of := statesIn(dir, kept(func(v state.Version) (err error) {
		if err = state.WriteFiles(dir, []state.Version{v}); err == nil {
			durable, err = os.Stat(file)
		}
		return err
	}), "a")
	s.follow(t.Context(), slog.New(slog.DiscardHandler), nil)
	if err := s.Begin(t.Context(), of("a")); err != nil {
		t.Fatal(err)
	}
	s.Emptied(of("a"))
	if err := os.WriteFile(filepath.Join(dir, "a_stdout.log"), []byte("{\"n\":1}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.close(t.Context())
	now, err := os.Stat(file)
	if err != nil || durable == nil || !os.SameFile(now, durable) {
		t.Errorf("it was replaced: %v, %v", now, err)
	}
}
