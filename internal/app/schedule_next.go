package app

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/schedule"
)

// ScheduleNextResult previews schedules.
type ScheduleNextResult struct {
	Status    string         `json:"status"`
	Schedules []ScheduleNext `json:"schedules"`
}

// ScheduleNext is one schedule with its next fires.
type ScheduleNext struct {
	TargetID    string   `json:"target_id,omitempty"`
	Description string   `json:"description,omitempty"`
	Cron        string   `json:"cron"`
	Timezone    string   `json:"timezone"`
	Next        []string `json:"next"`             // RFC 3339, in the time zone of the schedule
	UTC         []string `json:"next_utc"`         // the same in UTC
	Jitter      string   `json:"jitter,omitempty"` // by up to this much each start is later
}

// mostFires is how many fires are returned at most.
const mostFires = 10_000

// ScheduleNextOptions says which fires to preview.
type ScheduleNextOptions struct {
	Target
	TargetIDs []string  // of the project; none: all
	Cron      string    // "": those of the project
	Timezone  string    // "": that of the schedule, else UTC
	From      time.Time // only fires after it; zero: now
	Count     int       // at most so many for each schedule
}

// ScheduleNext returns the next fires of the schedules of the project, or of one that o describes.
func (a *App) ScheduleNext(_ context.Context, o ScheduleNextOptions) (ScheduleNextResult, error) {
	if o.Count < 1 || o.Count > mostFires {
		return ScheduleNextResult{}, &UsageError{Message: fmt.Sprintf("%d times cannot be shown", o.Count), Hint: fmt.Sprintf("ask for 1 to %d", mostFires)}
	}
	if o.From.IsZero() {
		o.From = a.Now()
	}
	list := []project.Schedule{{Cron: o.Cron, Timezone: o.Timezone}}
	if o.Cron == "" {
		var err error
		if list, err = a.previewed(o); err != nil {
			return ScheduleNextResult{}, err
		}
	}
	res := ScheduleNextResult{Status: "success", Schedules: []ScheduleNext{}}
	for _, s := range list {
		zone := first(o.Timezone, s.Timezone, "UTC")
		from, until, err := window(s, zone)
		if err != nil {
			return ScheduleNextResult{}, err
		}
		times, err := schedule.NextBetween(s.Cron, zone, o.From, o.Count, from, until)
		if err != nil {
			return ScheduleNextResult{}, scheduleMistake(s.TargetID, zone, err)
		}
		next := ScheduleNext{s.TargetID, s.Description, s.Cron, zone, []string{}, []string{}, timeSpan(s.Jitter)}
		for _, at := range times {
			next.Next, next.UTC = append(next.Next, at.Format(time.RFC3339)), append(next.UTC, at.UTC().Format(time.RFC3339))
		}
		res.Schedules = append(res.Schedules, next)
	}
	return res, nil
}

// previewed returns the schedules of the project that o asks for.
func (a *App) previewed(o ScheduleNextOptions) ([]project.Schedule, error) {
	p, err := a.wantProject(o.Target, "or name the times: --cron '0 9 * * ? *'")
	if err != nil {
		return nil, err
	}
	return chosen(p, o.TargetIDs)
}

// wantProject loads the project of t. instead is what to do without one.
func (a *App) wantProject(t Target, instead string) (*project.Project, error) {
	if t.ProjectDir == "" {
		return nil, &UsageError{Message: "no project given, and there is no project.yml in this folder", Hint: "add -p FOLDER, " + instead}
	}
	return a.load(t)
}

// chosen returns the schedules with these target ids, all where none are named.
func chosen(p *project.Project, ids []string) ([]project.Schedule, error) {
	if len(ids) == 0 {
		return p.Schedules, nil
	}
	var list []project.Schedule
	for _, id := range ids {
		i := slices.IndexFunc(p.Schedules, func(s project.Schedule) bool { return s.TargetID == id })
		if i < 0 {
			return nil, noSchedule(p, id)
		}
		list = append(list, p.Schedules[i])
	}
	return list, nil
}

func noSchedule(p *project.Project, id string) error {
	var known []string
	for _, s := range p.Schedules {
		known = append(known, s.TargetID)
	}
	return &UsageError{
		Message: fmt.Sprintf("the project has no schedule with target_id %q", id),
		Hint:    "it has: " + first(strings.Join(known, ", "), "none") + "; or name the times, too: --cron '0 9 * * ? *'",
	}
}

func scheduleMistake(id, zone string, err error) error {
	text := err.Error()
	if id != "" {
		text = fmt.Sprintf("schedule %q: %s", id, text)
	}
	if _, err := schedule.Zone(zone); err != nil {
		return &UsageError{Message: text} // it says itself what to write
	}
	return &UsageError{Message: text, Hint: "both forms are in docs/schedules.md: '0 9 * * ? *' (AWS, six fields), '0 9 * * *' (cron, five fields)"}
}

// checkTimes returns what is wrong with the times of a schedule; that they have passed is not.
func checkTimes(cron, zone string) error {
	times, err := schedule.Next(cron, zone, time.Unix(0, 0), 1)
	if err == nil && len(times) == 0 {
		err = fmt.Errorf("cron %q never fires: there is no such day", cron)
	}
	return err
}

// window returns from when until when a schedule of a project fires, zero where it does not say; a day that until names belongs to it.
func window(s project.Schedule, name string) (from, until time.Time, err error) {
	zone, err := schedule.Zone(name)
	if err != nil {
		return from, until, scheduleMistake(s.TargetID, name, err)
	}
	if s.From != "" {
		from, _, err = boundary("from:", s.From, zone)
	}
	if err == nil && s.Until != "" {
		var day bool
		if until, day, err = boundary("until:", s.Until, zone); day {
			until = until.AddDate(0, 0, 1).Add(-time.Second)
		}
	}
	return from.UTC(), until.UTC(), err
}

// checkWindow returns what is wrong with the rest of a schedule whose times can be read.
func checkWindow(s project.Schedule) error {
	from, until, err := window(s, s.Timezone)
	if err != nil {
		return err
	}
	err = cloud.Schedule{TargetID: s.TargetID, Cron: s.Cron, From: from, Until: until, Jitter: s.Jitter, Freshness: s.Freshness}.Check()
	if err != nil {
		return &UsageError{Message: err.Error(), Hint: cloud.Hint(err)}
	}
	return nil
}

// wrongSchedules returns what would keep schedules of a project from being created.
func wrongSchedules(p *project.Project) project.Errors {
	var errs project.Errors
	for i, s := range p.Schedules {
		err := checkTimes(s.Cron, s.Timezone)
		if err == nil {
			err = checkWindow(s)
		}
		if err != nil {
			errs = append(errs, project.Diagnostic{Pos: s.Pos, Path: fmt.Sprintf("schedules[%d]", i), Message: err.Error()})
		}
	}
	return errs
}
