package schedule

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxWidth bounds how wide a conversion may be asked for.
const maxWidth = 64

// conversion is one % of a format.
type conversion struct {
	flag   byte // '-', '_', '0' or 0
	upper  bool
	swap   bool
	width  int
	colons int
	letter byte
}

// strftime formats as GNU date does in the C locale. A conversion that date does not know is an error.
func strftime(t time.Time, format string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			out.WriteByte(format[i])
			continue
		}
		c, length := readConversion(format[i+1:])
		text, ok := c.format(t)
		if !ok {
			return "", fmt.Errorf("date: the format has %q, which is not known", format[i:min(len(format), i+1+length)])
		}
		out.WriteString(text)
		i += length
	}
	return out.String(), nil
}

// readConversion reads what follows a %; length is what it took.
func readConversion(s string) (c conversion, length int) {
	i := 0
	for ; i < len(s) && strings.IndexByte("-_0^#", s[i]) >= 0; i++ {
		switch s[i] {
		case '^':
			c.upper = true
		case '#':
			c.swap = true
		default:
			c.flag = s[i]
		}
	}
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		c.width = min(c.width*10+int(s[i]-'0'), maxWidth+1)
	}
	for ; i < len(s) && s[i] == ':'; i++ {
		c.colons++
	}
	if i < len(s) {
		c.letter = s[i]
		i++
	}
	return c, i
}

func (c conversion) format(t time.Time) (string, bool) {
	if c.width > maxWidth || c.colons > 0 && c.letter != 'z' || c.odd() {
		return "", false
	}
	if value, width, pad, ok := c.number(t); ok {
		return c.pad(strconv.FormatInt(value, 10), width, pad), true
	}
	if text, ok := c.text(t); ok {
		return c.pad(c.letterCase(text), 0, ' '), true
	}
	if whole, ok := composite(c.letter); ok {
		text, err := strftime(t, whole)
		return c.pad(c.letterCase(text), 0, ' '), err == nil
	}
	switch c.letter {
	case 'z':
		return c.zone(t), true
	case 'N':
		return c.nanoseconds(t), true
	}
	return "", false
}

// odd tells the flags and widths that make no sense for their letter, and for which GNU date has surprises.
func (c conversion) odd() bool {
	switch c.letter {
	case '%', 'n', 't', 'z':
		return c.flag != 0 || c.width != 0 || c.upper || c.swap
	case 'N':
		return c.flag == '_' || c.flag == '-'
	}
	return false
}

// composite returns what some letters stand for.
func composite(letter byte) (string, bool) {
	switch letter {
	case 'c':
		return "%a %b %e %H:%M:%S %Y", true
	case 'D', 'x':
		return "%m/%d/%y", true
	case 'F':
		return "%Y-%m-%d", true
	case 'R':
		return "%H:%M", true
	case 'T', 'X':
		return "%H:%M:%S", true
	case 'r':
		return "%I:%M:%S %p", true
	}
	return "", false
}

// text gives the conversions that are words.
func (c conversion) text(t time.Time) (string, bool) {
	switch c.letter {
	case '%':
		return "%", true
	case 'n':
		return "\n", true
	case 't':
		return "\t", true
	case 'a':
		return t.Format("Mon"), true
	case 'A':
		return t.Format("Monday"), true
	case 'b', 'h':
		return t.Format("Jan"), true
	case 'B':
		return t.Format("January"), true
	case 'p':
		return t.Format("PM"), true
	case 'P':
		return t.Format("pm"), true
	case 'Z':
		return t.Format("MST"), true
	}
	return "", false
}

// letterCase applies ^ and #. The latter makes %p and %Z small, and everything else large.
func (c conversion) letterCase(text string) string {
	switch {
	case c.swap && (c.letter == 'p' || c.letter == 'Z'):
		return strings.ToLower(text)
	case c.upper && c.letter != 'P' || c.swap && strings.IndexByte("aAbBh", c.letter) >= 0:
		return strings.ToUpper(text)
	}
	return text
}

// number gives the conversions that are numbers, with their usual width and padding.
func (c conversion) number(t time.Time) (value int64, width int, pad byte, ok bool) {
	if c.letter == 's' {
		return t.Unix(), 1, '0', true
	}
	pad = '0'
	if strings.IndexByte("ekl", c.letter) >= 0 {
		pad = ' '
	}
	n, width := clockNumber(c.letter, t)
	if width == 0 {
		n, width = dateNumber(c.letter, t)
	}
	if width == 0 {
		n, width = weekNumber(c.letter, t)
	}
	return int64(n), width, pad, width > 0
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

// pad fills up to the width that was asked for, or to the usual one.
func (c conversion) pad(text string, width int, with byte) string {
	switch c.flag {
	case '-':
		return text
	case '_':
		with = ' '
	case '0':
		with = '0'
	}
	width = max(width, c.width)
	sign := ""
	if with == '0' && strings.HasPrefix(text, "-") {
		sign, text = "-", text[1:]
	}
	return sign + strings.Repeat(string(with), max(0, width-len(sign)-len(text))) + text
}

// zone gives +hhmm, +hh:mm, +hh:mm:ss, or as much of it as is needed.
func (c conversion) zone(t time.Time) string {
	_, offset := t.Zone()
	sign := '+'
	if offset < 0 {
		sign, offset = '-', -offset
	}
	h, m, s := offset/3600, offset/60%60, offset%60
	switch {
	case c.colons == 0:
		return fmt.Sprintf("%c%02d%02d", sign, h, m)
	case c.colons == 1 || c.colons == 3 && s == 0 && m != 0:
		return fmt.Sprintf("%c%02d:%02d", sign, h, m)
	case c.colons == 3 && s == 0:
		return fmt.Sprintf("%c%02d", sign, h)
	}
	return fmt.Sprintf("%c%02d:%02d:%02d", sign, h, m, s)
}

// nanoseconds gives as many digits of the fraction as is asked for.
func (c conversion) nanoseconds(t time.Time) string {
	text := fmt.Sprintf("%09d", t.Nanosecond())
	if c.width == 0 {
		return text
	}
	return (text + strings.Repeat("0", maxWidth))[:c.width]
}
