package cloudtest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
)

// SchedulesBench is a World in which a test need not wait until a schedule fires. Its jobs are those of JobsBench.
type SchedulesBench struct {
	World
	Now func() time.Time // of what fires schedules

	// Pass lets time pass, so that what is due meanwhile is started, and returns when it has been.
	Pass func(t *testing.T, d time.Duration)

	// Outage lets time pass while nothing fires, and returns when what was missed has been dealt with. Nil: the provider fires
	// schedules by itself, and misses none.
	Outage func(t *testing.T, d time.Duration)
}

// Schedules runs the tests of cloud.Schedules.
func Schedules(t *testing.T, open func(t *testing.T) SchedulesBench) {
	tests := map[string]func(*testing.T, SchedulesBench){
		"kept as they are":  keptSchedules,
		"refused":           refusedSchedules,
		"of other scopes":   foreignSchedules,
		"many at a time":    concurrentSchedules,
		"fire":              firingSchedules,
		"fire in a zone":    zonedSchedules,
		"fire for a client": clientSchedules,
		"changed, paused":   changedSchedules,
		"from and until":    limitedSchedules,
		"jitter":            jitteredSchedules,
		"put again":         putAgainSchedules,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
	t.Run("missed", func(t *testing.T) {
		t.Parallel()
		if b := open(t); b.Outage != nil {
			missedSchedules(t, b)
		}
	})
}

// register makes jobs of the task of s possible.
func register(t *testing.T, world World, s cloud.Scope) cloud.Schedules {
	t.Helper()
	c, want := world(s), cloud.Want{Kind: cloud.KindTask}
	p, err := c.Infra.Plan(t.Context(), want)
	if err == nil {
		err = c.Infra.Apply(t.Context(), p, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c.Schedules
}

func daily(target string) cloud.Schedule {
	return cloud.Schedule{
		TargetID: target, Description: "every day, \"early\"", Cron: "0 9 * * ? *", Timezone: "Europe/Paris", Enabled: true,
		From: time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC), Until: time.Date(2199, 1, 1, 0, 0, 0, 0, time.UTC), Jitter: 15 * time.Minute, Freshness: 26 * time.Hour,
		Env: map[string]string{"__VARS": `day=$(date -I) text="a 'b' \ ü"`, "EMPTY": ""},
	}
}

func mustPut(t *testing.T, s cloud.Schedules, list ...cloud.Schedule) {
	t.Helper()
	for _, sch := range list {
		if err := s.Put(t.Context(), sch); err != nil {
			t.Fatal(err)
		}
	}
}

func schedules(t *testing.T, s cloud.Schedules) []cloud.Schedule {
	t.Helper()
	list, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func keptSchedules(t *testing.T, b SchedulesBench) {
	world := b.World
	s := register(t, world, scope)
	if list := schedules(t, s); len(list) > 0 {
		t.Errorf("before the first Put: %+v", list)
	}
	mustPut(t, s, daily("b"), daily("10"), daily("A"), daily("9"))
	list := schedules(t, world(scope).Schedules)
	var targets []string
	for i, sch := range list {
		targets = append(targets, sch.TargetID)
		if since := sch.Since; !since.IsZero() && (since.Location() != time.UTC || since.After(b.Now())) {
			t.Errorf("changed at %s", since)
		}
		list[i].Since = time.Time{}
		if diff := cmp.Diff(daily(sch.TargetID), list[i]); diff != "" {
			t.Error(diff)
		}
	}
	if diff := cmp.Diff([]string{"10", "9", "A", "b"}, targets); diff != "" {
		t.Error(diff)
	}
	other := daily("b")
	other.Enabled, other.Cron, other.Env = false, "0 10 * * ? *", nil
	mustPut(t, s, other)
	if got := schedules(t, s)[3]; got.Enabled || got.Cron != other.Cron || len(got.Env) > 0 {
		t.Errorf("replaced: %+v", got)
	}
	if err := s.Delete(t.Context(), "A", "unknown", "b", "A"); err != nil {
		t.Error(err)
	}
	mustPut(t, s, daily("A"))
	if got := schedules(t, s); len(got) != 3 || got[2].TargetID != "A" {
		t.Errorf("after Delete and Put: %+v", got)
	}
}

func refusedSchedules(t *testing.T, b SchedulesBench) {
	world := b.World
	register(t, world, scope)
	other, group := scope, scope
	other.Task, group.Task = "unregistered", ""
	for _, test := range []struct {
		name  string
		scope cloud.Scope
		spoil func(*cloud.Schedule)
		want  error
	}{
		{"a task that is not registered", other, func(*cloud.Schedule) {}, cloud.ErrNotFound},
		{"no task", group, func(*cloud.Schedule) {}, cloud.ErrInvalid},
		{"no cron", scope, func(s *cloud.Schedule) { s.Cron = "" }, cloud.ErrInvalid},
		{"hour 25", scope, func(s *cloud.Schedule) { s.Cron = "0 25 * * ? *" }, cloud.ErrInvalid},
		{"an unknown zone", scope, func(s *cloud.Schedule) { s.Timezone = "Europe/Pari" }, cloud.ErrInvalid},
		{"a slash in the target", scope, func(s *cloud.Schedule) { s.TargetID = "a/b" }, cloud.ErrInvalid},
		{"an unknown catchup", scope, func(s *cloud.Schedule) { s.Catchup = "some" }, cloud.ErrInvalid},
		{"a jitter of days", scope, func(s *cloud.Schedule) { s.Jitter = 48 * time.Hour }, cloud.ErrInvalid},
		{"an end before the begin", scope, func(s *cloud.Schedule) { s.Until = s.From.Add(-time.Hour) }, cloud.ErrInvalid},
		{"an unknown overlap", scope, func(s *cloud.Schedule) { s.Overlap = "some" }, cloud.ErrInvalid},
	} {
		sch := daily("1")
		test.spoil(&sch)
		if err := world(test.scope).Schedules.Put(t.Context(), sch); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	if got := schedules(t, world(scope).Schedules); len(got) > 0 {
		t.Errorf("refused, and yet there: %+v", got)
	}
}

func foreignSchedules(t *testing.T, b SchedulesBench) {
	world := b.World
	s := register(t, world, scope)
	mustPut(t, s, daily("1"))
	for _, far := range []cloud.Scope{
		{Stage: "dev", ResourceGroup: scope.ResourceGroup, Task: scope.Task},
		{Stage: scope.Stage, ResourceGroup: "etl2", Task: scope.Task},
		{Stage: scope.Stage, ResourceGroup: scope.ResourceGroup, Task: scope.Task + "2"},
	} {
		theirs := register(t, world, far)
		if got := schedules(t, theirs); len(got) > 0 {
			t.Errorf("%+v sees %+v", far, got)
		}
		mustPut(t, theirs, daily("1"), daily("2"))
		if err := theirs.Delete(t.Context(), "1", "2"); err != nil {
			t.Error(err)
		}
	}
	if got := schedules(t, s); len(got) != 1 {
		t.Errorf("after what others did: %+v", got)
	}
}

func concurrentSchedules(t *testing.T, b SchedulesBench) {
	world := b.World
	register(t, world, scope)
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			s := world(scope).Schedules
			for _, target := range []string{fmt.Sprint(n), "same"} {
				if err := s.Put(t.Context(), daily(target)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := schedules(t, world(scope).Schedules); len(got) != 21 {
		t.Errorf("%d schedules, want 21", len(got))
	}
}

// begin returns the Cloud of the task, registered, early in a minute.
func (b SchedulesBench) begin(t *testing.T) *cloud.Cloud {
	t.Helper()
	register(t, b.World, scope)
	if b.Now().Second() > 25 {
		b.Pass(t, b.minute(1).Sub(b.Now()))
	}
	return b.World(scope)
}

// minutely fires at these minutes from now on, each once in an hour.
func (b SchedulesBench) minutely(target string, minutes ...int) cloud.Schedule {
	var list []string
	for _, n := range minutes {
		list = append(list, strconv.Itoa(b.minute(n).Minute()))
	}
	return cloud.Schedule{
		TargetID: target, Cron: strings.Join(list, ",") + " * * * *", Enabled: true, Overlap: cloud.OverlapAllow,
		Env: map[string]string{"SCRIPT": ":"},
	}
}

// minute returns the begin of a minute from now on.
func (b SchedulesBench) minute(n int) time.Time {
	return b.Now().UTC().Truncate(time.Minute).Add(time.Duration(n) * time.Minute)
}

// fired returns the times for which jobs were started, by target.
func fired(t *testing.T, c *cloud.Cloud) map[string][]time.Time {
	t.Helper()
	times := map[string][]time.Time{}
	for job, err := range c.Jobs.List(t.Context(), cloud.JobQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		if job.Trigger != cloud.TriggerSchedule || job.RunID == "" {
			t.Errorf("job %+v", job)
		}
		times[job.ScheduleID] = append(times[job.ScheduleID], job.ScheduledAt)
	}
	for _, list := range times {
		slices.SortFunc(list, time.Time.Compare)
	}
	return times
}

func wantFired(t *testing.T, c *cloud.Cloud, want map[string][]time.Time) {
	t.Helper()
	if diff := cmp.Diff(want, fired(t, c)); diff != "" {
		t.Errorf("fired (-want +got):\n%s", diff)
	}
}

// Each time fires once, and its job finds what the schedule says.
func firingSchedules(t *testing.T, b SchedulesBench) {
	c := b.begin(t)
	one, two := b.minutely("1", 2, 4), b.minutely("2", 3)
	second := b.minute(3)
	two.Env = map[string]string{"A": "$(date -I) a", "SCRIPT": `test "$HANDOFF_TRIGGER $HANDOFF_SCHEDULE $HANDOFF_SCHEDULED_AT" = "schedule 2 ` +
		second.Format(time.RFC3339) + `" && test "$HANDOFF_TIMEZONE $HANDOFF_OVERLAP $A" = 'UTC allow $(date -I) a'`}
	mustPut(t, c.Schedules, one, two)
	want := map[string][]time.Time{"1": {b.minute(2), b.minute(4)}, "2": {second}}
	b.Pass(t, 5*time.Minute)
	wantFired(t, c, want)
	jobs := JobsBench{Jobs: c.Jobs}
	for job, err := range c.Jobs.List(t.Context(), cloud.JobQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		wantEnd(t, jobs.end(t, job.ID), cloud.JobSucceeded, 0)
	}
}

// The job of a client's schedule is the client's, and no other sees it.
func clientSchedules(t *testing.T, b SchedulesBench) {
	c := b.begin(t)
	client := scope
	client.Client = "acme"
	register(t, b.World, client)
	theirs := b.World(client)
	ours, other := b.minutely("1", 2), b.minutely("1", 3)
	other.Env = map[string]string{"SCRIPT": `test "$HANDOFF_CLIENT" = acme`}
	ours.Env = map[string]string{"SCRIPT": `test -z "$HANDOFF_CLIENT"`}
	mustPut(t, c.Schedules, ours)
	mustPut(t, theirs.Schedules, other)
	at := b.minute(0)
	b.Pass(t, 4*time.Minute)
	wantFired(t, c, map[string][]time.Time{"1": {at.Add(2 * time.Minute)}})
	wantFired(t, theirs, map[string][]time.Time{"1": {at.Add(3 * time.Minute)}})
	for _, jobs := range []cloud.Jobs{c.Jobs, theirs.Jobs} {
		for job, err := range jobs.List(t.Context(), cloud.JobQuery{}) {
			if err != nil {
				t.Fatal(err)
			}
			wantEnd(t, JobsBench{Jobs: jobs}.end(t, job.ID), cloud.JobSucceeded, 0)
		}
	}
}

// The hour is that of the zone, whatever zone the machine is in.
func zonedSchedules(t *testing.T, b SchedulesBench) {
	c := b.begin(t)
	at := b.minute(2)
	want := map[string][]time.Time{}
	for target, zone := range map[string]string{"india": "Asia/Kolkata", "chatham": "Pacific/Chatham", "none": ""} {
		place, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		there := at.In(place)
		s := b.minutely(target)
		s.Cron, s.Timezone = fmt.Sprintf("%d %d %d %d ? *", there.Minute(), there.Hour(), there.Day(), there.Month()), zone
		mustPut(t, c.Schedules, s)
		want[target] = []time.Time{at}
	}
	b.Pass(t, 3*time.Minute)
	wantFired(t, c, want)
}

// What was changed fires at its new times only, also those that are earlier; what is disabled or deleted does not fire.
func changedSchedules(t *testing.T, b SchedulesBench) {
	c := b.begin(t)
	disabled, enabled := b.minutely("enabled", 2), b.minutely("enabled", 4)
	disabled.Enabled = false
	mustPut(t, c.Schedules, b.minutely("later", 2), b.minutely("sooner", 9), b.minutely("deleted", 3), b.minutely("anew", 3), disabled)
	mustPut(t, c.Schedules, b.minutely("later", 4), b.minutely("sooner", 3))
	want := map[string][]time.Time{"later": {b.minute(4)}, "sooner": {b.minute(3)}, "anew": {b.minute(4)}, "enabled": {b.minute(4)}}
	anew := b.minutely("anew", 4)
	if err := c.Schedules.Delete(t.Context(), "deleted", "anew"); err != nil {
		t.Fatal(err)
	}
	b.Pass(t, b.minute(2).Add(30*time.Second).Sub(b.Now()))
	mustPut(t, c.Schedules, anew, enabled)
	b.Pass(t, 3*time.Minute)
	wantFired(t, c, want)
}

// Nothing fires before From and after Until, and what is for one time fires once.
func limitedSchedules(t *testing.T, b SchedulesBench) {
	c := b.begin(t)
	s, once := b.minutely("limited", 1, 3, 5, 7), b.minutely("once")
	s.From, s.Until = b.minute(3), b.minute(5)
	once.Cron = "at(" + b.minute(3).Format("2006-01-02T15:04") + ")"
	mustPut(t, c.Schedules, s, once)
	want := map[string][]time.Time{"limited": {b.minute(3), b.minute(5)}, "once": {b.minute(3)}}
	b.Pass(t, 8*time.Minute)
	wantFired(t, c, want)
}

// A fire starts later by the delay of its schedule, and is for its time all the same.
func jitteredSchedules(t *testing.T, b SchedulesBench) {
	c := b.begin(t)
	var s cloud.Schedule
	for n := 0; s.Delay(scope) < 70*time.Second || s.Delay(scope) > 110*time.Second; n++ {
		s = b.minutely(fmt.Sprint("j", n), 2)
		s.Jitter = 3 * time.Minute
	}
	mustPut(t, c.Schedules, s)
	at := b.minute(2)
	b.Pass(t, at.Add(s.Delay(scope)-20*time.Second).Sub(b.Now()))
	wantFired(t, c, map[string][]time.Time{})
	b.Pass(t, 40*time.Second)
	wantFired(t, c, map[string][]time.Time{s.TargetID: {at}})
}

// A Put that changes nothing changes nothing.
func putAgainSchedules(t *testing.T, b SchedulesBench) {
	c := b.begin(t)
	s := b.minutely("1", 1, 2, 3)
	want := map[string][]time.Time{"1": {b.minute(1), b.minute(2), b.minute(3)}}
	for range 4 {
		mustPut(t, c.Schedules, s)
		b.Pass(t, time.Minute)
		mustPut(t, b.World(scope).Schedules, s)
	}
	wantFired(t, c, want)
}

// What was missed is made up for as the schedule wants it. What is less than a minute late may be made up for in any case.
func missedSchedules(t *testing.T, b SchedulesBench) {
	c := b.begin(t)
	none, last, all := b.minutely("none", 1, 2, 3, 8), b.minutely("last", 1, 2, 3), b.minutely("all", 1, 2, 3)
	none.Catchup, last.Catchup, all.Catchup = cloud.CatchupNone, cloud.CatchupLast, cloud.CatchupAll
	mustPut(t, c.Schedules, none, last, all)
	want := map[string][]time.Time{"none": {b.minute(8)}, "last": {b.minute(3)}, "all": {b.minute(1), b.minute(2), b.minute(3)}}
	b.Outage(t, 6*time.Minute)
	b.Pass(t, 3*time.Minute)
	wantFired(t, c, want)
}
