// Package house holds the picture of docs/design.md: who may import whom.
package house

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/handoff-run/handoff/"

// allowed names, for each room, the rooms that it may import. What is not here may import none.
var allowed = map[string][]string{
	"cmd/handoff": {"cli"},
	// What stands for a cloud provider knows the portable layer and its own parts, no verb and no command.
	"internal/cloud":           {"secret"},
	"internal/cloud/cloudtest": {"cloud", "secret"},
	"internal/cloud/local":     {"cloud", "secret", "schedule"},
	"internal/cloud/memory":    {"cloud"},
	"internal/cli":             {"app", "server", "project", "plan", "pipeline", "process", "ledger", "workspace", "release", "cloud", "cloud/local"},
	"internal/app":             {"project", "jinja", "plan", "pipeline", "process", "workspace", "secret", "ledger", "release", "quickstart", "cloud", "lease", "commit", "state", "artifact", "schedule"},
	"internal/ledger":          {"pipeline", "cloud"},
	"internal/release":         {"cloud"},
	"internal/lease":           {"cloud"},
	"internal/artifact":        {"cloud"},
	"internal/state":           {"cloud"},
	"internal/commit":          {"state", "artifact", "cloud"},
	"internal/server":          {"schedule", "cloud"},
	"internal/pipeline":        {"plan", "process", "pipe"},
	"internal/plan":            {"project", "jinja", "shell", "secret"},
	"internal/workspace":       {},
}

func TestImports(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	seen := 0
	for _, top := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			if strings.Contains(path, "testdata") || strings.Contains(path, filepath.Join("quickstart", "projects")) {
				return nil
			}
			seen++
			rel, err := filepath.Rel(root, filepath.Dir(path))
			if err != nil {
				return err
			}
			checkFile(t, path, filepath.ToSlash(rel))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 30 {
		t.Errorf("only %d files seen: is the walk right?", seen)
	}
}

func checkFile(t *testing.T, path, room string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range file.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case name == "text/template" || name == "html/template":
			t.Errorf("%s imports %s: it makes the binary 10 MiB larger", path, name)
		case strings.HasPrefix(name, module):
			other := strings.TrimPrefix(name, module+"internal/")
			if !slices.Contains(allowed[room], other) {
				t.Errorf("%s may not import %s (docs/design.md, \"Who may import whom\")", room, other)
			}
		}
	}
}
