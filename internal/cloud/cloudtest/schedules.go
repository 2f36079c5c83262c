package cloudtest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Schedules runs the tests of cloud.Schedules. The Clouds of open also have Infra.
func Schedules(t *testing.T, open func(t *testing.T) World) {
	t.Run("kept as they are", func(t *testing.T) { keptSchedules(t, open(t)) })
	t.Run("refused", func(t *testing.T) { refusedSchedules(t, open(t)) })
	t.Run("of other scopes", func(t *testing.T) { foreignSchedules(t, open(t)) })
	t.Run("many at a time", func(t *testing.T) { concurrentSchedules(t, open(t)) })
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

func keptSchedules(t *testing.T, world World) {
	t.Parallel()
	s := register(t, world, scope)
	if list := schedules(t, s); len(list) > 0 {
		t.Errorf("before the first Put: %+v", list)
	}
	mustPut(t, s, daily("b"), daily("10"), daily("A"), daily("9"))
	list := schedules(t, world(scope).Schedules)
	var targets []string
	for i, sch := range list {
		targets = append(targets, sch.TargetID)
		if wait := time.Until(sch.Next); wait < 0 || wait > 26*time.Hour || sch.Next.Location() != time.UTC || !sch.Last.IsZero() {
			t.Errorf("next fire %s, last %s", sch.Next, sch.Last)
		}
		list[i].Next = time.Time{}
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
	if got := schedules(t, s)[3]; got.Enabled || !got.Next.IsZero() || got.Cron != other.Cron || len(got.Env) > 0 {
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

func refusedSchedules(t *testing.T, world World) {
	t.Parallel()
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

func foreignSchedules(t *testing.T, world World) {
	t.Parallel()
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

func concurrentSchedules(t *testing.T, world World) {
	t.Parallel()
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
