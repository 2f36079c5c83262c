package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// dateCommand is what the arguments of date ask for.
type dateCommand struct {
	when   string // empty and !given is now
	given  bool
	utc    bool
	format string
}

// date prints what GNU date prints in the C locale.
func date(args []string, now time.Time, loc *time.Location) (string, error) {
	c, err := parseDate(args)
	if err != nil {
		return "", err
	}
	if c.utc {
		loc = time.UTC
	}
	t := now.In(loc)
	if c.given {
		if t, err = dateAt(c.when, t); err != nil {
			return "", err
		}
	}
	if c.format == "" {
		c.format = "%a %b %e %H:%M:%S %Z %Y"
	}
	return strftime(t, c.format)
}

// dateZone reads the value of TZ.
func dateZone(name string) (*time.Location, error) {
	switch name = strings.TrimPrefix(name, ":"); name {
	case "UTC0", "GMT0", "GMT":
		return time.UTC, nil
	}
	return Zone(name)
}

// parseDate reads the arguments as getopt does.
func parseDate(args []string) (dateCommand, error) {
	var c dateCommand
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		var err error
		switch {
		case arg == "--":
			for _, operand := range args {
				err = errors.Join(err, c.operand(operand))
			}
			args = nil
		case strings.HasPrefix(arg, "--"):
			args, err = c.long(arg, args)
		case strings.HasPrefix(arg, "-") && arg != "-":
			args, err = c.short(arg[1:], args)
		default:
			err = c.operand(arg)
		}
		if err != nil {
			return c, err
		}
	}
	return c, nil
}

func (c *dateCommand) operand(arg string) error {
	if !strings.HasPrefix(arg, "+") {
		return fmt.Errorf("date: %q is not understood (a format begins with +)", arg)
	}
	return c.setFormat(arg[1:])
}

func (c *dateCommand) setFormat(format string) error {
	if c.format != "" {
		return errors.New("date: more than one format is given")
	}
	c.format = format
	if format == "" {
		c.format = "%n" // an empty format prints an empty line
	}
	return nil
}

func (c *dateCommand) setDate(when string) {
	c.when, c.given = when, true
}

// short reads the letters of one argument.
func (c *dateCommand) short(letters string, args []string) ([]string, error) {
	for letters != "" {
		letter := letters[0]
		letters = letters[1:]
		switch letter {
		case 'u':
			c.utc = true
		case 'R':
			if err := c.setFormat(rfcEmail); err != nil {
				return nil, err
			}
		case 'I':
			return args, c.iso(letters)
		case 'd':
			if letters != "" {
				c.setDate(letters)
				return args, nil
			}
			if len(args) == 0 {
				return nil, errors.New("date: -d needs a date")
			}
			c.setDate(args[0])
			return args[1:], nil
		default:
			return nil, fmt.Errorf("date: the option -%c is not known here (-d, -u, -I, -R and +FORMAT are)", letter)
		}
	}
	return args, nil
}

const rfcEmail = "%a, %d %b %Y %H:%M:%S %z"

// long reads an option with two dashes.
func (c *dateCommand) long(arg string, args []string) ([]string, error) {
	name, value, has := strings.Cut(arg[2:], "=")
	if has && (name == "utc" || name == "universal" || name == "rfc-email") {
		return nil, fmt.Errorf("date: --%s takes no value", name)
	}
	switch name {
	case "utc", "universal":
		c.utc = true
		return args, nil
	case "iso-8601":
		return args, c.iso(value)
	case "rfc-email":
		return args, c.setFormat(rfcEmail)
	case "date", "rfc-3339":
		if !has {
			if len(args) == 0 {
				return nil, fmt.Errorf("date: --%s needs a value", name)
			}
			value, args = args[0], args[1:]
		}
		if name == "date" {
			c.setDate(value)
			return args, nil
		}
		return args, c.rfc3339(value)
	}
	return nil, fmt.Errorf("date: the option --%s is not known here", name)
}

// iso sets the format of -I; its precision may be cut short, as in -Is.
func (c *dateCommand) iso(precision string) error {
	formats := [][2]string{
		{"hours", "%Y-%m-%dT%H%:z"}, {"minutes", "%Y-%m-%dT%H:%M%:z"}, {"date", "%Y-%m-%d"},
		{"seconds", "%Y-%m-%dT%H:%M:%S%:z"}, {"ns", "%Y-%m-%dT%H:%M:%S,%N%:z"},
	}
	if precision == "" {
		precision = "date"
	}
	return c.precise("-I", precision, formats)
}

func (c *dateCommand) rfc3339(precision string) error {
	formats := [][2]string{{"date", "%Y-%m-%d"}, {"seconds", "%Y-%m-%d %H:%M:%S%:z"}, {"ns", "%Y-%m-%d %H:%M:%S.%N%:z"}}
	return c.precise("--rfc-3339=", precision, formats)
}

func (c *dateCommand) precise(option, precision string, formats [][2]string) error {
	var names []string
	for _, f := range formats {
		if precision != "" && strings.HasPrefix(f[0], precision) {
			return c.setFormat(f[1])
		}
		names = append(names, f[0])
	}
	return fmt.Errorf("date: %s takes %s, not %q", option, strings.Join(names, ", "), precision)
}
