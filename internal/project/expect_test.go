package project

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/stream"
)

func TestExpect(t *testing.T) {
	t.Parallel()
	p, warnings := decode(t, `version: 1
tasks:
- pipeline:
  - command: tap
    expect:
      rows: {min: 1, max: 9, change: 50%}
      columns: [id]
      schema: fixed
      errors: none
      streams:
        users: {unique: [id, day], rows: {change: 12.5}}
  - command: target
`)
	if len(warnings) > 0 {
		t.Fatal(warnings)
	}
	most := int64(9)
	got := p.Tasks[0].Pipeline[0].Expect
	want := &Expect{
		Pos: got.Pos, NoErrors: true,
		Contract: stream.Contract{
			Rules: stream.Rules{Rows: stream.Rows{Min: 1, Max: &most, Change: 0.5}, Columns: []string{"id"}}, Fixed: true,
			Streams: map[string]stream.Rules{"users": {Rows: stream.Rows{Change: 0.125}, Unique: []string{"id", "day"}}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestExpectRules(t *testing.T) {
	t.Parallel()
	const head = "tasks: [{pipeline: [{command: a, expect: "
	checkRules(t, []rule{
		{name: "nothing", text: head + "{}}]}]\n", lenient: []string{`E 2:42: tasks[0].pipeline[0].expect: nothing is expected (rows, columns, unique, schema or errors)`}},
		{name: "too much and too little", text: head + "{rows: {min: 3, max: 2}}}]}]\n", lenient: []string{`E 2:63: tasks[0].pipeline[0].expect.rows: max 2 is less than min 3`}},
		{name: "no percentage", text: head + "{rows: {change: -5%}}}]}]\n", lenient: []string{`E 2:58: tasks[0].pipeline[0].expect.rows.change: "-5%" is not a percentage above 0 (write it as 50%)`}},
		{name: "no streams", text: head + "{format: csv, streams: {a: {columns: [b]}}}}]}]\n", lenient: []string{`E 2:65: tasks[0].pipeline[0].expect: csv has no streams (they belong to format: singer)`}},
		{name: "no column", text: head + "{columns: ['']}}]}]\n", lenient: []string{`E 2:53: tasks[0].pipeline[0].expect.columns[0]: the name of a column is empty`}},
		{
			name:    "in a loop",
			text:    "tasks: [{pipeline: [{command: a}, {foreach: [{pipeline: [{command: b, expect: {rows: {min: 1, change: 5%}}}, {command: c}]}]}]}]\n",
			lenient: []string{`E 2:79: tasks[0].pipeline[1].foreach[0].pipeline[0].expect: change and schema compare with earlier runs, and no record is kept of what a foreach runs (min, max, columns, unique and errors are checked there, too)`},
		},
	})
}
