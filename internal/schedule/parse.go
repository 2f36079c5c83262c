package schedule

import (
	"strings"
)

// maxLength bounds the work that one expression can cause.
const maxLength = 1024

// Parse reads an expression: six fields (bare or in cron(...)), rate(...), at(...), five fields, or @daily and the like. The
// error is a *SyntaxError.
func Parse(expr string) (*Cron, error) {
	if len(expr) > maxLength {
		return nil, &SyntaxError{Expr: expr[:40], Reason: "longer than 1024 bytes"}
	}
	p := &parser{expr: expr}
	text := strings.TrimSpace(expr)
	start := strings.Index(expr, text)
	if strings.HasPrefix(text, "@") {
		return p.macro(text, start)
	}
	if open := strings.IndexByte(text, '('); open >= 0 {
		return p.call(text, start, open)
	}
	fields := p.fields(start, start+len(text))
	if len(fields) == 5 {
		return p.unix(fields)
	}
	return p.aws(fields)
}

// parser holds the expression, for the errors.
type parser struct{ expr string }

// part is a piece of the expression.
type part struct {
	text string
	at   int // offset in the expression
}

func (p *parser) fail(at int, field, reason string) error {
	return &SyntaxError{Expr: p.expr, Field: field, Offset: at, Reason: reason}
}

// fields splits expr[from:to] at its blanks.
func (p *parser) fields(from, to int) []part {
	var fields []part
	for i := from; i < to; {
		if isBlank(p.expr[i]) {
			i++
			continue
		}
		start := i
		for i < to && !isBlank(p.expr[i]) {
			i++
		}
		fields = append(fields, part{p.expr[start:i], start})
	}
	return fields
}

func isBlank(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }

// call reads cron(...), rate(...) and at(...).
func (p *parser) call(text string, start, open int) (*Cron, error) {
	name := strings.ToLower(strings.TrimSpace(text[:open]))
	if !strings.HasSuffix(text, ")") {
		return nil, p.fail(start+len(text), "", "a closing ) is missing")
	}
	from, to := start+open+1, start+len(text)-1
	switch name {
	case "cron":
		return p.aws(p.fields(from, to))
	case "rate":
		return p.rate(p.fields(from, to), from)
	case "at":
		return p.at(strings.TrimSpace(p.expr[from:to]), from)
	}
	return nil, p.fail(start, "", "it is neither cron(...), rate(...) nor at(...)")
}

// macro reads the names of crontab(5).
func (p *parser) macro(text string, start int) (*Cron, error) {
	name := strings.ToLower(text)
	var same string
	switch name {
	case "@yearly", "@annually":
		same = "0 0 1 1 *"
	case "@monthly":
		same = "0 0 1 * *"
	case "@weekly":
		same = "0 0 * * 0"
	case "@daily", "@midnight":
		same = "0 0 * * *"
	case "@hourly":
		same = "0 * * * *"
	default:
		return nil, p.fail(start, "", "the names are @yearly, @annually, @monthly, @weekly, @daily, @midnight and @hourly")
	}
	c, err := Parse(same)
	if err != nil {
		return nil, err
	}
	c.text = name
	return c, nil
}

// aws reads six fields.
func (p *parser) aws(fields []part) (*Cron, error) {
	if len(fields) != 6 {
		return nil, p.count(fields)
	}
	c := &Cron{dialect: AWS, text: join(fields)}
	err := p.common(c, fields, true)
	if err != nil {
		return nil, err
	}
	dom, dow := fields[2], fields[4]
	if (dom.text == "?") == (dow.text == "?") {
		return nil, p.fail(dow.at, "day-of-week", "write ? in one of day-of-month and day-of-week, and only in one")
	}
	if err := p.awsDom(dom, &c.days); err != nil {
		return nil, err
	}
	if err := p.awsDow(dow, &c.days); err != nil {
		return nil, err
	}
	if err := p.list(fields[5], field{name: "year", min: firstYear, span: lastYear - firstYear + 1}, c.years.add); err != nil {
		return nil, err
	}
	return c, nil
}

// unix reads five fields.
func (p *parser) unix(fields []part) (*Cron, error) {
	c := &Cron{dialect: Unix, text: join(fields), years: everyYear()}
	err := p.common(c, fields, false)
	if err != nil {
		return nil, err
	}
	dom, dow := fields[2], fields[4]
	c.days.either = !unrestricted(dom.text) && !unrestricted(dow.text)
	if err := p.dayList(dom, field{name: "day-of-month", min: 1, span: 31}, c.days.addDay); err != nil {
		return nil, err
	}
	days := field{name: "day-of-week", min: 0, span: 7, extra: 1, names: weekdayNames, wraps: true}
	return c, p.dayList(dow, days, func(v int) { c.days.addWeekday(v % 7) })
}

// unrestricted tells a day field that leaves the choice of the day to the other one.
func unrestricted(text string) bool { return text[0] == '*' || text == "?" }

// dayList reads a day field of the five, in which ? is a way to write *.
func (p *parser) dayList(f part, of field, add func(int)) error {
	if f.text == "?" {
		f.text = "*"
	}
	return p.list(f, of, add)
}

// common reads what both dialects have: minutes, hours and months.
func (p *parser) common(c *Cron, fields []part, wraps bool) error {
	err := p.list(fields[0], field{name: "minute", span: 60, wraps: wraps}, into(&c.minutes))
	if err != nil {
		return err
	}
	if err := p.list(fields[1], field{name: "hour", span: 24, wraps: wraps}, into(&c.hours)); err != nil {
		return err
	}
	months := field{name: "month", min: 1, span: 12, names: monthNames, wraps: wraps}
	if err := p.list(fields[3], months, into(&c.months)); err != nil {
		return err
	}
	c.rolling = c.hours == 1<<24-1 || c.minutes == 1<<60-1
	return nil
}

func into(set *uint64) func(int) { return func(v int) { *set |= 1 << v } }

func join(fields []part) string {
	texts := make([]string, len(fields))
	for i, f := range fields {
		texts[i] = f.text
	}
	return strings.Join(texts, " ")
}

// count explains a wrong number of fields.
func (p *parser) count(fields []part) error {
	switch {
	case len(fields) == 0:
		return p.fail(0, "", "it is empty")
	case len(fields) == 5:
		return p.fail(fields[4].at, "", "cron(...) has six fields: minute hour day-of-month month day-of-week year")
	case len(fields) > 6:
		return p.fail(fields[6].at, "", "there are more than six fields; seconds cannot be given")
	}
	last := fields[len(fields)-1]
	return p.fail(last.at, "", "there are too few fields: five (minute hour day-of-month month day-of-week), or six with a year")
}
