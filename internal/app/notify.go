package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/lease"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/notify"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/process"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/release"
)

// Told is what has become of one message.
type Told struct {
	Name    string  `json:"name"` // of the entry of notify
	Way     string  `json:"way"`  // webhook, slack, teams, discord, mail, command
	Event   string  `json:"event"`
	Done    string  `json:"done"` // sent, failed; to send
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds"`
	Message string  `json:"message,omitempty"` // of one that is to send
}

// line is that for a log.
func (d Told) line() string {
	return fmt.Sprintf("notify %s (%s) of %s: %s", d.Name, d.Way, d.Event, cmp.Or(d.Error, d.Done))
}

// teller tells of runs of one task.
type teller struct {
	app     *App
	session *session
	cloud   *cloud.Cloud
	dir     string // in which commands run
	by      string // the id of a run, or of a look
	gone    string // the id of a run that has ended: what it has claimed and not sent is sent now
}

// letter is a message for one entry.
type letter struct {
	to   project.Notify
	kind notify.Kind
	id   string
}

// tell tells everybody who wants to know of an event and does not yet. It never takes longer than notify.Patience and some seconds.
func (t teller) tell(ctx context.Context, kind notify.Kind, run ledger.Run) []Told {
	ctx = context.WithoutCancel(ctx)
	letters := t.letters(ctx, kind, run)
	if len(letters) == 0 {
		return nil
	}
	notes := t.notes()
	ids := make([]string, len(letters))
	for i, l := range letters {
		ids[i] = l.id
	}
	mine, err := t.within(ctx, func(ctx context.Context) ([]string, error) { return notes.Claim(ctx, t.gone, ids...) })
	if err != nil { // better twice than not at all
		t.app.Log.Warn(fmt.Sprintf("it is not known what was told already, so it is told now: %v", err))
		mine = ids
	}
	letters = slices.DeleteFunc(letters, func(l letter) bool { return !slices.Contains(mine, l.id) })
	told := t.send(ctx, letters, run)
	var sent, failed []string
	for i, l := range letters {
		if told[i].Done == "sent" {
			sent = append(sent, l.id)
		} else {
			failed = append(failed, l.id)
		}
	}
	if len(letters) > 0 {
		_, err = t.within(ctx, func(ctx context.Context) ([]string, error) { return nil, notes.Settle(ctx, sent, failed) })
	}
	if err != nil {
		t.app.Log.Warn(err.Error())
	}
	return told
}

// notes are what the bucket knows of the messages of the task.
func (t teller) notes() notify.Notes {
	return notify.Notes{
		Files: t.cloud.Files, Key: t.cloud.Scope.Prefix() + "/notify.json", By: t.by, Now: t.app.Now,
		Where: notify.Process{Host: t.app.where(), Pid: os.Getpid(), Born: process.Born(os.Getpid())},
		Ended: func(p notify.Process) bool { return t.app.seen(p.Host, p.Pid, p.Born) == lease.Gone },
	}
}

// within gives a call to the bucket no more time than a message has.
func (t teller) within(ctx context.Context, call func(context.Context) ([]string, error)) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, notify.Patience/3)
	defer cancel()
	return call(ctx)
}

// letters returns what is to be told.
func (t teller) letters(ctx context.Context, kind notify.Kind, run ledger.Run) (list []letter) {
	recovered := kind == notify.Success && slices.ContainsFunc(t.session.project.Notify, func(n project.Notify) bool {
		return slices.Contains(n.On, string(notify.Recovery))
	}) && t.app.recovered(ctx, t.cloud, run)
	for _, n := range t.session.project.Notify {
		if k := notify.Wanted(kind, recovered, n.On); k != "" {
			list = append(list, letter{n, k, notify.EventID(k, run) + "/" + n.Name})
		}
	}
	return list
}

// How many runs are looked at for the one before; those of backfills, of which there may be many, are passed over.
const (
	looksBack     = 20
	mostBackfills = 400
)

// ofBackfill reports whether a run was made for a time that had passed: it tells nothing of how things stand now.
func ofBackfill(run ledger.Run) bool { return run.Trigger == string(cloud.TriggerBackfill) }

