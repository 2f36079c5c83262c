package faults

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A stage may write anything. What a terminal takes for a command reaches no log, no record and no console.
func TestEscapesOfStagesAreHarmless(t *testing.T) {
	t.Parallel()
	const loud = `\033]0;title\007\033[1;31mred\033[0m 10%%\r20%%\r\033[2Kdone\033]8;;http://h/\033\\link\033]8;;\033\\ bell\007 tok\033[1men-8c1f\n`
	l := newLab(t, map[string]string{
		".secrets/secrets.yml": "- {key: TOKEN, value: token-8c1f}\n",
		"say":                  "printf '" + loud + "'\n",
		"project.yml": yml(`installs:
- command: sh ../prj/say
tasks:
- name: loud
  allow_failure: true
  pipeline:
  - command: sh ../prj/say >&2; sh ../prj/say; exit 3
- name: shown
  stdout_to_file: false
  commands:
  - command: sh ../prj/say
- name: lines
  pipeline:
  - command: printf '\033[31mline\033[0m\n'
  - foreach:
    - name: body
      commands:
      - command: "true {{ _line }}; exit 1"
`),
	})
	installed := l.handoff(0, "workspace", "install", "-p", "prj", "-w", "ws")
	res := l.run(1)
	raw := strings.NewReplacer(`\033`, "\x1b", `\007`, "\a", `\\`, `\`, `%%`, "%", `\r`, "\r", `\n`, "\n").Replace(loud)
	if got := l.artifact("loud_stdout.log"); got != raw {
		t.Errorf("stdout is data, and was changed: %q", got)
	}
	all := map[string]string{"console": res.Stderr, "result": res.Stdout, "installs": installed.Stderr + installed.Stdout}
	for _, name := range []string{"run.log", "run.json", "loud_stderr.log"} {
		all[name] = l.artifact(name)
	}
	for name, text := range all {
		if i := strings.IndexAny(strings.ReplaceAll(text, "\n", ""), "\x00\a\b\x1b\r\x7f"); i >= 0 || strings.Contains(text, `\u001b`) {
			t.Errorf("%s has a control character: %q", name, text)
		}
		if strings.Contains(text, "en-8c1f") {
			t.Errorf("%s shows a secret that an escape sequence cuts in two: %q", name, text)
		}
	}
	want := "sh: red 10%\nsh: 20%\nsh: donelink bell^G [redacted]\n"
	if got := l.artifact("loud_stderr.log"); got != want {
		t.Errorf("stderr log %q, want %q", got, want)
	}
	l.says(all["installs"], "donelink bell")
	l.says(all["run.json"], `donelink bell\^G \[redacted\]`)
	l.says(all["run.log"], `shown/sh: donelink bell\^G \[redacted\]$`, `body\[line\]`)
}

func TestEscapesInNames(t *testing.T) {
	t.Parallel()
	l := project(t, yml("tasks:\n- name: a\n  commands:\n  - command: \"true\"\n"))
	l.write("prj/files/x", "")
	if err := os.Symlink("nowhere", filepath.Join(l.path("prj", "files"), "\x1b[31mlink")); err != nil {
		t.Fatal(err)
	}
	res := l.run(0)
	if strings.Contains(res.Stderr, "\x1b") {
		t.Errorf("%q", res.Stderr)
	}
}
