package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/secret"
)

func decode(t *testing.T, text string) *project.Project {
	t.Helper()
	p, _, err := project.Decode("project.yml", "/home/me/prj", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func build(t *testing.T, text string, change func(*Input)) (*Plan, []project.Diagnostic, error) {
	t.Helper()
	in := Input{
		Project: decode(t, text), EnvStage: "dev", RunID: "r1", Workspace: "/ws",
		Now:      time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Activate: func(venv string) []string { return []string{"VIRTUAL_ENV=/ws/" + venv} },
	}
	if change != nil {
		change(&in)
	}
	return Build(in)
}

func mustBuild(t *testing.T, text string, change func(*Input)) *Plan {
	t.Helper()
	p, _, err := build(t, text, change)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestScripts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, command, want string }{
		{"command and args", "command: echo\n    args: a b", "echo a b"},
		{"vars of the project", "command: echo {{ city }}", "echo Paris"},
		{"the command line wins", "command: echo {{ over }}", "echo cli"},
		{"typed values print as Python does", "command: echo {{ flag }} {{ nothing }}", "echo True None"},
		{"text stays text", "command: echo {{ zip }}", "echo 00123"},
		{"envs are variables", "command: echo {{ REGION }}", "echo eu"},
		{"reserved names", "command: echo {{ _stage }} {{ _stage_ }} {{ __stage_ }} {{ _today }} {{ _yesterday }} {{ _run_id }} {{ work_dir }}", "echo dev dev_ _dev_ 2026-03-01 2026-02-28 r1 /ws"},
		{"shell code is left alone", `command: echo "$HOME" $(date) | grep x`, `echo "$HOME" $(date) | grep x`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := "version: 0.4\nvars:\n- {key: city, value: Paris}\n- {key: over, value: file}\n- {key: flag, value: yes}\n- {key: nothing, value: null}\n- {key: zip, value: 00123}\nenvs:\n- {key: REGION, value: eu}\ntasks:\n- name: a\n  commands:\n  - " + tt.command + "\n"
			p := mustBuild(t, text, func(in *Input) { in.Vars = []project.KeyValue{{Key: "over", Value: "cli"}} })
			got, err := p.Tasks[0].Commands[0].Command.Text(nil)
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(got.Text) != tt.want {
				t.Errorf("script %q, want %q", got.Text, tt.want)
			}
		})
	}
}

func TestLineIsData(t *testing.T) {
	t.Parallel()
	p := mustBuild(t, "version: 1\ntasks:\n- name: a\n  pipeline:\n  - command: cat x\n  - foreach:\n    - name: b\n      commands:\n      - command: echo {{ _line }} \"{{ _line }}\" '{{ _line }}' {{ _line | raw }} {{ _line_safe }}\n      - command: echo same\n", nil)
	body := p.Tasks[0].Pipeline[1].Foreach.Tasks[0].Commands
	got, err := body[0].Command.Text([]string{"a; touch x"})
	if err != nil {
		t.Fatal(err)
	}
	if want := `echo 'a; touch x' "a; touch x" 'a; touch x' a; touch x a_touch_x`; got.Text != want {
		t.Errorf("script\n%s\nwant\n%s", got.Text, want)
	}
	if !strings.Contains(body[0].Command.Script, "{{ _line }}") || body[1].Command.Script != "echo same" {
		t.Errorf("for show: %q, %q", body[0].Command.Script, body[1].Command.Script)
	}
}

func TestNestedLines(t *testing.T) {
	t.Parallel()
	p := mustBuild(t, "version: 1\ntasks:\n- name: a\n  pipeline:\n  - command: cat x\n  - foreach:\n    - name: b\n      pipeline:\n      - command: echo {{ _line }}\n      - foreach:\n        - name: c\n          commands:\n          - command: echo {{ _lines[0] }} {{ _line }}\n", nil)
	c := p.Tasks[0].Pipeline[1].Foreach.Tasks[0].Pipeline[1].Foreach.Tasks[0].Commands[0].Command
	got, err := c.Text([]string{"outer x", "inner"})
	if err != nil || got.Text != "echo 'outer x' inner" {
		t.Errorf("script %q, %v", got.Text, err)
	}
}

