package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/pipeline"
)

// runLog is the name of the log in the artifacts folder.
const runLog = "run.log"

// openRunLog returns a logger that writes to the console and to artifacts/run.log.
func (a *App) openRunLog(s *session) (*slog.Logger, func(), error) {
	root, err := os.OpenRoot(s.ws.Artifacts())
	if err != nil {
		return nil, nil, fmt.Errorf("open run log: %w", err)
	}
	defer root.Close()
	f, err := pipeline.CreateArtifact(root, runLog)
	if err != nil {
		return nil, nil, err
	}
	out := &firstError{w: f}
	w := s.redactor.Writer(out)
	log := slog.New(slog.NewMultiHandler(a.Log.Handler(), &lineHandler{w: w}))
	return log, func() {
		_, _ = w.Close(), f.Close()
		if out.err != nil {
			a.Log.Warn(fmt.Sprintf("the log of the run is not complete: %v", out.err))
		}
	}, nil
}

// firstError remembers the first error of a writer that nobody asks for its errors.
type firstError struct {
	w   io.Writer
	err error
}

func (f *firstError) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	if err != nil && f.err == nil {
		f.err = err
	}
	return n, err
}

// lineHandler writes records as plain lines: time, level, message.
type lineHandler struct{ w io.Writer }

func (h *lineHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (h *lineHandler) WithAttrs([]slog.Attr) slog.Handler           { return h }
func (h *lineHandler) WithGroup(string) slog.Handler                { return h }

func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	_, err := fmt.Fprintf(h.w, "%s %-5s %s\n", r.Time.UTC().Format(time.RFC3339), r.Level, Plain(r.Message))
	return err
}

// maxOutput is how much of what stages write to standard error goes to the log, in bytes: all of it is in their files. A
// line counts with what the log adds to it.
const (
	maxOutput = 8 << 20
	ofLine    = 64
)

// outputCap keeps the log of a run from growing without end. It is not for concurrent use.
type outputCap struct{ left int64 }

// admits reports whether an event may go to the log, and says there once that no more output will.
func (c *outputCap) admits(log *slog.Logger, e pipeline.Event) bool {
	if e.Kind != pipeline.Output {
		return true
	}
	before := c.left
	c.left -= int64(len(e.Text)) + ofLine
	if before > 0 && c.left <= 0 {
		log.Warn(fmt.Sprintf("the stages have written %s to this log: what follows is in artifacts/*_stderr.log only", Bytes(maxOutput)))
	}
	return c.left > 0
}

// logEvent says in a line what happened. The message is whole; the attributes are for machines.
func logEvent(log *slog.Logger, e pipeline.Event, mask func(string) string) {
	level, msg := message(e, mask)
	if msg == "" || !log.Enabled(context.Background(), level) {
		return
	}
	r := slog.NewRecord(e.Time, level, mask(msg), 0)
	r.AddAttrs(slog.String("event", string(e.Kind)))
	if len(e.Task) > 0 {
		r.AddAttrs(slog.String("task", strings.Join(e.Task, "/")))
	}
	if len(e.Lines) > 0 {
		r.AddAttrs(slog.String("line", mask(e.Lines[len(e.Lines)-1])))
	}
	if e.Stage != "" {
		r.AddAttrs(slog.String("stage", e.Stage))
	}
	if e.Result != nil {
		r.AddAttrs(slog.String("outcome", string(e.Result.Outcome)), slog.Int("exit_code", e.Result.Code))
	}
	_ = log.Handler().Handle(context.Background(), r)
}

// message words an event; empty: nothing to say.
func message(e pipeline.Event, mask func(string) string) (slog.Level, string) {
	at := where(e, mask)
	switch e.Kind {
	case pipeline.TaskStarted:
		if e.Try > 1 {
			return slog.LevelInfo, fmt.Sprintf("%s: started, try %d", at, e.Try)
		}
		return quiet(e, slog.LevelInfo), at + ": started"
	case pipeline.StageStarted:
		return slog.LevelDebug, fmt.Sprintf("%s: started (pid %d)", at, e.Pid)
	case pipeline.Output:
		return slog.LevelInfo, at + ": " + e.Text
	case pipeline.Warning:
		return slog.LevelWarn, strings.TrimPrefix(at+": "+e.Text, ": ")
	case pipeline.TaskSkipped:
		return slog.LevelInfo, at + ": skipped: " + e.Text
	case pipeline.TaskRetrying:
		return slog.LevelWarn, fmt.Sprintf("%s: %s; next try %s", at, reason(e), soon(e.Wait))
	case pipeline.StageEnded, pipeline.TaskEnded:
		return ended(e, at)
	}
	return slog.LevelDebug, ""
}

