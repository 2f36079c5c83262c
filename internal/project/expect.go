package project

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/handoff-run/handoff/internal/stream"
)

// Expect is what is expected of what a command writes.
type Expect struct {
	Pos Pos
	stream.Contract
	NoErrors bool // it logs no line at ERROR level
}

// OfStream reports whether anything is expected of the stream, not of the log alone.
func (e *Expect) OfStream() bool {
	return e != nil && (e.Format != "" || e.Fixed || len(e.Streams) > 0 || !e.Rules.Empty())
}

func expectShape(c *catalog) *shape {
	type e = Expect
	return &shape{
		name: "expect", what: "a map with rows, columns, unique, schema, errors, format or streams",
		doc:     "What is expected of the records that a command of a pipeline writes. Where they are not so, the run fails before the next stage can see the end of its input; see [expect.md](../expect.md).",
		prepare: func(d *decoder, into any, v value) { into.(*e).Pos = d.pos(v.node) },
		check:   checkExpect,
		keys: append(rulesKeys(c, func(x *e) *stream.Rules { return &x.Rules }),
			key{name: "streams", field: ofStreams(c.rules), example: "{users: {columns: [email], rows: {min: 1}}}",
				doc: "Further rules for single streams of a Singer tap, by their names."},
			key{name: "schema", field: field{kind: textKind, enum: []string{"fixed"}, set: func(d *decoder, into any, v value) {
				_, into.(*e).Fixed = d.oneOf(v, []string{"fixed"})
			}},
				doc: "`fixed`: the columns are those of the last good run. Of a Singer stream these are the properties of its schema with their types, of CSV the header, of NDJSON the keys of each record."},
			key{name: "errors", field: field{kind: textKind, enum: []string{"none"}, set: func(d *decoder, into any, v value) {
				_, into.(*e).NoErrors = d.oneOf(v, []string{"none"})
			}},
				doc: "`none`: the command logs no line at ERROR level."},
			key{name: "format", field: field{kind: textKind, enum: formats(), set: func(d *decoder, into any, v value) {
				got, _ := d.oneOf(v, formats())
				into.(*e).Format = stream.Format(got)
			}}, standard: "seen from the first line",
				doc: "How the records are written: messages of Singer, a JSON object on each line, or CSV with commas and a header."},
		),
	}
}

func formats() []string {
	return []string{string(stream.Singer), string(stream.NDJSON), string(stream.CSV)}
}

func rulesShape(c *catalog) *shape {
	return &shape{
		name: "rules", what: "a map with rows, columns and unique", doc: "What is expected of the records of one stream.",
		keys: rulesKeys(c, func(r *stream.Rules) *stream.Rules { return r }),
	}
}

func rulesKeys[T any](c *catalog, at func(*T) *stream.Rules) []key {
	return []key{
		{name: "rows", field: object(c.rows, func(x *T) *stream.Rows { return &at(x).Rows }), example: "{min: 1, max: 500000, change: 50%}",
			doc: "How many records there are."},
		{name: "columns", field: texts(func(x *T) *[]string { return &at(x).Columns }, checkColumn), example: "[id, email]",
			doc: "Columns that each record has, with a value: not null, in CSV not empty."},
		{name: "unique", field: texts(func(x *T) *[]string { return &at(x).Unique }, checkColumn), example: "[id]",
			doc: "Columns whose values, together, no two records of a stream share. Of whole numbers that lie close together it takes a bit of memory for each record, of others 11 to 22 bytes."},
	}
}

func rowsShape() *shape {
	return &shape{
		name: "rows", what: "a map with min, max and change", doc: "How many records are expected.",
		check: checkRows,
		keys: []key{
			{name: "min", field: field{kind: integerKind, set: func(d *decoder, into any, v value) {
				n, _ := d.integer(v, 0)
				into.(*stream.Rows).Min = int64(n)
			}}, standard: "0", example: "1", doc: "At least so many."},
			{name: "max", field: field{kind: integerKind, set: func(d *decoder, into any, v value) {
				if n, ok := d.integer(v, 0); ok {
					most := int64(n)
					into.(*stream.Rows).Max = &most
				}
			}}, standard: "any number", example: "500000", doc: "At most so many."},
			{name: "change", field: field{kind: percentKind, set: setChange}, standard: "any", example: "50%",
				doc: "How far the number may be from that of the last good runs (the median of up to seven), in percent of it. Not checked where there are none yet."},
		},
	}
}

// percentPattern is a number with or without its sign.
const percentPattern = `^[0-9]+(\.[0-9]+)?%?$`

func setChange(d *decoder, into any, v value) {
	text, ok := d.text(v)
	if !ok {
		return
	}
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || n <= 0 || n > maxNumber {
		d.fail(v, fmt.Sprintf("%s is not a percentage above 0", quote(text)), "write it as 50%")
		return
	}
	into.(*stream.Rows).Change = n / 100
}

func checkRows(d *decoder, into any, m *mapping) {
	r := into.(*stream.Rows)
	if r.Max != nil && *r.Max < r.Min {
		d.fail(m.place("max"), fmt.Sprintf("max %d is less than min %d", *r.Max, r.Min), "")
	}
}

func checkColumn(d *decoder, v value, name string) {
	if name == "" {
		d.fail(v, "the name of a column is empty", "")
	}
}

// ofStreams takes a map from the names of streams to their rules.
func ofStreams(of *shape) field {
	return field{kind: objectMapKind, by: "streams", of: of, set: func(d *decoder, into any, v value) {
		m, ok := d.mapping(v, "a map from the names of streams to what is expected of them")
		if !ok {
			return
		}
		e := into.(*Expect)
		e.Streams = map[string]stream.Rules{}
		for _, x := range m.entries {
			var r stream.Rules
			d.object(x.what, of, &r)
			e.Streams[x.key] = r
		}
	}}
}

func checkExpect(d *decoder, into any, m *mapping) {
	e := into.(*Expect)
	if len(e.Streams) > 0 && e.Format != "" && e.Format != stream.Singer {
		d.fail(m.place("streams"), fmt.Sprintf("%s has no streams", e.Format), "they belong to format: singer")
	}
	if !e.OfStream() && !e.NoErrors && len(d.errors) == 0 { // what is wrong may be what was meant
		d.fail(m.value, "nothing is expected", "rows, columns, unique, schema or errors")
	}
}

// checkExpected refuses, in the body of a foreach, what needs the record of an earlier run.
func (d *decoder) checkExpected(s stageDraft) {
	e := s.Expect
	if e == nil || !s.Active || d.loops == 0 {
		return
	}
	if e.Compares() {
		d.fail(value{&yaml.Node{Line: e.Pos.Line, Column: e.Pos.Column}, s.at.path + ".expect"}, "change and schema compare with earlier runs, and no record is kept of what a foreach runs",
			"min, max, columns, unique and errors are checked there, too")
	}
}
