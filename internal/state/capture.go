package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Capture finds the last STATE line in a file to which a target writes its output. The zero Capture is not ready: see
// NewCapture. Not safe for concurrent use.
type Capture struct {
	path   string
	offset int64
	rest   []byte // an unfinished line
	skip   bool   // the unfinished line is too long for a state
	last   json.RawMessage
}

// NewCapture reads the file at path, which need not exist yet.
func NewCapture(path string) *Capture { return &Capture{path: path} }

// Reset begins anew: the file is about to be written from its start.
func (c *Capture) Reset() { *c = Capture{path: c.path} }

// Read answers the last state that the target has printed so far, nil if there is none. final says that the target has
// ended, so that a last line without its end counts too.
func (c *Capture) Read(final bool) (json.RawMessage, error) {
	f, err := os.Open(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return c.last, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read states: %w", err)
	}
	defer f.Close() //nolint:errcheck // read only
	if info, err := f.Stat(); err == nil && info.Size() < c.offset {
		c.Reset()
	}
	buf := make([]byte, 256<<10)
	for {
		n, err := f.ReadAt(buf, c.offset)
		c.offset += int64(n)
		c.take(buf[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read states: %w", err)
		}
	}
	if final {
		c.line(c.rest)
		c.rest = nil
	}
	return c.last, nil
}

func (c *Capture) take(p []byte) {
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		if c.skip {
			c.skip = false
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
	if state, ok := Parse(text); ok {
		c.last = state
	}
}

// Parse answers the state that a line of a target holds: a JSON object, or the value of a whole Singer message of the
// type STATE. Other lines are not states.
func Parse(line []byte) (json.RawMessage, bool) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] != '{' {
		return nil, false
	}
	var message struct {
		Type  *json.RawMessage `json:"type"`
		Value json.RawMessage  `json:"value"`
	}
	if err := json.Unmarshal(line, &message); err != nil {
		return nil, false
	}
	if message.Type == nil {
		return bytes.Clone(line), true
	}
	if string(*message.Type) != `"STATE"` { // a RECORD or SCHEMA that was passed on
		return nil, false
	}
	state, err := checked(message.Value)
	return state, err == nil
}

// WriteFile puts a state into a file for the tap; nil is the empty state. Readers see the old state or the new one.
func WriteFile(path string, state json.RawMessage) error {
	if state == nil {
		state = json.RawMessage("{}")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp")
	err := os.WriteFile(tmp, append(bytes.Clone(state), '\n'), 0o600)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp) // half a state is of no use
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

// ReadFile answers the state in a file, nil where there is none.
func ReadFile(path string) (json.RawMessage, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	state, err := checked(text)
	if err != nil {
		return nil, fmt.Errorf("read state %s: %w", path, err)
	}
	return state, nil
}
