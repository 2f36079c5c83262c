package stream

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// held returns what a Checker says of a text that comes some bytes at a time: "" where all is as expected.
func held(c Contract, before Before, text string, size int) (string, *Checker) {
	k := NewChecker(c, before)
	for b := []byte(text); len(b) > 0; b = b[min(size, len(b)):] {
		if _, err := k.Write(b[:min(size, len(b))]); err != nil {
			return err.Error(), k
		}
	}
	if err := k.Close(); err != nil {
		return err.Error(), k
	}
	return "", k
}

func rec(stream, fields string) string {
	return `{"type": "RECORD", "stream": "` + stream + `", "record": {` + fields + `}, "time_extracted": "2026", "version": 1}` + "\n"
}

func schemaOf(stream, properties string) string {
	return `{"type": "SCHEMA", "stream": "` + stream + `", "schema": {"properties": {` + properties + `}}, "key_properties": []}` + "\n"
}

func TestChecker(t *testing.T) {
	t.Parallel()
	two := int64(2)
	ids := Contract{Rules: Rules{Columns: []string{"id"}}}
	unique := Contract{Rules: Rules{Unique: []string{"id"}}}
	users := rec("users", `"id": 1, "n": "x"`) + rec("orders", `"id": 1`) + rec("users", `"id": 2, "n": "y"`)
	for name, c := range map[string]struct {
		contract Contract
		before   Before
		text     string
		want     string
		n        int64
	}{
		"all is well":   {ids, Before{}, schemaOf("users", "") + users + `{"type": "STATE", "value": {}}` + "\n", "", 3},
		"a minimum":     {Contract{Rules: Rules{Rows: Rows{Min: 4}}}, Before{}, users, "only 3 records came, at least 4 are expected", 3},
		"nothing":       {Contract{Rules: Rules{Rows: Rows{Min: 1}}}, Before{}, "", "only 0 records came, at least 1 are expected", 0},
		"a maximum":     {Contract{Rules: Rules{Rows: Rows{Max: &two}}}, Before{}, users, "record 3 is one more than the 2 that may come", 3},
		"of a stream":   {Contract{Streams: map[string]Rules{"orders": {Rows: Rows{Min: 2}}}}, Before{}, users, `only 1 record of stream "orders" came, at least 2 are expected`, 3},
		"no stream":     {Contract{Streams: map[string]Rules{"gone": {Rows: Rows{Min: 1}}}}, Before{}, users, `only 0 records of stream "gone" came, at least 1 are expected`, 3},
		"a change":      {Contract{Rules: Rules{Rows: Rows{Change: 0.5}}}, Before{Rows: map[string]int64{"users": 10}}, users, "3 records came; 10 are usual, and a change of at most 50% is expected", 3},
		"a small one":   {Contract{Rules: Rules{Rows: Rows{Change: 0.5}}}, Before{Rows: map[string]int64{"users": 2, "orders": 2}}, users, "", 3},
		"no run before": {Contract{Rules: Rules{Rows: Rows{Change: 0.5}}}, Before{}, users, "", 3},
		"null":          {ids, Before{}, users + rec("users", `"id": null`), `record 3 of stream "users" (line 4) has no value for the column "id"`, 3},
		"deeper":        {ids, Before{}, rec("users", `"x": {"id": 1}`), `record 1 of stream "users" (line 1) has no value for the column "id"`, 0},
		"behind":        {Contract{Rules: Rules{Columns: []string{"version"}}}, Before{}, users, `record 1 of stream "users" (line 1) has no value for the column "version"`, 0},
		"in a text":     {ids, Before{}, rec("users", `"id": 1`) + rec("users", `"x": "\"id\": 1"`), `record 2 of stream "users" (line 2) has no value for the column "id"`, 1},
		"end of a key":  {ids, Before{}, rec("users", `"id": 1`) + rec("users", `"x\"id": 1`), `record 2 of stream "users" (line 2) has no value for the column "id"`, 1},
		"braces":        {ids, Before{}, rec("users", `"a": "}{", "id": 1`) + rec("users", `"a": [{"id": 7}], "id" : "}"`), "", 2},
		"other order":   {ids, Before{}, `{"record": {"id": 1}, "stream": "a", "type": "RECORD"}` + "\n" + `{"record": {"i": 1}, "stream": "a", "type": "RECORD"}` + "\n", `record 2 of stream "a" (line 2) has no value for the column "id"`, 1},
		"escaped":       {ids, Before{}, rec("users", `"\u0069d": 1`), "", 1},
		"one stream":    {Contract{Streams: map[string]Rules{"users": {Columns: []string{"n"}}}}, Before{}, users, "", 3},
		"no message":    {ids, Before{}, users + "hello\n", "line 4 is no Singer message", 3},
		"cut":           {ids, Before{}, users + `{"type": "RECORD", "stream": "users", "record": {"id": 3`, `record 3 of stream "users" (line 4) is not a whole record message`, 3},
		"twice":         {unique, Before{}, users + rec("users", `"id": 2`), `record 3 of stream "users" (line 4) has the same id 2 as an earlier one`, 3},
		"pairs": {
			Contract{Rules: Rules{Unique: []string{"a", "b"}}}, Before{}, `{"a": 1, "b": 11}` + "\n" + `{"a": 11, "b": 1}` + "\n" + `{"b": 1, "a": 11}` + "\n",
			`record 3 (line 3) has the same a 11, b 1 as an earlier one`, 2,
		},
		"ndjson":       {ids, Before{}, `{"id": 1}` + "\r\n\r\n" + `{"id": "x"}` + "\n" + `{"i": 1}`, `record 3 (line 4) has no value for the column "id"`, 2},
		"no object":    {ids, Before{}, `{"id": 1}` + "\n[1]\n", `record 2 (line 2) is no JSON object`, 1},
		"csv":          {ids, Before{}, "a,id\nx,1\n\n\"y\nz\",2\n", "", 2},
		"csv, empty":   {ids, Before{}, "a,id\nx,1\ny,\"\"\n", `record 2 (line 3) has no value for the column "id"`, 1},
		"csv, short":   {ids, Before{}, "a,id\nx\n", `record 1 (line 2) has no value for the column "id"`, 0},
		"csv, header":  {ids, Before{}, "a,b\nx,1\n", `the header has no column "id"`, 0},
		"csv, twice":   {unique, Before{}, "\xef\xbb\xbf\"id\",a\n1,x\n\"2,\"\"\",y\n\"1\",z\n", `record 3 (line 4) has the same id 1 as an earlier one`, 2},
		"csv, cut":     {ids, Before{}, "a,id\nx,1\n\"y", `record 2 is cut: it has a quote that nothing closes`, 1},
		"csv, counted": {Contract{Format: CSV, Rules: Rules{Rows: Rows{Min: 3}}}, Before{}, "{}\n1\n\"\n\n\"\n", `only 2 records came, at least 3 are expected`, 2},
		"drift": {
			Contract{Fixed: true}, Before{Columns: map[string][]string{"a": {"x: integer", "y: string"}}}, schemaOf("a", `"x": {"type": ["null", "integer"]}, "z": {}`),
			`the columns of stream "a" are not those of the last good run: new "x: [\"null\",\"integer\"]", new "z: null", gone "x: integer", gone "y: string"`, 0,
		},
		"no drift":       {Contract{Fixed: true}, Before{Columns: map[string][]string{"a": {"x: integer"}}}, schemaOf("a", `"x": {"type": "integer"}`) + schemaOf("new", `"y": {}`), "", 0},
		"drift of lines": {Contract{Fixed: true}, Before{}, `{"a": 1, "b": 2}` + "\n" + `{"b": 1, "a": 2}` + "\n" + `{"a": 1, "c": 2}` + "\n", `the columns change at line 3: new "c", gone "b"`, 2},
		"drift of a csv": {Contract{Fixed: true}, Before{Columns: map[string][]string{"": {"a", "b"}}}, "a,c\n1,2\n", `the columns are not those of the last good run: new "c", gone "b"`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{3, 1 << 20} {
				got, k := held(c.contract, c.before, c.text, size)
				if diff := cmp.Diff(c.want, got); diff != "" || k.Records() != c.n {
					t.Errorf("%d bytes at a time, %d records: %s", size, k.Records(), diff)
				}
			}
		})
	}
}

