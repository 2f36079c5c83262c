package faults

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A bad project is refused before anything is made: exit 2, the place in the file, the reason, the way out.
func TestBadProjectFiles(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		yml  string
		want []string
	}{
		{"malformed: bracket", "tasks:\n- name: a\n  commands: [\n", []string{`^prj/project.yml:\d+:\d+: .*bracket is never closed`}},
		{"malformed: quote", "tasks:\n- name: \"a\n  commands:\n", []string{`^prj/project.yml:2:9: .*quote is never closed`, `^- name: "a$`, `^        \^$`}},
		{"malformed: tab", "tasks:\n\t- name: a\n", []string{`^prj/project.yml:2:1: a tab`, "blanks"}},
		{"malformed: two colons", "description: a: b\n", []string{`^prj/project.yml:1:\d+: `, "quotes"}},
		{"empty file", "", []string{`^prj/project.yml:1:1: the file is empty`, "handoff init"}},
		{"only a comment", "# nothing\n", []string{"the file is empty"}},
		{"two documents", "tasks: []\n---\ntasks: []\n", []string{`^prj/project.yml:[23]:\d+: a second document`}},
		{"unknown key, strict", "version: 1\ntaks: []\n", []string{`^prj/project.yml:2:1: unknown key "taks" \(did you mean "tasks"\?\)`}},
		{"unknown key of a task", "version: 0.4\ntasks:\n- name: a\n  comands: []\n", []string{
			`prj/project.yml:4:3: .*unknown key "comands" \(did you mean "commands"\?\)`,
			`^prj/project.yml:3:3: .*needs exactly one of pipeline, commands and tasks`,
		}},
		{"wrong types, all at once", "version: 1\ntimeout: soon\ntasks: {}\nvars: x\ninstalls:\n- 3\n", []string{
			`project.yml:2:10: timeout: a number`, `project.yml:3:8: tasks: a list`, `project.yml:4:7: vars: a list`,
			`project.yml:6:3: installs\[0\]`, "4 problems found; nothing ran",
		}},
		{"a text", "hello\n", []string{`^prj/project.yml:1:1: a map`}},
		{"a list", "[1, 2]\n", []string{`^prj/project.yml:1:1: a map`}},
		{"cyclic anchor", "tasks: &a\n- *a\n", []string{`^prj/project.yml:2:3: the alias "\*a" leads into itself`}},
		{"cyclic anchor in a value", "vars:\n- key: x\n  value: &v [*v]\n", []string{`^prj/project.yml:3:\d+: the alias`}},
		{"anchors that multiply", anchorBomb(), []string{`^prj/project.yml:\d+:\d+: aliases multiply`}},
		{"10 MB", "description: x\n# " + strings.Repeat("x", 10<<20) + "\n", []string{`^prj/project.yml: .*more than`, "files/"}},
		{"NUL byte", "tasks:\n- name: a\x00b\n", []string{`^prj/project.yml:2:10: .*NUL`}},
		{"not UTF-8", "description: caf\xe9\n", []string{`^prj/project.yml:1:17: .*0xE9 is not UTF-8`}},
		{"UTF-16", "\xff\xfet\x00a\x00", []string{`^prj/project.yml:1:1: .*not UTF-8`}},
		{"task name with a slash", "tasks:\n- name: a/b\n  commands: [{command: echo}]\n", []string{`^prj/project.yml:2:9: .*must not contain '/'`}},
		{"task name that climbs", "tasks:\n- name: ..\n  commands: [{command: echo}]\n", []string{`^prj/project.yml:2:9: `}},
		{"task name of 300 bytes", "tasks:\n- name: " + strings.Repeat("n", 300) + "\n  commands: [{command: echo}]\n", []string{`^prj/project.yml:2:9: `}},
		{"two tasks of one name", "tasks:\n- name: a\n  commands: [{command: echo}]\n- name: a\n  commands: [{command: echo}]\n",
			[]string{`^prj/project.yml:4:9: .*taken by the task on line 2`}},
		{"deeper than anyone can read", "tasks:\n" + nested(1000), []string{`^prj/project.yml:\d+:\d+: .*levels`}},
		{"template that does not parse", "version: 1\ntasks:\n- name: a\n  commands:\n  - command: echo {{ x\n", []string{`^prj/project.yml:5:`}},
		{"endless template", "version: 1\ntasks:\n- name: a\n  commands:\n  - command: echo {% for i in range(999999999) %}x{% endfor %}\n", []string{`^prj/project.yml:5:`}},
		{"foreach that is not closed by a list", "tasks:\n- name: a\n  pipeline:\n  - foreach: 3\n", []string{`^prj/project.yml:4:\d+: `}},
		{"fork in the middle", "tasks:\n- name: a\n  pipeline:\n  - fork:\n    - name: b\n      pipeline: [{command: cat}]\n  - command: cat\n",
			[]string{`^prj/project.yml:\d+:\d+: .*fork`}},
		{"negative timeout", "tasks:\n- name: a\n  timeout: -1\n  commands: [{command: echo}]\n", []string{`^prj/project.yml:3:12: `}},
		{"timeout beyond all time", "timeout: 1e300\ntasks: []\n", []string{`^prj/project.yml:1:10: `}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := project(t, tt.yml)
			for _, args := range [][]string{{"run", "local", "-p", "prj", "-w", "ws"}, {"config", "validate", "local", "-p", "prj"}} {
				res := l.handoff(2, args...)
				l.says(res.Stderr, append(tt.want, `^error: |: error: `)...)
				if res.Stdout != "" {
					t.Errorf("stdout of a refused command: %q", cut(res.Stdout))
				}
			}
			if l.exists("ws") {
				t.Error("a workspace was made for a project that was refused")
			}
		})
	}
}