func TestInheritedSettings(t *testing.T) {
	t.Parallel()
	p := mustBuild(t, "version: 0.4\nkill_downstream_on_fail: false\ntasks:\n- name: a\n  kill_after: 3\n  kill_loop_on_fail: false\n  tasks:\n  - name: b\n    kill_downstream_on_fail: true\n    commands:\n    - command: echo\n  - name: c\n    active: false\n    commands:\n    - command: echo {{ unknown }}\n", nil)
	a := p.Tasks[0]
	b, c := a.Tasks[0], a.Tasks[1]
	if a.KillDownstreamOnFail || !b.KillDownstreamOnFail || a.KillLoopOnFail || b.KillLoopOnFail || time.Duration(b.KillAfter) != 3*time.Second || !c.Skip {
		t.Errorf("a %+v\nb %+v\nc %+v", a, b, c)
	}
}

func TestStageNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ source, want string }{
		{"tap-x --config a", "tap-x"},
		{"/usr/bin/python3 run.py", "python3"},
		{"A=1 B=2 make all", "make"},
		{`"my tool" x`, "my"},
		{"(cd x; y)", "cd"},
		{"", "command"},
		{"./{{ HOOK }} x", "HOOK"},
		{"{{ bin_dir }}/tap-csv --config {{ CONFIG }}", "tap-csv"},
		{"{{ HOOK | upper }} x", "command"},
		{"{{-tap-}} x", "tap"},
		{"tap{{ __stage }} x", "tap"},
		{"KEY={{ TOKEN ~ 'a b' }} tap-x", "tap-x"},
		{"{# why #}{% set x = TOKEN %} echo {{ x }}", "echo"},
		{"{% if TOKEN %}a{% endif %}b", "command"},
		{"{{ broken", "command"},
		{"{{ _line }}", "command"},
	} {
		if got := stageName(tt.source); got != tt.want {
			t.Errorf("stageName(%q) = %q, want %q", tt.source, got, tt.want)
		}
	}
	p := mustBuild(t, "version: 1\ntasks:\n- name: a\n  pipeline:\n  - command: cat x\n  - command: nope\n    active: false\n  - command: cat\n  - command: cat\n    name: last\n", nil)
	var names []string
	for _, s := range p.Tasks[0].Pipeline {
		names = append(names, s.Name)
	}
	if diff := cmp.Diff([]string{"cat", "cat-2", "last"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestStageNameIsNotRendered(t *testing.T) {
	t.Parallel()
	p := mustBuild(t, "version: 1\ntasks:\n- name: a\n  pipeline:\n  - command: ./{{ HOOK }} x\n", func(in *Input) {
		in.Secrets = []secret.Entry{{Key: "HOOK", Value: secret.NewValue("hook-8c1f")}}
	})
	if got := p.Tasks[0].Pipeline[0].Name; got != "HOOK" {
		t.Errorf("name %q", got)
	}
}

func TestProblemsAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, _, err := build(t, "version: 1\nsecrets:\n- key: token\nenvs:\n- key: PASSWORD\ntasks:\n- name: a\n  commands:\n  - command: echo {{ nope }}\n  - command: echo {{ broken\n", nil)
	list, ok := errors.AsType[project.Errors](err)
	if !ok || len(list) != 4 {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{`secret "token" has no value`, `"PASSWORD" has no value`, `"nope" is not defined`, "project.yml:9:", "project.yml:10:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in\n%v", want, err)
		}
	}
}

// A filter of a template is no pipe of the shell; a pipe beside it is one.
func TestFilterIsNoPipe(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]string{
		"wc {{ _line | raw }}":              "",
		"echo {{ _line | upper }} > x":      "",
		"tap {{ _line | upper }} | cat > x": `"tap {{ _line | upper }}"`,
	} {
		_, warnings, err := build(t, "version: 1\ntasks:\n- name: a\n  pipeline:\n  - command: seq 3\n  - foreach:\n    - name: b\n      commands:\n      - command: "+command+"\n", nil)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, w := range warnings {
			got += w.Message
		}
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: warnings %q", command, got)
		}
	}
}

// A job has no .secrets to add anything to; and what is missing is one problem, however often it is named.
func TestMissingSecretIsOneProblemWithAWayOut(t *testing.T) {
	t.Parallel()
	text := "version: 1\nsecrets: [{key: TOKEN}]\nenvs: [{key: TOKEN}]\ntasks:\n- name: a\n  commands:\n  - command: echo\n"
	for add, want := range map[string]string{"": "add it to .secrets/secrets.yml", "push it": "push it"} {
		_, _, err := build(t, text, func(in *Input) { in.AddSecret = add })
		list, ok := errors.AsType[project.Errors](err)
		if !ok || len(list) != 1 || list[0].Hint != want {
			t.Errorf("error %v", err)
		}
	}
}

