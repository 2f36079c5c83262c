package jinja

import (
	"fmt"
	"runtime"
)

// Error says what is wrong with a template or with the data that it was given, and on which line.
type Error struct {
	Name    string // as given to Parse
	Line    int    // in the template, from 1; 0: unknown
	Message string
	Hint    string // a way out, where one is known
}

// Error returns "name:line: message"; the hint is left to the caller.
func (e *Error) Error() string {
	switch {
	case e.Line > 0 && e.Name != "":
		return fmt.Sprintf("%s:%d: %s", e.Name, e.Line, e.Message)
	case e.Line > 0:
		return fmt.Sprintf("line %d: %s", e.Line, e.Message)
	case e.Name != "":
		return e.Name + ": " + e.Message
	}
	return e.Message
}

// Undefined is one use of a variable that has no value.
type Undefined struct {
	Name string // dotted where it is an attribute: "cfg.host"
	Line int
}

// failure carries an error up the stack of the parser or the evaluator, as in text/template: nearly every
// function of an expression evaluator can fail, and it keeps them readable. It never leaves this package.
type failure struct{ err *Error }

// catch turns a failure, or a bug of ours, into an error.
func catch(name string, line *int, err *error) {
	switch r := recover().(type) {
	case nil:
	case failure:
		*err = r.err
	case runtime.Error:
		*err = &Error{Name: name, Line: *line, Message: "internal error: " + r.Error()}
	default:
		panic(r)
	}
}
