package schedule

import (
	"errors"
	"time"
)

// result puts the items together: the date, the day of the week, the days, months and years, and at last the hours.
func (p *dateParser) result(loc *time.Location) (time.Time, error) {
	p.startTime()
	day, err := p.startDay()
	if err != nil {
		return time.Time{}, err
	}
	year, month := p.year+p.move.years, time.Month(p.month+p.move.months)
	wall := time.Date(year, month, day+p.move.days, p.hour, p.minute, p.second, 0, time.UTC)
	if !fourDigits(wall) {
		return time.Time{}, errYear
	}
	instant := wall.Unix() - int64(p.offset)
	if p.zones == 0 {
		instant = instantOf(wall.Unix(), loc)
	}
	t := time.Unix(instant+int64(p.move.seconds), int64(p.nanosecond)).UTC()
	if !fourDigits(t) {
		return time.Time{}, errYear
	}
	return t, nil
}

// startTime takes the time of now when the items only move it; else it is midnight, or what was given.
func (p *dateParser) startTime() {
	if p.times == 0 && p.relative && p.dates == 0 && p.days == 0 {
		p.hour, p.minute, p.second = p.now.Clock()
		p.nanosecond = p.now.Nanosecond()
	}
}

// startDay checks the date and the time, and goes to the day of the week.
func (p *dateParser) startDay() (int, error) {
	date := time.Date(p.year, time.Month(p.month), p.day, 0, 0, 0, 0, time.UTC)
	if y, m, d := date.Date(); y != p.year || int(m) != p.month || d != p.day {
		return 0, errors.New("there is no such date")
	}
	if p.hour > 23 || p.minute > 59 || p.second > 59 {
		return 0, errors.New("there is no such time")
	}
	if p.days == 0 || p.dates > 0 {
		return p.day, nil
	}
	return p.day + p.daysToWeekday(int(date.Weekday())), nil
}

var errYear = errors.New("the year is not between 1 and 9999")

func fourDigits(t time.Time) bool { return t.Year() >= 1 && t.Year() <= 9999 }

// daysToWeekday counts from that weekday to the one that is meant: forward, unless it is the last one.
func (p *dateParser) daysToWeekday(from int) int {
	weeks := p.ordinal
	if weeks > 0 && from != p.weekday {
		weeks--
	}
	return (p.weekday-from+7)%7 + 7*weeks
}

// instantOf is the instant of a wall time. In a gap it is as long after the gap as the wall time is after the gap's begin.
func instantOf(wall int64, loc *time.Location) int64 {
	instant, shown := resolve(wall, loc)
	if shown {
		return instant
	}
	return wall - spanAt(instant-1, loc).offset
}
