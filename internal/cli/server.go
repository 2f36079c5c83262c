package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/providers"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/server"
)

func (c *cli) serverCommand() *cobra.Command {
	var standby, dry bool
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Fire the schedules of this machine",
		Long: `Fire the schedules of the provider ` + strings.Join(providers.ServedNames(), ", ") + `, of every env stage and resource group, until
it is told to end (Ctrl-C, SIGTERM). Jobs that it has started go on when it ends, or is
killed. There is one server for a home: a second one refuses, or stands by.

A fire that is not more than a minute late is always made up for; what becomes of others
that were missed is said by catchup of the schedule. Let your init system start the
server and start it again; with systemd set KillMode=process, so that jobs go on.

` + exitCodes,
		Example: `  handoff server
  HANDOFF_HOME=/srv/handoff handoff server --standby --log-format json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, err := c.serverHome()
			if err != nil {
				return err
			}
			if dry {
				return c.serverPlan(home)
			}
			return c.serve(cmd.Context(), home, standby)
		},
	}
	cmd.AddCommand(c.serverStatusCommand())
	cmd.Flags().BoolVar(&standby, "standby", false, "wait for the end of the server that is there, then take over")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "print the schedules that would be fired, and fire none")
	return cmd
}

func (c *cli) serverStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show whether a server runs, and whether it keeps up",
		Long: `Show the server of this home: its process, since when it runs, how many schedules it has,
their last and next fire, and the oldest fire that is due and not started. The exit code
is 0 while one runs and keeps up, else 1.`,
		Example: `  handoff server status
  HANDOFF_HOME=/srv/handoff handoff server status -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, err := c.serverHome()
			if err != nil {
				return err
			}
			st, err := home.Scheduler().Status(cmd.Context())
			if err != nil {
				return err
			}
			if !st.Running || !st.Overdue.IsZero() {
				c.code = app.ExitFailed
			}
			return c.print(st, serverText(st, time.Now()))
		},
	}
}

func serverText(st cloud.SchedulerStatus, now time.Time) string {
	text := "no server runs for " + st.Serves
	if st.Running {
		text = fmt.Sprintf("process %d serves %s since %s", st.Pid, st.Serves, st.Since.Format(time.RFC3339))
	}
	text += "\nschedules: " + strconv.Itoa(st.Schedules)
	for _, t := range []struct {
		what string
		at   time.Time
	}{{"last fire", st.Last}, {"next fire", st.Next}} {
		if !t.at.IsZero() {
			text += fmt.Sprintf("\n%s: %s", t.what, t.at.Format(time.RFC3339))
		}
	}
	if !st.Overdue.IsZero() {
		text += fmt.Sprintf("\nbehind: the fire of %s is %s late", st.Overdue.Format(time.RFC3339), now.Sub(st.Overdue).Round(time.Second))
	}
	return text
}

func (c *cli) serverHome() (server.Home, error) {
	p, err := providers.Served(c.flags.cloud.Provider)
	if err != nil {
		return nil, usage(err)
	}
	home, err := p.Serve(c.setup())
	return home, cloudFailed(err)
}

func cloudFailed(err error) error {
	if err == nil {
		return nil
	}
	return &codedError{error: err, code: app.ExitCloud}
}

// serverPlan prints what a server would serve.
func (c *cli) serverPlan(home server.Home) error {
	type item struct {
		ID   string    `json:"id"`
		Cron string    `json:"cron"`
		Next time.Time `json:"next,omitzero"`
		Note string    `json:"note,omitempty"`
	}
	list, err := home.AllSchedules()
	if err != nil {
		return cloudFailed(err)
	}
	res := struct {
		Status    string `json:"status"`
		Schedules []item `json:"schedules"`
	}{"planned", []item{}}
	text := ""
	for _, e := range list {
		i := item{ID: e.Key.String(), Cron: e.Schedule.Cron, Next: e.Next(time.Now()), Note: e.Fires.Note}
		if e.Err != nil {
			i.Note = e.Err.Error()
		}
		res.Schedules = append(res.Schedules, i)
		text += i.ID + "  " + i.Cron
		if !i.Next.IsZero() {
			text += "  next " + i.Next.Format(time.RFC3339)
		}
		text += "\n"
	}
	return c.print(res, text)
}

// serve prints what was done when the server is told to end, which is success.
func (c *cli) serve(ctx context.Context, home server.Home, standby bool) error {
	sum, err := server.Serve(ctx, home, standby, server.Options{Now: time.Now, Log: c.logger(c.con), Notice: c.notice})
	if err != nil && !errors.Is(err, context.Cause(ctx)) {
		return cloudFailed(err)
	}
	res := struct {
		Status string `json:"status"`
		server.Summary
	}{"success", sum}
	return c.print(res, fmt.Sprintf("%d started, %d skipped, %d failed, %d missed; jobs that failed: %d", sum.Started, sum.Skipped, sum.Failed, sum.Missed, sum.JobsFailed))
}

// notice tells who wants to know of it what the server has seen.
func (c *cli) notice(ctx context.Context, n server.Notice) {
	s, a := n.Key.Scope, c.app()
	t := app.Target{EnvStage: s.Stage, Client: s.Client, Envs: []project.KeyValue{{Key: "resource_group", Value: s.ResourceGroup}, {Key: "task", Value: s.Task}}}
	t.Cloud.Provider = c.flags.cloud.Provider
	if t.Cloud.Provider == "" {
		t.Cloud.Provider = providers.ServedNames()[0]
	}
	var err error
	switch {
	case n.Late:
		_, err = a.TellOfLate(ctx, t)
	case n.Job.ID != "":
		_, err = a.TellOfJob(ctx, t, n.Job)
	default:
		_, err = a.TellOfMissed(ctx, t, n.Key.TargetID, n.At, n.Reason)
	}
	if err != nil {
		a.Log.Warn(fmt.Sprintf("notify of %s: %v", n.Key, err))
	}
}
