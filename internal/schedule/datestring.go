package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// maxDateString bounds, with maxDigits, how far a date string can move.
const maxDateString = 256

// dateAt returns the time that a date string of GNU date means, when now is the time and its location the local zone.
//
// The items are those of GNU date: 2026-01-31, 20260131, 1/31/2026, 31 Jan 2026, 10:00, 10:00:30.5, 10am, T between a date and
// a time, Z, UTC, +02:00 after a time, monday, next monday, yesterday, today, now, tomorrow, -7 days, 7 days ago, last month,
// @1700000000, and TZ="Europe/Paris" in front. Also its traps: a number with a sign after a time is an offset from UTC, so that
// "00:00 -7 day" does not mean what "-7 day 00:00" means.
//
// It differs from GNU date where that depends on the C library: days, months and years move the date and leave the time of day
// alone, also over a change of the clock (GNU date may give 23:00 of the day before); a time that the clock skips is moved
// forward instead of refused; one that it shows twice is the first of the two.
func dateAt(s string, now time.Time) (time.Time, error) {
	if len(s) > maxDateString {
		return time.Time{}, fmt.Errorf("date: the date string is longer than %d bytes", maxDateString)
	}
	loc := now.Location()
	rest := strings.TrimSpace(s)
	if name, after, ok := zonePrefix(rest); ok {
		var err error
		if loc, err = dateZone(name); err != nil {
			return time.Time{}, err
		}
		rest = after
	}
	list, err := tokens(rest)
	if err != nil {
		return time.Time{}, err
	}
	p := &dateParser{tokens: list, now: now.In(loc)}
	p.year, p.month, p.day = now.In(loc).Year(), int(now.In(loc).Month()), now.In(loc).Day()
	t, err := p.parse(loc)
	if err != nil {
		return time.Time{}, fmt.Errorf("date: %q: %w", s, err)
	}
	return t.In(now.Location()), nil
}

// zonePrefix finds the TZ="..." in front of a date string.
func zonePrefix(s string) (zone, rest string, ok bool) {
	after, ok := strings.CutPrefix(s, `TZ="`)
	if !ok {
		return "", s, false
	}
	zone, rest, ok = strings.Cut(after, `"`)
	return zone, rest, ok
}

// dateParser collects the items of a date string.
type dateParser struct {
	tokens []token
	now    time.Time

	year, month, day     int
	hour, minute, second int
	nanosecond           int
	weekday, ordinal     int
	offset               int // of the zone, in seconds

	yearGiven                 bool
	dates, times, days, zones int
	relative                  bool
	move                      struct{ years, months, days, seconds int }
}

// parse reads all items, in any order.
func (p *dateParser) parse(loc *time.Location) (time.Time, error) {
	if p.peek(0).kind == '@' {
		return p.epoch()
	}
	if p.oddFraction() {
		return time.Time{}, errors.New("only seconds have a fraction")
	}
	for len(p.tokens) > 0 {
		var err error
		switch p.peek(0).kind {
		case 'n':
			err = p.numberItem()
		case 's':
			err = p.signedItem()
		case 'w':
			err = p.wordItem()
		default:
			err = fmt.Errorf("%q is not understood", p.peek(0).kind)
		}
		if err != nil {
			return time.Time{}, err
		}
	}
	if max(p.dates, p.times, p.days, p.zones) > 1 {
		return time.Time{}, errors.New("there are two dates, times, zones or days of the week")
	}
	return p.result(loc)
}

// oddFraction finds a fraction that does not belong to the seconds of a time.
func (p *dateParser) oddFraction() bool {
	for i, t := range p.tokens {
		if t.decimal && (i < 3 || p.tokens[i-1].kind != ':' || p.tokens[i-3].kind != ':') {
			return true
		}
	}
	return false
}

// peek looks ahead; past the end all tokens have kind 0.
func (p *dateParser) peek(n int) token {
	if n >= len(p.tokens) {
		return token{}
	}
	return p.tokens[n]
}

func (p *dateParser) take() token {
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t
}

func (p *dateParser) epoch() (time.Time, error) {
	n := p.peek(1)
	if len(p.tokens) != 2 || n.kind != 'n' && n.kind != 's' || n.decimal && n.value < 0 {
		return time.Time{}, errors.New("only a number of seconds may follow @")
	}
	t := time.Unix(int64(n.value), int64(n.fraction)).UTC()
	if !fourDigits(t) {
		return time.Time{}, errYear
	}
	return t, nil
}

