package schedule

import (
	"math/bits"
	"strings"
	"time"
)

// days says which days of a month fit. All sets of days of the month have bit n for day n.
type days struct {
	dom         uint64
	fromLast    uint64 // bit n: n days before the last one
	nearest     uint64 // bit n: the weekday (Monday to Friday) nearest to day n, in the same month
	lastWeekday bool

	dow     uint8    // bit 0 is Sunday
	lastDow uint8    // the last one of the month
	nth     [5]uint8 // the first to the fifth one

	either bool // a day of either kind will do; else it must be of both
}

func (d *days) addDay(n int)     { d.dom |= 1 << n }
func (d *days) addWeekday(n int) { d.dow |= 1 << n }

const (
	everyDay     = 1<<32 - 2
	everyWeekday = 1<<7 - 1
)

func awsDow() field {
	return field{name: "day-of-week", min: 1, span: 7, names: weekdayNames, wraps: true}
}

// awsDom reads day-of-month: also ?, L, LW, L-3, 15W.
func (p *parser) awsDom(text part, d *days) error {
	if text.text == "?" {
		d.dom = everyDay
		return nil
	}
	f := field{name: "day-of-month", min: 1, span: 31, wraps: true}
	return p.each(text, f.name, func(item part) error {
		upper := strings.ToUpper(item.text)
		switch {
		case upper == "L":
			d.fromLast |= 1
		case upper == "LW":
			d.lastWeekday = true
		case strings.HasPrefix(upper, "L-"):
			n, err := p.number(part{item.text[2:], item.at + 2}, f.name, "offset", 1, 30)
			d.fromLast |= 1 << n
			return err
		case strings.HasSuffix(upper, "W"):
			n, err := p.number(part{item.text[:len(upper)-1], item.at}, f.name, "", 1, 31)
			d.nearest |= 1 << n
			return err
		default:
			return p.item(item, f, d.addDay)
		}
		return nil
	})
}

// awsDow reads day-of-week: also ?, L, 5L, 2#1.
func (p *parser) awsDow(text part, d *days) error {
	if text.text == "?" {
		d.dow = everyWeekday
		return nil
	}
	f := awsDow()
	return p.each(text, f.name, func(item part) error {
		upper := strings.ToUpper(item.text)
		if strings.Contains(upper, "#") {
			return p.nth(item, text, d)
		}
		switch {
		case upper == "L":
			d.addWeekday(int(time.Saturday))
		case strings.HasSuffix(upper, "L"):
			n, err := p.value(part{item.text[:len(upper)-1], item.at}, f)
			if err != nil {
				return err
			}
			d.lastDow |= 1 << (n - 1)
		default:
			return p.item(item, f, func(v int) { d.addWeekday(v - 1) })
		}
		return nil
	})
}

// nth reads 2#1, the first Monday. AWS takes only one of them, and nothing beside it.
func (p *parser) nth(item, whole part, d *days) error {
	f := awsDow()
	if item != whole {
		return p.fail(item.at, f.name, "nothing may stand beside an expression with #")
	}
	day, which, _ := strings.Cut(item.text, "#")
	v, err := p.value(part{day, item.at}, f)
	if err != nil {
		return err
	}
	n, err := p.number(part{which, item.at + len(day) + 1}, f.name, "place", 1, 5)
	if err != nil {
		return err
	}
	d.nth[n-1] |= 1 << (v - 1)
	return nil
}

// in returns the days of that month that fit.
func (d *days) in(year int, month time.Month) uint64 {
	first := int(time.Date(year, month, 1, 0, 0, 0, 0, time.UTC).Weekday())
	length := daysIn(year, month)
	byMonth, byWeek := d.ofMonth(first, length), d.ofWeek(first, length)
	if d.either {
		return byMonth | byWeek
	}
	return byMonth & byWeek
}

// ofMonth returns the days that fit by their number; first is the weekday of day 1.
func (d *days) ofMonth(first, length int) uint64 {
	set := d.dom
	for rest := d.fromLast; rest != 0; rest &= rest - 1 {
		if day := length - bits.TrailingZeros64(rest); day > 0 {
			set |= 1 << day
		}
	}
	for rest := d.nearest; rest != 0; rest &= rest - 1 {
		if day := bits.TrailingZeros64(rest); day <= length {
			set |= 1 << nearestWeekday(day, first, length)
		}
	}
	if d.lastWeekday {
		set |= 1 << nearestWeekday(length, first, length)
	}
	return set & (1<<(length+1) - 2)
}

// nearestWeekday moves a Saturday or a Sunday to the nearest weekday without leaving the month.
func nearestWeekday(day, first, length int) int {
	switch time.Weekday((first + day - 1) % 7) {
	case time.Saturday:
		if day == 1 {
			return 3
		}
		return day - 1
	case time.Sunday:
		if day == length {
			return day - 2
		}
		return day + 1
	}
	return day
}

// ofWeek returns the days that fit by their weekday.
func (d *days) ofWeek(first, length int) uint64 {
	const weekly = 1<<1 | 1<<8 | 1<<15 | 1<<22 | 1<<29
	var set uint64
	for weekday := range 7 {
		bit, day := uint8(1)<<weekday, 1+(weekday-first+7)%7
		if d.dow&bit != 0 {
			set |= weekly << (day - 1)
		}
		if d.lastDow&bit != 0 {
			set |= 1 << (day + (length-day)/7*7)
		}
		for n, which := range d.nth {
			if which&bit != 0 {
				set |= 1 << (day + 7*n)
			}
		}
	}
	return set & (1<<(length+1) - 2)
}

func daysIn(year int, month time.Month) int {
	switch month {
	case time.February:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case time.April, time.June, time.September, time.November:
		return 30
	}
	return 31
}

// yearSet has a bit for each year from firstYear to lastYear.
type yearSet [4]uint64

func everyYear() yearSet { return yearSet{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)} }

func (s *yearSet) add(year int) { s[(year-firstYear)/64] |= 1 << ((year - firstYear) % 64) }

func (s *yearSet) has(year int) bool {
	return s[(year-firstYear)/64]&(1<<((year-firstYear)%64)) != 0
}
