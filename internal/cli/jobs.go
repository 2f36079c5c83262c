package cli

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/providers"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/process"
)

// isJob reports whether args are those of a job: `handoff run --job`, which never differs; how its log looks may be said behind it.
func isJob(args []string) bool { return len(args) >= 2 && args[0] == "run" && args[1] == "--job" }

// job is the life of the process of a job. It does without the tree of commands: many jobs may start at a time.
func (c *cli) job(args []string) int {
	f := pflag.NewFlagSet("job", pflag.ContinueOnError)
	c.addFlags(f)
	c.con = newConsole(c.Err)
	defer func() { c.con.close() }()
	err := f.Parse(args)
	if err == nil {
		err = c.check()
	}
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	if err != nil {
		return c.fail(ctx, err)
	}
	inside, err := c.enterJob(ctx)
	switch {
	case err != nil:
		return c.fail(ctx, err)
	case inside != nil:
		return c.runInside(ctx, stop, inside)
	}
	_, code := c.runJob(ctx, stop, app.JobOptions{})
	return code
}

// enterJob lets the provider of the job do in this process what it has to.
func (c *cli) enterJob(ctx context.Context) (providers.Inside, error) {
	process.Leave() // a run may have started the job
	p, err := providers.Find(c.getenv(cloud.EnvProvider))
	if err != nil {
		return nil, nil // the job itself says so, with its last word
	}
	if c.environ, err = p.JobEnviron(ctx, c.setup(), c.environ); err != nil {
		c.logger(c.con).Warn(err.Error()) // it can do its work without
	}
	if p.Inside == nil {
		return nil, nil // there is nothing to do
	}
	return p.Inside(c.setup())
}

// runJob runs a job to its end. It prints no result: its log and record have it.
func (c *cli) runJob(ctx context.Context, stop context.CancelCauseFunc, o app.JobOptions) (app.RunResult, int) {
	defer c.watchSignals(stop)()
	c.flags.output, c.flags.workspace = "text", app.JobWorkspace(c.getenv)
	res, err := c.watch(&o.RunOptions, func(verbs *app.App) (app.RunResult, error) { return verbs.RunJob(ctx, o) })
	if err != nil {
		c.code = c.fail(ctx, err)
		if res.Reason == "" {
			res.Reason = app.InShort(err)
		}
	}
	return res, c.code
}

// runInside is runJob where the log and the end of the job are written here.
func (c *cli) runInside(ctx context.Context, stop context.CancelCauseFunc, job providers.Inside) int {
	words := c.con
	c.Out, c.Err, c.con = job.Output(), job.Output(), newConsole(job.Output())
	c.held = job.Held()
	c.environ = append(job.Environ(c.environ), cloud.EnvWorkspace+"="+job.Workspace())
	job.Watch(func() { stop(pipeline.Interrupt{Signal: syscall.SIGTERM}) }, c.killNow)
	res, code := c.runJob(ctx, stop, app.JobOptions{Waits: job.Waits, Begins: job.Begins, Ends: job.Ends})
	c.con.close()
	c.con = words
	err := job.End(cloud.LastWord{
		Code: code, Reason: res.Reason, Skipped: res.Status == ledger.Skipped, Interrupted: res.Status == string(pipeline.Interrupted),
	})
	if err != nil {
		return c.fail(ctx, err)
	}
	return code
}

// setup is what providers may know of this process.
func (c *cli) setup() providers.Setup {
	s := providers.Setup{Getenv: c.getenv, Home: c.home, JobEnviron: jobEnviron(c.environ)}
	if guard := guardCommand(); guard != nil {
		s.JobCommand = []string{guard[0], "run", "--job"}
	}
	return s
}

// jobEnviron is what a job inherits: what tells programs who the user is and how this machine works, and nothing else.
// A job that is started by hand, by a schedule or on another day then sees the same.
func jobEnviron(environ []string) []string {
	var env []string
	for _, kv := range environ {
		key, _, _ := strings.Cut(kv, "=")
		if inherits(key) {
			env = append(env, kv)
		}
	}
	return env
}

