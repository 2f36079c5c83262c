package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// upper stands for a template engine: it makes LF of all line ends, replaces {{x}}, and fails on {{bad}}.
// What has {{secret}} in it is private.
func upper(name, text string) (string, bool, error) {
	before, _, bad := strings.Cut(text, "{{bad}}")
	if bad {
		return "", false, fmt.Errorf("%s:%d: unknown name bad", name, 1+strings.Count(before, "\n"))
	}
	return strings.NewReplacer("\r\n", "\n", "{{x}}", "X", "{{secret}}", "hunter22", "{{lines}}", "1\n2").Replace(text), strings.Contains(text, "{{secret}}"), nil
}

// rendered renders these files of a project into a new workspace.
func rendered(t *testing.T, files map[string]string, raw ...string) (*Workspace, []Warning, error) {
	t.Helper()
	dir := tempDir(t)
	project := map[string]string{}
	for name, text := range files {
		project["prj/files/"+name] = text
	}
	write(t, dir, project)
	w := open(t, filepath.Join(dir, "prj"), filepath.Join(dir, "ws"))
	warnings, err := w.Render(t.Context(), RenderOptions{Raw: raw, Render: upper})
	return w, warnings, err
}

func TestRender(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		raw  []string
		in   map[string]string
		want map[string]string
	}{
		{"template", nil, map[string]string{"a.txt": "a {{x}}\n"}, map[string]string{"a.txt": "a X\n"}},
		{"no final newline", nil, map[string]string{"a": "{{x}}"}, map[string]string{"a": "X"}},
		{"several final newlines", nil, map[string]string{"a": "{{x}}\n\n"}, map[string]string{"a": "X\n\n"}},
		{"crlf", nil, map[string]string{"a": "{{x}}\r\nb\r\n{{lines}}\r\n"}, map[string]string{"a": "X\r\nb\r\n1\r\n2\r\n"}},
		{"mixed line ends", nil, map[string]string{"a": "{{x}}\r\nb\n"}, map[string]string{"a": "X\nb\n"}},
		{"mixed line ends without tags", nil, map[string]string{"a": "a\r\nb\nc\r"}, map[string]string{"a": "a\r\nb\nc\r"}},
		{"nul byte", nil, map[string]string{"a": "{{x}}\x00"}, map[string]string{"a": "{{x}}\x00"}},
		{"not utf-8", nil, map[string]string{"a": "{{x}}\xff"}, map[string]string{"a": "{{x}}\xff"}},
		{"utf-8", nil, map[string]string{"ä": "{{x}}ä😀"}, map[string]string{"ä": "Xä😀"}},
		{"empty file", nil, map[string]string{"a": ""}, map[string]string{"a": ""}},
		{"raw", []string{"dbt/**", "*.md"}, map[string]string{"dbt/m/a.sql": "{{bad}}", "a.md": "{{bad}}", "dbt.sql": "{{x}}"},
			map[string]string{"dbt/m/a.sql": "{{bad}}", "a.md": "{{bad}}", "dbt.sql": "X"}},
		{"folders", nil, map[string]string{"empty/": "", "a/b/c/d/e/f": "{{x}}"}, map[string]string{"empty/": "", "a/b/c/d/e/f": "X"}},
		{"odd names", nil, map[string]string{"a b": "1", "-x": "2", "new\nline": "3", "*": "4", "\xff": "5", "{{x}}": "6", "..a": "7", `a\b`: "8", ".hidden": "9"},
			map[string]string{"a b": "1", "-x": "2", "new\nline": "3", "*": "4", "\xff": "5", "{{x}}": "6", "..a": "7", `a\b`: "8", ".hidden": "9"}},
		{"left out", nil, map[string]string{"__pycache__/a.pyc": "", ".DS_Store": "", ".git/HEAD": "", "d/.git": "", "d/__pycache__/x": "", "d/git": "", ".gitignore": ""},
			map[string]string{"d/git": "", ".gitignore": ""}},
		{"links inside", nil, map[string]string{"d/a": "{{x}}", "l -> d/a": "", "d/up -> ../d": "", "dir -> d": ""},
			map[string]string{"d/a": "X", "l -> d/a": "", "d/up -> ../d": "", "dir -> d": ""}},
		{"link into a raw folder", []string{"raw/"}, map[string]string{"raw/a": "{{x}}", "l -> raw/a": ""}, map[string]string{"raw/a": "{{x}}", "l -> raw/a": ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, warnings, err := rendered(t, tt.in, tt.raw...)
			if err != nil || len(warnings) > 0 {
				t.Fatalf("%v, %v", warnings, err)
			}
			if diff := cmp.Diff(tt.want, tree(t, w.Files())); diff != "" {
				t.Error(diff)
			}
			if left := tree(t, w.state()); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestRenderErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		raw  []string
		in   map[string]string
		want []string // a line each
	}{
		{"template", nil, map[string]string{"dbt/a.sql": "\n{{bad}}"},
			[]string{"files/dbt/a.sql:2: unknown name bad", `  to copy it as it is, put this in project.yml: files: {raw: ["dbt/**"]}`}},
		{"all of them", nil, map[string]string{"b": "{{bad}}", "a": "{{bad}}", "c": "{{x}}"},
			[]string{
				"files/a:1: unknown name bad", `  to copy it as it is, put this in project.yml: files: {raw: ["a"]}`,
				"files/b:1: unknown name bad", `  to copy it as it is, put this in project.yml: files: {raw: ["b"]}`,
			}},
		{"link outside", nil, map[string]string{"l -> ../project.yml": ""},
			[]string{`files/l: symbolic link to "../project.yml": it leads out of files/; copy what it leads to`}},
		{"absolute link", nil, map[string]string{"d/l -> /etc/hostname": ""},
			[]string{`files/d/l: symbolic link to "/etc/hostname": it leads out of files/; copy what it leads to`}},
		{"link by a link", nil, map[string]string{"d/x": "", "l -> up/x": "", "up -> ..": ""},
			[]string{`files/l: symbolic link to "up/x": it leads out of files/; copy what it leads to`, `files/up: symbolic link to "..": it leads out of files/; copy what it leads to`}},
		{"link to itself", nil, map[string]string{"l -> l": ""}, []string{`files/l: symbolic link to "l": too many levels of symbolic links`}},
		{"bad pattern", []string{"["}, map[string]string{"a": ""}, []string{`files: raw: "[" is not a pattern`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, _, err := rendered(t, tt.in, tt.raw...)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Error(diff)
			}
			if got := tree(t, w.Dir()); len(got) != 3 {
				t.Errorf("not as it was: %v", got)
			}
		})
	}
}

