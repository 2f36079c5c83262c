package secret

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Left is a line of a .env file that Dotenv has not taken.
type Left struct {
	Key string
	Why string
}

// Dotenv reads the text of a .env file: lines KEY=value, blank ones and comments (# at the beginning, or after a blank behind a value
// without quotes). A line may begin with export. In 'single quotes' all stays as it is; in "double quotes" \n, \r, \t, \", \\ and \$
// stand for what they do in most programs; both may have several lines. Nothing is looked up and nothing is run: ${NAME} and $(command)
// outside of single quotes are errors, any other $ is itself. Of a key that is there twice the last line counts; a line without
// a value is left. An error names the lines of all that is wrong, and never their text, which may be a secret.
func Dotenv(text string) ([]Entry, []Left, error) {
	text = strings.TrimPrefix(strings.ReplaceAll(text, "\r\n", "\n"), "\ufeff")
	if strings.ContainsRune(text, 0) {
		return nil, nil, errors.New("it is no text: it has NUL bytes")
	}
	if !utf8.ValidString(text) {
		return nil, nil, notUTF8(text)
	}
	d := &dotenv{rest: text, line: 1}
	for d.rest != "" {
		d.next()
	}
	return d.entries, d.left, errors.Join(d.errs...)
}

// notUTF8 names the lines that are not: no program that is given such a value would know what is meant.
func notUTF8(text string) error {
	var errs []error
	line := 0
	for one := range strings.Lines(text) {
		if line++; !utf8.ValidString(one) {
			errs = append(errs, fmt.Errorf("line %d: it is not UTF-8: save the file in UTF-8", line))
		}
	}
	return errors.Join(errs...)
}

// Misplaced says what a variable would do to whatever runs with it, beyond being a secret of its programs; "": nothing.
func Misplaced(key string) string {
	switch name := strings.ToUpper(key); {
	case strings.HasPrefix(name, "HANDOFF_"), name == "__VARS":
		return "it is a setting of handoff itself"
	case name == "PATH", name == "SHELL", name == "PYTHONPATH", name == "PYTHONHOME", name == "VIRTUAL_ENV", name == "NODE_PATH":
		return "it changes which programs run"
	case name == "BASH_ENV", name == "ENV", name == "IFS", strings.HasPrefix(name, "LD_"), strings.HasPrefix(name, "DYLD_"):
		return "it changes what programs do when they start"
	case name == "HOME", name == "PWD", name == "TMPDIR":
		return "it changes where programs keep their files"
	}
	return ""
}

type dotenv struct {
	rest    string
	line    int // of the beginning of rest
	entries []Entry
	left    []Left
	errs    []error
}

var (
	dotenvKey = regexp.MustCompile(`^(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*`)
	reference = regexp.MustCompile(`\$[{(]`)
)

// next takes the next line, or the lines of a value in quotes.
func (d *dotenv) next() {
	d.rest = strings.TrimLeft(d.rest, " \t\r")
	start := d.line
	switch m := dotenvKey.FindStringSubmatch(d.rest); {
	case d.rest == "" || d.rest[0] == '\n' || d.rest[0] == '#':
	case m == nil:
		d.errs = append(d.errs, fmt.Errorf("line %d: want KEY=value", start))
	default:
		d.rest = d.rest[len(m[0]):]
		value, err := d.value(strings.TrimRight(m[0], " \t") != m[0])
		switch {
		case err != nil:
			d.errs = append(d.errs, fmt.Errorf("line %d: %s: %w", start, m[1], err))
		case value == "":
			d.left = append(d.left, Left{m[1], fmt.Sprintf("line %d has no value", start)})
		default:
			d.add(Entry{Key: m[1], Value: NewValue(value), Level: LevelTask, Push: true, Source: fmt.Sprintf("line %d", start)})
		}
	}
	d.endLine()
}

// endLine goes to the next line.
func (d *dotenv) endLine() {
	_, d.rest, _ = strings.Cut(d.rest, "\n")
	d.line++
}

func (d *dotenv) add(e Entry) {
	for i, old := range d.entries {
		if old.Key == e.Key {
			d.left = append(d.left, Left{e.Key, old.Source + " is followed by " + e.Source})
			d.entries[i] = e
			return
		}
	}
	d.entries = append(d.entries, e)
}

// value takes a value. blank: there is one in front of it, so that # begins a comment.
func (d *dotenv) value(blank bool) (string, error) {
	if d.rest != "" && (d.rest[0] == '\'' || d.rest[0] == '"') {
		return d.quoted(d.rest[0])
	}
	value, _, _ := strings.Cut(d.rest, "\n")
	d.rest = d.rest[len(value):]
	for i := range len(value) {
		if value[i] == '#' && (i == 0 && blank || i > 0 && (value[i-1] == ' ' || value[i-1] == '\t')) {
			value = value[:i]
			break
		}
	}
	return strings.TrimRight(value, " \t\r"), known(value)
}

// known returns an error for what another program would look up or run.
func known(value string) error {
	if reference.MatchString(value) {
		return errors.New("${...} and $(...) are not looked up: write what it stands for, or, if it is part of the value, put the value into 'single quotes'")
	}
	return nil
}

func (d *dotenv) quoted(quote byte) (string, error) {
	body := d.rest[1:]
	end := 0
	for end < len(body) && body[end] != quote {
		if body[end] == '\\' && quote == '"' {
			end++
		}
		end++
	}
	if end >= len(body) { // the rest of the line is not taken for lines of its own: that would tell too many errors
		d.rest = ""
		return "", errors.New("the quote at its beginning has no end")
	}
	value := body[:end]
	d.rest = body[end+1:]
	d.line += strings.Count(value, "\n")
	after, _, _ := strings.Cut(d.rest, "\n")
	if after = strings.TrimSpace(after); after != "" && after[0] != '#' {
		return "", errors.New("there is text behind the closing quote")
	}
	if quote == '\'' {
		return value, nil
	}
	return unescape(value), known(strings.NewReplacer(`\\`, "", `\$`, "").Replace(value))
}

func unescape(s string) string {
	return strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\t`, "\t", `\"`, `"`, `\\`, `\`, `\$`, "$").Replace(s)
}
