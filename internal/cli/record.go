package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/ledger"
)

// recordText shows a run to a person: its tasks and their stages, then how it ended, and what went wrong.
func (c *cli) recordText(r ledger.Run) string {
	stages := c.outcomes("OUTCOME", "TASK, STAGE", ">TIME", ">ROWS", ">BYTES", "->CPU", "->MEMORY", "+WAITED FOR")
	addTasks(stages, r.Tasks, "")
	var b strings.Builder
	if len(stages.rows) > 0 {
		b.WriteString(stages.String() + "\n")
	}
	end := r.End
	if end.IsZero() {
		end = r.Updated
	}
	fmt.Fprintf(&b, "run %s: %s after %s%s\n", r.ID, c.outcome(words(r.Outcome)), span(end.Sub(r.Start).Seconds()), andRows(r.Rows))
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "%s %s\n", c.style(c.Out, yellow, "warning:"), w)
	}
	c.troubles(&b, r)
	return b.String()
}

func addTasks(t *table, tasks []*ledger.Task, indent string) {
	for _, task := range tasks {
		name := indent + task.Name
		if l := task.Lines; l != nil {
			name += fmt.Sprintf(" (%s, %d failed)", app.Count(int(l.Total), "line"), l.Failed)
		}
		t.add(words(task.Outcome), name, lasted(task.Start, task.End), rowsCell(task.Rows), "", "", "", "")
		for i, s := range task.Stages {
			t.add(words(s.Outcome), indent+"  "+s.Name, lasted(s.Start, s.End), rowsCell(s.Rows), bytesCell(s), cpuCell(s.CPUSeconds), sizeCell(s.PeakMemory), waitedFor(task.Stages, i))
		}
		addTasks(t, task.Tasks, indent+"  ")
	}
}

func lasted(start, end time.Time) string {
	if start.IsZero() || end.IsZero() {
		return ""
	}
	return span(end.Sub(start).Seconds())
}

func rowsCell(n *int64) string {
	if n == nil {
		return ""
	}
	return app.Grouped(*n)
}

// bytesCell is what the stage has written; where the kernel counts, that is about so much.
func bytesCell(s *ledger.Stage) string {
	if s.BytesOut == nil {
		return ""
	}
	return app.Bytes(*s.BytesOut)
}

func cpuCell(seconds float64) string {
	if seconds < 0.05 {
		return ""
	}
	return span(seconds)
}

func sizeCell(n int64) string {
	if n <= 0 {
		return ""
	}
	return app.Bytes(n)
}

// waitedFor names the neighbours for which a stage has waited a good part of its time.
func waitedFor(stages []*ledger.Stage, i int) string {
	const much = 0.1
	var whom []string
	if s := stages[i]; s.BlockedIn >= much && i > 0 {
		whom = append(whom, fmt.Sprintf("%s %.0f%%", stages[i-1].Name, 100*s.BlockedIn))
	}
	if s := stages[i]; s.BlockedOut >= much && i < len(stages)-1 {
		whom = append(whom, fmt.Sprintf("%s %.0f%%", stages[i+1].Name, 100*s.BlockedOut))
	}
	return strings.Join(whom, ", ")
}

// troubles says what went wrong, with the lines that say it, and where there is more of them.
func (c *cli) troubles(b *strings.Builder, r ledger.Run) {
	troubles := app.Troubles(r)
	if len(troubles) == 0 {
		return
	}
	b.WriteString("\n" + c.style(c.Out, bold, "What went wrong") + "\n")
	for _, t := range troubles {
		if t.Place != "" {
			t.Reason = t.Place + ": " + t.Reason
		}
		fmt.Fprintf(b, "  %s\n", t.Reason)
		for _, l := range t.Lines {
			fmt.Fprintf(b, "    | %s\n", l)
		}
	}
	if r.JobID != "" {
		fmt.Fprintf(b, "All that it wrote: handoff cloud logs --run %s%s\n", r.ID[max(len(r.ID)-6, 0):], c.sameTask(r))
	}
}

// sameTask is what a further command needs to mean the task of r: the project as it was named here, or its names.
func (c *cli) sameTask(r ledger.Run) (args string) {
	t, err := c.anyTarget()
	switch {
	case err != nil || t.ProjectDir == "":
		args = fmt.Sprintf(" -e resource_group=%s task=%s", r.ResourceGroup, r.Task)
	case t.ProjectDir != ".":
		args = " -p " + t.ProjectDir
		if strings.ContainsAny(t.ProjectDir, " '") {
			args = " -p '" + strings.ReplaceAll(t.ProjectDir, "'", `'\''`) + "'"
		}
	}
	if r.EnvStage != "dev" {
		args += " -s " + r.EnvStage
	}
	if r.Client != "" {
		args += " --client " + r.Client
	}
	return args
}
