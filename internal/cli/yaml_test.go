package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
	"pgregory.net/rapid"
)

func TestYAMLIsThatOfTheLibrary(t *testing.T) {
	t.Parallel()
	words := rapid.SampledFrom([]string{
		"", "a", "y", "n", "no", "yes", "on", "off", "true", "False", "null", "Null", "~", "nan", ".inf", "1", "0x1f", "1e3", "12:30", "2026-01-02", "dev", "raw", "tap-x", "task-0",
		"/bin/sh", "a b", " a", "a ", "a: b", "a:b", "a #b", "a#b", "#a", "- a", "-", "--x", "? a", "[a]", "{a}", "a, b", "'a'", `"a"`, "a'b", `a"b`, "*a", "&a", "!a", "|", ">", "%a", "@a", "`a`", "<<", "=",
		"a\nb", "a\n", "\na", " a\nb", "a\n\n b\n", "a \nb", "a\tb", "\ta", "é", "日本 語", "a\u00a0b", "a\u2028b", "\x01", "\x7f", "\ufeff", "\U0001f600",
		strings.Repeat("word and ", 12) + "end", strings.Repeat("longer", 20), strings.Repeat("é: ", 40), "seq 2000 | head -n 1 > 'x y'", "$x && `y`", "file.json", "x.y", "k=v", "exit", "stop", "i", "p", "N/A",
	})
	text := rapid.OneOf(words, words, rapid.String(), rapid.StringMatching(`[ -~]{0,100}`))
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		plain := []*rapid.Generator[any]{
			text.AsAny(), text.AsAny(), rapid.Int().AsAny(), rapid.Bool().AsAny(), rapid.Float64Range(-1e30, 1e30).AsAny(), rapid.Just[any](nil),
		}
		if depth > 0 {
			plain = append(plain, rapid.SliceOfN(value(depth-1), 0, 3).AsAny(), rapid.MapOfN(text, value(depth-1), 0, 4).AsAny(), rapid.MapOfN(text, value(depth-1), 0, 4).AsAny())
		}
		return rapid.OneOf(plain...)
	}
	rapid.Check(t, func(t *rapid.T) {
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(value(4).Draw(t, "value")); err != nil {
			t.Fatal(err)
		}
		got, err := jsonToYAML(buf.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		node, err := decoded(numbers(&buf))
		if err != nil {
			t.Fatal(err)
		}
		want, err := library(node)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func numbers(r *bytes.Buffer) *json.Decoder {
	dec := json.NewDecoder(r)
	dec.UseNumber()
	return dec
}

// decoded reads the next value of a JSON document by the decoder of the standard library.
func decoded(dec *json.Decoder) (*yaml.Node, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case string:
		return stringNode(t), nil
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: t.String()}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(t)}, nil
	case json.Delim:
		n := &yaml.Node{Kind: yaml.MappingNode}
		if t == '[' {
			n.Kind = yaml.SequenceNode
		}
		for dec.More() {
			item, err := decoded(dec)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, item)
		}
		_, err = dec.Token() // the end
		return n, err
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: "null"}, nil
}

// TestYAMLOfNoJSON: what nobody writes is an error, and no crash.
func TestYAMLOfNoJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", "[1", `{"a"`, `"a`, `"\`, `"\x"`} {
		if got, err := jsonToYAML([]byte(text)); err == nil {
			t.Errorf("%q is %q", text, got)
		}
	}
}
