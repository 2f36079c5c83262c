package quickstart

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProjects(t *testing.T) {
	t.Parallel()
	want := []string{
		"01_word_count", "02_commands_and_vars", "03_secrets", "04_install", "05_foreach", "06_fork", "07_failures",
	}
	if diff := cmp.Diff(want, Projects()); diff != "" {
		t.Fatal(diff)
	}
	for _, name := range want {
		for _, file := range []string{"README.md", "project.yml"} {
			content, err := embedded.ReadFile("projects/" + name + "/" + file)
			if err != nil {
				t.Error(err)
			}
			if file == "README.md" && !strings.Contains(string(content), "handoff run local -p "+name) {
				t.Errorf("%s/README.md does not say how to run it", name)
			}
		}
	}
}

func TestWriteCopiesEveryFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "folder")
	written, err := Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := tree(t, "projects")
	if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Projects(), written); diff != "" {
		t.Error(diff)
	}
}

// tree returns the content of every file below dir.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		rel, _ := filepath.Rel(dir, name)
		found[filepath.ToSlash(rel)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestWriteModes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Write(dir); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		mode fs.FileMode
	}{
		{"03_secrets", 0o755},
		{"03_secrets/.secrets", 0o700},
		{"03_secrets/.secrets/secrets.yml", 0o600},
		{"03_secrets/.secrets/office.txt", 0o600},
		{"07_failures/files/source.sh", 0o755},
		{"01_word_count/project.yml", 0o644},
	}
	for _, tt := range tests {
		info, err := os.Stat(filepath.Join(dir, tt.name))
		if err != nil {
			t.Error(err)
			continue
		}
		// What the process's umask takes away is not ours to give.
		if got := info.Mode().Perm(); got&^tt.mode != 0 || got&0o700 != tt.mode&0o700 {
			t.Errorf("%s has mode %o, want %o", tt.name, got, tt.mode)
		}
	}
}

func TestWriteNeverOverwrites(t *testing.T) {
	t.Parallel()
	for _, existing := range []string{"01_word_count/project.yml", "07_failures/files/source.sh"} {
		t.Run(existing, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			mine := filepath.Join(dir, existing)
			if err := os.MkdirAll(filepath.Dir(mine), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
				t.Fatal(err)
			}
			written, err := Write(dir)
			if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), existing) {
				t.Errorf("error %v does not name the file", err)
			}
			if diff := cmp.Diff(map[string]string{existing: "mine"}, tree(t, dir)); diff != "" || len(written) != 0 {
				t.Errorf("something was written: %v %s", written, diff)
			}
		})
	}
}

func TestProjectsAreSelfContained(t *testing.T) {
	t.Parallel()
	names, err := files()
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, "~") || strings.Contains(n, "__pycache__") }) {
		t.Errorf("left-over file among %v", names)
	}
}

// TestTemplates: each has a project.yml in which the description is missing, and comments that are right once they are taken off.
func TestTemplates(t *testing.T) {
	t.Parallel()
	for _, name := range Templates() {
		files, err := Template(name)
		if err != nil || !strings.Contains(files["project.yml"], "description: DESCRIPTION\n") || len(files) < 2 {
			t.Errorf("%s: %v, %v", name, files, err)
		}
	}
	if _, err := Template("other"); err == nil {
		t.Error("there is no such template")
	}
}
