package schedule

import (
	"math"
	"math/bits"
	"time"
)

const day = 24 * 60 * 60

// Next returns the first fire time strictly after the given one, in loc (nil is UTC). It is false when there is none up to the
// end of the year 2199, be it that the years are over or that the day does not exist (30 February). It takes microseconds.
func (c *Cron) Next(after time.Time, loc *time.Location) (time.Time, bool) {
	if loc == nil {
		loc = time.UTC
	}
	from := clamp(after)
	if c.first != 0 {
		from = max(from, c.first-1)
	}
	var next int64
	var ok bool
	switch {
	case c.dialect == Rate:
		next, ok = c.nextRate(from)
	case c.dialect == At:
		next, _ = resolve(c.wall, loc)
		ok = next > from
	case c.rolling:
		next, ok = c.nextRolling(from, loc)
	default:
		next, ok = c.nextFixed(from, loc)
	}
	if !ok || next >= endOfTime() || c.last != 0 && next > c.last {
		return time.Time{}, false
	}
	return time.Unix(next, 0).In(loc), true
}

// endOfTime is late enough for the last minute of 2199 in any zone.
func endOfTime() int64 { return time.Date(lastYear+1, 1, 2, 0, 0, 0, 0, time.UTC).Unix() }

// clamp keeps far-away times from overflowing the arithmetic.
func clamp(t time.Time) int64 {
	low := time.Date(firstYear-1, 1, 1, 0, 0, 0, 0, time.UTC)
	if t.Before(low) {
		t = low
	}
	if t.Year() > lastYear+1 {
		return endOfTime()
	}
	return t.Unix()
}

// A wall time is what the clock of a place shows, as the Unix seconds at which the clock of UTC shows the same. Where the clock
// changes, one wall time may belong to no instant, or to two.

// span is a time during which the clock of a zone runs evenly. The spans before and after it may have the same offset.
type span struct{ start, end, offset int64 } // start <= instant < end; wall = instant + offset

func spanAt(instant int64, loc *time.Location) span {
	t := time.Unix(instant, 0).In(loc)
	start, end := t.ZoneBounds()
	_, offset := t.Zone()
	s := span{math.MinInt64, math.MaxInt64, int64(offset)}
	if !start.IsZero() {
		s.start = start.Unix()
	}
	if !end.IsZero() {
		s.end = end.Unix()
	}
	if s.end <= instant {
		// On 31 December of leap years after 2037, ZoneBounds of Go 1.26 gives the begin of that day as the end.
		s.end = instant + day - mod(instant, day)
	}
	return s
}

// resolve returns the first instant at which the clock shows wall. Where the clock skips it, that is the first instant after
// the gap, and shown is false.
func resolve(wall int64, loc *time.Location) (instant int64, shown bool) {
	// No clock is more than 16 hours ahead of UTC, so the instant is not in an earlier span than this.
	s := spanAt(wall-16*60*60, loc)
	for {
		instant = max(s.start, wall-s.offset)
		if instant < s.end {
			return instant, instant+s.offset == wall
		}
		s = spanAt(s.end, loc)
	}
}

// highWater returns the latest time that the clock has shown up to the instant.
func highWater(instant int64, loc *time.Location) int64 {
	s := spanAt(instant, loc)
	high := instant + s.offset
	for s.start > instant-2*day {
		end := s.start
		s = spanAt(end-1, loc)
		high = max(high, end-1+s.offset)
	}
	return high
}

// nextFixed fires once for each wall time: when the clock first comes to it, or jumps over it.
func (c *Cron) nextFixed(after int64, loc *time.Location) (int64, bool) {
	wall, ok := c.nextWall(wholeMinute(highWater(after, loc) + 1))
	for ok {
		instant, shown := resolve(wall, loc)
		if shown || c.dialect == Unix {
			return instant, true
		}
		wall, ok = c.nextWall(wholeMinute(instant + spanAt(instant, loc).offset))
	}
	return 0, false
}

// nextRolling fires at each instant at which the clock shows a wall time that fits.
func (c *Cron) nextRolling(after int64, loc *time.Location) (int64, bool) {
	for at := after + 1; at < endOfTime(); {
		s := spanAt(at, loc)
		start := wholeMinute(at + s.offset)
		wall, ok := c.nextWall(start)
		if ok && wall-s.offset < s.end {
			return wall - s.offset, true
		}
		if !ok {
			// The clock may go back at the end of the span, but never by more than a day.
			if _, again := c.nextWall(start - 2*day); !again {
				return 0, false
			}
		}
		at = s.end
	}
	return 0, false
}

// wholeMinute rounds up.
func wholeMinute(seconds int64) int64 {
	if rest := mod(seconds, 60); rest != 0 {
		return seconds + 60 - rest
	}
	return seconds
}

// mod is never negative.
func mod(a, b int64) int64 { return (a%b + b) % b }

// nextWall returns the first wall time that fits, at or after the given whole minute.
func (c *Cron) nextWall(wall int64) (int64, bool) {
	date := time.Unix(wall-mod(wall, day), 0).UTC()
	minute := int(mod(wall, day) / 60)
	found, ok := c.nextDay(date)
	if ok && found.Equal(date) {
		if fits, ok := c.nextMinute(minute); ok {
			return found.Unix() + int64(fits)*60, true
		}
		found, ok = c.nextDay(date.AddDate(0, 0, 1))
	}
	if !ok {
		return 0, false
	}
	first, _ := c.nextMinute(0)
	return found.Unix() + int64(first)*60, true
}

// nextMinute returns the first minute of the day that fits, at or after the given one.
func (c *Cron) nextMinute(minute int) (int, bool) {
	hour := minute / 60
	if c.hours&(1<<hour) != 0 {
		if rest := c.minutes >> (minute % 60) << (minute % 60); rest != 0 {
			return hour*60 + bits.TrailingZeros64(rest), true
		}
	}
	rest := c.hours >> (hour + 1) << (hour + 1)
	if rest == 0 {
		return 0, false
	}
	return bits.TrailingZeros64(rest)*60 + bits.TrailingZeros64(c.minutes), true
}

// nextDay returns the first day that fits, at or after date.
func (c *Cron) nextDay(date time.Time) (time.Time, bool) {
	year, month, day := date.Date()
	if year < firstYear {
		year, month, day = firstYear, time.January, 1
	}
	for ; year <= lastYear; year, month, day = year+1, time.January, 1 {
		if !c.years.has(year) {
			continue
		}
		for ; month <= time.December; month, day = month+1, 1 {
			if c.months&(1<<month) == 0 {
				continue
			}
			if rest := c.days.in(year, month) >> day << day; rest != 0 {
				return time.Date(year, month, bits.TrailingZeros64(rest), 0, 0, 0, 0, time.UTC), true
			}
		}
	}
	return time.Time{}, false
}
