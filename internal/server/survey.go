package server

import (
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// overdueAfter is how long a server may take for a fire.
const overdueAfter = 5 * time.Second

// Survey says how the schedules of a home stand at the time now, whoever serves them.
func Survey(list []Entry, now time.Time) cloud.SchedulerStatus {
	var st cloud.SchedulerStatus
	for _, n := range list {
		e, err := newEntry(n)
		if err != nil || !n.Schedule.Enabled {
			continue
		}
		st.Schedules++
		if n.Fires.Last.After(st.Last) {
			st.Last = n.Fires.Last
		}
		st.Next = earlier(st.Next, e.upcoming(now))
		if due := e.undecided(); due.Before(now.Add(-overdueAfter)) {
			st.Overdue = earlier(st.Overdue, due)
		}
	}
	return st
}

// earlier returns the earlier one of two times, of which zero is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Next returns the first fire after now, zero where there is none.
func (n Entry) Next(now time.Time) time.Time {
	e, err := newEntry(n)
	if err != nil {
		return time.Time{}
	}
	return e.upcoming(now)
}

// upcoming is the first fire that is to come; where the clock has been set back, those that have been come no more.
func (e *entry) upcoming(now time.Time) time.Time {
	from := now.Add(-e.delay)
	if e.Fires.Through.After(from) {
		from = e.Fires.Through
	}
	return e.starts(e.after(from))
}

// undecided returns the oldest fire that is not started, be it due or to come.
func (e *entry) undecided() time.Time {
	if len(e.Fires.Pending) > 0 {
		return e.starts(e.Fires.Pending[0].At)
	}
	return e.starts(e.next)
}
