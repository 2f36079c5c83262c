package schedule

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// fired is the time of all tests here: midnight in Paris, the day after the clock went forward.
var fired = time.Date(2026, 3, 29, 22, 0, 0, 123_000_000, time.UTC)

func paris(t testing.TB) *time.Location {
	t.Helper()
	loc, err := Zone("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func TestEval(t *testing.T) {
	t.Parallel()
	loc := paris(t)
	for name, c := range map[string]struct{ text, want string }{
		"the article": {
			`start_datetime=$(date -Iseconds -d "00:00 yesterday") end_datetime=$(date -Iseconds -d "00:00 today")`,
			"start_datetime=2026-03-29T00:00:00+01:00 end_datetime=2026-03-30T00:00:00+02:00",
		},
		"nothing to do":      {`it's "so" \$x $HOME ${A} a;b|c & 100%`, `it's "so" \$x $HOME ${A} a;b|c & 100%`},
		"empty":              {"", ""},
		"the rest is data":   {`it's $HOME ${A} a;b|c & > $(date +%Y) "x`, `it's $HOME ${A} a;b|c & > 2026 "x`},
		"seven days":         {`start_date=$(date -I -d "-7 day")`, "start_date=2026-03-23"},
		"yesterday":          {`d=$(date -I -d yesterday)`, "d=2026-03-29"},
		"time of day stays":  {`$(date -Is -d yesterday) $(date -Is -d "-1 week")`, "2026-03-29T00:00:00+01:00 2026-03-23T00:00:00+01:00"},
		"hours are real":     {`$(date -Is -d "-24 hours")`, "2026-03-28T23:00:00+01:00"},
		"a skipped time":     {`$(date -Is -d "02:30 yesterday")`, "2026-03-29T03:30:00+02:00"},
		"twice on the clock": {`$(date -Is -d "2026-10-25 02:30")`, "2026-10-25T02:30:00+02:00"},
		"no argument":        {`$(date)`, "Mon Mar 30 00:00:00 CEST 2026"},
		"utc":                {`$(date -u +%FT%TZ)`, "2026-03-29T22:00:00Z"},
		"zone in front":      {`$(TZ=Asia/Tokyo date +%FT%T%z)`, "2026-03-30T07:00:00+0900"},
		"zone, quoted":       {`$(TZ=":America/New_York" date -Im)`, "2026-03-29T18:00-04:00"},
		"utc wins":           {`$(TZ=Asia/Tokyo date -u +%H)`, "22"},
		"within":             {`$(date -d "$(date +%Y-%m-01) -1 day" +%F)`, "2026-02-28"},
		"within, bare":       {`$(date -d $(date +%Y-01-01) +%F)`, "2026-01-01"},
		"backquotes":         {"a=`date +%F` b", "a=2026-03-30 b"},
		"long options":       {`$(date --utc --date="2026-01-01 +1 month" --iso-8601=minutes)`, "2026-02-01T00:00+00:00"},
		"single quotes":      {`$(date '+%F %T')`, "2026-03-30 00:00:00"},
		"joined quotes":      {`$(date +%Y"-"'%m'\ x)`, "2026-03 x"},
		"escaped":            {"\\$(date) \\`x\\`", "$(date) `x`"},
		"milliseconds":       {`$(date +%s%3N)`, "1774821600123"},
		"final newlines":     {`[$(date +%F%n%n)]`, "[2026-03-30]"},
		"blanks and breaks":  {"$( date \\\n -I )", "2026-03-30"},
		"epoch":              {`$(date -u -d @1700000000 +%F)`, "2023-11-14"},
		"last monday":        {`$(date -d "last monday" +%F) $(date -d monday +%F)`, "2026-03-23 2026-03-30"},
		"partition":          {`s3://b/y=$(date +%Y)/m=$(date +%m)/d=$(date +%-d)`, "s3://b/y=2026/m=03/d=30"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Eval(c.text, fired, loc)
			if got != c.want || err != nil {
				t.Errorf("%s: got %q, %v, want %q", c.text, got, err, c.want)
			}
		})
	}
}

