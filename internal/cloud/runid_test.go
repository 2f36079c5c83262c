package cloud

import (
	"errors"
	"testing"
	"time"
)

func TestRunIDs(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 4, 4, 5, 678_900_000, time.FixedZone("", 3600))
	if got := RunIDOf(now, "token"); got != RunIDOf(now, "token") || got == RunIDOf(now, "other") {
		t.Error(got)
	}
	for _, id := range []string{NewRunID(now), RunIDOf(now, "token")} {
		at, err := RunTime(id)
		if err != nil || !at.Equal(now.Truncate(time.Millisecond)) || len(id) != len("20260102T030405.678Z-1a2b3c") {
			t.Error(id, at, err)
		}
		if id >= NewRunID(now.Add(time.Millisecond)) {
			t.Errorf("%s does not sort by time", id)
		}
	}
	for _, id := range []string{"", "x", "20260102T030405.678Z", "20260102T030405Z-1a2b3c", "20260102T030405.678Z-1/2", "-1a2b3c"} {
		if _, err := RunTime(id); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", id, err)
		}
	}
}
