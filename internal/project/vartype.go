package project

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Types are those that a variable may have.
func Types() []string { return []string{"text", "integer", "number", "boolean", "date", "timestamp"} }

// Parse returns what somebody has typed as a value of the variable: of an integer an int64, of a number that or a float64, of a
// boolean a bool, else the text itself. The error says what is wrong with it, and how to write it.
func (v Var) Parse(text string) (any, error) {
	got, err := v.parse(text)
	if err == nil && len(v.Enum) > 0 && !slices.ContainsFunc(v.Enum, func(word string) bool {
		choice, err := v.parse(word)
		return err == nil && choice == got
	}) {
		message, hint := notOneOf(text, v.Enum)
		if hint != "" {
			message += ": " + hint
		}
		return nil, errors.New(message)
	}
	return got, err
}

func (v Var) parse(text string) (any, error) {
	wrong := func(want, how string) (any, error) {
		return nil, fmt.Errorf("%s is not %s: write %s", quote(text), want, how)
	}
	switch v.Type {
	case "integer":
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
		return wrong("an integer", "12")
	case "number":
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
		if n, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) && !strings.ContainsAny(text, "xX_") {
			return n, nil
		}
		return wrong("a number", "1.5")
	case "boolean":
		if b, ok := resolve(text).(bool); text != "" && ok {
			return b, nil
		}
		return wrong("true or false", "one of them")
	case "date":
		if _, err := time.Parse(time.DateOnly, text); err != nil {
			return wrong("a date", "2026-01-31")
		}
	case "timestamp":
		if _, err := time.Parse(time.RFC3339Nano, text); err != nil {
			return wrong("a timestamp", "2026-01-31T06:00:00Z")
		}
	}
	return text, nil
}

// typed returns the variable with its value read as its type wants it.
func (v Var) typed() (Var, error) {
	switch v.Value.(type) {
	case nil:
		return v, nil
	case []any, map[string]any:
		if v.Type == "" {
			return v, nil
		}
		return v, fmt.Errorf("%s is needed here, not a list or a map", article(v.Type))
	}
	if v.Type == "" || v.Text == "" && !v.Required && v.Type != "text" { // an empty text is no value
		return v, nil
	}
	got, err := v.Parse(v.Text)
	if err == nil {
		v.Value = got
	}
	return v, err
}

func article(kind string) string {
	if kind == "integer" {
		return "an " + kind
	}
	return "a " + kind
}

// Missing reports whether the variable has to have a value, and has none.
func (v Var) Missing() bool { return v.Required && (v.Value == nil || v.Value == "") }

// Sample returns a value that the variable could have, for a check where nobody has given one.
func (v Var) Sample() any {
	text := map[string]string{"integer": "1", "number": "1", "boolean": "true", "date": "2026-01-31", "timestamp": "2026-01-31T06:00:00Z"}[v.Type]
	if len(v.Enum) > 0 {
		text = v.Enum[0]
	}
	if text == "" {
		text = "x"
	}
	got, err := v.Parse(text)
	if err != nil {
		return text
	}
	return got
}

// Var returns the variable with a key; nil: the project does not declare it.
func (p *Project) Var(key string) *Var {
	for i := range slices.Backward(p.Vars) { // the last one counts
		if p.Vars[i].Key == key {
			return &p.Vars[i]
		}
	}
	return nil
}

// Typed reports whether anything is said of the values that the variable may have.
func (v Var) Typed() bool { return v.Type != "" || v.Required }
