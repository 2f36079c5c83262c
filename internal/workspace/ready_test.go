package workspace

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each state of a virtual environment: what a run says of it, and what installing does about it.
func TestLacks(t *testing.T) {
	t.Parallel()
	upgraded := strings.ReplaceAll(fakePython, "3.99.0", "3.100.0")
	for _, tt := range []struct {
		name    string
		change  map[string]string // files; "" removes
		kind    ProblemKind
		reason  string // pattern; "": nothing is wrong
		install string // what installing does then
	}{
		{name: "whole", install: "unchanged unchanged unchanged"},
		{"removed", map[string]string{"ws/v": ""}, Missing, "not in the workspace", "done done unchanged"},
		{"is not finished", map[string]string{"ws/.handoff/making-v": "x"}, Broken, "is not finished", "done done unchanged"},
		{"Python removed", map[string]string{"ws/v/bin/python": ""}, Broken, `its Python \(.*/v/bin/python\) is gone`, "done done unchanged"},
		{"Python that leads nowhere", map[string]string{"ws/v/bin/python": "", "ws/v/bin/python -> /nowhere/python3.11": "x"}, Broken,
			`its Python \(/nowhere/python3.11\) is gone`, "done done unchanged"},
		{"home removed", map[string]string{"ws/v/pyvenv.cfg": "home = /nowhere/bin\n"}, Broken, "its Python .in /nowhere/bin. is gone", "done done unchanged"},
		{"Python upgraded", map[string]string{"ws/v/bin/python": upgraded}, Broken, "version 3.100.0 now, and was 3.99.0", "done done unchanged"},
		{"Python built again", map[string]string{"ws/v/bin/python": fakePython + "# the same\n"}, 0, "", "unchanged unchanged unchanged"},
		{"Python that fails", map[string]string{"ws/v/bin/python": "#!/bin/sh\nexit 3\n"}, Broken, "does not start: .*exit code 3", "done done unchanged"},
		{"packages removed", map[string]string{"ws/v/lib": ""}, Broken, "packages .* are gone", "done done unchanged"},
		{"stamp damaged", map[string]string{"ws/v/.handoff-installs.json": "{"}, Stale, "not made by handoff", "done done unchanged"},
		{"file changed", map[string]string{"ws/r.txt": "2"}, Stale, `"cat r.txt" names has changed`, "done done unchanged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "python3")
			write(t, b.Dir(), map[string]string{"r.txt": "1"})
			commands := []string{"v: echo a", "v: cat r.txt", ": echo c"}
			b.want(t, "done done done", commands...)
			for name, text := range tt.change {
				if text == "" {
					if err := os.RemoveAll(filepath.Join(b.dir, name)); err != nil {
						t.Fatal(err)
					}
				}
			}
			for name, text := range tt.change {
				if text != "" {
					write(t, b.dir, map[string]string{name: text})
				}
			}
			b.problems(t, tt.kind, tt.reason, commands...)
			b.want(t, tt.install, commands...)
			b.problems(t, 0, "", commands...)
		})
	}
}

// problems compares what is wrong with all that the installs make.
func (b *bench) problems(t *testing.T, kind ProblemKind, reason string, installs ...string) {
	t.Helper()
	problems := b.Problems(t.Context(), b.options(installs...), []string{"", "v"})
	switch {
	case reason == "" && len(problems) > 0, reason != "" && len(problems) != 1:
		t.Errorf("got %+v, want %q", problems, reason)
	case reason != "" && (problems[0].Kind != kind || !regexp.MustCompile(reason).MatchString(problems[0].Reason)):
		t.Errorf("got %+v, want %d %q", problems[0], kind, reason)
	}
}

func TestLacksOfInstallsThatChanged(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, want string
		kind       ProblemKind
		installs   []string
	}{
		{"same", "", 0, []string{"v: echo a", "v: echo b", ": echo c"}},
		{"more", `"echo x" has not been run`, Stale, []string{"v: echo a", "v: echo b", "v: echo x", ": echo c"}},
		{"less", `installed with "echo b"`, Stale, []string{"v: echo a", ": echo c"}},
		{"none", "no install of project.yml makes it any more", Stale, []string{": echo c"}},
		{"another order", `installed with "echo a"`, Stale, []string{"v: echo b", "v: echo a", ": echo c"}},
		{"more without a venv", `"echo x" has not been run`, Stale, []string{"v: echo a", "v: echo b", ": echo c", ": echo x"}},
		{"none without a venv", "", 0, []string{"v: echo a", "v: echo b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "python3")
			b.want(t, "done done done", "v: echo a", "v: echo b", ": echo c")
			b.problems(t, tt.kind, tt.want, tt.installs...)
		})
	}
}

