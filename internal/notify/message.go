// Package notify tells people how runs end: it makes a message of the record of a run, sends it by a webhook, by mail or to a
// command, and notes what was sent, so that nobody is told twice. It must not print, and no error of it may show a URL of a webhook.
package notify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
)

// Kind says what has happened.
type Kind string

// The kinds of events; their texts are those of project.Notifications.
const (
	Failure  Kind = "failure"  // a run has failed, timed out, or was interrupted
	Recovery Kind = "recovery" // a run has succeeded, and the one before it had not
	Success  Kind = "success"  // a run has succeeded
	Missed   Kind = "missed"   // a schedule has started no run
	Late     Kind = "late"     // there is no success for too long
	Died     Kind = "died"     // a run has vanished without a word
)

// Of returns what the end of a run is, "" for one that has not ended, or was refused since another one was going on.
func Of(run ledger.Run) Kind {
	switch run.Outcome {
	case string(pipeline.Success):
		return Success
	case ledger.Died, ledger.Damaged:
		return Died
	case ledger.Running, ledger.Skipped, "":
		return ""
	}
	return Failure
}

// Wanted returns the kind of which somebody is told who wants to know of those in on, "" for none: a success that is a recovery is
// told once.
func Wanted(kind Kind, recovered bool, on []string) Kind {
	if kind == Success && recovered && slices.Contains(on, string(Recovery)) {
		return Recovery
	}
	if slices.Contains(on, string(kind)) {
		return kind
	}
	return ""
}

// Message is what is told of one event: what a webhook of the form json gets. docs/notifications.md describes it.
type Message struct {
	SchemaVersion int       `json:"schema_version"`
	ID            string    `json:"id"` // the same each time the event is told
	Event         Kind      `json:"event"`
	Title         string    `json:"title"`
	Task          string    `json:"task"`
	Client        string    `json:"client,omitempty"`
	EnvStage      string    `json:"env_stage"`
	ResourceGroup string    `json:"resource_group"`
	Run           string    `json:"run,omitempty"`
	Job           string    `json:"job,omitempty"`
	Schedule      string    `json:"schedule,omitempty"`
	ScheduledAt   time.Time `json:"scheduled_at,omitzero"`
	Trigger       string    `json:"trigger,omitempty"`
	Outcome       string    `json:"outcome,omitempty"`
	Reason        string    `json:"reason,omitempty"`
	FailedTask    string    `json:"failed_task,omitempty"` // "a/b"
	FailedStage   string    `json:"failed_stage,omitempty"`
	Tail          []string  `json:"stderr_tail,omitempty"` // the last lines of that stage
	Start         time.Time `json:"start,omitzero"`
	Seconds       float64   `json:"seconds,omitempty"`
	Rows          *int64    `json:"rows,omitempty"`
	ExitCode      int       `json:"exit_code"`
	Look          string    `json:"look"` // the command that shows more
}

const (
	schemaVersion = 1
	mostLines     = 10
	mostSigns     = 300 // of a line
	mostReason    = 1000
)

// New returns the message of an event. run is the record, or what is known where there is none: what has not started has no ID.
// mask takes secrets out.
func New(kind Kind, run ledger.Run, mask func(string) string) Message {
	m := Message{
		SchemaVersion: schemaVersion, ID: EventID(kind, run), Event: kind, Task: run.Task, Client: run.Client, EnvStage: run.EnvStage,
		ResourceGroup: run.ResourceGroup, Run: run.ID, Job: run.JobID, Schedule: run.ScheduleID, ScheduledAt: run.ScheduledAt,
		Trigger: run.Trigger, Outcome: run.Outcome, Reason: cut(mask(run.Reason), mostReason), Start: run.Start, Rows: run.Rows, ExitCode: run.ExitCode,
	}
	if !run.End.IsZero() && !run.Start.IsZero() {
		m.Seconds = run.End.Sub(run.Start).Round(time.Millisecond).Seconds()
	}
	if path, t := failed(run.Tasks, nil); t != nil {
		m.FailedTask, m.FailedStage = mask(strings.Join(path, "/")), mask(t.Failed)
		for _, line := range t.Tail[max(len(t.Tail)-mostLines, 0):] {
			m.Tail = append(m.Tail, cut(mask(line), mostSigns))
		}
	}
	m.Title, m.Look = title(m), look(m)
	return m
}

