package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/notify"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/schedule"
)

// The states of a task, those that somebody has to look at first. Up to StateLate they are red.
const (
	StateFailed  = "failed"
	StateDied    = "died"
	StateMissed  = "missed"
	StateLate    = "late"
	StateRunning = "running"
	StateOK      = "ok"
	StateNew     = "new" // it has not run yet
)

func statesInOrder() []string {
	return []string{StateFailed, StateDied, StateMissed, StateLate, StateRunning, StateOK, StateNew}
}

// Red reports whether somebody has to look.
func (t TaskStatus) Red() bool {
	return slices.Index(statesInOrder(), t.State) <= slices.Index(statesInOrder(), StateLate)
}

// StatusOptions says of what to tell.
type StatusOptions struct {
	Target
	AllStages bool // those of the resource group; else that of the Target
	Notify    bool // tell who wants to know what is red, and has not been told yet
}

// StatusResult is how all tasks stand, the red ones first.
type StatusResult struct {
	Status   string       `json:"status"` // success; failed where one is red
	At       time.Time    `json:"at"`
	Red      int          `json:"red"`
	Tasks    []TaskStatus `json:"tasks"`
	Told     []Told       `json:"told,omitempty"`
	ExitCode int          `json:"exit_code"`
}

// TaskStatus is how a task stands, of one client, in one env stage.
type TaskStatus struct {
	State         string      `json:"state"`
	Task          string      `json:"task"`
	Client        string      `json:"client,omitempty"`
	EnvStage      string      `json:"env_stage"`
	ResourceGroup string      `json:"resource_group"`
	Reason        string      `json:"reason,omitempty"`
	Running       *RunSummary `json:"running,omitempty"`
	Progress      string      `json:"progress,omitempty"` // of Running: what it does now
	Last          *RunSummary `json:"last,omitempty"`     // the last run that has ended
	UsualSeconds  float64     `json:"usual_seconds,omitempty"`
	UsualRows     *int64      `json:"usual_rows,omitempty"` // the medians of the last runs that have succeeded, without Last
	Schedule      string      `json:"schedule,omitempty"`   // that is missed or late
	Since         time.Time   `json:"since,omitzero"`       // when it was due, or since when it is late
	Next          time.Time   `json:"next,omitzero"`        // when a schedule starts it again

	last ledger.Run
}

// usual is of how many runs the median is taken, at most.
const usual = 5

// StatusAll tells how the tasks of a resource group stand, or, where nobody names one, all that the account has.
func (a *App) StatusAll(ctx context.Context, o StatusOptions) (StatusResult, error) {
	scopes, err := a.allScopes(ctx, o)
	if err != nil {
		return StatusResult{}, err
	}
	res := StatusResult{Status: "success", At: a.Now().UTC(), Tasks: []TaskStatus{}}
	list := make([]TaskStatus, len(scopes))
	order := make([]int, len(scopes))
	for i := range order {
		order[i] = i
	}
	caches := a.readCaches(ctx, o.Target, scopes)
	err = cloud.Each(ctx, scopesAtOnce, order, func(ctx context.Context, i int) (err error) {
		list[i], err = a.taskStatus(ctx, o.Target, scopes[i], caches[groupOf(scopes[i].Scope)].of(scopes[i].Prefix()))
		return err
	})
	if err != nil {
		return StatusResult{}, err
	}
	for _, c := range caches {
		c.write(ctx)
	}
	for i, t := range list {
		if t.State != StateNew || scopes[i].registered {
			res.Tasks = append(res.Tasks, t)
		}
	}
	slices.SortStableFunc(res.Tasks, func(x, y TaskStatus) int {
		return cmp.Or(cmp.Compare(slices.Index(statesInOrder(), x.State), slices.Index(statesInOrder(), y.State)),
			strings.Compare(x.ResourceGroup, y.ResourceGroup), strings.Compare(x.Task, y.Task), strings.Compare(x.Client, y.Client), strings.Compare(x.EnvStage, y.EnvStage))
	})
	for _, t := range res.Tasks {
		if t.Red() {
			res.Red++
			res.Status, res.ExitCode = string(pipeline.Failed), ExitFailed
		}
	}
	if o.Notify {
		res.Told = a.tellRed(ctx, o.Target, res.Tasks)
	}
	return res, nil
}

