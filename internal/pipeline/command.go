package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/process"
)

// A command is the process of a stage and what is read of its output.
type command struct {
	*stage
	err   *lineReader
	out   *lineReader // stdout that goes to no file; nil: none
	from  int64       // size of the stdout artifact before
	words []string    // to start without a shell; nil: with one
}

func (st *stage) startCommand() (func() ending, error) {
	c := &command{stage: st}
	st.limit = &timeout{after: time.Duration(st.spec.Command.Timeout)}
	sp, opened, err := c.prepare()
	defer func() {
		for _, f := range opened {
			_ = f.Close()
		}
	}()
	if err == nil {
		st.proc, err = c.begin(sp)
		err = c.explain(err, sp.Env)
	}
	if err != nil {
		c.abandon()
		return nil, err
	}
	st.in.release()
	st.event(Event{Kind: StageStarted})
	st.rowsSoFar = c.err.rows.rows
	c.err.start()
	if c.out != nil {
		c.out.start()
	}
	st.e.meter.addStage(st)
	return c.wait, nil
}

// begin starts the program itself where there is nothing for a shell to do. Where that fails the shell tries, too: it has the
// words and the code for every failure, and knows how to run a file that does not begin with "#!".
func (c *command) begin(sp process.Spec) (*process.Process, error) {
	if path, ok := program(c.words, sp.Env); ok {
		direct := sp
		direct.Path, direct.Args = path, c.words
		if p, err := c.e.sup.Start(direct); err == nil {
			return p, nil
		}
	}
	return c.e.sup.Start(sp)
}

// prepare prepares the start; opened are the files to close after it.
func (c *command) prepare() (sp process.Spec, opened []*os.File, err error) {
	cmd := c.spec.Command
	env := c.e.environ(cmd)
	sp = process.Spec{Env: env, Dir: c.e.dir, Stdin: c.stdin(), Stdout: c.to.f}
	if sp.Path, err = lookPath(cmd.Shell, env); err != nil {
		return sp, nil, err
	}
	script := plan.Script{Text: cmd.Script}
	if cmd.Text != nil {
		if script, err = cmd.Text(c.sc.lines); err != nil {
			return sp, nil, err
		}
	}
	var file *os.File
	if sp.Args, file, err = arguments(cmd, script); err != nil {
		return sp, nil, err
	}
	c.words = script.Words
	if file != nil {
		c.words = nil
		sp.Extra, opened = []*os.File{file}, append(opened, file)
	}
	if c.err, sp.Stderr, err = c.e.readLines(); err != nil {
		return sp, opened, err
	}
	opened = append(opened, sp.Stderr)
	c.listen(c.err, c.log)
	if c.to.f == nil {
		if c.out, sp.Stdout, err = c.e.readLines(); err != nil {
			return sp, opened, err
		}
		opened = append(opened, sp.Stdout)
		c.listen(c.out, nil)
	}
	if c.to.file != "" {
		c.from = sizeOf(c.to.f)
	}
	return sp, opened, nil
}

// listen says what happens to the lines of r: they are told, and written to log.
func (c *command) listen(r *lineReader, log *stderrLog) {
	name := c.spec.Name
	var lines []byte
	r.line = func(text string) {
		c.event(Event{Kind: Output, Text: text})
		if log != nil {
			lines = append(append(append(append(lines, name...), ": "...), text...), '\n')
		}
	}
	r.flush = func() {
		log.write(lines)
		lines = lines[:0]
	}
}

func (c *command) abandon() {
	for _, r := range []*lineReader{c.err, c.out} {
		if r != nil {
			_ = r.r.Close()
		}
	}
}

