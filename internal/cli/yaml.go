package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
)

// jsonToYAML writes a JSON document as YAML and keeps the order of its keys. What is plain, as most is, it writes itself; the
// rest it leaves to the YAML library, which knows what is to be quoted and how, and takes ten times as long.
func jsonToYAML(text []byte) ([]byte, error) {
	doc, _, err := readNode(text)
	if err != nil {
		return nil, fmt.Errorf("encode result: %w", err)
	}
	if len(doc.Content) == 0 {
		return library(doc)
	}
	w := yamlWriter{}
	if err := w.entries(doc, 0, false); err != nil {
		return nil, fmt.Errorf("encode result: %w", err)
	}
	return w.out.Bytes(), nil
}

// readNode reads the first value of a text that encoding/json has written, and returns what follows it. A decoder that checks
// every sign of what is known to be right would take half of the time of a large result.
func readNode(text []byte) (n *yaml.Node, rest []byte, err error) {
	t := bytes.TrimLeft(text, " \n,:")
	switch {
	case len(t) == 0:
		return nil, nil, io.ErrUnexpectedEOF
	case t[0] == '"':
		end := endOfString(t)
		text, err := unquote(t[:end])
		return stringNode(text), t[end:], err
	case t[0] == '{' || t[0] == '[':
		return readContent(t)
	}
	end := bytes.IndexAny(t, ",]} \n")
	if end < 0 {
		end = len(t)
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: string(t[:end])}, t[end:], nil
}

// readContent reads a mapping or sequence: t begins with its bracket.
func readContent(t []byte) (n *yaml.Node, rest []byte, err error) {
	n = &yaml.Node{Kind: yaml.MappingNode}
	if t[0] == '[' {
		n.Kind = yaml.SequenceNode
	}
	for t = t[1:]; ; {
		if t = bytes.TrimLeft(t, " \n,"); len(t) > 0 && (t[0] == '}' || t[0] == ']') {
			return n, t[1:], nil
		}
		var item *yaml.Node
		if item, t, err = readNode(t); err != nil {
			return nil, nil, err
		}
		n.Content = append(n.Content, item)
	}
}

// endOfString returns the length of the string that t begins with.
func endOfString(t []byte) int {
	for i := 1; i < len(t); i++ {
		switch t[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(t)
}

func unquote(t []byte) (text string, err error) {
	if len(t) > 1 && t[len(t)-1] == '"' && bytes.IndexByte(t, '\\') < 0 {
		return string(t[1 : len(t)-1]), nil
	}
	err = json.Unmarshal(t, &text)
	return text, err
}

// stringNode leaves it to the library to quote what would be read as something else.
func stringNode(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	if strings.Contains(text, "\n") {
		n.Style = yaml.LiteralStyle
	}
	return n
}

type yamlWriter struct{ out bytes.Buffer }

const (
	yamlIndent = 2
	yamlWidth  = 80 // the library folds lines that are longer
)

// entries writes what is in a mapping or sequence at a column. begun: the first line is there up to that column.
func (w *yamlWriter) entries(n *yaml.Node, column int, begun bool) error {
	step := 1
	if n.Kind == yaml.MappingNode {
		step = 2
	}
	for i := 0; i < len(n.Content); i += step {
		if !begun {
			w.out.WriteString(strings.Repeat(" ", column))
		}
		begun = false
		if err := w.entry(n.Kind, n.Content[i:i+step], column); err != nil {
			return err
		}
	}
	return nil
}

// entry writes an item of a sequence, or a key and its value.
func (w *yamlWriter) entry(kind yaml.Kind, parts []*yaml.Node, column int) error {
	value := parts[len(parts)-1]
	lead := "-"
	if kind == yaml.MappingNode {
		lead = parts[0].Value + ":"
	}
	switch {
	case kind == yaml.MappingNode && !isPlain(parts[0], yamlWidth/2):
		return w.leave(kind, parts, column)
	case len(value.Content) > 0 && kind == yaml.SequenceNode:
		w.out.WriteString("- ")
		return w.entries(value, column+yamlIndent, true)
	case len(value.Content) > 0:
		w.out.WriteString(lead + "\n")
		return w.entries(value, column+yamlIndent, false)
	case isPlain(value, yamlWidth-column-len(lead)-2):
		w.out.WriteString(lead + " " + value.Value + "\n")
		return nil
	}
	return w.leave(kind, parts, column)
}

// leave has the library write an entry, within mappings that bring it to its column: there it decides where lines are folded.
func (w *yamlWriter) leave(kind yaml.Kind, parts []*yaml.Node, column int) error {
	n := &yaml.Node{Kind: kind, Content: parts}
	for range column / yamlIndent {
		n = &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{stringNode("x"), n}}
	}
	text, err := library(n)
	for range column / yamlIndent {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	w.out.Write(text[min(column, len(text)):])
	return err
}

func library(n *yaml.Node) ([]byte, error) {
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(yamlIndent)
	if err := enc.Encode(n); err != nil {
		return nil, err
	}
	return buf.Bytes(), enc.Close()
}

// isPlain reports whether a scalar of at most that many bytes is written as it is: a number, a boolean, or a text that nobody
// takes for one, or for a date, null or syntax.
func isPlain(n *yaml.Node, most int) bool {
	t := n.Value
	if n.Kind != yaml.ScalarNode || len(t) > most {
		return false
	}
	if n.Tag != "!!str" {
		return true
	}
	if len(t) == 0 || !(isLetter(t[0]) || t[0] == '/') || t[len(t)-1] == ' ' {
		return false
	}
	if len(t) <= len("false") && strings.Contains(" true false null yes no on off y n ", " "+strings.ToLower(t)+" ") {
		return false
	}
	for i := range len(t) {
		if c := t[i]; c < ' ' || c >= 0x7f || c == ':' || c == '#' {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
