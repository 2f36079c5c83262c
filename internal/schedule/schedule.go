// Package schedule answers one question: when does it fire next? It reads the two cron dialects, rate(...) and at(...), looks
// up time zones, and evaluates the $(date ...) of a schedule's variables. It is pure: it starts no timer, runs no command,
// reads neither a clock nor the environment; time comes in as an argument. (time.LoadLocation reads zone files, as ever.)
//
// # Dialects
//
// The number of fields decides. Six fields, `min hour day-of-month month day-of-week year`, are the form of AWS EventBridge:
// exactly one of the two day fields is `?`, 1 is Sunday, and `L`, `W`, `#` are understood. Five fields are crontab(5) of Vixie
// cron: 0 and 7 are Sunday, and when both day fields are restricted, a day that fits either of them will do; a day field that
// begins with `*` is not restricted, also in the form of a step, and then both must fit. Seconds do not exist in either.
//
// # When the clock changes
//
// A schedule that admits every hour of the day, or every minute of the hour, goes by real time: it fires whenever the clock
// shows a fitting time, so an hour that the clock repeats has its fires twice, and one that it skips has none.
//
// All other schedules name times of the day. A time that the clock shows twice fires once, the first time. A time that the
// clock skips depends on the dialect: with six fields it does not fire on that day, as AWS documents of its scheduler; with
// five it fires once, at the first instant after the gap, as Vixie cron does, so a nightly load is late but not lost. A
// one-time at(...) does the same.
//
// The calendar ends with the year 2199, the last one that AWS takes.
package schedule

import (
	"fmt"
	"strings"
	"time"
)

// Dialect says in which form an expression was written.
type Dialect string

// The dialects.
const (
	AWS  Dialect = "aws"  // six fields
	Unix Dialect = "unix" // five fields, or a name such as @daily
	Rate Dialect = "rate" // rate(5 minutes)
	At   Dialect = "at"   // at(2026-01-31T09:00:00)
)

// Cron is a parsed expression. It does not change and may be used by several goroutines.
type Cron struct {
	dialect Dialect
	text    string // normalised

	minutes, hours, months uint64
	days                   days
	years                  yearSet
	rolling                bool // fires by real time

	every  int64 // Rate: seconds
	anchor int64 // Rate: Unix seconds
	wall   int64 // At: seconds of the local clock

	first, last int64 // Unix seconds between which it fires; 0: any
}

// String returns the expression with single blanks between its fields. Parse understands it.
func (c *Cron) String() string { return c.text }

// Dialect says which form the expression has.
func (c *Cron) Dialect() Dialect { return c.dialect }

// From returns a copy of a rate(...) that fires at anchor and then at every whole period after it. Without it a rate counts
// from the Unix epoch. It makes no difference to the other dialects.
func (c *Cron) From(anchor time.Time) *Cron {
	moved := *c
	moved.anchor = anchor.Unix()
	return &moved
}

// Between returns a copy that fires from one time to another, both included; zero: there is no such limit.
func (c *Cron) Between(from, until time.Time) *Cron {
	limited := *c
	if !from.IsZero() {
		limited.first = from.Unix()
	}
	if !until.IsZero() {
		limited.last = until.Unix()
	}
	return &limited
}

// Next returns the first n fire times of expr after from, in the time zone of that name; fewer when there are no more. A
// rate(...) counts from from.
func Next(expr, zone string, from time.Time, n int) ([]time.Time, error) {
	return NextBetween(expr, zone, from, n, time.Time{}, time.Time{})
}

// NextBetween is Next for a schedule that fires between two times only: see Cron.Between.
func NextBetween(expr, zone string, from time.Time, n int, begin, end time.Time) ([]time.Time, error) {
	c, err := Parse(expr)
	if err != nil {
		return nil, err
	}
	loc, err := Zone(zone)
	if err != nil {
		return nil, err
	}
	c = c.From(from).Between(begin, end)
	var times []time.Time
	for at := from; len(times) < n; {
		next, ok := c.Next(at, loc)
		if !ok {
			break
		}
		times = append(times, next)
		at = next
	}
	return times, nil
}

// SyntaxError says what is wrong with an expression, and where.
type SyntaxError struct {
	Expr   string
	Field  string // "hour", "day-of-week", ...; empty when it is about the whole
	Offset int    // bytes into Expr
	Reason string
}

// Error returns the reason, and below it the expression with a caret under the place.
func (e *SyntaxError) Error() string {
	reason := e.Reason
	if e.Field != "" {
		reason = e.Field + ": " + reason
	}
	shown, before := printable(e.Expr), printable(e.Expr[:e.Offset])
	return fmt.Sprintf("cron %q: %s\n  %s\n  %s^", shown, reason, shown, strings.Repeat(" ", len([]rune(before))))
}

// printable makes every byte that cannot be shown on one line a blank or a question mark.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < ' ':
			return ' '
		case r > '~':
			return '?'
		}
		return r
	}, s)
}