// scopesAtOnce is how many tasks are looked at at a time.
const scopesAtOnce = 16

// statusScope is a task to tell of: one that is registered, or else one of the project in this place.
type statusScope struct {
	cloud.Scope
	registered bool
}

// allScopes returns the tasks to tell of.
func (a *App) allScopes(ctx context.Context, o StatusOptions) ([]statusScope, error) {
	wide := o.Target
	c, p, err := a.openScope(ctx, wide)
	named := err == nil
	if !named { // no group is named: any opens the account
		if o.ProjectDir != "" || o.env("resource_group") != "" {
			return nil, err
		}
		wide = o.Target.at(cloud.Scope{Stage: first(o.EnvStage, "dev"), ResourceGroup: "-any-"})
		if c, _, err = a.openScope(ctx, wide); err != nil {
			return nil, err
		}
	}
	groups, err := c.Account.Groups(ctx)
	if err != nil {
		return nil, err
	}
	var list []statusScope
	for _, g := range groups {
		if named && g.ResourceGroup != c.Scope.ResourceGroup || !o.AllStages && g.Stage != c.Scope.Stage {
			continue
		}
		tasks, err := a.tasksOf(ctx, o.Target, g)
		if err != nil {
			return nil, err
		}
		list = append(list, tasks...)
	}
	if named && p != nil && c.Scope.Task != "" {
		for _, client := range append([]string{""}, p.ClientNames()...) {
			s := c.Scope
			if s.Client = client; !slices.ContainsFunc(list, func(x statusScope) bool { return x.Scope == s }) {
				list = append(list, statusScope{Scope: s})
			}
		}
	}
	if only := o.Target.env("task"); only != "" {
		list = slices.DeleteFunc(list, func(s statusScope) bool { return s.Task != only })
	}
	return list, nil
}

// at returns t for another scope, without a project.
func (t Target) at(s cloud.Scope) Target {
	out := Target{EnvStage: s.Stage, Client: s.Client, Cloud: t.Cloud, Envs: slices.Clone(t.Envs)}
	return out.with("resource_group", s.ResourceGroup).with("task", s.Task)
}

// tasksOf returns the registered tasks of a group.
func (a *App) tasksOf(ctx context.Context, t Target, group cloud.Scope) ([]statusScope, error) {
	c, err := a.openCloud(ctx, t.at(group), nil)
	if err != nil {
		return nil, err
	}
	found, err := c.Infra.Status(ctx, cloud.KindTask)
	if err != nil {
		return nil, err
	}
	list := make([]statusScope, len(found))
	for i, r := range found {
		list[i] = statusScope{Scope: group, registered: true}
		list[i].Task, list[i].Client = r.Name, r.Client
	}
	return list, nil
}

// taskStatus tells how one task stands.
func (a *App) taskStatus(ctx context.Context, t Target, s statusScope, seen *seenRuns) (TaskStatus, error) {
	out := TaskStatus{State: StateNew, Task: s.Task, Client: s.Client, EnvStage: s.Stage, ResourceGroup: s.ResourceGroup}
	c, err := a.openCloud(ctx, t.at(s.Scope), nil)
	if err != nil {
		return out, err
	}
	runs, all, err := a.newest(ctx, c, seen)
	if err != nil {
		return out, fmt.Errorf("task %s: %w", s.Scope, err)
	}
	out.ofRuns(runs, a.Now())
	schedules, err := c.Schedules.List(ctx)
	if err != nil {
		return out, fmt.Errorf("task %s: %w", s.Scope, err)
	}
	return out, a.ofSchedules(ctx, c, &out, runs, all, schedules)
}