func TestUndefinedIsAWarningInLenientMode(t *testing.T) {
	t.Parallel()
	_, warnings, err := build(t, "version: 0.4\nvars: [{key: name, value: x}]\ntasks:\n- name: a\n  pipeline:\n  - command: |\n      echo one\n      echo {{ nam }}\n  - foreach:\n    - name: b\n      commands:\n      - command: echo {{ _line }} {{ nme }}\n", nil)
	if err != nil || len(warnings) != 2 {
		t.Fatalf("warnings %v, error %v", warnings, err)
	}
	if w := warnings[0]; w.Pos.Line != 8 || w.Hint != `did you mean "name"?` {
		t.Errorf("warning %+v", w)
	}
}

func TestSecretsInThePlan(t *testing.T) {
	t.Parallel()
	p := mustBuild(t, "version: 1\nsecrets: [{key: token}]\nenvs:\n- key: token\n- key: url\n  value: https://x?t=s3cr3t-value\ntasks:\n- name: a\n  commands:\n  - command: curl {{ token }}\n  - command: echo no\n    venv: py\n", func(in *Input) {
		in.Secrets = []secret.Entry{{Key: "token", Value: secret.NewValue("s3cr3t-value")}}
	})
	curl := p.Tasks[0].Commands[0].Command
	if script, _ := curl.Text(nil); script.Text != "curl s3cr3t-value" || !script.Private || script.Words != nil || curl.Script != "curl [redacted]" {
		t.Errorf("script %+v, for show %q", script, curl.Script)
	}
	if script, _ := p.Tasks[0].Commands[1].Command.Text(nil); script.Private {
		t.Error("a command without a secret is private")
	}
	if !strings.Contains(strings.Join(curl.Env, "\n"), "token=s3cr3t-value") {
		t.Errorf("environment %q", curl.Env)
	}
	if got := p.Tasks[0].Commands[1].Command.Env[0]; got != "VIRTUAL_ENV=/ws/py" {
		t.Errorf("venv: %q", got)
	}
	shown, err := json.Marshal(p.Env)
	if err != nil || strings.Contains(string(shown), "s3cr3t") {
		t.Errorf("for show: %s", shown)
	}
}

// What a template makes of a secret is a secret, in a command of its own and in the body of a foreach.
func TestDerivedSecretsInThePlan(t *testing.T) {
	t.Parallel()
	const token = "s3cr3t-value\nk3y <two>"
	for _, tt := range []struct{ name, command, shown, text string }{
		{"verbatim", "echo '{{ token }}'", "echo '[redacted]'", "echo '" + token + "'"},
		{"filter", "echo {{ token | upper | replace('\n', '') }}", "echo [redacted]", "echo S3CR3T-VALUEK3Y <TWO>"},
		{"line of it", "echo {{ token.splitlines()[1] }}", "echo [redacted]", "echo k3y <two>"},
		{"one character", "echo {{ token[0] }} {{ token[:2] ~ 'x' }}", "echo [redacted] [redacted]x", "echo s s3x"},
		{"characters", "echo {% for c in token[:6] %}{{ c }}{% endfor %}", "echo [redacted]", "echo s3cr3t"},
		{"with the line", "echo {{ token[:6] | upper }}{{ _line }}", "echo [redacted]{{ _line }}", "echo S3CR3T'a b'"},
		{"of the line, too", "echo {{ (_line ~ token[:3]) | upper }}", "echo {{ (_line ~ token[:3]) | upper }}", "echo 'A BS3C'"},
		{"variable of the project", "echo {{ city }} {{ token | length }}", "echo Paris 22", "echo Paris 22"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := secret.NewRedactor()
			p := mustBuild(t, "version: 1\nvars: [{key: city, value: Paris}]\nsecrets: [{key: token}]\ntasks:\n- name: a\n  pipeline:\n  - command: cat x\n  - foreach:\n    - name: b\n      commands:\n      - command: \""+strings.ReplaceAll(tt.command, "\n", "\\n")+"\"\n",
				func(in *Input) {
					in.Secrets = []secret.Entry{{Key: "token", Value: secret.NewValue(token)}}
					in.Redactor = r
				})
			c := p.Tasks[0].Pipeline[1].Foreach.Tasks[0].Commands[0].Command
			got, err := c.Text([]string{"a b"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]any{tt.shown, Script{Text: tt.text, Private: tt.name != "variable of the project"}}, []any{c.Script, got}); diff != "" {
				t.Error(diff)
			}
			if secret := strings.TrimPrefix(tt.text, "echo "); got.Private && len(secret) > 6 && r.String(secret) == secret {
				t.Errorf("%q is not masked", secret)
			}
		})
	}
}

