package project

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// maxName is the longest name of a task, in bytes: file names are made of it.
const maxName = 100

// exactlyOne checks the keys of which a map has one, and returns it; "" if that is wrong.
func (d *decoder) exactlyOne(m *mapping, keys []string, live bool) string {
	var found []string
	for _, k := range keys {
		if _, there := m.get(k); m.has(k) || there && k == "nulldev" {
			found = append(found, k)
		}
	}
	if len(found) == 1 {
		return found[0]
	}
	want := alternatives(keys)
	switch {
	case len(found) > 1:
		d.failIf(live, m.value, fmt.Sprintf("needs exactly one of %s, found %s", want, strings.Join(found, " and ")), "")
	case m.has("args"):
		d.failIf(live, m.place("args"), "\"args\" without a command", "")
	case len(keys) == 1:
		d.failIf(live, m.value, fmt.Sprintf("%q is missing", keys[0]), "")
	default:
		d.failIf(live, m.value, fmt.Sprintf("needs exactly one of %s, found none", want), "")
	}
	return ""
}

func alternatives(keys []string) string {
	last := len(keys) - 1
	return strings.Join(keys[:last], ", ") + " and " + keys[last]
}

// notEmpty refuses a list without elements.
func (d *decoder) notEmpty(m *mapping, key string, live bool) {
	e, _ := m.get(key)
	if e.what.node == nil || e.what.node.Kind != yaml.SequenceNode {
		return
	}
	for _, n := range e.what.node.Content {
		if !isNull(target(n)) {
			return
		}
	}
	d.failIf(live, m.place(key), fmt.Sprintf("%q is an empty list", key), "")
}

func checkTask(d *decoder, into any, m *mapping) {
	t := into.(*taskDraft)
	if body := d.exactlyOne(m, m.oneOf, t.Active); body != "" {
		d.notEmpty(m, body, t.Active)
	}
	if t.State.On && t.Active {
		d.checkState(t, m)
	}
	if !t.Active {
		d.leaves = d.leaves[:t.leaves]
	}
}

func checkStage(d *decoder, into any, m *mapping) {
	s := into.(*stageDraft)
	body := d.exactlyOne(m, m.oneOf, s.Active)
	switch body {
	case "command":
		s.join()
	case "foreach", "fork":
		d.notEmpty(m, body, s.Active)
	}
	if body != "" {
		d.misplaced(m, body)
	}
	if !s.Active {
		d.leaves = d.leaves[:s.leaves]
	}
}

// join makes the command of its parts.
func (s *stageDraft) join() {
	s.command.Text = s.text
	if s.args != "" {
		s.command.Text += " " + s.args
	}
	s.Stage.Command = &s.command
}

// misplaced reports keys that say nothing beside this body; 0.4.x ignores them.
func (d *decoder) misplaced(m *mapping, body string) {
	for _, n := range stageNeeds() {
		if e, there := m.get(n.key); there && n.needs != body {
			d.legacy(value{e.at.node, m.path}, fmt.Sprintf("%q says nothing beside %q: it is ignored", n.key, body), "")
		}
	}
}

// checkOrder checks what may stand where in a pipeline. What is not active is not there.
func (d *decoder) checkOrder(stages []stageDraft, branch bool) {
	live := slices.DeleteFunc(slices.Clone(stages), func(s stageDraft) bool { return !s.Active })
	for i, s := range live {
		first, last := i == 0, i == len(live)-1
		switch {
		case s.Foreach != nil && first && !branch:
			d.fail(s.at, "foreach cannot be the first stage: it has no lines to read", "")
		case s.Fork != nil && first:
			d.fail(s.at, "fork cannot be the first stage: it has nothing to read", "")
		case s.Fork != nil && !last:
			d.fail(s.at, "fork must be the last stage of its pipeline", "put what follows into the branches")
		case s.Null && first:
			d.fail(s.at, "nulldev cannot be the first stage: it has nothing to read", "")
		case s.Null && !last:
			d.fail(s.at, "nulldev must be the last stage of its pipeline", "")
		case s.Foreach != nil && !last:
			d.checkRead(s)
		}
	}
}

