package workspace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fakePython makes a folder like a virtual environment, and says what it is called with.
const fakePython = `#!/bin/sh
case "$1" in
-E) echo "$0"; echo 3.99.0; exit;;
esac
echo "${0##*/} $*" >>"$CALLS"
test "$1" = -m || exit 0
test -z "$FAIL_VENV" || { echo half >"$3.half"; mkdir -p "$3/bin"; echo "no ensurepip here" >&2; exit 4; }
mkdir -p "$3/bin" "$3/lib/python3.99/site-packages" && touch "$3/pyvenv.cfg" && cp "$0" "$3/bin/python"
`

// fakeUv does the same for uv.
const fakeUv = `#!/bin/sh
echo "uv $*" >>"$CALLS"
test "$1 $2" = "python find" && { for name; do :; done; case $name in --system) name=python3;; esac; echo "${0%/*}/$name"; exit; }
test "$1" = venv || exit 0
for dir; do :; done
mkdir -p "$dir/bin" "$dir/lib/python3.99/site-packages" && touch "$dir/pyvenv.cfg" && cp "${0%/*}/python3" "$dir/bin/python"
`

type bench struct {
	*Workspace
	dir     string
	environ []string
	output  []string
}

// newBench returns a workspace with fake programs; names says which.
func newBench(t *testing.T, programs ...string) *bench {
	t.Helper()
	dir := tempDir(t)
	for _, name := range programs {
		text := map[string]string{"python3": fakePython, "other": fakePython, "uv": fakeUv}[name]
		write(t, dir, map[string]string{"bin/" + name: text})
		if err := os.Chmod(filepath.Join(dir, "bin", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return &bench{Workspace: open(t, "", filepath.Join(dir, "ws")), dir: dir,
		environ: []string{"PATH=" + dir + "/bin:/usr/bin:/bin", "CALLS=" + dir + "/calls", "PYTHONHOME=/nowhere", "HOME=/nowhere"}}
}

func (b *bench) options(installs ...string) InstallOptions {
	o := InstallOptions{Environ: b.environ}
	for _, in := range installs {
		venv, command, _ := strings.Cut(in, ": ")
		o.Installs = append(o.Installs, Install{Venv: venv, Command: command})
	}
	return o
}

// install runs installs, each "venv: command" or ": command", and returns the statuses in one word.
func (b *bench) install(t *testing.T, o InstallOptions, installs ...string) (string, error) {
	t.Helper()
	o.Installs = b.options(installs...).Installs
	if o.Environ == nil {
		o.Environ = b.environ
	}
	o.Output = func(line string) { b.output = append(b.output, line) }
	result, err := b.Install(t.Context(), o)
	var got []string
	for _, s := range result.Steps {
		got = append(got, string(s.Status))
	}
	return strings.Join(got, " "), err
}

// want runs installs that succeed.
func (b *bench) want(t *testing.T, want string, installs ...string) {
	t.Helper()
	got, err := b.install(t, InstallOptions{}, installs...)
	if err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func (b *bench) calls(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(b.dir, "calls"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(strings.ReplaceAll(string(text), b.Dir(), "WS")), "\n")
}

func TestInstallEnvironment(t *testing.T) {
	t.Parallel()
	b := newBench(t, "python3")
	b.want(t, "done done", `v: echo "$VIRTUAL_ENV|${PATH%%:*}|$PYTHONHOME|$PIP_DISABLE_PIP_VERSION_CHECK|$PWD"; echo err >&2; cat`,
		`: echo "${VIRTUAL_ENV-none}|$PYTHONHOME|$PIP_DISABLE_PIP_VERSION_CHECK"`)
	ws := b.Dir()
	want := []string{ws + "/v|" + ws + "/v/bin||1|" + ws, "err", "none|/nowhere|1"}
	if diff := cmp.Diff(want, b.output); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"python3 -m venv WS/v"}, b.calls(t)); diff != "" {
		t.Error(diff)
	}
}

func TestInstallUnchanged(t *testing.T) {
	t.Parallel()
	b := newBench(t, "python3")
	b.want(t, "done done done", "v: echo a", "v: echo b", ": echo c")
	b.want(t, "unchanged unchanged unchanged", "v: echo a", "v: echo b", ": echo c")
	if len(b.output) != 3 {
		t.Errorf("ran again: %q", b.output)
	}
	b.want(t, "done done", "v: echo b", "v: echo a")
	b.want(t, "unchanged unchanged done", "v: echo b", "v: echo a", "v: echo x")
	b.want(t, "unchanged unchanged unchanged done unchanged", "v: echo b", "v: echo a", "v: echo x", "w: echo b", ": echo c")
	b.want(t, "unchanged unchanged unchanged unchanged", "w: echo b", "v: echo b", "v: echo a", "v: echo x")
	if err := os.RemoveAll(b.Venv("v")); err != nil {
		t.Fatal(err)
	}
	b.want(t, "done unchanged", "v: echo b", "w: echo b")
	got, err := b.install(t, InstallOptions{Force: true}, "v: echo b", ": echo c")
	if err != nil || got != "done done" {
		t.Errorf("force: %q, %v", got, err)
	}
	write(t, b.Dir(), map[string]string{".handoff/installs.json": "damaged"})
	b.want(t, "unchanged done", "v: echo b", ": echo c")
}

// A virtual environment is what its installs make of a new one: what an install that has changed, or has gone, has left
// is not in it.
func TestChangedInstallsBeginWithANewVenv(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, want string
		before     []string
		after      []string
		fresh      bool
	}{
		{"same", "unchanged", []string{"v: echo a"}, []string{"v: echo a"}, false},
		{"more", "unchanged done", []string{"v: echo a"}, []string{"v: echo a", "v: echo b"}, false},
		{"less", "done", []string{"v: echo a", "v: echo b"}, []string{"v: echo a"}, true},
		{"other", "done done", []string{"v: echo a", "v: echo b"}, []string{"v: echo x", "v: echo b"}, true},
		{"other last", "done done", []string{"v: echo a", "v: echo b"}, []string{"v: echo a", "v: echo x"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "python3")
			if _, err := b.install(t, InstallOptions{}, tt.before...); err != nil {
				t.Fatal(err)
			}
			write(t, b.Venv("v"), map[string]string{"left": ""})
			got, err := b.install(t, InstallOptions{}, tt.after...)
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
			if exists(filepath.Join(b.Venv("v"), "left")) == tt.fresh {
				t.Errorf("made anew: %v, want %v", !tt.fresh, tt.fresh)
			}
		})
	}
}

func TestInstallSeesItsFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for _, tt := range []struct {
		name, command, file string
		seen                bool
	}{
		{"requirements", "cat files/r.txt", "files/r.txt", true},
		{"in quotes", `cat "files/r.txt" #`, "files/r.txt", true},
		{"with a blank", `cat 'files/a b.txt'`, "files/a b.txt", true},
		{"of an option", "echo --requirement=files/r.txt", "files/r.txt", true},
		{"of a short option", "echo -rfiles/r.txt", "files/r.txt", true},
		{"named by requirements", "echo -r files/r.txt", "files/more/base.txt", true},
		{"named by what they name", "echo -r files/r.txt", "files/more/deep.txt", true},
		{"package named by requirements", "echo -r files/r.txt", "files/pkg/src/a.py", true},
		{"named by a script", "sh files/install.sh", "files/more/deep.txt", true},
		{"not named", "cat files/r.txt", "files/other.txt", false},
		{"package", "echo ./files/pkg", "files/pkg/src/a.py", true},
		{"editable package", "echo -e ./files/pkg[extra]", "files/pkg/src/a.py", true},
		{"package of an URL", "echo 'pkg @ file:files/pkg#egg=pkg'", "files/pkg/src/a.py", true},
		{"new file in a package", "echo ./files/pkg", "files/pkg/src/new.py", true},
		{"beside a package", "echo ./files/pkg", "files/other.txt", false},
		{"compiled", "echo ./files/pkg", "files/pkg/__pycache__/a.pyc", false},
		{"folder to be in", "cd files && cat r.txt", "files/r.txt", true},
		{"above a folder to be in", "cd files/pkg && cat ../r.txt", "files/r.txt", true},
		{"pattern", "echo files/*.txt", "files/r.txt", true},
		{"in a variable", "echo $WHERE/r.txt", "files/r.txt", true},
		{"redirected", "cat <files/r.txt", "files/r.txt", true},
		{"substituted", "echo $(cat files/r.txt)", "files/r.txt", true},
		{"package of the name of a folder", "echo files", "other/a", false},
		{"of handoff", "echo .handoff/x", ".handoff/x", false},
		{"of a venv", "echo w/bin/python", "w/bin/python", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "python3")
			b.environ = append(b.environ, "WHERE=files")
			write(t, b.Dir(), map[string]string{
				"files/r.txt": "-r more/base.txt\n-e files/pkg\n", "files/more/base.txt": "# see\n-c deep.txt\n", "files/more/deep.txt": "x",
				"files/install.sh": "cd files; : pip install -r more/base.txt\n", "files/pkg/src/a.py": "", "files/a b.txt": "", "files/other.txt": "",
				"w/pyvenv.cfg": "", "w/bin/python": "", "other/a": "", ".handoff/x": "",
			})
			commands := []string{"v: " + tt.command, ": " + tt.command}
			b.want(t, "done done", commands...)
			b.want(t, "unchanged unchanged", commands...)
			write(t, b.Dir(), map[string]string{tt.file: "changed"})
			want := "unchanged unchanged"
			if tt.seen {
				want = "done done"
			}
			b.want(t, want, commands...)
			b.want(t, "unchanged unchanged", commands...)
		})
	}
}

