// Package registry gives tests a registry of images on loopback, with a base image made of the packages of this machine.
package registry

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Base is the base image, as its name after the host of the registry.
const Base = "base/python:3"

// ofBase are the packages of this machine that make a base image: what python3-venv needs, a shell, and certificates.
const ofBase = "base-files bash ca-certificates coreutils dash grep libacl1 libattr1 libbz2-1.0 libc-bin libc6 libcrypt1 libexpat1 libffi8 libgcc-s1 libgmp10 " +
	"liblzma5 libncursesw6 libpcre2-8-0 libreadline8 libselinux1 libsqlite3-0 libssl3 libtinfo6 libuuid1 media-types openssl python3 python3-distutils " +
	"python3-lib2to3 python3-minimal python3-pip-whl python3-setuptools-whl python3-venv sed tzdata zlib1g"

// Serve serves a registry on loopback, which has a base image of the packages of this machine: none can be pulled here.
func Serve(t *testing.T) (host string) {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host = strings.TrimPrefix(server.URL, "http://")
	layer, err := tarball.LayerFromFile(baseLayer(t))
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Created = "linux", runtime.GOARCH, v1.Time{Time: time.Unix(1_700_000_000, 0).UTC()}
	c.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	c.Config.Healthcheck = &v1.HealthConfig{Test: []string{"CMD", "false"}}
	if img, err = mutate.ConfigFile(img, c); err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(host + "/" + Base)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		t.Fatal(err)
	}
	return host
}

// baseLayer writes the files of the packages into a layer.
func baseLayer(t *testing.T) string {
	t.Helper()
	python, err := exec.CommandContext(t.Context(), "sh", "-c", `dpkg-query -W -f '${Package}\n' 'python3.*' 'libpython3.*' | grep -v -e dev -e full`).Output()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, pkg := range append(strings.Fields(ofBase), strings.Fields(string(python))...) {
		out, err := exec.CommandContext(t.Context(), "dpkg", "-L", pkg).Output()
		if err != nil {
			continue // another release of Debian calls it otherwise; what is missing shows soon
		}
		names = append(names, strings.Split(string(out), "\n")...)
	}
	certificates, err := filepath.Glob("/etc/ssl/certs/*")
	if err != nil {
		t.Fatal(err)
	}
	names = append(append(names, certificates...), "/bin", "/lib", "/lib64", "/sbin", "/bin/sh")
	return writeBase(t, names)
}

func writeBase(t *testing.T, names []string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "base.tar.gz")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewWriterLevel(f, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	unwanted := regexp.MustCompile(`^/usr/share/(doc|man|locale|lintian)`)
	seen := map[string]bool{}
	for _, name := range names {
		dir, err := filepath.EvalSymlinks(filepath.Dir(name))
		real := filepath.Join(dir, filepath.Base(name))
		if err != nil || !filepath.IsAbs(name) || real == "/" || seen[real] || unwanted.MatchString(name) {
			continue
		}
		seen[real] = true
		if err := addReal(w, real); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return file
}

func addReal(w *tar.Writer, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = os.Readlink(path); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name = strings.TrimPrefix(path, "/")
	if err := w.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
		return err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}
