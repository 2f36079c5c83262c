package faults

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// planted is a secret of several short lines, with what every filter changes in it.
const planted = "zq8 Kd/f'1&v\nwm4<Xp>02\n"

// derivations are templates over the secret TOKEN, and what becomes of them.
var derivations = []struct{ name, template, text string }{
	{"tojson", `TOKEN | tojson`, `zq8 Kd/f\u00271\u0026v`},
	{"indent", `TOKEN | indent(3)`, `   wm4<Xp>02`},
	{"urlencode", `TOKEN | urlencode`, `zq8%20Kd/f%271%26v%0Awm4`},
	{"upper", `TOKEN | upper`, `ZQ8 KD/F'1&V`},
	{"replace", `TOKEN | replace(" ", "_")`, `zq8_Kd/f'1&v`},
	{"splitlines", `TOKEN.splitlines()[1]`, `wm4<Xp>02`},
	{"slice", `TOKEN[4:11]`, `Kd/f'1&`},
	{"reverse", `TOKEN | reverse`, `20>pX<4mw`},
	{"concatenation", `"pre" ~ TOKEN[:6] ~ "post"`, `zq8 Kd`},
	{"percent", `"<%s>" % TOKEN.splitlines()[0][::-1]`, `v&1'f/dK 8qz`},
	{"join", `TOKEN[:8] | join("+")`, `z+q+8+ +K+d+/+f`},
	{"loop", `"" }}{% for c in TOKEN[:8] %}{{ c }}-{% endfor %}{{ ""`, `z-q-8- -K-d-/-f`},
	{"macro", `"" }}{% macro m(x) %}{{ x.swapcase() }}{% endmacro %}{{ m(TOKEN)`, `ZQ8 kD/F'1&V`},
	{"block", `"" }}{% set b %}{{ TOKEN | title }}{% endset %}{{ b | center(40)`, `Zq8 Kd/f'1&v`},
	{"dictionary", `{"k": [TOKEN]}`, `zq8 Kd/f'1&v\nwm4<Xp>02`},
	{"number", `(TOKEN[-2:] | int + 7654319) * 11`, `84197531`},
}

// A secret that went through a filter is a secret still: it is in no file that others can read, in no argument of a
// process, and in nothing that handoff writes.
func TestDerivedSecretsAreSecrets(t *testing.T) {
	t.Parallel()
	l := newLab(t, map[string]string{
		".secrets/secrets.yml": "- {key: TOKEN, file: token}\n- {key: HOOK, value: hook-8c1f}\n", ".secrets/token": planted,
		"project.yml": secretsProject(), "files/hook-8c1f": "#!/bin/sh\ncat\n", "files/plain.txt": "{{ TOKEN | length }} {{ 1 + 1 }}\n",
	})
	for _, d := range derivations {
		l.write("prj/files/"+d.name+".txt", "value = {{ "+d.template+" }}\n")
	}
	if err := os.Chmod(l.path("prj/files/hook-8c1f"), 0o755); err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	plan := l.handoff(0, "plan", "-p", "prj")
	text := l.handoff(0, "plan", "-p", "prj", "-o", "text")
	seen["plan"], seen["plan as text"] = plan.Stdout+plan.Stderr, text.Stdout+text.Stderr
	s := l.start(l.command("run", "local", "-p", "prj", "-w", "ws", "-d"))
	seen["processes"] = l.commandLines(s)
	if code := s.end(); code != 1 {
		t.Fatalf("exit code %d: %s", code, s.stderr())
	}
	seen["console"], seen["result"] = s.stderr(), s.stdout()
	for name, text := range l.tree("ws/artifacts") {
		if !strings.HasSuffix(name, "_stdout.log") {
			seen[name] = text
		}
		seen["names of artifacts"] += name + "\n"
	}
	for _, d := range derivations {
		for where, text := range seen {
			if strings.Contains(text, d.text) {
				t.Errorf("%s shows what %s has made of a secret: %q", where, d.name, d.text)
			}
		}
		if got := l.read("ws/files/" + d.name + ".txt"); !strings.Contains(got, d.text) {
			t.Errorf("%s: the file has %q, want %q in it", d.name, got, d.text)
		}
		l.wantMode("ws/files/"+d.name+".txt", 0o600)
		if got := l.artifact("each_" + d.name + "_stdout.log"); !strings.Contains(got, d.text) {
			t.Errorf("%s: the command has written %q, want %q in it", d.name, got, d.text)
		}
	}
	l.wantMode("ws/files/plain.txt", 0o644)
	for where, text := range seen {
		if strings.Contains(text, "hook-8c1f") || strings.Contains(text, "wm4<Xp") || strings.Contains(text, "-X9") {
			t.Errorf("%s shows a secret as it is, or with a line", where)
		}
	}
	l.says(seen["run.json"], `"name": "HOOK"`)
}

