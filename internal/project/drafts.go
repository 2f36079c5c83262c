package project

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// draft is a project while it is read: what needs a second look before it is one.
type draft struct {
	Project
	deploy    deployDraft
	schedules []Schedule
	schedule  []Schedule // of the old key
}

// deployDraft has the older spellings beside the keys that they stand for.
type deployDraft struct {
	Deploy
	provider, platform string
}

// taskDraft remembers where things stand that are checked together with the siblings.
type taskDraft struct {
	Task
	at, nameAt value
	leaves     int // how many leaves the decoder knew before this task
}

// stageDraft has the parts of a command before they are joined.
type stageDraft struct {
	Stage
	command    Command
	text, args string
	at         value
	leaves     int
}

// leaf is a task that writes artifacts.
type leaf struct {
	artifact string // equal for two tasks that would write the same file
	at       value
}

func prepareTask(d *decoder, into any, v value) {
	*into.(*taskDraft) = taskDraft{
		Task: Task{
			Pos: d.pos(v.node), Active: true, Retries: Retries{Backoff: 1},
			StdoutToFile: true, StderrToFile: true,
		},
		at: v, nameAt: v, leaves: len(d.leaves),
	}
}

func prepareStage(d *decoder, into any, v value) {
	*into.(*stageDraft) = stageDraft{
		Stage:   Stage{Pos: d.pos(v.node), Active: true, Concurrency: 1},
		command: Command{Shell: "/bin/sh"},
		at:      v, leaves: len(d.leaves),
	}
}

// setCommand notes the text of a command and where it begins.
func setCommand(d *decoder, into any, v value) {
	s := into.(*stageDraft)
	s.text, _ = d.text(v)
	s.command.Pos = d.textStart(v.node)
}

// textStart returns where the text of a scalar begins, behind its quote or under its block marker.
func (d *decoder) textStart(n *yaml.Node) Pos {
	at := d.pos(n)
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		at.Line++
		line := d.src.line(at.Line)
		at.Column = 1 + len(line) - len(strings.TrimLeft(line, " "))
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		at.Column++
	}
	return at
}

func setName(d *decoder, into any, v value) {
	t := into.(*taskDraft)
	if name, ok := d.text(v); ok {
		t.Name, t.nameAt = name, value{v.node, t.at.path}
	}
}

func setNull(d *decoder, into any, v value) {
	into.(*stageDraft).Null = true
	got, _ := d.anything(v)
	if empty, isMap := got.(map[string]any); got != nil && got != true && (!isMap || len(empty) > 0) {
		d.legacy(v, "nulldev takes no value", "")
	}
}

// taskList takes a list of tasks.
func taskList[T any](c *catalog, at func(*T) *[]Task) field {
	return field{kind: listKind, of: c.task, set: func(d *decoder, into any, v value) {
		*at(into.(*T)) = d.tasks(v, c)
	}}
}

func (d *decoder) tasks(v value, c *catalog) []Task {
	return d.siblings(objects[taskDraft](d, v, c.task))
}

// setForeach reads the body of a loop, in which artifacts carry the line in their names.
func setForeach(c *catalog) func(*decoder, any, value) {
	return func(d *decoder, into any, v value) {
		d.loops++
		into.(*stageDraft).Foreach = d.tasks(v, c)
		d.loops--
	}
}

// setFork reads branches, whose first stage has something to read.
func setFork(c *catalog) func(*decoder, any, value) {
	return func(d *decoder, into any, v value) {
		d.branch = true
		branches := objects[taskDraft](d, v, c.task)
		d.branch = false
		for _, b := range branches {
			if len(b.Commands) > 0 || len(b.Tasks) > 0 {
				d.fail(b.at, "a branch of a fork needs a pipeline", "")
			}
		}
		into.(*stageDraft).Fork = d.siblings(branches)
	}
}

