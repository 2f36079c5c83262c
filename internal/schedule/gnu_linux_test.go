package schedule

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// gnu asks the date command of the machine.
func gnu(t rapid.TB, zone string, args ...string) (string, bool) {
	cmd := exec.Command("date", args...)
	cmd.Env = []string{"TZ=" + zone, "LC_ALL=C", "PATH=/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	if _, ok := err.(*exec.ExitError); err != nil && !ok {
		t.Fatal(err)
	}
	return strings.TrimRight(string(out), "\n"), err == nil
}

// everything shows all of a time.
const everything = "+%F %T %z %Z"

var dateZones = []string{
	"UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "America/St_Johns", "Africa/Casablanca",
}

// TestDateStrings holds date strings with an own date or time against GNU date.
func TestDateStrings(t *testing.T) {
	t.Parallel()
	strs := []string{
		"2026-01-31", "2026-1-5", "20260131", "2026-03-03 10:00", "2026-03-03 10:00:30", "2026-03-03T10:00:30", "2026-03-03T10:00:00Z",
		"2026-03-03t10:00z", "2026-03-03T10:00:00.5Z", "2026-03-03T10:00:00,25+0530", "2026-03-03 10:00+05:30", "2026-03-03 10:00 +0245",
		"20260303 10:15", "2026-03-03T10:15:00-03:30", "10:00 2026-03-03", "2026-03-03 UTC", "2026-03-03 00:00 UTC", "2026-03-03 00:00:00 GMT",
		"UTC 2026-03-03", "2026-03-03 00:00Z -1 day", "2026-03-03 10:00 +0100 -1 day", "2026-03-03 10:00 UTC +3 hours", "2026-03-03 10:00 +0100 yesterday",
		"2026-03-03 +1 month", "2026-01-31 +1 month", "2026-01-31 1 month", "2026-01-31 next month", "2024-02-29 +1 year", "2024-02-29 1 year ago",
		"2026-03-31 -1 month", "2026-03-31 last month", "2026-03-31 -1 month -1 day", "2026-03-31 1 month 2 days ago", "2026-03-03 -1week",
		"2026-03-03 2weeks ago", "2026-03-03 yesterday", "yesterday 2026-03-03", "2026-03-03 tomorrow", "2026-03-03 today", "2026-03-03 now",
		"2026-03-03 10:00 yesterday", "2026-03-03 10:00 next day", "2026-03-03 this week", "2026-03-03 10:00 2 hours ago", "2026-03-03 10:00 90 minutes",
		"2026-03-03 10:00 1 min 30 secs ago", "2026-03-03 -36 hours", "-7 day 2026-03-03 00:00", "+1 hour 2026-03-03 10:00:00", "2026-12-31 +60 days",
		"2026-03-03 1 day 2 weeks ago", "@0", "@1700000000", "@-5", " @5", "1970-01-01 00:00:00 UTC +1700000000 seconds",
	}
	for _, zone := range dateZones {
		loc, err := Zone(zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range strs {
			want, ok := gnu(t, zone, "-d", s, everything)
			if !ok {
				t.Errorf("TZ=%s date -d %q: %s", zone, s, want)
			}
			if got, err := date([]string{"-d", s, everything}, time.Now(), loc); got != want || err != nil {
				t.Errorf("TZ=%s -d %q: got %q, %v, want %q", zone, s, got, err, want)
			}
		}
	}
}

// TestDateRefuses lists what GNU date refuses and we must, too.
func TestDateRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"2026-02-30", "2026-13-01", "20260230", "24:00", "23:59:60", "10:60", "noon", "midnight", "ago", "1 2", "monday tuesday", "10:00 11:00",
		"2026-01-01 2026-01-02", "10:00Z UTC", "last day of last month", "1.5 hours", "@", "@5 +1 day", "@x", "2026-W01-1", "1e5", "99999999999999999999 days",
		"2026-01-01T10", "last", "10:30.5", "2026-01-01.5", "next", "10:", "next UTC", "1 wee\u212a", "10:00 +9999", "yesterdayT10:00", "2026-01-01T",
	} {
		if out, ok := gnu(t, "UTC", "-d", s, everything); ok && s != "2026-01-01T" { // a T alone is a zone of the military
			t.Errorf("GNU date takes %q: %s", s, out)
		}
		if got, err := date([]string{"-d", s}, time.Now(), time.UTC); err == nil {
			t.Errorf("-d %q: got %q, want an error", s, got)
		}
	}
}

