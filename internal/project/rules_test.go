package project

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rule is a document without a version, and what is said of it in version 0.4 and in version 1.
type rule struct {
	name    string
	text    string
	lenient []string
	strict  []string // nil: the same
}

func checkRules(t *testing.T, rules []rule) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			strict := r.strict
			if strict == nil {
				strict = r.lenient
			}
			if diff := cmp.Diff(r.lenient, problems(t, "version: 0.4\n"+r.text)); diff != "" {
				t.Errorf("version 0.4 (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(strict, problems(t, "version: 1\n"+r.text)); diff != "" {
				t.Errorf("version 1 (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTaskRules(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 51)
	checkRules(t, []rule{
		{name: "good", text: "tasks:\n- commands: [{command: ls}]\n"},
		{name: "no body", text: "tasks:\n- name: a\n",
			lenient: []string{"E 3:3: tasks[0]: needs exactly one of pipeline, commands and tasks, found none"}},
		{name: "no body, not active", text: "tasks:\n- {name: a, active: false}\n",
			lenient: []string{"W 3:3: tasks[0]: needs exactly one of pipeline, commands and tasks, found none"},
			strict:  []string{"E 3:3: tasks[0]: needs exactly one of pipeline, commands and tasks, found none"}},
		{name: "two bodies", text: "tasks:\n- name: a\n  commands: [{command: ls}]\n  pipeline: [{command: ls}]\n",
			lenient: []string{"E 3:3: tasks[0]: needs exactly one of pipeline, commands and tasks, found pipeline and commands"}},
		{name: "null body", text: "tasks:\n- pipeline:\n",
			lenient: []string{"E 3:3: tasks[0]: needs exactly one of pipeline, commands and tasks, found none"}},
		{name: "empty body", text: "tasks:\n- pipeline: []\n",
			lenient: []string{`E 3:13: tasks[0]: "pipeline" is an empty list`}},
		{name: "body of nothing", text: "tasks:\n- commands: [~]\n",
			lenient: []string{`E 3:13: tasks[0]: "commands" is an empty list`, `W 3:14: tasks[0].commands[0]: an empty element (remove the lone "-")`},
			strict: []string{`E 3:13: tasks[0]: "commands" is an empty list`,
				`E 3:14: tasks[0].commands[0]: an empty element (remove the lone "-")`}},
		{name: "empty element", text: "tasks:\n-\n- commands: [{command: ls}]\n",
			lenient: []string{`W 3:2: tasks[0]: an empty element (remove the lone "-")`},
			strict:  []string{`E 3:2: tasks[0]: an empty element (remove the lone "-")`}},
		{name: "text for a task", text: "tasks: [ls]\n",
			lenient: []string{`E 2:9: tasks[0]: a task (a map with a pipeline, commands or tasks) is needed here, not "ls"`}},
		{name: "no tasks", text: "tasks:\n", lenient: []string{"W 2:7: no tasks: there is nothing to run"}},
		{name: "tasks absent", text: "vars: []\n", lenient: []string{"W 1:1: no tasks: there is nothing to run"}},
		{name: "same name", text: "tasks:\n- {name: a, commands: [{command: ls}]}\n- {name: a, commands: [{command: ls}]}\n",
			lenient: []string{`E 4:10: tasks[1]: the name "a" is taken by the task on line 3 (one would overwrite the artifacts of the other)`}},
		{name: "same name, one not active", text: "tasks:\n- {name: a, commands: [{command: ls}]}\n- {name: a, active: no, commands: [{command: ls}]}\n",
			lenient: []string{`W 4:10: tasks[1]: the name "a" is taken by the task on line 3 (one would overwrite the artifacts of the other)`},
			strict:  []string{`E 4:10: tasks[1]: the name "a" is taken by the task on line 3 (one would overwrite the artifacts of the other)`}},
		{name: "default name taken", text: "tasks:\n- {name: task-2, commands: [{command: ls}]}\n- {commands: [{command: ls}]}\n",
			lenient: []string{`E 4:3: tasks[1]: the name "task-2" is taken by the task on line 3 (one would overwrite the artifacts of the other)`}},
		{name: "nested siblings", text: "tasks:\n- tasks:\n  - {name: b, commands: [{command: ls}]}\n  - {name: b, commands: [{command: ls}]}\n",
			lenient: []string{`E 5:12: tasks[0].tasks[1]: the name "b" is taken by the task on line 4 (one would overwrite the artifacts of the other)`}},
		{name: "a group may share a name with its child", text: "tasks:\n- name: a\n  tasks:\n  - {name: a, commands: [{command: ls}]}\n"},
		{name: "same artifacts", text: "tasks:\n- {name: a, commands: [{command: ls}]}\n- name: g\n  tasks:\n  - {name: a, commands: [{command: ls}]}\n",
			lenient: []string{`W 6:12: tasks[1].tasks[0]: the task "a" writes the same artifacts as the one on line 3 (give it another name)`},
			strict:  []string{`E 6:12: tasks[1].tasks[0]: the task "a" writes the same artifacts as the one on line 3 (give it another name)`}},
		{name: "same artifacts, not active", text: "tasks:\n- {name: a, commands: [{command: ls}]}\n- name: g\n  active: false\n  tasks:\n  - {name: a, commands: [{command: ls}]}\n"},
		{name: "same artifacts in a fork", text: "tasks:\n- name: a\n  pipeline:\n  - command: ls\n  - fork:\n    - {name: a, pipeline: [{command: wc}]}\n",
			lenient: []string{`W 7:14: tasks[0].pipeline[1].fork[0]: the task "a" writes the same artifacts as the one on line 3 (give it another name)`},
			strict:  []string{`E 7:14: tasks[0].pipeline[1].fork[0]: the task "a" writes the same artifacts as the one on line 3 (give it another name)`}},
		{name: "in a foreach the line tells them apart", text: "tasks:\n- name: a\n  pipeline:\n  - command: ls\n  - foreach:\n    - {name: a, pipeline: [{command: wc}]}\n"},
		{name: "same artifacts of two loops", text: "tasks:\n- name: a\n  pipeline:\n  - command: ls\n  - foreach: [{name: x, commands: [{command: wc}]}]\n" +
			"- name: b\n  pipeline:\n  - command: ls\n  - foreach: [{name: x, commands: [{command: wc}]}]\n",
			lenient: []string{`W 10:22: tasks[1].pipeline[1].foreach[0]: the task "x" writes the same artifacts as the one on line 6 (give it another name)`},
			strict:  []string{`E 10:22: tasks[1].pipeline[1].foreach[0]: the task "x" writes the same artifacts as the one on line 6 (give it another name)`}},
		{name: "same artifacts, stage not active", text: "tasks:\n- name: a\n  pipeline:\n  - command: ls\n  - active: false\n    fork:\n    - {name: a, pipeline: [{command: wc}]}\n"},
		{name: "slash in a name", text: "tasks: [{name: a/b, commands: [{command: ls}]}]\n",
			lenient: []string{`E 2:16: tasks[0]: the name "a/b" must not contain '/': files are named after the task`}},
		{name: "line break in a name", text: "tasks: [{name: \"a\\nb\", commands: [{command: ls}]}]\n",
			lenient: []string{`E 2:16: tasks[0]: the name "a\nb" must not contain '\n': files are named after the task`}},
		{name: "NUL in a name", text: "tasks: [{name: \"a\\0b\", commands: [{command: ls}]}]\n",
			lenient: []string{`E 2:16: tasks[0].name: a text with a NUL byte cannot be passed on`}},
		{name: "name is a dot", text: "tasks: [{name: ., commands: [{command: ls}]}]\n",
			lenient: []string{`E 2:16: tasks[0]: "." cannot be a name: files are named after the task`}},
		{name: "name is two dots", text: "tasks: [{name: .., commands: [{command: ls}]}]\n",
			lenient: []string{`E 2:16: tasks[0]: ".." cannot be a name: files are named after the task`}},
		{name: "long name", text: "tasks: [{name: " + long + ", commands: [{command: ls}]}]\n",
			lenient: []string{`E 2:16: tasks[0]: a name of 102 bytes is longer than 100`}},
		{name: "longest name", text: "tasks: [{name: " + long[:100] + ", commands: [{command: ls}]}]\n"},
		{name: "on_upstream_failure", text: "tasks: [{on_upstream_failure: drian, pipeline: [{command: ls}]}]\n",
			lenient: []string{`E 2:31: tasks[0].on_upstream_failure: "drian" is not one of "kill", "terminate", "drain" (did you mean "drain"?)`}},
		{name: "empty boolean", text: "tasks: [{active: , commands: [{command: ls}]}]\n",
			lenient: []string{`W 2:18: tasks[0].active: empty: read as false (write true or false)`},
			strict:  []string{`E 2:18: tasks[0].active: empty: read as false (write true or false)`}},
		{name: "numbers", text: "tasks: [{timeout: -1, kill_after: 1e3, commands: [{command: ls, timeout: x}], retries: {max: -1, backoff: .nan}}]\n",
			lenient: []string{
				`E 2:19: tasks[0].timeout: "-1" is too small (at least 0)`,
				`E 2:35: tasks[0].kill_after: a number of seconds or a duration such as 10m, 1h30m or PT10M is needed here, not "1e3"`,
				`E 2:74: tasks[0].commands[0].timeout: a number of seconds or a duration such as 10m, 1h30m or PT10M is needed here, not "x"`,
				`E 2:94: tasks[0].retries.max: "-1" is too small (at least 0)`,
				`E 2:107: tasks[0].retries.backoff: ".nan" is too large`,
			}},
	})
}

func TestStageRules(t *testing.T) {
	t.Parallel()
	pipeline := func(stages ...string) string {
		return "tasks:\n- pipeline:\n  - " + strings.Join(stages, "\n  - ") + "\n"
	}
	const body = "[{name: b, commands: [{command: ls}]}]"
	const branch = "[{name: b, pipeline: [{command: wc}]}]"
	checkRules(t, []rule{
		{name: "good", text: pipeline("command: ls", "foreach: "+body, "command: sort", "nulldev:")},
		{name: "fork last", text: pipeline("command: ls", "fork: "+branch)},
		{name: "nothing in it", text: pipeline("name: x"),
			lenient: []string{"E 4:5: tasks[0].pipeline[0]: needs exactly one of command, foreach, fork and nulldev, found none"}},
		{name: "nothing in it, not active", text: pipeline("active: false", "command: ls"),
			lenient: []string{"W 4:5: tasks[0].pipeline[0]: needs exactly one of command, foreach, fork and nulldev, found none"},
			strict:  []string{"E 4:5: tasks[0].pipeline[0]: needs exactly one of command, foreach, fork and nulldev, found none"}},
		{name: "two in it", text: pipeline("command: ls", "{command: ls, nulldev: }"),
			lenient: []string{"E 5:5: tasks[0].pipeline[1]: needs exactly one of command, foreach, fork and nulldev, found command and nulldev"}},
		{name: "args alone", text: pipeline("args: x"),
			lenient: []string{`E 4:11: tasks[0].pipeline[0]: "args" without a command`}},
		{name: "args alone in commands", text: "tasks: [{commands: [{args: x}]}]\n",
			lenient: []string{`E 2:28: tasks[0].commands[0]: "args" without a command`}},
		{name: "no command in commands", text: "tasks: [{commands: [{name: x}]}]\n",
			lenient: []string{`E 2:21: tasks[0].commands[0]: "command" is missing`}},
		{name: "empty command", text: pipeline(`command: " "`),
			lenient: []string{`E 4:14: tasks[0].pipeline[0]: "command" is empty`}},
		{name: "foreach in commands", text: "tasks: [{commands: [{command: ls, foreach: []}]}]\n",
			lenient: []string{`W 2:35: tasks[0].commands[0]: unknown key "foreach" (foreach belongs in a pipeline)`},
			strict:  []string{`E 2:35: tasks[0].commands[0]: unknown key "foreach" (foreach belongs in a pipeline)`}},
		{name: "keys of a command beside foreach", text: pipeline("command: ls", "{foreach: "+body+", venv: x}"),
			lenient: []string{`W 5:55: tasks[0].pipeline[1]: "venv" says nothing beside "foreach": it is ignored`},
			strict:  []string{`E 5:55: tasks[0].pipeline[1]: "venv" says nothing beside "foreach": it is ignored`}},
		{name: "concurrency beside a command", text: pipeline("{command: ls, concurrency: 2}"),
			lenient: []string{`W 4:19: tasks[0].pipeline[0]: "concurrency" says nothing beside "command": it is ignored`},
			strict:  []string{`E 4:19: tasks[0].pipeline[0]: "concurrency" says nothing beside "command": it is ignored`}},
		{name: "concurrency of none", text: pipeline("command: ls", "{foreach: "+body+", concurrency: 0}"),
			lenient: []string{`E 5:68: tasks[0].pipeline[1].concurrency: "0" is too small (at least 1)`}},
		{name: "foreach first", text: pipeline("foreach: " + body),
			lenient: []string{"E 4:5: tasks[0].pipeline[0]: foreach cannot be the first stage: it has no lines to read"}},
		{name: "foreach first among the active", text: pipeline("{command: ls, active: false}", "foreach: "+body),
			lenient: []string{"E 5:5: tasks[0].pipeline[1]: foreach cannot be the first stage: it has no lines to read"}},
		{name: "foreach first in a branch", text: pipeline("command: ls", "fork: [{name: x, pipeline: [{foreach: "+body+"}]}]")},
		{name: "foreach first in a loop", text: pipeline("command: ls", "foreach: [{name: x, pipeline: [{foreach: "+body+"}]}]"),
			lenient: []string{"E 5:36: tasks[0].pipeline[1].foreach[0].pipeline[0]: foreach cannot be the first stage: it has no lines to read"}},
		{name: "foreach first in a loop in a branch", text: pipeline("command: ls", "fork: [{name: x, pipeline: [{command: ls}, {foreach: [{name: y, pipeline: [{foreach: "+body+"}]}]}]}]"),
			lenient: []string{"E 5:80: tasks[0].pipeline[1].fork[0].pipeline[1].foreach[0].pipeline[0]: foreach cannot be the first stage: it has no lines to read"}},
		{name: "empty foreach", text: pipeline("command: ls", "foreach: []"),
			lenient: []string{`E 5:14: tasks[0].pipeline[1]: "foreach" is an empty list`}},
		{name: "fork first", text: pipeline("fork: " + branch),
			lenient: []string{"E 4:5: tasks[0].pipeline[0]: fork cannot be the first stage: it has nothing to read"}},
		{name: "fork in the middle", text: pipeline("command: ls", "fork: "+branch, "command: wc"),
			lenient: []string{"E 5:5: tasks[0].pipeline[1]: fork must be the last stage of its pipeline (put what follows into the branches)"}},
		{name: "fork, then nothing active", text: pipeline("command: ls", "fork: "+branch, "{command: wc, active: false}")},
		{name: "branch with commands", text: pipeline("command: ls", "fork: "+body),
			lenient: []string{"E 5:12: tasks[0].pipeline[1].fork[0]: a branch of a fork needs a pipeline"}},
		{name: "branch with tasks", text: pipeline("command: ls", "fork: [{name: t, tasks: "+body+"}]"),
			lenient: []string{"E 5:12: tasks[0].pipeline[1].fork[0]: a branch of a fork needs a pipeline"}},
		{name: "nulldev first", text: pipeline("nulldev:"),
			lenient: []string{"E 4:5: tasks[0].pipeline[0]: nulldev cannot be the first stage: it has nothing to read"}},
		{name: "nulldev in the middle", text: pipeline("command: ls", "nulldev:", "command: wc"),
			lenient: []string{"E 5:5: tasks[0].pipeline[1]: nulldev must be the last stage of its pipeline"}},
		{name: "nulldev with a value", text: pipeline("command: ls", "nulldev: 3"),
			lenient: []string{"W 5:14: tasks[0].pipeline[1].nulldev: nulldev takes no value"},
			strict:  []string{"E 5:14: tasks[0].pipeline[1].nulldev: nulldev takes no value"}},
		{name: "nulldev with description", text: pipeline("command: ls", "{nulldev: , description: x, active: false}")},
	})
}

func TestProjectRules(t *testing.T) {
	t.Parallel()
	const tasks = "tasks: [{commands: [{command: ls}]}]\n"
	checkRules(t, []rule{
		{name: "extension", text: tasks + "x-anything: [1]\n"},
		{name: "nulls", text: tasks + "description:\ninstalls:\nvars: ~\nenvs: null\nsecrets:\nfiles:\ndeploy:\nschedules:\ntimeout:\n"},
		{name: "key twice", text: tasks + "timeout: 1\ntimeout: 2\n",
			lenient: []string{`W 4:1: the key "timeout" is given on line 3 already; the last one counts`},
			strict:  []string{`E 4:1: the key "timeout" is given on line 3 already; the last one counts`}},
		{name: "var without key", text: tasks + "vars: [{value: 1}, {key: , value: 1}, {key: '', value: 1}]\n",
			lenient: []string{`E 3:8: vars[0]: "key" is missing`, `E 3:26: vars[1]: "key" is missing`, `E 3:45: vars[2]: "key" is empty`}},
		{name: "var names", text: tasks + "vars: [{key: a-b}, {key: 1a}, {key: _line}, {key: _stage-}, {key: work_dir}, {key: _a1}]\n",
			lenient: []string{
				`W 3:14: vars[0]: "a-b" is not a name that a template can use (letters, digits and _)`,
				`W 3:26: vars[1]: "1a" is not a name that a template can use (letters, digits and _)`,
				`W 3:37: vars[2]: "_line" is reserved: handoff sets it itself (choose another name)`,
				`W 3:51: vars[3]: "_stage-" is reserved: handoff sets it itself (choose another name)`,
				`W 3:67: vars[4]: "work_dir" is reserved: handoff sets it itself (choose another name)`,
			}},
		{name: "var twice", text: tasks + "vars: [{key: a, value: 1}, {key: a, value: 2}]\n",
			lenient: []string{`W 3:28: vars[1]: "a" is given on line 3 already; the last one counts`},
			strict:  []string{`E 3:28: vars[1]: "a" is given on line 3 already; the last one counts`}},
		{name: "env names", text: tasks + "envs: [{key: A=B}, {key: a-b}, {key: A, value: [1]}]\n",
			lenient: []string{
				`E 3:14: envs[0]: the key "A=B" cannot be the name of a variable`,
				`E 3:48: envs[2].value: a text is needed here, not a list`,
				`W 3:26: envs[1]: "a-b" is not a name that a shell can use (letters, digits and _)`,
			}},
		{name: "env value", text: tasks + "envs: [{key: A, value: '{{ a }}'}, {key: B, value: '{a}'}]\n",
			lenient: []string{
				`W 3:24: envs[0]: the value of an environment variable is no template: it is passed on as it is (leave out the value to take the secret of that key, or use the variable in the command itself)`,
			}},
		{name: "secret level", text: tasks + "secrets: [{key: a, level: group}, {key: b, level: Resource Group}]\n",
			lenient: []string{`W 3:27: secrets[0].level: "group" is not one of "task", "resource group"`},
			strict:  []string{`E 3:27: secrets[0].level: "group" is not one of "task", "resource group"`}},
		{name: "globs", text: tasks + "files: {raw: ['a[', /etc/*, ../x, dbt/**]}\n",
			lenient: []string{
				`E 3:15: files.raw[0]: "a[" is not a glob: syntax error in pattern`,
				`E 3:21: files.raw[1]: "/etc/*" leads out of files/ (globs are relative to files/)`,
				`E 3:29: files.raw[2]: "../x" leads out of files/ (globs are relative to files/)`,
			}},
		{name: "deploy numbers", text: tasks + "deploy: {cpu: 0, memory: 2GB, storage: '21'}\n",
			lenient: []string{
				`E 3:15: deploy.cpu: "0" is too small (at least 1)`,
				`E 3:26: deploy.memory: a whole number is needed here, not "2GB"`,
			}},
		{name: "old spellings", text: tasks + "deploy: {provider: aws, platform: fargate}\n"},
		{name: "old spelling against new", text: tasks + "deploy: {provider: aws, cloud_provider: gcp}\n",
			lenient: []string{`W 3:20: deploy: "provider" says something else than "cloud_provider", which counts`},
			strict:  []string{`E 3:20: deploy: "provider" says something else than "cloud_provider", which counts`}},
		{name: "unknown provider", text: tasks + "deploy: {cloud_provider: asw}\n",
			lenient: []string{`W 3:26: deploy.cloud_provider: "asw" is not one of "local", "aws", "gcp", "azure", "kubernetes" (did you mean "aws"?)`},
			strict:  []string{`E 3:26: deploy.cloud_provider: "asw" is not one of "local", "aws", "gcp", "azure", "kubernetes" (did you mean "aws"?)`}},
		{name: "further deploy keys", text: tasks + "deploy: {container_provider: docker, memroy: 1}\n",
			lenient: []string{`W 3:38: deploy: unknown key "memroy" (did you mean "memory"?)`},
			strict: []string{
				`E 3:10: deploy: unknown key "container_provider"`,
				`E 3:38: deploy: unknown key "memroy" (did you mean "memory"?)`,
			}},
		{name: "deploy env", text: tasks + "deploy: {env: {'A=B': 1, C: [2]}}\n",
			lenient: []string{
				`E 3:16: deploy.env["A=B"]: the key "A=B" cannot be the name of a variable`,
				`E 3:29: deploy.env.C: a text is needed here, not a list`,
			}},
		{name: "schedule in the old way", text: tasks + "schedule: {target_id: 1, cron: 0 0 * * *}\n",
			lenient: []string{`W 3:11: schedule: "schedule" is an old spelling (write "schedules" with a list)`}},
		{name: "no target", text: tasks + "schedules: [{cron: 0 0 * * *}]\n",
			lenient: []string{`W 3:13: schedules[0]: "target_id" is missing`},
			strict:  []string{`E 3:13: schedules[0]: "target_id" is missing`}},
		{name: "same target", text: tasks + "schedules: [{target_id: 1, cron: 0 0 * * *}, {target_id: '1', cron: 0 1 * * *}]\n",
			lenient: []string{`W 3:46: schedules[1]: "1" is given on line 3 already; the last one counts`},
			strict:  []string{`E 3:46: schedules[1]: "1" is given on line 3 already; the last one counts`}},
		{name: "cron", text: tasks + "schedules: [{target_id: 1, cron: ''}, {target_id: 2}, {target_id: 3, cron: x, timezone: ' '}]\n",
			lenient: []string{
				`E 3:34: schedules[0]: "cron" is empty`,
				`E 3:39: schedules[1]: "cron" is missing`,
				`E 3:89: schedules[2]: "timezone" is empty`,
			}},
		{name: "installs", text: tasks + "installs: [{venv: x}, {command: ''}]\n",
			lenient: []string{`E 3:12: installs[0]: "command" is missing`, `E 3:33: installs[1]: "command" is empty`}},
	})
}

func TestStateRules(t *testing.T) {
	t.Parallel()
	checkRules(t, []rule{
		{name: "fine", text: "tasks: [{name: a, state: true, pipeline: [{command: tap}, {command: target}, {nulldev: , active: false}]}]\n"},
		{name: "off", text: "tasks: [{name: a, state: false, commands: [{command: ls}]}]\n"},
		{name: "not active", text: "tasks: [{name: a, active: false, state: true, commands: [{command: ls}]}]\n"},
		{name: "commands", text: "tasks: [{name: a, state: true, commands: [{command: ls}]}]\n",
			lenient: []string{"E 2:26: tasks[0]: a state belongs to a pipeline"}},
		{name: "nobody prints", text: "tasks: [{name: a, state: {}, pipeline: [{command: tap}, {nulldev: }]}]\n",
			lenient: []string{"E 2:26: tasks[0]: the last stage must be a command: the one that prints the states"}},
		{name: "no file", text: "tasks: [{name: a, stdout_to_file: false, state: yes, pipeline: [{command: tap}]}]\n",
			lenient: []string{"E 2:49: tasks[0]: a state is found in the standard output of the last stage: it needs stdout_to_file"}},
		{name: "in a loop", text: "tasks: [{pipeline: [{command: ls}, {foreach: [{name: a, state: true, pipeline: [{command: tap}]}]}]}]\n"},
		{name: "with the run", text: "tasks: [{pipeline: [{command: ls}, {foreach: [{name: a, state: {commit: run}, pipeline: [{command: tap}]}]}]}]\n"},
		{name: "in a fork", text: "tasks: [{pipeline: [{command: ls}, {fork: [{name: a, state: true, pipeline: [{command: tap}]}]}]}]\n"},
		{name: "in a fork of a body that is read", text: "tasks: [{pipeline: [{command: ls}, {foreach: [{pipeline: [{command: ls}, {fork: [{name: a, state: true, pipeline: [{command: tap}]}]}]}]}, {command: cat}]}]\n"},
		{name: "read by a further stage", text: "tasks: [{pipeline: [{command: ls}, {foreach: [{name: a, state: true, pipeline: [{command: tap}]}]}, {command: cat}]}]\n",
			lenient: []string{`E 2:36: tasks[0].pipeline[1]: the pipeline "a" in this foreach has a state, but a further stage reads what it prints (its state is found in its artifact: let the target be in the body, and the foreach be the last stage)`}},
		{name: "thrown away by a further stage", text: "tasks: [{pipeline: [{command: ls}, {foreach: [{tasks: [{pipeline: [{command: ls}, {foreach: [{name: a, state: true, pipeline: [{command: tap}]}]}]}]}]}, {nulldev: }]}]\n",
			lenient: []string{`E 2:36: tasks[0].pipeline[1]: the pipeline "a" in this foreach has a state, but a further stage reads what it prints (its state is found in its artifact: let the target be in the body, and the foreach be the last stage)`}},
		{name: "no body", text: "tasks: [{name: a, state: {commit: body}, pipeline: [{command: tap}]}]\n",
			lenient: []string{`E 2:26: tasks[0]: commit: body says nothing outside of a foreach (the state is committed when the whole run has succeeded)`}},
		{name: "early and late", text: "tasks: [{name: a, state: {commit: run, checkpoint: true}, pipeline: [{command: tap}]}]\n",
			lenient: []string{`E 2:26: tasks[0]: checkpoint: true commits the state before the run has succeeded, which commit: run does not want (leave out one of them)`}},
		{name: "named like a line", text: "tasks: [{name: a@x-0123456789abcdef, state: true, pipeline: [{command: tap}]}]\n",
			lenient: []string{`E 2:45: tasks[0]: "a@x-0123456789abcdef" is how the state of one line of a foreach is named (give the pipeline another name)`}},
	})
	if got := problems(t, "version: 0.4\ntasks:\n- name: a\n  state: true\n  pipeline: [{command: tap}]\n- name: b\n  tasks:\n  - name: a\n    state: true\n    pipeline: [{command: tap}]\n"); len(got) < 1 || !strings.Contains(strings.Join(got, "\n"), "has a state under this name already") {
		t.Errorf("two of one name: %q", got)
	}
	in := "version: 1\ntasks:\n- {name: a, state: true, pipeline: [{command: tap}]}\n- {name: b, pipeline: [{command: ls}, {%s: [{name: a, state: true, pipeline: [{command: tap}]}]}]}\n"
	for _, kind := range []string{"foreach", "fork"} {
		if got := problems(t, fmt.Sprintf(in, kind)); !strings.Contains(strings.Join(got, "\n"), "has a state under this name already") {
			t.Errorf("two of one name, one in a %s: %q", kind, got)
		}
	}
}
