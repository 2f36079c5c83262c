//go:build e2e

// Package compat runs the same projects under handoff 0.4.4, from PyPI, and under this one, and compares what they leave
// behind byte for byte. What is different on purpose is listed with its reason.
package compat

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/test/binary"
)

const reference = "handoff==0.4.4"

// programs are what TestMain has built and installed.
var programs struct{ ours, theirs string }

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "handoff-compat")
	if err == nil {
		defer os.RemoveAll(dir)
		programs.ours, err = binary.Build(dir, "cmd/handoff")
	}
	if err == nil {
		programs.theirs, err = install()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// install makes a virtual environment with the reference in the cache, once.
func install() (string, error) {
	cache, err := binary.Cache()
	if err != nil {
		return "", err
	}
	venv := filepath.Join(cache, strings.ReplaceAll(reference, "==", "-"))
	ready := filepath.Join(venv, "ready")
	if _, err := os.Stat(ready); err == nil {
		return filepath.Join(venv, "bin", "handoff"), nil
	}
	for _, args := range [][]string{
		{"python3", "-m", "venv", "--clear", venv},
		{filepath.Join(venv, "bin", "pip"), "install", "-q", reference},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("install %s: %w\n%s", reference, err, out)
		}
	}
	return filepath.Join(venv, "bin", "handoff"), os.WriteFile(ready, nil, 0o600)
}

// difference is one file that is not as 0.4.4 left it.
type difference struct {
	ours string // content, or absent
	why  string
}

const absent = "(no such file)"

// The reasons for differences.
const (
	finalNewline = "0.4.x cuts the final newline off a file that it renders"
	doubledName  = "0.4.x puts the line into the names of commands twice, and once unchanged, so that a slash breaks the task"
	textIsText   = "0.4.x makes numbers of what -v says: 007 becomes 7"
	blankLine    = "0.4.x runs the body for a blank line, too"
	dataIsData   = "0.4.x hands a line to the shell as code"
	fallback     = "0.4.x reads only the secrets file with the name of the stage"
)

func TestSameArtifacts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		project string
		args    []string
		code    int // of ours; 0.4.4 returns 0 for a run that failed
		differ  map[string]difference
	}{
		{name: "pipelines"},
		{name: "commands"},
		{name: "vars", differ: map[string]difference{
			"stage_stdout.log": {stageLog("dev", "from the file"), finalNewline},
		}},
		{name: "vars for prod", project: "vars", args: []string{"-s", "prod"}, differ: map[string]difference{
			"stage_stdout.log": {stageLog("", "from the file"), finalNewline},
		}},
		{
			name: "vars given", project: "vars", args: []string{"-s", "qa", "-v", "given=typed", "extra=more", "text=another text"},
			differ: map[string]difference{"stage_stdout.log": {stageLog("qa", "typed"), finalNewline}},
		},
		{
			name: "vars that look like numbers", project: "vars", args: []string{"-v", "quoted=00123", "decimal=1e5", "given=t"},
			differ: map[string]difference{
				"values_stdout.log":           {"some text|00123|42|1e5|t\n", textIsText},
				"stage_stdout.log":            {stageLog("dev", "t"), finalNewline},
				"files/nested/deep/stage.txt": {rendered("dev_", "t"), textIsText},
			},
		},
		{name: "envs"},
		{name: "envs for prod", project: "envs", args: []string{"-s", "prod"}},
		{name: "envs for another stage", project: "envs", args: []string{"-s", "qa"}, differ: map[string]difference{
			"environment_stdout.log": {
				"plain text\n  two  spaces  \n5\nvalue for production\n$HOME is not looked up\n", fallback,
			},
			"secrets_stdout.log":    {"token-for-production\n-----BEGIN-----\nnot a certificate\n-----END-----", fallback},
			"files/certificate.txt": {"-----BEGIN-----\nnot a certificate\n-----END-----", fallback},
		}},
		{name: "foreach", code: 1, differ: map[string]difference{
			"show_orders_orders_stdout.log":                 {absent, doubledName},
			"show_customers-2024_customers-2024_stdout.log": {absent, doubledName},
			"show_a.b_c_a.b_c_stdout.log":                   {absent, doubledName},
			"show_orders_stdout.log":                        {"orders\n", doubledName},
			"show_customers-2024_stdout.log":                {"customers-2024\n", doubledName},
			"show_a.b_c_stdout.log":                         {"a.b_c\n", doubledName},
		}},
		{name: "lines", differ: map[string]difference{
			"echo_Le_Havre_stdout.log":  {"Le   Havre\n", dataIsData},
			"echo_a_touch_b_stdout.log": {"a; touch b\n", dataIsData},
			"echo__HOME_stdout.log":     {"$HOME\n", dataIsData},
			"echo__quoted__stdout.log":  {"\"quoted\"\n", dataIsData},
			"echo__stdout.log":          {absent, blankLine},
		}},
		{name: "fork"},
		{name: "failures", code: 1},
		{name: "goes on", project: "goes_on", code: 1},
		{name: "venv"},
		{name: "old spellings", project: "old_spellings"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.project == "" {
				tt.project = tt.name
			}
			theirs := runReference(t, tt.project, tt.args)
			ours := runOurs(t, tt.project, tt.args, tt.code)
			want := expected(t, theirs, tt.differ)
			if diff := cmp.Diff(want, sameKind(ours, want)); diff != "" {
				t.Errorf("- 0.4.4, + ours: %s", diff)
			}
		})
	}
}