// explain says which of the two is missing when the kernel says only that something is, and what is too long.
func (c *command) explain(err error, env []string) error {
	if errors.Is(err, syscall.E2BIG) {
		return fmt.Errorf("%w: %s", err, largest(env))
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, serr := os.Stat(c.e.dir); errors.Is(serr, fs.ErrNotExist) {
		return fmt.Errorf("working folder %q: %w", c.e.dir, fs.ErrNotExist)
	}
	return fmt.Errorf("shell %q: %w", c.spec.Command.Shell, fs.ErrNotExist)
}

// largest tells how large an environment is, and what makes it so.
func largest(env []string) string {
	all, most, name := 0, 0, ""
	for _, kv := range env {
		all += len(kv)
		if len(kv) > most {
			most = len(kv)
			name, _, _ = strings.Cut(kv, "=")
		}
	}
	return fmt.Sprintf("the environment has %d KiB in %d variables, %d KiB of them in %s; put large values into files", all>>10, len(env), most>>10, name)
}

// wait waits for the end of the process, or stops its whole group when the context of the stage ends.
func (c *command) wait() ending {
	ctx, cancel := withTimeout(c.ctx, c.limit)
	defer cancel()
	killed := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(killed)
		c.kill(context.Cause(ctx))
	})
	exit := c.proc.Wait()
	left := c.settle(ctx, exit)
	end := c.judge(ctx, exit, left)
	if !unhook() {
		<-killed // members of the group may still read or write: the stage has not ended before they are gone
	}
	c.e.meter.removeStage(c.stage)
	c.err.finish()
	if c.out != nil {
		c.out.finish()
	}
	if !end.ok() {
		end.Tail = c.err.last()
	}
	end.ErrorLines = c.err.errors.Load()
	if c.spec.Command.NoErrors && end.Outcome == Success && end.ErrorLines > 0 {
		lines, first := end.ErrorLines, c.err.firstError()
		end = failure("logged a line at ERROR level, and none is expected: %s", first)
		end.ErrorLines, end.Tail = lines, c.err.last()
	}
	end.Elapsed = time.Since(c.began)
	c.stats = c.finalStats(exit.Usage)
	return end
}

// settle waits for the end of what the process has started, and returns what has not ended. It waits for a moment only, unless
// the plan says that these processes belong to the stage: one that is about to end is not work left behind.
func (c *command) settle(ctx context.Context, x process.Exit) []process.Leftover {
	if !x.Success() {
		return nil
	}
	left := c.proc.Settle(lingerTime)
	for len(left) > 0 && c.spec.Command.WaitForChildren && ctx.Err() == nil {
		left = c.proc.Settle(lingerTime)
	}
	return left
}

// kill ends the process, by asking where that is safe.
func (c *command) kill(cause error) {
	if cause == error(c.limit) {
		<-c.failing()
	}
	switch {
	case !c.mayAsk(cause):
		c.proc.Kill()
	case isTimeout(cause):
		c.proc.Interrupt(graceOf(c.t))
	default:
		c.proc.Stop(graceOf(c.t))
	}
}

// judge says how the process ended. One that was asked to end did not succeed, whatever its exit code says:
// a target that exits with 0 on SIGTERM has not seen its whole input.
func (c *command) judge(ctx context.Context, x process.Exit, left []process.Leftover) ending {
	if ctx.Err() == nil && !x.Success() && !c.lostReader(x) && c.to.piped && gone(c.to.f) {
		sleep(ctx, settleTime)
	}
	if ctx.Err() != nil {
		return c.asked(context.Cause(ctx), x)
	}
	end := ending{Result: ofExit(x)}
	switch {
	case end.ok() && len(left) == 0:
		return end
	case end.ok():
		end = failure("left work behind: %s; end it in the command, or set wait_for_children: true", listed(left))
		c.failing()
	case c.lostReader(x):
		end.Outcome, end.broken = Success, true
		end.Reason = "its reader needed no more"
	default:
		if c.to.piped && gone(c.to.f) {
			end.Reason += fmt.Sprintf(" when its reader, stage %q, had stopped reading", c.to.reader)
		}
		c.failing()
	}
	c.endLeft()
	return end
}

// endLeft ends what the process has left behind: it works on a stream that is no more.
func (c *command) endLeft() {
	if c.t.Terminate || c.t.Drain {
		c.proc.Stop(graceOf(c.t))
		return
	}
	c.proc.Kill()
}

// asked is the end of a process that was asked to end.
func (c *command) asked(cause error, x process.Exit) ending {
	end := ending{Result: byCause(cause)}
	end.Code = exitCode(x)
	if x.Signal != 0 {
		end.Signal = signalName(x.Signal)
	}
	return end
}

func (c *command) finalStats(u process.Usage) Stats {
	s := unknown()
	s.BytesIn, s.BytesOut, s.CPU, s.PeakMemory = u.Read, u.Written, u.CPU, u.PeakMemory
	s.Rows = c.err.rows.rows()
	if c.to.file != "" {
		if to := sizeOf(c.to.f); to >= c.from {
			s.BytesOut = to - c.from
			lines, rows := c.e.countRecords(c.to.file, c.from, to)
			if s.RecordsOut = lines; rows != nil {
				s.Rows = rows
			}
		}
	}
	return s
}
