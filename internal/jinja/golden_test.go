package jinja

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// goldenCase is one template with the output of the real Jinja2, or its error.
type goldenCase struct {
	Group string
	Name  string
	T     string
	Want  *string
	Err   *string
}

type goldenFile struct {
	Ctx   json.RawMessage
	Cases []goldenCase
}

// exceptions are the cases in which we differ, and why.
func exceptions() map[string]string {
	return map[string]string{
		"py/strftime":                       "no variable of a project is a date object",
		"py/datetime attrs/isoformat":       "no variable of a project is a date object",
		"value/{{ range(200000) }}":         "limited as in Jinja2's sandbox",
		"value/{{ 'x'.__class__ }}":         "nothing of the language below can be reached",
		"value/{{ ''.__class__.__mro__ }}":  "nothing of the language below can be reached",
		"value/{{ n.real.x }}":              "numbers have methods only; both are a mistake",
		"filter/{{ html | e | upper | e }}": "only the filter e itself knows that text is escaped",
		"filter/{{ '１２' | int }}":           "digits of other scripts are not numbers",
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 2 {
		t.Fatalf("golden files: %v, %v", files, err)
	}
	for _, file := range files {
		golden := readGolden(t, file)
		vars := goldenVars(t, golden.Ctx)
		for _, c := range golden.Cases {
			name := c.Group + "/" + c.Name
			if exceptions()[name] != "" {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				checkGolden(t, c, vars)
			})
		}
	}
}

func checkGolden(t *testing.T, c goldenCase, vars Vars) {
	t.Helper()
	got, err := render(c.T, vars)
	if c.Want == nil {
		if err == nil {
			t.Fatalf("%q\n got %q\nwant error %s", c.T, got, *c.Err)
		}
		return
	}
	if err != nil {
		t.Fatalf("%q: %v", c.T, err)
	}
	if diff := cmp.Diff(*c.Want, got); diff != "" {
		t.Errorf("%q (-want +got):\n%s", c.T, diff)
	}
}

func render(source string, vars Vars) (string, error) {
	tpl, err := Parse("t", source)
	if err != nil {
		return "", err
	}
	got, _, err := tpl.Render(vars)
	return got, err
}

func readGolden(t *testing.T, file string) (g goldenFile) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return g
}

// goldenVars reads the context with the order of its keys and with ints as ints.
func goldenVars(t *testing.T, raw json.RawMessage) Vars {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	dict, ok := decodeOrdered(t, d).(*Dict)
	if !ok {
		t.Fatal("ctx is not an object")
	}
	vars := Vars{}
	for i, k := range dict.keys {
		vars[k.(string)] = dict.values[i]
	}
	return vars
}

func decodeOrdered(t *testing.T, d *json.Decoder) any {
	t.Helper()
	tok, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	switch tok := tok.(type) {
	case json.Delim:
		if tok == '[' {
			items := []any{}
			for d.More() {
				items = append(items, decodeOrdered(t, d))
			}
			mustToken(t, d)
			return items
		}
		dict := &Dict{}
		for d.More() {
			key, _ := mustToken(t, d).(string)
			dict.Set(key, decodeOrdered(t, d))
		}
		mustToken(t, d)
		return dict
	case json.Number:
		if n, err := tok.Int64(); err == nil {
			return n
		}
		f, _ := tok.Float64()
		return f
	}
	return tok
}

func mustToken(t *testing.T, d *json.Decoder) json.Token {
	t.Helper()
	tok, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	return tok
}
