package memory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/schedule"
)

// Schedules are those of one scope.
type Schedules struct{ room }

var _ cloud.Schedules = (*Schedules)(nil)

// scheduled is a schedule that is kept.
type scheduled struct {
	cloud.Schedule
	cron    *schedule.Cron
	zone    *time.Location
	delay   time.Duration // of the start of each fire
	through time.Time     // every fire up to it is decided
}

// next returns the first fire that is not decided yet, zero where there is none.
func (s *scheduled) next() time.Time {
	if !s.Enabled {
		return time.Time{}
	}
	next, _ := s.cron.Next(s.through, s.zone)
	return next
}

// Put implements cloud.Schedules. A schedule that is there already as it is stays as it is.
func (s *Schedules) Put(ctx context.Context, sch cloud.Schedule) error {
	if err := s.put(ctx, sch); err != nil {
		return fmt.Errorf("put schedule %q: %w", sch.TargetID, err)
	}
	return nil
}

func (s *Schedules) put(ctx context.Context, sch cloud.Schedule) error {
	leave, err := s.enter(ctx, true)
	if err != nil {
		return err
	}
	defer leave()
	if err := sch.Check(); err != nil {
		return err
	}
	cron, cronErr := schedule.Parse(sch.Cron)
	zone, zoneErr := schedule.Zone(sch.Timezone)
	if err := errors.Join(cronErr, zoneErr); err != nil {
		return fmt.Errorf("%w: %w", cloud.ErrInvalid, err)
	}
	t := s.task()
	if t.spec == nil {
		return unregistered(s.scope)
	}
	sch.Env = maps.Clone(sch.Env)
	if old := t.schedules[sch.TargetID]; old != nil && old.Same(sch) {
		return nil
	}
	now := s.now()
	sch.Since, sch.Damage = now, ""
	t.schedules[sch.TargetID] = &scheduled{
		Schedule: sch, cron: cron.From(now).Between(sch.From, sch.Until), zone: zone, delay: sch.Delay(s.scope), through: now,
	}
	return nil
}

// List implements cloud.Schedules.
func (s *Schedules) List(ctx context.Context) ([]cloud.Schedule, error) {
	leave, err := s.enter(ctx, true)
	if err != nil {
		return nil, fmt.Errorf("list schedules: %w", err)
	}
	defer leave()
	var list []cloud.Schedule
	all := s.task().schedules
	for _, target := range slices.Sorted(maps.Keys(all)) {
		sch := all[target].Schedule
		sch.Env = maps.Clone(sch.Env)
		list = append(list, sch)
	}
	return list, nil
}

// Delete implements cloud.Schedules.
func (s *Schedules) Delete(ctx context.Context, targets ...string) error {
	leave, err := s.enter(ctx, true)
	if err != nil {
		return fmt.Errorf("delete schedules: %w", err)
	}
	defer leave()
	for _, target := range targets {
		delete(s.task().schedules, target)
	}
	return nil
}

// Advance lets time pass. What is due meanwhile is started, each at its time; when Advance returns all of it has been started.
func (w *World) Advance(d time.Duration) {
	w.passing.Lock()
	defer w.passing.Unlock()
	end := w.Now().Add(d)
	for {
		in, s, at := w.first(end)
		if s == nil {
			w.forward(end)
			return
		}
		w.forward(at.Add(s.delay))
		w.fire(in, s, at, "")
	}
}

// Outage lets time pass while nothing fires. What was due is made up for as its schedule wants it.
func (w *World) Outage(d time.Duration) {
	w.passing.Lock()
	defer w.passing.Unlock()
	end := w.Now().Add(d)
	w.forward(end)
	var late []func()
	for {
		in, s, at := w.first(end)
		if s == nil {
			break
		}
		w.mu.Lock()
		s.through = at
		last := s.next()
		w.mu.Unlock()
		switch {
		case s.Catchup == cloud.CatchupAll:
			late = append(late, func() { w.fire(in, s, at, cloud.OverlapQueue) })
		case s.Catchup == cloud.CatchupLast && (last.IsZero() || last.Add(s.delay).After(end)):
			late = append(late, func() { w.fire(in, s, at, "") })
		}
	}
	for _, fire := range late {
		fire()
	}
}

// forward sets the clock to t, unless it is later already.
func (w *World) forward(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead += max(t.Sub(w.now()), 0)
}

// first returns the schedule that starts a job first, up to end, and for which time; nil where none does.
func (w *World) first(end time.Time) (in room, first *scheduled, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var soonest time.Time
	for scope, t := range w.tasks {
		for _, s := range t.schedules {
			next := s.next()
			starts := next.Add(s.delay)
			if !next.IsZero() && !starts.After(end) && (first == nil || starts.Before(soonest)) {
				in, first, at, soonest = room{w, scope}, s, next, starts
			}
		}
	}
	return in, first, at
}

// fire starts a job, unless the schedule has been changed or deleted meanwhile.
func (w *World) fire(in room, s *scheduled, at time.Time, overlap cloud.Overlap) {
	w.mu.Lock()
	there := in.task().schedules[s.TargetID] == s
	s.through = at
	now := w.now()
	w.mu.Unlock()
	if !there {
		return
	}
	start := s.Fire(in.scope, at)
	start.RunID = cloud.RunIDOf(now, start.Token)
	if overlap != "" {
		start.Overlap = overlap
	}
	_, _ = (&Jobs{in}).Run(context.Background(), start) // a task that is gone has no jobs
}
