package jinja

import (
	"strconv"
	"strings"
)

// strFormat is Python's "{} {name:>5}".format(...).
func (s *state) strFormat(format string, a args) string {
	f := &strFormatter{s: s, args: a}
	return f.format(format, 2)
}

type strFormatter struct {
	s      *state
	args   args
	auto   int  // next of {}
	manual bool // {0} was used
	size   int
}

// format fills the fields in; depth is how deep fields may be nested: {:{width}}.
func (f *strFormatter) format(format string, depth int) string {
	if depth == 0 {
		f.s.fail("Max string recursion exceeded")
	}
	var b strings.Builder
	for {
		i := strings.IndexAny(format, "{}")
		if i < 0 {
			b.WriteString(format)
			return b.String()
		}
		b.WriteString(format[:i])
		switch {
		case i+1 < len(format) && format[i+1] == format[i]:
			b.WriteByte(format[i])
			format = format[i+2:]
		case format[i] == '}':
			f.s.fail("Single '}' encountered in format string")
		default:
			field, rest := f.cut(format[i+1:])
			text := f.field(field, depth)
			if f.size += len(text); f.size > maxOutput {
				f.s.alloc(f.size)
			}
			b.WriteString(text)
			format = rest
		}
	}
}

// cut takes a field off, up to its closing brace.
func (f *strFormatter) cut(format string) (field, rest string) {
	depth := 1
	for i := range len(format) {
		switch format[i] {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth == 0 {
			return format[:i], format[i+1:]
		}
	}
	f.s.fail("expected '}' before end of string")
	return "", ""
}

// field returns the text of name!conversion:spec.
func (f *strFormatter) field(field string, depth int) string {
	name, spec := field, ""
	conversion := byte(0)
	if i := fieldEnd(field); i >= 0 {
		name = field[:i]
		if rest := field[i:]; rest[0] == ':' {
			spec = rest[1:]
		} else {
			conversion, spec = f.conversion(rest[1:])
		}
	}
	v := f.value(name)
	switch conversion {
	case 's':
		v = f.s.soft(v)
	case 'r', 'a':
		t, _ := f.s.repr(v)
		if conversion == 'a' {
			t = asciiOnly(t)
		}
		v = t
	}
	if strings.Contains(spec, "{") {
		spec = f.format(spec, depth-1)
	}
	return f.s.formatValue(v, spec)
}

// fieldEnd is where the name of a field ends: at ! or : outside of brackets.
func fieldEnd(field string) int {
	inIndex := false
	for i := range len(field) {
		switch c := field[i]; {
		case c == '[':
			inIndex = true
		case c == ']':
			inIndex = false
		case (c == '!' || c == ':') && !inIndex:
			return i
		}
	}
	return -1
}

func (f *strFormatter) conversion(rest string) (conversion byte, spec string) {
	if rest == "" || strings.IndexByte("sra", rest[0]) < 0 {
		f.s.fail("Unknown conversion specifier %s", rest)
	}
	if len(rest) > 1 && rest[1] != ':' {
		f.s.fail("expected ':' after conversion specifier")
	}
	return rest[0], strings.TrimPrefix(rest[1:], ":")
}

// value finds 0, name, name.attr or name[key].
func (f *strFormatter) value(path string) any {
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		end = len(path)
	}
	v := f.argument(path[:end])
	for path = path[end:]; path != ""; {
		key := ""
		if path[0] == '.' {
			path = path[1:]
			end = strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			key, path = path[:end], path[end:]
		} else {
			end = strings.IndexByte(path, ']')
			if end < 0 {
				f.s.fail("Missing ']' in format string")
			}
			key, path = path[1:end], path[end+1:]
			if path != "" && path[0] != '.' && path[0] != '[' {
				f.s.fail("Only '.' or '[' may follow ']' in format field specifier")
			}
		}
		v = f.lookup(v, key)
	}
	return v
}

func (f *strFormatter) lookup(v any, key string) any {
	if n, err := strconv.ParseInt(key, 10, 64); err == nil {
		if x, ok := f.s.item(v, n); ok {
			return x
		}
	}
	x, ok := f.s.getItem(v, key)
	if !ok {
		f.s.fail("'%s' has no attribute '%s'", objectName(v), key)
	}
	return x
}

func (f *strFormatter) argument(name string) any {
	n, err := strconv.Atoi(name)
	switch {
	case name == "":
		if f.manual {
			f.s.fail("cannot switch from manual field specification to automatic field numbering")
		}
		n = f.auto
		f.auto++
	case err == nil && n >= 0:
		if f.auto > 0 {
			f.s.fail("cannot switch from automatic field numbering to manual field specification")
		}
		f.manual = true
	default:
		for _, k := range f.args.kw {
			if k.name == name {
				return k.value
			}
		}
		f.s.fail("no such key: %s", reprString(name))
	}
	if n >= len(f.args.pos) {
		f.s.fail("Replacement index %d out of range for positional args tuple", n)
	}
	return f.args.pos[n]
}