// numberItem reads an item that begins with a number without a sign.
func (p *dateParser) numberItem() error {
	next := p.peek(1)
	switch {
	case next.kind == ':':
		return p.clock()
	case next.kind == '/':
		return p.slashes()
	case next.kind == 's' && next.value <= 0 && p.peek(2).kind == 's' && p.peek(2).value <= 0:
		return p.isoDate()
	case next.kind != 'w':
		return p.bare()
	}
	if _, ok := meridian(next.word); ok {
		return p.clock()
	}
	if isUnit(next) {
		return p.shift(p.take().value)
	}
	if _, ok := weekdayOf(next.word); ok {
		return p.dayOfWeek(p.take().value)
	}
	if month, ok := monthOf(next.word); ok {
		return p.dayMonth(month)
	}
	return p.bare()
}

func isUnit(t token) bool {
	_, ok := unitOf(t.word)
	return t.kind == 'w' && ok
}

// isoDate reads 2026-01-31, and the T when a time follows it.
func (p *dateParser) isoDate() error {
	year, month, day := p.take(), p.take(), p.take()
	p.setDate(year, -month.value, -day.value)
	if p.peek(0).word == "t" && p.peek(1).kind == 'n' && p.peek(2).kind == ':' {
		p.take()
	}
	return nil
}

// setDate takes a date with a year; a year of two digits is from 1969 to 2068.
func (p *dateParser) setDate(year token, month, day int) {
	p.dates++
	p.yearGiven = true
	p.year, p.month, p.day = fullYear(year), month, day
}

func fullYear(t token) int {
	year := max(t.value, -t.value)
	switch {
	case t.digits > 2:
		return year
	case year < 69:
		return year + 2000
	}
	return year + 1900
}

// slashes reads 1/31, 1/31/2026 and 2026/1/31.
func (p *dateParser) slashes() error {
	first := p.take()
	p.take()
	second := p.peek(0)
	if second.kind != 'n' {
		return errors.New("a number must follow the slash")
	}
	p.take()
	if p.peek(0).kind != '/' || p.peek(1).kind != 'n' {
		if p.peek(0).kind == '/' || first.digits > 2 {
			return errors.New("a date with slashes is 1/31, 1/31/2026 or 2026/1/31")
		}
		p.dates++
		p.month, p.day = first.value, second.value
		return nil
	}
	p.take()
	third := p.take()
	if first.digits >= 4 {
		p.setDate(first, second.value, third.value)
	} else {
		p.setDate(third, first.value, second.value)
	}
	return nil
}

// dayMonth reads 31 Jan, 31 Jan 2026 and 31-Jan-2026.
func (p *dateParser) dayMonth(month int) error {
	day := p.take().value
	p.take()
	if next := p.peek(0); next.kind == 'n' || next.kind == 's' && next.value < 0 && !isUnit(p.peek(1)) {
		p.setDate(p.take(), month, day)
		return nil
	}
	p.dates++
	p.month, p.day = month, day
	return nil
}

// monthDay reads Jan 31 and Jan 31, 2026.
func (p *dateParser) monthDay(month int) error {
	p.take()
	day := p.peek(0)
	if day.kind == 's' && day.value < 0 && p.peek(1).kind == 's' {
		p.take()
		p.setDate(p.take(), month, -day.value)
		return nil
	}
	if day.kind != 'n' {
		return errors.New("a day must stand beside the month")
	}
	p.take()
	if p.peek(0).kind == ',' && p.peek(1).kind == 'n' {
		p.take()
		p.setDate(p.take(), month, day.value)
		return nil
	}
	p.dates++
	p.month, p.day = month, day.value
	return nil
}

// bare reads a number that stands alone: 20260131, 1015, 10, or the year of a date without one.
func (p *dateParser) bare() error {
	n := p.take()
	switch {
	case p.dates > 0 && !p.yearGiven && !p.relative && (p.times > 0 || n.digits > 2):
		p.year, p.yearGiven = fullYear(n), true
	case n.digits > 4:
		p.setDate(token{value: n.value / 10000, digits: n.digits - 4}, n.value/100%100, n.value%100)
	case n.digits > 2:
		p.setTime(n.value/100, n.value%100)
	default:
		p.setTime(n.value, 0)
	}
	return nil
}