// siblings completes and checks the names of tasks that stand beside each other.
func (d *decoder) siblings(drafts []taskDraft) []Task {
	if len(drafts) == 0 {
		return nil
	}
	seen := map[string]taskDraft{}
	out := make([]Task, len(drafts))
	for i, t := range drafts {
		if t.Name == "" {
			t.Name = "task-" + strconv.Itoa(i+1)
		}
		if message := badName(t.Name); message != "" {
			d.fail(t.nameAt, message, "")
		}
		if other, twice := seen[t.Name]; twice {
			d.failIf(t.Active && other.Active, t.nameAt, fmt.Sprintf("the name %s is taken by the task on line %d",
				quote(t.Name), other.nameAt.node.Line), "one would overwrite the artifacts of the other")
		} else {
			d.addLeaf(t)
		}
		seen[t.Name] = t
		out[i] = t.Task
	}
	return out
}

func (d *decoder) addLeaf(t taskDraft) {
	if t.Active && (len(t.Pipeline) > 0 || len(t.Commands) > 0) {
		d.leaves = append(d.leaves, leaf{strconv.Itoa(d.loops) + "/" + t.Name, t.nameAt})
	}
}

func badName(name string) string {
	switch {
	case name == "." || name == "..":
		return fmt.Sprintf("%q cannot be a name: files are named after the task", name)
	case len(name) > maxName:
		return fmt.Sprintf("a name of %d bytes is longer than %d", len(name), maxName)
	}
	for _, r := range name {
		if r == '/' || unicode.IsControl(r) {
			return fmt.Sprintf("the name %s must not contain %q: files are named after the task", quote(name), r)
		}
	}
	return ""
}

// checkArtifacts finds tasks of different lists that would write the same files.
func (d *decoder) checkArtifacts() {
	slices.SortStableFunc(d.leaves, func(a, b leaf) int {
		if a.at.node.Line != b.at.node.Line {
			return a.at.node.Line - b.at.node.Line
		}
		return a.at.node.Column - b.at.node.Column
	})
	first := map[string]leaf{}
	for _, l := range d.leaves {
		other, taken := first[l.artifact]
		if !taken {
			first[l.artifact] = l
			continue
		}
		_, name, _ := strings.Cut(l.artifact, "/")
		d.legacy(l.at, fmt.Sprintf("the task %q writes the same artifacts as the one on line %d", name, other.at.node.Line),
			"give it another name")
	}
}

func checkProject(d *decoder, into any, m *mapping) {
	p := into.(*draft)
	if !m.has("version") {
		d.warn(m.value, "no version: read as 0.4", "version: 1 makes unknown keys and undefined variables errors")
		p.Version = "0.4"
	}
	if e, there := m.get("tasks"); len(p.Tasks) == 0 && (!there || e.what.node.Kind != yaml.MappingNode) {
		d.warn(m.place("tasks"), "no tasks: there is nothing to run", "")
	}
	d.checkArtifacts()
	checkStates(d, p.Tasks)
	checkTwice(d, m, "vars", p.Vars, func(v Var) (string, Pos) { return v.Key, v.Pos })
	checkTwice(d, m, "envs", p.Envs, func(v Env) (string, Pos) { return v.Key, v.Pos })
	checkTwice(d, m, "secrets", p.Secrets, func(v Secret) (string, Pos) { return v.Key, v.Pos })
	p.Schedules = append(p.schedules, p.schedule...)
	for i := range p.Schedules {
		if p.Schedules[i].TargetID == "" {
			p.Schedules[i].TargetID = strconv.Itoa(i + 1)
		}
	}
	checkTwice(d, m, "schedules", p.Schedules, func(s Schedule) (string, Pos) { return s.TargetID, s.Pos })
	nameNotify(d, p.Notify)
	p.Deploy = p.deploy.Deploy
}

// checkTwice reports elements of a list that have the same key.
func checkTwice[V any](d *decoder, m *mapping, list string, elements []V, of func(V) (string, Pos)) {
	seen := map[string]int{}
	for i, e := range elements {
		key, pos := of(e)
		at := value{&yaml.Node{Line: pos.Line, Column: pos.Column}, fmt.Sprintf("%s[%d]", list, i)}
		if line, twice := seen[key]; twice && key != "" {
			d.legacy(at, fmt.Sprintf("%s is given on line %d already; the last one counts", quote(key), line), "")
		}
		seen[key] = pos.Line
	}
}

