package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/pipeline"
)

func (c *cli) cloudLogsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "logs",
		Short: "Print the logs of the jobs of the task",
		Long: `Print the lines that the jobs of the task have written, by time: one line each, or with
-o json one JSON document each.

  -v start_time=TIME end_time=TIME  only lines from then, and before then: 2026-01-02T03:04:05Z,
                                    2026-01-02, or 90m for 90 minutes ago; UTC where no zone is named
  -v run=ID, -v job=ID              only of this run or job
  -v filter=TEXT                    only lines that contain this
  -v limit=N                        at most so many, the earliest ones
  -v follow=true                    wait for more, until Ctrl-C or the end of the run or job that is named`,
		Example: `  handoff cloud logs -p my_project -v start_time=24h filter=error
  handoff cloud logs -p my_project -v follow=true`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := c.anyTarget()
			if err != nil {
				return err
			}
			c.setEnding("no more lines; jobs go on")
			err = c.app().Logs(cmd.Context(), app.LogsOptions{Target: t, Line: c.logLine})
			if in, ok := errors.AsType[pipeline.Interrupt](context.Cause(cmd.Context())); ok {
				c.code = app.ExitSignal + int(in.Signal)
			}
			if errors.Is(err, errNoReader) {
				return nil
			}
			return err
		},
	}
}

// errNoReader ends a command whose reader has all that it wanted.
var errNoReader = errors.New("nobody reads")

func (c *cli) logLine(l cloud.Line) error {
	text := fmt.Appendf(nil, "%s %s\n", l.Time.UTC().Format("2006-01-02T15:04:05.000Z"), l.Text)
	if c.flags.output == "json" {
		var err error
		if text, err = json.Marshal(l); err != nil {
			return fmt.Errorf("encode line: %w", err)
		}
		text = append(text, '\n')
	}
	_, err := c.Out.Write(text)
	switch {
	case errors.Is(err, syscall.EPIPE):
		return errNoReader
	case err != nil:
		return &codedError{error: fmt.Errorf("write result: %w", err), code: app.ExitFailed}
	}
	return nil
}