func anchorBomb() string {
	var b strings.Builder
	b.WriteString("x-0: &l0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&b, "x-%d: &l%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*l%d,", i-1), 10), ","))
	}
	return b.String() + "tasks: *l8\n"
}

// nested is a task inside a task, n levels deep.
func nested(n int) string {
	var b strings.Builder
	for i := range n {
		pad := strings.Repeat(" ", 2*i)
		fmt.Fprintf(&b, "%s- name: t%d\n%s  tasks:\n", pad, i, pad)
	}
	pad := strings.Repeat(" ", 2*n)
	return b.String() + pad + "- name: leaf\n" + pad + "  commands: [{command: echo deep}]\n"
}

// What cannot be read is named, with the reason; nothing hangs on what is no file.
func TestUnreadableProjects(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		set   func(l *lab) error
		args  []string
		wants []string
	}{
		{"no such folder", func(*lab) error { return nil }, []string{"-p", "nowhere"}, []string{`no project folder ".*nowhere"`}},
		{"no project.yml", func(l *lab) error { return os.Mkdir(l.path("empty"), 0o755) }, []string{"-p", "empty"},
			[]string{`no project.yml in ".*empty"`, "-p", "handoff init"}},
		{"project.yaml", func(l *lab) error { l.write("other/project.yaml", "tasks: []\n"); return nil }, []string{"-p", "other"}, []string{"rename it"}},
		{"a folder in its place", func(l *lab) error { return os.MkdirAll(l.path("dir/project.yml"), 0o755) }, []string{"-p", "dir"},
			[]string{`dir/project.yml`, "not a regular file|is a directory|folder"}},
		{"a pipe in its place", func(l *lab) error {
			return osErr(os.Mkdir(l.path("fifo"), 0o755), syscall.Mkfifo(l.path("fifo/project.yml"), 0o644))
		}, []string{"-p", "fifo"}, []string{`fifo/project.yml`, "not a regular file"}},
		{"the file itself", func(l *lab) error { l.write("own/project.yml", "tasks: []\n"); return nil }, []string{"-p", "own/project.yml"},
			[]string{`"own/project.yml" is a file, .*: -p own$`}},
		{"another file", func(l *lab) error { l.write("text", "x"); return nil }, []string{"-p", "text"}, []string{`text`, "not a folder"}},
		{"a link in a circle", func(l *lab) error { return os.Symlink("loop", l.path("loop")) }, []string{"-p", "loop"}, []string{"loop"}},
		{"no project named, none here", func(*lab) error { return nil }, nil, []string{"no project.yml in this folder", "-p FOLDER"}},
		{"secrets that are no list", func(l *lab) error {
			l.write("sec/project.yml", "tasks: []\n")
			l.write("sec/.secrets/secrets.yml", "password: hunter2-hunter2\n")
			return nil
		}, []string{"-p", "sec"}, []string{`sec/.secrets/secrets.yml:1:1`, "list"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, nil)
			if err := tt.set(l); err != nil {
				t.Fatal(err)
			}
			res := l.handoff(2, append([]string{"run", "local", "-w", "ws"}, tt.args...)...)
			l.says(res.Stderr, append(tt.wants, "^error: ")...)
			if strings.Contains(res.Stderr, "hunter2") {
				t.Error("the value of a secret is in a message")
			}
			if l.exists("ws") {
				t.Error("a workspace was made")
			}
		})
	}
}

func osErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// A user without the right to read is told so. Root may read everything, so that it becomes somebody else first.
func TestNoPermission(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		set  func(l *lab) error
		want string
	}{
		{"project file", func(l *lab) error { return os.Chmod(l.path("prj/project.yml"), 0) }, `prj/project.yml: permission denied`},
		{"project folder", func(l *lab) error { return os.Chmod(l.path("prj"), 0) }, `prj.*permission denied`},
		{"file in files/", func(l *lab) error { return os.Chmod(l.path("prj/files/a.txt"), 0) }, `files/a.txt: permission denied`},
		{"folder files/", func(l *lab) error { return os.Chmod(l.path("prj/files"), 0) }, `files.*permission denied`},
		{"workspace that cannot be made", func(l *lab) error { return os.Chmod(l.path(), 0o555) }, `workspace.*ws.*permission denied`},
		{"workspace that cannot be written", func(l *lab) error { return os.Mkdir(l.path("ws"), 0o555) }, `workspace.*ws.*permission denied`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, map[string]string{
				"project.yml": "version: 1\ntasks:\n- name: a\n  commands: [{command: touch ran}]\n", "files/a.txt": "text",
			})
			cmd := l.command("run", "local", "-p", "prj", "-w", "ws")
			asNobody(l, cmd)
			if err := tt.set(l); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { // else the folder could not be removed
				_ = exec.Command("chmod", "-R", "u+rwx", l.dir).Run()
			})
			res := l.wait(1, cmd)
			l.says(res.Stderr, tt.want)
			if l.exists("ws/ran") {
				t.Error("the task ran")
			}
		})
	}
}

