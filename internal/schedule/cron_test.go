package schedule

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// next returns n fire times after from, in the zone, as text.
func next(t *testing.T, expr, zone, from string, n int) []string {
	t.Helper()
	at, err := time.Parse(time.RFC3339, from)
	if err != nil {
		t.Fatal(err)
	}
	times, err := Next(expr, zone, at, n)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, time := range times {
		texts = append(texts, strings.TrimSuffix(time.Format("Mon 2006-01-02 15:04 -0700"), "00"))
	}
	return texts
}

func TestNext(t *testing.T) {
	t.Parallel()
	const from = "2026-01-30T12:00:00Z" // a Friday
	for name, c := range map[string]struct {
		expr string
		want []string
	}{
		// the examples of AWS's own pages
		"every day":                {"0 10 * * ? *", []string{"Sat 2026-01-31 10:00 +00", "Sun 2026-02-01 10:00 +00"}},
		"strictly after":           {"cron(0 12 * * ? *)", []string{"Sat 2026-01-31 12:00 +00", "Sun 2026-02-01 12:00 +00"}},
		"quarter past twelve":      {"15 12 * * ? *", []string{"Fri 2026-01-30 12:15 +00", "Sat 2026-01-31 12:15 +00"}},
		"working days":             {"0 18 ? * MON-FRI *", []string{"Fri 2026-01-30 18:00 +00", "Mon 2026-02-02 18:00 +00"}},
		"first of the month":       {"0 8 1 * ? *", []string{"Sun 2026-02-01 08:00 +00", "Sun 2026-03-01 08:00 +00"}},
		"every quarter":            {"0/15 * * * ? *", []string{"Fri 2026-01-30 12:15 +00", "Fri 2026-01-30 12:30 +00"}},
		"ten minutes, weekdays":    {"0/10 * ? * MON-FRI *", []string{"Fri 2026-01-30 12:10 +00", "Fri 2026-01-30 12:20 +00"}},
		"office hours":             {"0/5 8-17 ? * MON-FRI *", []string{"Fri 2026-01-30 12:05 +00", "Fri 2026-01-30 12:10 +00"}},
		"over midnight":            {"0/30 20-2 ? * MON-FRI *", []string{"Fri 2026-01-30 20:00 +00", "Fri 2026-01-30 20:30 +00"}},
		"from the first minute":    {"1/10 3 * * ? *", []string{"Sat 2026-01-31 03:01 +00", "Sat 2026-01-31 03:11 +00"}},
		"third day, second":        {"0 9 ? * 3#2 *", []string{"Tue 2026-02-10 09:00 +00", "Tue 2026-03-10 09:00 +00"}},
		"weekday nearest to 3":     {"0 9 3W * ? *", []string{"Tue 2026-02-03 09:00 +00", "Tue 2026-03-03 09:00 +00"}},
		"last Friday of years":     {"15 10 ? * 6L 2026-2027", []string{"Fri 2026-02-27 10:15 +00", "Fri 2026-03-27 10:15 +00"}},
		"months by name":           {"0 0 1 JAN,feb,MAR ? *", []string{"Sun 2026-02-01 00:00 +00", "Sun 2026-03-01 00:00 +00"}},
		"the one of the article":   {"0 0 * * ? *", []string{"Sat 2026-01-31 00:00 +00", "Sun 2026-02-01 00:00 +00"}},
		"first Monday":             {"0 9 ? * 2#1 *", []string{"Mon 2026-02-02 09:00 +00", "Mon 2026-03-02 09:00 +00"}},
		"first Monday by name":     {"0 9 ? * mon#1 *", []string{"Mon 2026-02-02 09:00 +00", "Mon 2026-03-02 09:00 +00"}},
		"fifth Sunday":             {"0 9 ? * SUN#5 *", []string{"Sun 2026-03-29 09:00 +00", "Sun 2026-05-31 09:00 +00"}},
		"last day":                 {"0 9 L * ? *", []string{"Sat 2026-01-31 09:00 +00", "Sat 2026-02-28 09:00 +00"}},
		"last weekday":             {"0 9 LW * ? *", []string{"Fri 2026-02-27 09:00 +00", "Tue 2026-03-31 09:00 +00"}},
		"three days before":        {"0 9 L-3 * ? *", []string{"Wed 2026-02-25 09:00 +00", "Sat 2026-03-28 09:00 +00"}},
		"thirty days before":       {"0 9 L-30 * ? *", []string{"Sun 2026-03-01 09:00 +00", "Fri 2026-05-01 09:00 +00"}},
		"last day of the week":     {"0 9 ? * L *", []string{"Sat 2026-01-31 09:00 +00", "Sat 2026-02-07 09:00 +00"}},
		"last Monday":              {"0 9 ? * 2L *", []string{"Mon 2026-02-23 09:00 +00", "Mon 2026-03-30 09:00 +00"}},
		"W stays in the month":     {"0 9 1W 2,3,8 ? *", []string{"Mon 2026-02-02 09:00 +00", "Mon 2026-03-02 09:00 +00"}},
		"W at the end":             {"0 9 31W 1,5 ? *", []string{"Fri 2026-05-29 09:00 +00", "Fri 2027-01-29 09:00 +00"}},
		"W of no day":              {"0 9 30W 2 ? *", nil},
		"weekend over Sunday":      {"0 9 ? * FRI-MON *", []string{"Sat 2026-01-31 09:00 +00", "Sun 2026-02-01 09:00 +00"}},
		"winter":                   {"0 9 1 NOV-FEB ? *", []string{"Sun 2026-02-01 09:00 +00", "Sun 2026-11-01 09:00 +00"}},
		"days over the turn":       {"0 9 30-1 * ? *", []string{"Sat 2026-01-31 09:00 +00", "Sun 2026-02-01 09:00 +00"}},
		"leap day":                 {"0 9 29 2 ? *", []string{"Tue 2028-02-29 09:00 +00", "Sun 2032-02-29 09:00 +00"}},
		"leap day over 2100":       {"0 9 29 2 ? 2096-2199", []string{"Wed 2096-02-29 09:00 +00", "Fri 2104-02-29 09:00 +00"}},
		"one year":                 {"0 9 1 6 ? 2199", []string{"Sat 2199-06-01 09:00 +00"}},
		"past year":                {"0 9 1 6 ? 2025", nil},
		"30 February":              {"0 9 30 2 ? *", nil},
		"30 February, any minute":  {"* * 30 2 *", nil},
		"five: every day":          {"0 9 * * *", []string{"Sat 2026-01-31 09:00 +00", "Sun 2026-02-01 09:00 +00"}},
		"five: either day":         {"0 9 13 * 5", []string{"Fri 2026-02-06 09:00 +00", "Fri 2026-02-13 09:00 +00"}},
		"five: both, with a star":  {"0 9 */2 * 1", []string{"Mon 2026-02-09 09:00 +00", "Mon 2026-02-23 09:00 +00"}},
		"five: Sunday is 7":        {"0 9 * * 7", []string{"Sun 2026-02-01 09:00 +00", "Sun 2026-02-08 09:00 +00"}},
		"five: Sunday is 0":        {"0 9 * * 0", []string{"Sun 2026-02-01 09:00 +00", "Sun 2026-02-08 09:00 +00"}},
		"five: up to 7":            {"0 9 * * 5-7", []string{"Sat 2026-01-31 09:00 +00", "Sun 2026-02-01 09:00 +00"}},
		"five: Saturday to Sunday": {"0 9 * * sat-sun", []string{"Sat 2026-01-31 09:00 +00", "Sun 2026-02-01 09:00 +00"}},
		"five: question mark":      {"0 9 1 * ?", []string{"Sun 2026-02-01 09:00 +00", "Sun 2026-03-01 09:00 +00"}},
		"five: range with step":    {"0 8-16/4 * * *", []string{"Fri 2026-01-30 16:00 +00", "Sat 2026-01-31 08:00 +00"}},
		"five: value with step":    {"5/20 12 * * *", []string{"Fri 2026-01-30 12:05 +00", "Fri 2026-01-30 12:25 +00"}},
		"yearly":                   {"@yearly", []string{"Fri 2027-01-01 00:00 +00", "Sat 2028-01-01 00:00 +00"}},
		"monthly":                  {"@monthly", []string{"Sun 2026-02-01 00:00 +00", "Sun 2026-03-01 00:00 +00"}},
		"weekly":                   {"@weekly", []string{"Sun 2026-02-01 00:00 +00", "Sun 2026-02-08 00:00 +00"}},
		"daily":                    {"@Daily", []string{"Sat 2026-01-31 00:00 +00", "Sun 2026-02-01 00:00 +00"}},
		"hourly":                   {"@hourly", []string{"Fri 2026-01-30 13:00 +00", "Fri 2026-01-30 14:00 +00"}},
		"rate":                     {"rate(90 minutes)", []string{"Fri 2026-01-30 13:30 +00", "Fri 2026-01-30 15:00 +00"}},
		"rate of a day":            {"rate(1 day)", []string{"Sat 2026-01-31 12:00 +00", "Sun 2026-02-01 12:00 +00"}},
		"once":                     {"at(2026-02-03T04:05:06)", []string{"Tue 2026-02-03 04:05 +00"}},
		"once, gone":               {"at(2026-01-30T12:00:00)", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, next(t, c.expr, "", from, 2)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.expr, diff)
			}
		})
	}
}

