package stream

import "bytes"

const (
	maxHead  = 1 << 20 // bytes of a line that are looked at
	patience = 16      // lines after which a stream without a Singer message is taken for another one
)

// A Counter counts the lines of a stream, and the records of each Singer stream where its lines are messages. The zero value is
// ready.
type Counter struct {
	Lines int64 // line ends

	lines  lines
	others int // lines that were no message, before the first that was one
	tally
}

// tally counts by name. Mostly a name is the one before.
type tally struct {
	counts map[string]*int64
	last   []byte
	of     *int64
}

// at returns the counter of a name, as it is written between its quotes.
func (t *tally) at(name []byte) *int64 {
	if t.of != nil && bytes.Equal(name, t.last) {
		return t.of
	}
	if t.counts == nil {
		t.counts = map[string]*int64{}
	}
	key := nameOf(name)
	if t.counts[key] == nil {
		t.counts[key] = new(int64)
	}
	t.last, t.of = append(t.last[:0], name...), t.counts[key]
	return t.of
}

// Rows returns the number of records by stream; nil where no message of a stream came.
func (t *tally) Rows() map[string]int64 {
	if t.counts == nil {
		return nil
	}
	rows := make(map[string]int64, len(t.counts))
	for name, n := range t.counts {
		rows[name] = *n
	}
	return rows
}

// Write takes the next bytes; it never fails.
func (c *Counter) Write(b []byte) (int, error) {
	if c.over() {
		c.Lines += int64(bytes.Count(b, []byte{'\n'}))
		return len(b), nil
	}
	_ = c.lines.each(b, maxHead, func(line []byte) error {
		c.Lines++
		c.look(line)
		return nil
	})
	return len(b), nil
}

// over says that these are no Singer messages.
func (c *Counter) over() bool { return c.counts == nil && c.others > patience }

// Close takes a last line into account that has no end.
func (c *Counter) Close() { c.look(c.lines.rest) }

// look counts a record. A stream of which only the schema came is there with 0: it is one that people ask for.
func (c *Counter) look(line []byte) {
	if len(line) == 0 || c.over() {
		return
	}
	kind, name := message(line)
	switch kind {
	case record:
		*c.at(name)++
	case schema:
		c.at(name)
	case none:
		c.others++
	}
}

// kind is what a Singer message is.
type kind int

const (
	none   kind = iota // no message
	other              // another message
	record             // of a stream
	schema             // of a stream
)

// message tells what the line is, and the name of its stream as it is written. It looks no further than it has to: in the usual
// order of the fields the record itself is not touched.
func message(line []byte) (k kind, name []byte) {
	members(line, func(key, value []byte) bool {
		switch string(key) {
		case "type":
			k = kindOf(value)
		case "stream":
			if s, ok := quoted(value); ok {
				name = s
			}
		}
		return k == none || k != other && name == nil
	})
	if name == nil && k != other {
		return none, nil
	}
	return k, name
}

func kindOf(value []byte) kind {
	switch string(value) {
	case `"RECORD"`:
		return record
	case `"SCHEMA"`:
		return schema
	case `"STATE"`, `"ACTIVATE_VERSION"`, `"BATCH"`:
		return other
	}
	return none
}

// quoted returns what stands between the quotes of a string.
func quoted(value []byte) ([]byte, bool) {
	if len(value) < 2 || value[0] != '"' {
		return nil, false
	}
	return value[1 : len(value)-1], true
}
