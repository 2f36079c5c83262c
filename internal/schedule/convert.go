package schedule

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrNoEquivalent is why a conversion is refused: the other form cannot say it.
var ErrNoEquivalent = errors.New("no equivalent form")

// AWS returns the expression as EventBridge takes it: cron(...), rate(...) or at(...). Five fields can have no such form:
// errors.Is(err, ErrNoEquivalent). The times are the same, but for the night in which a clock skips them: see the package comment.
func (c *Cron) AWS() (string, error) {
	switch c.dialect {
	case Rate, At:
		return c.text, nil
	case AWS:
		return "cron(" + c.text + ")", nil
	}
	dom, dow, err := c.awsDays()
	if err != nil {
		return "", err
	}
	return "cron(" + c.write(AWS, dom, dow) + " *)", nil
}

// awsDays returns the two day fields, of which AWS takes only one.
func (c *Cron) awsDays() (dom, dow string, err error) {
	d := &c.days
	switch {
	case d.dow == everyWeekday && !d.either:
		return setText(d.dom, 1, 31, AWS), "?", nil
	case d.dom == everyDay && !d.either:
		return "?", weekdayText(d.dow), nil
	case d.dow == everyWeekday || d.dom == everyDay: // one of them suits any day
		return "*", "?", nil
	case d.either:
		return "", "", c.refuse("it fires on a day of the month or a weekday, whichever comes; AWS needs two schedules for that")
	}
	return "", "", c.refuse("it fires on days that fit both day fields; AWS takes only one of them")
}

// Unix returns the expression in five fields, as crontab(5) and Kubernetes take it, or an error that says why there is no such
// form: errors.Is(err, ErrNoEquivalent). The times are the same, but for the night in which a clock skips them.
func (c *Cron) Unix() (string, error) {
	switch c.dialect {
	case Rate:
		return "", c.refuse("its period counts from a moment and not from the hour")
	case At:
		return "", c.refuse("it fires only once")
	case Unix:
		if c.text[0] != '@' && !strings.Contains(c.text, "?") {
			return c.text, nil
		}
	}
	if reason := c.awsOnly(); reason != "" {
		return "", c.refuse(reason)
	}
	return c.write(Unix, setText(c.days.dom, 1, 31, Unix), weekdayText(c.days.dow)), nil
}

// awsOnly says what five fields cannot express.
func (c *Cron) awsOnly() string {
	d := &c.days
	switch {
	case !c.years.all():
		return "there is no field for the year"
	case d.fromLast != 0 || d.lastWeekday || d.lastDow != 0:
		return "there is no L, the last day"
	case d.nearest != 0:
		return "there is no W, the nearest weekday"
	case d.nth != [5]uint8{}:
		return "there is no #, the nth weekday of the month"
	}
	return ""
}

func (s *yearSet) all() bool {
	for year := firstYear; year <= lastYear; year++ {
		if !s.has(year) {
			return false
		}
	}
	return true
}

func (c *Cron) refuse(reason string) error {
	return fmt.Errorf("convert %q: %w: %s", c.text, ErrNoEquivalent, reason)
}

// write puts the fields together; the days are those of the dialect.
func (c *Cron) write(d Dialect, dom, dow string) string {
	minutes, hours, months := setText(c.minutes, 0, 59, d), setText(c.hours, 0, 23, d), setText(c.months, 1, 12, d)
	return fmt.Sprintf("%s %s %s %s %s", minutes, hours, dom, months, dow)
}

// setText writes a set of numbers: *, a step as the dialect documents it (0/15 or */15), or a list of numbers and ranges.
func setText(set uint64, low, high int, d Dialect) string {
	step := stepOf(set, low, high)
	switch {
	case step == 1:
		return "*"
	case step > 1 && d == AWS:
		return fmt.Sprintf("%d/%d", low, step)
	case step > 1:
		return fmt.Sprintf("*/%d", step)
	}
	return ranges(set, low, high, strconv.Itoa)
}

// stepOf returns the n for which the set is low, low+n, ... up to high, or 0. Two values are not worth a step.
func stepOf(set uint64, low, high int) int {
	for n := 1; low+2*n <= high; n++ {
		var steps uint64
		for v := low; v <= high; v += n {
			steps |= 1 << v
		}
		if steps == set {
			return n
		}
	}
	return 0
}

// weekdayText writes weekdays by their names, which both dialects understand.
func weekdayText(set uint8) string {
	if set == everyWeekday {
		return "*"
	}
	return ranges(uint64(set), 0, 6, func(v int) string { return strings.ToUpper(weekdayNames[3*v : 3*v+3]) })
}

// ranges writes a list; three values in a row or more become a range.
func ranges(set uint64, low, high int, text func(int) string) string {
	var items []string
	for v := low; v <= high; v++ {
		if set&(1<<v) == 0 {
			continue
		}
		last := v
		for last < high && set&(1<<(last+1)) != 0 {
			last++
		}
		if last < v+2 {
			items = append(items, text(v))
			continue
		}
		items = append(items, text(v)+"-"+text(last))
		v = last
	}
	return strings.Join(items, ",")
}
