package project

import (
	"slices"
	"time"
)

// shape describes one kind of map in project.yml. The decoder, the JSON schema and the reference all read it.
type shape struct {
	name    string // of its definition in the schema and of its section in the reference
	what    string // as in "a task is needed here"
	plural  string // as in "a list of tasks"
	doc     string
	keys    []key
	oneOf   []string                                 // exactly one of these keys is there
	prepare func(d *decoder, into any, v value)      // sets defaults and position
	extra   func(d *decoder, into any, e entry) bool // takes a key that is not in keys
	check   func(d *decoder, into any, m *mapping)   // rules that need more than one key
	open    string                                   // pattern of further keys that the schema lets pass
	needs   []need                                   // a key that makes no sense without another
	// elsewhere has hints for keys that belong to another map.
	elsewhere map[string]string
}

func (s *shape) find(name string) *key {
	for i := range s.keys {
		if s.keys[i].name == name {
			return &s.keys[i]
		}
	}
	return nil
}

// names returns the keys to suggest.
func (s *shape) names() []string {
	var out []string
	for _, k := range s.keys {
		if k.insteadOf == "" {
			out = append(out, k.name)
		}
	}
	return out
}

// key is one key of a map.
type key struct {
	name      string
	field     field
	required  bool
	wanted    bool // required from version 1 on
	filled    bool // not a blank text
	doc       string
	standard  string // the default, as text
	unit      string
	example   string // as written in YAML, on one line
	insteadOf string // this is an older spelling of that key
}

// kind is what a value may be.
type kind int

const (
	textKind kind = iota
	boolKind
	integerKind
	numberKind
	durationKind
	anyKind
	listKind
	objectKind
	mapKind
	textMapKind
	objectMapKind
	percentKind
	nothingKind
	versionKind
)

// field says what a value is and where it goes.
type field struct {
	kind   kind
	of     *shape   // of lists and objects; nil: texts
	by     string   // of maps of objects: what its keys name
	only   string   // the elements of the list have this key
	single bool     // one element may stand without its list
	flag   bool     // true and false may stand in place of the map
	count  bool     // a whole number may stand in place of the map
	enum   []string // of texts
	low    float64  // of numbers
	set    func(d *decoder, into any, v value)
}

func text[T any](at func(*T) *string) field {
	return field{kind: textKind, set: func(d *decoder, into any, v value) {
		if got, ok := d.text(v); ok {
			*at(into.(*T)) = got
		}
	}}
}

func choice[T any](words []string, at func(*T) *string) field {
	return field{kind: textKind, enum: words, set: func(d *decoder, into any, v value) {
		if got, ok := d.oneOf(v, words); ok {
			*at(into.(*T)) = got
		}
	}}
}

// named is a choice that 0.4.x did not check. No words: any text.
func named[T any](words []string, at func(*T) *string) field {
	return field{kind: textKind, enum: words, set: func(d *decoder, into any, v value) {
		got, ok := d.text(v)
		if !ok {
			return
		}
		*at(into.(*T)) = got
		if words != nil && !slices.Contains(words, got) {
			message, hint := notOneOf(got, words)
			d.legacy(v, message, hint)
		}
	}}
}

func boolean[T any](at func(*T) *bool) field {
	return field{kind: boolKind, set: func(d *decoder, into any, v value) {
		if got, ok := d.boolean(v); ok {
			*at(into.(*T)) = got
		}
	}}
}

func maybe[T any](at func(*T) **bool) field {
	return field{kind: boolKind, set: func(d *decoder, into any, v value) {
		if got, ok := d.boolean(v); ok {
			*at(into.(*T)) = &got
		}
	}}
}

func integer[T any](low float64, at func(*T) *int) field {
	return field{kind: integerKind, low: low, set: func(d *decoder, into any, v value) {
		if got, ok := d.integer(v, low); ok {
			*at(into.(*T)) = got
		}
	}}
}

func number[T any](low float64, at func(*T) *float64) field {
	return field{kind: numberKind, low: low, set: func(d *decoder, into any, v value) {
		if got, ok := d.number(v, low, "a number"); ok {
			*at(into.(*T)) = got
		}
	}}
}

func duration[T any](at func(*T) *time.Duration) field {
	return field{kind: durationKind, set: func(d *decoder, into any, v value) {
		if got, ok := d.duration(v); ok {
			*at(into.(*T)) = got
		}
	}}
}

func object[T, V any](of *shape, at func(*T) *V) field {
	return field{kind: objectKind, of: of, set: func(d *decoder, into any, v value) {
		d.object(v, of, at(into.(*T)))
	}}
}

func list[T, V any](of *shape, at func(*T) *[]V) field {
	return field{kind: listKind, of: of, set: func(d *decoder, into any, v value) {
		*at(into.(*T)) = objects[V](d, v, of)
	}}
}

// freeMap takes a map with any keys and values.
func freeMap[T any](at func(*T) *map[string]any) field {
	return field{kind: mapKind, set: func(d *decoder, into any, v value) {
		m, ok := d.mapping(v, "a map")
		if !ok || len(m.entries) == 0 {
			return
		}
		got, _ := d.anything(v)
		*at(into.(*T)), _ = got.(map[string]any)
	}}
}

// envMap takes a map from names of environment variables to texts.
func envMap[T any](at func(*T) *map[string]string) field {
	return textMapOf(at, func(d *decoder, v value, name string) { d.checkEnvName(v, name) })
}

// textMap takes a map from any names to texts.
func textMap[T any](at func(*T) *map[string]string) field {
	return textMapOf(at, func(*decoder, value, string) {})
}

// textMapOf takes a map to texts, each name of which check may refuse.
func textMapOf[T any](at func(*T) *map[string]string, check func(d *decoder, v value, name string)) field {
	return field{kind: textMapKind, set: func(d *decoder, into any, v value) {
		m, ok := d.mapping(v, "a map of texts")
		if !ok || len(m.entries) == 0 {
			return
		}
		out := make(map[string]string, len(m.entries))
		for _, e := range m.entries {
			check(d, value{e.at.node, e.what.path}, e.key)
			out[e.key], _ = d.text(e.what)
		}
		*at(into.(*T)) = out
	}}
}

// texts takes a list of texts, each of which check may refuse.
func texts[T any](at func(*T) *[]string, check func(*decoder, value, string)) field {
	return field{kind: listKind, set: func(d *decoder, into any, v value) {
		var out []string
		for _, item := range d.items(v, "texts") {
			if got, ok := d.text(item); ok {
				check(d, item, got)
				out = append(out, got)
			}
		}
		*at(into.(*T)) = out
	}}
}

// ignoredText checks a text that is for the reader of the file only.
func ignoredText() field {
	return field{kind: textKind, set: func(d *decoder, _ any, v value) { d.text(v) }}
}