// The same of a job: nothing of it is in its home but in what is the secret's place, or the pipeline's data.
func TestDerivedSecretsOfAJob(t *testing.T) {
	t.Parallel()
	l := deployed(t, map[string]string{
		".secrets/secrets.yml": "- {key: TOKEN, file: token}\n", ".secrets/token": planted,
		"files/f.json": "{{ {'k': TOKEN} | tojson }}\n",
		"project.yml": yml(place + "secrets: [{key: TOKEN}]\ntasks:\n- name: a\n  commands:\n  - command: " +
			block("cat files/f.json >&2\ncat >&2 <<'END'\n{{ TOKEN | upper }}\n{{ TOKEN | reverse }}\nEND\nexit 3")),
	})
	res := l.handoff(1, "cloud", "run", "-p", "prj", "--wait")
	logs := l.handoff(0, "cloud", "logs", "-p", "prj")
	seen := map[string]string{"cloud run": res.Stdout + res.Stderr, "cloud logs": logs.Stdout + logs.Stderr}
	for name, text := range l.tree("home") {
		if !strings.HasSuffix(name, "_stdout.log") && !strings.HasSuffix(name, "/files/f.json") {
			seen[name] = text
		}
		if strings.HasSuffix(name, "workspaces/1/files/f.json") {
			l.wantMode("home/"+name, 0o600)
		}
	}
	for where, text := range seen {
		for _, derived := range []string{"WM4<XP>02", "20>pX<4mw", "wm4<Xp>02", `wm4\u003c`} {
			if strings.Contains(text, derived) {
				t.Errorf("%s shows %q", where, derived)
			}
		}
	}
	l.says(seen["cloud logs"], `a/cat: \[redacted\]$`)
}

// secretsProject has a task for each derivation, which writes it to both streams and waits until the test has looked at
// the processes; and one with the secret in the name of a program, in a line of a foreach and in an error.
func secretsProject() string {
	var b strings.Builder
	b.WriteString("secrets: [{key: TOKEN}, {key: HOOK}]\ntasks:\n- name: all\n  pipeline:\n  - command: echo in\n  - fork:\n")
	for _, d := range derivations {
		script := "cat <<'END' | tee /dev/stderr\n{{ " + d.template + " }}\nEND\ntouch at-" + d.name + "; until test -e go; do sleep 0.02; done\n"
		fmt.Fprintf(&b, "    - name: each_%s\n      pipeline:\n      - command: %s", d.name, strings.ReplaceAll(block(script), "\n          ", "\n            "))
	}
	b.WriteString("- name: hook\n  pipeline:\n  - command: echo a b\n  - command: files/{{ HOOK }} x\n")
	b.WriteString("- name: lines\n  pipeline:\n  - command: seq 300\n  - foreach:\n    - name: body\n      commands:\n" +
		"      - command: echo {{ (TOKEN.splitlines()[1][:3] ~ _line ~ '-x9') | upper }} >&2\n")
	b.WriteString("- name: python\n  commands:\n  - command: import sys; print(open('/proc/self/cmdline').read() + '''{{ TOKEN | upper }}''', file=sys.stderr)\n    shell: python3\n")
	b.WriteString("- name: fails\n  commands:\n  - command: printf '%s\\n' \"{{ TOKEN | upper | replace(\"'\", '') }}\" >&2; exit 3\n")
	return yml(b.String())
}

// commandLines is what ps could show of all processes while the stages run.
func (l *lab) commandLines(s *session) string {
	var all strings.Builder
	l.eventually("all stages", func() bool {
		select {
		case <-s.done:
			l.Fatalf("it has ended: %s", s.stderr())
		default:
		}
		for _, d := range derivations {
			if !l.exists("ws/at-" + d.name) {
				return false
			}
		}
		return true
	})
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
		files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, f := range files {
			text, _ := os.ReadFile(f) // it may have ended
			all.Write(append(text, '\n'))
		}
	}
	l.write("ws/go", "")
	return all.String()
}

func (l *lab) wantMode(name string, want fs.FileMode) {
	l.Helper()
	info, err := os.Stat(l.path(name))
	if err != nil {
		l.Fatal(err)
	}
	if got := info.Mode().Perm(); got != want {
		l.Errorf("%s has mode %04o, want %04o", name, got, want)
	}
}