func TestInstallThatChangesWhatItNames(t *testing.T) {
	t.Parallel()
	b := newBench(t, "python3")
	commands := []string{": mkdir repo && echo x >repo/setup.py", "v: cat repo/setup.py >>repo/build.txt", ": echo y >>repo/setup.py"}
	b.want(t, "done done done", commands...)
	b.want(t, "unchanged unchanged unchanged", commands...)
	write(t, b.Dir(), map[string]string{"repo/setup.py": "z"})
	if problems := b.Problems(t.Context(), b.options(commands...), []string{"", "v"}); len(problems) != 2 {
		t.Errorf("%+v", problems)
	}
}

// What is in the whole workspace, or machine, is too much to compare: nobody can tell whether it has changed.
func TestInstallOfTooMuch(t *testing.T) {
	t.Parallel()
	b := newBench(t, "python3")
	for _, command := range []string{"echo .", "echo /", "ls .."} {
		b.want(t, "done done done", "v: echo a", "v: "+command, "v: echo b")
		write(t, b.Venv("v"), map[string]string{"left": ""})
		b.want(t, "unchanged done done", "v: echo a", "v: "+command, "v: echo b")
		if !exists(filepath.Join(b.Venv("v"), "left")) {
			t.Error("made anew")
		}
		problems := b.Problems(t.Context(), b.options("v: echo a", "v: "+command, "v: echo b"), []string{"v"})
		if len(problems) != 1 || problems[0].Kind != Unsure {
			t.Errorf("%+v", problems)
		}
	}
}

func TestInstallSeesItsVariables(t *testing.T) {
	t.Parallel()
	b := newBench(t, "python3")
	for _, release := range []string{"1", "2"} {
		b.environ = append(b.environ, "RELEASE="+release)
		b.want(t, "done done", "v: echo ${RELEASE}", ": echo $RELEASE")
		b.want(t, "unchanged unchanged", "v: echo ${RELEASE}", ": echo $RELEASE")
	}
}

func TestInstallFails(t *testing.T) {
	t.Parallel()
	b := newBench(t, "python3")
	got, err := b.install(t, InstallOptions{}, ": echo fine", "v: echo one; echo two >&2; exit 3", ": echo never")
	if got != "done failed" {
		t.Errorf("got %q", got)
	}
	e, ok := errors.AsType[*InstallError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	if e.Code != 3 || e.Venv != "v" || cmp.Diff([]string{"one", "two"}, e.Tail) != "" {
		t.Errorf("got %+v", e)
	}
	want := "install \"echo one; echo two >&2; exit 3\" (venv v): exit code 3\n  | one\n  | two"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"fine", "one", "two"}, b.output); diff != "" {
		t.Error(diff)
	}
	// What failed is not taken for installed, and neither is what came after it before.
	b.want(t, "unchanged", ": echo fine")
	if got, err := b.install(t, InstallOptions{}, "v: echo one; echo two >&2; exit 3"); err == nil {
		t.Errorf("got %q", got)
	}
}