// newest returns the last runs, settled as far as it matters: those up to the last that has ended; and whether there are no others. What a
// backfill has made is passed over: it tells nothing of last night.
func (a *App) newest(ctx context.Context, c *cloud.Cloud, seen *seenRuns) (runs []ledger.Run, all bool, err error) {
	b := a.ledger(c, usual+1)
	b.Known = seen.known
	settle := sync.OnceValues(func() (known, error) { return a.readKnown(ctx, c) })
	ended, backfills := false, 0
	for run, err := range b.Runs(ctx, a.Now(), ledger.Query{}) {
		if err != nil {
			return nil, false, err
		}
		seen.keep(run)
		if ofBackfill(run) && run.Outcome != ledger.Running {
			if backfills++; backfills > mostBackfills {
				return runs, false, nil
			}
			continue
		}
		if !ended && run.Outcome != string(pipeline.Success) && run.Outcome != ledger.Skipped {
			k, err := settle()
			if err == nil {
				run, err = a.settle(ctx, c, b, run, k)
			}
			if err != nil {
				return nil, false, err
			}
		}
		ended = ended || run.Outcome != ledger.Running && run.Outcome != ledger.Skipped
		if runs = append(runs, run); len(runs) > usual {
			return runs, false, nil
		}
	}
	return runs, true, nil
}

// ofRuns takes over what the last runs say, the newest first.
func (t *TaskStatus) ofRuns(runs []ledger.Run, now time.Time) {
	var seconds, rows []float64
	for _, run := range runs {
		s := summary(run, now)
		switch {
		case run.Outcome == ledger.Skipped:
		case run.Outcome == ledger.Running:
			if t.Running == nil && t.Last == nil {
				t.Running, t.Progress = &s, progress(run)
			}
		case t.Last == nil:
			t.Last, t.last = &s, run
		case run.Outcome == string(pipeline.Success):
			seconds = append(seconds, s.Seconds)
			if run.Rows != nil {
				rows = append(rows, float64(*run.Rows))
			}
		}
	}
	t.UsualSeconds = median(seconds)
	if len(rows) > 0 {
		n := int64(median(rows))
		t.UsualRows = &n
	}
	switch {
	case t.Running != nil:
		t.State, t.Reason = StateRunning, t.Running.Reason
	case t.Last == nil:
	case t.Last.Outcome == string(pipeline.Success):
		t.State = StateOK
	case notify.Of(t.last) == notify.Died:
		t.State, t.Reason = StateDied, t.Last.Reason
	default:
		t.State, t.Reason = StateFailed, t.Last.Reason
	}
}

// progress says what a run does now.
func progress(run ledger.Run) string {
	done := 0
	var now []string
	for _, t := range run.Tasks {
		switch {
		case t.Outcome != ledger.Running:
			done++
		case t.Lines != nil:
			now = append(now, fmt.Sprintf("%s (line %d)", t.Name, t.Lines.Succeeded+t.Lines.Failed))
		default:
			now = append(now, t.Name)
		}
	}
	text := strings.Join(now, ", ")
	if done > 0 {
		text = strings.TrimPrefix(fmt.Sprintf("%s; %s done", text, Count(done, "task")), "; ")
	}
	return text
}

// median returns the one in the middle, 0 of none.
func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// startsWithin is how long after its time a run may begin before it counts as missed.
const startsWithin = 5 * time.Minute

// ofSchedules finds the next fire, and what should have run and did not. A run that goes on, or has failed, is told before.
func (a *App) ofSchedules(ctx context.Context, c *cloud.Cloud, t *TaskStatus, runs []ledger.Run, all bool, schedules []cloud.Schedule) error {
	last, err := a.lastOf(ctx, c, runs, all, schedules)
	if err != nil {
		return err
	}
	for _, s := range schedules {
		if next := a.nextFire(c, s); !next.IsZero() && (t.Next.IsZero() || next.Before(t.Next)) {
			t.Next = next
		}
		l := last[s.TargetID]
		missed := a.missed(c, s, l.Run)
		late := s.LateSince(l.Success.End, a.Now())
		switch calm := t.State == StateOK || t.State == StateNew; {
		case calm && !missed.IsZero():
			t.State, t.Schedule, t.Since = StateMissed, s.TargetID, missed.UTC()
			t.Reason = a.whyMissed(ctx, c, s.TargetID, missed)
		case calm && !late.IsZero():
			t.State, t.Schedule, t.Since = StateLate, s.TargetID, late.UTC()
			t.Reason = fmt.Sprintf("no success of schedule %s for more than %v", s.TargetID, short(s.Freshness))
		}
	}
	return nil
}

