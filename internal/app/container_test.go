package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/handoff-run/handoff/internal/container"
)

// What cannot be built is refused before anything is fetched or made.
func TestImagesThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, command, version, want string }{
		{"blank in a version", "pip install six", "1 0", `version "1 0"`},
		{"path in a version", "pip install six", "a/b", `version "a/b"`},
		{"version that begins with a dot", "pip install six", ".1", `version ".1"`},
		{"other letters", "pip install six", "ü", `version "ü"`},
		{"password in a command", "pip install --index-url https://joe:hunter2@packages.example/simple six", "", "password"},
		{"token in a command", "pip install https://:hunter2@packages.example/six.whl", "", "password"},
		{"variable in a command", "pip install https://joe:$PIP_TOKEN@packages.example/six.whl", "", "the registry 127.0.0.1:1"}, // it is refused no more
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, _ := newApp(t)
			a.Box, a.Images = []string{"/bin/true"}, t.TempDir()
			dir := t.TempDir()
			text := "version: 1\ninstalls:\n- {venv: tap, command: '" + tt.command + "'}\n" +
				"tasks:\n- {name: load, pipeline: [{command: cat}]}\ndeploy: {container_image: registry.example/team/load}\ncontainer: {base_image: '127.0.0.1:1/base:3'}\n"
			code := ExitUsage
			if strings.Contains(tt.want, "registry") {
				code = ExitCloud
			}
			if err := os.WriteFile(filepath.Join(dir, "project.yml"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := a.ContainerBuild(t.Context(), BuildOptions{ImageOptions: ImageOptions{Target: Target{ProjectDir: dir}, Version: tt.version}})
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") || Code(err) != code {
				t.Errorf("exit code %d: %v", Code(err), err)
			}
		})
	}
}

// A login is for the registry of the image, and for a base that lies there, too.
func TestBaseLogin(t *testing.T) {
	t.Parallel()
	login := container.Login{User: "AWS", Password: "token"}
	for _, tt := range []struct {
		image, base string
		want        container.Login
	}{
		{"registry.example:5000/team/load", "registry.example:5000/base/python:3", login},
		{"registry.example:5000/team/load", "registry.example/base/python:3", container.Login{}},
		{"registry.example/team/load", "python:3.13", container.Login{}},
		{"team/load", "python:3.13", container.Login{}},
		{"docker.io/team/load", "python:3.13", login},
	} {
		b := imageBuild{o: BuildOptions{ImageOptions: ImageOptions{Login: login}}, name: tt.image, result: ImageResult{Base: tt.base}}
		if got := b.baseLogin(); got != tt.want {
			t.Errorf("%s on %s: %v", tt.image, tt.base, got)
		}
	}
}
