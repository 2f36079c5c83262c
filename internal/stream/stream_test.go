package stream

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCounter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text  string
		lines int64
		rows  map[string]int64
	}{
		"nothing": {"", 0, nil},
		"messages": {
			`{"type": "SCHEMA", "stream": "a", "schema": {}, "key_properties": []}` + "\n" +
				`{"type": "RECORD", "stream": "a", "record": {"id": 1}}` + "\n" +
				`{"type":"RECORD","stream":"b","record":{"type": "x", "stream": "y"}}` + "\n" +
				`{"type":"STATE","value":{}}` + "\n" +
				`{"record": {"id": "}{\"" }, "stream": "a", "type": "RECORD"}` + "\n",
			5, map[string]int64{"a": 2, "b": 1},
		},
		"only a schema":           {`{"type": "SCHEMA", "stream": "a", "schema": {}}` + "\n", 1, map[string]int64{"a": 0}},
		"no end of the last line": {`{"type": "RECORD", "stream": "a", "record": {}}`, 0, map[string]int64{"a": 1}},
		"escaped name":            {`{"type": "RECORD", "stream": "\u0061\"", "record": {}}` + "\n", 1, map[string]int64{`a"`: 1}},
		"noise before":            {strings.Repeat("hello\n", patience) + `{"type": "RECORD", "stream": "a", "record": {}}` + "\n", patience + 1, map[string]int64{"a": 1}},
		"another stream":          {strings.Repeat(`{"id": 7}`+"\n", patience+1) + `{"type": "RECORD", "stream": "a"}` + "\n", patience + 2, nil},
		"no stream":               {`{"type": "RECORD", "record": {}}` + "\n" + `{"type": "STATE"}` + "\n" + `{"type": 7, "stream": 8}` + "\n", 3, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{1, 7, 1 << 20} {
				var got Counter
				for b := []byte(c.text); len(b) > 0; b = b[min(size, len(b)):] {
					_, _ = got.Write(b[:min(size, len(b))])
				}
				got.Close()
				if diff := cmp.Diff(c.rows, got.Rows()); got.Lines != c.lines || diff != "" {
					t.Errorf("%d bytes at a time: %d lines, %s", size, got.Lines, diff)
				}
			}
		})
	}
}

// FuzzMembers holds the scanner against encoding/json: what is an object has the same members for both.
func FuzzMembers(f *testing.F) {
	for _, s := range []string{
		`{}`, ` {"a" : 1 , "b":[1,{"c":"]"}],"d":"\\\"}","e":null,"a":-1.5E+3} `, `{"a":1}{}`, `{"a"}`, `[1]`, `"x"`, `{"a":"\u00e9\\"}`, `{"a":tru}`, "{\"a\":\x00}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		var got bytes.Buffer
		ok := members(line, func(key, value []byte) bool {
			got.WriteString(`,"` + string(key) + `":` + string(value))
			return true
		})
		if !json.Valid(line) {
			return
		}
		isObject := bytes.TrimLeft(line, " \t\r\n")[0] == '{'
		if ok != isObject {
			t.Fatalf("taken for an object: %v", ok)
		}
		if !ok {
			return
		}
		again := "{" + strings.TrimPrefix(got.String(), ",") + "}"
		var a, b any
		if err := json.Unmarshal([]byte(again), &a); err != nil {
			t.Fatalf("%v: %s", err, again)
		}
		if err := json.Unmarshal(line, &b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(b, a); diff != "" {
			t.Error(diff)
		}
	})
}
