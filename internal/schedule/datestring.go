package schedule

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxDateString bounds, with the digits of a number, how far a date string can move.
const maxDateString = 256

// dateAt returns the time that a date string means when now is the time and its location the local zone. The string is one
// @1700000000, or any of these in any order, each kind but the last at most once:
//
//	2026-01-31 20260131 2026-01-31T09:00:00Z   a date, or a date with a time
//	09:00 09:00:30.5 09:00+02:00 09:00 -0500   a time, with an offset from UTC
//	UTC GMT Z                                  the zone of the time
//	monday, last monday, this fri, next sunday without a date
//	-7 days, 7 days ago, last month, yesterday, today, tomorrow, now
//
// What is accepted means what it means to GNU date, and what GNU date reads in another way than people do is refused: a number
// with a sign after a time, where it is an offset from UTC, and a day of the week beside a date, where it is ignored.
//
// It differs from GNU date only where that depends on the C library: days, months and years move the date and leave the time of
// day alone, also over a change of the clock (GNU date may give 23:00 of the day before); a time that the clock skips is moved
// forward instead of refused; one that it shows twice is the first of the two.
func dateAt(s string, now time.Time) (time.Time, error) {
	if len(s) > maxDateString {
		return time.Time{}, fmt.Errorf("the date is longer than %d bytes", maxDateString)
	}
	rest := strings.Map(small, strings.Trim(s, " \t\n"))
	if m := epochForm().FindStringSubmatch(rest); m != nil {
		seconds, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			return time.Time{}, fmt.Errorf("read %q: %w", m[1], err)
		}
		return inYears(time.Unix(seconds, 0).In(now.Location()))
	}
	if trapForm().MatchString(rest) {
		return time.Time{}, errors.New("to GNU date a number with a sign after a time is an offset from UTC: write it before the time, as in -7 days 00:00")
	}
	d := &dateString{now: now}
	d.year, d.month, d.day = now.Date()
	for {
		length, err := d.readItem(rest)
		if err != nil {
			return time.Time{}, err
		}
		if rest = rest[length:]; rest == "" {
			return d.result()
		}
	}
}