// asNobody runs cmd as another user where this one is root, in a copy of the program that everybody can start.
func asNobody(l *lab, cmd *exec.Cmd) {
	l.Helper()
	if os.Getuid() != 0 {
		return
	}
	const nobody = 65534
	shared, err := os.MkdirTemp("", "faults-nobody")
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { os.RemoveAll(shared) })
	l.dir = shared + "/lab"
	text, err := os.ReadFile(program)
	err = osErr(err, os.Chmod(shared, 0o755), os.WriteFile(shared+"/handoff", text, 0o755), os.CopyFS(l.dir, os.DirFS(cmd.Dir)),
		exec.Command("chown", "-R", fmt.Sprint(nobody), l.dir).Run())
	if err != nil {
		l.Fatal(err)
	}
	cmd.Path, cmd.Dir = shared+"/handoff", l.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

// A workspace that is the project, or lies in what belongs to it, is refused, and not a byte is touched.
func TestOverlapTouchesNothing(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, project, ws string }{
		{"same", "prj", "prj"},
		{"same, other spelling", "prj", "./x/../prj/"},
		{"same, by a link", "prj", "link"},
		{"same, by its absolute path", "prj", "$DIR/prj"},
		{"workspace in files", "prj", "prj/files"},
		{"workspace in files, by a link", "prj", "link/files/new/deep"},
		{"workspace in the secrets", "prj", "prj/.secrets/ws"},
		{"workspace is files/ of the project, from within", "prj", "prj/files/../files/."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, map[string]string{"project.yml": "version: 1\ntasks: []\n", "files/precious.txt": "mine", "artifacts/old": "old"})
			if err := osErr(os.Symlink("prj", l.path("link")), os.Mkdir(l.path("x"), 0o755)); err != nil {
				t.Fatal(err)
			}
			before := l.tree(".")
			ws := strings.ReplaceAll(tt.ws, "$DIR", l.dir)
			for _, verb := range [][]string{{"run", "local"}, {"files", "get", "local"}, {"workspace", "install"}, {"workspace", "init"}} {
				res := l.handoff(2, append(verb, "-p", tt.project, "-w", ws)...)
				l.says(res.Stderr, "must be separate folders", "^hint: .*another folder")
			}
			if diff := cmp.Diff(before, l.tree(".")); diff != "" {
				t.Errorf("touched: %s", diff)
			}
		})
	}
}

// What is large but right works.
func TestLargeProjects(t *testing.T) {
	t.Parallel()
	t.Run("100 levels of tasks", func(t *testing.T) {
		t.Parallel()
		l := project(t, "version: 1\ntasks:\n"+nested(100))
		l.run(0)
		if got := l.artifact("leaf_stdout.log"); got != "deep\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("200 stages", func(t *testing.T) {
		t.Parallel()
		l := project(t, "version: 1\ntasks:\n- name: a\n  pipeline:\n  - command: seq 1000\n"+strings.Repeat("  - command: cat\n", 199))
		l.run(0)
		if got := strings.Count(l.artifact("a_stdout.log"), "\n"); got != 1000 {
			t.Errorf("%d lines", got)
		}
	})
	t.Run("1000 tasks", func(t *testing.T) {
		t.Parallel()
		var b strings.Builder
		b.WriteString("version: 1\ntasks:\n")
		for i := range 1000 {
			fmt.Fprintf(&b, "- name: t%d\n  commands: [{command: echo %d}]\n", i, i)
		}
		l := project(t, b.String())
		l.run(0)
		if r := l.record(); len(r.Tasks) != 1000 || r.Outcome != "success" {
			t.Errorf("%d tasks, %s", len(r.Tasks), r.Outcome)
		}
		if got := l.artifact("t999_stdout.log"); got != "999\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("no tasks at all", func(t *testing.T) {
		t.Parallel()
		l := project(t, "version: 1\ntasks: []\n")
		l.says(l.run(0).Stderr, "nothing to run")
	})
	t.Run("script of 300 KB", func(t *testing.T) {
		t.Parallel()
		script := strings.Repeat("    : "+strings.Repeat("x", 90)+"\n", 3200) + "    echo the end\n"
		l := project(t, "version: 1\ntasks:\n- name: a\n  commands:\n  - command: |\n"+indent(script))
		l.run(0)
		if got := l.artifact("a_stdout.log"); got != "the end\n" {
			t.Errorf("got %q", cut(got))
		}
	})
}

func indent(script string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(script, "\n"), "\n", "\n  ") + "\n"
}