func soon(wait time.Duration) string {
	if wait == 0 {
		return "at once"
	}
	return "in " + wait.String()
}

// quiet lowers the level for what happens once a line of a foreach.
func quiet(e pipeline.Event, l slog.Level) slog.Level {
	if len(e.Lines) > 0 {
		return slog.LevelDebug
	}
	return l
}

func ended(e pipeline.Event, at string) (slog.Level, string) {
	if e.Result == nil {
		return slog.LevelDebug, ""
	}
	if e.Kind == pipeline.StageEnded {
		return stageEnded(e, at)
	}
	switch r := e.Result; r.Outcome {
	case pipeline.Success:
		return quiet(e, slog.LevelInfo), fmt.Sprintf("%s: done in %v%s", at, short(r.Elapsed), lines(r))
	case pipeline.Terminated:
		return slog.LevelInfo, fmt.Sprintf("%s: stopped: %s", at, reason(e))
	default:
		if len(r.Task) > len(e.Task) { // a task in it has told why
			return slog.LevelError, fmt.Sprintf("%s: %s in %s", at, spelled(r.Outcome), strings.Join(r.Task[len(e.Task):], "/"))
		}
		if r.Outcome == pipeline.Interrupted {
			return slog.LevelError, fmt.Sprintf("%s: %s after %v", at, reason(e), short(r.Elapsed))
		}
		if r.Outcome != pipeline.Failed { // the reason says after how long
			return slog.LevelError, at + ": " + reason(e)
		}
		if r.Inner { // a task in that stage has told why
			return slog.LevelError, fmt.Sprintf("%s: failed after %v at stage %q", at, short(r.Elapsed), r.Stage)
		}
		return slog.LevelError, fmt.Sprintf("%s: failed after %v: %s", at, short(r.Elapsed), reason(e))
	}
}

// stageEnded tells why a stage has failed where its task does not. What was stopped with its task is told by that, once for
// all its stages, and what has failed in a loop or fork has told it already.
func stageEnded(e pipeline.Event, at string) (slog.Level, string) {
	switch r := e.Result; {
	case r.Outcome == pipeline.Success:
		return slog.LevelDebug, fmt.Sprintf("%s: done in %v%s", at, short(r.Elapsed), lines(r))
	case r.Outcome == pipeline.Terminated:
		return slog.LevelInfo, fmt.Sprintf("%s: stopped: %s", at, reason(e))
	case r.Outcome == pipeline.Failed && !r.Inner && !r.First:
		return slog.LevelWarn, at + ": " + reason(e)
	}
	return slog.LevelDebug, at + ": " + reason(e)
}

func spelled(o pipeline.Outcome) string { return strings.ReplaceAll(string(o), "_", " ") }

func lines(r *pipeline.Result) string {
	if r.Lines == nil {
		return ""
	}
	return fmt.Sprintf(" (%s, %d failed)", Count(int(r.Lines.Total), "line"), r.Lines.Failed)
}

func reason(e pipeline.Event) string {
	if e.Result == nil {
		return ""
	}
	if e.Result.Reason != "" {
		return e.Result.Reason
	}
	return string(e.Result.Outcome)
}

// where names the place of an event: task/child[line]/stage. A line is masked before it is cut, so that no part of a secret stays.
func where(e pipeline.Event, mask func(string) string) string {
	at := strings.Join(e.Task, "/")
	if n := len(e.Lines); n > 0 {
		at += "[" + cut(mask(e.Lines[n-1]), 40) + "]"
	}
	if e.Stage != "" {
		at += "/" + e.Stage
	}
	return at
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

func short(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}

// logEnd closes the log of a run with its outcome. told is the reason that a task has told before.
func logEnd(log *slog.Logger, r RunResult, told string) {
	took := short(time.Duration(r.Seconds * float64(time.Second)))
	level, text := slog.LevelInfo, fmt.Sprintf("run %s: %s after %v", r.RunID, spelled(pipeline.Outcome(r.Status)), took)
	switch {
	case r.Status == string(pipeline.Interrupted), r.Status == string(pipeline.TimedOut):
		level, text = slog.LevelError, fmt.Sprintf("run %s: %s; it took %v", r.RunID, r.Reason, took)
	case r.ExitCode != 0:
		level = slog.LevelError
		why := r.Reason
		if r.Task != "" {
			text += " in " + r.Task
			why = strings.TrimPrefix(strings.TrimPrefix(why, told), "; ")
		}
		if why != "" {
			text += ": " + why
		}
	}
	log.Log(context.Background(), level, text)
}