// TestEvalRefuses: data is never code.
func TestEvalRefuses(t *testing.T) {
	t.Parallel()
	loc := paris(t)
	const only = "only $(date ...) is evaluated here"
	for text, want := range map[string]string{
		"$(cat /etc/passwd)":             only,
		"`id`":                           only,
		"$()":                            only,
		"$( )":                           only,
		"$(date; id)":                    only,
		"$(date | sh)":                   only,
		"$(date && id)":                  only,
		"$(! date)":                      only,
		"$(date &)":                      only,
		"$(date > /tmp/x)":               only,
		"$(< /etc/passwd)":               only,
		"$((1 + 1))":                     only,
		"$((date))":                      only,
		"$(if date; then date; fi)":      only,
		"$(date() { id; })":              only,
		"$(/bin/date)":                   only,
		"$(\"da\"te)":                    only,
		"$($CMD)":                        only,
		"$(date $ARGS)":                  only,
		"$(date \"+$F\")":                only,
		"$(date -d \"$(id)\")":           only,
		"$(date -d \"`id`\")":            only,
		"$(date -d $((1+1)))":            only,
		"$(PATH=/x date)":                only,
		"$(TZ=$(id) date)":               only,
		"$(TZ=UTC)":                      only,
		"${X:-$(id)}":                    only,
		"${X:-$(date)}":                  only,
		"${X:-`id`}":                     only,
		"$(date":                         "evaluate",
		"`date":                          "evaluate",
		"$(date -d \"x)":                 "evaluate",
		"$(TZ=Europe/Pari date)":         `did you mean "Europe/Paris"?`,
		"$(date -f /etc/passwd)":         "the option -f is not known here",
		"$(date -r /etc/passwd)":         "the option -r is not known here",
		"$(date -s 2026-01-01)":          "the option -s is not known here",
		"$(date --file=/etc/passwd)":     "the option --file=/etc/passwd is not known here",
		"$(date -d)":                     "-d needs a date",
		"$(date --date)":                 "--date needs a date",
		"$(date --utc=1)":                "the option --utc=1 is not known here",
		"$(date -Ix)":                    `-I takes date, hours, minutes, seconds or ns, not "x"`,
		"$(date --rfc-3339=date)":        "use -d, -u, -I or +FORMAT, or compute the day in a script of the task",
		"$(date 010100002026)":           `"010100002026" is neither an option nor a format`,
		"$(date +%F -I)":                 "more than one format",
		"$(date -R)":                     "the option -R is not known here",
		"$(date +%F x)":                  `"x" is neither an option nor a format`,
		"$(date +%Q)":                    `the format has "%Q"`,
		"$(date +%)":                     `the format has "%"`,
		"$(date +%999d)":                 `the format has "%99"`,
		"$(date -d nonsense)":            `"nonsense" is not understood`,
		"$(date -d 2026-02-30)":          "there is no such date",
		"$(date -d 25:00)":               "there is no such time",
		"$(date -d '10000000000 years')": `"10000000000 years" is not understood`,
		"$(date -d '1000000000 years')":  "the year is not between 1000 and 9999",
		"$(date -d '9999999999 hours')":  "the year is not between 1000 and 9999",
		"$(date -d @9999999999)":         "",
		"$(date -d '" + strings.Repeat("1 day ", 100) + "')":       "longer than 256 bytes",
		strings.Repeat("$(date -d ", 12) + strings.Repeat(")", 12): only,
	} {
		got, err := Eval(text, fired, loc)
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	loc := paris(t)
	for text, want := range map[string][]string{
		"": nil,
		`start=$(date -I -d yesterday)  end=$(date -I)`:   {"start=2026-03-29", "end=2026-03-30"},
		`a="$(date '+%F %T')" b=$(date '+%F %T')`:         {"a=2026-03-30 00:00:00", "b=2026-03-30 00:00:00"},
		`a='$(id) $X' b="x \"y\" \$z" c=d\ e`:             {"a=$(id) $X", `b=x "y" $z`, "c=d e"},
		"a=$HOME b=\"${X}\" k=\"`date +%Y`\"\nsecond=1":   {"a=$HOME", "b=${X}", "k=2026", "second=1"},
		`zip=00123 empty= q=""`:                           {"zip=00123", "empty=", "q="},
		`url=https://h/p?a=1\&b=2 glob=*.csv brace={a,b}`: {"url=https://h/p?a=1&b=2", "glob=*.csv", "brace={a,b}"},
	} {
		got, err := Words(text, fired, loc)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", text, err, diff)
		}
	}
	for _, text := range []string{"a=$(id)", "a=`id`", "a=\"$(id)\"", "a=$((1))", "a=\"$((1))\"", "a; id", "a | b", "a 'b", "a \"b", "a=<(id)", "a > b", "a=${X:-$(id)}"} {
		if got, err := Words(text, fired, loc); err == nil {
			t.Errorf("%s: got %q, want an error", text, got)
		}
	}
}

func TestEvalInUTC(t *testing.T) {
	t.Parallel()
	if got, err := Eval("$(date -Is)", fired, nil); got != "2026-03-29T22:00:00+00:00" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func FuzzEval(f *testing.F) {
	for _, seed := range []string{
		`a=$(date -Iseconds -d "00:00 yesterday")`, "`date +%s`", "$(date -d \"$(date +%Y-%m-01) -1 day\" +%F)", "${X:-$(date)} $((1))",
		`$(TZ=UTC date -d 'TZ="Asia/Tokyo" next monday 10:00:00.5 +0900 (x)' +%_d%::z%3N)`, "$(date -d '1/2/3 4 -5 6 ago T @')", "\\$(",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Eval(text, fired, nil)
		if err != nil && got != "" {
			t.Errorf("%q: both %q and %v", text, got, err)
		}
		if _, err := Words(text, fired, nil); err != nil && err.Error() == "" {
			t.Error("an error without a text")
		}
	})
}
