package project

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// update is set by -update: golden files are written instead of compared.
var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is stale (-want +got; -update writes it):\n%s", name, diff)
	}
}

// decode decodes a document that must be right, and returns its warnings as text.
func decode(t *testing.T, text string) (*Project, []string) {
	t.Helper()
	p, warnings, err := Decode(FileName, "/prj", []byte(text), known()...)
	if err != nil {
		t.Fatalf("decode:\n%s\n%v", text, err)
	}
	return p, lines(warnings)
}

// lines returns the first line of each diagnostic.
func lines(list []Diagnostic) []string {
	var out []string
	for _, d := range list {
		line, _, _ := strings.Cut(d.String(), "\n")
		out = append(out, line)
	}
	return out
}

// problems returns what is wrong with a document, errors marked with E and warnings with W.
func problems(t *testing.T, text string) []string {
	t.Helper()
	_, warnings, err := Decode(FileName, "/prj", []byte(text), known()...)
	var out []string
	if err != nil {
		for _, line := range lines(err.(Errors)) {
			out = append(out, "E "+strings.TrimPrefix(line, FileName+":"))
		}
	}
	for _, line := range lines(warnings) {
		out = append(out, "W "+strings.TrimPrefix(line, FileName+":"))
	}
	return out
}

func TestProblemsGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/problems/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yml"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, warnings, err := Decode(FileName, "/prj", text, known()...)
			var b strings.Builder
			if err != nil {
				b.WriteString("errors\n" + err.Error() + "\n")
			}
			if len(warnings) > 0 {
				b.WriteString("warnings\n" + Errors(warnings).Error() + "\n")
			}
			golden(t, strings.TrimSuffix(file, ".yml")+".txt", b.String())
		})
	}
}
