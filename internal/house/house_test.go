// Package house holds the picture of docs/design.md: who may import whom.
package house

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
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
	"internal/cloud/*":         {"cloud", "secret", "schedule"},
	"internal/cloud/local":     {"atomicfile", "cloud", "secret", "schedule", "server"},
	"internal/cloud/providers": {"cloud", "cloud/*", "server"},
	"internal/cli":             {"app", "server", "project", "plan", "pipeline", "process", "ledger", "workspace", "release", "container", "cloud", "cloud/providers"},
	"internal/app":             {"project", "jinja", "shell", "plan", "pipeline", "process", "workspace", "secret", "ledger", "release", "quickstart", "cloud", "lease", "commit", "state", "artifact", "schedule", "stream", "notify", "container"},
	"internal/notify":          {"ledger", "pipeline", "project", "cloud"},
	"internal/ledger":          {"atomicfile", "pipeline", "cloud", "stream"},
	"internal/release":         {"cloud"},
	"internal/lease":           {"cloud"},
	"internal/artifact":        {"cloud"},
	"internal/state":           {"atomicfile", "cloud"},
	"internal/commit":          {"state", "artifact", "cloud"},
	"internal/server":          {"schedule", "cloud"},
	"internal/pipeline":        {"plan", "process", "pipe", "stream"},
	"internal/plan":            {"project", "jinja", "shell", "secret", "stream"},
	"internal/project":         {"stream"},
	"internal/workspace":       {"atomicfile"},
	"internal/container":       {"atomicfile"},
}

// TestPicture compares what docs/design.md says of imports with what is held.
func TestPicture(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs/design.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, picture, _ := strings.Cut(string(text), "## Who may import whom\n\n```\n")
	picture, _, _ = strings.Cut(picture, "```")
	picture = regexp.MustCompile(`\([^)]*\)`).ReplaceAllString(picture, "") // what is said beside
	picture = regexp.MustCompile(`,?\n +`).ReplaceAllString(picture, ", ")
	drawn := map[string][]string{}
	for line := range strings.Lines(picture) {
		from, to, _ := strings.Cut(line, "->")
		all, some, _ := strings.Cut(to, ";")
		for _, room := range listed(from) {
			drawn[inHouse(room)] = listed(all)
		}
		for clause := range strings.SplitSeq(some, ";") { // "local also atomicfile"
			if room, more, found := strings.Cut(clause, " also "); found {
				room = inHouse(strings.TrimSpace(room))
				if drawn[room] == nil {
					room = strings.Replace(room, "internal/", "internal/cloud/", 1)
					drawn[room] = drawn["internal/cloud/*"]
				}
				drawn[room] = append(slices.Clone(drawn[room]), listed(more)...)
			}
		}
	}
	for room, held := range allowed {
		if got := drawn[room]; !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(held))) {
			t.Errorf("%s: docs/design.md draws %q, held is %q", room, got, held)
		}
	}
	for room, got := range drawn {
		if _, known := allowed[room]; !known && !slices.Equal(got, []string{"standard library and third-party only"}) {
			t.Errorf("%s: docs/design.md draws %q, nothing is held", room, got)
		}
	}
}

// listed returns the names in a list with commas, without what is no room.
func listed(text string) []string {
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		switch name = strings.TrimSpace(name); name {
		case "", "its own SDK":
		case "every cloud/X":
			names = append(names, "cloud/*")
		default:
			names = append(names, name)
		}
	}
	return names
}

// inHouse returns the folder of a room as the picture names it.
func inHouse(room string) string {
	if strings.HasPrefix(room, "cmd/") {
		return room
	}
	return "internal/" + strings.Replace(room, "cloud/X", "cloud/*", 1)
}

// TestProviderToCome holds what CONTRIBUTING.md lets a new provider import: it has to read the times of schedules, too.
func TestProviderToCome(t *testing.T) {
	t.Parallel()
	for _, room := range []string{"cloud", "secret", "schedule"} {
		if !mayImport("internal/cloud/nimbus", room) {
			t.Errorf("a new provider may not import %s", room)
		}
	}
	for _, room := range []string{"app", "ledger", "server", "cloud/memory"} {
		if mayImport("internal/cloud/nimbus", room) {
			t.Errorf("a new provider may import %s", room)
		}
	}
}

func TestImports(t *testing.T) {
	t.Parallel()
	everyFile(t, func(file string) { checkFile(t, filepath.Join(root, file), path.Dir(file)) })
}

const root = "../.."

// everyFile visits the Go files of the program, by their paths below root.
func everyFile(t *testing.T, visit func(file string)) {
	t.Helper()
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
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			visit(filepath.ToSlash(rel))
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

// TestOneListOfProviders holds what CONTRIBUTING.md promises to whoever adds a provider.
func TestOneListOfProviders(t *testing.T) {
	t.Parallel()
	const list = "internal/cloud/providers/list.go"
	seen := false
	everyFile(t, func(file string) {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		switch has := strings.Contains(string(text), `"local"`); {
		case file == list:
			seen = has
		case has:
			t.Errorf("%s names the provider local: ask the list of providers", file)
		}
	})
	if !seen {
		t.Errorf("%s does not name the provider local: is the test right?", list)
	}
}

// TestContributing looks for the files that CONTRIBUTING.md names to whoever adds a provider, as those of the provider local.
func TestContributing(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "### Add a provider\n")
	section, _, _ = strings.Cut(section, "\n## ")
	names := regexp.MustCompile("`([a-z/A-Z_]+(?:\\.(?:go|md)|/))`").FindAllStringSubmatch(section, -1)
	if !found || len(names) < 12 {
		t.Fatalf("only %q found: is the test right?", names)
	}
	for _, n := range names {
		name := strings.ReplaceAll(n[1], "NAME", "local")
		if !strings.Contains(name, "/") {
			name = "internal/cloud/local/" + name
		}
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Errorf("CONTRIBUTING.md names a file that is not there: %v", err)
		}
	}
}

// mayImport reads allowed; "cloud/*" stands for every provider there.
func mayImport(room, other string) bool {
	provider, _ := path.Match("cloud/*", other)
	list, known := allowed[room]
	if ok, _ := path.Match("internal/cloud/*", room); ok && !known {
		list = allowed["internal/cloud/*"]
	}
	return slices.Contains(list, other) || provider && slices.Contains(list, "cloud/*")
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
		case name == "github.com/spf13/cobra" && room != "internal/cli":
			t.Errorf("%s imports cobra: only cli knows the command line", path)
		case strings.HasPrefix(name, module):
			if !mayImport(room, strings.TrimPrefix(name, module+"internal/")) {
				t.Errorf("%s may not import %s (docs/design.md, \"Who may import whom\")", room, strings.TrimPrefix(name, module+"internal/"))
			}
		}
	}
}
