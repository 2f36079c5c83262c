package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const idle = "version: 1\ntasks:\n- name: a\n  commands: [{command: touch ran}]\n"

// Nothing outside of files/ is copied or written through a link.
func TestSymlinkEscapes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		link string // files/<link>
		to   string // $DIR is the folder of the lab
	}{
		{"absolute, to a file", "out", "$DIR/precious.txt"},
		{"relative, to a file", "out", "../../precious.txt"},
		{"to a folder", "out", "../.."},
		{"to the secrets", "out", "../.secrets/secrets.yml"},
		{"to the project file", "out", "../project.yml"},
		{"from below", "deep/out", "../../../precious.txt"},
		{"through another link", "two", "one/precious.txt"},
		{"to /etc/passwd", "out", "/etc/passwd"},
		{"to a process", "out", "/proc/self/environ"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, map[string]string{
				"project.yml": idle, "files/ok.txt": "fine", "files/deep/ok.txt": "fine", ".secrets/secrets.yml": "- {key: password, value: hunter2-hunter2}\n",
			})
			l.write("precious.txt", "mine")
			to := strings.ReplaceAll(tt.to, "$DIR", l.dir)
			err := os.Symlink(to, l.path("prj/files", tt.link))
			if tt.link == "two" {
				err = osErr(err, os.Symlink("../..", l.path("prj/files/one")))
			}
			if err != nil {
				t.Fatal(err)
			}
			res := l.run(2)
			l.says(res.Stderr, "^(error: )?files/.*"+filepath.Base(tt.link)+": symbolic link to .*: it leads out of files/")
			for name, text := range l.tree("ws") {
				if text == "mine" || strings.Contains(text, "hunter2") || strings.Contains(name, "ran") {
					t.Errorf("%s is in the workspace: %q", name, text)
				}
			}
		})
	}
}

// A workspace with links in it is not a way to write elsewhere.
func TestLinksInTheWorkspace(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ws/artifacts/a_stdout.log", "ws/files"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, map[string]string{"project.yml": "version: 1\ntasks:\n- name: a\n  commands: [{command: echo new}]\n", "files/f.txt": "new"})
			l.write("precious/f.txt", "old")
			l.write("ws/artifacts/keep", "")
			to := l.path("precious")
			if strings.HasSuffix(name, ".log") {
				to = l.path("precious/f.txt")
			}
			if err := os.Symlink(to, l.path(name)); err != nil {
				t.Fatal(err)
			}
			before := l.tree("precious")
			res, err := l.command("run", "local", "-p", "prj", "-w", "ws").CombinedOutput()
			l.sane(string(res))
			if diff := cmp.Diff(before, l.tree("precious")); diff != "" {
				t.Errorf("written through the link (%v, %s): %s", err, res, diff)
			}
		})
	}
}

// Names that are hard to type are only names.
func TestOddFileNames(t *testing.T) {
	t.Parallel()
	names := []string{
		"new\nline.txt", "it's \"quoted\".txt", "日本語 – é.txt", "-rf", "$(touch PWNED)", "a b;touch PWNED", "{{ name }}.txt", "#hash", "*", "\\back\\slash",
		"tab\tname", "\x01control", strings.Repeat("l", 255), "folder with ' in it/x", "trailing blank ", "...",
	}
	files := map[string]string{"project.yml": "version: 1\nvars: [{key: name, value: v}]\ntasks:\n- name: a\n  commands: [{command: 'find files -type f -print0 | tr -cd \"\\0\" | wc -c'}]\n"}
	want := map[string]string{".": "d---------"}
	for _, name := range names {
		files["files/"+name] = "of {{ name }}\n"
		want[name] = "of v\n"
	}
	l := newLab(t, files)
	for name, text := range l.tree("prj/files") {
		if strings.HasPrefix(text, "d") {
			want[name] = text
		}
	}
	l.run(0)
	if diff := cmp.Diff(want, l.tree("ws/files")); diff != "" {
		t.Error(diff)
	}
	if got := strings.TrimSpace(l.artifact("a_stdout.log")); got != fmt.Sprint(len(names)) {
		t.Errorf("%s files, want %d", got, len(names))
	}
}

// A name that is no text at all is copied as well, and a template in such a file is named in a way that can be read.
func TestFileNameThatIsNotUTF8(t *testing.T) {
	t.Parallel()
	l := newLab(t, map[string]string{"project.yml": idle})
	if err := os.MkdirAll(l.path("prj/files"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.path("prj/files/caf\xe9"), []byte("x"), 0o644); err != nil {
		return // a file system that takes only text
	}
	l.run(0)
	if !l.exists("ws/files/caf\xe9") {
		t.Error("not copied")
	}
}

// What is no file is left out with a word, and nothing waits for it.
func TestSpecialFiles(t *testing.T) {
	t.Parallel()
	l := newLab(t, map[string]string{"project.yml": idle, "files/ok.txt": "fine"})
	if err := osErr(syscall.Mkfifo(l.path("prj/files/fifo"), 0o644), os.Symlink("nowhere", l.path("prj/files/dangling"))); err != nil {
		t.Fatal(err)
	}
	l.says(l.run(0).Stderr, "files/fifo: not a regular file", `files/dangling: symbolic link to "nowhere", which does not exist`)
}

// A broken template names file, line and way out, and leaves what was rendered before as it was.
func TestBrokenTemplates(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"expression", "one\ntwo {{ x\n", `files/sub/t\.sql:[23]`},
		{"block", "{% if x %}\nnever closed\n", `files/sub/t\.sql:\d`},
		{"unknown filter", "{{ 1 | nosuch }}\n", `files/sub/t\.sql:1.*nosuch`},
		{"division", "\n\n{{ 1 // 0 }}\n", `files/sub/t\.sql:3`},
		{"endless", "{% for i in range(99999999999) %}{% for j in range(99999999999) %}{% endfor %}{% endfor %}", `files/sub/t\.sql:1`},
		{"too much", "{{ 'x' * 99999999999 }}", `files/sub/t\.sql:1`},
		{"too deep", "{{ " + strings.Repeat("(", 100000) + "1", `files/sub/t\.sql:1`},
		{"dbt", "select * from {{ ref('x') }}", `files/sub/t\.sql:1.*ref`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, map[string]string{"project.yml": idle, "files/sub/t.sql": tt.text})
			l.write("ws/files/old.txt", "old")
			res := l.run(2)
			l.says(res.Stderr, tt.want, `files: \{raw: \["sub/\*\*"\]\}`)
			if l.exists("ws/ran") || l.read("ws/files/old.txt") != "old" {
				t.Error("it was not left as it was")
			}
			if len(res.Stderr) > 8<<10 {
				t.Errorf("a message of %d bytes", len(res.Stderr))
			}
			l.write("prj/project.yml", idle+"files: {raw: [\"sub/**\"]}\n")
			l.run(0)
			if got := l.read("ws/files/sub/t.sql"); got != tt.text {
				t.Errorf("raw: got %q", cut(got))
			}
		})
	}
}
