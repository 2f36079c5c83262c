package project

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// value is a node together with the way that leads to it.
type value struct {
	node *yaml.Node // never an alias
	path string
}

func (v value) child(key string) string {
	switch {
	case strings.Trim(key, pathLetters) != "":
		return v.path + "[" + quote(key) + "]"
	case v.path == "":
		return key
	}
	return v.path + "." + key
}

// pathLetters are those that a key in a path shows without quotes.
const pathLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-<"

func (v value) item(i int, node *yaml.Node) value {
	return value{target(node), fmt.Sprintf("%s[%d]", v.path, i)}
}

// target follows an alias.
func target(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// entry is one key of a map with its value.
type entry struct {
	key  string
	at   value // the key itself, for messages; its path is that of the map
	what value
}

// isBlank says whether the value is a text without a letter in it.
func (e entry) isBlank() bool {
	n := e.what.node
	return n != nil && n.Kind == yaml.ScalarNode && !isNull(n) && strings.TrimSpace(n.Value) == ""
}

// mapping is a map of the file in its order, merge keys and duplicates resolved.
type mapping struct {
	value
	entries []entry
	index   map[string]int // into entries; only of large maps
	oneOf   []string       // of the shape that reads it
}

// get returns the entry of a key, and whether there is one.
func (m *mapping) get(key string) (entry, bool) {
	if i := m.find(key); i >= 0 {
		return m.entries[i], true
	}
	return entry{}, false
}

// find returns where the entry of a key is, -1 if there is none.
func (m *mapping) find(key string) int {
	if m.index != nil {
		if i, ok := m.index[key]; ok {
			return i
		}
		return -1
	}
	return slices.IndexFunc(m.entries, func(e entry) bool { return e.key == key })
}

// has says whether a key is there and not null.
func (m *mapping) has(key string) bool {
	e, ok := m.get(key)
	return ok && !isNull(e.what.node)
}

// place is where to point for a key: at its value if there is one, else at the map.
func (m *mapping) place(key string) value {
	if e, ok := m.get(key); ok {
		return value{e.what.node, m.path}
	}
	return m.value
}

func (m *mapping) put(e entry) (replaced *entry) {
	if i := m.find(e.key); i >= 0 {
		old := m.entries[i]
		m.entries[i] = e
		return &old
	}
	m.entries = append(m.entries, e)
	m.noteLast()
	return nil
}

// noteLast keeps the index of a map that is too large to search one by one.
func (m *mapping) noteLast() {
	const small = 32
	switch last := len(m.entries) - 1; {
	case m.index != nil:
		m.index[m.entries[last].key] = last
	case last >= small:
		m.index = map[string]int{}
		for i, e := range m.entries {
			m.index[e.key] = i
		}
	}
}

// mapping reads a map. Null is an empty one; anything else is reported and returns false.
func (d *decoder) mapping(v value, what string) (*mapping, bool) {
	m := &mapping{value: v}
	switch {
	case isNull(v.node):
		return m, true
	case v.node.Kind != yaml.MappingNode || !d.tagged(v, "!!map"):
		d.mismatch(v, what)
		return nil, false
	}
	merges := d.explicit(m)
	for _, from := range merges {
		d.merge(m, from)
	}
	return m, true
}

// explicit puts the keys that are written in the map itself and returns the values of its merge keys.
func (d *decoder) explicit(m *mapping) (merges []value) {
	for i := 0; i+1 < len(m.node.Content); i += 2 {
		key := value{target(m.node.Content[i]), m.path}
		if isMerge(key.node) {
			merges = append(merges, value{target(m.node.Content[i+1]), m.child("<<")})
			continue
		}
		if key.node.Kind != yaml.ScalarNode {
			d.fail(key, "a key must be a text", templateHint)
			continue
		}
		e := entry{key.node.Value, key, value{target(m.node.Content[i+1]), m.child(key.node.Value)}}
		if old := m.put(e); old != nil {
			d.legacy(key, fmt.Sprintf("the key %s is given on line %d already; the last one counts", quote(e.key), old.at.node.Line), "")
		}
	}
	return merges
}

// merge adds the keys of a merge key's value that the map does not have.
func (d *decoder) merge(m *mapping, from value) {
	sources := []value{from}
	if from.node.Kind == yaml.SequenceNode {
		sources = sources[:0]
		for i, n := range from.node.Content {
			sources = append(sources, from.item(i, n))
		}
	}
	for _, s := range sources {
		merged, ok := d.mapping(s, "a map to merge")
		if !ok {
			continue
		}
		for _, e := range merged.entries {
			if m.find(e.key) < 0 {
				e.what.path = m.child(e.key)
				e.at.path = m.path
				m.put(e)
			}
		}
	}
}

func isMerge(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "<<" && n.Tag == "!!merge"
}

func isNull(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	if n.Style&yaml.TaggedStyle != 0 {
		return n.Tag == "!!null"
	}
	return plain(n) && resolve(n.Value) == nil
}

// plain says whether a scalar is written without quotes, block marker or tag.
func plain(n *yaml.Node) bool {
	const marked = yaml.TaggedStyle | yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	return n.Style&marked == 0
}