// EventID names an event: of a run, or of a time at which there should have been one.
func EventID(kind Kind, run ledger.Run) string {
	if run.ID != "" {
		return run.ID + "/" + string(kind)
	}
	return fmt.Sprintf("%s@%s/%s", run.ScheduleID, run.ScheduledAt.UTC().Format(time.RFC3339), kind)
}

// failed returns the first task, of the lowest level, that has failed, with the names of those above it.
func failed(tasks []*ledger.Task, above []string) ([]string, *ledger.Task) {
	for _, t := range tasks {
		path := append(slices.Clone(above), t.Name)
		if below, found := failed(t.Tasks, path); found != nil {
			return below, found
		}
		if slices.Contains([]string{string(pipeline.Failed), string(pipeline.TimedOut), string(pipeline.Interrupted), ledger.Died}, t.Outcome) {
			if len(t.Tail) == 0 && len(t.Failures) > 0 { // lines of a foreach
				f := t.Failures[0]
				return append(path, f.Task), &ledger.Task{Failed: f.Stage, Tail: f.Tail}
			}
			return path, t
		}
	}
	return nil, nil
}

func cut(text string, most int) string {
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}

// title is the event on one line.
func title(m Message) string {
	verb := map[Kind]string{
		Failure: "failed", Recovery: "works again", Success: "succeeded", Missed: "was not started", Late: "is late", Died: "died",
	}[m.Event]
	switch m.Outcome {
	case string(pipeline.TimedOut):
		verb = "timed out"
	case string(pipeline.Interrupted):
		verb = "was interrupted"
	}
	return oneLine(who(m) + " " + verb)
}

func who(m Message) string {
	name := cmp.Or(m.Task, "a task")
	if m.Client != "" {
		name += " for client " + m.Client
	}
	return fmt.Sprintf("%s (%s/%s)", name, m.EnvStage, m.ResourceGroup)
}

func look(m Message) string {
	what := "runs list"
	if m.Run != "" {
		what = "runs show " + m.Run
	}
	text := fmt.Sprintf("handoff %s -s %s -e resource_group=%s task=%s", what, m.EnvStage, m.ResourceGroup, m.Task)
	if m.Client != "" {
		text += " --client " + m.Client
	}
	return text
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// facts are what is told besides the title, each with its name.
func (m Message) facts() [][2]string {
	var list [][2]string
	add := func(name, text string) {
		if text != "" {
			list = append(list, [2]string{name, text})
		}
	}
	add("reason", m.Reason)
	stage := m.FailedTask
	if m.FailedStage != "" {
		stage += ", stage " + m.FailedStage
	}
	add("failed", stage)
	add("run", m.Run)
	add("job", m.Job)
	if m.Schedule != "" {
		due := m.Schedule
		if !m.ScheduledAt.IsZero() {
			due += ", due at " + m.ScheduledAt.UTC().Format("2006-01-02 15:04:05Z")
		}
		add("schedule", due)
	}
	if !m.Start.IsZero() {
		start := m.Start.UTC().Format("2006-01-02 15:04:05Z")
		if m.Seconds > 0 {
			start += ", took " + time.Duration(m.Seconds*float64(time.Second)).Round(100*time.Millisecond).String()
		}
		add("started", start)
	}
	if m.Rows != nil {
		add("rows", fmt.Sprint(*m.Rows))
	}
	return list
}

// Text is the message for a person, without marks of any service.
func (m Message) Text() string {
	var b strings.Builder
	b.WriteString(m.Title + "\n\n")
	for _, f := range m.facts() {
		fmt.Fprintf(&b, "%-9s %s\n", f[0]+":", f[1])
	}
	if len(m.Tail) > 0 {
		b.WriteString("\nlast lines:\n")
		for _, line := range m.Tail {
			b.WriteString("  " + line + "\n")
		}
	}
	fmt.Fprintf(&b, "\nsee: %s\n", m.Look)
	return b.String()
}
