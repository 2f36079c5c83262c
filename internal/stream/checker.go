package stream

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// maxLine is the longest line that is checked, in bytes.
const maxLine = 64 << 20

// A Checker holds a stream against a Contract, as its bytes go by.
type Checker struct {
	contract Contract
	before   Before
	lines    lines
	format   Format
	line     int64 // number of the line
	all      int64 // records
	streams  map[string]*records
	alike    *records // of the last record, where the next one may be found in the fast way
	csv      csvReader
}

// records are those of one stream.
type records struct {
	name    string
	rules   []Rules
	columns []column
	unique  []*uniqueKey
	fields  []string // its columns, where they are to stay; nil: not known yet
	n       int64
	head    []byte // what stands before a record in its line, as a rule
}

// column is one that has to have a value.
type column struct {
	name    string
	pattern []byte // as a key of an object is mostly written
	hint    int    // where it stood in the last record
	isKey   bool   // its value is looked at
	value   []byte // of the record at hand
}

type uniqueKey struct {
	names []string
	at    []int // in columns
	seen  *keySet
	buf   []byte
}

// NewChecker returns a Checker for one stream.
func NewChecker(c Contract, before Before) *Checker {
	return &Checker{contract: c, before: before, format: c.Format, streams: map[string]*records{}}
}

// Write takes the next bytes. The error is a Breach.
func (k *Checker) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		var err error
		if len(k.lines.rest) == 0 {
			if b, err = k.takeAlike(b); err != nil {
				return n, err
			}
		}
		if b, err = k.lines.one(b, maxLine, k.take); err != nil {
			return n, err
		}
	}
	return n, nil
}

// takeAlike takes the lines at the begin of b that are surely records of the same stream as the last one, and returns the rest.
func (k *Checker) takeAlike(b []byte) ([]byte, error) {
	r := k.alike
	if r == nil {
		return b, nil
	}
	for {
		end := bytes.IndexByte(b, '\n')
		if end < 0 || !bytes.HasPrefix(b[:end], r.head) || !r.find(b[len(r.head):end]) {
			return b, nil
		}
		k.line++
		if err := k.checked(r); err != nil {
			return nil, err
		}
		b = b[end+1:]
	}
}

// Close says that the stream has ended. The error is a Breach.
func (k *Checker) Close() error {
	if len(k.lines.rest) > 0 {
		if err := k.take(k.lines.rest); err != nil {
			return err
		}
	}
	if err := k.csv.end(k); err != nil {
		return err
	}
	if err := k.contract.Rows.check(k.all, k.before.total(), ""); err != nil {
		return err
	}
	for name, rules := range k.contract.Streams {
		if err := rules.Rows.check(k.of(name).n, k.before.usual(name), name); err != nil {
			return err
		}
	}
	return nil
}

// Records returns how many there were so far.
func (k *Checker) Records() int64 { return k.all }

// Rows returns the number of records by stream so far; "" is a stream without a name.
func (k *Checker) Rows() map[string]int64 {
	rows := map[string]int64{}
	for name, r := range k.streams {
		rows[name] = r.n
	}
	if len(rows) == 0 {
		rows[""] = 0
	}
	return rows
}

// Columns returns the columns by stream, where the contract wants them to stay; else nil.
func (k *Checker) Columns() map[string][]string {
	var all map[string][]string
	for name, r := range k.streams {
		if r.fields != nil {
			if all == nil {
				all = map[string][]string{}
			}
			all[name] = r.fields
		}
	}
	return all
}

// of returns the records of a stream.
func (k *Checker) of(name string) *records {
	if r := k.streams[name]; r != nil {
		return r
	}
	r := &records{name: name, rules: []Rules{k.contract.Rules}}
	if own, has := k.contract.Streams[name]; has {
		r.rules = append(r.rules, own)
	}
	for _, rules := range r.rules {
		for _, c := range rules.Columns {
			r.column(c)
		}
		if len(rules.Unique) > 0 {
			u := &uniqueKey{names: rules.Unique, seen: newKeySet()}
			for _, c := range rules.Unique {
				i := r.column(c)
				r.columns[i].isKey = true
				u.at = append(u.at, i)
			}
			r.unique = append(r.unique, u)
		}
	}
	k.streams[name] = r
	return r
}