func TestEnvironmentFromTheCommandLineWins(t *testing.T) {
	t.Parallel()
	p := mustBuild(t, "version: 0.4\nenvs: [{key: A, value: file}]\ntasks:\n- name: a\n  commands:\n  - command: env\n", func(in *Input) {
		in.Envs = []project.KeyValue{{Key: "A", Value: "cli"}, {Key: "lower", Value: "x"}}
	})
	want := []string{"A=file", "A=cli", "LOWER=x", "lower=x", "HANDOFF_RUN_ID=r1", "HANDOFF_STAGE=dev"}
	if diff := cmp.Diff(want, p.Tasks[0].Commands[0].Command.Env); diff != "" {
		t.Error(diff)
	}
}

func TestBodiesAreTriedOut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, command, want, warning string }{
		{"data for an inner shell", `sh -c "echo {{ _line }}"`, "project.yml:8:", ""},
		{"a script that does not parse", `echo {{ _line }} )`, "project.yml:8:", ""},
		{"a number is wanted", `echo $(( {{ _line }} * 2 ))`, "", ""},
		{"parts of the line", `echo {{ _line.split(',')[3] }}`, "", ""},
		{"what refuses some lines", `x={{ _line }}; echo $((x + 1))`, "", "a line that is not a plain word stops the run here: line 1 of the script: arithmetic ($((x + 1)))"},
		{"an argument", `sh -c 'echo "$1"' sh {{ _line }}`, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, warnings, err := build(t, "version: 0.4\ntasks:\n- name: a\n  pipeline:\n  - command: cat x\n  - foreach:\n    - commands:\n      - command: '"+strings.ReplaceAll(tt.command, "'", "''")+"'\n", nil)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if got := fmt.Sprint(warnings); !strings.Contains(got, tt.warning) || tt.warning == "" && strings.Contains(got, "plain word") {
				t.Errorf("warnings %s, want %q", got, tt.warning)
			}
		})
	}
}

func TestCheckWithoutSecrets(t *testing.T) {
	t.Parallel()
	_, warnings, err := build(t, "version: 1\nsecrets: [{key: token}]\nenvs: [{key: PASSWORD}]\ntasks:\n- name: a\n  commands:\n  - command: echo {{ token }}\n", func(in *Input) { in.CheckOnly = true })
	if err != nil || len(warnings) != 2 {
		t.Errorf("warnings %v, error %v", warnings, err)
	}
}

func TestStateFile(t *testing.T) {
	t.Parallel()
	text := `version: 1
tasks:
- name: my load
  state: {checkpoint: true}
  pipeline:
  - command: tap --state {{ _state_file }}
  - command: target
- name: other
  pipeline: [{command: tap}]
`
	p := mustBuild(t, text, nil)
	want := &State{File: "/ws/state/my load.json", Checkpoint: true}
	if diff := cmp.Diff(want, p.Tasks[0].State, cmpopts.IgnoreFields(State{}, "FileOf")); diff != "" {
		t.Error(diff)
	}
	if got := p.Tasks[0].Pipeline[0].Command.Script; got != "tap --state '/ws/state/my load.json'" {
		t.Errorf("script %q", got)
	}
	if p.Tasks[1].State != nil {
		t.Error("a task without a state has one")
	}
	_, _, err := build(t, strings.Replace(text, "[{command: tap}]", "[{command: 'tap {{ _state_file }}'}]", 1), nil)
	if err == nil || !strings.Contains(err.Error(), "_state_file") {
		t.Errorf("outside of its task: %v", err)
	}
}

