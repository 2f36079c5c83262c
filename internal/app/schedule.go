package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/schedule"
)

// ScheduleOptions says which schedules to create or delete.
type ScheduleOptions struct {
	Target
	TargetIDs []string         // which; at a create none means all of the project
	Over      project.Schedule // at a create: what it sets wins over project.yml; Cron makes one that is not there
	DryRun    bool
	Served    bool                         // at a create: say nothing of a server that does not run
	Prune     bool                         // at a create of all: delete those that project.yml does not have
	Confirm   func([]cloud.Schedule) error // asked before any is deleted; an error stops it; nil: nobody is asked
}

// SchedulesResult lists schedules.
type SchedulesResult struct {
	Status    string          `json:"status"` // success; planned
	Schedules []ScheduleState `json:"schedules"`
}

// ScheduleState is a schedule as it would stand in project.yml, and what is known of it.
type ScheduleState struct {
	TargetID    string        `json:"target_id"`
	Description string        `json:"description,omitempty"`
	Cron        string        `json:"cron"`
	Timezone    string        `json:"timezone,omitempty"`
	Catchup     cloud.Catchup `json:"catchup,omitempty"`
	Overlap     cloud.Overlap `json:"overlap,omitempty"`
	From        time.Time     `json:"from,omitzero"`
	Until       time.Time     `json:"until,omitzero"`
	Jitter      string        `json:"jitter,omitempty"`
	Freshness   string        `json:"freshness,omitempty"`
	Envs        []ScheduleEnv `json:"envs,omitempty"`
	Status      string        `json:"status"` // scheduled, paused, draft, edited, undeclared; created, updated, unchanged, deleted, resumed
	Paused      bool          `json:"paused,omitempty"`
	Next        time.Time     `json:"next,omitzero"` // when it starts a job next, jitter included
	Last        time.Time     `json:"last,omitzero"` // the time for which its last run was due
	LastOutcome string        `json:"last_outcome,omitempty"`
	LateSince   time.Time     `json:"late_since,omitzero"` // see freshness
	Note        string        `json:"note,omitempty"`      // why the last fire has no job, or how the last job failed
}

// ScheduleEnv is a variable of the jobs of a schedule.
type ScheduleEnv struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func scheduleState(s cloud.Schedule, status string) ScheduleState {
	r := ScheduleState{
		TargetID: s.TargetID, Description: s.Description, Cron: s.Cron, Timezone: s.Timezone, Catchup: s.Catchup,
		Overlap: s.Overlap, From: s.From, Until: s.Until, Jitter: timeSpan(s.Jitter), Freshness: timeSpan(s.Freshness),
		Status: status, Paused: !s.Enabled && s.Damage == "", Note: s.Damage,
	}
	for _, key := range slices.Sorted(maps.Keys(s.Env)) {
		r.Envs = append(r.Envs, ScheduleEnv{key, s.Env[key]})
	}
	return r
}