func TestNextWhenTheClockChanges(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		expr, zone, from string
		want             []string
	}{
		"gap, six fields: not on that day": {"30 2 * * ? *", "America/New_York", "2026-03-07T12:00:00Z",
			[]string{"Mon 2026-03-09 02:30 -04", "Tue 2026-03-10 02:30 -04", "Wed 2026-03-11 02:30 -04"}},
		"gap, five fields: at its end": {"30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z",
			[]string{"Sun 2026-03-08 03:00 -04", "Mon 2026-03-09 02:30 -04", "Tue 2026-03-10 02:30 -04"}},
		"gap, five fields: once for all times in it": {"0,30 2,3 * * *", "America/New_York", "2026-03-08T05:00:00Z",
			[]string{"Sun 2026-03-08 03:00 -04", "Sun 2026-03-08 03:30 -04", "Mon 2026-03-09 02:00 -04"}},
		"midnight skipped, six fields": {"0 0 * * ? *", "Africa/Cairo", "2026-04-23T00:00:00Z", // 24 April begins at one
			[]string{"Sat 2026-04-25 00:00 +03", "Sun 2026-04-26 00:00 +03", "Mon 2026-04-27 00:00 +03"}},
		"midnight skipped, five fields": {"@daily", "Africa/Cairo", "2026-04-23T00:00:00Z",
			[]string{"Fri 2026-04-24 01:00 +03", "Sat 2026-04-25 00:00 +03", "Sun 2026-04-26 00:00 +03"}},
		"a day skipped, five fields": {"30 9 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z",
			[]string{"Thu 2011-12-29 09:30 -10", "Sat 2011-12-31 00:00 +14", "Sat 2011-12-31 09:30 +14"}},
		"a day skipped, six fields": {"30 9 * * ? *", "Pacific/Apia", "2011-12-29T00:00:00Z",
			[]string{"Thu 2011-12-29 09:30 -10", "Sat 2011-12-31 09:30 +14", "Sun 2012-01-01 09:30 +14"}},
		"repeated: the first time only": {"30 1 * * ? *", "America/New_York", "2026-10-31T12:00:00Z",
			[]string{"Sun 2026-11-01 01:30 -04", "Mon 2026-11-02 01:30 -05", "Tue 2026-11-03 01:30 -05"}},
		"repeated: asked between the two": {"30 1 * * *", "America/New_York", "2026-11-01T05:45:00Z",
			[]string{"Mon 2026-11-02 01:30 -05", "Tue 2026-11-03 01:30 -05", "Wed 2026-11-04 01:30 -05"}},
		"repeated: asked in the second": {"40 1 * * *", "America/New_York", "2026-11-01T06:35:00Z",
			[]string{"Mon 2026-11-02 01:40 -05", "Tue 2026-11-03 01:40 -05", "Wed 2026-11-04 01:40 -05"}},
		"hourly goes on in the repeated hour": {"0 * * * ? *", "America/New_York", "2026-11-01T04:30:00Z",
			[]string{"Sun 2026-11-01 01:00 -04", "Sun 2026-11-01 01:00 -05", "Sun 2026-11-01 02:00 -05"}},
		"hourly over the gap": {"0 * * * *", "America/New_York", "2026-03-08T05:30:00Z",
			[]string{"Sun 2026-03-08 01:00 -05", "Sun 2026-03-08 03:00 -04", "Sun 2026-03-08 04:00 -04"}},
		"quarters over the gap": {"*/15 * * * *", "America/New_York", "2026-03-08T06:40:00Z",
			[]string{"Sun 2026-03-08 01:45 -05", "Sun 2026-03-08 03:00 -04", "Sun 2026-03-08 03:15 -04"}},
		"every minute of an hour, repeated": {"* 1 * * *", "America/New_York", "2026-11-01T05:58:00Z",
			[]string{"Sun 2026-11-01 01:59 -04", "Sun 2026-11-01 01:00 -05", "Sun 2026-11-01 01:01 -05"}},
		"half an hour, gap": {"15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z",
			[]string{"Sun 2026-10-04 02:30 +11", "Mon 2026-10-05 02:15 +11", "Tue 2026-10-06 02:15 +11"}},
		"half an hour, repeated": {"45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z",
			[]string{"Sun 2026-04-05 01:45 +11", "Mon 2026-04-06 01:45 +1030", "Tue 2026-04-07 01:45 +1030"}},
		"clock back at one minute past midnight": {"30 23 * * *", "America/St_Johns", "2006-10-28T12:00:00Z",
			[]string{"Sat 2006-10-28 23:30 -0230", "Sun 2006-10-29 23:30 -0330", "Mon 2006-10-30 23:30 -0330"}},
		"negative daylight saving": {"30 2 * * *", "Africa/Casablanca", "2026-02-14T12:00:00Z",
			[]string{"Sun 2026-02-15 02:30 +01", "Mon 2026-02-16 02:30 +00", "Tue 2026-02-17 02:30 +00"}},
		"an odd offset": {"0 9 * * *", "Asia/Kathmandu", "2026-05-05T00:00:00Z",
			[]string{"Tue 2026-05-05 09:00 +0545", "Wed 2026-05-06 09:00 +0545", "Thu 2026-05-07 09:00 +0545"}},
		"an offset with seconds": {"30 0 * * *", "Africa/Monrovia", "1972-01-05T12:00:00Z", // until 7 January it was -0:44:30
			[]string{"Thu 1972-01-06 00:30 -0044", "Fri 1972-01-07 00:44 +00", "Sat 1972-01-08 00:30 +00"}},
		"once, in a gap": {"at(2026-03-08T02:30:00)", "America/New_York", "2026-01-01T00:00:00Z",
			[]string{"Sun 2026-03-08 03:00 -04"}},
		"once, twice on the clock": {"at(2026-11-01T01:30:00)", "America/New_York", "2026-01-01T00:00:00Z",
			[]string{"Sun 2026-11-01 01:30 -04"}},
		"days of a rate have 24 hours": {"rate(1 day)", "America/New_York", "2026-03-07T17:00:00Z",
			[]string{"Sun 2026-03-08 13:00 -04", "Mon 2026-03-09 13:00 -04", "Tue 2026-03-10 13:00 -04"}},
		"31 December of a leap year after 2037": {"0 12 * * *", "America/New_York", "2040-12-30T18:00:00Z",
			[]string{"Mon 2040-12-31 12:00 -05", "Tue 2041-01-01 12:00 -05", "Wed 2041-01-02 12:00 -05"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, next(t, c.expr, c.zone, c.from, 3)); diff != "" {
				t.Errorf("%s in %s (-want +got):\n%s", c.expr, c.zone, diff)
			}
		})
	}
}

