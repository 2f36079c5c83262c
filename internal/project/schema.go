package project

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Schema returns a JSON Schema (draft 2020-12) of project.yml for editors. It is as strict as version 1: what the
// decoder only warns about in older versions, the schema refuses. It cannot tell the order of stages, nor whether
// names are unique.
// It knows these providers, any where none is given.
func Schema(providers ...Provider) []byte {
	c := newCatalog(providers)
	root := c.project.definition()
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "handoff project.yml"
	defs := map[string]any{}
	for _, s := range c.all()[1:] {
		defs[strings.ReplaceAll(s.name, " ", "_")] = s.definition()
	}
	root["$defs"] = defs
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic("the schema is made of plain maps: " + err.Error())
	}
	return append(out, '\n')
}

// definition returns the schema of one map.
func (s *shape) definition() map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, k := range s.keys {
		properties[k.name] = k.schema(slices.Contains(s.oneOf, k.name))
		if k.required || k.wanted {
			required = append(required, k.name)
		}
	}
	out := map[string]any{
		"type": "object", "description": s.doc, "properties": properties, "additionalProperties": false,
	}
	if len(required) > 0 {
		out["required"] = required
	}
	if s.open != "" {
		out["patternProperties"] = map[string]any{s.open: true}
	}
	if len(s.oneOf) > 0 {
		var choices []any
		for _, k := range s.oneOf {
			choices = append(choices, map[string]any{"required": []string{k}})
		}
		out["oneOf"] = choices
	}
	dependent := map[string][]string{}
	for _, n := range s.needs {
		dependent[n.key] = []string{n.needs}
	}
	if len(dependent) > 0 {
		out["dependentRequired"] = dependent
	}
	return out
}

// schema returns the schema of a key's value; body says that it is one of those of which a map needs one.
func (k *key) schema(body bool) map[string]any {
	present := k.required || k.wanted || body && k.field.kind != nothingKind
	out := k.field.schema(present)
	if k.filled {
		out["pattern"] = `\S`
	}
	if body && k.field.kind == listKind {
		out["minItems"] = 1
	}
	out["description"] = k.describe()
	if k.insteadOf != "" {
		out["deprecated"] = true
	}
	return out
}

// describe is the meaning with what an editor shows beside it.
func (k *key) describe() string {
	out := k.doc
	if k.unit != "" {
		out += fmt.Sprintf(" Unit: %s.", k.unit)
	}
	if k.standard != "" {
		out += fmt.Sprintf(" Default: %s.", k.standard)
	}
	if k.insteadOf != "" {
		out += fmt.Sprintf(" An older spelling of %s.", k.insteadOf)
	}
	return out
}

// schema returns the schema of a value; null stands for an absent one unless the value must be present.
func (f *field) schema(present bool) map[string]any {
	types := func(names ...string) []string {
		if !present {
			names = append(names, "null")
		}
		return names
	}
	switch f.kind {
	case textKind:
		if f.enum == nil {
			return map[string]any{"type": types("string", "number", "boolean")}
		}
		return map[string]any{"enum": withNull(f.enum, present)}
	case boolKind:
		return map[string]any{"type": "boolean"}
	case integerKind:
		return f.numeric(types("integer", "string"), `^[0-9]+$`)
	case numberKind:
		return f.numeric(types("number", "string"), `^[0-9]+(\.[0-9]*)?$`)
	case durationKind:
		return f.numeric(types("number", "string"), durationPattern)
	case percentKind:
		return f.numeric(types("number", "string"), percentPattern)
	case listKind:
		return f.listSchema(types("array"))
	case objectKind:
		choices := []any{reference(f.of), map[string]any{"type": "null"}}
		if f.flag {
			choices = append(choices, map[string]any{"type": "boolean"})
		}
		if f.count {
			choices = append(choices, (&field{kind: integerKind}).schema(true))
		}
		return map[string]any{"anyOf": choices}
	case mapKind:
		return map[string]any{"type": types("object")}
	case textMapKind:
		return map[string]any{"type": types("object"), "additionalProperties": map[string]any{"type": []string{"string", "number", "boolean", "null"}}}
	case objectMapKind:
		return map[string]any{"type": types("object"), "additionalProperties": map[string]any{"anyOf": []any{reference(f.of), map[string]any{"type": "null"}}}}
	case nothingKind:
		return map[string]any{"type": "null"}
	case versionKind:
		return map[string]any{"anyOf": []any{
			map[string]any{"enum": []any{0.3, 0.4, 1}},
			map[string]any{"type": "string", "pattern": `^(0\.[34](\.[.0-9]*)?|1(\.0)?)$`},
			map[string]any{"type": "null"},
		}}
	}
	return map[string]any{}
}

func (f *field) numeric(types []string, pattern string) map[string]any {
	return map[string]any{"type": types, "minimum": f.low, "maximum": maxNumber, "pattern": pattern}
}

func (f *field) listSchema(types []string) map[string]any {
	items := map[string]any{"type": []string{"string", "number", "boolean"}}
	switch {
	case f.of != nil:
		items = reference(f.of)
	case f.enum != nil:
		items = map[string]any{"enum": f.enum}
	}
	if f.only != "" {
		items = map[string]any{"allOf": []any{items, map[string]any{"required": []string{f.only}}}}
	}
	out := map[string]any{"type": types, "items": items}
	if f.single {
		return map[string]any{"anyOf": []any{items, out}}
	}
	return out
}

func reference(s *shape) map[string]any {
	return map[string]any{"$ref": "#/$defs/" + strings.ReplaceAll(s.name, " ", "_")}
}

func withNull(words []string, present bool) []any {
	out := make([]any, 0, len(words)+1)
	for _, w := range words {
		out = append(out, w)
	}
	if !present {
		out = append(out, nil)
	}
	return out
}
