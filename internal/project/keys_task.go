package project

import (
	"time"

	"go.yaml.in/yaml/v4"
)

func taskShape(c *catalog) shape {
	return shape{
		name: "task", what: "a task (a map with a pipeline, commands or tasks)", plural: "tasks",
		doc:     "One node of the tree of work. It has exactly one of `pipeline`, `commands` and `tasks`.",
		oneOf:   taskBodies(),
		prepare: prepareTask,
		check:   checkTask,
		elsewhere: map[string]string{
			"command": "commands stand in a list: pipeline or commands",
			"foreach": "foreach is a stage of a pipeline",
			"fork":    "fork is the last stage of a pipeline",
		},
		keys: append(taskBodyKeys(c), taskPolicyKeys(c)...),
	}
}

func taskBodyKeys(c *catalog) []key {
	return []key{
		{name: "name", field: field{kind: textKind, set: setName}, standard: "task-N, counted among its siblings", example: "fetch_rates",
			doc: "Name, unique among its siblings; artifacts are named after it."},
		{name: "description", field: text(func(t *taskDraft) *string { return &t.Description }), doc: "What it is for."},
		{name: "active", field: boolean(func(t *taskDraft) *bool { return &t.Active }), standard: "true",
			doc: "false skips the task."},
		{name: "pipeline", field: field{kind: listKind, of: c.stage, set: setPipeline(c)}, example: "[{command: cat files/in.txt}, {command: wc -l}]",
			doc: "Stages that run at once, each reading what the one before it writes."},
		{name: "commands", field: field{kind: listKind, of: c.command, set: setCommands(c)}, example: "[{command: mkdir -p out}, {command: ls out}]",
			doc: "Commands that run one after the other, up to the first failure."},
		{name: "tasks", field: taskList(c, func(t *taskDraft) *[]Task { return &t.Tasks }),
			doc: "Tasks that run one after the other."},
	}
}

func taskPolicyKeys(c *catalog) []key {
	return []key{
		{name: "timeout", field: duration(func(t *taskDraft) *time.Duration { return &t.Timeout }), standard: "0 (none)", example: "10m",
			doc: "How long one try of the task may take."},
		{name: "kill_after", field: duration(func(t *taskDraft) *time.Duration { return &t.KillAfter }), standard: "that of the parent, at last 10", example: "30",
			doc: "Grace between the request to end and the kill."},
		{name: "retries", field: retriesField(c.retries), example: "{max: 3, delay: 10s, backoff: 2}",
			doc: "How often a failed task is tried again. `retries: 3` is short for `{max: 3}`."},
		{name: "on_upstream_failure", field: choice([]string{"kill", "terminate", "drain"}, func(t *taskDraft) *string { return &t.OnUpstreamFailure }), standard: "that of the parent, at last kill",
			doc: "What happens to a stage that reads from another one when its input is cut short, by a failure, a timeout or an interrupt. kill: SIGKILL at once, before it can see end-of-file or a request to end. terminate: it sees no end-of-file, but is asked to end (SIGTERM, or SIGINT after a timeout), and killed after kill_after; a loader that commits what it has when it is asked, as those of the Meltano SDK do, then commits a part. drain: after a failure it reads what is there to the end and finishes, as in a shell; otherwise as terminate."},
		{name: "allow_failure", field: boolean(func(t *taskDraft) *bool { return &t.AllowFailure }), standard: "false",
			doc: "Whether the run counts as a success even if this task fails."},
		{name: "kill_downstream_on_fail", field: maybe(func(t *taskDraft) **bool { return &t.KillDownstreamOnFail }), standard: "that of the parent, at last true",
			doc: "Whether a failure stops the tasks after this one."},
		{name: "kill_loop_on_fail", field: maybe(func(t *taskDraft) **bool { return &t.KillLoopOnFail }), standard: "that of the parent, at last true",
			doc: "Whether a failed line stops the lines after it in a foreach."},
		{name: "stdout_to_file", field: boolean(func(t *taskDraft) *bool { return &t.StdoutToFile }), standard: "true",
			doc: "Whether standard output goes to `artifacts/<task>_stdout.log`."},
		{name: "stderr_to_file", field: boolean(func(t *taskDraft) *bool { return &t.StderrToFile }), standard: "true",
			doc: "Whether standard error goes to `artifacts/<task>_stderr.log`."},
		{name: "state", field: stateField(c.state), standard: "false", example: "{checkpoint: true}",
			doc: "Whether the pipeline goes on from where its last good run has ended. `{{ _state_file }}` names a file with the last state; the last STATE line that the last stage prints becomes the next one. In a foreach there is one state for each line."},
	}
}