// column returns the place of a column that has to have a value.
func (r *records) column(name string) int {
	i := slices.IndexFunc(r.columns, func(c column) bool { return c.name == name })
	if i < 0 {
		i = len(r.columns)
		r.columns = append(r.columns, column{name: name, pattern: []byte(keyText(name))})
	}
	return i
}

// take takes a line.
func (k *Checker) take(line []byte) error {
	k.line++
	if k.lines.cut {
		return breach("line %d is longer than 64 MiB: it cannot be checked", k.line)
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if len(line) == 0 && !k.csv.open() {
		return nil
	}
	if k.format == "" {
		k.format = formatOf(line)
	}
	switch k.format {
	case CSV:
		return k.csv.take(k, line)
	case NDJSON:
		r := k.of("")
		if !k.contract.Fixed {
			k.alike = r
		}
		return k.scanned(r, line)
	}
	return k.message(line)
}

func formatOf(line []byte) Format {
	if kind, _ := message(line); kind != none {
		return Singer
	}
	if members(line, func(_, _ []byte) bool { return true }) {
		return NDJSON
	}
	return CSV
}

// count counts one more record of r.
func (k *Checker) count(r *records) error {
	k.all++
	r.n++
	if err := k.contract.Rows.tooMany(k.all, ""); err != nil {
		return err
	}
	if len(r.rules) > 1 {
		return r.rules[1].Rows.tooMany(r.n, r.name)
	}
	return nil
}

// message takes a Singer message.
func (k *Checker) message(line []byte) error {
	kind, name := message(line)
	switch kind {
	case none:
		return breach("line %d is no Singer message", k.line)
	case schema:
		return k.schema(k.of(nameOf(name)), line)
	case record:
		r := k.of(nameOf(name))
		var found []byte
		whole := members(line, func(key, value []byte) bool {
			if string(key) == "record" {
				found = value
			}
			return true
		})
		if !whole || found == nil || found[0] != '{' {
			return breach("record %d%s (line %d) is not a whole record message", r.n+1, ofStream(r.name), k.line)
		}
		k.alike = nil
		if len(r.head) == 0 || !bytes.HasPrefix(line, r.head) {
			r.head = headOf(line, found)
		}
		if r.head != nil {
			k.alike = r
		}
		return k.scanned(r, found)
	}
	return nil
}

// headOf returns what stands before the record, where that tells the type and the stream; else nil.
func headOf(line, found []byte) []byte {
	head := line[:cap(line)-cap(found)] // found is a part of line
	if kind, _ := message(head); kind != record {
		return nil
	}
	return bytes.Clone(head)
}

// scanned looks at all members of a record.
func (k *Checker) scanned(r *records, object []byte) error {
	for i := range r.columns {
		r.columns[i].value = nil
	}
	var fields []string
	names := k.contract.Fixed && k.format == NDJSON
	ok := members(object, func(key, value []byte) bool {
		for i := range r.columns {
			if c := &r.columns[i]; string(key) == c.name || bytes.IndexByte(key, '\\') >= 0 && nameOf(key) == c.name {
				c.value = value
			}
		}
		if names {
			fields = append(fields, nameOf(key))
		}
		return true
	})
	if !ok {
		return breach("record %d%s (line %d) is no JSON object", r.n+1, ofStream(r.name), k.line)
	}
	if names {
		if err := k.fields(r, fields); err != nil {
			return err
		}
	}
	for _, c := range r.columns {
		if c.value == nil || string(c.value) == "null" {
			return breach("record %d%s (line %d) has no value for the column %q", r.n+1, ofStream(r.name), k.line, c.name)
		}
	}
	return k.checked(r)
}

// checked counts a record whose columns are there, and looks whether its keys are new.
func (k *Checker) checked(r *records) error {
	for _, u := range r.unique {
		if !u.seen.add(u.key(r)) {
			return breach("record %d%s (line %d) has the same %s as an earlier one", r.n+1, ofStream(r.name), k.line, u.words(r))
		}
	}
	return k.count(r)
}

// find looks for the columns of a record in the way that finds them fast, and returns false where it is not sure. b begins with the
// record and ends with its line. A quoted name with a colon behind it and no backslash before it is a key and no text, wherever it
// stands; and it is one of the record itself if there is no brace between its begin and the key.
func (r *records) find(b []byte) bool {
	if len(b) < 2 || b[0] != '{' || b[len(b)-1] != '}' {
		return false
	}
	if len(r.columns) == 0 {
		return true
	}
	last := 1
	for i := range r.columns {
		at := r.columns[i].find(b)
		if at < 0 {
			return false
		}
		last = max(last, at)
	}
	return bytes.IndexByte(b[1:last], '{') < 0 && bytes.IndexByte(b[1:last], '}') < 0
}

// find returns where the key stands; -1: it is not there, or has no value, or that is not sure.
func (c *column) find(b []byte) int {
	at := c.hint
	if to := at + len(c.pattern); to > len(b) || string(b[at:to]) != string(c.pattern) {
		if at = c.near(b); at < 0 {
			at = bytes.Index(b, c.pattern)
		}
	}
	if at < 1 || b[at-1] == '\\' {
		return -1
	}
	c.hint = at
	start := space(b, at+len(c.pattern)) // b ends with a brace
	if b[start] == 'n' || b[start] == '}' || b[start] == ',' {
		return -1
	}
	if c.isKey {
		end := skipValue(b, start)
		if end < 0 {
			return -1
		}
		c.value = b[start:end]
	}
	return at
}

// near looks beside where the key stood in the last record: most values are about as long as there.
func (c *column) near(b []byte) int {
	const drift = 6
	to := min(c.hint+drift, len(b)-len(c.pattern))
	for at := max(c.hint-drift, 1); at <= to; at++ {
		if b[at] == '"' && bytes.HasPrefix(b[at:], c.pattern) {
			return at
		}
	}
	return -1
}

// key is what is compared: the values as they are written.
func (u *uniqueKey) key(r *records) []byte {
	if len(u.at) == 1 {
		return r.columns[u.at[0]].value
	}
	u.buf = u.buf[:0]
	for _, i := range u.at {
		u.buf = append(append(u.buf, r.columns[i].value...), '\n')
	}
	return u.buf
}

// words says what the key of the record at hand is.
func (u *uniqueKey) words(r *records) string {
	const most = 60
	var all []string
	for _, i := range u.at {
		value := r.columns[i].value
		if len(value) > most {
			value = append(bytes.Clone(value[:most]), "..."...)
		}
		all = append(all, r.columns[i].name+" "+strings.ToValidUTF8(string(value), "?"))
	}
	return strings.Join(all, ", ")
}

// schema takes the columns that a Singer schema names, with their types.
func (k *Checker) schema(r *records, line []byte) error {
	if !k.contract.Fixed {
		return nil
	}
	var m struct {
		Schema struct {
			Properties map[string]struct {
				Type any `json:"type"`
			} `json:"properties"`
		} `json:"schema"`
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return breach("line %d is no schema message: %v", k.line, err)
	}
	fields := []string{}
	for name, p := range m.Schema.Properties {
		kind, _ := json.Marshal(p.Type)
		fields = append(fields, name+": "+strings.Trim(string(kind), `"`))
	}
	slices.Sort(fields)
	return k.fields(r, fields)
}

// fields takes the columns of a stream, or of a further record of it.
func (k *Checker) fields(r *records, fields []string) error {
	if r.fields != nil {
		if d := drift(r.fields, fields); d != "" {
			return breach("the columns%s change at line %d: %s", ofStream(r.name), k.line, d)
		}
		return nil
	}
	r.fields = fields
	before, known := k.before.Columns[r.name]
	if d := drift(before, fields); known && d != "" {
		return breach("the columns%s are not those of the last good run: %s", ofStream(r.name), d)
	}
	return nil
}
