package project

import (
	"slices"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/handoff-run/handoff/internal/cloud/providers"
	"github.com/handoff-run/handoff/internal/stream"
)

func TestReferenceIsFresh(t *testing.T) {
	t.Parallel()
	golden(t, "../../docs/reference/project.md", Reference(known()...))
}

// known are the names of the one list of providers.
func known() []Provider {
	var list []Provider
	for _, p := range providers.List() {
		list = append(list, Provider{Name: p.Name, Platforms: slices.Concat(p.Platforms, p.Planned)})
	}
	return list
}

// TestKeyExamples decodes the example of every key with the key's own reader.
func TestKeyExamples(t *testing.T) {
	t.Parallel()
	for _, s := range newCatalog(known()).all() {
		for _, k := range s.keys {
			if k.example == "" {
				continue
			}
			src := newSource("example", []byte(k.example))
			root, problem := parse(src)
			if problem != nil {
				t.Errorf("%s.%s: %v", s.name, k.name, problem)
				continue
			}
			d := &decoder{src: src, strict: true, branch: true}
			k.field.set(d, blank(t, s), value{node: root, path: k.name})
			if len(d.errors)+len(d.warnings) > 0 {
				t.Errorf("%s.%s: %v %v", s.name, k.name, d.errors, d.warnings)
			}
		}
	}
}

// blank returns an empty Go value of the kind that a shape fills.
func blank(t *testing.T, s *shape) any {
	t.Helper()
	into := map[string]any{
		"project": &draft{}, "install": &Install{}, "var": &Var{}, "env": &Env{}, "secret": &Secret{}, "files": &Files{},
		"task": &taskDraft{at: value{node: &yaml.Node{}}}, "retries": &Retries{}, "stage": &stageDraft{}, "command": &stageDraft{},
		"state": &State{}, "artifacts": &Artifacts{}, "container": &Container{}, "keep": &Keep{}, "deploy": &deployDraft{}, "schedule": &Schedule{},
		"expect": &Expect{}, "rules": &stream.Rules{}, "rows": &stream.Rows{},
		"notify": &Notify{}, "mail": &Mail{}, "client": &Client{}, "overlay": &Overlay{}, "setting": &Var{}, "limits": &Deploy{}, "schedule change": &Schedule{},
	}[s.name]
	if into == nil {
		t.Fatalf("nothing to fill for %q", s.name)
	}
	return into
}