func setPipeline(c *catalog) func(*decoder, any, value) {
	return func(d *decoder, into any, v value) {
		branch := d.branch
		d.branch = false
		stages := objects[stageDraft](d, v, c.stage)
		d.branch = branch
		d.checkOrder(stages, branch)
		for _, s := range stages {
			d.checkExpected(s)
		}
		into.(*taskDraft).Pipeline = joined(stages)
	}
}

func setCommands(c *catalog) func(*decoder, any, value) {
	return func(d *decoder, into any, v value) {
		into.(*taskDraft).Commands = joined(objects[stageDraft](d, v, c.command))
	}
}

func joined(drafts []stageDraft) []Stage {
	if len(drafts) == 0 {
		return nil
	}
	out := make([]Stage, len(drafts))
	for i, s := range drafts {
		out[i] = s.Stage
	}
	return out
}

func setVarValue(d *decoder, into any, v value) {
	to := into.(*Var)
	if to.Value, _ = d.anything(v); v.node.Kind == yaml.ScalarNode && to.Value != nil {
		to.Text = v.node.Value
	}
}

func setEnvValue(d *decoder, into any, v value) {
	if got, ok := d.text(v); ok {
		into.(*Env).Value = &got
	}
}

// setLevel reads the level of a secret; 0.4.x took every other word for "task".
func setLevel(d *decoder, into any, v value) {
	got, ok := d.text(v)
	if !ok {
		return
	}
	level := strings.ToLower(strings.TrimSpace(got))
	if !slices.Contains(levels(), level) {
		message, hint := notOneOf(got, levels())
		d.legacy(v, message, hint)
		return
	}
	into.(*Secret).Level = level
}

// refuseSecretValue keeps the line out of all messages: it may hold what should be hidden.
func refuseSecretValue(d *decoder, _ any, v value) {
	if isNull(v.node) {
		return
	}
	d.private = append(d.private, v.node.Line)
	d.fail(v, "a value of a secret does not belong in this file", "put it into .secrets/secrets.yml")
}

// setSchedule takes the old key, which is one schedule or a list of them.
func setSchedule(c *catalog) func(*decoder, any, value) {
	return func(d *decoder, into any, v value) {
		d.warn(v, "\"schedule\" is an old spelling", "write \"schedules\" with a list")
		p := into.(*draft)
		switch {
		case isNull(v.node):
		case v.node.Kind == yaml.SequenceNode:
			p.schedule = objects[Schedule](d, v, c.schedule)
		default:
			p.schedule = make([]Schedule, 1)
			d.object(v, c.schedule, &p.schedule[0])
		}
	}
}

func setVersion(d *decoder, into any, v value) {
	got, ok := d.text(v)
	if !ok {
		return
	}
	known := knownVersion(got)
	if known == "" {
		d.fail(v, fmt.Sprintf("the version %s is not known", quote(got)), "known are 0.3, 0.4 and 1")
	}
	into.(*draft).Version = known
}

// knownVersion returns "0.3", "0.4" or "1" for these and their point releases, else "".
func knownVersion(s string) string {
	for _, known := range []string{"0.3", "0.4"} {
		if s == known || strings.HasPrefix(s, known+".") && strings.Trim(s[len(known):], ".0123456789") == "" {
			return known
		}
	}
	if s == "1" || s == "1.0" {
		return "1"
	}
	return ""
}

// takeExtension lets keys pass that begin with x-: they hold anchors.
func takeExtension(_ *decoder, _ any, e entry) bool { return strings.HasPrefix(e.key, "x-") }

// takeDeployExtra keeps further keys of a 0.4.x project, which reads them as its settings. What looks like
// a typing error is kept and reported.
func takeDeployExtra(d *decoder, into any, e entry) bool {
	if d.strict {
		return false
	}
	deploy := into.(*deployDraft)
	if deploy.Extra == nil {
		deploy.Extra = map[string]any{}
	}
	deploy.Extra[e.key], _ = d.anything(e.what)
	return Suggest(e.key, deployShape(nil).names()) == ""
}