// checkGlob refuses what could never match a file of the project.
func checkGlob(d *decoder, v value, glob string) {
	_, err := path.Match(glob, "")
	switch {
	case err != nil:
		d.fail(v, fmt.Sprintf("%s is not a glob: %v", quote(glob), err), "")
	case path.IsAbs(glob), slices.Contains(strings.Split(glob, "/"), ".."):
		d.fail(v, quote(glob)+" leads out of files/", "globs are relative to files/")
	}
}

// checkVar checks a variable by itself, and gives its value the type.
func checkVar(d *decoder, into any, m *mapping) {
	v := into.(*Var)
	checkVarKey(d, m, v.Key)
	if m.has("value") && m.has("default") {
		d.fail(m.place("default"), "\"value\" and \"default\" say the same", "leave out one of them")
	}
	if len(v.Enum) > 0 && v.Type == "" {
		v.Type = "text"
	}
	for i, word := range v.Enum {
		choice := Var{Type: v.Type}
		if _, err := choice.Parse(word); err != nil {
			d.fail(m.place("enum"), fmt.Sprintf("enum[%d]: %v", i, err), "")
		}
	}
	at := m.place("value")
	if !m.has("value") {
		at = m.place("default")
	}
	got, err := v.typed()
	if err != nil {
		d.fail(at, err.Error(), "")
		return
	}
	*v = got
}

func checkVarKey(d *decoder, m *mapping, key string) {
	switch {
	case strings.TrimSpace(key) == "": // reported as such
	case isReserved(key):
		d.warn(m.place("key"), fmt.Sprintf("%q is reserved: handoff sets it itself", key), "choose another name")
	case !isIdentifier(key):
		d.warn(m.place("key"), quote(key)+" is not a name that a template can use", "letters, digits and _")
	}
}

// checkEnv warns of a value that looks like a template: a command would find the braces in its environment.
func checkEnv(d *decoder, m *mapping, e *Env) {
	checkEnvKey(d, m, e.Key)
	if e.Value != nil && (strings.Contains(*e.Value, "{{") || strings.Contains(*e.Value, "{%")) {
		d.warn(m.place("value"), "the value of an environment variable is no template: it is passed on as it is",
			"leave out the value to take the secret of that key, or use the variable in the command itself")
	}
}

func checkEnvKey(d *decoder, m *mapping, key string) {
	if strings.TrimSpace(key) != "" { // reported otherwise
		d.checkEnvName(m.place("key"), key)
	}
}

// checkEnvName refuses a name that no environment can hold.
func (d *decoder) checkEnvName(at value, name string) {
	switch {
	case name == "", strings.Contains(name, "="):
		d.fail(at, fmt.Sprintf("the key %s cannot be the name of a variable", quote(name)), "")
	case !isIdentifier(name):
		d.warn(at, quote(name)+" is not a name that a shell can use", "letters, digits and _")
	}
}

func isReserved(key string) bool {
	return slices.Contains([]string{
		"_stage", "_stage_", "_stage-", "__stage", "__stage_", "_today", "_yesterday", "_tomorrow",
		"_line", "_line_safe", "_run_id", "_state_file", "_client", "work_dir",
	}, key)
}

func isIdentifier(s string) bool {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return s != ""
}

func checkDeploy(d *decoder, into any, m *mapping) {
	deploy := into.(*deployDraft)
	d.preferred(m, "cloud_provider", &deploy.CloudProvider, "provider", deploy.provider)
	d.preferred(m, "cloud_platform", &deploy.CloudPlatform, "platform", deploy.platform)
}

// preferred takes the value of an older spelling where the newer one is absent.
func (d *decoder) preferred(m *mapping, name string, at *string, old, other string) {
	switch {
	case other == "" || *at == other:
	case *at == "":
		*at = other
	default:
		d.legacy(m.place(old), fmt.Sprintf("%q says something else than %q, which counts", old, name), "")
	}
}

func checkSchedule(_ *decoder, into any, _ *mapping) {
	defaultZone(into.(*Schedule))
}

func defaultZone(s *Schedule) {
	if s.Timezone == "" {
		s.Timezone = "UTC"
	}
}

// lineOne is a place to point at in a file that has nothing better.
func lineOne() *yaml.Node { return &yaml.Node{Line: 1, Column: 1} }