// TestDateNotKnownHere lists what GNU date takes and we refuse, and what the errors say to do instead.
func TestDateNotKnownHere(t *testing.T) {
	t.Parallel()
	const written, before, beside = "write it as 2026-01-31", "write it before the time", "leave it out"
	for s, want := range map[string]string{
		"26-01-05": written, "1/5/2026": written, "2026/01/05": written, "5 Jan 2026": written, "Jan 5": written, "5-jan-2026": written, "10am": written,
		"2026-03-03 10": written, "2026-03-03 1015": written, "2026-03-03 10:00 -5": written, "UTC+3": written, "2026-03-03 10:00 UTC+3": written,
		"2026-03-03 - 1 week": written, "fortnight ago": written, "hour": written, "third day": written, "3 monday": written, "tues": written,
		"10:00 (comment)": written, "@1700000000.25": written, `TZ="Asia/Tokyo" 00:00`: written, "EST": written, "Mon, 10:00": written, "20260303T10:15:00": written,
		"10:00 -7 days": before, "2026-03-03T10:00 +1 hour": before, "00:00:01.5 -1day": before, "10:00 +0100 days": before,
		"2026-03-03 monday": beside, "next monday 20260303": beside, "-1 day ago": "contradict",
		"0999-01-01": "the year is not between", "1000-01-01 1 day ago": "the year is not between",
	} {
		if out, ok := gnu(t, "UTC", "-d", s, everything); !ok {
			t.Errorf("GNU date refuses %q: %s", s, out)
		}
		if got, err := date([]string{"-d", s}, time.Now(), time.UTC); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("-d %q: got %q, %v, want %q", s, got, err, want)
		}
	}
}

// TestDateFromNow holds date strings that start from now against GNU date. They are compared by what cannot change between the two
// clocks being read: an absolute time of day, or the date alone; and only where no clock changes in between.
func TestDateFromNow(t *testing.T) {
	t.Parallel()
	strs := []string{
		"00:00", "00:00 yesterday", "00:00 today", "00:00 tomorrow", "yesterday 00:00", "10:00 yesterday", "tomorrow 10:15", "now 05:00", "12:30",
		"-7 day 00:00", "00:00 7 days ago", "3 days ago 12:00", "monday", "next monday", "last monday", "this monday", "last fri", "sun",
		"mon 10:00", "last month 00:00", "next year 00:00", "1 week ago monday", "monday next week", "sat 2 weeks", "wed -1 week", "UTC", "00:00 UTC",
		"00:00 1 day", "00:00 last week", "6 months ago 10:00", "next tuesday 1 week ago", "today monday", "thursday yesterday", "saturday 00:00:01.5",
	}
	for _, zone := range dateZones {
		loc, err := Zone(zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range strs {
			for { // midnight may come while we look
				now := time.Now()
				want, ok := gnu(t, zone, "-d", s, "+%F %T")
				if !ok {
					t.Errorf("GNU date refuses %q: %s", s, want)
				}
				if time.Now().In(loc).Day() != now.In(loc).Day() {
					continue
				}
				if got, err := date([]string{"-d", s, "+%F %T"}, now, loc); got != want || err != nil {
					t.Errorf("TZ=%s -d %q at %s: got %q, %v, want %q", zone, s, now, got, err, want)
				}
				break
			}
		}
	}
}

// TestWeekdayBesideMonths: of a day of the week beside months or years, the day is found first, whichever month it is in.
func TestWeekdayBesideMonths(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ now, when, want string }{
		{"2026-11-26", "tuesday next month", "2027-01-01"},
		{"2026-11-26", "tue -1 month", "2026-11-01"},
		{"2026-11-26", "wed 3 months 1 day", "2027-03-03"},
		{"2026-03-02", "last saturday -1 month", "2026-01-28"},
		{"2027-12-31", "next saturday 1 year", "2029-01-01"},
	} {
		now, err := time.Parse(time.DateOnly, test.now)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := date([]string{"-d", test.when, "-I"}, now, time.UTC); got != test.want || err != nil {
			t.Errorf("-d %q on %s: got %q, %v, want %q", test.when, test.now, got, err, test.want)
		}
	}
	for _, day := range []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} {
		for _, months := range []string{"next month", "-1 month", "3 months", "1 year"} {
			s := "00:00 UTC " + day + " " + months
			for { // midnight may come while we look
				now := time.Now().UTC()
				want, ok := gnu(t, "UTC", "-d", s, "-I")
				if time.Now().UTC().Day() != now.Day() {
					continue
				}
				if got, err := date([]string{"-d", s, "-I"}, now, time.UTC); !ok || got != want || err != nil {
					t.Errorf("-d %q at %s: got %q, %v, want %q", s, now, got, err, want)
				}
				break
			}
		}
	}
}

// TestDateZones: a zone has the name that GNU date prints for it.
func TestDateZones(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"UTC", "UTC0", ":UTC", "GMT", "GMT0", ":GMT", "Etc/GMT", "Europe/London"} {
		loc, err := dateZone(zone)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := gnu(t, zone, "-d", "2026-01-31", everything)
		if got, err := date([]string{"-d", "2026-01-31", everything}, time.Now(), loc); got != want || err != nil {
			t.Errorf("TZ=%s: got %q, %v, want %q", zone, got, err, want)
		}
	}
}

