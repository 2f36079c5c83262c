package project

import (
	_ "embed"
	"fmt"
	"strings"
)

// example is a whole project that shows most keys.
//
//go:embed example.yml
var example string

// Reference returns a description of every key of project.yml in Markdown.
func Reference(providers ...Provider) string {
	var b strings.Builder
	b.WriteString("# project.yml\n\n")
	b.WriteString("<!-- Generated from internal/project; `go test ./internal/project -update` writes it. -->\n\n")
	b.WriteString(referenceIntro)
	fmt.Fprintf(&b, "```yaml\n%s```\n", example)
	for _, s := range newCatalog(providers).all() {
		s.section(&b)
	}
	return b.String()
}

const referenceIntro = `Every key of the project file. A key that is not listed here is an error in version 1 and a warning before.
Null stands for an absent value. Where a text is wanted, a number, a date or yes and no are taken as typed.
Elsewhere yes, no, on and off are true and false. A duration is a number of seconds, or a text with units:
90s, 10m, 1h30m, or, in the form of ISO 8601, PT10M, P1DT12H, P2W.

`

func (s *shape) section(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n", s.name, s.doc)
	b.WriteString("| Key | Type | Default | Meaning |\n|---|---|---|---|\n")
	for _, k := range s.keys {
		meaning := k.doc
		if k.insteadOf != "" {
			meaning += fmt.Sprintf(" An older spelling of `%s`.", k.insteadOf)
		}
		if k.example != "" {
			meaning += fmt.Sprintf(" Example: `%s`.", k.example)
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", k.name, cell(k.typeName()), cell(k.standardName(s)), cell(meaning))
	}
}

func (k *key) standardName(s *shape) string {
	for _, body := range s.oneOf {
		if k.name == body && len(s.oneOf) > 1 {
			return "one of these"
		}
	}
	if k.required || len(s.oneOf) == 1 && s.oneOf[0] == k.name {
		return "required"
	}
	if k.wanted {
		return "required; before version 1: " + k.standard
	}
	return k.standard
}

// typeName says in words what a value may be.
func (k *key) typeName() string {
	name := map[kind]string{
		textKind: "text", boolKind: "true or false", integerKind: "whole number", numberKind: "number", durationKind: "duration", percentKind: "percentage",
		anyKind: "anything", mapKind: "map", textMapKind: "map of texts", nothingKind: "nothing", versionKind: "0.3, 0.4 or 1",
	}[k.field.kind]
	switch f := k.field; {
	case f.kind == listKind && f.enum != nil:
		name = "list of `" + strings.Join(f.enum, "`, `") + "`"
	case f.enum != nil:
		name = "`" + strings.Join(f.enum, "`, `") + "`"
	case f.count:
		name = fmt.Sprintf("whole number or [%s](#%s)", f.of.name, f.of.name)
	case f.flag:
		name = fmt.Sprintf("true, false or [%s](#%s)", f.of.name, f.of.name)
	case f.kind == objectKind:
		name = fmt.Sprintf("[%s](#%s)", f.of.name, f.of.name)
	case f.kind == objectMapKind:
		name = fmt.Sprintf("map from %s to [%s](#%s)", f.by, f.of.name, anchor(f.of.name))
	case f.kind == listKind && f.of != nil:
		name = fmt.Sprintf("list of [%s](#%s)", f.of.name, anchor(f.of.name))
	case f.kind == listKind:
		name = "list of texts"
	}
	if k.unit != "" {
		name += ", " + k.unit
	}
	return name
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func anchor(section string) string { return strings.ReplaceAll(section, " ", "-") }
