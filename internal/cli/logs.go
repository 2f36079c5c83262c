package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/pipeline"
)

func (c *cli) cloudLogsCommand() *cobra.Command {
	var o app.LogsOptions
	cmd := &cobra.Command{
		Use:   "logs",
		Short: "Print the logs of the jobs of the task",
		Long: `Print the lines that the jobs of the task have written, by time: one line each, or with
-o json one JSON document each.

` + timesHelp + `

-v start_time=, end_time=, follow=true, filter=, limit=, run=, as 0.4.x writes them,
are understood, too.`,
		Example: `  handoff cloud logs -p my_project --since 24h --filter ERR
  handoff cloud logs -p my_project --run 1a2b3c --limit 100
  handoff cloud logs -p my_project --follow`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := c.anyTarget()
			if err != nil {
				return err
			}
			c.setEnding("no more lines; jobs go on")
			o.Target, o.Line = t, c.logLine
			err = c.app().Logs(cmd.Context(), o)
			if in, ok := errors.AsType[pipeline.Interrupt](context.Cause(cmd.Context())); ok {
				c.code = app.ExitSignal + int(in.Signal)
			}
			if errors.Is(err, errNoReader) {
				return nil
			}
			return err
		},
	}
	f := cmd.Flags()
	f.Var(moment{&o.Since}, "since", "only lines from this `time` on")
	f.Var(moment{&o.Until}, "until", "only lines before this `time`")
	f.StringVar(&o.Run, "run", "", "only of this `run`: its id, or the beginning or end of it")
	f.StringVar(&o.Job, "job", "", "only of the `job` with this id, or the beginning or end of it")
	f.StringVar(&o.Filter, "filter", "", "only lines that contain this `text`; upper and lower case differ")
	f.Var(count{&o.Limit}, "limit", "only the last `N` lines; 0: all")
	f.BoolVarP(&o.Follow, "follow", "f", false, "wait for more, until Ctrl-C or the end of the run or job that is named")
	c.complete(cmd, "run", c.runIDs)
	c.complete(cmd, "job", c.jobIDs)
	return takes(clientsStream, cmd)
}

// errNoReader ends a command whose reader has all that it wanted.
var errNoReader = errors.New("nobody reads")

// ownTime is the time that handoff in a job writes before its lines: the provider has noted one.
var ownTime = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\d\d:\d\d:\d\d (DBG|INF|WRN|ERR) `) })

func (c *cli) logLine(l cloud.Line) error {
	client := ""
	if c.parent != nil {
		client = c.client
	}
	text := fmt.Appendf(nil, "%s %s\n", strings.TrimSpace(l.Time.UTC().Format("2006-01-02T15:04:05.000Z")+" "+client), ownTime().ReplaceAllString(l.Text, "$1 "))
	if c.flags.output == "json" {
		var err error
		of := struct {
			Client string `json:"client,omitempty"` // where the lines of several are printed
			cloud.Line
		}{client, l}
		if text, err = json.Marshal(of); err != nil {
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