// recovered reports whether the last run before this one that has ended was no success.
func (a *App) recovered(ctx context.Context, c *cloud.Cloud, run ledger.Run) bool {
	if ofBackfill(run) {
		return false
	}
	seen, backfills := 0, 0
	for before, err := range a.ledger(c, looksBack).Runs(ctx, a.Now(), ledger.Query{}) {
		if err != nil || seen >= looksBack || backfills >= mostBackfills {
			return false
		}
		if ofBackfill(before) {
			backfills++
			continue
		}
		seen++
		if before.ID >= run.ID || before.Outcome == ledger.Running || before.Outcome == ledger.Skipped {
			continue
		}
		return before.Outcome != string(pipeline.Success)
	}
	return false
}

// send sends letters at the same time.
func (t teller) send(ctx context.Context, letters []letter, run ledger.Run) []Told {
	told := make([]Told, len(letters))
	var all sync.WaitGroup
	for i, l := range letters {
		all.Go(func() { told[i] = t.one(ctx, l, run) })
	}
	all.Wait()
	for _, d := range told {
		if d.Done == "sent" {
			t.app.Log.Info(d.line())
		} else {
			t.app.Log.Warn(d.line())
		}
	}
	return told
}

func (t teller) one(ctx context.Context, l letter, run ledger.Run) Told {
	start := time.Now()
	done := Told{Name: l.to.Name, Way: way(l.to), Event: string(l.kind), Done: "sent"}
	to, err := t.session.filled(l.to)
	if err == nil {
		var record []byte
		if record, err = json.Marshal(run); err == nil {
			s := notify.Sender{Environ: t.app.Environ, Dir: t.dir, Mask: t.session.clean, Now: t.app.Now}
			err = s.Send(ctx, to, notify.New(l.kind, run, t.session.clean), append(record, '\n'))
		}
	}
	if err != nil {
		done.Done, done.Error = "failed", t.session.clean(InShort(err))
	}
	done.Seconds = seconds(time.Since(start))
	return done
}

func way(n project.Notify) string {
	switch {
	case n.Mail != nil:
		return "mail"
	case n.Command != "":
		return "command"
	}
	return cmp.Or(n.Form, "webhook")
}

// filled returns an entry with its templates filled in.
func (s *session) filled(n project.Notify) (project.Notify, error) {
	in, p := s.input, *s.project
	p.Notify = []project.Notify{n}
	in.Project = &p
	list, _, err := plan.Notify(in)
	if err != nil {
		return n, err
	}
	return list[0], nil
}

// tell tells how the run has ended. What could not be told is a warning of its record, and no failure.
func (r *releaseRun) tell(ctx context.Context, res *RunResult) {
	if len(r.session.project.Notify) == 0 {
		return
	}
	t := teller{app: r.app, session: r.session, cloud: r.cloud, dir: r.session.ws.Dir(), by: r.session.input.RunID}
	if r.died.ID != "" {
		t.gone = r.died.ID
		t.tell(ctx, notify.Died, r.died)
	}
	kind := notify.Of(r.ended)
	if kind == "" {
		return
	}
	var warnings []string
	for _, d := range t.tell(ctx, kind, r.ended) {
		if d.Done != "sent" {
			warnings = append(warnings, d.line())
		}
	}
	if len(warnings) == 0 {
		return
	}
	res.Warnings, r.ended.Warnings = append(res.Warnings, warnings...), append(r.ended.Warnings, warnings...)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.app.Lease.Stop())
	defer cancel()
	if err := r.records.Put(ctx, r.ended); err != nil {
		r.app.Log.Warn(err.Error())
	}
}

// outside opens a teller for who looks at a task from outside. closes removes what it needs.
func (a *App) outside(ctx context.Context, t Target) (out teller, closes func(), err error) {
	tmp, err := os.MkdirTemp("", "handoff-notify-")
	if err != nil {
		return teller{}, nil, fmt.Errorf("make a temporary workspace: %w", err)
	}
	closes = func() { _ = os.RemoveAll(tmp) } // it only takes room
	t.WorkspaceDir = tmp
	quiet := *a
	quiet.Log = slog.New(slog.DiscardHandler) // what there is to say of the release is said where it runs
	f, err := quiet.openRelease(ctx, t, "")
	if err != nil {
		instead, why := quiet.openBeside(ctx, t, f)
		if instead == nil {
			closes()
			return teller{}, nil, err
		}
		a.Log.Warn(fmt.Sprintf("%s: %v", why, err))
		f = instead
	}
	return teller{app: a, session: f.session, cloud: f.cloud, dir: f.session.ws.Project(), by: "look-" + cloud.NewRunID(a.Now())}, closes, nil
}