// TestDateOptions holds options and formats against GNU date.
func TestDateOptions(t *testing.T) {
	t.Parallel()
	when := "--date=2026-01-04 03:04:05.000120340"
	calls := [][]string{
		{when}, {when, "-u"}, {when, "-I"}, {when, "-Idate"}, {when, "-Ih"}, {when, "-Iminutes"}, {when, "-Is"}, {when, "-Ins"}, {when, "-uIs"},
		{when, "--iso-8601"}, {when, "--iso-8601=seconds"}, {when, "--utc", "+%c"}, {when, "--universal"}, {"+%F", when}, {"-d@1700000000", "-u"},
		{"-d", "@5", when, "-u"}, {"-ud", "@5"}, {"-ud@5"}, {when, "+"}, {"--date", "@5", "-I"},
	}
	for _, letter := range "%aAbBcCdDeFgGhHIjklmMnNpPqrRsStTuUVwWxXyYzZ" {
		for _, flag := range []string{"", "-", "_", "0"} {
			call := []string{when, "+[%" + flag + string(letter) + "]"}
			if _, err := date(call, time.Now(), time.UTC); err == nil || flag == "" || strings.ContainsRune("CdegGHIjklmMqsSuUVwWyY", letter) {
				calls = append(calls, call)
			}
		}
	}
	for _, format := range []string{"%3N", "%6N", "%9N", "%:z", "%::z", "year=%Y/month=%m/day=%d", "%Y%m%dT%H%M%SZ", "", "100%%", "%s.%N", "%s%3N"} {
		calls = append(calls, []string{when, "+" + format})
	}
	for _, zone := range []string{"UTC", "Asia/Kathmandu", "America/New_York"} {
		loc, err := Zone(zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, args := range calls {
			want, ok := gnu(t, zone, args...)
			if !ok {
				t.Errorf("date %q: %s", args, want)
			}
			got, err := date(args, time.Now(), loc)
			if strings.TrimRight(got, "\n") != want || err != nil {
				t.Errorf("TZ=%s date %q: got %q, %v, want %q", zone, args, got, err, want)
			}
		}
	}
}

// TestWeekNumbers goes through the turns of many years.
func TestWeekNumbers(t *testing.T) {
	t.Parallel()
	const format = "%G-%V-%u %g %U %W %w %j %C %y %q"
	for year := 1996; year < 2030; year++ {
		for _, day := range []string{"01-01", "01-03", "01-04", "12-28", "12-31"} {
			at, err := time.Parse(time.DateOnly, fmt.Sprintf("%d-%s", year, day))
			if err != nil {
				t.Fatal(err)
			}
			want, _ := gnu(t, "UTC", "-d", at.Format(time.DateOnly), "+"+format)
			if got, err := strftime(at, format); got != want || err != nil {
				t.Errorf("%s: got %q, %v, want %q", at, got, err, want)
			}
		}
	}
}

// TestDateStringsMade puts items together at random. What we accept, GNU date accepts, and it means the same there.
func TestDateStringsMade(t *testing.T) {
	t.Parallel()
	number := func(t *rapid.T) string {
		unit := rapid.SampledFrom([]string{"day", "days", "week", "months", "year", "hours", "mins", "second"}).Draw(t, "unit")
		sign := rapid.SampledFrom([]string{"", "", "+", "-"}).Draw(t, "sign")
		blank := rapid.SampledFrom([]string{" ", ""}).Draw(t, "blank")
		return fmt.Sprintf("%s%d%s%s%s", sign, rapid.IntRange(0, 400).Draw(t, "n"), blank, unit, rapid.SampledFrom([]string{"", " ago"}).Draw(t, "ago"))
	}
	items := []*rapid.Generator[string]{
		rapid.SampledFrom([]string{"2026-02-28", "20260331", "2024-2-29", "2026-07-14T12:00:00", "2026-07-14T12:00+01:00", "2026-12-31 1:02:03.25"}),
		rapid.SampledFrom([]string{"", "", "00:00", "12:30:15", "23:59Z", "06:00 +02:00", "06:00 -0330", "UTC"}),
		rapid.SampledFrom([]string{"", "yesterday", "tomorrow", "next week", "last month", "this year", "now"}),
		rapid.Custom(number), rapid.Custom(number),
	}
	accepted, tried := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		tried++
		var words []string
		for _, item := range rapid.Permutation(items).Draw(t, "order") {
			words = append(words, item.Draw(t, "item"))
		}
		s := strings.Join(words, " ")
		zone := rapid.SampledFrom([]string{"UTC", "Asia/Kathmandu", "America/Phoenix", "Asia/Tokyo"}).Draw(t, "zone") // clocks that do not change
		loc, err := Zone(zone)
		if err != nil {
			t.Fatal(err)
		}
		got, err := date([]string{"-d", s, everything}, time.Now(), loc)
		if err != nil {
			return
		}
		accepted++
		if want, ok := gnu(t, zone, "-d", s, everything); !ok || got != want {
			t.Fatalf("TZ=%s -d %q: got %q, want %q", zone, s, got, want)
		}
	})
	if accepted < tried/10 { // few are tried by short tests
		t.Errorf("only %d of %d date strings were accepted", accepted, tried)
	}
}
