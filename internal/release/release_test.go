package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/cloudtest"
	"github.com/handoff-run/handoff/internal/cloud/local"
)

var scope = cloud.Scope{Stage: "dev", ResourceGroup: "group", Task: "task"}

// openStore returns the releases of a task in the home, in which several may be open.
func openStore(t testing.TB, home string) *Store {
	t.Helper()
	h, err := local.Open(home)
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.Cloud(scope)
	if err != nil {
		t.Fatal(err)
	}
	return Open(cloud.Complete(*c))
}

// folder writes files; a text "-> x" makes a link, a name with a slash at its end a folder, a "*" at the end of a name
// a program.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, strings.TrimSuffix(name, "*"))
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(name, "*") {
			mode = 0o755
		}
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		target, link := strings.CutPrefix(text, "-> ")
		switch {
		case err != nil:
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o755)
		case link:
			err = os.Symlink(target, path)
		default:
			err = os.WriteFile(path, []byte(text), mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// tree returns what is in dir, in the words of folder.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		info, err := e.Info()
		if err != nil {
			return err
		}
		switch {
		case e.IsDir():
			if list, _ := os.ReadDir(path); len(list) == 0 {
				out[name+"/"] = ""
			}
		case e.Type() == fs.ModeSymlink:
			target, _ := os.Readlink(path)
			out[name] = "-> " + target
		default:
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if info.Mode()&0o111 != 0 {
				name += "*"
			}
			out[name] = string(text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// push pushes the folder.
func push(t testing.TB, s *Store, dir string, parts Parts) PushResult {
	t.Helper()
	res, err := pushTo(t.Context(), s, dir, parts, false)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func pushTo(ctx context.Context, s *Store, dir string, parts Parts, force bool) (PushResult, error) {
	scanned, err := Scan(ctx, dir, parts)
	if err != nil {
		return PushResult{}, err
	}
	return s.Push(ctx, PushOptions{Tree: scanned, Parts: parts, Force: force, Info: Push{Action: "project push", Time: time.Now().UTC()}})
}

// fetch returns the tree of a release.
func fetch(t testing.TB, s *Store, name string) map[string]string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "fetched")
	if _, err := s.Fetch(t.Context(), name, dir); err != nil {
		t.Fatal(err)
	}
	return tree(t, dir)
}

func TestPushAndFetch(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("0123456789abcdef", largest/16+1)
	for _, tt := range []struct {
		name        string
		files, want map[string]string // want nil: the same
	}{
		{name: "config only", files: map[string]string{"project.yml": "version: 1\n"}},
		{name: "nested", files: map[string]string{"project.yml": "a", "files/a/b/c.txt": "c", "files/a.txt": "x"}},
		{name: "empty file and folder", files: map[string]string{"project.yml": "a", "files/empty": "", "files/folder/": ""}},
		{name: "program", files: map[string]string{"project.yml": "a", "files/run.sh*": "#!/bin/sh\n"}},
		{name: "links", files: map[string]string{"project.yml": "a", "files/x": "x", "files/d/l": "-> ../x", "files/dir": "-> d"}},
		{name: "link to nothing", files: map[string]string{"project.yml": "a", "files/l": "-> nothing"}},
		{name: "equal contents", files: map[string]string{"project.yml": "same", "files/1": "same", "files/2": "same", "files/3*": "same"}},
		{name: "large", files: map[string]string{"project.yml": "a", "files/1": big, "files/2": big, "files/3": big + "x", "files/4": "x"}},
		{name: "odd names", files: map[string]string{"project.yml": "a", "files/a b%+#é\n": "x", "files/-": "y", "files/c/..d": "z"}},
		{name: "clients", files: map[string]string{"project.yml": "a", "clients/acme.yml": "x", "clients/globex.yml": "y"}},
		{
			name:  "what is no part of a release",
			files: map[string]string{"project.yml": "a", "clients/README": "r", "clients/.yml": "r", "clients/old/a.yml": "r", "clients/b.yml/c.yml": "r", ".secrets/secrets.yml": "s", "files/.secrets/k": "s", "files/d/.secrets/k": "s", "files/.git/x": "x", "files/__pycache__/x": "x", "other": "o", "files/.env": "kept"},
			want:  map[string]string{"project.yml": "a", "files/.env": "kept", "files/d/": ""},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, dir := openStore(t, t.TempDir()), folder(t, tt.files)
			res := push(t, s, dir, All)
			if hash, err := Hash(dir); err != nil || hash != res.Release {
				t.Errorf("hash %s, %v; release %s", hash, err, res.Release)
			}
			if tt.want == nil {
				tt.want = tt.files
			}
			if diff := cmp.Diff(tt.want, fetch(t, s, "")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHashTellsReleasesApart(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for name, files := range map[string]map[string]string{
		"plain":      {"project.yml": "a", "files/x": "1"},
		"content":    {"project.yml": "a", "files/x": "2"},
		"config":     {"project.yml": "b", "files/x": "1"},
		"name":       {"project.yml": "a", "files/y": "1"},
		"program":    {"project.yml": "a", "files/x*": "1"},
		"link":       {"project.yml": "a", "files/x": "-> y"},
		"folder":     {"project.yml": "a", "files/x/": ""},
		"nothing":    {"project.yml": "a"},
		"client":     {"project.yml": "a", "files/x": "1", "clients/a.yml": ""},
		"name moves": {"project.yml": "a", "files/x/1": ""},
	} {
		hash, err := Hash(folder(t, files))
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[hash]; ok {
			t.Errorf("%s and %s have one hash", name, other)
		}
		seen[hash] = name
	}
	// The umask of the machine, the times of the files and what is beside them do not count.
	dir := folder(t, map[string]string{"project.yml": "a", "files/x": "1", "README": "r"})
	if err := os.Chmod(filepath.Join(dir, "files/x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if hash, err := Hash(dir); err != nil || seen[hash] != "plain" {
		t.Errorf("hash %s is %q, %v", hash, seen[hash], err)
	}
}

func TestScanRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"no project.yml", map[string]string{"files/x": "x"}, "no such file"},
		{"absolute link", map[string]string{"project.yml": "a", "files/l": "-> /etc/passwd"}, "not in files/"},
		{"link to the project", map[string]string{"project.yml": "a", "files/l": "-> ../.secrets/secrets.yml"}, "not in files/"},
		{"files is no folder", map[string]string{"project.yml": "a", "files": "x"}, "not a folder"},
		{"files is the secrets", map[string]string{"project.yml": "a", ".secrets/x": "s", "files": "-> .secrets"}, "must not contain secrets"},
		{"a client is a link", map[string]string{"project.yml": "a", ".secrets/x": "s", "clients/a.yml": "-> ../.secrets/x"}, "symbolic links"},
		{"the clients are the secrets", map[string]string{"project.yml": "a", ".secrets/x.yml": "s", "clients": "-> .secrets"}, "must not contain secrets"},
		{"project.yml is a secret", map[string]string{"project.yml": "-> .secrets/x", ".secrets/x": "s"}, "must not contain secrets"},
		{"files leaves the project", map[string]string{"project.yml": "a", "files": "-> /etc"}, "escapes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Scan(t.Context(), folder(t, tt.files), All)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestPartsAndHistory(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	one := folder(t, map[string]string{"project.yml": "one", "files/a": "a1", "files/b": "b"})
	two := folder(t, map[string]string{"project.yml": "two", "files/a": "a2", "files/c": "c"})

	first := push(t, s, one, All)
	if again := push(t, s, one, All); again.Changed || again.Number != 1 {
		t.Errorf("an unchanged push made %+v", again)
	}
	if res := push(t, s, two, Parts{Config: true}); res.Uploaded.Files != 1 {
		t.Errorf("config push uploaded %+v", res.Uploaded)
	}
	if diff := cmp.Diff(map[string]string{"project.yml": "two", "files/a": "a1", "files/b": "b"}, fetch(t, s, "")); diff != "" {
		t.Error(diff)
	}
	third := push(t, s, two, Parts{Files: true})
	if diff := cmp.Diff(tree(t, two), fetch(t, s, "3")); diff != "" {
		t.Error(diff)
	}
	if back := push(t, s, one, All); !back.Changed || back.Number != 4 || back.Uploaded.Files != 0 {
		t.Errorf("push of what was there before: %+v", back)
	}
	now, err := s.Rollback(t.Context(), "", Push{})
	if err != nil || now.Release != third.Release || now.Number != 5 {
		t.Errorf("roll back: %+v, %v", now, err)
	}
	now, err = s.Rollback(t.Context(), Short(first.Release), Push{})
	if err != nil || now.Release != first.Release {
		t.Errorf("roll back by digits: %+v, %v", now, err)
	}
	if same, err := s.Rollback(t.Context(), "1", Push{}); err != nil || same.Number != now.Number {
		t.Errorf("roll back to the current one: %+v, %v", same, err)
	}
	list, err := s.List(t.Context())
	if err != nil || len(list) != 6 || list[5].Release != first.Release || list[0].Action != "rollback" {
		t.Errorf("list %+v, %v", list, err)
	}
	res, err := s.Push(t.Context(), PushOptions{Parts: Parts{Files: true}})
	if err != nil || res.Files != 1 {
		t.Errorf("files delete: %+v, %v", res, err)
	}
	if diff := cmp.Diff(map[string]string{"project.yml": "one"}, fetch(t, s, "")); diff != "" {
		t.Error(diff)
	}
}

func TestPushOfNothing(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	for _, o := range []PushOptions{{Parts: Parts{Files: true}}, {Parts: Parts{Files: true}, Tree: &Tree{}}, {Parts: Parts{Config: true}, Force: true}} {
		res, err := s.Push(t.Context(), o)
		if err != nil || res.Changed || res.Release != "" {
			t.Errorf("%+v: %+v, %v", o, res, err)
		}
	}
	if list, err := s.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	if _, err := s.Resolve(t.Context(), ""); !errors.Is(err, cloud.ErrNotFound) || !strings.Contains(cloud.Hint(err), "project push") {
		t.Errorf("before a push: %v", err)
	}
	res := push(t, s, folder(t, map[string]string{"project.yml": "a"}), All)
	for _, tt := range []struct {
		name string
		want error
	}{
		{"", nil},
		{"1", nil},
		{res.Release, nil},
		{Short(res.Release), nil},
		{res.Release[:len(idPrefix)+6], nil},
		{"2", cloud.ErrNotFound},
		{"000000", cloud.ErrNotFound},
		{res.Release[len(idPrefix):][:3], cloud.ErrNotFound},
	} {
		if got, err := s.Resolve(t.Context(), tt.name); !errors.Is(err, tt.want) || err == nil && got != res.Release {
			t.Errorf("%q: %s, %v", tt.name, got, err)
		}
	}
	_, err := s.Fetch(t.Context(), idPrefix+strings.Repeat("0", 64), filepath.Join(t.TempDir(), "x"))
	if !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("fetch of an unknown release: %v", err)
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	scan := func(files map[string]string) []Entry {
		s, err := Scan(t.Context(), folder(t, files), All)
		if err != nil {
			t.Fatal(err)
		}
		return s.Entries
	}
	got := Diff(
		scan(map[string]string{"project.yml": "a", "files/gone": "12", "files/same": "s", "files/x": "1", "files/p": "p"}),
		scan(map[string]string{"project.yml": "a", "files/new": "123", "files/same": "s", "files/x": "22", "files/p*": "p"}),
	)
	want := []Difference{
		{Path: "files/gone", Change: "removed", Before: 2},
		{Path: "files/new", Change: "added", After: 3},
		{Path: "files/p", Change: "changed", Before: 1, After: 1},
		{Path: "files/x", Change: "changed", Before: 1, After: 2},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	s := openStore(t, home)
	if n, err := s.Delete(t.Context()); err != nil || n != 0 {
		t.Errorf("delete of nothing: %d, %v", n, err)
	}
	dir := folder(t, map[string]string{"project.yml": "a", "files/x": "x"})
	push(t, s, dir, All)
	if n, err := s.Delete(t.Context()); err != nil || n != 1 {
		t.Errorf("delete: %d, %v", n, err)
	}
	var keys []string
	for o, err := range s.cloud.Files.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, o.Key)
	}
	if diff := cmp.Diff([]string{"task/releases/current.json"}, keys); diff != "" {
		t.Error(diff)
	}
	if _, err := s.Resolve(t.Context(), ""); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("after the delete: %v", err)
	}
	if res := push(t, s, dir, All); !res.Changed || res.Uploaded.Files != 2 {
		t.Errorf("push after delete: %+v", res)
	}
	if diff := cmp.Diff(tree(t, dir), fetch(t, s, "")); diff != "" {
		t.Error(diff)
	}
}

// breaking fails every call from the n-th on, as for a program that was killed there.
type breaking struct {
	cloud.Files
	left atomic.Int64
}

var errKilled = errors.New("killed")

func (b *breaking) Put(ctx context.Context, key string, body cloud.Body, o cloud.PutOptions) (cloud.Object, error) {
	if b.left.Add(-1) < 0 {
		return cloud.Object{}, errKilled
	}
	return b.Files.Put(ctx, key, body, o)
}

// Wherever a push is cut off, the bucket has the old release or the new one, and the next push works.
func TestPushIsAtomic(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	big := strings.Repeat("x", largest+1)
	one := folder(t, map[string]string{"project.yml": "one", "files/a": "a1", "files/b": big})
	two := folder(t, map[string]string{"project.yml": "two", "files/a": "a2", "files/b": big + "y", "files/c": big + "z"})
	for puts := int64(0); ; puts++ {
		s := openStore(t, t.TempDir())
		push(t, s, one, All)
		sound := s.cloud.Files
		b := &breaking{Files: sound}
		b.left.Store(puts)
		s.cloud.Files = b
		_, err := pushTo(t.Context(), s, two, All, false)
		s.cloud.Files = sound
		want := one
		if err == nil {
			want = two
		}
		if diff := cmp.Diff(tree(t, want), fetch(t, s, "")); diff != "" {
			t.Fatalf("after %d puts (error %v): %s", puts, err, diff)
		}
		push(t, s, two, All)
		if diff := cmp.Diff(tree(t, two), fetch(t, s, "")); diff != "" {
			t.Fatalf("next push after %d puts: %s", puts, diff)
		}
		if err == nil {
			if puts < 4 {
				t.Errorf("a push of 3 blobs and a manifest needs only %d puts", puts)
			}
			return
		}
		if !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
	}
}

func TestPushesAtOnce(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	const n = 8
	wants := map[string]bool{}
	var all sync.WaitGroup
	for i := range n {
		dir := folder(t, map[string]string{"project.yml": fmt.Sprint(i), "files/x": fmt.Sprint(i), "files/y": "same"})
		wants[fmt.Sprint(tree(t, dir))] = true
		s := openStore(t, home)
		all.Go(func() {
			if _, err := pushTo(t.Context(), s, dir, All, false); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s := openStore(t, home)
	list, err := s.List(t.Context())
	if err != nil || len(list) != n {
		t.Fatalf("%d pushes, %v", len(list), err)
	}
	for _, p := range list {
		if got := fmt.Sprint(fetch(t, s, p.Release)); !wants[got] {
			t.Errorf("push %d is a mix: %s", p.Number, got)
		}
	}
}

// Several fetches into one folder at a time all succeed, and there is always a project in it.
func TestFetchesAtOnce(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	dir := folder(t, map[string]string{"project.yml": "a", "files/x": "x", "files/y/z": "z"})
	push(t, s, dir, All)
	to := filepath.Join(t.TempDir(), "to")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 10 {
				if _, err := s.Fetch(t.Context(), "", to); err != nil {
					t.Error(err)
				}
				if _, err := os.ReadFile(filepath.Join(to, "project.yml")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if diff := cmp.Diff(tree(t, dir), tree(t, to)); diff != "" {
		t.Error(diff)
	}
}

func TestDamage(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", largest+1)
	dir := folder(t, map[string]string{"project.yml": "one", "files/a": "a", "files/b": big})
	for _, tt := range []struct {
		name   string
		damage func(t *testing.T, s *Store, key string)
		want   error
	}{
		{"lost", func(t *testing.T, s *Store, key string) {
			if err := s.cloud.Files.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}, cloud.ErrNotFound},
		{"other content", func(t *testing.T, s *Store, key string) { overwrite(t, s, key, strings.Repeat("y", largest+1)) }, cloud.ErrCorrupt},
		{"cut short", func(t *testing.T, s *Store, key string) { overwrite(t, s, key, "") }, cloud.ErrCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			probe := openStore(t, t.TempDir())
			push(t, probe, dir, All)
			for _, kind := range []string{"/blobs/", "/manifests/"} {
				s := openStore(t, t.TempDir())
				push(t, s, dir, All)
				for o := range s.cloud.Files.List(t.Context(), "") {
					if strings.Contains(o.Key, kind) {
						tt.damage(t, s, o.Key)
					}
				}
				to := filepath.Join(t.TempDir(), "to")
				_, err := s.Fetch(t.Context(), "", to)
				if !errors.Is(err, tt.want) || cloud.Hint(err) == "" {
					t.Errorf("%s: %v (hint %q)", kind, err, cloud.Hint(err))
				}
				if _, err := os.Stat(to); err == nil {
					t.Errorf("%s: a part was fetched", kind)
				}
				if _, err := pushTo(t.Context(), s, dir, All, true); err != nil {
					t.Errorf("%s: forced push: %v", kind, err)
				}
				if diff := cmp.Diff(tree(t, dir), fetch(t, s, "")); diff != "" {
					t.Errorf("%s: after a forced push: %s", kind, diff)
				}
			}
		})
	}
}

func overwrite(t *testing.T, s *Store, key, text string) {
	t.Helper()
	if _, err := s.cloud.Files.Put(t.Context(), key, cloud.Text(text), cloud.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestManifestIsNotTrusted(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"../x", "/etc/x", "files/../../x", "other", "files", "files//x", "files/\x00", ""} {
		m := newManifest([]Entry{{Path: path, Mode: "0644", SHA256: strings.Repeat("0", 64)}})
		text := fmt.Appendf(nil, `{"format":1,"release":%q,"entries":[{"path":%q,"sha256":%q}]}`, m.Release, path, strings.Repeat("0", 64))
		if _, err := decodeManifest(text, m.Release); !errors.Is(err, cloud.ErrCorrupt) {
			t.Errorf("%q: %v", path, err)
		}
	}
	if _, err := decodeManifest([]byte(`{"format":2}`), "x"); !errors.Is(err, cloud.ErrUnsupported) {
		t.Errorf("newer format: %v", err)
	}
}

// Many small pushes do not make a release that is fetched in thousands of pieces.
func TestManySmallPushes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	s := openStore(t, t.TempDir())
	dir := folder(t, map[string]string{"project.yml": "x"})
	if err := os.Mkdir(filepath.Join(dir, "files"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range maxSmall + 20 {
		if err := os.WriteFile(filepath.Join(dir, "files", fmt.Sprint(i)), fmt.Append(nil, i), 0o644); err != nil {
			t.Fatal(err)
		}
		push(t, s, dir, All)
	}
	m, err := s.Manifest(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	blobs := map[string]bool{}
	for _, e := range m.Entries {
		blobs[e.Blob] = true
	}
	if len(blobs) > maxSmall+1 {
		t.Errorf("%d blobs", len(blobs))
	}
	if diff := cmp.Diff(tree(t, dir), fetch(t, s, "")); diff != "" {
		t.Error(diff)
	}
}

// A file that is written to between the scan and the upload is never pushed half.
func TestChangedWhilePushed(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, largest + 10} {
		for name, text := range map[string]string{
			"longer": strings.Repeat("x", size+1), "shorter": strings.Repeat("x", size-1), "other": strings.Repeat("y", size),
		} {
			s, dir := openStore(t, t.TempDir()), folder(t, map[string]string{"project.yml": "a", "files/x": strings.Repeat("x", size)})
			scanned, err := Scan(t.Context(), dir, All)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "files/x"), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err = s.Push(t.Context(), PushOptions{Tree: scanned, Parts: All})
			if err == nil || !strings.Contains(err.Error(), "files/x was changed") {
				t.Errorf("%d bytes, %s: %v", size, name, err)
			}
			if list, err := s.List(t.Context()); err != nil || len(list) != 0 {
				t.Errorf("%d bytes, %s: %v, %v", size, name, list, err)
			}
		}
	}
}

// What an SDK sends twice is done once, and told as done.
func TestChangesThatAreSentTwice(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	s.cloud.Files = cloudtest.Twice(s.cloud.Files)
	var ids []string
	for _, text := range []string{"one", "two"} {
		res := push(t, s, folder(t, map[string]string{"project.yml": text}), All)
		if !res.Changed {
			t.Errorf("push: %+v", res)
		}
		ids = append(ids, res.Release)
	}
	now, err := s.Rollback(t.Context(), "", Push{})
	if err != nil || now.Release != ids[0] {
		t.Errorf("rolled back to %s, %v; want %s", now.Release, err, ids[0])
	}
	pushes, err := s.List(t.Context())
	if err != nil || len(pushes) != 3 || pushes[0].Release != ids[0] {
		t.Errorf("pushes: %+v, %v", pushes, err)
	}
	if n, err := s.Delete(t.Context()); err != nil || n != 3 {
		t.Errorf("deleted %d pushes, %v; want 3", n, err)
	}
}

// Of what lies in one blob with others only the part that is needed is fetched.
func TestPartsOfBlobs(t *testing.T) {
	t.Parallel()
	s := openStore(t, t.TempDir())
	network := &cloudtest.Network{Files: s.cloud.Files}
	s.cloud.Files = network
	const mib = 1 << 20
	first := map[string]string{"files/a": strings.Repeat("a", mib), "files/b": strings.Repeat("b", mib), "files/c": strings.Repeat("c", mib)}
	push(t, s, folder(t, first), Parts{Files: true})
	second := map[string]string{"files/a": "new", "files/b": first["files/b"], "files/c": "new, too"}
	push(t, s, folder(t, second), Parts{Files: true})
	for name, read := range map[string]func() error{
		"fetch": func() error {
			dir := t.TempDir()
			_, err := s.Fetch(t.Context(), "", dir)
			if diff := cmp.Diff(second, tree(t, dir)); diff != "" {
				t.Errorf("(-want +got):\n%.200s", diff)
			}
			return err
		},
		"one file": func() error {
			text, err := s.File(t.Context(), "", "files/b")
			if string(text) != second["files/b"] {
				t.Errorf("%d bytes", len(text))
			}
			return err
		},
	} {
		network.Received.Store(0)
		if err := read(); err != nil {
			t.Fatal(err)
		}
		if n := network.Received.Load(); n > mib+mib/4 {
			t.Errorf("%s: received %d bytes of contents, want little more than %d", name, n, mib)
		}
	}
}

// What is said twice goes back twice, and never forward again.
func TestRollbackAgain(t *testing.T) {
	t.Parallel()
	back := func(to string) Push { return Push{Release: to, Action: rollback} }
	push := func(id string) Push { return Push{Release: id, Action: "project push"} }
	for _, c := range []struct {
		name, want string
		pushes     []Push // the newest first
	}{
		{"once", "b", []Push{push("c"), push("b"), push("a")}},
		{"twice", "a", []Push{back("b"), push("c"), push("b"), push("a")}},
		{"at the first", "", []Push{back("a"), back("b"), push("c"), push("b"), push("a")}},
		{"forward by name, then back", "a", []Push{back("b"), back("a"), push("b"), push("a")}},
		{"pushed after it", "a", []Push{push("d"), back("a"), push("b"), push("a")}},
		{"the same pushed again", "b", []Push{push("c"), push("c"), push("b")}},
		{"from longer ago", "c", []Push{back("x"), push("c"), push("b")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := (&Store{}).target(&record{Pushes: c.pushes}, "")
			if got != c.want || (err == nil) != (c.want != "") {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}
