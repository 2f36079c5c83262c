package workspace

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mount puts a small file system on a folder. Where that is not allowed the tests that need it have nothing to say.
func mount(t *testing.T, dir, options string, flags uintptr) bool {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", flags, options); err != nil {
		t.Logf("no mount: %v", err)
		return false
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return true
}

func TestInitReadOnly(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	if !mount(t, dir, "size=64k", unix.MS_RDONLY) {
		return
	}
	w, err := Open("", dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Init(); !errors.Is(err, unix.EROFS) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
	if _, err := w.Lock("r"); !errors.Is(err, unix.EROFS) {
		t.Errorf("got %v", err)
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	if !mount(t, dir, "size=64k", 0) {
		return
	}
	project := tempDir(t)
	write(t, project, map[string]string{"files/small": "s"})
	w := open(t, project, dir)
	if _, err := w.Render(t.Context(), RenderOptions{}); err != nil {
		t.Fatal(err)
	}
	write(t, project, map[string]string{"files/big": strings.Repeat("x", 100<<10)})
	_, err := w.Render(t.Context(), RenderOptions{})
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "write files/big") {
		t.Errorf("got %v", err)
	}
	if got := tree(t, w.Files()); len(got) != 1 || got["small"] != "s" {
		t.Errorf("the old files are gone: %v", got)
	}
	// The rest of the place goes to a file of somebody else.
	if err := os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("got %v", err)
	}
	if err := w.Init(); !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "cannot write") {
		t.Errorf("got %v", err)
	}
}
