package cli

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/cloud"
)

func (c *cli) statusCommand() *cobra.Command {
	var o app.StatusOptions
	var watch bool
	every := 5 * time.Second
	cmd := takes(clientsShared, &cobra.Command{
		Use:   "status",
		Short: "Show how all tasks stand, what has failed first",
		Long: `Show how the tasks of the resource group stand, of each client, in each env stage (-s: in
this one), or, where neither a project nor -e resource_group=... names one, all that
the account has. What has failed comes first, then what should have run and has not, what
is late, what runs now, and all else. Times and rows are compared with the median of the
last runs that have succeeded.

The exit code is 1 where something is red: failed, died, missed, late. --notify tells who
wants to know of it (notify in project.yml) and has not been told: put it into a cron job
of another machine to hear of one that is gone. docs/status.md has more.`,
		Example: `  handoff status
  handoff status -p my_project -s prod -o text
  handoff status -e resource_group=etl --watch -o text
  handoff status --notify -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Target, err = c.anyTarget(); err != nil {
				return err
			}
			o.AllStages = !cmd.Flags().Changed("stage")
			for {
				res, err := c.app().StatusAll(cmd.Context(), o)
				if err != nil {
					return err
				}
				text := c.statusText(res)
				if watch && isTerminal(c.Out) {
					text = "\x1b[H\x1b[2J" + text
				}
				c.code = res.ExitCode
				if err := c.print(res, text); err != nil || !watch {
					return err
				}
				if cloud.Sleep(cmd.Context(), every) != nil {
					return nil
				}
			}
		},
	})
	cmd.Flags().BoolVar(&watch, "watch", false, "show it again and again, until Ctrl-C")
	cmd.Flags().DurationVar(&every, "every", every, "how often with --watch")
	cmd.Flags().BoolVar(&o.Notify, "notify", false, "tell who wants to know what is red")
	return cmd
}

func (c *cli) statusText(r app.StatusResult) string {
	if len(r.Tasks) == 0 {
		return "there are no tasks"
	}
	several := map[string]bool{}
	for _, t := range r.Tasks {
		several[t.ResourceGroup] = true
	}
	t := c.table("=STATE", "TASK", "CLIENT", "STAGE", ">AGO", ">TOOK", ">ROWS", ">NEXT")
	t.style = func(_, col int, text string) string {
		if col == 0 {
			return c.stateColor(text)
		}
		return text
	}
	for _, s := range r.Tasks {
		name := s.Task
		if len(several) > 1 {
			name = s.ResourceGroup + "/" + name
		}
		ago, took, rows, next := statusNumbers(s, r.At)
		t.add(s.State, name, s.Client, s.EnvStage, ago, took, rows, next)
		c.statusNotes(t, s)
	}
	return t.String()
}

// statusNumbers compares the last run of a task, or the one that is going on, with the usual one.
func statusNumbers(s app.TaskStatus, now time.Time) (ago, took, rows, next string) {
	switch {
	case s.Running != nil:
		took, ago = longer(s.Running.Seconds, s.UsualSeconds), away(now.Sub(s.Running.Start).Seconds())
	case s.Last != nil:
		took, ago = longer(s.Last.Seconds, s.UsualSeconds), away(now.Sub(s.Last.Start).Seconds()-s.Last.Seconds)
		if s.Last.Rows != nil {
			rows = amount(*s.Last.Rows)
			if s.UsualRows != nil {
				rows = compared(float64(*s.Last.Rows), float64(*s.UsualRows), rows)
			}
		}
	}
	if !s.Next.IsZero() {
		next = away(s.Next.Sub(now).Seconds())
	}
	return ago, took, rows, next
}

// statusNotes says why a task is red, or what it does.
func (c *cli) statusNotes(t *table, s app.TaskStatus) {
	why := strings.Join(strings.Fields(cmp.Or(s.Reason, s.Progress)), " ")
	if t.width > 0 {
		why = shorten(why, 2*(t.width-indented)) // it is one screen for all tasks
	}
	t.note(why)
	if s.Red() && s.Last != nil && s.Schedule == "" {
		t.note("run " + s.Last.ID)
	}
}

func (c *cli) stateColor(text string) string {
	switch strings.TrimSpace(text) {
	case app.StateOK:
		return c.style(c.Out, green, text)
	case app.StateRunning, app.StateNew:
		return text
	case app.StateMissed, app.StateLate:
		return c.style(c.Out, yellow, text)
	}
	return c.style(c.Out, red, text)
}

// longer is a time compared with the usual one. What differs by less than a second is as usual.
func longer(is, usual float64) string {
	if math.Abs(is-usual) < 1 {
		usual = 0
	}
	return compared(is, usual, span(is))
}

// compared adds to text by how much is differs from the usual, where that is more than noise.
func compared(is, usual float64, text string) string {
	if usual <= 0 {
		return text
	}
	percent := (is/usual - 1) * 100
	switch {
	case percent >= 1000:
		return fmt.Sprintf("%s x%.0f", text, is/usual)
	case percent >= 10 || percent <= -10:
		return fmt.Sprintf("%s %+.0f%%", text, percent)
	}
	return text
}

// span is how long something took, in a table: 0.2s, 12.5s, 3m20s, 5h12m, 2d.
func span(seconds float64) string {
	if seconds = max(seconds, 0); seconds < 59.95 {
		return fmt.Sprintf("%.1fs", seconds)
	}
	return away(seconds)
}

// away is how far off a time is: 12s, 3m20s, 5h12m, 2d.
func away(seconds float64) string {
	d := time.Duration(max(seconds, 0) * float64(time.Second)).Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// amount is a number in at most six signs.
func amount(n int64) string {
	switch {
	case n >= 10_000_000:
		return fmt.Sprintf("%dM", n/1_000_000)
	case n >= 100_000:
		return fmt.Sprintf("%dk", n/1000)
	}
	return fmt.Sprint(n)
}
