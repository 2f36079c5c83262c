package project

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// noPos leaves positions out of a comparison.
func noPos() cmp.Option { return cmpopts.IgnoreTypes(Pos{}) }

func pointer[T any](v T) *T { return &v }

func TestDecodeWhole(t *testing.T) {
	t.Parallel()
	p, warnings := decode(t, `
version: 0.4.1
description: everything
installs:
- {venv: extractor, command: pip install tap-csv, args: -q, description: tap}
vars:
- {key: day, value: 2026-01-31, description: first}
- {key: rows, value: 1_000}
- {key: tags, value: [a, 2, yes, {deep: 0.5}]}
- {key: none, value: }
envs:
- {key: TZ, value: UTC}
- {key: TOKEN}
secrets:
- {key: TOKEN}
- {key: SHARED, level: resource group, description: for all}
tasks:
- name: load
  description: loads
  pipeline:
  - {command: cat in.txt, name: read, timeout: 1.5}
  - {command: tap, args: '--config c', venv: extractor, shell: /bin/bash, active: no}
  - foreach:
    - {name: one, commands: [{command: 'echo {{ _line }}'}]}
    concurrency: 3
  - fork:
    - {name: left, pipeline: [{command: wc}, {nulldev: }]}
  timeout: 60
  retries: {max: 2, delay: 0.5, backoff: 2}
  on_upstream_failure: drain
  kill_after: 3
  allow_failure: true
  kill_downstream_on_fail: false
  kill_loop_on_fail: true
  stdout_to_file: false
  stderr_to_file: off
- active: off
  tasks:
  - {commands: [{command: ls}], on_upstream_failure: terminate}
files: {raw: ["dbt/**", x.sql]}
deploy:
  provider: aws
  cloud_platform: fargate
  platform_config: {subnets: [a, b]}
  resource_group: group
  task: job
  container_image: image
  image_version: 0.20
  cpu: 256
  memory: '512'
  storage: 21
  env: {A: 1, B: yes, C: }
  push_artifacts_on_fail: false
  container_provider: docker
schedules:
- {target_id: 1, name: daily, description: every day, cron: '0 0 * * ? *', timezone: Europe/Paris, envs: [{key: __VARS, value: a=1}]}
kill_downstream_on_fail: true
kill_loop_on_fail: false
timeout: 3600
`)
	if len(warnings) > 0 {
		t.Error(warnings)
	}
	want := &Project{
		File: FileName, Dir: "/prj", Version: "0.4", Description: "everything",
		Installs: []Install{{Venv: "extractor", Command: "pip install tap-csv", Args: "-q", Description: "tap"}},
		Vars: []Var{
			{Key: "day", Value: "2026-01-31", Text: "2026-01-31", Description: "first"}, {Key: "rows", Value: int64(1000), Text: "1_000"},
			{Key: "tags", Value: []any{"a", int64(2), true, map[string]any{"deep": 0.5}}}, {Key: "none"},
		},
		Envs:    []Env{{Key: "TZ", Value: pointer("UTC")}, {Key: "TOKEN"}},
		Secrets: []Secret{{Key: "TOKEN", Level: "task"}, {Key: "SHARED", Level: "resource group", Description: "for all"}},
		Tasks:   wholeTasks(),
		Files:   Files{Raw: []string{"dbt/**", "x.sql"}},
		Deploy: Deploy{
			CloudProvider: "aws", CloudPlatform: "fargate", PlatformConfig: map[string]any{"subnets": []any{"a", "b"}},
			ResourceGroup: "group", Task: "job", ContainerImage: "image", ImageVersion: "0.20", CPU: 256, Memory: 512, Storage: 21,
			Env: map[string]string{"A": "1", "B": "yes", "C": ""}, PushOnFail: pointer(false),
			Extra: map[string]any{"container_provider": "docker"},
		},
		Schedules: []Schedule{{
			Name: "daily", TargetID: "1", Description: "every day", Cron: "0 0 * * ? *", Timezone: "Europe/Paris",
			Envs: []Env{{Key: "__VARS", Value: pointer("a=1")}},
		}},
		KillDownstreamOnFail: pointer(true), KillLoopOnFail: pointer(false), Timeout: time.Hour,
	}
	if diff := cmp.Diff(want, p, noPos()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func wholeTasks() []Task {
	sh := func(text string) *Command { return &Command{Text: text, Shell: "/bin/sh"} }
	stage := func(s Stage) Stage {
		s.Active, s.Concurrency = true, max(s.Concurrency, 1)
		return s
	}
	task := func(t Task) Task {
		t.Active, t.Retries.Backoff, t.StdoutToFile, t.StderrToFile = true, 1, true, true
		return t
	}
	read, tap := sh("cat in.txt"), sh("tap --config c")
	read.Timeout, tap.Venv, tap.Shell = 1500*time.Millisecond, "extractor", "/bin/bash"
	return []Task{
		{
			Name: "load", Description: "loads", Active: true,
			Pipeline: []Stage{
				stage(Stage{Name: "read", Command: read}),
				{Command: tap, Concurrency: 1},
				stage(Stage{Concurrency: 3, Foreach: []Task{task(Task{Name: "one", Commands: []Stage{stage(Stage{Command: sh("echo {{ _line }}")})}})}}),
				stage(Stage{Fork: []Task{task(Task{Name: "left", Pipeline: []Stage{stage(Stage{Command: sh("wc")}), stage(Stage{Null: true})}})}}),
			},
			Timeout: time.Minute, Retries: Retries{Max: 2, Delay: time.Second / 2, Backoff: 2},
			OnUpstreamFailure: "drain", KillAfter: 3 * time.Second, AllowFailure: true,
			KillDownstreamOnFail: pointer(false), KillLoopOnFail: pointer(true),
		},
		{
			Name: "task-2", Retries: Retries{Backoff: 1}, StdoutToFile: true, StderrToFile: true,
			Tasks: []Task{task(Task{Name: "task-1", OnUpstreamFailure: "terminate", Commands: []Stage{stage(Stage{Command: sh("ls")})}})},
		},
	}
}

func TestDecodeVersion(t *testing.T) {
	t.Parallel()
	const tasks = "tasks: [{commands: [{command: ls}]}]\n"
	tests := []struct {
		written, version string
		strict           bool
	}{
		{"0.3", "0.3", false}, {"0.3.0", "0.3", false}, {`"0.3"`, "0.3", false}, {"0.4", "0.4", false}, {"'0.4.1'", "0.4", false},
		{"1", "1", true}, {"'1'", "1", true}, {"1.0", "1", true},
	}
	for _, tt := range tests {
		t.Run(tt.written, func(t *testing.T) {
			t.Parallel()
			p, warnings := decode(t, "version: "+tt.written+"\n"+tasks)
			if p.Version != tt.version || p.Strict != tt.strict || len(warnings) > 0 {
				t.Errorf("got %q, strict %v, %v", p.Version, p.Strict, warnings)
			}
		})
	}
	for _, bad := range []string{"2", "abc", "0.2", "0.40", "1.5", "''", "[1]", "0.4.x"} {
		t.Run(bad, func(t *testing.T) {
			t.Parallel()
			got := problems(t, "version: "+bad+"\n"+tasks)
			if len(got) != 1 || !strings.HasPrefix(got[0], "E 1:10: version: ") || bad != "[1]" && !strings.HasSuffix(got[0], "(known are 0.3, 0.4 and 1)") {
				t.Error(got)
			}
		})
	}
	want := []string{"W 1:1: no version: read as 0.4 (version: 1 makes unknown keys and undefined variables errors)"}
	for _, text := range []string{tasks, tasks + "version:\n"} {
		if diff := cmp.Diff(want, problems(t, text)); diff != "" {
			t.Errorf("%s -want +got:\n%s", text, diff)
		}
	}
}

func TestDecodeTextAsTyped(t *testing.T) {
	t.Parallel()
	for _, typed := range []string{"5", "0123", "1e3", "1_000", "yes", "true", "2021-03-20", "12:30", "0x1F", "1.10", "-w"} {
		p, _ := decode(t, fmt.Sprintf("version: 1\nenvs: [{key: A, value: %s}]\ntasks: [{commands: [{command: %s, args: %s}]}]\n", typed, typed, typed))
		if got := p.Tasks[0].Commands[0].Command.Text; got != typed+" "+typed {
			t.Errorf("command %q, typed %q", got, typed)
		}
		if got := *p.Envs[0].Value; got != typed {
			t.Errorf("env %q, typed %q", got, typed)
		}
	}
}

func TestDecodeVarValues(t *testing.T) {
	t.Parallel()
	tests := map[string]any{
		"yes": true, "'yes'": "yes", "off": false, "~": nil, "''": "", "12": int64(12), `"12"`: "12", "1.5": 1.5, "00123": "00123",
		"2021-03-20": "2021-03-20", "12:30": "12:30", "1e3": "1e3", "{a: {b: no}}": map[string]any{"a": map[string]any{"b": false}},
		"!!str 12": "12", "!!int 12": int64(12), "!!float 12": 12.0, "!!bool yes": true, "!!null x": nil,
		"|\n    a\n    b": "a\nb\n", "{}": map[string]any{}, "[]": []any{},
	}
	for text, want := range tests {
		p, _ := decode(t, "version: 1\ntasks: [{commands: [{command: ls}]}]\nvars:\n- key: a\n  value: "+text+"\n")
		if diff := cmp.Diff(want, p.Vars[0].Value); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	for _, bad := range []string{"!!binary aGk=", "!mine x", "!!int x", "!!bool 3", "!!set {a}", "{[1]: x}"} {
		got := problems(t, "version: 1\ntasks: [{commands: [{command: ls}]}]\nvars:\n- key: a\n  value: "+bad+"\n")
		if len(got) != 1 || !strings.HasPrefix(got[0], "E 5:") {
			t.Errorf("%s: %v", bad, got)
		}
	}
}

func TestDecodeAliasesAndMerge(t *testing.T) {
	t.Parallel()
	p, warnings := decode(t, `
version: 1
x-base: &base {venv: one, timeout: 5, shell: /bin/bash}
x-more: &more {<<: *base, venv: two}
x-list: &list
- command: ls
tasks:
- name: a
  commands:
  - {<<: *base, command: x}
  - {command: y, <<: [*more, *base], timeout: 7}
- name: b
  commands: *list
vars:
- {key: text, value: {"<<": plain}}
`)
	if len(warnings) > 0 {
		t.Error(warnings)
	}
	want := []Command{
		{Text: "x", Venv: "one", Timeout: 5 * time.Second, Shell: "/bin/bash"},
		{Text: "y", Venv: "two", Timeout: 7 * time.Second, Shell: "/bin/bash"},
		{Text: "ls", Shell: "/bin/sh"},
	}
	var got []Command
	for _, task := range p.Tasks {
		for _, s := range task.Commands {
			got = append(got, *s.Command)
		}
	}
	if diff := cmp.Diff(want, got, noPos()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(any(map[string]any{"<<": "plain"}), p.Vars[0].Value); diff != "" {
		t.Errorf("a quoted << is a key (-want +got):\n%s", diff)
	}
}

func TestDecodePositions(t *testing.T) {
	t.Parallel()
	p, _ := decode(t, "version: 1\r\ntasks:\r\n- name: a\r\n  commands:\r\n  - command: ls\r\n  - command: |\r\n      one\r\n      two\r\n  - {command: \"q\"}\r\n")
	commands := p.Tasks[0].Commands
	at := []string{p.Tasks[0].Pos.String(), commands[0].Pos.String()}
	for _, c := range commands {
		at = append(at, c.Command.Pos.String())
	}
	want := []string{"project.yml:3:3", "project.yml:5:5", "project.yml:5:14", "project.yml:7:7", "project.yml:9:16"}
	if diff := cmp.Diff(want, at); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := commands[1].Command.Text; got != "one\ntwo\n" {
		t.Errorf("text %q", got)
	}
}

func TestDecodeLastKeyWins(t *testing.T) {
	t.Parallel()
	p, warnings := decode(t, "version: 0.4\ntimeout: 1\ntasks: [{commands: [{command: ls}]}]\ntimeout: 2\n")
	if p.Timeout != 2*time.Second || len(warnings) != 1 {
		t.Errorf("timeout %v, warnings %v", p.Timeout, warnings)
	}
}

func TestDecodeOldSchedule(t *testing.T) {
	t.Parallel()
	p, _ := decode(t, "version: 0.3\ntasks: [{commands: [{command: ls}]}]\nschedule:\n- {cron: a, target_id: 7}\n- {cron: b}\nschedules: [{target_id: 1, cron: c}]\n")
	want := []Schedule{{TargetID: "1", Cron: "c", Timezone: "UTC"}, {TargetID: "7", Cron: "a", Timezone: "UTC"}, {TargetID: "3", Cron: "b", Timezone: "UTC"}}
	if diff := cmp.Diff(want, p.Schedules, noPos()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	p, _ = decode(t, "version: 0.3\ntasks: [{commands: [{command: ls}]}]\nschedule:\n")
	if len(p.Schedules) != 0 {
		t.Error(p.Schedules)
	}
}

func TestDecodeManyProblems(t *testing.T) {
	t.Parallel()
	text := "version: 1\ntasks: [{commands: [{command: ls}]}]\n"
	for i := range 300 {
		text += fmt.Sprintf("key%d: 1\n", i)
	}
	got := problems(t, text)
	if len(got) != maxDiagnostics+1 || got[maxDiagnostics] != "E  and 200 more of this kind" {
		t.Errorf("%d problems, the last is %q", len(got), got[len(got)-1])
	}
}