func TestRateFrom(t *testing.T) {
	t.Parallel()
	c, err := Parse("rate(1 hours)")
	if err != nil {
		t.Fatal(err)
	}
	anchor := time.Date(2026, 1, 1, 0, 10, 0, 0, time.UTC)
	moved := c.From(anchor)
	for name, at := range map[string]struct {
		cron        *Cron
		after, want time.Time
	}{
		"before the anchor": {moved, anchor.Add(-5 * time.Hour), anchor},
		"at the anchor":     {moved, anchor, anchor.Add(time.Hour)},
		"just before":       {moved, anchor.Add(time.Hour - time.Nanosecond), anchor.Add(time.Hour)},
		"no anchor":         {c, anchor, time.Date(2026, 1, 1, 1, 0, 0, 0, time.UTC)},
	} {
		if got, ok := at.cron.Next(at.after, nil); !ok || !got.Equal(at.want) {
			t.Errorf("%s: got %s, %t, want %s", name, got, ok, at.want)
		}
	}
}

func TestNextFarAway(t *testing.T) {
	t.Parallel()
	c, err := Parse("* * * * *")
	if err != nil {
		t.Fatal(err)
	}
	for _, year := range []int{-290_000_000, 0, 1900, 1969} {
		got, ok := c.Next(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC), nil)
		if want := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC); !ok || !got.Equal(want) {
			t.Errorf("after %d: %s, %t", year, got, ok)
		}
	}
	for _, year := range []int{2200, 9999, 290_000_000_000} {
		if got, ok := c.Next(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC), nil); ok {
			t.Errorf("after %d: %s", year, got)
		}
	}
	last := time.Date(2199, 12, 31, 23, 59, 0, 0, time.UTC)
	if got, ok := c.Next(last.Add(-time.Nanosecond), nil); !ok || !got.Equal(last) {
		t.Errorf("the last minute: %s, %t", got, ok)
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		"":                             "it is empty\n  \n  ^",
		"   ":                          "it is empty",
		"0 25 * * ? *":                 "hour: 25 is not between 0 and 23\n  0 25 * * ? *\n    ^",
		"60 0 * * ? *":                 "minute: 60 is not between 0 and 59\n  60 0 * * ? *\n  ^",
		"0 0 32 * ? *":                 "day-of-month: 32 is not between 1 and 31",
		"0 0 0 * ? *":                  "day-of-month: 0 is not between 1 and 31",
		"0 0 1 13 ? *":                 "month: 13 is not between 1 and 12",
		"0 0 ? * 8 *":                  "day-of-week: 8 is not between 1 and 7",
		"0 0 ? * 0 *":                  "day-of-week: 0 is not between 1 and 7",
		"0 0 * * 8":                    "day-of-week: 8 is not between 0 and 7",
		"0 0 1 * ? 1969":               "year: 1969 is not between 1970 and 2199",
		"0 0 1 * ? 2200":               "year: 2200 is not between 1970 and 2199",
		"0 0 1 * ? 2030-2020":          "year: the range 2030-2020 ends before it begins",
		"0 0 * * * *":                  "day-of-week: write ? in one of day-of-month and day-of-week, and only in one",
		"0 0 ? * ? *":                  "day-of-week: write ? in one",
		"0 0 1 * MON *":                "day-of-week: write ? in one",
		"? 0 * * ? *":                  `minute: "?" is not understood; ? may stand for day-of-month or day-of-week only`,
		"0 0 * ? * *":                  `month: "?" is not understood`,
		"0 0 ? * 3#1,6#3 *":            "day-of-week: nothing may stand beside an expression with #",
		"0 0 ? * MON,6#3 *":            "day-of-week: nothing may stand beside",
		"0 0 ? * 2#6 *":                "day-of-week: place 6 is not between 1 and 5",
		"0 0 ? * 2#0 *":                "day-of-week: place 0 is not between 1 and 5",
		"0 0 ? * #1 *":                 `day-of-week: "" is not understood`,
		"0 0 ? * FUNL *":               `day-of-week: "FUN" is not understood`,
		"0 0 32W * ? *":                "day-of-month: 32 is not between 1 and 31",
		"0 0 W * ? *":                  `day-of-month: "" is not understood`,
		"0 0 1-5W * ? *":               `day-of-month: "1-5" is not understood`,
		"0 0 L-31 * ? *":               "day-of-month: offset 31 is not between 1 and 30",
		"0 0 L-x * ? *":                `day-of-month: offset "x" is not understood`,
		"0 0 1L * ? *":                 `day-of-month: "1L" is not understood`,
		"0 0 ? * 2W *":                 `day-of-week: "2W" is not understood`,
		"0 0 L * *":                    "day-of-month: \"L\" is not understood; L, W and # need the form with six fields",
		"0 0 * * 2#1":                  `day-of-week: "2#1" is not understood; L, W and # need`,
		"*/0 * * * ? *":                "minute: step 0 is not between 1 and 60\n  */0 * * * ? *\n    ^",
		"*/90 * * * *":                 "minute: step 90 is not between 1 and 60",
		"*/ * * * *":                   `minute: step "" is not understood`,
		"*/x * * * *":                  `minute: step "x" is not understood`,
		"0 22-4 * * *":                 "hour: the range 22-4 ends before it begins",
		"0 1-2-3 * * *":                `hour: "2-3" is not understood`,
		"0 -1 * * *":                   `hour: "" is not understood`,
		"0 +1 * * *":                   `hour: "+1" is not understood`,
		"0 1, * * *":                   "hour: a value is missing beside the comma",
		"0 ,1 * * *":                   "hour: a value is missing beside the comma",
		"0 0 1 JANUARY ? *":            `month: "JANUARY" is not understood`,
		"0 0 1 anf ? *":                `month: "anf" is not understood`,
		"0 99999999999999999999 * * *": "hour: 99999999999999999999 is not between",
		"0 0 * *":                      "there are too few fields: five (minute hour day-of-month month day-of-week), or six with a year",
		"0 0 0 * * ? *":                "there are more than six fields; seconds cannot be given\n  0 0 0 * * ? *\n              ^",
		"cron(0 0 * * *)":              "cron(...) has six fields",
		"cron(0 0 * * ? *":             "a closing ) is missing",
		"cron()":                       "it is empty",
		"every(5 minutes)":             "it is neither cron(...), rate(...) nor at(...)",
		"rate(5)":                      "rate: write a number and a unit, as in rate(5 minutes)",
		"rate(0 minutes)":              "rate: 0 is not between 1 and 999999",
		"rate(-5 minutes)":             `rate: "-5" is not understood`,
		"rate(5 seconds)":              "rate: the units are minutes, hours and days\n  rate(5 seconds)\n         ^",
		"rate(1.5 hours)":              `rate: "1.5" is not understood`,
		"at(2026-02-30T00:00:00)":      "at: write a local date and time",
		"at(2026-02-03 04:05)":         "at: write a local date and time",
		"at(2026-02-03T04:05:06.5)":    "at: write a local date and time",
		"at(2200-01-01T00:00:00)":      "at: write a local date and time between 1970 and 2199",
		"@reboot":                      "the names are @yearly",
		"@every 5m":                    "the names are @yearly",
		"0 0\t* * é":                   "day-of-week: \"é\" is not understood\n  0 0 * * ?\n          ^",
		strings.Repeat("* ", 600):      "longer than 1024 bytes",
	} {
		c, err := Parse(expr)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%q: got %v, %v, want a SyntaxError", expr, c, err)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got\n%s\nwant\n%s", expr, err, want)
		}
	}
}

