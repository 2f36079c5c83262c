package workspace

import (
	"os"
	"path/filepath"
	"testing"
)

// Files that are no templates are linked where that was allowed, and only there.
func TestRenderLinks(t *testing.T) {
	t.Parallel()
	for _, allowed := range []bool{true, false} {
		dir := tempDir(t)
		write(t, dir, map[string]string{"prj/files/d/plain": "a", "prj/files/raw": "{{bad}}", "prj/files/template": "{{x}}"})
		w := open(t, filepath.Join(dir, "prj"), filepath.Join(dir, "ws"))
		if _, err := w.Render(t.Context(), RenderOptions{Raw: []string{"raw"}, Render: upper, Link: allowed}); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"d/plain": "a", "raw": "{{bad}}", "template": "X"} {
			made := filepath.Join(w.Files(), name)
			text, err := os.ReadFile(made)
			if err != nil || string(text) != want {
				t.Errorf("%s: %q, %v", name, text, err)
			}
			if linked := sameFile(made, filepath.Join(dir, "prj/files", name)); linked != (allowed && name != "template") {
				t.Errorf("%s: allowed %t, linked %t", name, allowed, linked)
			}
		}
	}
}
