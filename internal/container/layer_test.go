package container

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func TestLayerIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	var made [2]bytes.Buffer
	for i := range made {
		dir := t.TempDir()
		for _, name := range []string{"b", "a", "c/d"} {
			path := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(name), 0o600), os.Chtimes(path, time.Now(), time.Now().Add(-time.Duration(i)*time.Hour))); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(os.Chmod(filepath.Join(dir, "a"), 0o710), os.Symlink("a", filepath.Join(dir, "link"))); err != nil {
			t.Fatal(err)
		}
		if err := writeLayer(&made[i], dir, "/opt/x"); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(made[0].Bytes(), made[1].Bytes()) {
		t.Error("the same files have made two layers")
	}
	want := "opt/ 755 \nopt/x/ 755 \nopt/x/a 755 a\nopt/x/b 644 b\nopt/x/c/ 755 \nopt/x/c/d 644 c/d\nopt/x/link 777 -> a \n"
	if got := listed(t, &made[0]); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func listed(t *testing.T, layer io.Reader) string {
	t.Helper()
	z, err := gzip.NewReader(layer)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if err == io.EOF {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(files)
		if err != nil || h.Uid != 0 || h.Gid != 0 || !h.ModTime.Equal(epoch()) {
			t.Errorf("%+v: %v", h, err)
		}
		link := ""
		if h.Linkname != "" {
			link = "-> " + h.Linkname + " "
		}
		fmt.Fprintf(&b, "%s %o %s%s\n", h.Name, h.Mode, link, content)
	}
}

// An image from somewhere may try to write elsewhere.
func TestUnpackStaysInside(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	victim := filepath.Join(outside, "victim")
	if err := os.WriteFile(victim, []byte("whole"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, headers := range map[string][]tar.Header{
		"up":       {{Name: "../../../../../.." + victim, Typeflag: tar.TypeReg}},
		"absolute": {{Name: victim, Typeflag: tar.TypeReg}},
		"link":     {{Name: "out", Linkname: outside, Typeflag: tar.TypeSymlink}, {Name: "out/victim", Typeflag: tar.TypeReg}},
		"hard":     {{Name: "file", Linkname: "../../../../../.." + victim, Typeflag: tar.TypeLink}},
		"over":     {{Name: "out", Linkname: victim, Typeflag: tar.TypeSymlink}, {Name: "out", Typeflag: tar.TypeReg}},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range headers {
			h.Mode = 0o666
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
		if err != nil {
			t.Fatal(err)
		}
		img, err := mutate.AppendLayers(empty.Image, layer)
		if err != nil {
			t.Fatal(err)
		}
		cache := t.TempDir()
		if dir, err := Rootfs(t.Context(), img, cache); err == nil {
			if again, err := Rootfs(t.Context(), img, cache); again != dir || err != nil {
				t.Errorf("%s: unpacked again: %s, %v", name, again, err)
			}
		} else if left, _ := filepath.Glob(filepath.Join(cache, "rootfs", "*")); len(left) > 0 {
			t.Errorf("%s: %v, and left %q", name, err, left)
		}
		if text, err := os.ReadFile(victim); string(text) != "whole" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

// A layer of which nothing is there must not make an image with less in it.
func TestKeptLayerIsWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "layer")
	if _, err := layerFile(file, dir, "/opt"); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"empty": {}, "a byte": whole[:1], "half": whole[:len(whole)/2], "zeros": make([]byte, 4096), "one bit": append(slices.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1),
	} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := keptLayer(file); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// A base of which a layer cannot be read is not one with fewer files.
func TestUnpackAllOrNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := OpenStore(filepath.Join(dir, "layout"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(small(t, "lost"), "base"); err != nil {
		t.Fatal(err)
	}
	img, err := s.Image("base")
	if err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(s.blob(m.Layers[0].Digest)); err != nil {
		t.Fatal(err)
	}
	if root, err := Rootfs(t.Context(), img, dir); err == nil {
		t.Errorf("unpacked as %s", root)
	}
}

// An install can make links that lead nowhere in its box, and to something of this machine from here.
func TestLayerOfAFolder(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), t.TempDir()
	for _, path := range []string{filepath.Join(dir, "venvs", "tap"), filepath.Join(elsewhere, "tap")} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink(elsewhere, filepath.Join(dir, "moved")), os.Symlink(elsewhere, filepath.Join(dir, "venvs", "link"))); err != nil {
		t.Fatal(err)
	}
	if got, err := folder(dir, "venvs", "tap"); err != nil || got != filepath.Join(dir, "venvs", "tap") {
		t.Errorf("%s, %v", got, err)
	}
	for _, names := range [][]string{{"moved", "tap"}, {"venvs", "link"}, {"venvs", "none"}} {
		if got, err := folder(dir, names...); err == nil {
			t.Errorf("%q: %s", names, got)
		}
	}
}

// Without a home there are no settings of a person, also not where somebody has put such files.
func TestReachWithoutAHome(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile(".netrc", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	binds, _ := reach(nil)
	for _, b := range binds {
		if !filepath.IsAbs(b.From) {
			t.Errorf("%+v", b)
		}
	}
}
