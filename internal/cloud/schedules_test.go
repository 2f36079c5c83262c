package cloud

import (
	"testing"
	"time"
)

func TestLateSince(t *testing.T) {
	t.Parallel()
	day := func(n, hour int) time.Time { return time.Date(2026, 11, n, hour, 0, 0, 0, time.UTC) }
	s := Schedule{TargetID: "1", Enabled: true, Freshness: 26 * time.Hour, Since: day(1, 0)}
	with := func(change func(*Schedule)) Schedule {
		other := s
		change(&other)
		return other
	}
	var none time.Time
	for _, tc := range []struct {
		name               string
		s                  Schedule
		success, now, want time.Time
	}{
		{"fresh", s, day(10, 7), day(11, 8), none},
		{"to the second", s, day(10, 7), day(11, 9), day(11, 9)},
		{"for days", s, day(10, 7), day(20, 9), day(11, 9)},
		{"never succeeded", s, none, day(3, 0), day(2, 2)},
		{"new", s, none, day(2, 0), none},
		{"changed since", s, time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), day(2, 0), none},
		{"not begun", with(func(s *Schedule) { s.From = day(20, 0) }), none, day(21, 0), none},
		{"begun", with(func(s *Schedule) { s.From = day(20, 0) }), none, day(21, 3), day(21, 2)},
		{"over, and its last run was good", with(func(s *Schedule) { s.Until = day(10, 6) }), day(10, 7), day(11, 12), none},
		{"the last run is missing", with(func(s *Schedule) { s.Until = day(10, 6) }), day(9, 7), day(10, 12), day(10, 9)},
		{"long over", with(func(s *Schedule) { s.Until = day(10, 6) }), day(9, 7), day(20, 12), none},
		{"paused", with(func(s *Schedule) { s.Enabled = false }), none, day(20, 0), none},
		{"no freshness", with(func(s *Schedule) { s.Freshness = 0 }), none, day(20, 0), none},
		{"since when is not known", with(func(s *Schedule) { s.Since = none }), none, day(20, 0), none},
	} {
		if got := tc.s.LateSince(tc.success, tc.now); !got.Equal(tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// The delay of a schedule is its own, always the same, and those of many are spread.
func TestDelay(t *testing.T) {
	t.Parallel()
	scope := Scope{Stage: "prod", ResourceGroup: "etl", Task: "load"}
	s := Schedule{TargetID: "1", Jitter: 15 * time.Minute}
	var early, late int
	for _, client := range []string{"", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o"} {
		scope.Client = client
		d := s.Delay(scope)
		if d < 0 || d >= s.Jitter || d != s.Delay(scope) || d%time.Second != 0 {
			t.Errorf("delay %v of client %q", d, client)
		}
		if d < 5*time.Minute {
			early++
		} else if d > 10*time.Minute {
			late++
		}
	}
	if early == 0 || late == 0 {
		t.Errorf("%d early, %d late", early, late)
	}
	if d := (Schedule{TargetID: "1"}).Delay(scope); d != 0 {
		t.Errorf("without a jitter: %v", d)
	}
}
