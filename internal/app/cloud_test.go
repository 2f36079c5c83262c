package app

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/local"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/release"
)

// withLocal lets a open the local provider in a new home.
func withLocal(t *testing.T, a *App) {
	t.Helper()
	home, err := local.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a.OpenCloud = func(_ context.Context, o CloudOptions) (*cloud.Cloud, error) {
		c, err := home.Cloud(o.Scope)
		if err != nil {
			return nil, err
		}
		return cloud.Complete(*c), nil
	}
}

func TestCloudOptions(t *testing.T) {
	t.Parallel()
	deploy := project.Deploy{CloudProvider: "aws", CloudPlatform: "fargate", ResourceGroup: "group", Task: "task"}
	scope := cloud.Scope{Stage: "dev", ResourceGroup: "group", Task: "task"}
	for _, tt := range []struct {
		name    string
		target  Target
		deploy  *project.Deploy // nil: no project
		environ []string
		want    CloudOptions
	}{
		{"project", Target{}, &deploy, nil, CloudOptions{Provider: "aws", Platform: "fargate", Scope: scope}},
		{
			"flags win, and the platform is that of another provider",
			Target{EnvStage: "prod", Cloud: CloudFlags{Provider: "local", Profile: "me"}}, &deploy, nil,
			CloudOptions{Provider: "local", Profile: "me", Scope: cloud.Scope{Stage: "prod", ResourceGroup: "group", Task: "task"}},
		},
		{
			"-e wins", Target{Envs: []project.KeyValue{{Key: "resource_group", Value: "g2"}, {Key: "task", Value: "x"}, {Key: "task", Value: "t2"}}}, &deploy, nil,
			CloudOptions{Provider: "aws", Platform: "fargate", Scope: cloud.Scope{Stage: "dev", ResourceGroup: "g2", Task: "t2"}},
		},
		{
			"no project", Target{Envs: []project.KeyValue{{Key: "resource_group", Value: "g"}}}, nil, nil,
			CloudOptions{Scope: cloud.Scope{Stage: "dev", ResourceGroup: "g"}},
		},
		{
			"environment", Target{Envs: []project.KeyValue{{Key: "resource_group", Value: "g"}}}, nil,
			[]string{"HO_CLOUD_PROVIDER=gcp", "HO_CLOUD_PLATFORM=cloudrun"},
			CloudOptions{Provider: "gcp", Platform: "cloudrun", Scope: cloud.Scope{Stage: "dev", ResourceGroup: "g"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := &App{Environ: tt.environ}
			var p *project.Project
			if tt.deploy != nil {
				p = &project.Project{Deploy: *tt.deploy}
			}
			got, err := a.cloudOptions(tt.target, p)
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
	for _, name := range []string{"", "../x", "a b", ".x"} {
		_, err := (&App{}).cloudOptions(Target{Envs: []project.KeyValue{{Key: "resource_group", Value: name}}}, nil)
		if usage, ok := errors.AsType[*UsageError](err); !ok || usage.Hint == "" {
			t.Errorf("resource group %q: %v", name, err)
		}
	}
}

func TestCloudErrors(t *testing.T) {
	t.Parallel()
	a, _ := newApp(t)
	withLocal(t, a)
	dir := write(t, t.TempDir(), map[string]string{"project.yml": "version: 1\ndeploy: {resource_group: g, task: t}\ntasks: []\n"})
	_, err := a.ReleaseRollback(t.Context(), RollbackOptions{Target: Target{ProjectDir: dir}})
	if Code(err) != ExitCloud || !errors.Is(err, cloud.ErrNotFound) || cloud.Hint(err) == "" {
		t.Errorf("roll back of nothing: %v", err)
	}
	_, err = a.FilesGet(t.Context(), Target{ProjectDir: dir})
	if _, ok := errors.AsType[*UsageError](err); !ok {
		t.Errorf("no workspace: %v", err)
	}
}

// What is done for one env stage is neither seen nor harmed by another one, and tasks of a group do not meet either.
func TestStagesAreIsolated(t *testing.T) {
	t.Parallel()
	a, _ := newApp(t)
	withLocal(t, a)
	dir := write(t, t.TempDir(), map[string]string{
		"project.yml":               "version: 1\ndeploy: {resource_group: g, task: t}\ntasks: []\n",
		"files/x.txt":               "x",
		".secrets/secrets.yml":      "- {key: a, value: dev-value-1}\n- {key: b, value: dev-value-2, level: resource group}\n",
		".secrets/prod_secrets.yml": "- {key: a, value: prod-value-1}\n",
	})
	prod := Target{ProjectDir: dir, EnvStage: "prod"}
	dev := Target{ProjectDir: dir, EnvStage: "dev"}
	other := Target{ProjectDir: dir, EnvStage: "prod", Envs: []project.KeyValue{{Key: "task", Value: "other"}}}
	for _, target := range []Target{prod, dev, other} {
		if _, err := a.Push(t.Context(), PushOptions{Target: target, Parts: release.All, Secrets: true}); err != nil {
			t.Fatal(err)
		}
	}
	for _, target := range []Target{dev, other} {
		if _, err := a.ProjectDelete(t.Context(), DeleteOptions{Target: target}); err != nil {
			t.Fatal(err)
		}
		if _, err := a.ConfigText(t.Context(), target, ""); !errors.Is(err, cloud.ErrNotFound) {
			t.Errorf("after the delete: %v", err)
		}
	}
	if _, err := a.ConfigText(t.Context(), prod, ""); err != nil {
		t.Error(err)
	}
	res, err := a.SecretsPrint(t.Context(), SecretsOptions{Target: prod, Show: true})
	if err != nil || len(res.Secrets) != 1 || *res.Secrets[0].Value != "prod-value-1" {
		t.Errorf("%+v, %v", res, err)
	}
	ws := prod
	ws.WorkspaceDir = filepath.Join(t.TempDir(), "ws")
	if _, err := a.FilesGet(t.Context(), ws); err != nil {
		t.Error(err)
	}
}

func TestPushShowsNoSecret(t *testing.T) {
	t.Parallel()
	a, log := newApp(t)
	withLocal(t, a)
	dir := write(t, t.TempDir(), map[string]string{
		"project.yml":          "version: 1\ndeploy: {resource_group: g, task: t}\ntasks: []\n",
		".secrets/secrets.yml": "- {key: 'a b', value: s3cr3t-word}\n",
	})
	_, err := a.SecretsPush(t.Context(), SecretsOptions{Target: Target{ProjectDir: dir}})
	if _, ok := errors.AsType[*UsageError](err); !ok || !strings.Contains(err.Error(), "secrets.yml:1") || strings.Contains(err.Error()+log.String(), "s3cr3t") {
		t.Errorf("a key that no cloud takes: %v", err)
	}
}

func TestBytes(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 9 << 10: "9.0 KiB", 10 << 20: "10 MiB", 5 << 40: "5.0 TiB", 1 << 60: "1048576 TiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
