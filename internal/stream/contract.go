package stream

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// A Contract is what is expected of a stream of records.
type Contract struct {
	Format  Format           `json:"format,omitempty"` // "": seen from the first record
	Rules                    // of all records
	Streams map[string]Rules `json:"streams,omitempty"`      // further ones, of the records of one Singer stream
	Fixed   bool             `json:"schema_fixed,omitempty"` // the columns are those of the last good run, and the same in all records
}

// Compares reports whether earlier runs say what is expected.
func (c Contract) Compares() bool {
	for _, r := range c.Streams {
		if r.Rows.Change > 0 {
			return true
		}
	}
	return c.Fixed || c.Rows.Change > 0
}

// Format is how records are written.
type Format string

// The formats.
const (
	Singer Format = "singer" // messages of the Singer specification
	NDJSON Format = "ndjson" // a JSON object on each line
	CSV    Format = "csv"    // with commas and a header
)

// Rules are what is expected of records.
type Rules struct {
	Rows    Rows     `json:"rows,omitzero"`
	Columns []string `json:"columns,omitempty"` // each record has a value for them
	Unique  []string `json:"unique,omitempty"`  // no two records have the same values for all of them
}

// Empty reports whether nothing is expected.
func (r Rules) Empty() bool {
	return r.Rows == Rows{} && len(r.Columns) == 0 && len(r.Unique) == 0
}

// Rows says how many records there are.
type Rows struct {
	Min    int64   `json:"min,omitempty"`
	Max    *int64  `json:"max,omitempty"`    // nil: any number
	Change float64 `json:"change,omitempty"` // at most so far from the usual number, as a share of it; 0: any
}

// Before is what was there in earlier good runs.
type Before struct {
	Rows    map[string]int64    `json:"rows,omitempty"`    // the usual number of records by stream, "" where streams have no names; nil: unknown
	Columns map[string][]string `json:"columns,omitempty"` // of the last one; a stream that is not there is unknown
}

// A Breach says that a stream is not what is expected of it.
type Breach struct{ text string }

func (b *Breach) Error() string { return b.text }

func breach(format string, args ...any) error { return &Breach{fmt.Sprintf(format, args...)} }

// ofStream names a stream in a sentence.
func ofStream(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf(" of stream %q", name)
}

// counted words a number of records.
func counted(n int64) string {
	if n == 1 {
		return "1 record"
	}
	return fmt.Sprintf("%d records", n)
}

// tooMany is asked while records come.
func (r Rows) tooMany(n int64, name string) error {
	if r.Max == nil || n <= *r.Max {
		return nil
	}
	return breach("record %d%s is one more than the %d that may come", n, ofStream(name), *r.Max)
}

// check is asked at the end. usual is -1 where it is not known.
func (r Rows) check(n, usual int64, name string) error {
	if n < r.Min {
		return breach("only %s%s came, at least %d are expected", counted(n), ofStream(name), r.Min)
	}
	if r.Change == 0 || usual < 0 {
		return nil
	}
	if off := math.Abs(float64(n - usual)); off > r.Change*float64(usual) {
		return breach("%s%s came; %d are usual, and a change of at most %g%% is expected", counted(n), ofStream(name), usual, 100*r.Change)
	}
	return nil
}

// usual returns the number of records of a stream in earlier runs; -1: unknown.
func (b Before) usual(name string) int64 {
	if n, known := b.Rows[name]; known {
		return n
	}
	return -1
}

// total returns the number of all records in earlier runs; -1: unknown.
func (b Before) total() int64 {
	if b.Rows == nil {
		return -1
	}
	var all int64
	for _, n := range b.Rows {
		all += n
	}
	return all
}

// drift says how columns differ from those before; "" where they do not. A column is its name, or "name: type".
func drift(before, now []string) string {
	const most = 10
	var all []string
	for _, c := range now {
		if !slices.Contains(before, c) {
			all = append(all, fmt.Sprintf("new %q", c))
		}
	}
	for _, c := range before {
		if !slices.Contains(now, c) {
			all = append(all, fmt.Sprintf("gone %q", c))
		}
	}
	if len(all) > most {
		all = append(all[:most], "...")
	}
	return strings.Join(all, ", ")
}
