package release

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// many writes a project with 5,000 small files.
func many(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	random := rand.NewChaCha8([32]byte{})
	if err := os.WriteFile(filepath.Join(dir, configName), []byte("version: 1\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	for i := range 5000 {
		folder := filepath.Join(dir, filesName, fmt.Sprintf("d%d/e%d", i%50, i%7))
		text := make([]byte, 200+i%3800)
		_, _ = random.Read(text)
		if i < 350 {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				b.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprint(i)), text, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return dir
}

// The measure of the others: cp -r, and a flush of what it wrote.
func BenchmarkCopy(b *testing.B) {
	dir, to := many(b), b.TempDir()
	for i := 0; b.Loop(); i++ {
		out := filepath.Join(to, fmt.Sprint(i))
		if err := exec.Command("cp", "-r", dir, out).Run(); err != nil {
			b.Fatal(err)
		}
		flush(b, to)
	}
}

func flush(b *testing.B, dir string) {
	b.Helper()
	f, err := os.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkPush(b *testing.B) {
	dir, to := many(b), b.TempDir()
	for i := 0; b.Loop(); i++ {
		push(b, openStore(b, filepath.Join(to, fmt.Sprint(i))), dir, All)
	}
}

func BenchmarkPushUnchanged(b *testing.B) {
	dir, s := many(b), openStore(b, b.TempDir())
	push(b, s, dir, All)
	for b.Loop() {
		if push(b, s, dir, All).Changed {
			b.Fatal("changed")
		}
	}
}

// Fetch with a flush, to have what BenchmarkCopy has.
func BenchmarkFetch(b *testing.B) {
	dir, s, to := many(b), openStore(b, b.TempDir()), b.TempDir()
	push(b, s, dir, All)
	for i := 0; b.Loop(); i++ {
		if _, err := s.Fetch(b.Context(), "", filepath.Join(to, fmt.Sprint(i))); err != nil {
			b.Fatal(err)
		}
		flush(b, to)
	}
}
