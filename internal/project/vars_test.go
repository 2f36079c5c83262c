package project

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// oneFile returns a reader that knows a single file.
func oneFile(name, text string) func(string) ([]byte, error) {
	return func(asked string) ([]byte, error) {
		if asked != name {
			return nil, fs.ErrNotExist
		}
		return []byte(text), nil
	}
}

func TestParseVars(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args []string
		file string // text of the file "vars.txt"
		want []KeyValue
	}{
		{"none", nil, "", nil},
		{"one", []string{"a=1"}, "", []KeyValue{{"a", "1", ""}}},
		{"several", []string{"a=1", "b=2"}, "", []KeyValue{{"a", "1", ""}, {"b", "2", ""}}},
		{"split at the first =", []string{"q=a=b"}, "", []KeyValue{{"q", "a=b", ""}}},
		{"text as typed", []string{"zip=00123", "acct=1e5", "ver=1_000", "flag=t", "v=True"}, "",
			[]KeyValue{{"zip", "00123", ""}, {"acct", "1e5", ""}, {"ver", "1_000", ""}, {"flag", "t", ""}, {"v", "True", ""}}},
		{"quotes and blanks as typed", []string{`a="x"`, "b= y "}, "", []KeyValue{{"a", `"x"`, ""}, {"b", " y ", ""}}},
		{"empty value", []string{"empty="}, "", []KeyValue{{"empty", "", ""}}},
		{"words without = belong to the one before", []string{"d=2026-01-01", "00:00", "UTC", "e=1"}, "",
			[]KeyValue{{"d", "2026-01-01 00:00 UTC", ""}, {"e", "1", ""}}},
		{"a later one stays beside the earlier", []string{"a=1", "a=2"}, "", []KeyValue{{"a", "1", ""}, {"a", "2", ""}}},
		{"blanks around a key", []string{" a =1"}, "", []KeyValue{{"a", "1", ""}}},
		{"file", []string{"vars.txt"}, "a=1\r\n\n  # comment\nb = \"x y\" \n'c'='it''s'\nd=\ne=\"\nf=a=\"b\"\n",
			[]KeyValue{{"a", "1", "vars.txt:1"}, {"b", "x y", "vars.txt:4"}, {"c", "it''s", "vars.txt:5"}, {"d", "", "vars.txt:6"}, {"e", `"`, "vars.txt:7"}, {"f", `a="b"`, "vars.txt:8"}}},
		{"file with a byte order mark", []string{"vars.txt"}, "\ufeffa=1", []KeyValue{{"a", "1", "vars.txt:1"}}},
		{"empty file", []string{"vars.txt"}, "", nil},
		{"a word with = is never a file", []string{"vars.txt=1"}, "x=2", []KeyValue{{"vars.txt", "1", ""}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseVars(tt.args, oneFile("vars.txt", tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestParseVarsErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args []string
		file string
		want string
	}{
		{"bare word", []string{"word"}, "", `"word" is neither of the form key=value nor a file of such lines`},
		{"bare word first", []string{"word", "a=1"}, "", `"word" is not of the form key=value`},
		{"a file is not looked for among others", []string{"vars.txt", "a=1"}, "b=2", `"vars.txt" is not of the form key=value`},
		{"empty word", []string{""}, "", `"" is neither`},
		{"no key", []string{"=1"}, "", `no key before the = in "=1": write key=value`},
		{"file line without =", []string{"vars.txt"}, "a=1\nword\n", `vars.txt:2: "word" is not of the form key=value`},
		{"file line without key", []string{"vars.txt"}, "''=1\n", `vars.txt:1: "''=1" is not of the form key=value`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseVars(tt.args, oneFile("vars.txt", tt.file))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v; want %q", got, err, tt.want)
			}
		})
	}
	if _, err := ParseVars([]string{"word"}, oneFile("", "")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the cause is lost: %v", err)
	}
}

func FuzzParseVars(f *testing.F) {
	f.Add("a=1\x00b\x00c=3", "x=1\n")
	f.Add("vars.txt", "\ufeffa='1'\r\n#\n")
	f.Add("=", "=")
	f.Fuzz(func(t *testing.T, words, file string) {
		args := strings.Split(words, "\x00")
		got, err := ParseVars(args, oneFile("vars.txt", file))
		if err != nil && got != nil {
			t.Error("values beside an error")
		}
		for _, kv := range got {
			if kv.Key == "" || strings.Contains(kv.Key, "=") {
				t.Errorf("key %q", kv.Key)
			}
		}
	})
}
