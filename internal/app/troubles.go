package app

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
)

// Trouble is one thing that went wrong in a run.
type Trouble struct {
	Place  string   // of the task, with those above it and the line of a foreach; "": the run as a whole
	Reason string   // in words
	Lines  []string // of the stage that failed first: those that say why
}

const maxTroubles = 5 // of the lines of one foreach

// Troubles returns what went wrong in a run, in the order in which it happened; none of a success. A task whose failure is
// allowed is there, too.
func Troubles(run ledger.Run) []Trouble {
	out := troublesOf(run.Tasks, "")
	rest := run.Reason
	eachTask(run.Tasks, func(t *ledger.Task) {
		if t.Reason != "" && wentWrong(t.Outcome) {
			rest = strings.TrimPrefix(strings.TrimPrefix(rest, t.Reason), "; ")
		}
	})
	if rest != "" {
		out = append(out, Trouble{Reason: rest})
	}
	return out
}

func eachTask(tasks []*ledger.Task, visit func(*ledger.Task)) {
	for _, t := range tasks {
		visit(t)
		eachTask(t.Tasks, visit)
	}
}

func troublesOf(tasks []*ledger.Task, above string) []Trouble {
	var out []Trouble
	for _, t := range tasks {
		place := above + t.Name
		inner := troublesOf(t.Tasks, place+"/")
		inner = append(inner, failedLines(t, place)...)
		if len(inner) == 0 && wentWrong(t.Outcome) {
			inner = []Trouble{{Place: place, Reason: t.Reason, Lines: Telling(t.Tail)}}
		}
		out = append(out, inner...)
	}
	return out
}

func failedLines(t *ledger.Task, place string) []Trouble {
	var out []Trouble
	for _, f := range t.Failures[:min(len(t.Failures), maxTroubles)] {
		line := cut(f.Lines[len(f.Lines)-1], 60)
		out = append(out, Trouble{Place: fmt.Sprintf("%s[%s]/%s", place, line, f.Task), Reason: f.Reason, Lines: Telling(f.Tail)})
	}
	if t.Lines != nil && t.Lines.Failed > int64(len(out)) && len(out) > 0 {
		out = append(out, Trouble{Place: place, Reason: fmt.Sprintf("%d of %d lines failed in all", t.Lines.Failed, t.Lines.Total)})
	}
	return out
}

func wentWrong(outcome string) bool {
	switch pipeline.Outcome(outcome) {
	case pipeline.Failed, pipeline.TimedOut, pipeline.Interrupted, ledger.Died:
		return true
	}
	return false
}

// The lines of a log that name an error: one with a level, the last line of a traceback, what Unix programs say.
var errorLine = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z_][\w.]*(Error|Exception|Fault|Interrupt|Refused|Denied|NotFound)\b|(?i)(^|[\w.-]+: )(error|fatal|panic)( error)?:`)
})

// Telling returns those of the last lines of a log that say why a program has failed: what they name as an error, and what
// follows the last of them; where none does, the last ones.
func Telling(tail []string) []string {
	const most, behind, plain = 10, 4, 5
	var out []string
	last := -1
	for i, line := range tail {
		if pipeline.AtErrorLevel([]byte(line)) || errorLine().MatchString(line) {
			out, last = append(out, line), i
		}
	}
	if last < 0 {
		return tail[max(len(tail)-plain, 0):]
	}
	out = append(out, tail[last+1:min(last+1+behind, len(tail))]...)
	return out[max(len(out)-most, 0):]
}