func TestInstallFailureForgetsWhatFollows(t *testing.T) {
	t.Parallel()
	b := newBench(t, "python3")
	b.want(t, "done done", "v: test ! -e stop", "v: echo b")
	write(t, b.Dir(), map[string]string{"stop": ""})
	if _, err := b.install(t, InstallOptions{Force: true}, "v: test ! -e stop", "v: echo b"); err == nil {
		t.Error("no error")
	}
	if err := os.Remove(filepath.Join(b.Dir(), "stop")); err != nil {
		t.Fatal(err)
	}
	b.want(t, "done done", "v: test ! -e stop", "v: echo b")
}

func TestInstallDiesBySignal(t *testing.T) {
	t.Parallel()
	_, err := newBench(t).install(t, InstallOptions{}, ": kill -9 $$")
	e, ok := errors.AsType[*InstallError](err)
	if !ok || e.Code != 137 || !strings.Contains(err.Error(), "signal 9") {
		t.Errorf("got %v", err)
	}
}

func TestInstallKeepsTheLastLines(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := b.install(t, InstallOptions{}, ": for i in $(seq 100); do echo $i; done; head -c 100000 /dev/zero | tr '\\0' x; echo; printf end; exit 1")
	e, ok := errors.AsType[*InstallError](err)
	if !ok || len(e.Tail) != tailLines || e.Tail[tailLines-1] != "end" {
		t.Errorf("got %v", err)
	}
	if n := len(strings.Join(b.output, "")); n != 192+100_000+3 {
		t.Errorf("%d bytes of output", n)
	}
}

func TestVenvFails(t *testing.T) {
	t.Parallel()
	b := newBench(t, "python3")
	environ := append(b.environ, "FAIL_VENV=1")
	_, err := b.install(t, InstallOptions{Environ: environ}, "v: echo x")
	if err == nil || !strings.Contains(err.Error(), `create venv "v": `) || !strings.Contains(err.Error(), "exit code 4\n  | no ensurepip here") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(b.Venv("v")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
	if left := tree(t, b.state()); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	_, err = newBench(t).install(t, InstallOptions{Python: "python9"}, "v: echo x")
	if err == nil || !strings.Contains(err.Error(), `no program "python9" in PATH`) {
		t.Errorf("got %v", err)
	}
	b.want(t, "done", "v: echo x")
}

func TestVenvOfAKilledInstall(t *testing.T) {
	t.Parallel()
	b := newBench(t, "python3")
	write(t, b.Dir(), map[string]string{"v/pyvenv.cfg": "", "v/bin/python": "", ".handoff/making-v": ""})
	b.want(t, "done", "v: echo x")
	if diff := cmp.Diff([]string{"python3 -m venv WS/v"}, b.calls(t)); diff != "" {
		t.Error(diff)
	}
	if _, err := os.Stat(filepath.Join(b.state(), "making-v")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the mark stays: %v", err)
	}
}

func TestVenvThatIsThere(t *testing.T) {
	t.Parallel()
	b := newBench(t, "python3")
	write(t, b.Dir(), map[string]string{"data/precious": "p", "broken/pyvenv.cfg": "", "broken/bin/python -> /nowhere/python3.1": "", "empty/": ""})
	_, err := b.install(t, InstallOptions{}, "data: echo x")
	if err == nil || !strings.Contains(err.Error(), "is not a virtual environment") {
		t.Errorf("got %v", err)
	}
	if got := tree(t, b.Venv("data")); got["precious"] != "p" {
		t.Errorf("touched: %v", got)
	}
	b.want(t, "done done", "broken: echo x", "empty: echo x")
}

func TestVenvNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "a/b", "..", ".", ".hidden", "files", "artifacts", "Files", ".handoff", "/x", "a:b", "a\nb"} {
		if err := ValidVenv(name); err == nil {
			t.Errorf("%q passes", name)
		}
	}
	for _, name := range []string{"tap-csv", "a b", "x.y", "ä", "-x"} {
		if err := ValidVenv(name); err != nil {
			t.Error(err)
		}
	}
	b := newBench(t)
	if got, err := b.install(t, InstallOptions{}, ": touch ran", "../x: echo"); err == nil || got != "" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(b.Dir(), "ran")); err == nil {
		t.Error("ran before the names were checked")
	}
}

