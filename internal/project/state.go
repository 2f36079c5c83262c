package project

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"
)

const (
	maxStateName = 120 // bytes
	maxLinePart  = 40  // of them, what can be read of a line
	hashDigits   = 16
)

// StateName is the name under which the state of a pipeline is kept: that of the pipeline, and in a foreach a part of the innermost
// line and a hash of all lines, outermost first. Names differ where pipelines or lines do, also where case is ignored, and have no "/".
func StateName(task string, lines []string) string {
	if len(lines) == 0 {
		return task
	}
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n"))) // which no line contains
	hash := hex.EncodeToString(sum[:])[:hashDigits]
	room := min(maxLinePart, maxStateName-len(task)-len(hash)-2)
	return task + "@" + plainPart(lines[len(lines)-1], room) + "-" + hash
}

// PipelineOf returns the name of the pipeline whose state has this name, and whether it is that of a line.
func PipelineOf(stateName string) (task string, line bool) {
	if !isLineState(stateName) {
		return stateName, false
	}
	return stateName[:strings.LastIndexByte(stateName, '@')], true
}

var lineState = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`.@[A-Za-z0-9._-]*-[0-9a-f]{16}$`) })

func isLineState(name string) bool { return lineState().MatchString(name) }

// plainPart is a text of at most room bytes in which every run of other characters than those of a plain word is one "_".
func plainPart(text string, room int) string {
	var b strings.Builder
	gap := false
	for i := 0; i < len(text) && b.Len() < room; i++ {
		c := text[i]
		plain := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("._-", c) >= 0
		switch {
		case plain:
			b.WriteByte(c)
		case !gap:
			b.WriteByte('_')
		}
		gap = !plain
	}
	return b.String()
}

// Walk visits the tasks that are active, also those in a foreach or a fork, an outer one before those in it. loops is how many foreach
// surround a task.
func Walk(tasks []Task, visit func(t Task, loops int)) { walk(tasks, 0, visit) }

func walk(tasks []Task, loops int, visit func(t Task, loops int)) {
	for _, t := range tasks {
		if !t.Active {
			continue
		}
		visit(t, loops)
		walk(t.Tasks, loops, visit)
		for _, s := range t.Pipeline {
			if s.Active {
				walk(s.Foreach, loops+1, visit)
				walk(s.Fork, loops, visit)
			}
		}
	}
}

// checkState refuses a state where there is nobody to print one, or more than one.
func (d *decoder) checkState(t *taskDraft, m *mapping) {
	at := m.place("state")
	live := slices.DeleteFunc(slices.Clone(t.Pipeline), func(s Stage) bool { return !s.Active })
	switch {
	case len(live) == 0:
		d.fail(at, "a state belongs to a pipeline", "")
	case isLineState(t.Name):
		d.fail(at, fmt.Sprintf("%s is how the state of one line of a foreach is named", quote(t.Name)), "give the pipeline another name")
	case d.loops == 0 && t.State.Commit == "body":
		d.fail(at, "commit: body says nothing outside of a foreach", "the state is committed when the whole run has succeeded")
	case t.State.Commit == "run" && t.State.Checkpoint:
		d.fail(at, "checkpoint: true commits the state before the run has succeeded, which commit: run does not want", "leave out one of them")
	case live[len(live)-1].Command == nil:
		d.fail(at, "the last stage must be a command: the one that prints the states", "")
	case !t.StdoutToFile:
		d.fail(at, "a state is found in the standard output of the last stage: it needs stdout_to_file", "")
	}
}

// checkRead refuses a state in a foreach from which a further stage reads: that what the body has printed is loaded would be for that
// stage to say, and a state is found in a file.
func (d *decoder) checkRead(s stageDraft) {
	if name := printsState(s.Foreach); name != "" {
		d.fail(s.at, fmt.Sprintf("the pipeline %s in this foreach has a state, but a further stage reads what it prints", quote(name)),
			"its state is found in its artifact: let the target be in the body, and the foreach be the last stage")
	}
}

// printsState names a pipeline with a state that writes into the output of these tasks; "": none does.
func printsState(tasks []Task) string {
	for _, t := range tasks {
		if !t.Active {
			continue
		}
		if t.State.On {
			return t.Name
		}
		below := t.Tasks
		live := slices.DeleteFunc(slices.Clone(t.Pipeline), func(s Stage) bool { return !s.Active })
		if n := len(live); n > 0 {
			below = live[n-1].Foreach
		}
		if name := printsState(below); name != "" {
			return name
		}
	}
	return ""
}

// checkStates refuses two pipelines of one name that both have a state: it is stored under that name.
func checkStates(d *decoder, tasks []Task) {
	seen := map[string]Pos{}
	Walk(tasks, func(t Task, _ int) {
		if !t.State.On {
			return
		}
		if other, twice := seen[t.Name]; twice {
			at := value{&yaml.Node{Line: t.Pos.Line, Column: t.Pos.Column}, "tasks"}
			d.fail(at, fmt.Sprintf("the task %s on line %d has a state under this name already", quote(t.Name), other.Line), "give it another name")
		}
		seen[t.Name] = t.Pos
	})
}
