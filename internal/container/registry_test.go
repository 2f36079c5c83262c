package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// serve starts a registry that wants a login where user is not "", and returns its host.
func serve(t *testing.T, user, password string) (host string, calls func() []string) {
	t.Helper()
	var mu sync.Mutex
	var seen []string
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); user != "" && (u != user || p != password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mu.Lock()
		seen = append(seen, r.Method+" "+r.URL.Path)
		mu.Unlock()
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(seen)
	}
}

// small makes an image of one layer for linux/amd64.
func small(t *testing.T, content string) Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, static.NewLayer([]byte(content), types.DockerLayer))
	if err != nil {
		t.Fatal(err)
	}
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: rootFS(t, img)})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func rootFS(t *testing.T, img Image) v1.RootFS {
	t.Helper()
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return c.RootFS
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	host, calls := serve(t, "AWS", "token")
	ctx := t.Context()
	repo, err := ParseRepository(host+"/team/load", Login{User: "AWS", Password: "token"})
	if err != nil {
		t.Fatal(err)
	}
	if tags, err := repo.Tags(ctx); len(tags) != 0 || err != nil {
		t.Errorf("tags before the first push: %v, %v", tags, err)
	}
	one, other := small(t, "one"), small(t, "other")
	var sent, total int64
	digest, err := repo.Push(ctx, one, "0.1", func(done, all int64) { sent, total = done, all })
	if want, _ := one.Digest(); err != nil || digest != want.String() || sent == 0 || sent != total {
		t.Errorf("pushed %s, %d of %d bytes: %v", digest, sent, total, err)
	}
	before := len(calls())
	if again, err := repo.Push(ctx, one, "0.1", nil); err != nil || again != digest || len(calls())-before > 2 {
		t.Errorf("the same again: %s, %v, calls %q", again, err, calls()[before:])
	}
	if _, err := repo.Push(ctx, other, "0.1", nil); !errors.Is(err, ErrTaken) {
		t.Errorf("another image with a version that is taken: %v", err)
	}
	if has, err := repo.Digest(ctx, "0.1"); err != nil || has != digest {
		t.Errorf("the registry has %s: %v", has, err)
	}
	for n := range 30 { // more than one page, by the registry's own measure
		if _, err := repo.Push(ctx, one, fmt.Sprintf("1.%d", n), nil); err != nil {
			t.Fatal(err)
		}
	}
	tags, err := repo.Tags(ctx)
	if len(tags) != 31 || err != nil || Next(tags) != "1.30" {
		t.Errorf("%d tags, next %s: %v", len(tags), Next(tags), err)
	}
	img, err := Pull(ctx, host+"/team/load:0.1", "amd64", Login{User: "AWS", Password: "token"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := img.Digest(); err != nil || got.String() != digest {
		t.Errorf("pulled %s: %v", got, err)
	}
}

func TestRegistryRefuses(t *testing.T) {
	t.Parallel()
	host, _ := serve(t, "AWS", "token")
	for _, test := range []struct {
		name     string
		login    Login
		ref      string
		arch     string
		want     error
		unspoken string
	}{
		{"no login", Login{User: "AWS", Password: ""}, host + "/a:1", "amd64", ErrLogin, "token"},
		{"wrong password", Login{User: "AWS", Password: "secret-guess"}, host + "/a:1", "amd64", ErrLogin, "secret-guess"},
		{"not there", Login{User: "AWS", Password: "token"}, host + "/a:1", "amd64", ErrNotThere, "token"},
		{"no name", Login{}, "UPPER CASE", "amd64", ErrName, ""},
		{"nobody there", Login{}, "127.0.0.1:1/a:1", "amd64", ErrRegistry, ""},
	} {
		_, err := Pull(t.Context(), test.ref, test.arch, test.login)
		if !errors.Is(err, test.want) || test.unspoken != "" && strings.Contains(err.Error(), test.unspoken) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestPushIsCut(t *testing.T) {
	t.Parallel()
	host, _ := serve(t, "", "")
	repo, err := ParseRepository(host+"/load", Login{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := repo.Push(ctx, small(t, "x"), "0.1", func(int64, int64) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if tags, err := repo.Tags(t.Context()); len(tags) != 0 || err != nil {
		t.Errorf("%v, %v", tags, err)
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		tags []string
		next string
	}{
		{nil, "0.1"}, {[]string{"latest"}, "0.1"}, {[]string{"0.1", "0.2"}, "0.3"}, {[]string{"0.9", "0.10", "0.2"}, "0.11"},
		{[]string{"1.2.3", "1.2", "v9", "0x1.2", "1.02", "-1.5", ""}, "1.2.4"}, {[]string{"20261127"}, "0.1"}, {[]string{"0.1", "99999999999999999999.1"}, "0.2"},
	} {
		if got := Next(test.tags); got != test.next {
			t.Errorf("%q: next %s, want %s", test.tags, got, test.next)
		}
	}
	if got := fmt.Sprint(Newest([]string{"a", "0.2", "0.10", "latest", "0.2", "1.0"})); got != "[1.0 0.10 0.2 a latest]" {
		t.Error(got)
	}
}

func TestNamed(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"load": false, "team/load": false, "localhost/load": true, "host:5000/load": true, "registry.example/load": true} {
		if Named(name) != want {
			t.Errorf("%s: %t", name, !want)
		}
	}
}
