package local

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/handoff-run/handoff/internal/cloud"
)

// treeFiles is the size of the tree of BenchmarkTree, which measures what a push and a fetch cost against cp -r of the same
// tree, with the same durability: cp-syncfs flushes the file system once, cp-fsync each file.
const treeFiles = 5000

// fetchers is how many files a fetch writes at a time: there is no flush to share.
const fetchers = 8

func BenchmarkTree(b *testing.B) {
	source := b.TempDir()
	makeTree(b, source)
	b.Run("cp", func(b *testing.B) { benchCopy(b, source, "") })
	b.Run("cp-syncfs", func(b *testing.B) { benchCopy(b, source, `sync -f "$2"`) })
	b.Run("cp-fsync", func(b *testing.B) { benchCopy(b, source, `find "$2" -print0 | xargs -0 sync`) })
	b.Run("push", func(b *testing.B) { benchPush(b, source) })
	b.Run("unchanged", func(b *testing.B) { benchUnchanged(b, source) })
	b.Run("list", func(b *testing.B) { benchList(b, source) })
	b.Run("fetch", func(b *testing.B) { benchFetch(b, source) })
}

func makeTree(b *testing.B, dir string) {
	for i := range treeFiles {
		path := filepath.Join(dir, fmt.Sprintf("folder-%02d", i%50), fmt.Sprintf("file-%04d.sql", i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, bytes.Repeat([]byte(fmt.Sprintf("%09d\n", i)), 10+i%300), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	if out, err := exec.Command("sync", "-f", dir).CombinedOutput(); err != nil {
		b.Fatalf("%s %v", out, err)
	}
}

func benchCopy(b *testing.B, source, then string) {
	for b.Loop() {
		target := filepath.Join(b.TempDir(), "copy")
		if out, err := exec.Command("sh", "-c", `cp -r "$1" "$2"; `+then, "sh", source, target).CombinedOutput(); err != nil {
			b.Fatalf("%s %v", out, err)
		}
	}
}

// each calls do for every file of dir, as many at a time as the provider likes.
func each(b *testing.B, workers int, dir string, do func(path, key string) error) {
	work := make(chan string)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for path := range work {
				key, err := filepath.Rel(dir, path)
				if err == nil {
					err = do(path, filepath.ToSlash(key))
				}
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			work <- path
		}
		return err
	})
	close(work)
	group.Wait()
	if err != nil {
		b.Fatal(err)
	}
}

func bucket(b *testing.B) *Files {
	h, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	return h.Files(cloud.Scope{Stage: "prod", ResourceGroup: "etl"})
}

func push(b *testing.B, source string, f *Files) {
	each(b, parallel, source, func(path, key string) error {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		body, err := cloud.FromFile(file)
		if err == nil {
			_, err = f.Put(context.Background(), key, body, cloud.PutOptions{})
		}
		return err
	})
}

func benchPush(b *testing.B, source string) {
	for b.Loop() {
		push(b, source, bucket(b))
	}
}

func benchUnchanged(b *testing.B, source string) {
	f := bucket(b)
	push(b, source, f)
	for b.Loop() {
		there := map[string]string{}
		for o, err := range f.List(context.Background(), "") {
			if err != nil {
				b.Fatal(err)
			}
			there[o.Key] = o.SHA256
		}
		each(b, parallel, source, func(path, key string) error {
			text, err := os.ReadFile(path)
			if sum := sha256.Sum256(text); there[key] != hex.EncodeToString(sum[:]) {
				return fmt.Errorf("%s has changed", key)
			}
			return err
		})
	}
}

func benchList(b *testing.B, source string) {
	f := bucket(b)
	push(b, source, f)
	for b.Loop() {
		n := 0
		for range f.List(context.Background(), "") {
			n++
		}
		if n != treeFiles {
			b.Fatal(n)
		}
	}
}

func benchFetch(b *testing.B, source string) {
	f := bucket(b)
	push(b, source, f)
	for b.Loop() {
		target := b.TempDir()
		each(b, fetchers, source, func(_, key string) error { return fetch(f, key, filepath.Join(target, key)) })
	}
}

func fetch(f *Files, key, path string) error {
	body, _, err := f.Get(context.Background(), key, cloud.GetOptions{})
	if err != nil {
		return err
	}
	defer body.Close()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, body); err != nil {
		return err
	}
	return out.Close()
}
