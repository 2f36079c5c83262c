package schedule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// oracle evaluates an expression minute by minute, straight from its text. It shares nothing with the code under test.
type oracle struct {
	aws    bool
	fields []string
	fits   [4][]bool // minute, hour, month, year by value
	days   map[time.Time]bool
}

func newOracle(expr string) *oracle {
	f := strings.Fields(expr)
	o := &oracle{aws: len(f) == 6, fields: f, days: map[time.Time]bool{}}
	months := strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC")
	for v := range 60 {
		o.fits[0] = append(o.fits[0], has(f[0], v, 0, 59, nil))
		o.fits[1] = append(o.fits[1], has(f[1], v, 0, 23, nil))
		o.fits[2] = append(o.fits[2], has(f[3], v, 1, 12, months))
	}
	for v := range 2201 {
		o.fits[3] = append(o.fits[3], !o.aws || has(f[5], v, 1970, 2199, nil))
	}
	return o
}

// has tells whether the value is in a list of values, ranges and steps.
func has(list string, v, low, high int, names []string) bool {
	if v < low || v > high {
		return false
	}
	number := func(s string) int {
		if i := slices.Index(names, s); i >= 0 {
			return low + i
		}
		n, err := strconv.Atoi(s)
		if err != nil {
			panic(err)
		}
		return n
	}
	for _, item := range strings.Split(list, ",") {
		of, by, stepped := strings.Cut(item, "/")
		step, from, to := 1, low, high
		if stepped {
			step = number(by)
		}
		if a, b, isRange := strings.Cut(of, "-"); isRange {
			from, to = number(a), number(b)
		} else if of != "*" {
			from = number(of)
			if !stepped {
				to = from
			}
		}
		size := high - low + 1
		distance, length := v-from, to-from
		if length < 0 {
			distance, length = (distance+size)%size, length+size
		}
		if distance >= 0 && distance <= length && distance%step == 0 {
			return true
		}
	}
	return false
}

// day tells whether the date fits.
func (o *oracle) day(t time.Time) bool {
	if !o.fits[2][t.Month()] || !o.fits[3][t.Year()] {
		return false
	}
	dom, dow := o.fields[2], o.fields[4]
	names := strings.Fields("SUN MON TUE WED THU FRI SAT")
	if !o.aws {
		byMonth := has(dom, t.Day(), 1, 31, nil)
		byWeek := false
		for _, item := range strings.Split(dow, ",") { // 0 and 7 are one day
			w := int(t.Weekday())
			if !strings.Contains(item, "7") {
				byWeek = byWeek || has(item, w, 0, 6, names)
			} else {
				byWeek = byWeek || has(item, w, 0, 7, names) || w == 0 && has(item, 7, 0, 7, names)
			}
		}
		if dom[0] == '*' || dow[0] == '*' {
			return byMonth && byWeek
		}
		return byMonth || byWeek
	}
	if dow == "?" {
		return slices.ContainsFunc(strings.Split(dom, ","), func(item string) bool { return awsDayFits(item, t) })
	}
	return slices.ContainsFunc(strings.Split(dow, ","), func(item string) bool { return awsWeekdayFits(item, t, names) })
}

func awsDayFits(item string, t time.Time) bool {
	last := t.AddDate(0, 1, -t.Day())
	weekday := func(d time.Time) bool { return d.Weekday() != time.Saturday && d.Weekday() != time.Sunday }
	nearest := func(of time.Time) bool {
		if of.Month() != t.Month() {
			return false
		}
		for _, move := range []int{0, -1, 1, -2, 2} {
			if d := of.AddDate(0, 0, move); weekday(d) && d.Month() == of.Month() {
				return d.Equal(t)
			}
		}
		return false
	}
	switch {
	case item == "L":
		return t.Equal(last)
	case item == "LW":
		return nearest(last)
	case strings.HasPrefix(item, "L-"):
		n, _ := strconv.Atoi(item[2:])
		return t.AddDate(0, 0, n).Equal(last)
	case strings.HasSuffix(item, "W"):
		n, _ := strconv.Atoi(strings.TrimSuffix(item, "W"))
		return nearest(t.AddDate(0, 0, n-t.Day()))
	}
	return has(item, t.Day(), 1, 31, nil)
}

func awsWeekdayFits(item string, t time.Time, names []string) bool {
	w := int(t.Weekday()) + 1
	if item == "L" {
		return w == 7
	}
	if of, ok := strings.CutSuffix(item, "L"); ok {
		return has(of, w, 1, 7, names) && t.AddDate(0, 0, 7).Month() != t.Month()
	}
	if of, n, ok := strings.Cut(item, "#"); ok {
		return has(of, w, 1, 7, names) && strconv.Itoa((t.Day()-1)/7+1) == n
	}
	return has(item, w, 1, 7, names)
}