func TestRenderNamesTheFileWhenTheEngineDoesNot(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	write(t, dir, map[string]string{"prj/files/d/a": "{{"})
	w := open(t, filepath.Join(dir, "prj"), filepath.Join(dir, "ws"))
	_, err := w.Render(t.Context(), RenderOptions{Render: func(string, string) (string, bool, error) { return "", false, fs.ErrInvalid }})
	if !errors.Is(err, fs.ErrInvalid) || !strings.HasPrefix(err.Error(), "files/d/a: invalid argument\n") {
		t.Errorf("got %v", err)
	}
}

func TestRenderReplaces(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	write(t, dir, map[string]string{"prj/files/a": "{{x}}", "ws/files/old": "o", "ws/files/d/old": "o", "ws/artifacts/kept": "k",
		"ws/.handoff/files-123/new/leftover": ""})
	w := open(t, filepath.Join(dir, "prj"), filepath.Join(dir, "ws"))
	o := RenderOptions{Render: upper}
	if _, err := w.Render(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"files/a": "X", "artifacts/kept": "k", ".handoff/": ""}
	if diff := cmp.Diff(want, tree(t, w.Dir())); diff != "" {
		t.Error(diff)
	}

	// A template that fails leaves everything as it is, and so does an end of the context.
	write(t, dir, map[string]string{"prj/files/b": "{{bad}}"})
	if _, err := w.Render(t.Context(), o); err == nil {
		t.Error("no error")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	cancel(stop)
	if _, err := w.Render(ctx, RenderOptions{}); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(want, tree(t, w.Dir())); diff != "" {
		t.Error(diff)
	}
}

func TestRenderWithoutFiles(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	write(t, dir, map[string]string{"prj/project.yml": "", "ws/files/kept": "k"})
	for _, project := range []string{"", filepath.Join(dir, "prj")} {
		w := open(t, project, filepath.Join(dir, "ws"))
		if _, err := w.Render(t.Context(), RenderOptions{Render: upper}); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(map[string]string{"kept": "k"}, tree(t, w.Files())); diff != "" {
			t.Error(diff)
		}
	}
}

func TestRenderOddFilesFolder(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{"a file": "prj/files", "a link that escapes": "prj/files -> ../elsewhere"} {
		dir := tempDir(t)
		write(t, dir, map[string]string{file: "", "elsewhere/a": "{{x}}", "ws/files/kept": "k"})
		w := open(t, filepath.Join(dir, "prj"), filepath.Join(dir, "ws"))
		if _, err := w.Render(t.Context(), RenderOptions{Render: upper}); err == nil || !strings.Contains(err.Error(), "prj/files") {
			t.Errorf("%s: got %v", name, err)
		}
		if diff := cmp.Diff(map[string]string{"kept": "k"}, tree(t, w.Files())); diff != "" {
			t.Error(diff)
		}
	}
}

func TestRenderModes(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	files := []struct {
		name, text string
		mode, want os.FileMode
	}{
		{"plain", "{{x}}", 0o644, 0o644},
		{"script", "{{x}}", 0o755, 0o755},
		{"copied", "x", 0o751, 0o751},
		{"group may write", "x", 0o664, 0o664},
		{"binary", "\x00", 0o755, 0o755},
		{"read only", "{{x}}", 0o444, 0o444},
		{"setuid", "x", 0o755 | os.ModeSetuid | os.ModeSetgid, 0o755},
		{"secret", "{{secret}}", 0o644, 0o600},
		{"secret script", "{{secret}}", 0o755, 0o700},
	}
	for _, f := range files {
		path := filepath.Join("prj/files", f.name)
		write(t, dir, map[string]string{path: f.text})
		if err := os.Chmod(filepath.Join(dir, path), f.mode); err != nil {
			t.Fatal(err)
		}
	}
	w := open(t, filepath.Join(dir, "prj"), filepath.Join(dir, "ws"))
	o := RenderOptions{Render: upper}
	// Twice: read-only files must not be in the way.
	for range 2 {
		if _, err := w.Render(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range files {
		info, err := os.Stat(filepath.Join(w.Files(), f.name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != f.want {
			t.Errorf("%s: mode %v, want %v", f.name, info.Mode(), f.want)
		}
	}
}

func TestRenderWarnings(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	write(t, dir, map[string]string{"prj/files/a": "", "prj/files/l -> nowhere": ""})
	if err := syscall.Mkfifo(filepath.Join(dir, "prj/files/pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := open(t, filepath.Join(dir, "prj"), filepath.Join(dir, "ws"))
	warnings, err := w.Render(t.Context(), RenderOptions{Raw: []string{"a", "dbt"}, Render: upper})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range warnings {
		got = append(got, w.String())
	}
	want := []string{
		`files: raw: no file matches "dbt" (all in a folder: "folder/**")`,
		`files/l: symbolic link to "nowhere", which does not exist`,
		"files/pipe: not a regular file: not copied",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRenderLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	long := strings.Repeat("0123456789 äö\n", maxTemplate/15)
	tests := []struct {
		name, raw, text, want, err string
	}{
		{"template of more than 1 MiB", "", long[:2<<20] + "{{x}}\n", long[:2<<20] + "X\n", ""},
		{"text without tags", "", long, long, ""},
		{"text with a tag at the end", "", long + "{{x}}", "", `files/d/f: a template of 17 MiB is too large (limit: 16 MiB)` +
			"\n" + `  to copy it as it is, put this in project.yml: files: {raw: ["d/**"]}`},
		{"the same, raw", "d/**", long + "{{x}}", long + "{{x}}", ""},
		{"binary with a tag", "", "{{x}}" + long + "\x00", "{{x}}" + long + "\x00", ""},
		{"not utf-8 at the end", "", "{{x}}" + long + "\xc3", "{{x}}" + long + "\xc3", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var raw []string
			if tt.raw != "" {
				raw = []string{tt.raw}
			}
			w, _, err := rendered(t, map[string]string{"d/f": tt.text}, raw...)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := tree(t, w.Files())["d/f"]; got != tt.want {
				t.Errorf("%d bytes, want %d", len(got), len(tt.want))
			}
		})
	}
}

// However the pieces fall, a tag and a character that are cut by their border are seen.
func TestLargeTemplateBorders(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		mark string
		want bool
	}{{"{{", true}, {"{%", true}, {"{#", true}, {"{", false}, {"ä", false}, {"😀{{", true}, {"{😀", false}, {"{{\xff", false}, {"😀é{{", true}} {
		for shift := range 12 {
			text := strings.Repeat("x", 64<<10-shift) + tt.mark + strings.Repeat("y", 100)
			got, err := largeTemplate(strings.NewReader(text))
			if err != nil || got != tt.want {
				t.Errorf("%q, %d before the border: %v, %v", tt.mark, shift, got, err)
			}
		}
	}
}

func TestRenderManyFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	files := map[string]string{}
	for i := range 500 {
		files[fmt.Sprintf("d%d/e%d/f%d", i%10, i%100, i)] = fmt.Sprintf("%d {{x}}\n", i)
	}
	w, _, err := rendered(t, files)
	if err != nil {
		t.Fatal(err)
	}
	got := tree(t, w.Files())
	if len(got) != 500 || got["d9/e99/f499"] != "499 X\n" {
		t.Errorf("%d files", len(got))
	}
}

func BenchmarkRender(b *testing.B) {
	dir := b.TempDir()
	for i := range 10_000 {
		d := filepath.Join(dir, "prj/files", fmt.Sprint(i%100))
		if err := os.MkdirAll(d, 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d, fmt.Sprint(i)), []byte("a {{x}} b\n"), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	w, err := Open(filepath.Join(dir, "prj"), filepath.Join(dir, "ws"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := w.Render(b.Context(), RenderOptions{Render: upper}); err != nil {
			b.Fatal(err)
		}
	}
}
