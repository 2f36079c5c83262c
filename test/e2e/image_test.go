//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/container"
	"github.com/handoff-run/handoff/test/binary"
	"github.com/handoff-run/handoff/test/registry"
)

// plantedFile is what a file of the project says.
const plantedFile = "planted-file-5c2e19"

// inAnImage builds the image of the example without an engine, pushes it, pulls it, and runs it as a job: its artifacts are those of
// `run local`, byte for byte.
func inAnImage(t *testing.T, feed, project string, artifacts <-chan map[string]string) {
	host, home := registry.Serve(t), t.TempDir()
	dir := filepath.Join(t.TempDir(), "quakes")
	if err := os.CopyFS(dir, os.DirFS(project)); err != nil {
		t.Fatal(err)
	}
	replaceIn(t, filepath.Join(dir, "project.yml"), "\ntasks:\n", fmt.Sprintf(`
container: {base_image: %[1]s/base/python:3, labels: {org.opencontainers.image.licenses: MIT}}
deploy: {cloud_provider: local, resource_group: e2e, task: quakes, container_image: %[1]s/e2e/quakes}
secrets: [{key: TOKEN}]

tasks:
`, host))
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, ".secrets"), 0o700),
		os.WriteFile(filepath.Join(dir, "files", "planted.txt"), []byte(plantedFile), 0o600),
		os.WriteFile(filepath.Join(dir, ".secrets", "secrets.yml"), []byte("[{key: TOKEN, value: "+plantedSecret+"}]"), 0o600)); err != nil {
		t.Fatal(err)
	}
	verb := func(into any, args ...string) binary.Result {
		t.Helper()
		cmd := binary.Command(t.Context(), home, programs.handoff, append(args, "-p", dir, "-o", "json")...)
		cmd.Env = append(cmd.Env, "HANDOFF_HOME="+filepath.Join(home, "handoff"), "XDG_CACHE_HOME="+filepath.Join(home, "cache"))
		result, err := binary.Run(cmd)
		if err != nil || result.Code != 0 {
			t.Fatalf("handoff %q: %v %s", args, err, result)
		}
		if err := json.Unmarshal([]byte(result.Stdout), into); err != nil {
			t.Fatalf("handoff %q: %v", args, err)
		}
		return result
	}
	type built struct {
		Status, Version, Digest string
		Bytes                   int64
		Layers                  []struct {
			Name, Status string
			Bytes        int64
		}
	}
	var first, again, changed built
	verb(&first, "container", "build")
	verb(&again, "container", "build")
	if first.Version != "0.1" || again.Status != "unchanged" || again.Digest != first.Digest {
		t.Fatalf("built %+v, then %+v", first, again)
	}
	var pushed struct{ Status, Digest string }
	if verb(&pushed, "container", "push"); pushed.Digest != first.Digest || pushed.Status != "success" {
		t.Fatalf("pushed %+v", pushed)
	}
	img, err := container.Pull(t.Context(), host+"/e2e/quakes:0.1", runtime.GOARCH, container.Login{})
	if err != nil {
		t.Fatal(err)
	}
	looksRight(t, img)
	nothingPrivate(t, img, home, dir)
	imageRuns(t, img, verb, feed, home, artifacts)

	replaceIn(t, filepath.Join(dir, "project.yml"), "- venv: target\n  command: pip install meltanolabs-target-csv==0.5.0\n", "")
	verb(&changed, "container", "build")
	if l := changed.Layers; changed.Version != "0.2" || len(l) != 2 || l[1].Name != "venv tap" || l[1].Status != "cached" {
		t.Errorf("another one has gone: %+v", changed)
	}
}

// looksRight checks what an image says of itself.
func looksRight(t *testing.T, img container.Image) {
	t.Helper()
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c.Config.User != "10001:10001" || !slices.Equal(c.Config.Entrypoint, []string{"/opt/handoff/bin/handoff"}) || !slices.Equal(c.Config.Cmd, []string{"run", "--job"}) ||
		c.Config.Healthcheck != nil || c.Config.Labels["org.opencontainers.image.licenses"] != "MIT" || c.Config.Labels["org.opencontainers.image.version"] != "0.1" {
		t.Errorf("%+v", c.Config)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 4 {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
}

// nothingPrivate looks into every layer and all that is said of an image for what is not to be there: the secret, the project's files, the
// folders of this machine, and where it gets its packages.
func nothingPrivate(t *testing.T, img container.Image, folders ...string) {
	t.Helper()
	private := append([]string{plantedSecret, plantedFile}, folders...)
	if out, err := exec.CommandContext(t.Context(), "python3", "-m", "pip", "config", "list").Output(); err == nil {
		for _, m := range regexp.MustCompile(`https?://([^/'"\s]+)`).FindAllStringSubmatch(string(out), -1) {
			private = append(private, m[1])
		}
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string][]byte{}
	if texts["config"], err = img.RawConfigFile(); err != nil {
		t.Fatal(err)
	}
	for i, l := range layers[1:] {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		if texts[fmt.Sprint("layer ", i+1)], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	for where, text := range texts {
		for _, p := range private {
			if bytes.Contains(text, []byte(p)) {
				t.Errorf("%s has %q", where, p)
			}
		}
	}
}

// imageRuns runs a job in the files of the image, without an engine.
func imageRuns(t *testing.T, img container.Image, verb func(any, ...string) binary.Result, feed, home string, artifacts <-chan map[string]string) {
	t.Helper()
	base := serve(t, feed)
	var done struct{ Status string }
	verb(&done, "deploy", "-y")
	root, err := container.Rootfs(t.Context(), img, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	var said bytes.Buffer
	err = container.Box{
		Enter: []string{programs.handoff, "__box"}, Root: root, Args: append(c.Config.Entrypoint, c.Config.Cmd...), Output: &said,
		Binds: []container.Bind{{From: filepath.Join(home, "handoff"), To: "/data"}, {From: work, To: container.Home}},
		Env: append(c.Config.Env, "HANDOFF_HOME=/data", "HANDOFF_CLOUD_PROVIDER=local", "HANDOFF_STAGE=dev", "HANDOFF_RESOURCE_GROUP=e2e", "HANDOFF_TASK=quakes",
			"HANDOFF_TRIGGER=manual", "__VARS=base_url="+base+" page_size=100"),
	}.Run(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	if strings.Contains(said.String(), "installing") || strings.Contains(said.String(), "of the image is not") {
		t.Errorf("the virtual environments of the image are not used:\n%s", said.String())
	}
	want, ok := <-artifacts
	if !ok {
		t.Fatal("the run beside this one has failed")
	}
	got := filesBelow(t, filepath.Join(work, "workspace", "artifacts"))
	for _, files := range []map[string]string{want, got} {
		for path := range files {
			if strings.Contains(path, "run.json") || strings.HasSuffix(path, "run.log") || strings.Contains(path, "stderr") || strings.HasPrefix(filepath.Base(path), ".") {
				delete(files, path) // they tell of the run
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got) == 0 {
		t.Errorf("the artifacts of the image differ from those of run local: %.2000s", diff)
	}
}
