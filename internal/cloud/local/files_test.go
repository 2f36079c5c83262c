package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/secret"
)

func openHome(t *testing.T) *Home {
	t.Helper()
	h, err := Open(filepath.Join(t.TempDir(), "home"))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func store(t *testing.T, f *Files, key, text string) {
	t.Helper()
	if _, err := f.Put(t.Context(), key, cloud.Text(text), cloud.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func listed(t *testing.T, f *Files) []string {
	t.Helper()
	var all []string
	for o, err := range f.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o.Key)
	}
	return all
}

func TestHomeIsPrivate(t *testing.T) {
	t.Parallel()
	h := openHome(t)
	store(t, h.Files(scope), "a/b", "x")
	if err := h.Secrets(scope).Put(t.Context(), cloud.Secret{Key: "k", Level: cloud.LevelTask, Value: secret.NewValue("v")}); err != nil {
		t.Fatal(err)
	}
	if err := h.Logs(scope).Append(t.Context(), cloud.Line{Time: time.Now(), JobID: "j", Text: "x"}); err != nil {
		t.Fatal(err)
	}
	n := 0
	err := filepath.WalkDir(h.Dir(), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		n++
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil || n < 20 {
		t.Errorf("%d files seen, %v", n, err)
	}
}

func TestHomeVersion(t *testing.T) {
	t.Parallel()
	h := openHome(t)
	path := filepath.Join(h.Dir(), "version")
	for text, want := range map[string]error{"": nil, "1": nil, "1\n": nil, "2\n": cloud.ErrUnsupported, "x": cloud.ErrUnsupported} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(h.Dir()); !errors.Is(err, want) {
			t.Errorf("version %q: %v, want %v", text, err, want)
		}
	}
	if _, err := Open(path); err == nil {
		t.Error("a file is taken for a home")
	}
	if _, err := h.Cloud(cloud.Scope{Stage: "..", ResourceGroup: "x"}); !errors.Is(err, cloud.ErrInvalid) {
		t.Errorf("scope: %v, want ErrInvalid", err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for part, want := range map[string]string{
		"file-1.2_x": "file-1.2_x", "README": "+r+e+a+d+m+e", "a b": "a%20b", "%": "%25", "+a": "%2ba", "@": "%40", "é": "%c3%a9",
	} {
		if got := encodePart(part); got != want {
			t.Errorf("encodePart(%q) = %q, want %q", part, got, want)
		}
	}
	for _, name := range []string{"A", "a b", "+", "+1", "%", "%4", "%4g", "%61", "%2B", "a@", "é", "+%"} {
		if part, ok := decodePart(name); ok {
			t.Errorf("decodePart(%q) = %q, want nothing", name, part)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.String().Draw(t, "part")
		name := encodePart(part)
		if got, ok := decodePart(name); !ok || got != part {
			t.Fatalf("%q became %q", part, got)
		}
		if strings.ToLower(name) != name || strings.ContainsAny(name, "/@\x00") {
			t.Fatalf("%q became the name %q", part, name)
		}
	})
}

// TestHeader: any key, any size; what was not written is not read.
func TestHeader(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o := cloud.Object{
			Key:      rapid.StringN(1, -1, cloud.MaxKey).Draw(t, "key"),
			Size:     rapid.Int64Range(0, 1<<62).Draw(t, "size"),
			Modified: time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC(),
			ETag:     strings.Repeat("e", etagWidth), SHA256: strings.Repeat("f", sha256Width),
		}
		text := appendHeader(nil, o)
		if blank := blankHeader(nil, o.Key); len(blank) != len(text) || len(text) > maxHeader {
			t.Fatalf("the blank header has %d bytes, the header %d, the longest %d", len(blank), len(text), maxHeader)
		}
		content := rapid.StringN(0, 10, -1).Draw(t, "content")
		got, rest, err := readHeader(strings.NewReader(string(text) + content))
		if err != nil || !cmp.Equal(got, o) || string(rest) != content {
			t.Fatalf("%+v became %+v, %q, %v", o, got, rest, err)
		}
		cut := rapid.IntRange(0, len(text)-1).Draw(t, "cut")
		if _, _, err := readHeader(strings.NewReader(string(text[:cut]))); !errors.Is(err, cloud.ErrCorrupt) {
			t.Fatalf("cut to %d bytes: %v, want ErrCorrupt", cut, err)
		}
	})
}

// damage changes the file of an object.
func damage(t *testing.T, f *Files, key string, change func([]byte) []byte) string {
	t.Helper()
	path := filepath.Join(f.dir, objectPath(key))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDamagedObject(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 10_000)
	for name, test := range map[string]struct {
		change func([]byte) []byte
		listed bool // with its hash
	}{
		"a bit of the content": {func(b []byte) []byte { b[len(b)-7] ^= 1; return b }, true},
		"cut":                  {func(b []byte) []byte { return b[:len(b)-1] }, true},
		"longer":               {func(b []byte) []byte { return append(b, 'x') }, true},
		"cut in the header":    {func(b []byte) []byte { return b[:50] }, false},
		"empty":                {func([]byte) []byte { return nil }, false},
		"zeros":                {func(b []byte) []byte { return make([]byte, len(b)) }, false},
		"another key":          {func(b []byte) []byte { return []byte(strings.Replace(string(b), `"key":"a"`, `"key":"z"`, 1)) }, false},
		"a bit of the header":  {func(b []byte) []byte { b[5] ^= 1; return b }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := openHome(t).Files(scope)
			store(t, f, "a", long)
			store(t, f, "b", "fine")
			path := damage(t, f, "a", test.change)
			_, _, err := content(t, f, "a")
			if !errors.Is(err, cloud.ErrCorrupt) || !strings.Contains(cloud.Hint(err), path) {
				t.Errorf("get: %v, hint %q", err, cloud.Hint(err))
			}
			if _, err = f.Copy(t.Context(), "a", "copy"); err == nil { // then the copy is as damaged
				_, _, err = content(t, f, "copy")
			}
			if !errors.Is(err, cloud.ErrCorrupt) {
				t.Errorf("copy: %v", err)
			}
			_, _, err = f.Get(t.Context(), "a", cloud.GetOptions{Offset: 10, Length: 10})
			if inside := name == "a bit of the content"; errors.Is(err, cloud.ErrCorrupt) == inside {
				t.Errorf("a part: %v", err)
			}
			if err := f.Delete(t.Context(), "copy"); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff([]string{"a", "b"}, listed(t, f)); diff != "" {
				t.Errorf("list (-want +got):\n%s", diff)
			}
			for o := range f.List(t.Context(), "") {
				if o.Key == "a" && (o.SHA256 != "") != test.listed {
					t.Errorf("listed as %+v", o)
				}
			}
			store(t, f, "a", "repaired")
			if got, _, err := content(t, f, "a"); got != "repaired" {
				t.Errorf("after a put: %.20q, %v", got, err)
			}
			damage(t, f, "a", test.change)
			if err := f.Delete(t.Context(), "a"); err != nil {
				t.Errorf("delete: %v", err)
			}
		})
	}
}

