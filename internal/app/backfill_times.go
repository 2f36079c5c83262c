package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/schedule"
)

// plan says what the runs ask for, and returns their times.
func (b *backfill) plan(ctx context.Context, p *project.Project) ([]time.Time, error) {
	o := b.options
	s := cloud.Schedule{Cron: o.Every}
	if o.Schedule != "" || o.Every == "" {
		var err error
		if s, err = b.schedule(ctx, p); err != nil {
			return nil, err
		}
	}
	s.Timezone = first(o.Timezone, s.Timezone, "UTC")
	zone, err := schedule.Zone(s.Timezone)
	if err != nil {
		return nil, scheduleMistake(s.TargetID, s.Timezone, err)
	}
	from, _, err := boundary("--from", o.From, zone)
	if err != nil {
		return nil, err
	}
	to, day, err := boundary("--to", o.To, zone)
	if err != nil {
		return nil, err
	}
	if day {
		to = to.AddDate(0, 0, 1).Add(-time.Second)
	}
	b.zone, b.base = zone, s.Fire(b.cloud.Scope, time.Time{})
	b.base.Trigger, b.base.Overlap, b.base.Env = cloud.TriggerBackfill, "", map[string]string{}
	if b.base.Written = maps.Clone(b.base.Written); b.base.Written == nil {
		b.base.Written = map[string]string{}
	}
	if p != nil && p.Deploy.PushOnFail != nil {
		b.base.PushOnFail = *p.Deploy.PushOnFail
	}
	b.base.Series = series(b.base, o.Target)
	ask(&b.base, o.Target)
	if err := checkWritten(b.base.Written); err != nil {
		return nil, err
	}
	cron, err := schedule.Parse(everyCron(first(o.Every, s.Cron), from))
	if err != nil {
		return nil, scheduleMistake(s.TargetID, s.Timezone, err)
	}
	return b.app.firesBetween(cron.From(from), from, to)
}

// schedule returns the schedule that o names, or the only one, of the project, or where there is none of the cloud.
func (b *backfill) schedule(ctx context.Context, p *project.Project) (cloud.Schedule, error) {
	var list []cloud.Schedule
	if p != nil {
		for _, s := range p.Schedules {
			list = append(list, ScheduleOptions{}.schedule(s))
		}
	} else {
		var err error
		if list, err = b.cloud.Schedules.List(ctx); err != nil {
			return cloud.Schedule{}, err
		}
	}
	var ids []string
	for _, s := range list {
		if ids = append(ids, s.TargetID); s.TargetID == b.options.Schedule || b.options.Schedule == "" && len(list) == 1 {
			if s.Damage != "" {
				return s, fmt.Errorf("schedule %q: %w: %s", s.TargetID, cloud.ErrCorrupt, s.Damage)
			}
			return s, nil
		}
	}
	if b.options.Schedule != "" {
		return cloud.Schedule{}, &UsageError{
			Message: fmt.Sprintf("there is no schedule with target_id %q", b.options.Schedule), Hint: "there are: " + first(strings.Join(ids, ", "), "none"),
		}
	}
	return cloud.Schedule{}, &UsageError{
		Message: "which times are meant is not said", Hint: "name a schedule with --schedule (there are: " + first(strings.Join(ids, ", "), "none") + "), or a step: --every day",
	}
}

// boundary reads one end of a range of times, and whether it is a day.
func boundary(flag, text string, zone *time.Location) (at time.Time, day bool, err error) {
	if text == "" {
		return at, false, &UsageError{Message: flag + " is missing", Hint: "a backfill is for a range of times: --from 2026-11-01 --to 2026-11-20"}
	}
	for _, form := range []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339} {
		if at, err := time.ParseInLocation(form, text, zone); err == nil {
			return at.In(zone), form == time.DateOnly, nil
		}
	}
	return at, false, &UsageError{Message: fmt.Sprintf("%s %q is no time", flag, text), Hint: "write " + flag + " 2026-11-01, or 2026-11-01T06:00"}
}

// everyWords are the steps that have a name.
func everyWords() []string { return []string{"hour", "day", "week", "month"} }

// everyCron returns the cron expression of a step, which goes by the time of day, the day of the week and of the month of from.
func everyCron(every string, from time.Time) string {
	switch slices.Index(everyWords(), every) {
	case 0:
		return fmt.Sprintf("%d * * * *", from.Minute())
	case 1:
		return fmt.Sprintf("%d %d * * *", from.Minute(), from.Hour())
	case 2:
		return fmt.Sprintf("%d %d * * %d", from.Minute(), from.Hour(), from.Weekday())
	case 3:
		return fmt.Sprintf("%d %d %d * *", from.Minute(), from.Hour(), from.Day())
	}
	return every
}

// firesBetween returns the fires from one time to another, both included; those to come are left to the schedule.
func (a *App) firesBetween(cron *schedule.Cron, from, to time.Time) ([]time.Time, error) {
	now := a.Now()
	switch {
	case to.Before(from):
		return nil, &UsageError{Message: "--to is before --from", Hint: "a backfill goes from the earlier time to the later one"}
	case from.After(now):
		return nil, &UsageError{Message: "--from has not come yet", Hint: "a backfill is for times that have passed"}
	}
	var times []time.Time
	for at := from.Add(-time.Second); len(times) <= mostFires; {
		next, ok := cron.Next(at, from.Location())
		if !ok || next.After(to) {
			break
		}
		if next.After(now) {
			a.Log.Warn(fmt.Sprintf("times from %s on have not come yet: they are left out", next.Format(time.RFC3339)))
			break
		}
		times, at = append(times, next), next
	}
	switch {
	case len(times) == 0:
		return nil, &UsageError{Message: fmt.Sprintf("there is no time between %s and %s", from.Format(time.RFC3339), to.Format(time.RFC3339)), Hint: "see `handoff schedule next`"}
	case len(times) > mostFires:
		return nil, &UsageError{Message: fmt.Sprintf("there are more than %d times", mostFires), Hint: "take a shorter range"}
	}
	return times, nil
}
