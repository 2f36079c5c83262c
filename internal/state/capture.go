package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/handoff-run/handoff/internal/atomicfile"
)

// Capture finds the last state in a file to which a target writes its output. The zero Capture is not ready: see NewCapture.
// Not safe for concurrent use.
type Capture struct {
	path   string
	offset int64
	rest   []byte // an unfinished line
	skip   bool   // the unfinished line is too long for a state
	lines  int64  // that have ended
	found  Captured
}

// Captured is what a target has printed.
type Captured struct {
	State json.RawMessage // the last state that is not empty; nil: there is none
	Line  int64           // where it is in the file; the first line is 1
	Empty int64           // the last line that is an empty state; 0: there is none
}

// NewCapture reads the file at path, which need not exist yet.
func NewCapture(path string) *Capture { return &Capture{path: path} }

// Reset begins anew: the file is about to be written from its start.
func (c *Capture) Reset() { *c = Capture{path: c.path} }

// Read returns what the target has printed so far. final says that the target has ended, so that a last line without its end
// counts too.
func (c *Capture) Read(final bool) (Captured, error) {
	f, err := atomicfile.Open(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return c.found, nil
	}
	if err != nil {
		return Captured{}, fmt.Errorf("read states: %w", err)
	}
	defer f.Close() // read only
	if info, err := f.Stat(); err == nil && info.Size() < c.offset {
		c.Reset()
	}
	buf := make([]byte, 256<<10)
	for {
		n, err := f.ReadAt(buf, c.offset)
		c.offset += int64(n)
		c.scan(buf[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Captured{}, fmt.Errorf("read states: %w", err)
		}
	}
	if final && len(c.rest) > 0 {
		c.line(c.rest)
		c.rest = nil
	}
	return c.found, nil
}

func (c *Capture) scan(p []byte) {
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		if c.skip {
			c.skip = false
			c.lines++
		} else {
			c.line(append(c.rest, p[:i]...))
		}
		c.rest, p = nil, p[i+1:]
	}
	if c.skip = c.skip || len(c.rest)+len(p) > maxState; c.skip {
		c.rest = nil
		return
	}
	c.rest = append(c.rest, p...)
}

func (c *Capture) line(text []byte) {
	c.lines++
	switch state, is := parse(text); {
	case !is:
	case empty(state):
		c.found.Empty = c.lines
	default:
		c.found.State, c.found.Line = state, c.lines
	}
}

// Parse returns the state that a person has written: a JSON object, or a Singer message of the type STATE.
func Parse(text []byte) (json.RawMessage, bool) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 || text[0] != '{' {
		return nil, false
	}
	var message struct {
		Type  json.RawMessage `json:"type"`
		Value json.RawMessage `json:"value"`
	}
	if err := json.Unmarshal(text, &message); err != nil {
		return nil, false
	}
	if message.Type == nil {
		return bytes.Clone(text), true
	}
	if string(message.Type) != `"STATE"` { // a RECORD or SCHEMA that was passed on
		return nil, false
	}
	state, err := checked(message.Value)
	return state, err == nil
}

// parse returns the state that a line of a target is. Targets print the value of a STATE message alone, or the whole message;
// but they also pass other messages on, and write to their log.
func parse(line []byte) (json.RawMessage, bool) {
	line = bytes.TrimSpace(line)
	if string(line) == "null" {
		return json.RawMessage("null"), true
	}
	if len(line) == 0 || line[0] != '{' {
		return nil, false
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return nil, false
	}
	kind, isMessage := fields["type"]
	switch {
	case isMessage && string(kind) != `"STATE"`:
		return nil, false
	case isMessage:
		state, err := checked(fields["value"])
		if err != nil { // null, or none at all
			return json.RawMessage("null"), len(fields["value"]) == 0 || string(fields["value"]) == "null"
		}
		return state, true
	case isLog(fields):
		return nil, false
	}
	return bytes.Clone(line), true
}

// empty reports whether a state has nothing in it from which a run could go on: only nulls, empty objects, lists and texts.
func empty(state json.RawMessage) bool {
	var value any
	return json.Unmarshal(state, &value) == nil && void(value)
}

func void(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !void(e) })
	case map[string]any:
		for _, e := range v {
			if !void(e) {
				return false
			}
		}
		return true
	}
	return false
}
