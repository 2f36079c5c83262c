package pipeline

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/shell"
)

// scripts that shells run as one program, with the files that they name: see directWorld.
var directScripts = []string{
	"missing a b", "./missing", "bin/missing", "./noexec", "noexec", "./folder", "folder", "./dangling", "dangling", "./text x 'a b'", "text 'a b'",
	"./badinterp", "badinterp", "./notdir/x", "later", "prog 'a b' '' \"c\"", "./prog x", "linked", "./empty", "empty", "..", "./",
	"/bin/sh -c 'exit 7'", "/bin/sh -c 'exit 141'", "/bin/sh -c 'umask; pwd; ulimit -n; echo \"$PWD\" >&2'",
	"cat", "env", "pwd-program", "/bin/ls -l /proc/self/fd/0",
}

// directWorld is a world with programs of all kinds in it and in a folder on its PATH.
func directWorld(t *testing.T, tasks ...plan.Task) *world {
	t.Helper()
	w := newWorld(t, tasks...)
	for _, dir := range []string{w.dir, filepath.Join(w.dir, "bin")} {
		for name, text := range map[string]string{
			"noexec": "#!/bin/sh\n", "text": "printf '<%s>' \"$0\" \"$@\"\n", "badinterp": "#!/no/such/interpreter\n", "notdir": "",
			"prog": "#!/bin/sh\nprintf '<%s>' \"$0\" \"$@\"\nexit 3\n", "empty": "", "pwd-program": "#!/bin/sh\npwd; pwd -P\n",
		} {
			mode := os.FileMode(0o755)
			if name == "noexec" || name == "notdir" {
				mode = 0o644
			}
			must(t, os.MkdirAll(filepath.Join(dir, "folder"), 0o755), os.WriteFile(filepath.Join(dir, name), []byte(text), mode))
		}
		must(t, os.Symlink("prog", filepath.Join(dir, "linked")), os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	}
	more := filepath.Join(w.dir, "more")
	must(t, os.Mkdir(more, 0o755), os.WriteFile(filepath.Join(w.dir, "bin", "later"), []byte("no"), 0o644),
		os.WriteFile(filepath.Join(more, "later"), []byte("#!/bin/sh\necho later\n"), 0o755))
	w.opts.Environ = append(w.opts.Environ, "PATH="+filepath.Join(w.dir, "bin")+":"+more+":/usr/local/bin:/usr/bin:/bin")
	return w
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// pair are two tasks with one script: the second has no words, so that its shell reads it.
func pair(i int, sh, script string) []plan.Task {
	var out []plan.Task
	for _, words := range [][]string{shell.Direct(sh, script), nil} {
		t := task(fmt.Sprintf("t%d-%v", i, words != nil))
		t.KillDownstreamOnFail = false
		text := plan.Script{Text: script, Words: words}
		t.Commands = []plan.Stage{{Name: "s", Command: &plan.Command{Shell: sh, Script: script, Text: func([]string) (plan.Script, error) { return text, nil }}}}
		out = append(out, t)
	}
	return out
}

func TestDirectIsLikeTheShell(t *testing.T) {
	t.Parallel()
	for _, sh := range []string{"/bin/sh", "/bin/bash"} {
		t.Run(filepath.Base(sh), func(t *testing.T) {
			t.Parallel()
			var tasks []plan.Task
			for i, script := range directScripts {
				if script != ".." && shell.Direct(sh, script) == nil {
					t.Errorf("%q is not direct", script)
				}
				tasks = append(tasks, pair(i, sh, script)...)
			}
			w := directWorld(t, tasks...)
			w.run()
			for i, script := range directScripts {
				one, other := w.outcome(i, true), w.outcome(i, false)
				if script == ".." {
					continue
				}
				if diff := cmp.Diff(other, one); diff != "" {
					t.Errorf("%s: %q (-with shell, +without):\n%s", sh, script, diff)
				}
			}
		})
	}
}

// A signal is told as it is, where a shell in between makes a number of it. The code is the same.
func TestDirectTellsSignals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pair(0, "/bin/sh", "/bin/sh -c 'kill -9 $$'")...)
	w.want(w.run(), Failed)
	if got, want := w.outcome(0, true), `failed code=137 signal=SIGKILL reason="was killed by SIGKILL`; !strings.HasPrefix(got, want) {
		t.Errorf("without a shell: %s", got)
	}
	if got := w.outcome(0, false); !strings.HasPrefix(got, "failed code=137 ") {
		t.Errorf("with a shell: %s", got)
	}
}

// outcome is all that is told of a task, and what it wrote.
func (w *world) outcome(i int, words bool) string {
	name := fmt.Sprintf("t%d-%v", i, words)
	for _, e := range w.kind(StageEnded) {
		if e.Task[0] == name {
			lines := strings.Split(w.artifact(name+"_stdout.log"), "\n")
			lines = slices.DeleteFunc(lines, func(l string) bool { // what bash has for its own use
				return strings.HasPrefix(l, "_=") || strings.HasPrefix(l, "SHLVL=") || strings.HasPrefix(l, "OLDPWD")
			})
			slices.Sort(lines)
			return fmt.Sprintf("%s code=%d signal=%s reason=%q\nstdout: %s\nstderr: %s", e.Result.Outcome, e.Result.Code, e.Result.Signal, e.Result.Reason,
				strings.Join(lines, "\n"), w.artifact(name+"_stderr.log"))
		}
	}
	return "never ended"
}

// A shell that is not there is not missed: nothing else shows that none was started.
func TestDirectStartsNoShell(t *testing.T) {
	t.Parallel()
	direct := func(script string, more ...string) plan.Task {
		tasks := pair(0, "/bin/sh", script)
		c := tasks[0].Commands[0].Command
		c.Shell, c.Env = "/no/such/shell", more
		return tasks[0]
	}
	for name, c := range map[string]struct {
		task plan.Task
		want Outcome
	}{
		"program":              {direct("cat"), Success},
		"path":                 {direct("/bin/cat -"), Success},
		"variables for bash":   {direct("cat", "BASH_ENV=x"), Failed},
		"function for bash":    {direct("cat", "BASH_FUNC_cat%%=() { exit 1; }"), Failed},
		"options for bash":     {direct("cat", "SHELLOPTS=noexec"), Failed},
		"relative PATH":        {direct("cat", "PATH=bin:/bin"), Failed},
		"empty part of PATH":   {direct("cat", "PATH=/no:"), Failed},
		"PATH that dash reads": {direct("cat", "PATH=/no%builtin:/bin"), Failed},
		"no PATH":              {direct("cat", "PATH="), Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := directWorld(t, c.task)
			w.want(w.run(), c.want)
		})
	}
}

// The name of the folder that a person uses stays; another one's is replaced.
func TestCommandsKnowTheirFolder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(w.dir, link))
	real, err := filepath.EvalSymlinks(w.dir)
	must(t, err)
	for name, c := range map[string]struct{ pwd, dir, want string }{
		"own name":       {link, w.dir, link},
		"another folder": {"/", link, real},
		"no folder":      {"/no/such", w.dir, real},
		"relative":       {".", w.dir, real},
		"none":           {"", w.dir, real},
	} {
		if got, _ := lookup(inFolder([]string{"A=b", "PWD=" + c.pwd}, c.dir), "PWD"); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
