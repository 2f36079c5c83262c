package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/cloudtest"
	"github.com/handoff-run/handoff/internal/cloud/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newStore has a clock that goes on by a second from push to push.
func newStore(files cloud.Files) *Store {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &Store{Files: files, Prefix: "t", Parallel: 3, Now: func() time.Time {
		at = at.Add(time.Second)
		return at
	}}
}

// tree is files by path; a path that ends with "*" is executable.
type tree map[string]string

func (tr tree) write(t *testing.T, dir string) string {
	t.Helper()
	for name, text := range tr {
		name, exec := strings.CutSuffix(name, "*")
		path := filepath.Join(dir, name)
		mode := fs.FileMode(0o644)
		if exec {
			mode = 0o755
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), mode)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, dir string) tree {
	t.Helper()
	out := tree{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		info, _ := d.Info()
		name, _ := filepath.Rel(dir, path)
		if info.Mode()&0o100 != 0 {
			name += "*"
		}
		out[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// push stores a folder as a run does after which the next one goes on from it, unless it has failed. current is the archive from
// which it went on.
func push(t *testing.T, s *Store, current string, tr tree, o PushOptions) Pushed {
	t.Helper()
	o.Dir = tr.write(t, t.TempDir())
	p, err := s.Upload(t.Context(), current, o)
	if err == nil {
		now := p.Name
		if o.Failed {
			now = current
		}
		err = errors.Join(s.Settle(t.Context(), p.Archive, is(now), o.Fence, o.Keep), s.Show(t.Context(), now))
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// is returns what says that an archive is the one from which the next run goes on.
func is(name string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return name, nil }
}

func fetch(t *testing.T, s *Store, name string, o FetchOptions) tree {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if _, err := s.Fetch(t.Context(), name, o); err != nil {
		t.Fatal(err)
	}
	return read(t, o.Dir)
}

func TestPushAndFetch(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	s := newStore(files)
	mine := tree{"mine": "m"}
	if got := fetch(t, s, "", FetchOptions{Dir: mine.write(t, t.TempDir()), Exact: true}); !cmp.Equal(got, mine) {
		t.Errorf("without an archive: %v", got)
	}
	want := tree{"a.log": "1\n", "sub/deep/b": "", "run.sh*": "x", "odd näme +%#": "o"}
	p := push(t, s, "", want, PushOptions{RunID: "r1", Fence: 1, Skip: func(p string) bool { return p == "run.json" }})
	if diff := cmp.Diff(want, fetch(t, s, p.Name, FetchOptions{})); diff != "" {
		t.Error(diff)
	}
	wantKeys := []string{"t/artifacts/index.json", "t/artifacts/manifests/archives/2026-01-02T03:04:06.000000.json"}
	for name := range want {
		name = strings.TrimSuffix(name, "*")
		wantKeys = append(wantKeys, "t/artifacts/last/"+name, "t/artifacts/archives/2026-01-02T03:04:06.000000/"+name)
	}
	slices.Sort(wantKeys)
	if diff := cmp.Diff(wantKeys, files.Keys()); diff != "" {
		t.Error(diff)
	}
}

func TestFetchMakesTheFolderEqual(t *testing.T) {
	t.Parallel()
	s := newStore(&memory.Files{})
	p := push(t, s, "", tree{"a": "new", "b/c": "1", "same": "s"}, PushOptions{RunID: "r1", Fence: 1})
	skip := func(p string) bool { return p == "run.json" }
	local := tree{"a": "old", "b": "a file in the place of a folder", "stale/x": "x", "stale/y/z": "z", "run.json": "{}", "same": "s"}
	o := FetchOptions{Dir: local.write(t, t.TempDir()), Exact: true, Skip: skip}
	if n, err := s.Loses(t.Context(), p.Name, o); err != nil || n != 4 {
		t.Errorf("it would lose %d files, %v", n, err)
	}
	got, err := s.Fetch(t.Context(), p.Name, o)
	if err != nil || got.Removed != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	if diff := cmp.Diff(tree{"a": "new", "b/c": "1", "same": "s", "run.json": "{}"}, read(t, o.Dir)); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Stat(filepath.Join(o.Dir, "stale")); err == nil {
		t.Error("a folder that the bucket does not have is still there")
	}
	if n, err := s.Loses(t.Context(), p.Name, o); err != nil || n != 0 {
		t.Errorf("it would lose %d files, %v", n, err)
	}
	over := tree{"mine": "m"}.write(t, t.TempDir())
	if got := fetch(t, s, p.Name, FetchOptions{Dir: over}); got["mine"] != "m" || got["a"] != "new" {
		t.Errorf("without Exact: %v", got)
	}
	if n, err := Clear(o); err != nil || n != 3 {
		t.Errorf("%d files cleared, %v", n, err)
	}
	if diff := cmp.Diff(tree{"run.json": "{}"}, read(t, o.Dir)); diff != "" {
		t.Error(diff)
	}
}

// below are the names of the objects below a folder of the artifacts.
func below(files *memory.Files, folder string) []string {
	var names []string
	for _, key := range files.Keys() {
		if name, ok := strings.CutPrefix(key, "t/artifacts/"+folder+"/"); ok {
			names = append(names, name)
		}
	}
	return names
}

func TestLastFollowsWhatWasPushed(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	s := newStore(files)
	p := push(t, s, "", tree{"a": "1", "gone": "g", "same": "s"}, PushOptions{RunID: "r1", Fence: 1})
	push(t, s, p.Name, tree{"a": "2", "same": "s"}, PushOptions{RunID: "r2", Fence: 2})
	if diff := cmp.Diff([]string{"a", "same"}, below(files, "last")); diff != "" {
		t.Error(diff)
	}
	if err := s.Show(t.Context(), ""); err != nil || below(files, "last") != nil {
		t.Errorf("%v, %v", err, below(files, "last"))
	}
}

func names(list []Archive) []string {
	out := []string{}
	for _, a := range list {
		out = append(out, a.Name)
	}
	return out
}

func TestFailedRunIsKeptApart(t *testing.T) {
	t.Parallel()
	s := newStore(&memory.Files{})
	p := push(t, s, "", tree{"a": "good"}, PushOptions{RunID: "r1", Fence: 1})
	push(t, s, p.Name, tree{"a": "bad"}, PushOptions{RunID: "r2", Fence: 2, Failed: true})
	good, failed, err := s.List(t.Context(), p.Name)
	if err != nil || !cmp.Equal(names(good), []string{p.Name}) || !cmp.Equal(names(failed), []string{"failed/r2"}) {
		t.Errorf("%v, %v, %v", good, failed, err)
	}
}

// Who dies while he stores leaves files that nobody names. They go with a later Settle; but what was named in the meantime,
// and what somebody may still be writing, stays.
func TestWhatTheDeadLeave(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	s := newStore(files)
	first := push(t, s, "", tree{"a": "1"}, PushOptions{RunID: "r1", Fence: 1})
	upload := func(fence int64) string {
		t.Helper()
		dir := tree{"a": "dead", "b": "dead"}.write(t, t.TempDir())
		p, err := s.Upload(t.Context(), first.Name, PushOptions{Dir: dir, RunID: "dead", Fence: fence})
		if err != nil {
			t.Fatal(err)
		}
		return p.Name
	}
	dead, named, free := upload(2), upload(3), upload(0)
	last := push(t, s, named, tree{"a": "4"}, PushOptions{RunID: "r4", Fence: 4})
	good, _, err := s.List(t.Context(), last.Name)
	if err != nil || !cmp.Equal(names(good), []string{last.Name, named, first.Name}) {
		t.Errorf("%v, %v", names(good), err)
	}
	for name, want := range map[string]int{first.Name: 1, dead: 0, named: 2, free: 2, last.Name: 1} {
		if n := len(below(files, name)); n != want {
			t.Errorf("%s has %d files, want %d", name, n, want)
		}
	}
	s.Now = func() time.Time { return time.Now().Add(forgotten) }
	push(t, s, last.Name, tree{"a": "5"}, PushOptions{RunID: "r5", Fence: 5})
	if n := len(below(files, free)); n != 0 {
		t.Errorf("what has no lease is there for ever: %d files", n)
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	s := newStore(files)
	current := ""
	for i := range 5 {
		current = push(t, s, current, tree{"a": fmt.Sprint(i)}, PushOptions{RunID: fmt.Sprint("r", i), Fence: int64(i + 1), Keep: 2}).Name
		push(t, s, current, tree{"a": "bad"}, PushOptions{RunID: fmt.Sprint("f", i), Fence: int64(i + 1), Keep: 2, Failed: true})
	}
	folders := map[string]bool{}
	for _, key := range files.Keys() {
		if parts := strings.Split(key, "/"); len(parts) > 4 {
			folders[strings.Join(parts[2:4], "/")] = true
		}
	}
	want := []string{"archives/2026-01-02T03:04:18.000000", "archives/2026-01-02T03:04:22.000000", "failed/f3", "failed/f4", "manifests/archives", "manifests/failed"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(folders))); diff != "" {
		t.Error(diff)
	}
	if n := len(below(files, "manifests")); n != 4 {
		t.Errorf("%d manifests", n)
	}
	for range 3 { // the archive that the next run gets stays, however many copies are made of it
		a, err := s.Copy(t.Context(), current, current, 0)
		if err == nil {
			err = s.Settle(t.Context(), a, is(current), 0, 2)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := fetch(t, s, current, FetchOptions{}); got["a"] != "4" {
		t.Errorf("the next run gets %v", got)
	}
}

// What is too old goes, but not the archive from which the next run goes on, whatever its age; a bucket without archives stays as it is.
func TestSweepByAge(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	s := newStore(files)
	if err := s.Sweep(t.Context(), is(""), Limit{Archives: 1}); err != nil || len(files.Keys()) != 0 {
		t.Errorf("an empty bucket: %v, %q", err, files.Keys())
	}
	first := push(t, s, "", tree{"a": "1"}, PushOptions{RunID: "r1", Fence: 1})
	push(t, s, first.Name, tree{"a": "bad"}, PushOptions{RunID: "f1", Fence: 2, Failed: true})
	second := push(t, s, first.Name, tree{"a": "2"}, PushOptions{RunID: "r2", Fence: 3})
	limit := Limit{Before: s.Now().Add(time.Hour)}
	old, err := s.Beyond(t.Context(), first.Name, limit)
	if err != nil || !cmp.Equal(names(old), []string{second.Name, "failed/f1"}) {
		t.Errorf("beyond: %v, %v", names(old), err)
	}
	if err := s.Sweep(t.Context(), is(first.Name), limit); err != nil {
		t.Fatal(err)
	}
	good, failed, err := s.List(t.Context(), first.Name)
	if err != nil || !cmp.Equal(names(good), []string{first.Name}) || len(failed) != 0 || below(files, second.Name) != nil || below(files, "failed") != nil {
		t.Errorf("%v, %v, %v", good, failed, err)
	}
	if got := fetch(t, s, first.Name, FetchOptions{}); got["a"] != "1" {
		t.Errorf("the next run gets %v", got)
	}
}

// What handoff 0.4.x has left has no index, and what earlier versions of this one have, one that says which archive counts.
func TestBucketsOfOlderHandoffs(t *testing.T) {
	t.Parallel()
	for name, objects := range map[string]map[string]string{
		"0.4.x": {"last/state": "{}", "last2/no": "x"},
		"index": {"archives/x/state": "{}", "archives/y/state": "newer", "last/state": "other",
			"index.json": `{"schema_version": 1, "fence": 3, "last": {"name": "archives/x", "entries": [{"path": "state", "size": 2, "executable": true}]}, "archives": [{"name": "archives/x"}], "failed": []}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := &memory.Files{}
			s := newStore(files)
			for key, text := range objects {
				if _, err := files.Put(t.Context(), "t/artifacts/"+key, cloud.Text(text), cloud.PutOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			current, err := s.Found(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := tree{"state": "{}"}
			if name == "index" {
				want = tree{"state*": "{}"}
			}
			if got := fetch(t, s, current, FetchOptions{}); !cmp.Equal(got, want) {
				t.Errorf("got %v", got)
			}
			push(t, s, current, tree{"a": "bad"}, PushOptions{RunID: "r2", Fence: 2, Failed: true})
			if got := fetch(t, s, current, FetchOptions{}); !cmp.Equal(got, want) {
				t.Errorf("after a failed run: %v", got)
			}
			p := push(t, s, current, tree{"a": "new"}, PushOptions{RunID: "r3", Fence: 3})
			if got, err := s.Found(t.Context()); err != nil || got != p.Name {
				t.Errorf("newest %q, %v", got, err)
			}
		})
	}
}

func TestDamagedArtifactIsNotTaken(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"evil", "go", "good and more"} {
		files := &memory.Files{}
		s := newStore(files)
		p := push(t, s, "", tree{"a": "good"}, PushOptions{RunID: "r1", Fence: 1})
		if _, err := files.Put(t.Context(), "t/artifacts/"+p.Name+"/a", cloud.Text(text), cloud.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if _, err := s.Fetch(t.Context(), p.Name, FetchOptions{Dir: dir}); !errors.Is(err, cloud.ErrCorrupt) {
			t.Errorf("error %v", err)
		}
		if got := read(t, dir); len(got) != 0 {
			t.Errorf("left behind %v", got)
		}
	}
}

// endless is a bucket whose small objects have no end.
type endless struct{ cloud.Files }

func (e endless) Get(ctx context.Context, key string, part cloud.GetOptions) (io.ReadCloser, cloud.Object, error) {
	_, o, err := e.Files.Get(ctx, key, part)
	return io.NopCloser(blanks{}), o, err
}

type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// An object is never read without a limit.
func TestObjectsWithoutEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	files := &memory.Files{}
	p := push(t, newStore(files), "", tree{"a": "good"}, PushOptions{RunID: "r1", Fence: 1})
	s := newStore(endless{files})
	_, index := s.Index(t.Context())
	_, manifest := s.Snapshot(t.Context(), p.Name)
	if !errors.Is(index, cloud.ErrCorrupt) || !errors.Is(manifest, cloud.ErrCorrupt) {
		t.Errorf("errors %v, %v", index, manifest)
	}
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := s.fetchFile(t.Context(), root, p.Name, Entry{Path: "a", Size: 4, SHA256: strings.Repeat("0", 64)}); !errors.Is(err, cloud.ErrCorrupt) {
		t.Errorf("file: %v", err)
	}
}

func TestPathsThatLeadOut(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	s := newStore(files)
	index := `{"schema_version": 1, "last": {"name": "archives/x", "entries": [{"path": "../evil", "size": 1}]}}`
	for key, text := range map[string]string{s.indexKey(): index, "t/artifacts/archives/evil": "x"} {
		if _, err := files.Put(t.Context(), key, cloud.Text(text), cloud.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "in")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Fetch(t.Context(), "archives/x", FetchOptions{Dir: dir}); err == nil {
		t.Error("no error")
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(dir), "evil")); err == nil {
		t.Error("a file was written outside of the folder")
	}
}

func TestWhatIsNoFileIsNamed(t *testing.T) {
	t.Parallel()
	dir := tree{"a": "1"}.write(t, t.TempDir())
	if err := errors.Join(os.Symlink("/etc/passwd", filepath.Join(dir, "link")), syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600)); err != nil {
		t.Fatal(err)
	}
	p, err := newStore(&memory.Files{}).Upload(t.Context(), "", PushOptions{Dir: dir, RunID: "r1", Fence: 1})
	if err != nil || p.Files != 1 || !cmp.Equal(p.Skipped, []string{"link", "pipe"}) {
		t.Errorf("%+v, %v", p, err)
	}
}

// Of many runs that end at the same time each gets its archive into the index.
func TestManyRunsEndAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const runs = 60
	var writes sync.Mutex // as of a disk: one after the other
	files := &memory.Files{Before: func(call, _ string) error {
		if call == "put" {
			writes.Lock()
			defer writes.Unlock()
			time.Sleep(time.Millisecond)
		}
		return nil
	}}
	var all sync.WaitGroup
	errs := make([]error, runs)
	for i := range runs {
		all.Go(func() {
			s := newStore(files)
			at := time.Date(2026, 1, 2, 3, 4, i, 0, time.UTC)
			s.Now = func() time.Time { return at }
			p, err := s.Upload(t.Context(), "", PushOptions{Dir: t.TempDir(), RunID: fmt.Sprint("r", i)})
			if err == nil {
				err = s.Settle(t.Context(), p.Archive, is(""), 0, 0)
			}
			errs[i] = err
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	good, _, err := newStore(files).List(t.Context(), "")
	if err != nil || len(good) != runs {
		t.Errorf("%d archives, %v; want %d", len(good), err, runs)
	}
}

// An artifact goes over the network once, also where it is stored in two places, and not at all where an archive becomes another.
func TestContentsGoOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files cloud.Files
		most  int64 // bytes, each way; the lists of files are small
	}{
		"copied there": {&memory.Files{}, 1 << 20},
		"copied here":  {alone{&memory.Files{}}, 3 << 20}, // the archive, the last one, the copy
	} {
		network := &cloudtest.Network{Files: test.files}
		s := newStore(network)
		tr := tree{"a": strings.Repeat("a", 1<<19), "b/c": strings.Repeat("c", 1<<19)}
		p := push(t, s, "", tr, PushOptions{RunID: "r1", Fence: 1})
		again, err := s.Copy(t.Context(), p.Name, p.Name, 2)
		if err != nil {
			t.Fatal(err)
		}
		const lists = 64 << 10
		if sent, received := network.Sent.Load(), network.Received.Load(); sent > test.most+lists || received > test.most-1<<20+lists {
			t.Errorf("%s: sent %d bytes, received %d", name, sent, received)
		}
		for _, archive := range []string{p.Name, again.Name, lastName} {
			if diff := cmp.Diff(tr, fetch(t, s, archive, FetchOptions{})); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%.200s", name, archive, diff)
			}
		}
	}
}

// alone hides that Files can copy.
type alone struct{ cloud.Files }

// A file that is written to while it is stored fails the archive.
func TestArtifactThatChanges(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	s := newStore(files)
	dir := tree{"a": "text"}.write(t, t.TempDir())
	growing := growingFiles{Files: files, path: filepath.Join(dir, "a")}
	s.Files = growing
	if _, err := s.Upload(t.Context(), "", PushOptions{Dir: dir, RunID: "r1", Fence: 1}); !errors.Is(err, cloud.ErrChanged) || !strings.Contains(err.Error(), growing.path) {
		t.Errorf("err = %v", err)
	}
}

// growingFiles appends to the file before its content is stored.
type growingFiles struct {
	cloud.Files
	path string
}

func (g growingFiles) Put(ctx context.Context, key string, body cloud.Body, o cloud.PutOptions) (cloud.Object, error) {
	if strings.HasSuffix(key, "/a") {
		f, err := os.OpenFile(g.path, os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString("more")
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return cloud.Object{}, err
		}
	}
	return g.Files.Put(ctx, key, body, o)
}