func stateShape() *shape {
	return &shape{
		name: "state", what: "true, false or a map with checkpoint, backfill and commit",
		doc: "The state of a pipeline of a Singer tap and target; in a foreach there is one for each line. `state: true` is short for an empty map.",
		keys: []key{
			{name: "checkpoint", field: boolean(func(s *State) *bool { return &s.Checkpoint }), standard: "false",
				doc: "Whether a state counts as soon as the target has printed it. Else the last one counts, when the whole run has succeeded, or in a foreach the body."},
			{name: "backfill", field: choice([]string{"skip", "use"}, func(s *State) *string { return &s.Backfill }), standard: "skip",
				doc: "Whether a backfill goes on from the state. skip: each of its runs begins with an empty state, and leaves the state as it is. use: its runs go on one after the other, and advance the state, as others do."},
			{name: "commit", field: choice([]string{"body", "run"}, func(s *State) *string { return &s.Commit }), standard: "body in a foreach, else run",
				doc: "When the state counts. body: when the body of its foreach has succeeded, whatever becomes of the other lines. run: with a run that has succeeded, together with its artifacts; for a target that writes into `artifacts/`."},
		},
	}
}

// stateField takes a map, or true or false.
func stateField(of *shape) field {
	return field{kind: objectKind, of: of, flag: true, set: func(d *decoder, into any, v value) {
		s := &into.(*taskDraft).State
		if v.node.Kind == yaml.ScalarNode && !isNull(v.node) {
			s.On, _ = d.boolean(v)
			return
		}
		s.On = !isNull(v.node)
		d.object(v, of, s)
	}}
}

// retriesField takes a map, or the number of tries.
func retriesField(of *shape) field {
	return field{kind: objectKind, of: of, count: true, set: func(d *decoder, into any, v value) {
		r := &into.(*taskDraft).Retries
		if v.node.Kind == yaml.ScalarNode && !isNull(v.node) {
			r.Max, _ = d.integer(v, 0)
			return
		}
		d.object(v, of, r)
	}}
}

func retriesShape() *shape {
	return &shape{
		name: "retries", what: "a map with max, delay and backoff",
		doc: "How often a failed task is tried again.",
		keys: []key{
			{name: "max", field: integer(0, func(r *Retries) *int { return &r.Max }), standard: "0", example: "3",
				doc: "Further tries after the first."},
			{name: "delay", field: duration(func(r *Retries) *time.Duration { return &r.Delay }), standard: "0", example: "10",
				doc: "Wait before the first further try."},
			{name: "backoff", field: number(1, func(r *Retries) *float64 { return &r.Backoff }), standard: "1", example: "2",
				doc: "Factor on the delay from try to try."},
		},
	}
}

