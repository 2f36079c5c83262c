package server

import (
	"container/heap"
	"fmt"
	"slices"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/schedule"
)

// entry is a schedule in the scheduler.
type entry struct {
	Entry
	cron   *schedule.Cron
	zone   *time.Location
	delay  time.Duration // of the start of each fire; all other times are those for which fires are due
	next   time.Time     // the first fire after Fires.Through; zero: none
	place  int           // in the heap; -1: not there
	queued bool          // its first pending fire is with the workers, or on its way to them
	held   bool          // its first pending fire waits for the end of the job before it
	gone   bool          // deleted or replaced
	tries  int
	retry  time.Time // before that its first pending fire is not tried again
	first  time.Time // of the tries
}

func newEntry(n Entry) (*entry, error) {
	if n.Err != nil {
		return nil, n.Err
	}
	cron, err := schedule.Parse(n.Schedule.Cron)
	if err != nil {
		return nil, err
	}
	zone, err := schedule.Zone(n.Schedule.Timezone)
	if err != nil {
		return nil, err
	}
	e := &entry{Entry: n, cron: cron.From(n.Schedule.Since).Between(n.Schedule.From, n.Schedule.Until), zone: zone, place: -1}
	e.delay = n.Schedule.Delay(n.Key.Scope)
	if !n.Schedule.Enabled {
		e.Fires.Pending = nil
	}
	e.next = e.after(e.Fires.Through)
	return e, nil
}

// after returns the first fire after t, zero where there is none.
func (e *entry) after(t time.Time) time.Time {
	if !e.Schedule.Enabled {
		return time.Time{}
	}
	next, ok := e.cron.Next(t, e.zone)
	if !ok {
		return time.Time{}
	}
	return next.UTC()
}

// starts is when a fire that is due at t starts; zero for zero.
func (e *entry) starts(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(e.delay)
}

// wake is when something has to be done for e; false: never.
func (e *entry) wake() (time.Time, bool) {
	t := e.starts(e.next)
	if len(e.Fires.Pending) > 0 && !e.queued && !e.held && (t.IsZero() || e.retry.Before(t)) {
		t = e.retry
	}
	return t, !t.IsZero()
}

// most is how many fires of one outage are made up for at most.
const most = 10_000

// manyLost is how many lost fires are counted one by one; of more it is only said that there are so many at least.
const manyLost = 1000

// decide returns what has to be written down about the fires up to now. It changes nothing.
func (e *entry) decide(now time.Time) []FireRecord {
	now = now.Add(-e.delay)
	var late, fresh []time.Time
	lost, keeps, jumped := 0, e.makesUp()+1, false
	for t := e.next; !t.IsZero() && !t.After(now); t = e.after(t) {
		if now.Sub(t) <= grace {
			fresh = append(fresh, t)
			continue
		}
		late = append(late, t)
		if len(late) >= 2*keeps {
			late = slices.Delete(late, 0, keeps)
			lost += keeps
		}
		if lost >= manyLost && !jumped && e.makesUp() <= 1 {
			jumped = true
			t = e.shortly(t, now.Add(-grace))
		}
	}
	if over := len(late) - e.makesUp(); over > 0 {
		lost += over
	}
	return e.records(late, fresh, lost)
}

// shortly returns a time from which it is not far to the last fire up to end; not before t.
func (e *entry) shortly(t, end time.Time) time.Time {
	for back := time.Minute; ; back *= 2 {
		from := end.Add(-back)
		if !from.After(t) {
			return t
		}
		if next := e.after(from); !next.IsZero() && !next.After(end) {
			return from
		}
	}
}

// makesUp is how many fires of an outage are made up for.
func (e *entry) makesUp() int {
	switch e.Schedule.Catchup {
	case cloud.CatchupAll:
		return most
	case cloud.CatchupLast:
		return 1
	}
	return 0
}

func (e *entry) records(late, fresh []time.Time, lost int) []FireRecord {
	var records []FireRecord
	id := e.Key.String()
	made := late[max(len(late)-e.makesUp(), 0):]
	if lost > 0 {
		last := late[len(late)-len(made)-1]
		reason := fmt.Sprintf("no server ran, or the machine slept; catchup is %s", policy(e.Schedule.Catchup))
		if lost >= manyLost {
			reason = "there may be more; " + reason
		}
		records = append(records, FireRecord{Op: FireMissed, ID: id, At: last, Count: lost, Reason: reason})
	}
	for _, t := range made {
		records = append(records, FireRecord{Op: FireDue, ID: id, At: t, Late: true})
	}
	for _, t := range fresh {
		records = append(records, FireRecord{Op: FireDue, ID: id, At: t})
	}
	return records
}

func policy(c cloud.Catchup) cloud.Catchup {
	if c == "" {
		return cloud.CatchupNone
	}
	return c
}

// advance takes over what decide has returned.
func (e *entry) advance(records []FireRecord) {
	for _, r := range records {
		e.Fires.Apply(r)
	}
	if len(records) > 0 {
		e.next = e.after(e.Fires.Through)
	}
}

// timers is a heap of entries by the time at which they have to be looked at.
type timers struct{ list []*entry }

func (t *timers) Len() int { return len(t.list) }
func (t *timers) Less(i, j int) bool {
	a, _ := t.list[i].wake()
	b, _ := t.list[j].wake()
	return a.Before(b)
}
func (t *timers) Swap(i, j int) {
	t.list[i], t.list[j] = t.list[j], t.list[i]
	t.list[i].place, t.list[j].place = i, j
}
func (t *timers) Push(x any) {
	e := x.(*entry)
	e.place = len(t.list)
	t.list = append(t.list, e)
}
func (t *timers) Pop() any {
	e := t.list[len(t.list)-1]
	t.list = t.list[:len(t.list)-1]
	e.place = -1
	return e
}

// push puts e in its place, or takes it out where it waits for nothing.
func (t *timers) push(e *entry) {
	_, wanted := e.wake()
	switch {
	case !wanted:
		t.remove(e)
	case e.place >= 0:
		heap.Fix(t, e.place)
	default:
		heap.Push(t, e)
	}
}

func (t *timers) remove(e *entry) {
	if e.place >= 0 {
		heap.Remove(t, e.place)
	}
}

func (t *timers) first() (time.Time, bool) {
	if len(t.list) == 0 {
		return time.Time{}, false
	}
	return t.list[0].wake()
}

// until takes out those whose time has come.
func (t *timers) until(now time.Time) []*entry {
	var due []*entry
	for {
		if next, ok := t.first(); !ok || next.After(now) {
			return due
		}
		due = append(due, heap.Pop(t).(*entry))
	}
}
