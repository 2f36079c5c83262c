package cli

import (
	"errors"
	"strconv"
	"time"
)

// timesHelp says how to write a moment.
const timesHelp = `A time is written as 2026-01-02T03:04:05Z or 2026-01-02, in UTC where no zone is named,
or as 90m for 90 minutes ago.`

// moment is a flag for a point in time.
type moment struct{ at *time.Time }

// Set implements pflag.Value.
func (m moment) Set(text string) (err error) {
	*m.at, err = pointInTime(text, time.Now())
	return err
}

// String implements pflag.Value: no time has a default.
func (m moment) String() string { return "" }

// Type implements pflag.Value.
func (m moment) Type() string { return "time" }

// pointInTime reads a time in ISO 8601, UTC where it names no zone, or how long ago it was: 90m, 36h.
func pointInTime(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago).UTC(), nil
	}
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05",
		"2006-01-02 15:04", time.DateOnly, "2006-01-02T15:04:05Z0700",
	} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("write a time as 2026-01-02T03:04:05Z, 2026-01-02, or 90m for 90 minutes ago")
}

// count is a flag for a number that is not negative.
type count struct{ n *int }

// Set implements pflag.Value.
func (c count) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return errors.New("write a whole number that is not negative")
	}
	*c.n = n
	return nil
}

// String implements pflag.Value.
func (c count) String() string {
	if c.n == nil || *c.n == 0 {
		return ""
	}
	return strconv.Itoa(*c.n)
}

// Type implements pflag.Value.
func (c count) Type() string { return "number" }