func (p *dateParser) setTime(hour, minute int) {
	p.times++
	p.hour, p.minute, p.second, p.nanosecond = hour, minute, 0, 0
}

// clock reads 10am, 10:00, 10:00:30.5 and what may follow: am, pm or an offset from UTC.
func (p *dateParser) clock() error {
	p.setTime(p.take().value, 0)
	for _, part := range []*int{&p.minute, &p.second} {
		if p.peek(0).kind != ':' {
			break
		}
		if p.peek(1).kind != 'n' {
			return errors.New("a number must follow the colon")
		}
		p.take()
		n := p.take()
		*part, p.nanosecond = n.value, n.fraction
	}
	if half, ok := meridian(p.peek(0).word); ok {
		p.take()
		if p.hour < 1 || p.hour > 12 {
			return errors.New("with am and pm, hours go from 1 to 12")
		}
		p.hour = p.hour%12 + half
		return nil
	}
	if p.peek(0).kind == 's' {
		return p.utcOffset()
	}
	return nil
}

func meridian(word string) (int, bool) {
	switch word {
	case "am":
		return 0, true
	case "pm":
		return 12, true
	}
	return 0, false
}

// utcOffset reads +2, +02, +0200 and +02:00.
func (p *dateParser) utcOffset() error {
	p.zones++
	n := p.take()
	value, sign := n.value, 1
	if value < 0 {
		value, sign = -value, -1
	}
	hours, minutes := value, 0
	switch {
	case p.peek(0).kind == ':' && p.peek(1).kind == 'n':
		p.take()
		minutes = p.take().value
	case n.digits > 2:
		hours, minutes = value/100, value%100
	}
	if hours*60+minutes > 24*60 {
		return errors.New("an offset from UTC is at most 24 hours")
	}
	p.offset += sign * (hours*60 + minutes) * 60
	return nil
}

// signedItem reads -7 days.
func (p *dateParser) signedItem() error {
	if !isUnit(p.peek(1)) {
		return errors.New("a unit, such as days, must follow a number with a sign")
	}
	return p.shift(p.take().value)
}

// wordItem reads an item that begins with a word.
func (p *dateParser) wordItem() error {
	word := p.peek(0).word
	if isUnit(p.peek(0)) {
		return p.shift(1)
	}
	if _, ok := weekdayOf(word); ok {
		return p.dayOfWeek(0)
	}
	if month, ok := monthOf(word); ok {
		return p.monthDay(month)
	}
	if n, ok := ordinalOf(word); ok {
		p.take()
		if _, ok := weekdayOf(p.peek(0).word); ok {
			return p.dayOfWeek(n)
		}
		if !isUnit(p.peek(0)) {
			return fmt.Errorf("a unit or a day of the week must follow %q", word)
		}
		return p.shift(n)
	}
	return p.simpleWord(word)
}

// simpleWord reads the words that need no other.
func (p *dateParser) simpleWord(word string) error {
	p.take()
	switch word {
	case "now", "today":
		p.relative = true
	case "yesterday":
		p.relative = true
		p.move.days--
	case "tomorrow":
		p.relative = true
		p.move.days++
	case "utc", "gmt", "z", "ut":
		if p.peek(0).kind == 's' && !isUnit(p.peek(1)) {
			return p.utcOffset()
		}
		p.zones++
	default:
		return fmt.Errorf("%q is not understood", word)
	}
	return nil
}

// dayOfWeek reads monday; n is what stood before it.
func (p *dateParser) dayOfWeek(n int) error {
	p.days++
	p.weekday, _ = weekdayOf(p.take().word)
	p.ordinal = n
	if p.peek(0).kind == ',' {
		p.take()
	}
	return nil
}

// shift reads a unit; n is what stood before it.
func (p *dateParser) shift(n int) error {
	unit, _ := unitOf(p.take().word)
	if p.peek(0).word == "ago" {
		p.take()
		n = -n
	}
	p.relative = true
	switch unit {
	case "year":
		p.move.years += n
	case "month":
		p.move.months += n
	case "fortnight":
		p.move.days += 14 * n
	case "week":
		p.move.days += 7 * n
	case "day":
		p.move.days += n
	case "hour":
		p.move.seconds += 3600 * n
	case "minute":
		p.move.seconds += 60 * n
	case "second":
		p.move.seconds += n
	}
	return nil
}
