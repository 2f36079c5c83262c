package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/local"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/process"
)

// jobWord starts the runner of a job of the provider local instead of a command.
const jobWord = "__job"

// jobRunner is the life of that runner. Its stderr is the file runner.log of the job.
func (c *cli) jobRunner(ctx context.Context, args []string) int {
	process.Leave() // a run may have started the job
	guard := guardCommand()
	if guard == nil {
		fmt.Fprintln(c.con, "the path of this program is not known")
		return app.ExitFailed
	}
	err := local.RunJob(ctx, args, local.RunnerOptions{Program: guard[:1], Environ: c.environ, Cgroup: c.getenv("HANDOFF_CGROUP")})
	if err != nil {
		fmt.Fprintln(c.con, err)
		return app.ExitFailed
	}
	return 0
}

// runJob is handoff in a job. Its log is read by people.
func (c *cli) runJob(ctx context.Context) error {
	c.flags.output = "text"
	var o app.RunOptions
	var res app.RunResult
	err := c.watchRun(&o, func(verbs *app.App) (app.RunResult, error) {
		var err error
		res, err = verbs.RunJob(ctx, o)
		return res, err
	})
	dir := c.getenv(local.EnvJobDir)
	if dir == "" {
		return err
	}
	last := local.LastWord{Skipped: res.Status == ledger.Skipped, Reason: res.Reason}
	if err != nil && last.Reason == "" {
		last.Reason = app.InShort(err)
	}
	return errors.Join(err, last.Leave(dir))
}

// watchRunner stops a run that is a job of the provider local when its runner is killed. Commands of the run have nothing to
// do with it.
func (c *cli) watchRunner(cancel context.CancelCauseFunc) {
	fd, err := strconv.Atoi(c.getenv(local.EnvRunner))
	if err != nil || fd < 3 {
		return
	}
	c.environ = slices.DeleteFunc(c.environ, func(kv string) bool { return strings.HasPrefix(kv, local.EnvRunner+"=") })
	syscall.CloseOnExec(fd)
	pipe := os.NewFile(uintptr(fd), "runner")
	if info, err := pipe.Stat(); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return
	}
	go func() {
		if _, err := pipe.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
			cancel(pipeline.Interrupt{Signal: syscall.SIGTERM})
			fmt.Fprintln(c.con, "handoff: the runner of the job was killed: stopping")
		}
	}()
}

// jobOptions says how jobs of the provider local are started.
func (c *cli) jobOptions() local.JobOptions {
	o := local.JobOptions{Environ: jobEnviron(c.environ)}
	if guard := guardCommand(); guard != nil {
		o.Runner = []string{guard[0], jobWord}
	}
	return o
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
  -v target_id=ID    take the environment of that schedule of the project
  -v release=ID      run this release
  -e KEY=value       an environment variable of the job

With --wait the exit code is that of the job. Ctrl-C ends the waiting, not the job.

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
	cmd.Flags().StringVar(&overlap, "overlap", "", "`policy` while a job of the task is active: skip, queue, replace or allow (default: that of the task)")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "print the job that would be started, and start none")
	_ = cmd.RegisterFlagCompletionFunc("overlap", cobra.FixedCompletions([]string{"skip", "queue", "replace", "allow"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (c *cli) cloudRun(ctx context.Context, o app.CloudRunOptions, logs bool) error {
	if logs {
		o.Wait = true
		o.Line = func(l cloud.Line) { fmt.Fprintln(c.con, l.Text) }
	}
	if o.Wait {
		log := c.logger(c.con)
		o.Started = func(job cloud.Job) { log.Info(fmt.Sprintf("job %s of task %s is %s", job.ID, job.Task, job.State)) }
	}
	res, err := c.app().CloudRun(ctx, o)
	if err != nil {
		return err
	}
	c.code = res.Code()
	return c.print(res, jobLine(res.Job))
}

// jobLine is a job as a line for a person.
func jobLine(j cloud.Job) string {
	text := fmt.Sprintf("%s %s %s", j.ID, j.Task, j.State)
	if !j.Started.IsZero() {
		end := j.Ended
		if end.IsZero() {
			end = time.Now()
		}
		text += fmt.Sprintf(" (%.1fs)", end.Sub(j.Started).Seconds())
	}
	if j.Reason != "" {
		text += ": " + j.Reason
	}
	for _, w := range j.Warnings {
		text += "\n  warning: " + w
	}
	return text
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
	return &cobra.Command{
		Use:   "status",
		Short: "Show the jobs of the task, the last one first",
		Long: `Show the jobs of the task, the last one first.

  -v id=ID, -v run=ID              only this job, or the job of this run
  -v running=true, -v stopped=true only jobs that are active, or that have ended
  -v limit=N                       at most so many (20; 0: all)
  -v resource_group_level=true     of all tasks of the resource group`,
		Example: `  handoff cloud job status -p my_project
  handoff cloud job status -p my_project -v running=true -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := c.anyTarget()
			if err != nil {
				return err
			}
			res, err := c.app().JobStatus(cmd.Context(), t)
			if err != nil {
				return err
			}
			var b strings.Builder
			for _, job := range res.Jobs {
				fmt.Fprintln(&b, jobLine(job))
			}
			return c.print(res, b.String())
		},
	}
}

func (c *cli) jobStopCommand() *cobra.Command {
	var o app.JobStopOptions
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Ask a job to end",
		Long: `Ask a job to end: its run is stopped as by SIGTERM, and killed where it has not ended
after the grace time.

  -v id=ID, -v run=ID   which job; not needed where only one is active
  -v reason=TEXT        shown as the reason of its end
  -v grace=30s          between SIGTERM and SIGKILL`,
		Example: `  handoff cloud job stop -p my_project
  handoff cloud job stop -p my_project -v id=20260102T030405.678Z-0123456789ab reason='wrong month' --wait`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := c.anyTarget()
			if err != nil {
				return err
			}
			o.Target = t
			res, err := c.app().JobStop(cmd.Context(), o)
			if err != nil {
				return err
			}
			return c.print(res, jobLine(res.Job))
		},
	}
	cmd.Flags().BoolVar(&o.Wait, "wait", false, "wait until the job has ended")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "print the job that would be stopped, and stop none")
	return cmd
}