// openBeside opens what says who is told where the current release, which is f as far as it could be opened, or its secrets cannot be
// loaded: that may be what there is to tell. It is nil where there is nothing; why says what it has taken.
func (a *App) openBeside(ctx context.Context, t Target, f *fetched) (instead *fetched, why string) {
	if f != nil && f.session.project != nil { // records are masked already
		a.mask(f.session, nil)
		f.session.input = a.planInput(f.session)
		return f, "notify without secrets"
	}
	c, _, err := a.openTask(ctx, t)
	if err != nil {
		return nil, ""
	}
	pushes, err := release.Open(c).List(ctx)
	if err != nil || len(pushes) == 0 {
		return nil, ""
	}
	const most = 5 // releases
	tried := map[string]bool{pushes[0].Release: true}
	for _, p := range pushes {
		if tried[p.Release] || p.Removed || len(tried) > most {
			continue
		}
		tried[p.Release] = true
		if f, err := a.openRelease(ctx, t, p.Release); err == nil {
			return f, fmt.Sprintf("notify as the earlier release %s says", release.Short(p.Release))
		}
	}
	return nil, ""
}

// TellOfJob tells of a job that has ended otherwise than with success, unless its run has done so itself.
func (a *App) TellOfJob(ctx context.Context, t Target, job cloud.Job) ([]Told, error) {
	o, closes, err := a.outside(ctx, t)
	if err != nil {
		return nil, err
	}
	defer closes()
	run, err := a.readRun(ctx, o.cloud, a.ledger(o.cloud, 1), job.RunID)
	switch {
	case errors.Is(err, cloud.ErrNotFound):
		run = recordless(o.cloud.Scope, job)
	case err != nil:
		return nil, err
	}
	return o.look(ctx, run), nil
}

// look tells of a run that has ended otherwise than with success.
func (t teller) look(ctx context.Context, run ledger.Run) []Told {
	kind := notify.Of(run)
	if kind == "" || kind == notify.Success {
		return nil
	}
	t.gone = run.ID
	return t.tell(ctx, kind, run)
}

// recordless is what is known of a run of which there is no record.
func recordless(s cloud.Scope, job cloud.Job) ledger.Run {
	run := runOf(s)
	run.ID, run.JobID, run.ScheduleID, run.ScheduledAt, run.Trigger = job.RunID, job.ID, job.ScheduleID, job.ScheduledAt, string(job.Trigger)
	run.Outcome, run.Start, run.End = ledger.Died, job.Created, job.Ended
	run.Reason = cmp.Or(job.Reason, "its job has ended before it could write a record: `handoff cloud logs`")
	return run
}

// runOf is a run of which nothing is known but where it belongs.
func runOf(s cloud.Scope) ledger.Run {
	return ledger.Run{ResourceGroup: s.ResourceGroup, Task: s.Task, Client: s.Client, EnvStage: s.Stage}
}

// TellOfMissed tells that a schedule has started no run for the time at.
func (a *App) TellOfMissed(ctx context.Context, t Target, scheduleID string, at time.Time, reason string) ([]Told, error) {
	o, closes, err := a.outside(ctx, t)
	if err != nil {
		return nil, err
	}
	defer closes()
	return o.tell(ctx, notify.Missed, o.noRun(scheduleID, at, reason)), nil
}

// TellOfLate tells that a task is late, where it is and nothing worse has happened to it: then that is told.
func (a *App) TellOfLate(ctx context.Context, t Target) ([]Told, error) {
	c, _, err := a.openTask(ctx, t)
	if err != nil {
		return nil, err
	}
	s, err := a.taskStatus(ctx, t, statusScope{Scope: c.Scope}, &seenRuns{etags: map[string]string{}})
	if err != nil || s.State != StateLate {
		return nil, err
	}
	return a.tellOne(ctx, t, s)
}

// noRun stands for a run that there should be.
func (t teller) noRun(scheduleID string, at time.Time, reason string) ledger.Run {
	run := runOf(t.cloud.Scope)
	run.ScheduleID, run.ScheduledAt, run.Trigger = scheduleID, at, string(cloud.TriggerSchedule)
	run.Reason, run.ExitCode = reason, -1
	return run
}

// NotifyTestOptions says what to pretend.
type NotifyTestOptions struct {
	Target
	On     string // the event; "": failure
	DryRun bool
}

