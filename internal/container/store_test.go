package container

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func TestStore(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "images", "layout")
	s, err := OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for _, tag := range []string{"0.1", "0.2", "0.3"} { // builds at the same time
		all.Go(func() {
			other, err := OpenStore(dir)
			if err == nil {
				err = other.Put(small(t, tag), "host/load:"+tag)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if err := s.Add(small(t, "0.1"), "host/load:0.1"); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := s.Add(small(t, "another"), "host/load:0.1"); !errors.Is(err, ErrHas) {
		t.Errorf("another one with its name: %v", err)
	}
	if err := s.Put(small(t, "x"), "host/load-other:1"); err != nil {
		t.Fatal(err)
	}
	tags, err := s.Tags("host/load")
	if slices.Sort(tags); err != nil || !slices.Equal(tags, []string{"0.1", "0.2", "0.3"}) {
		t.Errorf("%q, %v", tags, err)
	}
	unused, used := filepath.Join(dir, "..", "layers", "unused"), filepath.Join(dir, "..", "layers", "used")
	for _, file := range []string{unused, used} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("layer"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-31 * 24 * time.Hour)
	if err := os.Chtimes(unused, old, old); err != nil {
		t.Fatal(err)
	}
	freed, err := s.Sweep([]string{"host/load:0.1", "host/load:0.2"}, time.Now())
	if err != nil || freed < 10 {
		t.Errorf("freed %d, %v", freed, err)
	}
	for file, want := range map[string]bool{unused: false, used: true} {
		if _, err := os.Stat(file); (err == nil) != want {
			t.Errorf("%s: %v", file, err)
		}
	}
	for name, want := range map[string]string{"host/load:0.1": "", "host/load:0.3": "0.3", "host/load-other:1": "x"} {
		img, err := s.Image(name)
		if want == "" {
			if err == nil {
				t.Errorf("%s is still there", name)
			}
			continue
		}
		if err != nil || !same(img, small(t, want)) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		layers, err := img.Layers()
		if err != nil {
			t.Fatal(err)
		}
		r, err := layers[0].Compressed()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = r.Close()
	}
}

func TestBase(t *testing.T) {
	t.Parallel()
	host, calls := serve(t, "", "")
	repo, err := ParseRepository(host+"/base", Login{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Push(t.Context(), small(t, "base"), "3", nil); err != nil {
		t.Fatal(err)
	}
	s, err := OpenStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		img, old, err := s.Base(t.Context(), host+"/base:3", "amd64", Login{})
		if err != nil || old || !same(img, small(t, "base")) {
			t.Fatalf("%t, %v", old, err)
		}
	}
	blobs := 0
	for _, call := range calls() {
		if call == "GET /v2/base/blobs/"+layerDigest(t, small(t, "base")) {
			blobs++
		}
	}
	if blobs != 1 {
		t.Errorf("the layer was fetched %d times", blobs)
	}
	if _, _, err := s.Base(t.Context(), host+"/base:3", "arm64", Login{}); err == nil {
		t.Error("an image for another machine was taken")
	}
	// The registry is gone: another one has its port, or nobody has.
	if err := s.Put(small(t, "base"), baseMark+"127.0.0.1:1/base:3 amd64"); err != nil {
		t.Fatal(err)
	}
	if img, old, err := s.Base(t.Context(), "127.0.0.1:1/base:3", "amd64", Login{}); err != nil || !old || !same(img, small(t, "base")) {
		t.Errorf("%t, %v", old, err)
	}
}

func layerDigest(t *testing.T, img Image) string {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	d, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// What a full disk, or a person, has left of a file is never taken for the whole file.
func TestDamagedStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := OpenStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	img := small(t, "content")
	if err := s.Put(img, "host/load:0.1"); err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for what, hash := range map[string]v1.Hash{"layer": m.Layers[0].Digest, "config": m.Config.Digest, "manifest": digest} {
		for _, damage := range []func(string) error{os.Remove, func(file string) error { return os.Truncate(file, 3) }} {
			if err := damage(s.blob(hash)); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Image("host/load:0.1"); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: %v", what, err)
			}
			if err := s.Put(img, "host/load:0.1"); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Image("host/load:0.1"); err != nil || !same(got, img) {
				t.Errorf("%s, built anew: %v", what, err)
			}
		}
	}
	if err := os.Truncate(s.blob(digest), 3); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sweep([]string{"host/load:0.1"}, time.Now()); err != nil {
		t.Errorf("a damaged image cannot be removed: %v", err)
	}
	if err := os.Truncate(filepath.Join(dir, "index.json"), 3); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(dir); !errors.Is(err, ErrDamaged) {
		t.Errorf("index: %v", err)
	}
}