// lastOf returns the last runs of schedules. Where the newest runs of the task say it, or are all that there are, no others are read.
func (a *App) lastOf(ctx context.Context, c *cloud.Cloud, runs []ledger.Run, all bool, schedules []cloud.Schedule) (map[string]ledger.Last, error) {
	last := map[string]ledger.Last{}
	for _, run := range runs {
		if run.ScheduleID == "" || run.Series != "" {
			continue
		}
		l := last[run.ScheduleID]
		if l.Run.ID == "" {
			l.Run = run
		}
		if l.Success.ID == "" && run.Outcome == string(pipeline.Success) {
			l.Success = run
		}
		last[run.ScheduleID] = l
	}
	var targets []string
	open := false
	for _, s := range schedules {
		targets = append(targets, s.TargetID)
		l := last[s.TargetID]
		open = open || l.Run.ID == "" || s.Freshness > 0 && l.Success.ID == ""
	}
	if !open || all {
		return last, nil
	}
	return a.ledger(c, 0).LastOfSchedules(ctx, a.Now(), targets)
}

// missed returns the last time for which a schedule should have started a run by now and has not, zero where there is none; last is
// its newest run.
func (a *App) missed(c *cloud.Cloud, s cloud.Schedule, last ledger.Run) time.Time {
	cron, err := schedule.Parse(s.Cron)
	zone, zoneErr := schedule.Zone(s.Timezone)
	if err != nil || zoneErr != nil || !s.Enabled || s.Since.IsZero() {
		return time.Time{}
	}
	cron = cron.From(s.Since).Between(s.From, s.Until)
	from, end := s.Since, a.Now().Add(-startsWithin-s.Delay(c.Scope))
	if last.ScheduledAt.After(from) {
		from = last.ScheduledAt
	}
	var found time.Time
	for range mostFires {
		next, ok := cron.Next(from, zone)
		if !ok || next.After(end) {
			break
		}
		found, from = next, next
	}
	return found
}

// whyMissed is what the scheduler says of it, if there is one of ours.
func (a *App) whyMissed(ctx context.Context, c *cloud.Cloud, target string, at time.Time) string {
	why := "no run has begun for " + at.UTC().Format(time.RFC3339)
	if c.Scheduler == nil {
		return why
	}
	if notes, err := c.Scheduler.Unstarted(ctx, c.Scope); err == nil && notes[target] != "" {
		return why + ": " + notes[target]
	}
	if _, idle := unserved(ctx, c.Scheduler); idle {
		return why + ": no server runs"
	}
	return why
}

// tellRed tells of what is red.
func (a *App) tellRed(ctx context.Context, t Target, list []TaskStatus) []Told {
	var mu sync.Mutex
	told := []Told{}
	_ = cloud.Each(ctx, AtOnce, list, func(ctx context.Context, s TaskStatus) error {
		if !s.Red() {
			return nil
		}
		now, err := a.tellOne(ctx, t.at(cloud.Scope{Stage: s.EnvStage, ResourceGroup: s.ResourceGroup, Task: s.Task, Client: s.Client}), s)
		if err != nil { // of the others is told all the same
			a.Log.Warn(fmt.Sprintf("notify of task %s%s: %v", s.Task, t.at(cloud.Scope{Client: s.Client}).clientFlag(), err))
		}
		mu.Lock()
		defer mu.Unlock()
		told = append(told, now...)
		return nil
	})
	return told
}

func (a *App) tellOne(ctx context.Context, t Target, s TaskStatus) ([]Told, error) {
	o, closes, err := a.outside(ctx, t)
	if err != nil {
		return nil, err
	}
	defer closes()
	switch s.State {
	case StateMissed:
		return o.tell(ctx, notify.Missed, o.noRun(s.Schedule, s.Since, s.Reason)), nil
	case StateLate:
		return o.tell(ctx, notify.Late, o.noRun(s.Schedule, s.Since, s.Reason)), nil
	}
	run := s.last
	if full, err := a.readRun(ctx, o.cloud, a.ledger(o.cloud, 1), run.ID); err == nil { // else it is damaged: that is what there is to tell
		run = full
	}
	run.ResourceGroup, run.Task, run.Client, run.EnvStage = s.ResourceGroup, s.Task, s.Client, s.EnvStage
	return o.look(ctx, run), nil
}

// with returns t with -e key=value, which wins.
func (t Target) with(key, value string) Target {
	t.Envs = append(t.Envs, project.KeyValue{Key: key, Value: value})
	return t
}