func TestForeignFiles(t *testing.T) {
	t.Parallel()
	f := openHome(t).Files(scope)
	store(t, f, "a/b", "x")
	for _, name := range []string{".DS_Store", "objects.bak~", "a/Thumbs.db", "a/notes.txt", "a/empty/x"} {
		path := filepath.Join(f.dir, "objects", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("not ours"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"a/b"}, listed(t, f)); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if err := f.Delete(t.Context(), "a/b"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(f.dir, "objects", "a", "notes.txt")); err != nil {
		t.Errorf("a file that is not ours is gone: %v", err)
	}
}

func TestEmptyFoldersGo(t *testing.T) {
	t.Parallel()
	f := openHome(t).Files(scope)
	store(t, f, "a/b/c/d", "x")
	store(t, f, "a/e", "x")
	if err := f.Delete(t.Context(), "a/b/c/d"); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(f.dir, "objects", "a"))
	if err != nil || len(left) != 1 || left[0].Name() != "e@" {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestLeftovers(t *testing.T) {
	t.Parallel()
	h := openHome(t)
	store(t, h.Files(scope), "a", "x")
	tmp := filepath.Join(h.BucketDir(scope), "tmp")
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{"dead", "alive", "young"} {
		path := filepath.Join(tmp, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if name == "young" {
			continue
		}
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	alive, err := os.Open(filepath.Join(tmp, "alive"))
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	if err := unix.Flock(int(alive.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	f := h.Files(scope)
	if diff := cmp.Diff([]string{"a"}, listed(t, f)); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	store(t, f, "b", "x")
	left, err := names(tmp)
	slices.Sort(left)
	if diff := cmp.Diff([]string{"alive", "young"}, left); diff != "" || err != nil {
		t.Errorf("tmp (-want +got):\n%s%v", diff, err)
	}
}

// TestLockIsHeld: another process that holds the lock of a key, and was stopped, cannot make a put hang.
func TestLockIsHeld(t *testing.T) {
	t.Parallel()
	f := openHome(t).Files(scope)
	store(t, f, "a", "x")
	unlock, err := f.lock(t.Context(), "a", unix.LOCK_EX)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	for name, o := range map[string]cloud.PutOptions{"unconditional": {}, "conditional": {IfAbsent: true}} {
		if _, err := f.Put(ctx, "a", cloud.Text("y"), o); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s put: %v, want the end of its context", name, err)
		}
	}
	if err := f.Delete(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("delete: %v, want the end of its context", err)
	}
	unlock()
	store(t, f, "a", "z")
	if left, err := names(filepath.Join(f.dir, "tmp")); err != nil || len(left) > 0 {
		t.Errorf("left in tmp: %v, %v", left, err)
	}
}

func TestRemovedBucket(t *testing.T) {
	t.Parallel()
	f := openHome(t).Files(scope)
	store(t, f, "a", "x")
	if err := os.RemoveAll(f.dir); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Get(t.Context(), "a", cloud.GetOptions{}); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("get: %v, want ErrNotFound", err)
	}
	if got := listed(t, f); len(got) > 0 {
		t.Errorf("list: %q", got)
	}
	store(t, f, "b", "x")
	if got := listed(t, f); len(got) != 1 {
		t.Errorf("list: %q", got)
	}
}

func TestNoPermission(t *testing.T) {
	t.Parallel()
	if err := kind(&fs.PathError{Op: "open", Path: "x", Err: unix.EACCES}); !errors.Is(err, cloud.ErrDenied) || cloud.Hint(err) == "" {
		t.Errorf("%v, hint %q", err, cloud.Hint(err))
	}
	if err := kind(unix.EIO); !errors.Is(err, unix.EIO) || errors.Is(err, cloud.ErrDenied) {
		t.Errorf("%v", err)
	}
}

func TestSyncGroupShares(t *testing.T) {
	t.Parallel()
	var flushes, single atomic.Int32
	broken := errors.New("the disk broke")
	first, release := make(chan struct{}), make(chan struct{})
	g := &syncGroup{all: func() error { flushes.Add(1); return broken }}
	results := make(chan error, 11)
	go func() {
		results <- g.sync(func() error { close(first); <-release; single.Add(1); return nil })
	}()
	<-first
	for range 10 {
		go func() { results <- g.sync(func() error { single.Add(1); return nil }) }()
	}
	for waiting := 0; waiting < 10; time.Sleep(time.Millisecond) {
		g.mu.Lock()
		waiting = len(g.waiting)
		g.mu.Unlock()
	}
	close(release)
	failed := 0
	for range 11 {
		if err := <-results; errors.Is(err, broken) {
			failed++
		}
	}
	if flushes.Load() != 1 || single.Load() != 1 || failed != 10 {
		t.Errorf("%d shared flushes, %d single ones, %d callers were told of the error; want 1, 1, 10", flushes.Load(), single.Load(), failed)
	}
}

// TestSyncGroupWithout is what systems without a shared flush do.
func TestSyncGroupWithout(t *testing.T) {
	t.Parallel()
	h := openHome(t)
	h.group = &syncGroup{}
	f := h.Files(scope)
	results := make(chan error, 50)
	for i := range cap(results) {
		go func() {
			_, err := f.Put(t.Context(), strings.Repeat("d/", i%5)+string(rune('a'+i%20)), cloud.Text("x"), cloud.PutOptions{})
			results <- err
		}()
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if got := len(listed(t, f)); got != 20 {
		t.Errorf("%d objects, want 20", got)
	}
}