func TestDialectAndString(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]struct {
		dialect Dialect
		text    string
	}{
		" 0  0 * * ?\t* ":             {AWS, "0 0 * * ? *"},
		"cron( 0 0 * * ? * )":         {AWS, "0 0 * * ? *"},
		"CRON(0 0 ? * mon *)":         {AWS, "0 0 ? * mon *"},
		"0 0 * *  *":                  {Unix, "0 0 * * *"},
		"@DAILY":                      {Unix, "@daily"},
		"rate(1 minutes)":             {Rate, "rate(1 minute)"},
		"rate( 5  Hour )":             {Rate, "rate(5 hours)"},
		"at( 2026-02-03T04:05:06 )":   {At, "at(2026-02-03T04:05:06)"},
		"0 0 L-2,15W,1 * ? 2026/2":    {AWS, "0 0 L-2,15W,1 * ? 2026/2"},
		"0 0 ? JAN-MAR FRI-MON,L 2*2": {},
	} {
		c, err := Parse(expr)
		if want.text == "" {
			if err == nil {
				t.Errorf("%q: no error", expr)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", expr, err)
			continue
		}
		if c.String() != want.text || c.Dialect() != want.dialect {
			t.Errorf("%q: got %s %q, want %s %q", expr, c.Dialect(), c, want.dialect, want.text)
		}
	}
}