// commandKeys are the keys that run something.
func commandKeys() []key {
	type s = stageDraft
	return []key{
		{name: "command", filled: true, field: field{kind: textKind, set: setCommand}, example: "cat files/in.txt",
			doc: "Shell command; a template."},
		{name: "args", field: text(func(s *s) *string { return &s.args }), example: "--config files/tap.json",
			doc: "Added to the command after a blank; both are rendered as one template."},
		{name: "venv", field: text(func(s *s) *string { return &s.command.Venv }), example: "extractor",
			doc: "Name of the Python virtual environment to run in."},
		{name: "timeout", field: duration(func(s *s) *time.Duration { return &s.command.Timeout }), standard: "0 (none)", example: "60",
			doc: "How long the command may take."},
		{name: "shell", field: text(func(s *s) *string { return &s.command.Shell }), standard: "/bin/sh", example: "/bin/bash",
			doc: "Shell that runs the command."},
		{name: "allow_pipe", field: boolean(func(s *s) *bool { return &s.command.AllowPipe }), standard: "false",
			doc: "Whether a pipe inside of the command may hide a failure: `a | b` in one command succeeds when b does. Without it that is a warning."},
		{name: "wait_for_children", field: boolean(func(s *s) *bool { return &s.command.WaitForChildren }), standard: "false",
			doc: "Whether the command ends only when all that it has started has ended, too. Without it, processes that it leaves behind are ended, and it has failed."},
		{name: "name", field: text(func(s *s) *string { return &s.Name }), standard: "the name of the command's program; of a variable, where that names the program", example: "extract",
			doc: "Name in logs and reports."},
		{name: "description", field: ignoredText(), doc: "What it is for."},
		{name: "active", field: boolean(func(s *s) *bool { return &s.Active }), standard: "true",
			doc: "false takes it out of its list."},
	}
}

// need is a key that says something only beside another.
type need struct{ key, needs string }

func stageNeeds() []need {
	return []need{{"args", "command"}, {"venv", "command"}, {"timeout", "command"}, {"shell", "command"}, {"allow_pipe", "command"}, {"wait_for_children", "command"}, {"expect", "command"}, {"concurrency", "foreach"}}
}

func commandShape() *shape {
	return &shape{
		name: "command", what: "a command (a map with the key command)", plural: "commands",
		doc:     "One command of `commands`.",
		oneOf:   []string{"command"},
		prepare: prepareStage,
		check:   checkStage,
		keys:    commandKeys(),
		elsewhere: map[string]string{
			"expect":  "expect belongs to a command of a pipeline",
			"foreach": "foreach belongs in a pipeline", "fork": "fork belongs in a pipeline", "nulldev": "nulldev belongs in a pipeline",
		},
	}
}

func stageShape(c *catalog) *shape {
	type s = stageDraft
	return &shape{
		name: "stage", what: "a stage (a map with command, foreach, fork or nulldev)", plural: "stages",
		doc: "One element of a `pipeline`. It has exactly one of `command`, `foreach`, `fork` and `nulldev`. " +
			"foreach needs something to read, so it is not the first; fork and nulldev are the last.",
		oneOf:   stageBodies(),
		needs:   stageNeeds(),
		prepare: prepareStage,
		check:   checkStage,
		keys: append(commandKeys(),
			key{name: "expect", field: field{kind: objectKind, of: c.expect, set: func(d *decoder, into any, v value) {
				if !isNull(v.node) {
					into.(*s).Expect = &Expect{}
					d.object(v, c.expect, into.(*s).Expect)
				}
			}}, example: "{rows: {min: 1}, columns: [id]}",
				doc: "What is expected of the records that the command writes. Where they are not so, the run fails before the next stage can see the end of its input."},
			key{name: "foreach", field: field{kind: listKind, of: c.task, set: setForeach(c)}, example: "[{name: load, pipeline: [{command: 'echo {{ _line }}'}]}]",
				doc: "Tasks to run for each line that the stage before writes; the line is `_line` in their templates. Blank lines are skipped."},
			key{name: "concurrency", field: integer(1, func(s *s) *int { return &s.Concurrency }), standard: "1", example: "4",
				doc: "How many lines of a foreach run at a time."},
			key{name: "fork", field: field{kind: listKind, of: c.task, only: "pipeline", set: setFork(c)}, example: "[{pipeline: [{command: wc -l}]}, {pipeline: [{command: md5sum}]}]",
				doc: "Branches that each read a full copy of what the stage before writes. Every branch is a task with a pipeline."},
			key{name: "nulldev", field: field{kind: nothingKind, set: setNull},
				doc: "Discards what the stage before writes. The key stands alone, without a value."},
		),
	}
}

func taskBodies() []string  { return []string{"pipeline", "commands", "tasks"} }
func stageBodies() []string { return []string{"command", "foreach", "fork", "nulldev"} }
