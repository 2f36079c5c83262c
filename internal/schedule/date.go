package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// dateCommand is what the arguments of date ask for.
type dateCommand struct {
	when   string
	given  bool // else it is now
	utc    bool
	format string
}

// date prints what GNU date prints in the C locale, or returns an error: see dateAt for the dates that it understands.
func date(args []string, now time.Time, loc *time.Location) (string, error) {
	c, err := readDateCommand(args)
	if err != nil {
		return "", fmt.Errorf("date: %w", err)
	}
	if c.utc {
		loc = time.UTC
	}
	t := now.In(loc)
	if c.given {
		if t, err = dateAt(c.when, t); err != nil {
			return "", fmt.Errorf("date: %q: %w", c.when, err)
		}
	}
	if c.format == "" {
		c.format = "%a %b %e %H:%M:%S %Z %Y"
	}
	text, err := strftime(t, c.format)
	if err != nil {
		return "", fmt.Errorf("date: %w", err)
	}
	return text, nil
}

// dateZone reads the value of TZ.
func dateZone(name string) (*time.Location, error) {
	switch name = strings.TrimPrefix(name, ":"); name {
	case "UTC0":
		return time.UTC, nil
	case "GMT0", "GMT":
		return time.FixedZone("GMT", 0), nil
	}
	return Zone(name)
}

func readDateCommand(args []string) (dateCommand, error) {
	var c dateCommand
	for len(args) > 0 {
		var err error
		if args, err = c.read(args[0], args[1:]); err != nil {
			return c, err
		}
	}
	return c, nil
}

// read reads one argument, which may take its value from those after it, and returns the rest of them.
func (c *dateCommand) read(arg string, after []string) ([]string, error) {
	name, value, has := strings.Cut(arg, "=")
	switch {
	case strings.HasPrefix(arg, "+"):
		return after, c.setFormat(arg[1:])
	case arg == "-u" || arg == "--utc" || arg == "--universal":
		c.utc = true
		return after, nil
	case strings.HasPrefix(arg, "-u"): // -uIs is -u -Is
		c.utc = true
		return c.read("-"+arg[2:], after)
	case arg == "-d" || arg == "--date":
		if len(after) == 0 {
			return nil, fmt.Errorf("%s needs a date", arg)
		}
		c.when, c.given = after[0], true
		return after[1:], nil
	case strings.HasPrefix(arg, "-d"):
		c.when, c.given = arg[2:], true
		return after, nil
	case name == "--date" && has:
		c.when, c.given = value, true
		return after, nil
	case strings.HasPrefix(arg, "-I"):
		return after, c.setISO(arg[2:])
	case name == "--iso-8601":
		return after, c.setISO(value)
	case strings.HasPrefix(arg, "-"):
		return nil, fmt.Errorf("the option %s is not known here: use -d, -u, -I or +FORMAT, or compute the day in a script of the task", arg)
	}
	return nil, fmt.Errorf("%q is neither an option nor a format: a date comes after -d, a format begins with +", arg)
}

func (c *dateCommand) setFormat(format string) error {
	if c.format != "" {
		return errors.New("more than one format is given")
	}
	c.format = format
	if format == "" {
		c.format = "%n" // an empty format prints an empty line
	}
	return nil
}

// setISO sets the format of -I; its precision may be cut short, as in -Is.
func (c *dateCommand) setISO(precision string) error {
	formats := [][2]string{
		{"date", "%Y-%m-%d"}, {"hours", "%Y-%m-%dT%H%:z"}, {"minutes", "%Y-%m-%dT%H:%M%:z"},
		{"seconds", "%Y-%m-%dT%H:%M:%S%:z"}, {"ns", "%Y-%m-%dT%H:%M:%S,%N%:z"},
	}
	for _, f := range formats {
		if strings.HasPrefix(f[0], precision) {
			return c.setFormat(f[1])
		}
	}
	return fmt.Errorf("-I takes date, hours, minutes, seconds or ns, not %q", precision)
}
