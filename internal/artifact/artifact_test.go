package artifact

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newStore has a clock that goes on by a second from push to push.
func newStore(files cloud.Files) *Store {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return &Store{Files: files, Task: "t", Parallel: 3, Now: func() time.Time {
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

func push(t *testing.T, s *Store, tr tree, o PushOptions) Pushed {
	t.Helper()
	o.Dir = tr.write(t, t.TempDir())
	p, err := s.Push(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func fetch(t *testing.T, s *Store, o FetchOptions) (tree, bool) {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	_, found, err := s.Fetch(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, o.Dir), found
}

func TestPushAndFetch(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	s := newStore(files)
	if _, found := fetch(t, s, FetchOptions{}); found {
		t.Error("found artifacts where none are")
	}
	want := tree{"a.log": "1\n", "sub/deep/b": "", "run.sh*": "x", "odd näme +%#": "o"}
	push(t, s, want, PushOptions{Run: "r1", Fence: 1, Skip: func(p string) bool { return p == "run.json" }})
	got, found := fetch(t, s, FetchOptions{})
	if diff := cmp.Diff(want, got); diff != "" || !found {
		t.Errorf("%v %s", found, diff)
	}
	wantKeys := []string{"t/artifacts/index.json"}
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
	push(t, s, tree{"a": "new", "b/c": "1", "same": "s"}, PushOptions{Run: "r1", Fence: 1})
	skip := func(p string) bool { return p == "run.json" }
	local := tree{"a": "old", "b": "a file in the place of a folder", "stale/x": "x", "run.json": "{}", "same": "s"}
	dir := local.write(t, t.TempDir())
	got, _ := fetch(t, s, FetchOptions{Dir: dir, Exact: true, Skip: skip})
	if diff := cmp.Diff(tree{"a": "new", "b/c": "1", "same": "s", "run.json": "{}"}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Stat(filepath.Join(dir, "stale")); err == nil {
		t.Error("a folder that the bucket does not have is still there")
	}
	over := tree{"mine": "m"}.write(t, t.TempDir())
	if got, _ := fetch(t, s, FetchOptions{Dir: over}); got["mine"] != "m" || got["a"] != "new" {
		t.Errorf("without Exact: %v", got)
	}
	if err := Clear(FetchOptions{Dir: dir, Skip: skip}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tree{"run.json": "{}"}, read(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestLastFollowsWhatWasPushed(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	s := newStore(files)
	push(t, s, tree{"a": "1", "gone": "g", "same": "s"}, PushOptions{Run: "r1", Fence: 1})
	push(t, s, tree{"a": "2", "same": "s"}, PushOptions{Run: "r2", Fence: 2})
	var last []string
	for _, key := range files.Keys() {
		if name, ok := strings.CutPrefix(key, "t/artifacts/last/"); ok {
			last = append(last, name)
		}
	}
	if diff := cmp.Diff([]string{"a", "same"}, last); diff != "" {
		t.Error(diff)
	}
}

func TestFailedRunIsKeptApart(t *testing.T) {
	t.Parallel()
	s := newStore(&memory.Files{})
	push(t, s, tree{"a": "good"}, PushOptions{Run: "r1", Fence: 1})
	push(t, s, tree{"a": "bad"}, PushOptions{Run: "r2", Fence: 2, Failed: true})
	if got, _ := fetch(t, s, FetchOptions{}); got["a"] != "good" {
		t.Errorf("the next run gets %v", got)
	}
	x, err := s.Index(t.Context())
	if err != nil || len(x.Failed) != 1 || x.Failed[0].Name != "failed/r2" || len(x.Archives) != 1 {
		t.Errorf("index %+v, %v", x, err)
	}
}

func TestFenceKeepsAStaleRunOut(t *testing.T) {
	t.Parallel()
	s := newStore(&memory.Files{})
	push(t, s, tree{"a": "second"}, PushOptions{Run: "r2", Fence: 2})
	dir := tree{"a": "first"}.write(t, t.TempDir())
	if _, err := s.Push(t.Context(), PushOptions{Dir: dir, Run: "r1", Fence: 1}); !errors.Is(err, cloud.ErrConflict) {
		t.Errorf("error %v", err)
	}
	if got, _ := fetch(t, s, FetchOptions{}); got["a"] != "second" {
		t.Errorf("the next run gets %v", got)
	}
	push(t, s, tree{"a": "third"}, PushOptions{Run: "r3"})
	if got, _ := fetch(t, s, FetchOptions{}); got["a"] != "third" {
		t.Errorf("a run without a lease: %v", got)
	}
}

func TestPushCutAnywhereLeavesTheOldOrTheNew(t *testing.T) {
	t.Parallel()
	for cut := range 12 {
		files := &memory.Files{}
		s := newStore(files)
		s.Parallel = 1
		push(t, s, tree{"a": "old", "b": "old"}, PushOptions{Run: "r1", Fence: 1})
		calls := 0
		power := errors.New("power")
		files.Before = func(call, _ string) error {
			if call != "get" && call != "list" {
				if calls++; calls > cut {
					return power
				}
			}
			return nil
		}
		dir := tree{"a": "new", "c": "new"}.write(t, t.TempDir())
		_, err := s.Push(t.Context(), PushOptions{Dir: dir, Run: "r2", Fence: 2, Keep: 1})
		files.Before = nil
		got, _ := fetch(t, s, FetchOptions{})
		isOld := cmp.Equal(got, tree{"a": "old", "b": "old"})
		isNew := cmp.Equal(got, tree{"a": "new", "c": "new"})
		if !isOld && !isNew || err == nil && !isNew || cut < 3 && !isOld {
			t.Errorf("cut after %d: %v, %v", cut, got, err)
		}
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	s := newStore(files)
	for i := range 5 {
		push(t, s, tree{"a": fmt.Sprint(i)}, PushOptions{Run: fmt.Sprint("r", i), Fence: int64(i + 1), Keep: 2})
		push(t, s, tree{"a": "bad"}, PushOptions{Run: fmt.Sprint("f", i), Fence: int64(i + 1), Keep: 2, Failed: true})
	}
	folders := map[string]bool{}
	for _, key := range files.Keys() {
		if parts := strings.Split(key, "/"); len(parts) > 4 {
			folders[strings.Join(parts[2:4], "/")] = true
		}
	}
	want := []string{"archives/2026-01-02T03:04:12.000000", "archives/2026-01-02T03:04:14.000000", "failed/f3", "failed/f4"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(folders))); diff != "" {
		t.Error(diff)
	}
	for range 3 { // the archive that the next run gets stays, however many copies are made of it
		if _, err := s.Archive(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := fetch(t, s, FetchOptions{}); got["a"] != "4" {
		t.Errorf("the next run gets %v", got)
	}
}

func TestDeleteKeepsArchives(t *testing.T) {
	t.Parallel()
	s := newStore(&memory.Files{})
	push(t, s, tree{"a": "1"}, PushOptions{Run: "r1", Fence: 1})
	if err := s.Delete(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if _, found := fetch(t, s, FetchOptions{}); found {
		t.Error("still there")
	}
	if x, err := s.Index(t.Context()); err != nil || len(x.Archives) != 1 {
		t.Errorf("index %+v, %v", x, err)
	}
	if _, err := s.Archive(t.Context(), 0); !errors.Is(err, cloud.ErrNotFound) || cloud.Hint(err) == "" {
		t.Errorf("archive of nothing: %v", err)
	}
}

// What handoff 0.4.x has left has no index.
func TestBucketOfAnOlderHandoff(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	s := newStore(files)
	for key, text := range map[string]string{"t/artifacts/last/state": "{}", "t/artifacts/last2/no": "x"} {
		if _, err := files.Put(t.Context(), key, strings.NewReader(text), cloud.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	want := tree{"state": "{}"}
	if got, _ := fetch(t, s, FetchOptions{}); !cmp.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	push(t, s, tree{"a": "bad"}, PushOptions{Run: "r2", Fence: 2, Failed: true})
	if got, _ := fetch(t, s, FetchOptions{}); !cmp.Equal(got, want) {
		t.Errorf("after a failed run: %v", got)
	}
	push(t, s, tree{"a": "new"}, PushOptions{Run: "r3", Fence: 3})
	if got, _ := fetch(t, s, FetchOptions{}); !cmp.Equal(got, tree{"a": "new"}) {
		t.Errorf("after a run: %v", got)
	}
}

func TestDamagedArtifactIsNotTaken(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	s := newStore(files)
	p := push(t, s, tree{"a": "good"}, PushOptions{Run: "r1", Fence: 1})
	if _, err := files.Put(t.Context(), "t/artifacts/"+p.Name+"/a", strings.NewReader("evil"), cloud.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, _, err := s.Fetch(t.Context(), FetchOptions{Dir: dir}); !errors.Is(err, cloud.ErrCorrupt) {
		t.Errorf("error %v", err)
	}
	if got := read(t, dir); len(got) != 0 {
		t.Errorf("left behind %v", got)
	}
}

func TestPathsThatLeadOut(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	s := newStore(files)
	index := `{"schema_version": 1, "last": {"name": "archives/x", "entries": [{"path": "../evil", "size": 1}]}}`
	for key, text := range map[string]string{s.indexKey(): index, "t/artifacts/archives/evil": "x"} {
		if _, err := files.Put(t.Context(), key, strings.NewReader(text), cloud.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(t.TempDir(), "in")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Fetch(t.Context(), FetchOptions{Dir: dir}); err == nil {
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
	p, err := newStore(&memory.Files{}).Push(t.Context(), PushOptions{Dir: dir, Run: "r1", Fence: 1})
	if err != nil || p.Files != 1 || !cmp.Equal(p.Skipped, []string{"link", "pipe"}) {
		t.Errorf("%+v, %v", p, err)
	}
}