func TestCheckerTells(t *testing.T) {
	t.Parallel()
	_, k := held(Contract{Fixed: true}, Before{}, schemaOf("a", `"x": {"type": "integer"}`)+schemaOf("b", "")+rec("a", `"x": 1`), 1<<20)
	if diff := cmp.Diff(map[string]int64{"a": 1, "b": 0}, k.Rows()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string][]string{"a": {"x: integer"}, "b": {}}, k.Columns()); diff != "" {
		t.Error(diff)
	}
}

func TestKeySet(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]func(i int) string{
		"dense":  func(i int) string { return fmt.Sprint(i) },
		"spread": func(i int) string { return fmt.Sprint(i * 1_000_003) },
		"texts":  func(i int) string { return fmt.Sprintf("%q", fmt.Sprint(i)) },
		"mixed":  func(i int) string { return fmt.Sprint(i/2) + strings.Repeat(".5", i%2) },
		"forms":  func(i int) string { return strings.Repeat("0", i%18) + fmt.Sprint(i/18) },
	} {
		s := newKeySet()
		for round := range 2 {
			for i := range 20_000 {
				if s.add([]byte(key(i))) != (round == 0) {
					t.Fatalf("%s: key %s in round %d", name, key(i), round)
				}
			}
		}
		if got := len(s.numbers) == 0; got != (name == "spread" || name == "texts") {
			t.Errorf("%s: hashes only: %v", name, got)
		}
	}
}