// clock is the local time of a place, as a time in UTC.
func clock(t time.Time, loc *time.Location) time.Time {
	_, offset := t.In(loc).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

func (o *oracle) at(wall time.Time) bool {
	if !o.fits[0][wall.Minute()] || !o.fits[1][wall.Hour()] {
		return false
	}
	date := wall.Truncate(24 * time.Hour)
	fits, known := o.days[date]
	if !known {
		fits = o.day(date)
		o.days[date] = fits
	}
	return fits
}

// lookBack is longer than any clock is set back.
const lookBack = 4 * time.Hour

// fires walks through every minute of (from, to].
func (o *oracle) fires(from, to time.Time, loc *time.Location) []time.Time {
	var found []time.Time
	rolling := !slices.Contains(o.fits[0], false) || !slices.Contains(o.fits[1][:24], false)
	latest := clock(from.Add(-lookBack), loc)
	for t := from.Add(-72 * time.Hour); !t.After(to); t = t.Add(time.Minute) {
		now := clock(t, loc)
		fire := rolling && o.at(now)
		for !rolling && latest.Before(now) {
			latest = latest.Add(time.Minute)
			if (latest.Equal(now) || !o.aws) && !fire {
				fire = o.at(latest)
			}
		}
		if fire && t.After(from) {
			found = append(found, t.In(loc))
		}
	}
	return found
}

// generators

func numbers(low, high int) *rapid.Generator[string] {
	return rapid.Map(rapid.IntRange(low, high), strconv.Itoa)
}

// lists makes the text of a field. In the AWS dialect ranges wrap.
func lists(low, high int, wraps bool, special ...*rapid.Generator[string]) *rapid.Generator[string] {
	ranges := rapid.Custom(func(t *rapid.T) string {
		a, b := rapid.IntRange(low, high).Draw(t, "low"), rapid.IntRange(low, high).Draw(t, "high")
		if !wraps && b < a {
			a, b = b, a
		}
		return fmt.Sprintf("%d-%d", a, b)
	})
	steps := rapid.Custom(func(t *rapid.T) string {
		of := rapid.OneOf(numbers(low, high), ranges, rapid.Just("*")).Draw(t, "of")
		return of + "/" + strconv.Itoa(rapid.IntRange(1, (high-low)/2+1).Draw(t, "step"))
	})
	kinds := append(special, numbers(low, high), ranges, steps)
	items := rapid.SliceOfN(rapid.OneOf(kinds...), 1, 3)
	return rapid.OneOf(rapid.Just("*"), rapid.Map(items, func(s []string) string { return strings.Join(s, ",") }))
}

func weekdays(unix bool) *rapid.Generator[string] {
	names := rapid.SampledFrom([]string{"SUN", "MON", "FRI", "SAT", "FRI-MON", "MON-FRI", "SAT-SUN"})
	if unix {
		return lists(0, 6, true, names, rapid.SampledFrom([]string{"7", "5-7", "0-7", "1-7/2"}))
	}
	nth := rapid.Custom(func(t *rapid.T) string {
		return numbers(1, 7).Draw(t, "day") + "#" + numbers(1, 5).Draw(t, "n")
	})
	last := rapid.SampledFrom([]string{"L", "6L", "SUNL", "2L"})
	return rapid.OneOf(lists(1, 7, true, names, last), nth)
}

func expressions() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		aws := rapid.Bool().Draw(t, "aws")
		often := rapid.SampledFrom([]string{"*", "0", "30", "0/15", "*/20", "1,2,3", "0-5"})
		minute := rapid.OneOf(often, lists(0, 59, aws)).Draw(t, "minute")
		usual := rapid.SampledFrom([]string{"*", "0", "1", "2", "3", "*/2", "0-23", "1-3", "22-23"})
		hour := rapid.OneOf(usual, lists(0, 23, aws)).Draw(t, "hour")
		month := rapid.OneOf(rapid.Just("*"), lists(1, 12, aws, rapid.SampledFrom([]string{"MAR", "OCT", "APR"}))).Draw(t, "month")
		if !aws {
			dom := lists(1, 31, false).Draw(t, "dom")
			return strings.Join([]string{minute, hour, dom, month, weekdays(true).Draw(t, "dow")}, " ")
		}
		special := rapid.SampledFrom([]string{"L", "LW", "L-3", "L-30", "1W", "15W", "29W", "31W"})
		dom, dow := lists(1, 31, true, special, special).Draw(t, "dom"), "?"
		if rapid.Bool().Draw(t, "by week") {
			dom, dow = "?", weekdays(false).Draw(t, "dow")
		}
		year := rapid.SampledFrom([]string{"*", "*", "*", "1970-2100", "2011/1", "2026,2041", "*/2"}).Draw(t, "year")
		return strings.Join([]string{minute, hour, dom, month, dow, year}, " ")
	})
}

func collect(c *Cron, from, to time.Time, loc *time.Location) []time.Time {
	var found []time.Time
	for at := from; ; {
		next, ok := c.Next(at, loc)
		if !ok || next.After(to) {
			return found
		}
		found = append(found, next)
		at = next
	}
}