// What fails, or is killed, between two installs of a virtual environment leaves nothing that looks whole.
func TestUnfinishedInstallsAreMadeAnew(t *testing.T) {
	t.Parallel()
	b := newBench(t, "python3")
	commands := []string{"v: echo a", ": test -e go", "v: echo b"}
	if got, err := b.install(t, InstallOptions{}, commands...); got != "done failed" || err == nil {
		t.Errorf("got %q, %v", got, err)
	}
	problems := b.Problems(t.Context(), b.options(commands...), []string{"", "v"})
	if len(problems) != 2 || problems[0].Kind != Stale || problems[1].Kind != Broken || !strings.Contains(problems[1].Reason, "were not finished") {
		t.Errorf("got %+v", problems)
	}
	write(t, b.Dir(), map[string]string{"go": "", "v/left": ""})
	b.want(t, "done done done", commands...)
	if exists(filepath.Join(b.Venv("v"), "left")) {
		t.Error("it was not made anew")
	}
	b.problems(t, 0, "", commands...)
}

func TestForceMakesVenvsAnew(t *testing.T) {
	t.Parallel()
	b := newBench(t, "python3")
	b.want(t, "done", "v: echo a")
	write(t, b.Dir(), map[string]string{"v/left": ""})
	if got, err := b.install(t, InstallOptions{Force: true}, "v: echo a", "v: echo b"); got != "done done" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if exists(filepath.Join(b.Venv("v"), "left")) {
		t.Error("it was not made anew")
	}
}

// A workspace that was moved: its virtual environments hold the old path.
func TestMovedWorkspace(t *testing.T) {
	t.Parallel()
	b := newBench(t, "python3")
	commands := []string{"v: echo a", ": echo c"}
	b.want(t, "done done", commands...)
	moved := filepath.Join(b.dir, "moved")
	if err := os.Rename(b.Dir(), moved); err != nil {
		t.Fatal(err)
	}
	old := b.Dir()
	b.Workspace = open(t, "", moved)
	problems := b.Problems(t.Context(), b.options(commands...), []string{"v"})
	if len(problems) != 1 || problems[0].Kind != Broken || !strings.Contains(problems[0].Reason, "it was made in "+old+"/v, and") {
		t.Errorf("got %+v", problems)
	}
	b.want(t, "done done", commands...)
	b.problems(t, 0, "", commands...)
}

