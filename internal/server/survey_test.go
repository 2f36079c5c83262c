package server

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
)

// TestSurvey: what is due and not started for more than a moment is late; what cannot fire does not count.
func TestSurvey(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 30, 12, 0, 10, 0, time.UTC)
	since := now.Add(-time.Hour)
	hourly := func(minute string, fires FireState, change func(*Entry)) Entry {
		e := Entry{Schedule: cloud.Schedule{TargetID: "1", Cron: minute + " * * * *", Enabled: true, Since: since}, Fires: fires}
		e.Fires.Forget(since)
		if change != nil {
			change(&e)
		}
		return e
	}
	at := func(hour, minute int) time.Time { return time.Date(2026, 1, 30, hour, minute, 0, 0, time.UTC) }
	for name, test := range map[string]struct {
		list []Entry
		want cloud.SchedulerStatus
	}{
		"nothing":          {nil, cloud.SchedulerStatus{}},
		"served":           {[]Entry{hourly("0", FireState{Through: at(12, 0), Last: at(12, 0)}, nil)}, cloud.SchedulerStatus{Schedules: 1, Last: at(12, 0), Next: at(13, 0)}},
		"not decided":      {[]Entry{hourly("0", FireState{}, nil)}, cloud.SchedulerStatus{Schedules: 1, Next: at(13, 0), Overdue: at(12, 0)}},
		"not started":      {[]Entry{hourly("30", FireState{Through: at(11, 30), Pending: []PendingFire{{At: at(11, 30)}}}, nil)}, cloud.SchedulerStatus{Schedules: 1, Next: at(12, 30), Overdue: at(11, 30)}},
		"the oldest one":   {[]Entry{hourly("0", FireState{}, nil), hourly("20", FireState{}, nil)}, cloud.SchedulerStatus{Schedules: 2, Next: at(12, 20), Overdue: at(11, 20)}},
		"just now":         {[]Entry{hourly("0", FireState{}, func(e *Entry) { e.Schedule.Timezone = "UTC"; e.Fires.Through = now.Add(-time.Second) })}, cloud.SchedulerStatus{Schedules: 1, Next: at(13, 0)}},
		"a clock set back": {[]Entry{hourly("0", FireState{Through: at(15, 0)}, nil)}, cloud.SchedulerStatus{Schedules: 1, Next: at(16, 0)}},
		"disabled":         {[]Entry{hourly("0", FireState{}, func(e *Entry) { e.Schedule.Enabled = false })}, cloud.SchedulerStatus{}},
		"damaged":          {[]Entry{hourly("0", FireState{}, func(e *Entry) { e.Err = errors.New("damaged") })}, cloud.SchedulerStatus{}},
	} {
		if diff := cmp.Diff(test.want, Survey(test.list, now)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
