package schedule

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// directive is one % of a format.
type directive struct {
	flag   byte // '-', '_', '0' or 0: of numbers
	digits int  // of the fraction, 0 for all
	colons int  // of the offset
	letter byte
}

// strftime formats as GNU date does in the C locale. A directive that is not known here is an error.
func strftime(t time.Time, format string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			out.WriteByte(format[i])
			continue
		}
		d, length := readDirective(format[i+1:])
		text, ok := d.format(t)
		if !ok {
			return "", fmt.Errorf("the format has %q, which is not known here: docs/schedules.md lists what is, or compute the day in a script of the task",
				format[i:min(len(format), i+1+length)])
		}
		out.WriteString(text)
		i += length
	}
	return out.String(), nil
}

// readDirective reads what follows a %, and the length of it.
func readDirective(s string) (d directive, length int) {
	i := 0
	if i < len(s) && strings.IndexByte("-_0", s[i]) >= 0 {
		d.flag = s[i]
		i++
	}
	if i < len(s) && s[i] >= '1' && s[i] <= '9' {
		d.digits = int(s[i] - '0')
		i++
	}
	for i < len(s) && s[i] == ':' {
		d.colons++
		i++
	}
	if i < len(s) {
		d.letter = s[i]
		i++
	}
	return d, i
}

func (d directive) format(t time.Time) (string, bool) {
	switch {
	case d.letter == 'N' && d.flag == 0 && d.colons == 0:
		text := fmt.Sprintf("%09d", t.Nanosecond())
		if d.digits > 0 {
			text = text[:d.digits]
		}
		return text, true
	case d.letter == 'z' && d.flag == 0 && d.digits == 0 && d.colons <= 2:
		return t.Format([]string{"-0700", "-07:00", "-07:00:00"}[d.colons]), true
	case d.digits > 0 || d.colons > 0:
		return "", false
	}
	if n, width := numberOf(d.letter, t); width > 0 {
		return d.pad(n, width), true
	}
	layout := layoutOf(d.letter)
	return t.Format(layout), layout != "" && d.flag == 0
}

// layoutOf returns what a letter that stands for a text is to time.Format, or "".
func layoutOf(letter byte) string {
	switch letter {
	case '%':
		return "%"
	case 'n':
		return "\n"
	case 't':
		return "\t"
	case 'a':
		return "Mon"
	case 'A':
		return "Monday"
	case 'b', 'h':
		return "Jan"
	case 'B':
		return "January"
	case 'p':
		return "PM"
	case 'P':
		return "pm"
	case 'Z':
		return "MST"
	case 'c':
		return "Mon Jan _2 15:04:05 2006"
	case 'D', 'x':
		return "01/02/06"
	case 'F':
		return "2006-01-02"
	case 'R':
		return "15:04"
	case 'T', 'X':
		return "15:04:05"
	case 'r':
		return "03:04:05 PM"
	}
	return ""
}

// numberOf returns what a letter that stands for a number gives, and its usual width; the width of any other letter is 0.
func numberOf(letter byte, t time.Time) (n int64, width int) {
	if letter == 's' {
		return t.Unix(), 1
	}
	for _, of := range []func(byte, time.Time) (int, int){clockNumber, dateNumber, weekNumber} {
		if n, width := of(letter, t); width > 0 {
			return int64(n), width
		}
	}
	return 0, 0
}

// clockNumber gives the parts of the time of day; the width of an unknown letter is 0.
func clockNumber(letter byte, t time.Time) (n, width int) {
	switch letter {
	case 'H', 'k':
		return t.Hour(), 2
	case 'I', 'l':
		return twelve(t), 2
	case 'M':
		return t.Minute(), 2
	case 'S':
		return t.Second(), 2
	}
	return 0, 0
}

// dateNumber gives the parts of the date.
func dateNumber(letter byte, t time.Time) (n, width int) {
	switch letter {
	case 'd', 'e':
		return t.Day(), 2
	case 'm':
		return int(t.Month()), 2
	case 'j':
		return t.YearDay(), 3
	case 'q':
		return (int(t.Month()) + 2) / 3, 1
	case 'y':
		return t.Year() % 100, 2
	case 'C':
		return t.Year() / 100, 2
	case 'Y':
		return t.Year(), 4
	}
	return 0, 0
}

// weekNumber gives days and numbers of weeks.
func weekNumber(letter byte, t time.Time) (n, width int) {
	year, week := t.ISOWeek()
	fromSunday, fromMonday := int(t.Weekday()), int(t.Weekday()+6)%7
	switch letter {
	case 'G':
		return year, 4
	case 'g':
		return year % 100, 2
	case 'V':
		return week, 2
	case 'U':
		return (t.YearDay() + 6 - fromSunday) / 7, 2
	case 'W':
		return (t.YearDay() + 6 - fromMonday) / 7, 2
	case 'u':
		return fromMonday + 1, 1
	case 'w':
		return fromSunday, 1
	}
	return 0, 0
}

func twelve(t time.Time) int { return (t.Hour()+11)%12 + 1 }

// pad fills up to the width.
func (d directive) pad(n int64, width int) string {
	text := strconv.FormatInt(n, 10)
	blank := strings.IndexByte("ekl", d.letter) >= 0 || d.flag == '_'
	switch {
	case d.flag == '-':
		return text
	case blank && d.flag != '0':
		return fmt.Sprintf("%*s", width, text)
	}
	return fmt.Sprintf("%0*d", width, n)
}
