package project

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
)

// KeyValue is one k=v of the command line, both sides as text.
type KeyValue struct {
	Key   string
	Value string
	From  string // the file and the line that give it; "": the command line itself
}

// ParseVars reads the words after -v or -e. A word is split at its first "="; the value is kept exactly as
// typed and may be empty. A word without "=" belongs to the value before it, joined by a blank, so that
// `-v $(eval echo $__VARS)` works. A single word without "=" names a file that holds one k=v per line; readFile
// reads it. The order is kept and nothing is merged: of two equal keys the later one is meant to win.
func ParseVars(args []string, readFile func(name string) ([]byte, error)) ([]KeyValue, error) {
	if len(args) == 1 && !strings.Contains(args[0], "=") {
		return varsFromFile(args[0], readFile)
	}
	var vars []KeyValue
	for _, word := range args {
		key, value, found := strings.Cut(word, "=")
		switch {
		case found:
			key = strings.TrimSpace(key)
			if key == "" {
				return nil, fmt.Errorf("no key before the = in %q: write key=value", word)
			}
			vars = append(vars, KeyValue{Key: key, Value: value})
		case len(vars) > 0:
			vars[len(vars)-1].Value += " " + word
		default:
			return nil, fmt.Errorf("%q is not of the form key=value", word)
		}
	}
	return vars, nil
}

func varsFromFile(name string, readFile func(string) ([]byte, error)) ([]KeyValue, error) {
	text, err := readFile(name)
	if err != nil {
		return nil, fmt.Errorf("%q is neither of the form key=value nor a file of such lines: %w", name, err)
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	var vars []KeyValue
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, found := strings.Cut(line, "=")
		key = unquote(strings.TrimPrefix(key, "export ")) // as a shell would read the file
		if !found || key == "" {
			return nil, fmt.Errorf("%s:%d: %q is not of the form key=value", name, i+1, line)
		}
		vars = append(vars, KeyValue{key, unquote(value), fmt.Sprintf("%s:%d", name, i+1)})
	}
	return vars, nil
}

// IsName reports whether a template can use a variable of this name.
func IsName(name string) bool {
	for i, r := range name {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return name != ""
}

// unquote drops blanks around a text and then one pair of equal quotes.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if n := len(s); n >= 2 && (s[0] == '"' || s[0] == '\'') && s[n-1] == s[0] {
		return s[1 : n-1]
	}
	return s
}