func inherits(key string) bool {
	switch strings.ToUpper(key) {
	case "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
		"ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "LD_LIBRARY_PATH",
		"HANDOFF_HOME", "HANDOFF_CGROUP":
		return true
	}
	return strings.HasPrefix(key, "LC_") || strings.HasPrefix(key, "XDG_") || strings.HasPrefix(key, "PIP_")
}

func (c *cli) cloudRunCommand() *cobra.Command {
	var o app.CloudRunOptions
	var logs bool
	var overlap string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Start a job of the task in the cloud",
		Long: `Start a job of the task and return: it goes on when this command, this terminal or a
server ends. It runs the release that is current in the bucket. The task has to be
registered: "handoff cloud task create".

  -v key=value       a template variable of the run
  -e KEY=value       an environment variable of the job

With --wait the exit code is that of the job. Where the provider cannot be asked for a
while, the waiting goes on. Ctrl-C ends the waiting, not the job.

` + exitCodes,
		Example: `  handoff cloud run -p my_project
  handoff cloud run -p my_project --wait --logs -v start_date=2026-01-01
  handoff cloud run -e resource_group=etl task=load -s prod --overlap queue`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := c.anyTarget()
			if err != nil {
				return err
			}
			o.Target, o.Overlap = t, cloud.Overlap(overlap)
			if err := o.Overlap.Check(); err != nil {
				return &app.UsageError{Message: err.Error(), Hint: cloud.Hint(err)}
			}
			return c.cloudRun(cmd.Context(), o, logs)
		},
	}
	cmd.Flags().BoolVar(&o.Wait, "wait", false, "wait until the job has ended, and exit with its code")
	cmd.Flags().BoolVar(&logs, "logs", false, "show its log on stderr, as it comes; implies --wait")
	cmd.Flags().StringVar(&overlap, "overlap", "", "`policy` while another run of the task goes on: skip, queue, replace or allow (default: that of the task)")
	cmd.Flags().StringVar(&o.Like, "target-id", "", "take environment and time zone of the schedule of the project with this `id`")
	cmd.Flags().StringVar(&o.Release, "release", "", "run this `release`, not the current one: see \"release list\"")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "print the job that would be started, and start none")
	c.complete(cmd, "target-id", c.targetIDs)
	c.complete(cmd, "release", c.releases)
	_ = cmd.RegisterFlagCompletionFunc("overlap", cobra.FixedCompletions(overlaps, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (c *cli) cloudRun(ctx context.Context, o app.CloudRunOptions, logs bool) error {
	if logs {
		o.Wait = true
		o.Line = func(l cloud.Line) { fmt.Fprintln(c.con, l.Text) }
	}
	if o.Wait {
		log := c.logger(c.con)
		o.Started = func(job cloud.Job) {
			log.Info(fmt.Sprintf("job %s of task %s is %s", job.ID, job.Task, job.State))
			c.setEnding(fmt.Sprintf("job %s goes on; to stop it: %s", job.ID, app.StopCommand(o.Target, job.ID)))
		}
	}
	res, err := c.app().CloudRun(ctx, o)
	if err != nil && res.ID != "" && app.Code(err) == app.ExitUsage { // the job has been started
		return &codedError{error: err, code: app.ExitCloud}
	}
	if err != nil {
		return err
	}
	c.code = res.Code()
	text := jobLine(res.Job)
	if c.parent == nil {
		text = c.jobsText(app.JobsResult{Jobs: []cloud.Job{res.Job}})
	}
	if o.DryRun {
		text = fmt.Sprintf("run %s of task %s would be started", res.RunID, res.Task)
	}
	return c.print(res, text)
}

// jobLine is a job as a line for a person.
func jobLine(j cloud.Job) string {
	task := j.Task
	if j.Client != "" {
		task += " (" + j.Client + ")"
	}
	text := fmt.Sprintf("%s %s %s", j.ID, task, j.State)
	if took := jobTime(j); took != "" {
		text += " (" + took + ")"
	}
	if j.Reason != "" {
		text += ": " + j.Reason
	}
	for _, w := range j.Warnings {
		text += "\n  warning: " + w
	}
	return text
}

func jobTime(j cloud.Job) string {
	if j.Started.IsZero() {
		return ""
	}
	end := j.Ended
	if end.IsZero() {
		end = time.Now()
	}
	return span(end.Sub(j.Started).Seconds())
}

func (c *cli) cloudJobCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "job",
		Short:   "Look at jobs, stop one",
		Example: "  handoff cloud job status -p my_project",
	}
	cmd.AddCommand(c.jobStatusCommand(), c.jobStopCommand())
	return cmd
}

