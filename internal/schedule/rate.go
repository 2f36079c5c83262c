package schedule

import (
	"fmt"
	"strings"
	"time"
)

// rate reads the inside of rate(5 minutes). A day has 24 hours, whatever the clock does.
func (p *parser) rate(fields []part, start int) (*Cron, error) {
	if len(fields) != 2 {
		return nil, p.fail(start, "rate", "write a number and a unit, as in rate(5 minutes)")
	}
	n, err := p.number(fields[0], "rate", "", 1, 999_999)
	if err != nil {
		return nil, err
	}
	unit := strings.TrimSuffix(strings.ToLower(fields[1].text), "s")
	seconds := int64(60)
	switch unit {
	case "minute":
	case "hour":
		seconds = 60 * 60
	case "day":
		seconds = day
	default:
		return nil, p.fail(fields[1].at, "rate", "the units are minutes, hours and days")
	}
	if n > 1 {
		unit += "s"
	}
	return &Cron{dialect: Rate, text: fmt.Sprintf("rate(%d %s)", n, unit), every: int64(n) * seconds}, nil
}

func (c *Cron) nextRate(after int64) (int64, bool) {
	if after < c.anchor {
		return c.anchor, true
	}
	return after + c.every - mod(after-c.anchor, c.every), true
}

// at reads the inside of at(2026-01-31T09:00:00), which may be without seconds.
func (p *parser) at(text string, start int) (*Cron, error) {
	const layout = "2006-01-02T15:04:05"
	if len(text) == len("2006-01-02T15:04") {
		text += ":00"
	}
	t, err := time.Parse(layout, text)
	if err != nil || len(text) != len(layout) || t.Year() < firstYear || t.Year() > lastYear {
		return nil, p.fail(start, "at", "write a local date and time between 1970 and 2199, as in at(2026-01-31T09:00:00)")
	}
	return &Cron{dialect: At, text: "at(" + text + ")", wall: t.Unix()}, nil
}