// What is started without a shell is decided from the script of each line.
func TestDirectCommands(t *testing.T) {
	t.Parallel()
	p := mustBuild(t, `
version: 1
secrets: [{key: token}]
vars: [{key: schema, value: raw}]
tasks:
- name: a
  pipeline:
  - command: tap-x --schema {{ schema }}
  - command: tap-x {{ token }}
  - command: echo x
  - command: seq 3 > files/x
  - command: seq 3
    shell: python3
  - foreach:
    - name: b
      commands:
      - command: fetch '{{ _line }}'
      - command: "{{ _line }} x"
      - command: fetch {{ _line }} | wc -l
`, func(in *Input) {
		in.Secrets = []secret.Entry{{Key: "token", Value: secret.NewValue("s3cr3t-value")}}
	})
	stages := p.Tasks[0].Pipeline
	var direct []bool
	for _, s := range stages[:5] {
		script, err := s.Command.Text(nil)
		if err != nil || s.Command.Direct != (script.Words != nil) {
			t.Errorf("%s: shown %v, words %q, error %v", s.Command.Script, s.Command.Direct, script.Words, err)
		}
		direct = append(direct, s.Command.Direct)
	}
	if diff := cmp.Diff([]bool{true, false, false, false, false}, direct); diff != "" {
		t.Error(diff)
	}
	body := stages[5].Foreach.Tasks[0].Commands
	if !body[0].Command.Direct || body[2].Command.Direct {
		t.Errorf("body: %v %v", body[0].Command.Direct, body[2].Command.Direct)
	}
	for line, want := range map[string][]string{"AAPL": {"fetch", "AAPL"}, "it's; $x": {"fetch", "it's; $x"}, "a\x01": nil} {
		script, err := body[0].Command.Text([]string{line})
		if diff := cmp.Diff(want, script.Words); err != nil || diff != "" {
			t.Errorf("%q: %v %s", line, err, diff)
		}
	}
	for line, want := range map[string][]string{"fetch": {"fetch", "x"}, "echo": nil, "if": nil} {
		if script, err := body[1].Command.Text([]string{line}); err == nil && !cmp.Equal(want, script.Words) {
			t.Errorf("program %q: %q", line, script.Words)
		}
	}
}

// In a foreach there is one state for each line: the file is a function of the lines down to the pipeline that has the state.
func TestStateFileOfALine(t *testing.T) {
	t.Parallel()
	p, warnings, err := build(t, bodies, func(in *Input) { in.Workspace = "/my ws" })
	if err != nil {
		t.Fatal(err)
	}
	load := p.Tasks[0].Pipeline[1].Foreach.Tasks[0]
	inner := load.Pipeline[1].Foreach.Tasks[0]
	own := p.Tasks[0].Pipeline[1].Foreach.Tasks[1].Pipeline[1].Fork[0].Pipeline[0].Foreach.Tasks
	name := func(task string, lines ...string) string {
		return "'/my ws/state/" + project.StateName(task, lines) + ".json'"
	}
	script := func(c *Command, lines ...string) string {
		s, err := c.Text(lines)
		if err != nil {
			t.Error(err)
		}
		return s.Text
	}
	for _, tc := range []struct{ got, want string }{
		{load.State.File, "/my ws/state/load@*.json"},
		{load.Pipeline[0].Command.Script, "tap --state {{ _state_file }}"},
		{script(load.Pipeline[0].Command, "a b"), "tap --state " + name("load", "a b")},
		{script(inner.Pipeline[0].Command, "x", "y"), "look " + name("load", "x") + " y"},
		{script(own[0].Pipeline[0].Command, "x", "y"), "tap <" + name("own", "x", "y")},
		{own[0].State.FileOf([]string{"x", "y"}), strings.Trim(name("own", "x", "y"), "'")},
		{fmt.Sprint(load.State.Body, load.State.Backfill, own[0].State.Body, own[1].State.Body), "true true false true"},
		{fmt.Sprint(len(warnings)), "1"},
	} {
		if tc.got != tc.want {
			t.Errorf("%q, want %q", tc.got, tc.want)
		}
	}
	if got := fmt.Sprint(warnings); !strings.Contains(got, `of "early" is committed with its line`) || !strings.Contains(got, "commit: run") {
		t.Errorf("warnings %s", got)
	}
}

const bodies = `version: 1
tasks:
- name: all
  pipeline:
  - command: cat tables
  - foreach:
    - name: load
      state: {backfill: use}
      pipeline:
      - command: tap --state {{ _state_file }}
      - foreach:
        - name: inner
          pipeline: [{command: "look {{ _state_file }} {{ _line }}"}]
      - command: target
    - pipeline:
      - command: cat more
      - fork:
        - name: branch
          pipeline:
          - foreach:
            - name: own
              state: {commit: run}
              pipeline: [{command: "tap <{{ _state_file }}"}, {command: target >artifacts/own}]
            - name: early
              state: true
              pipeline: [{command: tap}, {command: target >artifacts/early}]
`