func (c *cli) jobStatusCommand() *cobra.Command {
	o := app.JobsOptions{Limit: 20}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the jobs of the task, the last one first",
		Long: `Show the jobs of the task, the last one first.

-v id=, run=, running=true, stopped=true, limit=, resource_group_level=true, as 0.4.x
writes them, are understood, too.`,
		Example: `  handoff cloud job status -p my_project
  handoff cloud job status -p my_project --running -o json`,
		Args: noArgs,
		RunE: show(c, c.anyTarget, func(verbs *app.App, ctx context.Context, t app.Target) (app.JobsResult, error) {
			o.Target = t
			return verbs.JobStatus(ctx, o)
		}, c.jobsText),
	}
	f := cmd.Flags()
	f.StringVar(&o.Job, "job", "", "only the `job` with this id, or the beginning or end of it")
	f.StringVar(&o.Run, "run", "", "only the job of this `run`: its id, or the beginning or end of it")
	f.BoolVar(&o.Active, "running", false, "only jobs that are active")
	f.BoolVar(&o.Ended, "ended", false, "only jobs that have ended")
	f.BoolVar(&o.Group, "group", false, "of all tasks of the resource group")
	f.Var(count{&o.Limit}, "limit", "only the last `N`; 0: all")
	c.complete(cmd, "run", c.runIDs)
	c.complete(cmd, "job", c.jobIDs)
	return cmd
}

// jobsText has a line for each job, and on a screen titles above them.
func (c *cli) jobsText(res app.JobsResult) string {
	if c.width() == 0 {
		var b strings.Builder
		for _, job := range res.Jobs {
			fmt.Fprintln(&b, jobLine(job))
		}
		return b.String()
	}
	t := c.list("=JOB", "TASK", "CLIENT", "STATE", ">TIME", "+REASON")
	for _, j := range res.Jobs {
		t.add(j.ID, j.Task, j.Client, string(j.State), jobTime(j), j.Reason)
		for _, w := range j.Warnings {
			t.note("warning: " + w)
		}
	}
	return t.String()
}

func (c *cli) jobStopCommand() *cobra.Command {
	var o app.JobStopOptions
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Ask a job to end",
		Long: `Ask a job to end: its run is stopped as by SIGTERM, and killed where it has not ended
after the grace time.
Which one need not be said where only one is active.

-v id=, run=, reason=, grace=, as 0.4.x writes them, are understood, too.`,
		Example: `  handoff cloud job stop -p my_project
  handoff cloud job stop -p my_project --run 1a2b3c --reason 'wrong month' --wait`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := c.anyTarget()
			if err != nil {
				return err
			}
			if o.Target = t; o.Grace < 0 {
				return &app.UsageError{Message: "--grace cannot be negative", Hint: "write --grace 30s"}
			}
			o.Asked = func(job cloud.Job) {
				c.setEnding(fmt.Sprintf("job %s was asked to end, and does so without this command", job.ID))
			}
			res, err := c.app().JobStop(cmd.Context(), o)
			if err != nil {
				return err
			}
			return c.print(res, jobLine(res.Job))
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Job, "job", "", "stop the `job` with this id, or the beginning or end of it")
	f.StringVar(&o.Run, "run", "", "stop the job of this `run`: its id, or the beginning or end of it")
	f.StringVar(&o.Reason, "reason", "", "`text` that is shown as the reason of its end")
	f.DurationVar(&o.Grace, "grace", 0, "`time` between SIGTERM and SIGKILL (default: 30s)")
	f.BoolVar(&o.Wait, "wait", false, "wait until the job has ended")
	c.complete(cmd, "run", c.runIDs)
	c.complete(cmd, "job", c.jobIDs)
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "print the job that would be stopped, and stop none")
	return cmd
}
