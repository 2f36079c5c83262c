package schedule

import (
	"fmt"
	"strconv"
	"strings"
)

// The years that a schedule may name.
const (
	firstYear = 1970
	lastYear  = 2199
)

const (
	monthNames   = "janfebmaraprmayjunjulaugsepoctnovdec"
	weekdayNames = "sunmontuewedthufrisat"
)

// field says what may stand in one field.
type field struct {
	name      string
	min, span int    // the values are min .. min+span-1
	extra     int    // further values above them, which are other names of the first ones (7 is Sunday)
	names     string // three letters for each value
	wraps     bool   // a range may go over the end: FRI-MON
}

func (f field) top() int { return f.min + f.span - 1 }

// list reads a comma-separated list of values, ranges and steps.
func (p *parser) list(text part, f field, add func(int)) error {
	return p.each(text, f.name, func(item part) error { return p.item(item, f, add) })
}

// each calls do for every item of a list.
func (p *parser) each(text part, name string, do func(part) error) error {
	at := text.at
	for item := range strings.SplitSeq(text.text, ",") {
		if item == "" {
			return p.fail(at, name, "a value is missing beside the comma")
		}
		if err := do(part{item, at}); err != nil {
			return err
		}
		at += len(item) + 1
	}
	return nil
}

// item reads *, 5, 5-9, and any of them with /2.
func (p *parser) item(item part, f field, add func(int)) error {
	head, step, stepped := strings.Cut(item.text, "/")
	every := 1
	if stepped {
		n, err := p.number(part{step, item.at + len(head) + 1}, f.name, "step", 1, f.span)
		if err != nil {
			return err
		}
		every = n
	}
	low, high, err := p.bounds(part{head, item.at}, f, stepped)
	if err != nil {
		return err
	}
	for v := low; v <= high; v += every {
		if v > f.top()+f.extra {
			add(v - f.span)
		} else {
			add(v)
		}
	}
	return nil
}

// bounds reads the part before the step. The upper bound goes over the top of the field when the range wraps.
func (p *parser) bounds(item part, f field, stepped bool) (low, high int, err error) {
	if item.text == "*" {
		return f.min, f.top(), nil
	}
	first, last, isRange := strings.Cut(item.text, "-")
	if low, err = p.value(part{first, item.at}, f); err != nil {
		return 0, 0, err
	}
	switch {
	case !isRange && !stepped:
		return low, low, nil
	case !isRange:
		return low, max(low, f.top()), nil
	}
	if high, err = p.value(part{last, item.at + len(first) + 1}, f); err != nil {
		return 0, 0, err
	}
	if high >= low {
		return low, high, nil
	}
	if !f.wraps {
		return 0, 0, p.fail(item.at, f.name, fmt.Sprintf("the range %s ends before it begins", item.text))
	}
	return low, high + f.span, nil
}

// value reads a number or a name.
func (p *parser) value(v part, f field) (int, error) {
	if n, ok := named(v.text, f.names); ok {
		return f.min + n, nil
	}
	return p.number(v, f.name, "", f.min, f.top()+f.extra)
}

// named finds a three-letter name in a string of them.
func named(text, names string) (int, bool) {
	if len(text) != 3 {
		return 0, false
	}
	i := strings.Index(names, strings.ToLower(text))
	return i / 3, i >= 0 && i%3 == 0
}

// number reads a decimal number between low and high. what names it in the error when it is not a value of the field.
func (p *parser) number(v part, field, what string, low, high int) (int, error) {
	if what != "" {
		what += " "
	}
	if !digits(v.text) {
		return 0, p.fail(v.at, field, fmt.Sprintf("%s%q is not understood%s", what, v.text, hint(v.text)))
	}
	n, err := strconv.Atoi(v.text)
	if err != nil || n < low || n > high {
		return 0, p.fail(v.at, field, fmt.Sprintf("%s%s is not between %d and %d", what, v.text, low, high))
	}
	return n, nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// hint explains signs that stand in the wrong field or in the wrong dialect.
func hint(text string) string {
	switch {
	case text == "?":
		return "; ? may stand for day-of-month or day-of-week only"
	case strings.Contains(text, "#") || strings.ContainsAny(text, "LWlw") && strings.Trim(text, "LWlw0123456789") == "":
		return "; L, W and # need the form with six fields, in the fields of days"
	}
	return ""
}