func TestConversions(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]struct{ aws, unix string }{
		"0 0 * * ? *":             {"cron(0 0 * * ? *)", "0 0 * * *"},
		"0/15 8-17 ? * MON-FRI *": {"cron(0/15 8-17 ? * MON-FRI *)", "*/15 8-17 * * MON-FRI"},
		"0/30 20-2 ? * FRI-MON *": {"cron(0/30 20-2 ? * FRI-MON *)", "0,30 0-2,20-23 * * SUN,MON,FRI,SAT"},
		"5 4 1,15 JAN-JUN ? *":    {"cron(5 4 1,15 JAN-JUN ? *)", "5 4 1,15 1-6 *"},
		"0 9 ? * L *":             {"cron(0 9 ? * L *)", "0 9 * * SAT"},
		"0 9 ? * 2#1 *":           {"cron(0 9 ? * 2#1 *)", "no equivalent form: there is no #"},
		"0 9 ? * 2L *":            {"cron(0 9 ? * 2L *)", "there is no L"},
		"0 9 L * ? *":             {"cron(0 9 L * ? *)", "there is no L"},
		"0 9 LW * ? *":            {"cron(0 9 LW * ? *)", "there is no L"},
		"0 9 15W * ? *":           {"cron(0 9 15W * ? *)", "there is no W"},
		"0 9 * * ? 2026":          {"cron(0 9 * * ? 2026)", "there is no field for the year"},
		"*/5 * * * *":             {"cron(0/5 * * * ? *)", "*/5 * * * *"},
		"0 9 * * 1-5":             {"cron(0 9 ? * MON-FRI *)", "0 9 * * 1-5"},
		"0 9 * * 0,6,7":           {"cron(0 9 ? * SUN,SAT *)", "0 9 * * 0,6,7"},
		"0 9 1 * ?":               {"cron(0 9 1 * ? *)", "0 9 1 * *"},
		"0 9 13 * 5":              {"AWS needs two schedules", "0 9 13 * 5"},
		"0 9 1-31 * 5":            {"cron(0 9 * * ? *)", "0 9 1-31 * 5"},
		"0 9 */2 * 5":             {"it fires on days that fit both day fields", "0 9 */2 * 5"},
		"@weekly":                 {"cron(0 0 ? * SUN *)", "0 0 * * SUN"},
		"rate(5 minutes)":         {"rate(5 minutes)", "its period counts from a moment"},
		"at(2026-02-03T04:05:06)": {"at(2026-02-03T04:05:06)", "it fires only once"},
	} {
		c, err := Parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		check := func(form string, got string, err error, want string) {
			if err == nil && got == want {
				return
			}
			if err == nil || !errors.Is(err, ErrNoEquivalent) || !strings.Contains(err.Error(), want) {
				t.Errorf("%q as %s: got %q, %v, want %q", expr, form, got, err, want)
			}
		}
		aws, err := c.AWS()
		check("aws", aws, err, want.aws)
		unix, err := c.Unix()
		check("unix", unix, err, want.unix)
	}
}