// NotifyTestResult is what has become of the samples.
type NotifyTestResult struct {
	Status   string `json:"status"` // success; failed where one could not be told; planned
	Event    string `json:"event"`
	Told     []Told `json:"told"`
	ExitCode int    `json:"exit_code"`
}

// NotifyTest sends a sample to each entry of notify, whatever it wants to be told of. Without a project folder they are those of the
// current release in the bucket.
func (a *App) NotifyTest(ctx context.Context, o NotifyTestOptions) (res NotifyTestResult, err error) {
	kind := notify.Kind(cmp.Or(o.On, string(notify.Failure)))
	if !slices.Contains(project.Notifications(), string(kind)) {
		return NotifyTestResult{}, &UsageError{Message: fmt.Sprintf("there is no event %q", kind), Hint: "there are: " + strings.Join(project.Notifications(), ", ")}
	}
	t, closes, err := a.forTest(ctx, o.Target)
	if err != nil {
		return NotifyTestResult{}, err
	}
	defer closes()
	defer t.session.hideSecrets(&err)
	list := t.session.project.Notify
	if len(list) == 0 {
		return NotifyTestResult{}, &UsageError{Message: "the project tells nobody how runs end", Hint: "add notify to project.yml: docs/notifications.md"}
	}
	res = NotifyTestResult{Status: status(o.DryRun), Event: string(kind), Told: make([]Told, len(list))}
	run := a.sample(t.session, kind)
	if o.DryRun {
		for i, n := range list {
			res.Told[i], err = t.draft(n, kind, run)
			if err != nil {
				return NotifyTestResult{}, inProject(err)
			}
		}
		return res, nil
	}
	letters := make([]letter, len(list))
	for i, n := range list {
		letters[i] = letter{to: n, kind: kind}
	}
	quiet := *a
	quiet.Log = slog.New(slog.DiscardHandler)
	t.app = &quiet
	res.Told = t.send(ctx, letters, run)
	if slices.ContainsFunc(res.Told, func(d Told) bool { return d.Done != "sent" }) {
		res.Status, res.ExitCode = string(pipeline.Failed), ExitFailed
	}
	return res, nil
}

// draft is a message that is not sent.
func (t teller) draft(n project.Notify, kind notify.Kind, run ledger.Run) (Told, error) {
	if _, err := t.session.filled(n); err != nil {
		return Told{}, err
	}
	m := notify.New(kind, run, t.session.clean)
	text := m.Text()
	if n.Webhook != "" {
		body, err := m.Body(n.Form)
		if err != nil {
			return Told{}, err
		}
		text = string(body)
	}
	return Told{Name: n.Name, Way: way(n), Event: string(kind), Done: "to send", Message: text}, nil
}

// forTest opens the project folder, or the release where there is none.
func (a *App) forTest(ctx context.Context, t Target) (teller, func(), error) {
	if t.ProjectDir == "" {
		return a.outside(ctx, t)
	}
	s, err := a.open(t)
	if err != nil {
		return teller{}, nil, err
	}
	dir, err := filepath.Abs(t.ProjectDir)
	return teller{app: a, session: s, dir: dir}, func() {}, err
}

// sample is a run that has never been.
func (a *App) sample(s *session, kind notify.Kind) ledger.Run {
	d, now, rows := s.project.Deploy, a.Now().UTC(), int64(1234)
	run := ledger.Run{
		SchemaVersion: ledger.SchemaVersion, ResourceGroup: cmp.Or(d.ResourceGroup, "my-group"), Task: cmp.Or(d.Task, filepath.Base(s.project.Dir)),
		Client: s.target.Client, EnvStage: s.target.EnvStage, Trigger: string(cloud.TriggerManual), Reason: "this is a test of `handoff notify test`: nothing has happened",
	}
	if kind == notify.Missed || kind == notify.Late {
		run.ScheduleID, run.ScheduledAt = "1", now.Truncate(time.Hour)
		return run
	}
	run.ID, run.Start, run.End, run.Outcome = cloud.NewRunID(now), now.Add(-90*time.Second), now, string(pipeline.Success)
	if kind == notify.Failure || kind == notify.Died {
		run.Outcome, run.ExitCode = string(pipeline.Failed), 1
		run.Tasks = []*ledger.Task{{
			Name: "sample", Outcome: run.Outcome, Failed: "target", Tail: []string{"this would be the last lines of the stage that failed", "ERROR no space left in table <x> & co"},
		}}
	} else {
		run.Rows = &rows
	}
	return run
}
