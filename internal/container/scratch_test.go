package container

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestScratch(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	left := filepath.Join(cache, "work", "build-killed")
	if err := os.MkdirAll(filepath.Join(left, "with-a-secret"), 0o700); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 { // builds at the same time
		all.Go(func() {
			s, err := NewScratch(cache)
			if err != nil {
				t.Error(err)
				return
			}
			if err := os.WriteFile(filepath.Join(s.Dir, "file"), nil, 0o600); err != nil {
				t.Error(err)
			}
			s.Close()
		})
	}
	all.Wait()
	if entries, err := os.ReadDir(filepath.Join(cache, "work")); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
}