func TestNextErrors(t *testing.T) {
	t.Parallel()
	if _, err := Next("0 0 * * *", "Mars/Olympus", time.Now(), 1); err == nil || !strings.Contains(err.Error(), "Mars/Olympus") {
		t.Errorf("zone: %v", err)
	}
	if _, err := Next("0 0 * *", "UTC", time.Now(), 1); err == nil {
		t.Error("no error for four fields")
	}
	if times, err := Next("0 0 * * *", "UTC", time.Now(), -1); err != nil || len(times) != 0 {
		t.Errorf("a negative number: %v, %v", times, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"0 0 * * ? *", "cron(0/5 8-17 ? * MON-FRI *)", "0 9 L-3,15W,LW * ? 2026-2030/2", "0 9 ? * 2#1 *", "*/15 * * * 5-7", "@daily",
		"rate(5 minutes)", "at(2026-02-03T04:05:06)", "* * 30 2 *", "0 0 29 2 ? 2199", "\x00 é (", "1-1-1/1/1,,#LW? * * * *",
	} {
		f.Add(seed, int64(1_770_000_000))
	}
	loc, err := Zone("Australia/Lord_Howe")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, expr string, unix int64) {
		c, err := Parse(expr)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without a text")
			}
			return
		}
		again, err := Parse(c.String())
		if err != nil || again.String() != c.String() {
			t.Errorf("%q becomes %q: %v", expr, c, err)
		}
		after := time.Unix(unix, 0)
		for range 3 {
			next, ok := c.Next(after, loc)
			if !ok {
				return
			}
			if !next.After(after) {
				t.Errorf("%q: %s is not after %s", expr, next, after)
			}
			after = next
		}
	})
}

func BenchmarkNext(b *testing.B) {
	loc, err := Zone("America/New_York")
	if err != nil {
		b.Fatal(err)
	}
	from := time.Date(2026, 3, 7, 12, 0, 0, 0, time.UTC)
	for name, expr := range map[string]string{
		"daily": "0 0 * * ? *", "often": "*/5 * * * *", "first Monday": "0 9 ? * 2#1 *", "leap day": "0 0 29 2 ? *",
		"never": "0 0 30 2 *", "in 2190": "0 0 1 1 ? 2190",
	} {
		c, err := Parse(expr)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Next(from, loc)
			}
		})
	}
}
