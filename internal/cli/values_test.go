package cli

import (
	"testing"
	"time"
)

func TestPointInTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(d, h, m int) time.Time { return time.Date(2026, 1, d, h, m, 0, 0, time.UTC) }
	for text, want := range map[string]time.Time{
		"2026-01-01":                at(1, 0, 0),
		"2026-01-01T12:30":          at(1, 12, 30),
		"2026-01-01 12:30":          at(1, 12, 30),
		"2026-01-01T02:00:00+01:00": at(1, 1, 0),
		"2026-01-01T02:00:00+0100":  at(1, 1, 0),
		"24h":                       now.Add(-24 * time.Hour),
		"0s":                        now,
	} {
		if got, err := pointInTime(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "soon", "-1h", "2026-13-01", "12:30"} {
		if got, err := pointInTime(text, now); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	n := 7
	c := count{&n}
	for _, text := range []string{"", "-1", "1.5", "many"} {
		if err := c.Set(text); err == nil || n != 7 {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
	if err := c.Set("0"); err != nil || n != 0 || c.String() != "" {
		t.Errorf("%d %q, %v", n, c.String(), err)
	}
}