// FuzzChecker holds the fast way to find a column against encoding/json.
func FuzzChecker(f *testing.F) {
	for _, s := range []string{`{"id": 1}`, `{"x": {"id": 1}}`, `{"x": "\"id\":1"}`, `{"x\"id": 1}`, `{"\\": 1, "id" : [1]}`, `{"id": null, "id": 2}`, `{"x":"}","id":"{"}`, `{"id": 1}}`} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		one, two = strings.ReplaceAll(one, "\n", " "), strings.ReplaceAll(two, "\n", " ")
		var a, b map[string]json.RawMessage
		if json.Unmarshal([]byte(one), &a) != nil || json.Unmarshal([]byte(two), &b) != nil || a == nil || b == nil || !json.Valid([]byte(one)) {
			return
		}
		has := func(m map[string]json.RawMessage) bool { return m["id"] != nil && string(m["id"]) != "null" }
		contract := Contract{Format: NDJSON, Rules: Rules{Columns: []string{"id"}}}
		got, _ := held(contract, Before{}, one+"\n"+two+"\n", 1<<20)
		if twice(one) || twice(two) {
			return // which of two fields of one name counts is for nobody to say
		}
		if (got == "") != (has(a) && has(b)) {
			t.Errorf("%q for %s, %s", got, one, two)
		}
	})
}

// FuzzCheckerWays holds the fast way through whole lines against the slow one, which lines take that come in parts.
func FuzzCheckerWays(f *testing.F) {
	for _, s := range []string{
		rec("a", `"id": 1`) + rec("a", `"id": 2`) + rec("b", `"id": 1`) + rec("a", `"id": 2`), rec("a", `"id": 1`) + `{"type":"RECORD","stream":"a","record":{"id":2}}` + "\n" + rec("a", `"x": {"id": 3}`),
		`{"id": 1, "x": "}"}` + "\r\n\n" + `{"x": {}, "id": 1}` + "\n" + `{"id": 1.5}x` + "\n", "id,x\n1,\"\n\"\n1,2\n", rec("a", `"id": 1`) + "\n" + schemaOf("a", "") + rec("a", `"id":null`),
	} {
		f.Add(s)
	}
	two := int64(2)
	f.Fuzz(func(t *testing.T, text string) {
		for line := range strings.Lines(text) {
			if !unambiguous(strings.TrimSpace(line)) {
				return
			}
		}
		for _, c := range []Contract{{Rules: Rules{Columns: []string{"id"}}}, {Rules: Rules{Unique: []string{"id"}}}, {Rules: Rules{Rows: Rows{Max: &two}}}} {
			fast, a := held(c, Before{}, text, max(len(text), 1))
			slow, b := held(c, Before{}, text, 1)
			if fast != slow || a.Records() != b.Records() {
				t.Errorf("%q, %d records; in parts %q, %d records: %q", fast, a.Records(), slow, b.Records(), text)
			}
		}
	})
}

// unambiguous reports whether all readers find the same in a line: it is no broken object, and has no key more than once.
func unambiguous(line string) bool {
	if !strings.HasPrefix(line, "{") {
		return true
	}
	for _, key := range []string{`"type"`, `"stream"`, `"record"`, `"id"`} {
		if strings.Count(line, key) > 1 {
			return false
		}
	}
	return json.Valid([]byte(line)) && !strings.Contains(line, `\u`)
}

// twice reports whether an object has the key "id" more than once.
func twice(object string) bool {
	n := 0
	members([]byte(object), func(key, _ []byte) bool {
		if nameOf(key) == "id" {
			n++
		}
		return true
	})
	return n > 1
}