// small returns the small letter of an ASCII capital. Some other signs have small letters of ASCII, too: they are no letters to GNU date.
func small(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

// The forms of what a date string is made of. After each there is a blank or the end.
const (
	end       = `(?:\s+|$)`
	clockPart = `(\d\d?):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?(?:\s*(z|utc|gmt|[+-][01]\d:?[0-5]\d))?`
)

var (
	epochForm   = form(`^@(-?\d{1,12})$`)
	dateForm    = form(`^(\d{4})-(\d\d?)-(\d\d?)(?:t` + clockPart + `)?` + end)
	shortForm   = form(`^(\d{4})(\d\d)(\d\d)` + end)
	clockForm   = form(`^` + clockPart + end)
	zoneForm    = form(`^(?:z|utc|gmt)` + end)
	weekdayForm = form(`^(?:(last|this|next)\s+)?` +
		`(sun(?:day)?|mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|thu(?:rsday)?|fri(?:day)?|sat(?:urday)?)` + end)
	nearForm  = form(`^(now|today|yesterday|tomorrow)` + end)
	shiftForm = form(`^(?:([+-]?)(\d{1,10})\s*|(last|this|next)\s+)` +
		`(year|month|week|day|hour|min|minute|sec|second)s?(\s+ago)?` + end)
	trapForm = form(`(?:^|[\st])\d\d?:\d\d(?::\d\d(?:[.,]\d+)?)?\s*[+-]\s*\d+\s*(?:year|month|week|day|hour|min|sec)`)
)

// form returns what compiles expr when it is asked for first: most programs that start read no date.
func form(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

// dateString is what was read of one.
type dateString struct {
	now time.Time

	year  int
	month time.Month
	day   int
	clock time.Duration // since midnight

	weekday time.Weekday
	which   int // of the weekdays: 0 is the next one, or today, 1 the next one after today, -1 the last one before today
	offset  int // of the zone from UTC, in seconds

	dates, clocks, zones, weekdays int  // how many there were
	relative                       bool // something moves the time, if by nothing
	years, months, days, seconds   int  // by how much
}

// readItem reads the first item of s and returns its length, with the blanks after it.
func (d *dateString) readItem(s string) (int, error) {
	for _, kind := range []struct {
		form func() *regexp.Regexp
		read func(groups []string) error // of its submatches
	}{
		{dateForm, d.readDate}, {shortForm, d.readDate}, {clockForm, d.readClock}, {zoneForm, d.readZone},
		{weekdayForm, d.readWeekday}, {nearForm, d.readNear}, {shiftForm, d.readShift},
	} {
		groups := kind.form().FindStringSubmatch(s)
		if groups == nil {
			continue
		}
		if err := kind.read(groups[1:]); err != nil {
			return 0, err
		}
		return len(groups[0]), nil
	}
	return 0, fmt.Errorf("%q is not understood: write it as 2026-01-31, 2026-01-31T09:00:00Z, 09:00, @1700000000, yesterday, -7 days, "+
		"7 days ago, last month or next monday, or compute the day in a script of the task", s)
}

func (d *dateString) readDate(groups []string) error {
	d.dates++
	d.year, d.month, d.day = number(groups[0]), time.Month(number(groups[1])), number(groups[2])
	if day := time.Date(d.year, d.month, d.day, 0, 0, 0, 0, time.UTC); day.Month() != d.month || day.Day() != d.day {
		return errors.New("there is no such date")
	}
	if len(groups) == 3 || groups[3] == "" {
		return nil
	}
	return d.readClock(groups[3:])
}

func (d *dateString) readClock(groups []string) error {
	d.clocks++
	hour, minute, second := number(groups[0]), number(groups[1]), number(groups[2])
	if hour > 23 || minute > 59 || second > 59 {
		return errors.New("there is no such time")
	}
	nanosecond := number((groups[3] + "000000000")[:9])
	d.clock = time.Duration((hour*60+minute)*60+second)*time.Second + time.Duration(nanosecond)
	if groups[4] == "" {
		return nil
	}
	return d.readZone(groups[4:])
}

// readZone reads UTC, or an offset such as +02:00.
func (d *dateString) readZone(groups []string) error {
	d.zones++
	if len(groups) == 0 || groups[0][0] != '+' && groups[0][0] != '-' {
		return nil
	}
	digits := strings.Replace(groups[0][1:], ":", "", 1)
	d.offset = (number(digits[:2])*60 + number(digits[2:])) * 60
	if groups[0][0] == '-' {
		d.offset = -d.offset
	}
	return nil
}

func (d *dateString) readWeekday(groups []string) error {
	d.weekdays++
	d.which = counted(groups[0])
	d.weekday = time.Weekday(strings.Index("sunmontuewedthufrisat", groups[1][:3]) / 3)
	return nil
}

func (d *dateString) readNear(groups []string) error {
	d.relative = true
	switch groups[0] {
	case "yesterday":
		d.days--
	case "tomorrow":
		d.days++
	}
	return nil
}

// readShift reads -7 days, 7 days ago and last week.
func (d *dateString) readShift(groups []string) error {
	d.relative = true
	n, ago := number(groups[1]), groups[4] != ""
	switch {
	case groups[2] != "":
		n = counted(groups[2])
	case ago && groups[0] != "":
		return errors.New("a number with a sign and the word ago contradict each other: write 7 days ago or -7 days")
	case ago || groups[0] == "-":
		n = -n
	}
	switch groups[3] {
	case "year":
		d.years += n
	case "month":
		d.months += n
	case "week":
		d.days += 7 * n
	case "day":
		d.days += n
	case "hour":
		d.seconds += 3600 * n
	case "min", "minute":
		d.seconds += 60 * n
	default:
		d.seconds += n
	}
	return nil
}

// number reads digits, of which the forms admit too few to overflow; no digits are 0.
func number(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}

// counted returns what the words in front of a unit count.
func counted(word string) int {
	switch word {
	case "last":
		return -1
	case "next":
		return 1
	}
	return 0
}

// result puts the items together: the date, then the day of the week, the days, months and years, and at last the hours.
func (d *dateString) result() (time.Time, error) {
	switch {
	case max(d.dates, d.clocks, d.zones, d.weekdays) > 1:
		return time.Time{}, errors.New("there are two dates, times, zones or days of the week")
	case d.dates > 0 && d.weekdays > 0:
		return time.Time{}, errors.New("beside a date GNU date ignores a day of the week: leave it out, or compute the day in a script")
	case d.dates+d.clocks+d.weekdays == 0 && d.relative:
		d.clock = sinceMidnight(d.now)
	}
	if d.weekdays > 0 { // it may be in another month, from which the months are counted then
		d.year, d.month, d.day = time.Date(d.year, d.month, d.day+d.daysToWeekday(), 0, 0, 0, 0, time.UTC).Date()
	}
	day := time.Date(d.year+d.years, d.month+time.Month(d.months), d.day+d.days, 0, 0, 0, 0, time.UTC)
	if _, err := inYears(day); err != nil {
		return time.Time{}, err
	}
	wall := day.Add(d.clock)
	instant := wall.Unix() - int64(d.offset)
	if d.zones == 0 {
		instant = instantOf(wall.Unix(), d.now.Location())
	}
	return inYears(time.Unix(instant+int64(d.seconds), int64(wall.Nanosecond())).In(d.now.Location()))
}

func sinceMidnight(t time.Time) time.Duration {
	hour, minute, second := t.Clock()
	return time.Duration((hour*60+minute)*60+second)*time.Second + time.Duration(t.Nanosecond())
}

// inYears refuses a time whose year has not four digits.
func inYears(t time.Time) (time.Time, error) {
	if year := t.UTC().Year(); year < 1000 || year > 9999 {
		return time.Time{}, errors.New("the year is not between 1000 and 9999")
	}
	return t, nil
}

// daysToWeekday counts from today to the day of the week that is meant: forward, unless it is the last one.
func (d *dateString) daysToWeekday() int {
	from, weeks := d.now.Weekday(), d.which
	if weeks > 0 && from != d.weekday {
		weeks--
	}
	return int(d.weekday-from+7)%7 + 7*weeks
}

// instantOf is the instant of a wall time. In a gap it is as long after the gap as the wall time is after the gap's begin.
func instantOf(wall int64, loc *time.Location) int64 {
	instant, shown := resolve(wall, loc)
	if shown {
		return instant
	}
	return wall - spanAt(instant-1, loc).offset
}
