package project

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ kind, text, want string }{
		{"", "007", "string 007"},
		{"text", "007", "string 007"},
		{"text", "", "string "},
		{"integer", "007", "int64 7"},
		{"integer", "-12", "int64 -12"},
		{"integer", "1.5", `"1.5" is not an integer: write 12`},
		{"integer", "1_000", `"1_000" is not an integer: write 12`},
		{"integer", "99999999999999999999", `"99999999999999999999" is not an integer: write 12`},
		{"integer", "", `"" is not an integer: write 12`},
		{"number", "3", "int64 3"},
		{"number", "1e3", "float64 1000"},
		{"number", "-0.5", "float64 -0.5"},
		{"number", "NaN", `"NaN" is not a number: write 1.5`},
		{"number", "inf", `"inf" is not a number: write 1.5`},
		{"number", "0x1p4", `"0x1p4" is not a number: write 1.5`},
		{"number", "1,5", `"1,5" is not a number: write 1.5`},
		{"boolean", "true", "bool true"},
		{"boolean", "off", "bool false"},
		{"boolean", "1", `"1" is not true or false: write one of them`},
		{"boolean", "", `"" is not true or false: write one of them`},
		{"date", "2024-02-29", "string 2024-02-29"},
		{"date", "2023-02-29", `"2023-02-29" is not a date: write 2026-01-31`},
		{"date", "31.01.2026", `"31.01.2026" is not a date: write 2026-01-31`},
		{"date", "2026-01-31T00:00:00Z", `"2026-01-31T00:00:00Z" is not a date: write 2026-01-31`},
		{"timestamp", "2026-01-31T06:00:00+02:00", "string 2026-01-31T06:00:00+02:00"},
		{"timestamp", "2026-01-31T06:00:00.5Z", "string 2026-01-31T06:00:00.5Z"},
		{"timestamp", "2026-01-31T06:00:00", `"2026-01-31T06:00:00" is not a timestamp: write 2026-01-31T06:00:00Z`},
		{"timestamp", "2026-01-31", `"2026-01-31" is not a timestamp: write 2026-01-31T06:00:00Z`},
		{"integer 1 02", "2", "int64 2"},
		{"integer 1 02", "3", `"3" is not one of "1", "02"`},
		{"text daily monthly", "mothly", `"mothly" is not one of "daily", "monthly": did you mean "monthly"?`},
	} {
		words := strings.Fields(tt.kind + " ")
		v := Var{}
		if len(words) > 0 {
			v.Type, v.Enum = words[0], words[1:]
		}
		value, err := v.Parse(tt.text)
		got := fmt.Sprintf("%T %v", value, value)
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q as %q: %s, want %s", tt.text, tt.kind, got, tt.want)
		}
		if err == nil {
			v.Value, v.Text = tt.text, tt.text
			if again, err := v.typed(); err != nil || again.Value != value {
				t.Errorf("%q as %q in a file: %v, %v", tt.text, tt.kind, again.Value, err)
			}
		}
		if _, err := v.Parse(fmt.Sprint(v.Sample())); err != nil {
			t.Errorf("the sample of %q: %v", tt.kind, err)
		}
	}
}

func TestTypeRules(t *testing.T) {
	t.Parallel()
	const tasks = "tasks: [{commands: [{command: ls}]}]\n"
	checkRules(t, []rule{
		{name: "good", text: tasks + "vars:\n- {key: a, type: date, required: true}\n- {key: b, type: integer, default: 007, enum: [7, 8]}\n- {key: c, type: text, value: 1.10}\n- {key: d, type: boolean, value: no}\n- {key: e, type: date, default: }\n- {key: f, type: date, value: ''}\n"},
		{name: "a wrong value", text: tasks + "vars: [{key: a, type: date, value: 2026-02-30}]\n",
			lenient: []string{`E 3:36: vars[0]: "2026-02-30" is not a date: write 2026-01-31`}},
		{name: "a list", text: tasks + "vars: [{key: a, type: date, default: [1]}]\n",
			lenient: []string{`E 3:38: vars[0]: a date is needed here, not a list or a map`}},
		{name: "value and default", text: tasks + "vars: [{key: a, value: 1, default: 2}]\n",
			lenient: []string{`E 3:36: vars[0]: "value" and "default" say the same (leave out one of them)`}},
		{name: "a type that there is not", text: tasks + "vars: [{key: a, type: int}]\n",
			lenient: []string{`E 3:23: vars[0].type: "int" is not one of "text", "integer", "number", "boolean", "date", "timestamp" (did you mean "integer"?)`}},
		{name: "a choice that is none", text: tasks + "vars: [{key: a, type: integer, enum: [1, x]}]\n",
			lenient: []string{`E 3:38: vars[0]: enum[1]: "x" is not an integer: write 12`}},
		{name: "none of the choices", text: tasks + "vars: [{key: a, enum: [x, y], default: z}]\n",
			lenient: []string{`E 3:40: vars[0]: "z" is not one of "x", "y"`}},
		{name: "of a client, told once", text: tasks + "vars: [{key: a, type: integer}]\nclients: [{name: c, vars: [{key: a, value: x}], stages: {prod: {vars: [{key: a, value: 1.5}]}}}]\nstages: {dev: {vars: [{key: a, value: y}]}}\n",
			lenient: []string{
				`E 4:28: variable "a": "x" is not an integer: write 12 (its type is that of vars of the project)`,
				`E 4:72: variable "a": "1.5" is not an integer: write 12 (its type is that of vars of the project)`,
				`E 5:23: variable "a": "y" is not an integer: write 12 (its type is that of vars of the project)`,
			}},
	})
}

// TestTypedOverlay: the value of a client is read as the project says, and a client that says nothing keeps what is below it.
func TestTypedOverlay(t *testing.T) {
	t.Parallel()
	p, _, err := Decode(FileName, "/prj", []byte(`version: 1
vars: [{key: n, type: integer, default: 1}, {key: t, type: text}, {key: u, value: 1}]
clients: [{name: a, vars: [{key: n, value: '002'}, {key: t, value: 1.10}, {key: u, value: '1'}]}, {name: b, vars: [{key: n}]}]
tasks: []
`))
	if err != nil {
		t.Fatal(err)
	}
	for client, want := range map[string][]any{"": {int64(1), nil, int64(1)}, "a": {int64(2), "1.10", "1"}, "b": {int64(1), nil, int64(1)}} {
		at, _ := p.For(client, "dev")
		var got []any
		for _, v := range at.Vars {
			got = append(got, v.Value)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", client, diff)
		}
	}
}