// timeSpan is a time span as project.yml takes it, "" for none.
func timeSpan(d time.Duration) string {
	if d == 0 {
		return ""
	}
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} { // 26h, not 26h0m0s
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// ScheduleCreate puts the schedules of the project, or those that o names, in place.
func (a *App) ScheduleCreate(ctx context.Context, o ScheduleOptions) (res SchedulesResult, err error) {
	c, p, err := a.openTask(ctx, o.Target)
	if err != nil {
		return SchedulesResult{}, err
	}
	wanted, err := a.wantedSchedules(o, p)
	if err != nil {
		return SchedulesResult{}, err
	}
	old, err := c.Schedules.List(ctx)
	if err != nil {
		return SchedulesResult{}, err
	}
	res = SchedulesResult{Status: status(o.DryRun), Schedules: []ScheduleState{}}
	if len(o.TargetIDs) == 0 {
		if err := a.leftSchedules(ctx, c, o, undeclared(old, p), &res); err != nil {
			return SchedulesResult{}, err
		}
	}
	for _, s := range wanted {
		if err := a.checkWrittenVars(p, o.Client, s.Env, fmt.Sprintf("schedule %q", s.TargetID)); err != nil {
			return SchedulesResult{}, err
		}
		at := slices.IndexFunc(old, func(o cloud.Schedule) bool { return o.TargetID == s.TargetID })
		s.Enabled = at < 0 || old[at].Enabled || old[at].Damage != "" // what was paused stays so, until it is resumed
		status := compareSchedule(old, s)
		if !o.DryRun {
			if err := c.Schedules.Put(ctx, s); err != nil {
				return SchedulesResult{}, err
			}
		}
		if s.Since = a.Now(); status == "unchanged" {
			s.Since = old[at].Since
		}
		state := scheduleState(s, status)
		state.Next = a.nextFire(c, s)
		switch {
		case !s.Enabled:
			a.Log.Warn(fmt.Sprintf("schedule %q is paused, and stays so: `handoff cloud schedule resume --target-id %s`", s.TargetID, s.TargetID))
		case state.Next.IsZero():
			a.Log.Warn(fmt.Sprintf("schedule %q never fires: its times have passed", s.TargetID))
		}
		res.Schedules = append(res.Schedules, state)
	}
	if !o.Served {
		a.warnUnserved(ctx, c)
	}
	return res, nil
}

// undeclaredStatus is that of a schedule that project.yml does not have.
const undeclaredStatus = "undeclared"

// undeclared returns the schedules that are in place and not in project.yml.
func undeclared(list []cloud.Schedule, p *project.Project) []cloud.Schedule {
	if p == nil {
		return nil // nobody knows here what it says
	}
	return slices.DeleteFunc(slices.Clone(list), func(s cloud.Schedule) bool { return declares(p, s.TargetID) })
}

func declares(p *project.Project, id string) bool {
	return slices.ContainsFunc(p.Schedules, func(d project.Schedule) bool { return d.TargetID == id })
}

// leftSchedules deletes the schedules that project.yml does not have any more, where that is asked for, and else says that
// they go on.
func (a *App) leftSchedules(ctx context.Context, c *cloud.Cloud, o ScheduleOptions, left []cloud.Schedule, res *SchedulesResult) error {
	if len(left) == 0 {
		return nil
	}
	status := undeclaredStatus
	if o.Prune {
		status = "deleted"
	}
	for _, s := range left {
		res.Schedules = append(res.Schedules, scheduleState(s, status))
	}
	if o.Prune {
		return deleteSchedules(ctx, c, o, left)
	}
	a.Log.Warn(leftWarning(left))
	return nil
}

// leftWarning says that schedules which project.yml does not have go on, with the ids of the first ones.
func leftWarning(left []cloud.Schedule) string {
	if len(left) == 1 {
		return fmt.Sprintf("schedule %q is not in project.yml, and goes on firing: `handoff cloud schedule delete --target-id %s` ends it; "+
			"`handoff cloud schedule create --prune` ends all such", left[0].TargetID, left[0].TargetID)
	}
	const shown = 5
	var ids []string
	for _, s := range left[:min(len(left), shown)] {
		ids = append(ids, strconv.Quote(s.TargetID))
	}
	more := ""
	if n := len(left) - shown; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("%d schedules are not in project.yml, and go on firing: %s%s: `handoff cloud schedule delete --target-id ID` ends one; "+
		"`handoff cloud schedule create --prune` ends all such", len(left), strings.Join(ids, ", "), more)
}

func deleteSchedules(ctx context.Context, c *cloud.Cloud, o ScheduleOptions, toDelete []cloud.Schedule) error {
	if o.DryRun {
		return nil
	}
	if o.Confirm != nil {
		if err := o.Confirm(toDelete); err != nil {
			return err
		}
	}
	var targets []string
	for _, s := range toDelete {
		targets = append(targets, s.TargetID)
	}
	return c.Schedules.Delete(ctx, targets...)
}

// warnUnserved says that nothing fires the schedules, where a process of ours has to and none is there.
func (a *App) warnUnserved(ctx context.Context, c *cloud.Cloud) {
	if serves, idle := unserved(ctx, c.Scheduler); idle {
		a.Log.Warn(fmt.Sprintf("no server fires the schedules of %s: start `handoff server`, best by the init system", serves))
	}
}

// unserved reports whether nothing fires the schedules for which a process of ours is needed, and which they are. s is nil where the
// provider fires them.
func unserved(ctx context.Context, s cloud.Scheduler) (serves string, idle bool) {
	if s == nil {
		return "", false
	}
	st, err := s.Running(ctx)
	return st.Serves, err == nil && !st.Running
}

// nextFire returns when a schedule starts a job next, zero where it never does.
func (a *App) nextFire(c *cloud.Cloud, s cloud.Schedule) time.Time {
	cron, err := schedule.Parse(s.Cron)
	zone, zoneErr := schedule.Zone(s.Timezone)
	if err != nil || zoneErr != nil || !s.Enabled {
		return time.Time{}
	}
	delay := s.Delay(c.Scope)
	from := a.Now().Add(-delay)
	if s.Since.After(from) {
		from = s.Since
	}
	if next, ok := cron.From(s.Since).Between(s.From, s.Until).Next(from, zone); ok {
		return next.Add(delay).UTC()
	}
	return time.Time{}
}

// addFires tells when the schedules fire next, and when each one has last started a run, or why it has not.
func (a *App) addFires(ctx context.Context, c *cloud.Cloud, list []cloud.Schedule, states []ScheduleState) error {
	var targets []string
	for _, s := range list {
		targets = append(targets, s.TargetID)
	}
	last, err := a.ledger(c, 0).LastOfSchedules(ctx, a.Now(), targets)
	var unstarted map[string]string
	if err == nil && c.Scheduler != nil {
		unstarted, err = c.Scheduler.Unstarted(ctx, c.Scope)
	}
	if err != nil {
		return err
	}
	for i := range states {
		s := &states[i]
		if at := slices.Index(targets, s.TargetID); at >= 0 {
			s.Next = a.nextFire(c, list[at])
			s.LateSince = list[at].LateSince(last[s.TargetID].Success.End, a.Now()).UTC()
		}
		run := last[s.TargetID].Run
		s.Last, s.LastOutcome = run.ScheduledAt, run.Outcome
		s.Note = first(unstarted[s.TargetID], lastNote(run), s.Note)
	}
	return nil
}

// lastNote says how the last run of a schedule came to nothing, "" where it did not.
func lastNote(run ledger.Run) string {
	how := strings.ReplaceAll(run.Outcome, "_", " ")
	switch run.Outcome {
	case "", ledger.Running, string(pipeline.Success):
		return ""
	case ledger.Skipped, string(pipeline.Interrupted):
		how = "was " + how
	}
	return fmt.Sprintf("the one of %s %s: %s", run.ScheduledAt.UTC().Format(time.RFC3339), how, run.Reason)
}

func compareSchedule(old []cloud.Schedule, s cloud.Schedule) string {
	i := slices.IndexFunc(old, func(o cloud.Schedule) bool { return o.TargetID == s.TargetID })
	switch {
	case i < 0:
		return "created"
	case old[i].Same(s):
		return "unchanged"
	}
	return "updated"
}

// wantedSchedules returns what to put: the envs of the command line win over those of the schedule.
func (a *App) wantedSchedules(o ScheduleOptions, p *project.Project) ([]cloud.Schedule, error) {
	if o.Over.Cron != "" && len(o.TargetIDs) != 1 {
		return nil, &UsageError{Message: "--cron is for one schedule", Hint: "name it, too: --target-id 1 --cron '0 9 * * ? *'"}
	}
	if p == nil {
		p = &project.Project{}
	}
	list, err := chosen(p, o.TargetIDs)
	if err != nil && o.Over.Cron != "" {
		list, err = []project.Schedule{{TargetID: o.TargetIDs[0]}}, nil
	}
	if err == nil && len(list) == 0 && !o.Prune && o.Client == "" { // a client may have none
		err = &UsageError{
			Message: "there are no schedules in project.yml",
			Hint:    "write schedules: in it, or name one: --target-id 1 --cron '0 9 * * ? *'",
		}
	}
	if err != nil {
		return nil, err
	}
	var wanted []cloud.Schedule
	for _, s := range list {
		if _, _, err := window(s, first(o.Over.Timezone, s.Timezone)); err != nil {
			return nil, err
		}
		w := o.schedule(s)
		if err := checkSchedule(w); err != nil {
			return nil, err
		}
		wanted = append(wanted, w)
	}
	return wanted, nil
}

// schedule is s with what o says of it.
func (o ScheduleOptions) schedule(s project.Schedule) cloud.Schedule {
	w := cloud.Schedule{
		TargetID: s.TargetID, Description: first(o.Over.Description, s.Description, s.Name), Cron: first(o.Over.Cron, s.Cron),
		Timezone: first(o.Over.Timezone, s.Timezone), Enabled: true, Env: writtenEnv(s),
		Overlap: cloud.Overlap(first(o.Over.Overlap, s.Overlap)), Catchup: cloud.Catchup(first(o.Over.Catchup, s.Catchup)),
		Jitter: s.Jitter, Freshness: s.Freshness,
	}
	w.From, w.Until, _ = window(s, w.Timezone) // who makes one of it has checked that
	for _, e := range o.Envs {
		switch {
		case slices.Contains(ScopeKeys(), e.Key):
		case e.Key == "vars":
			w.Env[cloud.EnvVars] = e.Value
		default:
			w.Env[e.Key] = e.Value
		}
	}
	return w
}

// checkSchedule refuses what would only be found at the first fire.
func checkSchedule(s cloud.Schedule) error {
	if err := checkTimes(s.Cron, s.Timezone); err != nil {
		return scheduleMistake(s.TargetID, s.Timezone, err)
	}
	if err := s.Check(); err != nil {
		return &UsageError{Message: err.Error(), Hint: cloud.Hint(err)}
	}
	if err := checkWritten(s.Env); err != nil {
		return &UsageError{Message: fmt.Sprintf("schedule %q: %v", s.TargetID, err), Hint: err.Hint}
	}
	return nil
}

// ScheduleListOptions says which schedules to list.
type ScheduleListOptions struct {
	Target
	Drafts   bool // also those of the project that differ or are not in place yet
	Declared bool // only those that project.yml has
}

// ScheduleList returns the schedules of the task.
func (a *App) ScheduleList(ctx context.Context, o ScheduleListOptions) (res SchedulesResult, err error) {
	c, p, err := a.openTask(ctx, o.Target)
	if err != nil {
		return SchedulesResult{}, err
	}
	list, err := c.Schedules.List(ctx)
	if err != nil {
		return SchedulesResult{}, err
	}
	known := p != nil
	if !known {
		p = &project.Project{}
	}
	res = SchedulesResult{Status: "success", Schedules: []ScheduleState{}}
	for _, s := range list {
		there := declares(p, s.TargetID)
		if o.Declared && !there {
			continue
		}
		status := "scheduled"
		switch {
		case !s.Enabled:
			status = "paused"
		case known && !there:
			status = undeclaredStatus
		}
		res.Schedules = append(res.Schedules, scheduleState(s, status))
	}
	a.sayNone(c, nil, "schedules", len(res.Schedules))
	if len(res.Schedules) > 0 {
		if err := a.addFires(ctx, c, list, res.Schedules); err != nil {
			return SchedulesResult{}, err
		}
	}
	if o.Drafts {
		addDrafts(&res, list, p)
	}
	if len(list) > 0 {
		a.warnUnserved(ctx, c)
	}
	return res, nil
}

// addDrafts puts what project.yml says in the place of what differs from it, and adds what is not in place.
func addDrafts(res *SchedulesResult, list []cloud.Schedule, p *project.Project) {
	for _, d := range p.Schedules {
		s := ScheduleOptions{}.schedule(d)
		if i := slices.IndexFunc(list, func(o cloud.Schedule) bool { return o.TargetID == s.TargetID }); i >= 0 {
			s.Enabled = list[i].Enabled
		}
		switch compareSchedule(list, s) {
		case "created":
			res.Schedules = append(res.Schedules, scheduleState(s, "draft"))
		case "updated":
			i := slices.IndexFunc(res.Schedules, func(r ScheduleState) bool { return r.TargetID == s.TargetID })
			res.Schedules[i] = scheduleState(s, "edited")
		}
	}
}

// ScheduleDelete removes the schedules that o names.
func (a *App) ScheduleDelete(ctx context.Context, o ScheduleOptions) (res SchedulesResult, err error) {
	if len(o.TargetIDs) == 0 {
		return SchedulesResult{}, &UsageError{Message: "no schedule given", Hint: "add --target-id 1; see `handoff cloud schedule list`"}
	}
	c, _, err := a.openTask(ctx, o.Target)
	if err != nil {
		return SchedulesResult{}, err
	}
	toDelete, err := placedSchedules(ctx, c, o.TargetIDs)
	if err != nil {
		return SchedulesResult{}, err
	}
	res = SchedulesResult{Status: status(o.DryRun)}
	for _, sch := range toDelete {
		res.Schedules = append(res.Schedules, scheduleState(sch, "deleted"))
	}
	if err := deleteSchedules(ctx, c, o, toDelete); err != nil {
		return SchedulesResult{}, err
	}
	return res, nil
}

// onlySchedule returns the target id of the schedule of the task, where it has one alone.
func onlySchedule(ctx context.Context, c *cloud.Cloud) (string, error) {
	list, err := c.Schedules.List(ctx)
	switch {
	case err != nil:
		return "", err
	case len(list) == 0:
		return "", &UsageError{Message: fmt.Sprintf("task %q has no schedule in place", c.Scope.Task), Hint: "`handoff cloud schedule create` puts those of project.yml in place"}
	case len(list) == 1:
		return list[0].TargetID, nil
	}
	var ids []string
	for _, s := range list {
		ids = append(ids, s.TargetID)
	}
	return "", &UsageError{Message: "which schedule is not said", Hint: "add --target-id with one of " + strings.Join(ids, ", ")}
}

// placedSchedules returns the schedules of the task with these target ids.
func placedSchedules(ctx context.Context, c *cloud.Cloud, targets []string) ([]cloud.Schedule, error) {
	list, err := c.Schedules.List(ctx)
	if err != nil {
		return nil, err
	}
	var found []cloud.Schedule
	for _, target := range targets {
		i := slices.IndexFunc(list, func(s cloud.Schedule) bool { return s.TargetID == target })
		if i < 0 {
			return nil, &UsageError{
				Message: fmt.Sprintf("task %q has no schedule with target_id %q", c.Scope.Task, target), Hint: "see `handoff cloud schedule list`",
			}
		}
		found = append(found, list[i])
	}
	return found, nil
}

// SchedulePauseOptions says which schedules stop firing, or fire again.
type SchedulePauseOptions struct {
	Target
	TargetIDs []string
	All       bool // all that are in place
	Resume    bool // they fire again; what has passed meanwhile does not
	DryRun    bool
}

// SchedulePause pauses schedules, or ends that. Jobs that they have started go on.
func (a *App) SchedulePause(ctx context.Context, o SchedulePauseOptions) (res SchedulesResult, err error) {
	if o.All == (len(o.TargetIDs) > 0) {
		return SchedulesResult{}, &UsageError{Message: "which schedules are meant is not said", Hint: "add --target-id 1, or --all; see `handoff cloud schedule list`"}
	}
	c, _, err := a.openTask(ctx, o.Target)
	if err != nil {
		return SchedulesResult{}, err
	}
	var list []cloud.Schedule
	if o.All {
		list, err = c.Schedules.List(ctx)
	} else {
		list, err = placedSchedules(ctx, c, o.TargetIDs)
	}
	if err != nil {
		return SchedulesResult{}, err
	}
	done := "paused"
	if o.Resume {
		done = "resumed"
	}
	res = SchedulesResult{Status: status(o.DryRun), Schedules: []ScheduleState{}}
	for _, s := range list {
		now := done
		switch {
		case s.Damage != "":
			return SchedulesResult{}, fmt.Errorf("schedule %q: %w: %s", s.TargetID, cloud.ErrCorrupt, s.Damage)
		case s.Enabled == o.Resume:
			now = "unchanged"
		case !o.DryRun:
			s.Enabled, s.Since = o.Resume, a.Now()
			if err := c.Schedules.Put(ctx, s); err != nil {
				return SchedulesResult{}, err
			}
		}
		s.Enabled = o.Resume
		state := scheduleState(s, now)
		state.Next = a.nextFire(c, s)
		res.Schedules = append(res.Schedules, state)
	}
	a.sayNone(c, nil, "schedules", len(res.Schedules))
	return res, nil
}