// A virtual environment that somebody else has made is kept, and installed into, until it breaks or --force.
func TestVenvOfSomebodyElse(t *testing.T) {
	t.Parallel()
	b := newBench(t, "python3")
	write(t, b.Dir(), map[string]string{"v/bin/python": fakePython, "v/pyvenv.cfg": "version = 3.99.7\n", "v/lib/python3.99/site-packages/": "", "v/mine": ""})
	if err := os.Chmod(filepath.Join(b.Dir(), "v/bin/python"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.problems(t, 0, "")
	b.problems(t, Stale, "not made by handoff", "v: echo a")
	b.want(t, "done", "v: echo a")
	b.want(t, "done", "v: echo b")
	b.want(t, "unchanged", "v: echo b")
	if !exists(filepath.Join(b.Venv("v"), "mine")) {
		t.Error("it was made anew")
	}
	if got, err := b.install(t, InstallOptions{Force: true}, "v: echo b"); got != "done" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if exists(filepath.Join(b.Venv("v"), "mine")) {
		t.Error("it was not made anew")
	}
}

func TestMovedVenvOfSomebodyElse(t *testing.T) {
	t.Parallel()
	b := newBench(t, "python3")
	write(t, b.Dir(), map[string]string{"v/pyvenv.cfg": "", "v/bin/python": fakePython, "v/lib/python3.99/site-packages/": ""})
	if err := os.Chmod(filepath.Join(b.Dir(), "v/bin/python"), 0o755); err != nil {
		t.Fatal(err)
	}
	for text, moved := range map[string]bool{
		"VIRTUAL_ENV='" + b.Venv("v") + "'\n":                  false,
		"    export VIRTUAL_ENV=/nowhere/v\n":                  true,
		"VIRTUAL_ENV=\"/nowhere/v\"\nexport VIRTUAL_ENV\n":     true,
		"VIRTUAL_ENV=$(cygpath x)\nVIRTUAL_ENV_PROMPT=/x\nz\n": false,
	} {
		write(t, b.Dir(), map[string]string{"v/bin/activate": text})
		problems := b.Problems(t.Context(), b.options(), []string{"v"})
		if moved != (len(problems) == 1) || moved && !strings.HasPrefix(problems[0].Reason, "it was made in /nowhere/v") {
			t.Errorf("%q: %+v", text, problems)
		}
	}
}

// What a person has put elsewhere, by a link, is made anew there.
func TestVenvBehindALink(t *testing.T) {
	t.Parallel()
	b := newBench(t, "python3")
	write(t, b.dir, map[string]string{"disk/v/": "", "ws/v -> ../disk/v": ""})
	b.want(t, "done", "v: echo a")
	b.want(t, "unchanged", "v: echo a")
	b.problems(t, 0, "", "v: echo a")
	if target, err := os.Readlink(b.Venv("v")); err != nil || target != "../disk/v" || !exists(filepath.Join(b.dir, "disk/v/pyvenv.cfg")) {
		t.Errorf("link to %q, %v", target, err)
	}
}

func TestShareKey(t *testing.T) {
	t.Parallel()
	b := newBench(t, "python3")
	write(t, b.Dir(), map[string]string{"files/r.txt": "a", "files/e.txt": "-e files/pkg", "files/pkg/setup.py": "", "files/a.whl": "1"})
	key := func(installs ...string) string {
		t.Helper()
		key, err := b.ShareKey(t.Context(), b.options(installs...))
		if err != nil {
			t.Error(err)
		}
		return key
	}
	for _, install := range []string{": pip install a", "v: python setup.py install", "v: pip install -e ./files/pkg", "v: pip install -r files/e.txt",
		"v: pip install .", "v: pip install --target x a", "v: pip install a && touch b"} {
		if got := key(install, "w: pip install a"); got != "" {
			t.Errorf("%q is shared", install)
		}
	}
	all := map[string]string{}
	differs := func(what string, installs ...string) {
		t.Helper()
		got := key(installs...)
		if got == "" || all[got] != "" {
			t.Errorf("%s: %q as %s", what, got, all[got])
		}
		all[got] = what
		if again := key(installs...); again != got {
			t.Errorf("%s: %q and %q", what, got, again)
		}
	}
	differs("a", "v: pip install a")
	differs("b", "v: pip install b")
	differs("a in another", "w: pip install a")
	differs("two", "v: pip install a", "v: pip install b")
	differs("two, other order", "v: pip install b", "v: pip install a")
	differs("requirements", "v: pip install -r files/r.txt")
	differs("wheel", "v: pip install files/a.whl")
	write(t, b.Dir(), map[string]string{"files/r.txt": "b", "files/a.whl": "2"})
	differs("changed requirements", "v: pip install -r files/r.txt")
	differs("changed wheel", "v: pip install files/a.whl")
	write(t, b.dir, map[string]string{"bin/python3": strings.ReplaceAll(fakePython, "3.99.0", "3.100.0")})
	differs("another Python", "v: pip install a")
	other := open(t, "", filepath.Join(b.dir, "elsewhere"))
	if got, err := other.ShareKey(t.Context(), b.options("v: pip install a")); err != nil || all[got] != "another Python" {
		t.Errorf("another workspace has another key: %q, %v", got, err)
	}
}

// Packages of a venv get into the venv, whatever the person has set for pip, uv and Python.
func TestVenvEnviron(t *testing.T) {
	t.Parallel()
	want := []string{"PIP_INDEX_URL=", "PIP_EXTRA_INDEX_URL=", "PIP_TRUSTED_HOST=", "PIP_CERT=", "PIP_PROXY=", "PIP_CACHE_DIR=", "PIP_NO_CACHE_DIR=",
		"PIP_DEFAULT_TIMEOUT=", "PIP_RETRIES=", "PIP_CONFIG_FILE=", "PIP_FIND_LINKS=", "PIP_NO_INDEX=", "UV_INDEX_URL=", "UV_INDEX_CORP_PASSWORD=",
		"UV_CACHE_DIR=", "UV_DEFAULT_INDEX=", "HTTPS_PROXY=", "PYTHONUTF8=", "PATH=", "PIPX_HOME="}
	in := append(slices.Clone(want), "PIP_USER=1", "PIP_TARGET=", "PIP_PREFIX=", "PIP_ROOT=", "PIP_SRC=", "PIP_REQUIRE_VIRTUALENV=", "PIP_PYTHON=",
		"PIP_CONSTRAINT=", "PIP_REQUIREMENT=", "PIP_NO_DEPS=", "PIP_DRY_RUN=", "PIP_EDITABLE=", "PIP_UPGRADE=", "PIP_PRE=", "PIP_PLATFORM=", "UV_PYTHON=",
		"UV_SYSTEM_PYTHON=", "UV_TARGET=", "UV_PROJECT_ENVIRONMENT=", "UV_PRERELEASE=", "PYTHONHOME=", "PYTHONPATH=", "PYTHONUSERBASE=", "VIRTUAL_ENV=",
		"__PYVENV_LAUNCHER__=", "CONDA_PREFIX=")
	if diff := cmp.Diff(append(want, "PIP_USER=0"), venvEnviron(in)); diff != "" {
		t.Error(diff)
	}
}
