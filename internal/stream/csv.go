package stream

import (
	"bytes"
	"slices"
)

// A csvReader puts lines together to records, and finds the fields that matter in them.
type csvReader struct {
	header []string
	at     []int  // place of each column that has to have a value
	record []byte // one that goes on in the next line
	fields [][]byte
}

// open reports whether a record goes on.
func (c *csvReader) open() bool { return c.record != nil }

func (c *csvReader) take(k *Checker, line []byte) error {
	odd := bytes.IndexByte(line, '"') >= 0 && bytes.Count(line, []byte{'"'})%2 == 1
	if c.open() {
		if len(c.record)+len(line) > maxLine {
			return breach("the record that ends behind line %d is longer than 64 MiB: it cannot be checked", k.line)
		}
		c.record = append(append(c.record, '\n'), line...)
		if !odd {
			return nil
		}
		line, c.record = c.record, nil
	} else if odd {
		c.record = append([]byte{}, line...)
		return nil
	}
	if c.header == nil {
		return c.begin(k, line)
	}
	return c.row(k, k.of(""), line)
}

// begin takes the header.
func (c *csvReader) begin(k *Checker, line []byte) error {
	r := k.of("")
	line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	c.split(line, -1)
	for _, f := range c.fields {
		c.header = append(c.header, string(f))
	}
	for _, want := range r.columns {
		i := slices.Index(c.header, want.name)
		if i < 0 {
			return breach("the header has no column %q", want.name)
		}
		c.at = append(c.at, i)
	}
	if k.contract.Fixed {
		return k.fields(r, c.header)
	}
	return nil
}

func (c *csvReader) row(k *Checker, r *records, line []byte) error {
	if len(r.columns) == 0 {
		return k.count(r)
	}
	c.split(line, slices.Max(c.at)+1)
	for i, at := range c.at {
		if at >= len(c.fields) || len(c.fields[at]) == 0 {
			return breach("record %d (line %d) has no value for the column %q", r.n+1, k.line, r.columns[i].name)
		}
		r.columns[i].value = c.fields[at]
	}
	return k.checked(r)
}

// split finds the first most fields of a record, all of them where it is negative. Quotes around a field are taken off; those
// inside of it stay doubled.
func (c *csvReader) split(line []byte, most int) {
	c.fields = c.fields[:0]
	for len(c.fields) != most {
		end := bytes.IndexByte(line, ',')
		quoted := len(line) > 0 && line[0] == '"'
		if quoted {
			end = endOfQuoted(line)
		}
		if end < 0 {
			end = len(line)
		}
		field := line[:end]
		if quoted {
			field = bytes.TrimSuffix(field[1:], []byte{'"'})
		}
		c.fields = append(c.fields, field)
		if end == len(line) {
			return
		}
		line = line[end+1:]
	}
}

// endOfQuoted returns where the field ends that begins with a quote; -1: with the line.
func endOfQuoted(line []byte) int {
	for i := 1; i < len(line); i++ {
		if line[i] != '"' {
			continue
		}
		if i+1 < len(line) && line[i+1] == '"' {
			i++
			continue
		}
		if end := bytes.IndexByte(line[i:], ','); end >= 0 {
			return i + end
		}
		return -1
	}
	return -1
}

// end takes the end of the stream.
func (c *csvReader) end(k *Checker) error {
	if c.open() {
		return breach("record %d is cut: it has a quote that nothing closes", k.all+1)
	}
	return nil
}