func TestUv(t *testing.T) {
	t.Parallel()
	b := newBench(t, "uv", "python3", "other")
	b.want(t, "done done", "v: pip install -U tap-csv==1.0", "v: true && echo pip")
	got, err := b.install(t, InstallOptions{Python: "other"}, "w: pip install a")
	if err != nil || got != "done" {
		t.Errorf("got %q, %v", got, err)
	}
	bin := filepath.Join(b.dir, "bin")
	want := []string{"uv python find --system", "uv venv --seed --python " + bin + "/python3 WS/v", "uv pip install -U tap-csv==1.0",
		"uv python find --system other", "uv venv --seed --python " + bin + "/other WS/w", "uv pip install a"}
	if diff := cmp.Diff(want, b.calls(t)); diff != "" {
		t.Error(diff)
	}
}

func TestPlainPip(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"pip install a", " pip  install a==1 b ", "pip install -r files/requirements.txt", "pip install --upgrade a",
		"pip install --index-url=https://x/simple a", "pip install git+https://x/y@v1", "pip install 'a>1'", "pip install a[b]~=1.0", `pip install "a b"`} {
		if !plainPip(command) {
			t.Errorf("%q is not plain", command)
		}
	}
	for _, command := range []string{"pip install", "pip", "", "pip uninstall a", "pip3 install a", "pip install a && b", "pip install a; b", `pip install "$X"`, "pip install 'a",
		"pip install $X", "pip install a>1", "pip install --target x a", "pip install ~/x", "pip install a\nb", "echo pip install a", "pip install --user a", "pip install a # b"} {
		if plainPip(command) {
			t.Errorf("%q is plain", command)
		}
	}
}

// startedPid waits for a file that a command writes its process id to.
func startedPid(t *testing.T, path string) int {
	t.Helper()
	for range 1000 {
		if text, err := os.ReadFile(path); err == nil && strings.HasSuffix(string(text), "\n") {
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("no %s", path)
	return 0
}

// gone waits for the end of a process.
func gone(t *testing.T, pid int) {
	t.Helper()
	for range 1000 {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return
		}
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("process %d still runs", pid)
}

func TestInstallIsCancelled(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	tests := []struct{ name, command string }{
		{"at once", "sleep 100 & echo $! >pid; wait"},
		{"cleans up", "trap 'echo cleaned; exit 0' TERM; sleep 100 & echo $! >pid; wait"},
		{"ignores it", "trap '' TERM; sleep 100 & echo $! >pid; wait"},
		{"leader goes, child ignores it", "(trap '' TERM; exec sleep 100) & echo $! >pid; wait"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			c := &child{args: []string{shell(), "-c", tt.command}, dir: b.Dir(), environ: b.environ, killAfter: 100 * time.Millisecond}
			ended := make(chan error)
			go func() { ended <- c.run(ctx) }()
			pid := startedPid(t, filepath.Join(b.Dir(), "pid"))
			cancel(stop)
			if err := <-ended; !errors.Is(err, stop) {
				t.Errorf("got %v", err)
			}
			gone(t, pid)
		})
	}
}

func TestInstallCancelledBefore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	result, err := b.Install(ctx, InstallOptions{Installs: []Install{{Command: "touch ran"}}, Environ: b.environ})
	if !errors.Is(err, context.Canceled) || len(result.Steps) != 1 {
		t.Errorf("got %v, %v", result, err)
	}
	if _, err := os.Stat(filepath.Join(b.Dir(), "ran")); err == nil {
		t.Error("it ran")
	}
}

func TestInstallLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	for _, command := range []string{": sleep 100 & echo $! >pid", ": sleep 100 >/dev/null 2>&1 & echo $! >pid"} {
		b := newBench(t)
		b.want(t, "done", command)
		gone(t, startedPid(t, filepath.Join(b.Dir(), "pid")))
	}
}

// A real interpreter, once: what the fakes promise must be so.
func TestRealVenv(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	b := newBench(t)
	b.environ = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "PYENV_VERSION=" + os.Getenv("PYENV_VERSION"), "PYENV_ROOT=" + os.Getenv("PYENV_ROOT")}
	if find(b.environ, "uv") != "" {
		b.environ[0] = "PATH=/usr/bin:/bin"
	}
	b.want(t, "done", `v: python -c 'import sys; print(sys.prefix)' && command -v pip`)
	if diff := cmp.Diff([]string{b.Venv("v"), b.Venv("v") + "/bin/pip"}, b.output); diff != "" {
		t.Error(diff)
	}
	b.want(t, "unchanged", `v: python -c 'import sys; print(sys.prefix)' && command -v pip`)
}
