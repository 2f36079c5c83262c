package workspace

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestActivateEnv(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		in, want []string
	}{
		{"usual", []string{"A=1", "PATH=/bin", "B=2"}, []string{"A=1", "B=2", "PATH=/ws/v/bin:/bin", "VIRTUAL_ENV=/ws/v"}},
		{"inside another", []string{"VIRTUAL_ENV=/x", "PYTHONHOME=/y", "PATH=/x/bin:/bin"}, []string{"PATH=/ws/v/bin:/x/bin:/bin", "VIRTUAL_ENV=/ws/v"}},
		{"no path", nil, []string{"PATH=/ws/v/bin:/usr/local/bin:/usr/bin:/bin", "VIRTUAL_ENV=/ws/v"}},
		{"path twice", []string{"PATH=/a", "PATH=/b"}, []string{"PATH=/ws/v/bin:/b", "VIRTUAL_ENV=/ws/v"}},
		{"similar names", []string{"PATHS=1", "XPATH=2", "PATH=/bin"}, []string{"PATHS=1", "XPATH=2", "PATH=/ws/v/bin:/bin", "VIRTUAL_ENV=/ws/v"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := append([]string(nil), tt.in...)
			if diff := cmp.Diff(tt.want, ActivateEnv("/ws/v", in)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.in, in); diff != "" {
				t.Error("changed what it was given:", diff)
			}
		})
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	write(t, dir, map[string]string{"a/uv/": "", "b/uv": "not executable", "c/uv": "", "d/uv": ""})
	for _, name := range []string{"c/uv", "d/uv"} {
		if err := os.Chmod(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path := "PATH=relative:" + dir + "/none:" + dir + "/a:" + dir + "/b:" + dir + "/c:" + dir + "/d"
	for program, want := range map[string]string{"uv": dir + "/c/uv", "none": "", "/x/y": "/x/y"} {
		if got := find([]string{path}, program); got != want {
			t.Errorf("find(%q) = %q, want %q", program, got, want)
		}
	}
}
