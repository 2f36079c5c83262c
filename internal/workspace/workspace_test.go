package workspace

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tempDir returns a folder without symbolic links in its path.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// write makes files below dir; a name that ends in "/" is a folder, "link -> target" a symbolic link.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		link, target, isLink := strings.Cut(name, " -> ")
		path := filepath.Join(dir, link)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case isLink:
			err = os.Symlink(target, path)
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o755)
		default:
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// tree returns what is below dir in the form that write takes.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			got[name+" -> "+target] = ""
			return err
		case d.IsDir():
			if entries, err := os.ReadDir(path); err != nil || len(entries) > 0 {
				return err
			}
			got[name+"/"] = ""
			return nil
		}
		text, err := os.ReadFile(path)
		got[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func open(t *testing.T, project, dir string) *Workspace {
	t.Helper()
	w, err := Open(project, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Init(); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestOpenOverlap(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name               string
		project, workspace string
		overlap            bool
	}{
		{"apart", "prj", "ws", false},
		{"neighbours with one beginning", "prj", "prj2", false},
		{"workspace does not exist", "prj", "new/ws", false},
		{"same", "prj", "prj", true},
		{"same with a slash", "prj", "prj/", true},
		{"same by dot dot", "prj", "ws/../prj", true},
		{"same by dot dot of what is missing", "prj", "none/../prj", true},
		{"same by a link", "prj", "toprj", true},
		{"same by a link to the project", "toprj", "prj", true},
		{"workspace inside project", "prj", "prj/ws", false},
		{"inside, both missing parts", "prj", "prj/a/b/c", false},
		{"inside by a link", "prj", "toprj/ws", false},
		{"inside files/", "prj", "prj/files/ws", true},
		{"files/ itself, by a link", "toprj", "prj/files", true},
		{"inside secrets", "prj", "prj/.secrets", true},
		{"project inside workspace", "ws/prj", "ws", false},
		{"project inside artifacts/ of the workspace", "ws/artifacts/prj", "ws", true},
		{"project is files/ of the workspace", "ws/files", "ws", true},
		{"workspace is a link to nowhere in the project", "prj", "dangling", false},
		{"workspace is a relative link to nowhere", "prj", "rel", false},
		{"dot dot after a link", "deep", "todeep/../prj2", false},
		{"dot dot after a link, same", "ws/deep/../prj", "todeep/../prj", true},
		{"both missing, same", "none", "./none", true},
		{"root", "prj", "/", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := tempDir(t)
			write(t, dir, map[string]string{
				"prj/project.yml": "p", "prj/files/a": "a", "ws/files/b": "b", "ws/prj/c": "c", "ws/deep/": "",
				"toprj -> " + filepath.Join(dir, "prj"): "", "todeep -> ws/deep": "",
				"dangling -> " + filepath.Join(dir, "prj/none"): "", "rel -> prj/x/y": "",
			})
			before := tree(t, dir)
			at := func(name string) string {
				if filepath.IsAbs(name) {
					return name
				}
				return dir + "/" + name
			}
			_, err := Open(at(tt.project), at(tt.workspace))
			if errors.Is(err, ErrOverlap) != tt.overlap || !tt.overlap && err != nil {
				t.Errorf("got %v", err)
			}
			if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
				t.Error("touched:", diff)
			}
		})
	}
}

func TestOpenRelative(t *testing.T) {
	dir := tempDir(t)
	write(t, dir, map[string]string{"prj/": "", "ws/": ""})
	t.Chdir(filepath.Join(dir, "prj"))
	w, err := Open(".", "../ws")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{dir + "/ws", dir + "/ws/files", dir + "/ws/artifacts", dir + "/ws/tap"}
	if diff := cmp.Diff(want, []string{w.Dir(), w.Files(), w.Artifacts(), w.Venv("tap")}); diff != "" {
		t.Error(diff)
	}
	if _, err := Open(".", "."); !errors.Is(err, ErrOverlap) {
		t.Errorf("got %v", err)
	}
	if _, err := Open("..", "files"); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	write(t, dir, map[string]string{"file": "", "loop -> loop": ""})
	for name, workspace := range map[string]string{"empty": "", "below a file": dir + "/file/ws", "a loop": dir + "/loop/ws"} {
		if _, err := Open("", workspace); err == nil || errors.Is(err, ErrOverlap) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestInit(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(tempDir(t), "a/b/ws")
	w := open(t, "", dir)
	write(t, dir, map[string]string{"artifacts/kept": "x", "files/kept": "y"})
	if err := w.Init(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{".handoff/": "", "artifacts/kept": "x", "files/kept": "y"}, tree(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestInitErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, inTheWay string
	}{
		{"workspace is a file", "ws"},
		{"files is a file", "ws/files"},
		{"artifacts is a file", "ws/artifacts"},
		{"state is a file", "ws/.handoff"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := tempDir(t)
			write(t, dir, map[string]string{tt.inTheWay: ""})
			w, err := Open("", filepath.Join(dir, "ws"))
			if err != nil {
				t.Fatal(err)
			}
			err = w.Init()
			if err == nil || !strings.Contains(err.Error(), "init workspace") || !strings.Contains(err.Error(), tt.inTheWay) ||
				!strings.Contains(err.Error(), "not a directory") {
				t.Errorf("got %v", err)
			}
		})
	}
}
