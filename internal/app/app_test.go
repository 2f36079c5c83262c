package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/project"
)

// newApp returns an App whose log is kept.
func newApp(t *testing.T) (*App, *bytes.Buffer) {
	t.Helper()
	log := new(bytes.Buffer)
	return &App{
		Version: "test", Environ: os.Environ(), Host: "here", Log: slog.New(slog.NewTextHandler(log, nil)),
		Now: func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
	}, log
}

func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRunWritesWhatItDid(t *testing.T) {
	t.Parallel()
	a, _ := newApp(t)
	dir := write(t, t.TempDir(), map[string]string{
		"prj/project.yml":  "version: 1\nvars: [{key: who, value: you}]\ntasks:\n- name: hi\n  commands:\n  - command: cat files/hi.txt\n",
		"prj/files/hi.txt": "hi {{ who }}\n",
	})
	res, err := a.Run(t.Context(), RunOptions{Target: Target{ProjectDir: filepath.Join(dir, "prj"), WorkspaceDir: filepath.Join(dir, "ws")}})
	if err != nil || res.Status != "success" || res.ExitCode != 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	text, err := os.ReadFile(filepath.Join(res.Artifacts, "hi_stdout.log"))
	if err != nil || string(text) != "hi you\n" {
		t.Errorf("output %q, %v", text, err)
	}
	run, err := ledger.Read(res.Record)
	if err != nil || run.ID != res.RunID || !strings.HasPrefix(run.Release, "sha256:") || run.Version != "test" || run.Host != "here" {
		t.Errorf("record %+v, %v", run, err)
	}
}

func TestRunTellsThatTheOneBeforeDied(t *testing.T) {
	t.Parallel()
	a, log := newApp(t)
	dir := write(t, t.TempDir(), map[string]string{
		"prj/project.yml":       "version: 1\ntasks:\n- name: hi\n  commands:\n  - command: 'true'\n",
		"ws/artifacts/run.json": `{"id": "old", "pid": 1, "outcome": "running"}`,
	})
	if _, err := a.Run(t.Context(), RunOptions{Target: Target{ProjectDir: filepath.Join(dir, "prj"), WorkspaceDir: filepath.Join(dir, "ws")}}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "run old died") {
		t.Errorf("log:\n%s", log)
	}
}

func TestExitCode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		outcome pipeline.Outcome
		signal  syscall.Signal
		want    int
	}{
		{pipeline.Success, 0, 0},
		{pipeline.Failed, 0, 1},
		{pipeline.TimedOut, 0, 124},
		{pipeline.Interrupted, syscall.SIGINT, 130},
		{pipeline.Interrupted, syscall.SIGTERM, 143},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		if tt.signal != 0 {
			cancel(pipeline.Interrupt{Signal: tt.signal})
		}
		if got := exitCode(ctx, pipeline.Result{Outcome: tt.outcome}); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.outcome, got, tt.want)
		}
		cancel(nil)
	}
}

func TestErrorsShowNoSecret(t *testing.T) {
	t.Parallel()
	a, _ := newApp(t)
	dir := write(t, t.TempDir(), map[string]string{
		"prj/project.yml":          "version: 1\ninstalls:\n- command: echo s3cr3t-word >&2; exit 4\ntasks: []\n",
		"prj/.secrets/secrets.yml": "- {key: a, value: s3cr3t-word}\n",
	})
	_, err := a.WorkspaceInstall(t.Context(), InstallOptions{Target: Target{ProjectDir: filepath.Join(dir, "prj"), WorkspaceDir: filepath.Join(dir, "ws")}})
	if err == nil || strings.Contains(err.Error(), "s3cr3t") || !strings.Contains(err.Error(), "[redacted]") {
		t.Errorf("error %v", err)
	}
}

func TestInitAnswersBecomeAProject(t *testing.T) {
	t.Parallel()
	a, _ := newApp(t)
	for _, tt := range []struct {
		name   string
		stages []string
		want   []string
	}{
		{"venv and command", []string{"tap: tap-x --config a.json", "wc -l"}, []string{"tap-x --config a.json", "wc -l"}},
		{"colons and quotes", []string{`echo "a: b" 'c'`}, []string{`echo "a: b" 'c'`}},
		{"words that YAML would type", []string{"true", "1", "no", "- x", "{a}", "#x", " pad "}, []string{"true", "1", "no", "- x", "{a}", "#x", "pad"}},
		{"several lines", []string{"echo a\necho b\t\\"}, []string{"echo a\necho b\t\\"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "p")
			if _, err := a.Init(t.Context(), InitOptions{Dir: dir, Description: "yes: \"quoted\"", Stages: tt.stages}); err != nil {
				t.Fatal(err)
			}
			p, _, err := project.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range p.Tasks[0].Pipeline {
				got = append(got, s.Command.Text)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if _, err := a.Init(t.Context(), InitOptions{Dir: dir, Stages: tt.stages}); err == nil {
				t.Error("a project was replaced")
			}
		})
	}
}

func TestPlanNeedsNoWorkspace(t *testing.T) {
	t.Parallel()
	a, _ := newApp(t)
	dir := write(t, t.TempDir(), map[string]string{
		"project.yml":          "version: 1\nsecrets: [{key: a}]\ninstalls: [{venv: py, command: pip install x}]\ntasks:\n- name: x\n  commands:\n  - command: echo {{ a }} {{ _today }}\n    venv: py\n",
		".secrets/secrets.yml": "- {key: a, value: s3cr3t-word}\n",
	})
	p, err := a.Plan(t.Context(), PlanOptions{Target: Target{ProjectDir: dir}})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Tasks[0].Commands[0].Command.Script; got != "echo [redacted] 2026-01-02" {
		t.Errorf("script %q", got)
	}
}

func TestRunNeedsAWorkspace(t *testing.T) {
	t.Parallel()
	a, _ := newApp(t)
	dir := write(t, t.TempDir(), map[string]string{"project.yml": "version: 1\ntasks: []\n"})
	_, err := a.Run(t.Context(), RunOptions{Target: Target{ProjectDir: dir}})
	if usage, ok := errors.AsType[*UsageError](err); !ok || usage.Hint == "" {
		t.Errorf("error %v", err)
	}
}
