package app

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

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
	Next        []string `json:"next"` // RFC 3339, in the time zone of the schedule
}

const (
	defaultFires = 5
	mostFires    = 10_000
)

// nextQuery is what -v of `schedule next` asks for.
type nextQuery struct {
	targets        []string
	cron, timezone string
	from           time.Time
	count          int
}

// ScheduleNext returns the next fires of the schedules of the project, or of one that the variables of t describe.
func (a *App) ScheduleNext(_ context.Context, t Target) (ScheduleNextResult, error) {
	q, err := readNextQuery(t.Vars, a.Now())
	if err != nil {
		return ScheduleNextResult{}, err
	}
	list := []project.Schedule{{Cron: q.cron, Timezone: q.timezone}}
	if q.cron == "" {
		if list, err = a.previewed(t, q); err != nil {
			return ScheduleNextResult{}, err
		}
	}
	res := ScheduleNextResult{Status: "success", Schedules: []ScheduleNext{}}
	for _, s := range list {
		zone := first(q.timezone, s.Timezone, "UTC")
		times, err := schedule.Next(s.Cron, zone, q.from, q.count)
		if err != nil {
			return ScheduleNextResult{}, scheduleMistake(s.TargetID, err)
		}
		next := make([]string, len(times))
		for i, at := range times {
			next[i] = at.Format(time.RFC3339)
		}
		res.Schedules = append(res.Schedules, ScheduleNext{s.TargetID, s.Description, s.Cron, zone, next})
	}
	return res, nil
}

// previewed returns the schedules of the project that q asks for.
func (a *App) previewed(t Target, q nextQuery) ([]project.Schedule, error) {
	p, err := a.wantProject(t, "or name the times: -v cron='0 9 * * ? *'")
	if err != nil {
		return nil, err
	}
	return chosen(p, q.targets)
}

// wantProject loads the project of t. instead is what to do without one.
func (a *App) wantProject(t Target, instead string) (*project.Project, error) {
	if t.ProjectDir == "" {
		return nil, &UsageError{Message: "no project given, and there is no project.yml in this folder", Hint: "add -p FOLDER, " + instead}
	}
	return a.load(t.ProjectDir)
}

// chosen returns the schedules of these targets, all where none are named.
func chosen(p *project.Project, targets []string) ([]project.Schedule, error) {
	if len(targets) == 0 {
		return p.Schedules, nil
	}
	var list []project.Schedule
	for _, target := range targets {
		i := slices.IndexFunc(p.Schedules, func(s project.Schedule) bool { return s.TargetID == target })
		if i < 0 {
			return nil, noTarget(p, target)
		}
		list = append(list, p.Schedules[i])
	}
	return list, nil
}

func noTarget(p *project.Project, target string) error {
	var known []string
	for _, s := range p.Schedules {
		known = append(known, s.TargetID)
	}
	return &UsageError{
		Message: fmt.Sprintf("the project has no schedule with target_id %q", target),
		Hint:    "it has: " + first(strings.Join(known, ", "), "none") + "; or name the times, too: -v cron='0 9 * * ? *'",
	}
}

func readNextQuery(vars []project.KeyValue, now time.Time) (nextQuery, error) {
	q := nextQuery{from: now, count: defaultFires}
	for _, v := range vars {
		var err error
		switch v.Key {
		case "cron":
			q.cron = v.Value
		case "timezone":
			q.timezone = v.Value
		case "target_id":
			q.targets = append(q.targets, v.Value)
		case "from":
			q.from, err = parseInstant(v.Value)
		case "count":
			q.count, err = strconv.Atoi(v.Value)
		default:
			return q, unknownVar(v.Key, "cron, timezone, from, count, target_id")
		}
		if err != nil || q.count < 1 || q.count > mostFires {
			return q, &UsageError{
				Message: fmt.Sprintf("-v %s=%s cannot be read", v.Key, v.Value),
				Hint:    fmt.Sprintf("write from=2026-01-30T12:00:00Z, count=3 (at most %d)", mostFires),
			}
		}
	}
	return q, nil
}

// parseInstant reads RFC 3339; without a zone, or without a time, it is in UTC.
func parseInstant(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Parse(time.DateOnly, text)
}

func unknownVar(key, known string) error {
	return &UsageError{Message: fmt.Sprintf("there is no -v %s here", key), Hint: "there are: " + known}
}

func scheduleMistake(target string, err error) error {
	text := err.Error()
	if target != "" {
		text = fmt.Sprintf("schedule %q: %s", target, text)
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

// wrongSchedules returns what would keep schedules of a project from being created.
func wrongSchedules(p *project.Project) project.Errors {
	var errs project.Errors
	for i, s := range p.Schedules {
		if err := checkTimes(s.Cron, s.Timezone); err != nil {
			errs = append(errs, project.Diagnostic{Pos: s.Pos, Path: fmt.Sprintf("schedules[%d]", i), Message: err.Error()})
		}
	}
	return errs
}