func stageLog(stage, given string) string {
	suffix, prefix, both := "", "", ""
	if stage != "" {
		suffix, prefix, both = stage+"_", "_"+stage, "_"+stage+"_"
	}
	return fmt.Sprintf("[%s] [%s] [%s] [%s]\n%s\n", stage, suffix, prefix, both, rendered(suffix, given))
}

func rendered(stage, given string) string {
	return fmt.Sprintf("table: %sorders\ngiven: %s\n\n- orders\n- customers\nend", stage, given)
}

// collect returns what a run has left: artifacts by their name, and files below "files/".
func collect(t *testing.T, ws string) map[string]string {
	t.Helper()
	left, err := binary.Files(filepath.Join(ws, "artifacts"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := binary.Files(filepath.Join(ws, "files"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		left["files/"+name] = content
	}
	return left
}

// newWorkspace has the virtual environment of the project venv: 0.4.4 makes its own with scripts from the internet.
func newWorkspace(t *testing.T, project string) string {
	t.Helper()
	ws := filepath.Join(t.TempDir(), "ws")
	if err := os.Mkdir(ws, 0o755); err != nil {
		t.Fatal(err)
	}
	if project == "venv" {
		args := []string{"workspace", "install", "-p", filepath.Join("testdata", project), "-w", ws}
		if out, err := exec.CommandContext(t.Context(), programs.ours, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return ws
}

func runIn(t *testing.T, program, project, ws string, args []string) binary.Result {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join("testdata", project))
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"run", "local", "-p", folder, "-w", ws}, args...)
	result, err := binary.Run(binary.Command(t.Context(), t.TempDir(), program, args...))
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func runOurs(t *testing.T, project string, args []string, code int) map[string]string {
	t.Helper()
	ws := newWorkspace(t, project)
	if result := runIn(t, programs.ours, project, ws, args); result.Code != code {
		t.Errorf("ours: want exit code %d: %s", code, result)
	}
	return collect(t, ws)
}

// runReference also waits for the processes that write the logs: 0.4.4 ends before they do.
func runReference(t *testing.T, project string, args []string) map[string]string {
	t.Helper()
	ws := newWorkspace(t, project)
	result := runIn(t, programs.theirs, project, ws, args)
	if !strings.Contains(result.Stdout+result.Stderr, "Processed in") {
		t.Fatalf("0.4.4 did not run: %s", result)
	}
	for deadline := time.Now().Add(30 * time.Second); busy(t, ws); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("0.4.4 has left a process that does not end")
		}
	}
	return collect(t, ws)
}

// busy says whether a process works in the folder.
func busy(t *testing.T, dir string) bool {
	t.Helper()
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil || len(links) == 0 {
		t.Fatalf("no processes to look at: %v", err)
	}
	for _, link := range links {
		if cwd, err := os.Readlink(link); err == nil && cwd == dir {
			return true
		}
	}
	return false
}

// expected is what 0.4.4 left, with the listed differences. The logs of standard error are left out: 0.4.x has them for
// commands only, and does not say in them who spoke.
func expected(t *testing.T, theirs map[string]string, differ map[string]difference) map[string]string {
	t.Helper()
	want := map[string]string{}
	for name, content := range theirs {
		if !strings.HasSuffix(name, "_stderr.log") {
			want[name] = content
		}
	}
	for name, d := range differ {
		old, ok := want[name]
		if !ok {
			old = absent
		}
		if old == d.ours {
			t.Errorf("%s is listed as different (%s), but is the same", name, d.why)
		}
		if want[name] = d.ours; d.ours == absent {
			delete(want, name)
		}
	}
	return want
}

// sameKind is what is ours, without what only we write, and with the final newline cut off a rendered file when that is
// the only difference (the reason finalNewline).
func sameKind(ours, want map[string]string) map[string]string {
	kept := map[string]string{}
	for name, content := range ours {
		if name == "run.json" || name == "run.log" || strings.HasSuffix(name, "_stderr.log") {
			continue
		}
		if short := strings.TrimSuffix(content, "\n"); strings.HasPrefix(name, "files/") && want[name] == short {
			content = short
		}
		kept[name] = content
	}
	return kept
}
