package docs

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const page = "Text.\n\n```console\n$ cat <<END\n> a\n> END\na\n$ true\n```\n\n```yaml project p/project.yml\nversion: 1\n```\n"

func TestBlocks(t *testing.T) {
	t.Parallel()
	want := []block{
		{line: 4, lang: "console", args: []string{}, text: []string{"$ cat <<END", "> a", "> END", "a", "$ true"}},
		{line: 12, lang: "yaml", args: []string{"project", "p/project.yml"}, text: []string{"version: 1"}},
	}
	got := blocks(page)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(block{})); diff != "" {
		t.Fatal(diff)
	}
	steps, err := got[0].steps()
	if err != nil {
		t.Fatal(err)
	}
	session := []step{{4, "cat <<END\na\nEND", []string{"a"}}, {8, "true", nil}}
	if diff := cmp.Diff(session, steps, cmp.AllowUnexported(step{})); diff != "" {
		t.Error(diff)
	}
	if file, ok := got[1].project(); !ok || file != "p/project.yml" {
		t.Errorf("got %q, %v", file, ok)
	}
	if _, err := (block{text: []string{"lost"}}).steps(); err == nil {
		t.Error("output without a command is no error")
	}
}

func TestAnchors(t *testing.T) {
	t.Parallel()
	got := anchors("# Moving from 0.4.x\ntext # no\n## A `line` is data\n")
	if diff := cmp.Diff([]string{"#moving-from-04x", "#a-line-is-data"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestPattern(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		output []string
		text   string
		want   bool
	}{
		{"the same", []string{"a.b"}, "a.b\n", true},
		{"not a pattern", []string{"a.b"}, "axb\n", false},
		{"dots in a line", []string{"after ...s"}, "after 1.2s\n", true},
		{"dots stay in their line", []string{"after ...s"}, "after\n1s\n", false},
		{"dots for lines", []string{"a", "...", "z"}, "a\nb\nc\nz\n", true},
		{"dots for no line", []string{"a", "...", "z"}, "a\nz\n", true},
		{"a line too many", []string{"a"}, "a\nb\n", false},
		{"a line too few", []string{"a", "b"}, "a\n", false},
		{"nothing", nil, "", true},
		{"something for nothing", nil, "a\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := (step{output: tt.output}).pattern().MatchString(tt.text); got != tt.want {
				t.Errorf("match is %v, want %v", got, tt.want)
			}
		})
	}
}