// changes are moments near which clocks do odd things.
var changes = []struct{ zone, near string }{
	{"America/New_York", "2026-03-08"}, {"America/New_York", "2026-11-01"}, {"America/New_York", "2040-12-31"},
	{"Australia/Lord_Howe", "2026-04-04"}, {"Australia/Lord_Howe", "2026-10-03"}, // by 30 minutes
	{"Pacific/Apia", "2011-12-30"}, {"Pacific/Kiritimati", "1994-12-31"}, {"Pacific/Kwajalein", "1993-08-21"}, // a day skipped
	{"Africa/Casablanca", "2026-02-15"}, {"Africa/Casablanca", "2026-03-22"}, {"Africa/Casablanca", "2041-09-28"}, // negative DST
	{"America/St_Johns", "2006-04-02"}, {"America/St_Johns", "2006-10-29"}, {"America/St_Johns", "1988-04-03"}, // 00:01; by 2 hours
	{"Asia/Kathmandu", "1986-01-01"}, {"Asia/Kathmandu", "2026-05-05"}, {"Asia/Pyongyang", "2015-08-14"},
	{"America/Santiago", "2026-04-05"}, {"America/Santiago", "2026-09-06"}, {"America/Santiago", "2044-12-31"}, // midnight skipped
	{"Africa/Cairo", "2026-04-24"}, {"Africa/Cairo", "2026-10-29"}, {"Antarctica/Troll", "2026-03-29"}, {"Antarctica/Troll", "2026-10-25"},
	{"Europe/London", "1971-10-31"}, {"Europe/Lisbon", "1992-09-27"}, {"America/Caracas", "2016-05-01"}, {"UTC", "2096-02-28"},
}

func TestNextNearClockChanges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		expr := expressions().Draw(t, "expr")
		where := rapid.SampledFrom(changes).Draw(t, "where")
		loc, err := Zone(where.zone)
		if err != nil {
			t.Fatal(err)
		}
		near, err := time.Parse(time.DateOnly, where.near)
		if err != nil {
			t.Fatal(err)
		}
		from := near.Add(time.Duration(rapid.IntRange(-30*60, 26*60).Draw(t, "minutes")) * time.Minute)
		to := from.Add(30 * time.Hour)
		c, err := Parse(expr)
		if err != nil {
			t.Fatalf("%v", err)
		}
		if diff := cmp.Diff(stamps(newOracle(expr).fires(from, to, loc)), stamps(collect(c, from, to, loc))); diff != "" {
			t.Fatalf("%s in %s from %s (-brute force +Next):\n%s", expr, where.zone, from, diff)
		}
	})
}

// TestNextOverYears looks for the first fire far away, day by day.
func TestNextOverYears(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		expr := expressions().Draw(t, "expr")
		o := newOracle(expr)
		from := time.Date(rapid.IntRange(1971, 2190).Draw(t, "year"), 1, rapid.IntRange(1, 366).Draw(t, "day"), 0, 0, 0, 0, time.UTC)
		c, err := Parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		next, ok := c.Next(from.Add(-time.Second), time.UTC)
		for d := from; d.Before(from.AddDate(9, 0, 0)) && d.Year() < 2200; d = d.AddDate(0, 0, 1) {
			if !o.day(d) {
				continue
			}
			want := o.fires(d.Add(-time.Minute), d.Add(24*time.Hour-time.Minute), time.UTC)
			if !ok || !next.Equal(want[0]) {
				t.Fatalf("%s from %s: Next is %s, %t; brute force says %s", expr, from, next, ok, want[0])
			}
			return
		}
		if ok && next.Before(from.AddDate(9, 0, 0)) {
			t.Fatalf("%s from %s: Next is %s; brute force finds none in nine years", expr, from, next)
		}
	})
}

// TestConversions checks that the other form fires at the same times.
func TestConversionsKeepTimes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		expr := expressions().Draw(t, "expr")
		c, err := Parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for name, convert := range map[string]func() (string, error){"aws": c.AWS, "unix": c.Unix} {
			other, err := convert()
			if err != nil {
				continue
			}
			again, err := Parse(other)
			if err != nil {
				t.Fatalf("%s of %s: %v", name, expr, err)
			}
			for at := from; at.Before(from.AddDate(2, 0, 0)); {
				a, ok := c.Next(at, nil)
				b, also := again.Next(at, nil)
				if ok != also || !a.Equal(b) {
					t.Fatalf("%s of %s is %s: %s, %s", name, expr, other, a, b)
				}
				if !ok {
					break
				}
				at = a.Add(7 * time.Hour)
			}
		}
	})
}

func stamps(times []time.Time) []string {
	var texts []string
	for _, t := range times {
		texts = append(texts, t.Format("Mon 2006-01-02 15:04:05 -0700"))
	}
	return texts
}
