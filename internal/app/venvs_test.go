package app

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/release"
	"github.com/handoff-run/handoff/internal/workspace"
)

// fakePython makes a folder that passes for a virtual environment, in which pip installs a program `tool` that prints the
// content of the last file that pip was given.
const fakePython = `#!/bin/sh
case "$1" in
-E) echo "$0"; echo "${FAKE_VERSION:-3.99.0}"; exit;;
-m) ;;
*) exit;;
esac
echo made >> "$MADE"
mkdir -p "$3/bin" "$3/lib/python3.99/site-packages" && touch "$3/pyvenv.cfg" && cp "$0" "$3/bin/python"
cat > "$3/bin/pip" <<'X'
#!/bin/sh
for file; do :; done
text=$(cat "$file") || exit
echo "pip $text" >> "$MADE"
printf '#!/bin/sh\necho %s\n' "$text" > "$VIRTUAL_ENV/bin/tool"
chmod +x "$VIRTUAL_ENV/bin/tool"
X
chmod +x "$3/bin/pip"
`

// venvBench is a task whose tool prints what files/tool.txt says.
type venvBench struct {
	*bucket
	made string // file with a line for each venv that was made, and for each install
}

func newVenvBench(t *testing.T, install string) *venvBench {
	t.Helper()
	b := &venvBench{bucket: pushed(t, "tasks: []\n")}
	dir := write(t, t.TempDir(), map[string]string{"bin/python3": fakePython})
	if err := os.Chmod(filepath.Join(dir, "bin/python3"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.made = filepath.Join(dir, "made")
	b.Venvs = filepath.Join(dir, "venvs")
	b.Environ = []string{"PATH=" + dir + "/bin:/usr/bin:/bin", "MADE=" + b.made}
	b.push("one", install)
	return b
}

const shareable = "{venv: v, command: pip install -r files/tool.txt}"

// push makes a release whose tool prints text, and returns its id.
func (b *venvBench) push(text, install string) string {
	b.t.Helper()
	write(b.t, b.target.ProjectDir, map[string]string{
		"project.yml": "version: 1\ndeploy: {resource_group: g, task: t, overlap: allow}\ninstalls: [" + install + "]\n" +
			"tasks:\n- name: a\n  commands: [{command: tool, venv: v}]\n",
		"files/tool.txt": text,
	})
	res, err := b.Push(b.t.Context(), PushOptions{Target: b.target, Parts: release.All})
	if err != nil {
		b.t.Fatal(err)
	}
	return res.Release
}

// job runs a release, "" for the current one, as a job in a workspace, and returns what its tool prints.
func (b *venvBench) job(ws, release string) string {
	b.t.Helper()
	a := *b.App
	start := cloud.Start{Scope: b.cloud.Scope, Release: release, Trigger: cloud.TriggerManual, Overlap: cloud.OverlapAllow}
	a.Environ = slices.Concat(b.Environ, start.Environ(), []string{cloud.EnvJob + "=j1", cloud.EnvWorkspace + "=" + ws})
	res, err := a.RunJob(b.t.Context(), JobOptions{})
	return b.printed(ws, res, err)
}

// kept runs the current release in a workspace, and returns what its tool prints.
func (b *venvBench) kept(ws string) string {
	b.t.Helper()
	o := RunReleaseOptions{RunOptions: RunOptions{Target: b.target}}
	o.WorkspaceDir = ws
	res, err := b.RunRelease(b.t.Context(), o)
	return b.printed(ws, res, err)
}

func (b *venvBench) printed(ws string, res RunResult, err error) string {
	b.t.Helper()
	if err != nil || res.ExitCode != 0 {
		b.t.Errorf("%+v, %v", res, err)
		return ""
	}
	text, err := os.ReadFile(filepath.Join(ws, "artifacts", "a_stdout.log"))
	if err != nil {
		b.t.Error(err)
	}
	return strings.TrimSpace(string(text))
}

// makes compares what has been made since the last call.
func (b *venvBench) makes(want string) {
	b.t.Helper()
	text, err := os.ReadFile(b.made)
	if err != nil && !os.IsNotExist(err) {
		b.t.Fatal(err)
	}
	if got := strings.Join(strings.Split(strings.TrimSpace(string(text)), "\n"), ","); got != want {
		b.t.Errorf("made %q, want %q", got, want)
	}
	_ = os.Remove(b.made)
}

// Jobs with the same installs share what they make; another release gets its own, also where it takes over the workspace, and
// a rollback that of the release before.
func TestJobsShareTheirVenvs(t *testing.T) {
	t.Parallel()
	b := newVenvBench(t, shareable)
	ws1, ws2 := filepath.Join(t.TempDir(), "1"), filepath.Join(t.TempDir(), "2")
	for _, step := range []struct{ push, ws, want, makes string }{
		{"", ws1, "one", "made,pip one"},
		{"", ws1, "one", ""},
		{"", ws2, "one", ""},
		{"two", ws1, "two", "made,pip two"},
		{"", ws2, "two", ""},
		{"one", ws1, "one", ""},
		{"", ws2, "one", ""},
	} {
		if step.push != "" {
			b.push(step.push, shareable)
		}
		if got := b.job(step.ws, ""); got != step.want {
			t.Errorf("%+v: %q", step, got)
		}
		b.makes(step.makes)
	}
	if target, err := os.Readlink(filepath.Join(ws1, "v")); err != nil || !strings.HasPrefix(target, b.Venvs) {
		t.Errorf("link to %q, %v", target, err)
	}
}

// What cannot be shared is installed into the workspace of the job, and changes with the release.
func TestJobsInstallWhatTheyCannotShare(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for _, install := range []string{
		"{venv: v, command: pip install -r files/tool.txt && true}",
		"{venv: v, command: pip install -r files/tool.txt}, {command: 'mkdir -p bin; cp files/tool.txt bin/'}",
		"{command: 'python3 -m venv v; VIRTUAL_ENV=$PWD/v v/bin/pip install files/tool.txt'}",
	} {
		b := newVenvBench(t, install)
		ws := filepath.Join(t.TempDir(), "1")
		for _, want := range []string{"one", "one", "two", "one"} {
			b.push(want, install)
			if got := b.job(ws, ""); got != want {
				t.Errorf("%s: %q, want %q", install, got, want)
			}
		}
		if strings.Contains(install, "mkdir") && !exists(filepath.Join(ws, "bin/tool.txt")) {
			t.Error("an install without a venv did not run")
		}
		b.makes("made,pip one,made,pip two,made,pip one")
		b.push("three", shareable) // the workspace has one of its own
		if got := b.job(ws, ""); got != "three" {
			t.Errorf("%q", got)
		}
	}
}

func TestKeptWorkspaceFollowsTheRelease(t *testing.T) {
	t.Parallel()
	b := newVenvBench(t, shareable)
	ws := filepath.Join(t.TempDir(), "ws")
	for _, want := range []string{"one", "two", "one"} {
		b.push(want, shareable)
		if got := b.kept(ws); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	// A venv of which the release says nothing is none of its.
	b.push("two", "")
	o := RunReleaseOptions{RunOptions: RunOptions{Target: b.target}}
	o.WorkspaceDir = ws
	if _, err := b.RunRelease(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no install of project.yml makes it any more") {
		t.Errorf("err = %v", err)
	}
}

func TestReleaseWithoutFilesHasNone(t *testing.T) {
	t.Parallel()
	b := newVenvBench(t, shareable)
	ws := filepath.Join(t.TempDir(), "ws")
	b.job(ws, "")
	if err := os.RemoveAll(filepath.Join(b.target.ProjectDir, "files")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Push(t.Context(), PushOptions{Target: b.target, Parts: release.All}); err != nil {
		t.Fatal(err)
	}
	o := RunReleaseOptions{RunOptions: RunOptions{Target: b.target}}
	o.WorkspaceDir = ws
	if res, err := b.RunRelease(t.Context(), o); err == nil {
		t.Errorf("installed with the files of another release: %+v", res)
	}
}

// Jobs at the same time, of several releases, get each its own.
func TestJobsAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	b := newVenvBench(t, shareable)
	releases := map[string]string{"one": b.push("one", shareable), "two": b.push("two", shareable), "three": b.push("three", shareable)}
	dir := t.TempDir()
	var wg sync.WaitGroup
	for slot := range 6 {
		wg.Go(func() {
			for round := range 3 {
				for text, id := range releases {
					if got := b.job(filepath.Join(dir, string(rune('a'+slot))), id); got != text {
						t.Errorf("slot %d, round %d: %q, want %q", slot, round, got, text)
					}
				}
			}
		})
	}
	wg.Wait()
	if text, _ := os.ReadFile(b.made); strings.Count(string(text), "pip") != 3 {
		t.Errorf("made %q", text)
	}
}

func TestSharedVenvsAreKeptWhileInUse(t *testing.T) {
	t.Parallel()
	b := newVenvBench(t, shareable)
	o := workspace.InstallOptions{VenvDir: filepath.Join(b.Venvs, "dev/g/t/x"), Environ: b.Environ}
	ws, err := workspace.Open("", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := &releaseRun{app: b.App, session: &session{ws: ws}}
	if ok, err := r.takeShared(t.Context(), o, nil); !ok || err != nil {
		t.Fatal(ok, err)
	}
	late := time.Now().Add(2 * unusedFor)
	dropUnused(filepath.Dir(o.VenvDir), late)
	if !exists(o.VenvDir) {
		t.Error("removed while in use")
	}
	// It breaks meanwhile: whoever comes does not touch it, and does without.
	o.Installs = []workspace.Install{{Venv: "v", Command: "pip install x"}}
	other := &releaseRun{app: b.App, session: r.session}
	if ok, err := other.takeShared(t.Context(), o, func() error { t.Error("filled while in use"); return nil }); ok || err != nil {
		t.Error(ok, err)
	}
	if err := r.venvs.Close(); err != nil {
		t.Fatal(err)
	}
	dropUnused(filepath.Dir(o.VenvDir), time.Now())
	if !exists(o.VenvDir) {
		t.Error("removed although it was used just now")
	}
	dropUnused(filepath.Dir(o.VenvDir), late)
	if entries, err := os.ReadDir(filepath.Dir(o.VenvDir)); err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestSharedVenvIsMadeAnewWhenItBreaks(t *testing.T) {
	t.Parallel()
	b := newVenvBench(t, shareable)
	ws := filepath.Join(t.TempDir(), "ws")
	b.job(ws, "")
	real, err := filepath.EvalSymlinks(filepath.Join(ws, "v"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(real, "bin/python")); err != nil {
		t.Fatal(err)
	}
	if got := b.job(ws, ""); got != "one" {
		t.Errorf("%q", got)
	}
	b.Environ = append(b.Environ, "FAKE_VERSION=3.100.0") // another Python, another folder
	if got := b.job(ws, ""); got != "one" {
		t.Errorf("%q", got)
	}
	b.makes("made,pip one,made,pip one,made,pip one")
}

// What `run local` says of installs that are not those of project.yml.
func TestRunLocalRefusesWhatIsNotInstalled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(dir string) error
		error  string // in both; "": see strict
		strict string // error in strict projects, warning in lenient ones; "": nothing
	}{
		{name: "nothing", change: func(string) error { return nil }},
		{"missing", func(dir string) error { return os.RemoveAll(dir + "/ws/v") }, " is not in the workspace", ""},
		{"without Python", func(dir string) error { return os.Remove(dir + "/ws/v/bin/python") }, "is gone", ""},
		{"file changed", func(dir string) error { return os.WriteFile(dir+"/prj/files/tool.txt", []byte("two"), 0o600) }, "", "names has changed since"},
		{"install changed", func(dir string) error {
			return replaceIn(dir+"/prj/project.yml", "-r files/tool.txt", "files/tool.txt")
		}, "", "does not say any more"},
		{"install added", func(dir string) error {
			return replaceIn(dir+"/prj/project.yml", "installs: [", "installs: [{command: 'true'}, ")
		}, "", "installs without a venv: they have not been run"},
	} {
		for _, version := range []string{"0.4", "1"} {
			t.Run(tt.name+" "+version, func(t *testing.T) {
				t.Parallel()
				b := newVenvBench(t, shareable)
				dir := filepath.Dir(b.target.ProjectDir)
				dir = write(t, filepath.Join(dir, "copy"), map[string]string{"prj/files/tool.txt": "one", "prj/project.yml": "version: " + version +
					"\ninstalls: [" + shareable + "]\ntasks:\n- name: a\n  commands: [{command: tool, venv: v}]\n"})
				log := &strings.Builder{}
				b.Log = slog.New(slog.NewTextHandler(log, nil))
				target := Target{ProjectDir: dir + "/prj", WorkspaceDir: dir + "/ws"}
				if _, err := b.WorkspaceInstall(t.Context(), InstallOptions{Target: target}); err != nil {
					t.Fatal(err)
				}
				if err := tt.change(dir); err != nil {
					t.Fatal(err)
				}
				res, err := b.Run(context.WithoutCancel(t.Context()), RunOptions{Target: target})
				want, warned := tt.error, ""
				if version == "1" {
					want += tt.strict
				} else {
					warned = tt.strict
				}
				if want == "" && (err != nil || res.ExitCode != 0) || want != "" && (err == nil || !strings.Contains(err.Error(), want) ||
					!strings.Contains(err.Error(), "handoff workspace install")) {
					t.Errorf("%+v, %v, want %q", res, err, want)
				}
				if (warned == "") == strings.Contains(log.String(), "WARN") || !strings.Contains(log.String(), warned) {
					t.Errorf("log %q, want %q", log, warned)
				}
			})
		}
	}
}

func replaceIn(path, old, new string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(strings.ReplaceAll(string(text), old, new)), 0o600)
}

// What a run is given may be missing at an install, and is no error there.
func TestInstallWithoutVariables(t *testing.T) {
	t.Parallel()
	b := newVenvBench(t, shareable)
	write(t, b.target.ProjectDir, map[string]string{"files/q.sql": "{{ start }}"})
	b.target.WorkspaceDir = filepath.Join(t.TempDir(), "ws")
	res, err := b.WorkspaceInstall(t.Context(), InstallOptions{Target: b.target})
	if err != nil || len(res.Steps) != 1 || res.Steps[0].Status != workspace.InstallDone {
		t.Errorf("%+v, %v", res, err)
	}
}
