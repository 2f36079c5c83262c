package pipe

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

func TestWatch(t *testing.T) {
	t.Parallel()
	data := randomBytes(3 << 20)
	for name, watch := range map[string]func(context.Context, *os.File, *os.File, func([]byte) error) (int64, error){"kernel": watch, "buffer": copySeen} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, w := newTestPipe(t)
			b := newReader(t, 50_000, noLimit, 0)
			go feed(w, data, 200_000, rand.New(rand.NewPCG(1, 2)))
			var seen bytes.Buffer
			n, err := watch(t.Context(), b.w, in, func(p []byte) error { seen.Write(p); return nil })
			_ = b.w.Close()
			<-b.done
			if err != nil || n != int64(len(data)) || b.read != n || !bytes.Equal(seen.Bytes(), data) {
				t.Errorf("copied %d, read %d, seen %d bytes of %d: %v", n, b.read, seen.Len(), len(data), err)
			}
		})
	}
}

func TestWatchEnds(t *testing.T) {
	t.Parallel()
	stop := errors.New("seen enough")
	t.Run("see", func(t *testing.T) {
		t.Parallel()
		in, w := newTestPipe(t)
		_, out := newTestPipe(t)
		_, _ = w.Write([]byte("x"))
		if _, err := Watch(t.Context(), out, in, func([]byte) error { return stop }); !errors.Is(err, stop) {
			t.Error(err)
		}
	})
	t.Run("context", func(t *testing.T) {
		t.Parallel()
		in, w := newTestPipe(t)
		_, out := newTestPipe(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		_, _ = w.Write([]byte("x"))
		if _, err := Watch(ctx, out, in, func([]byte) error { cancel(stop); return nil }); !errors.Is(err, stop) {
			t.Error(err)
		}
	})
	t.Run("reader", func(t *testing.T) {
		t.Parallel()
		in, _ := newTestPipe(t) // its writer stays, and writes nothing
		r, out := newTestPipe(t)
		_ = r.Close()
		if n, err := Watch(t.Context(), out, in, func([]byte) error { return nil }); n != 0 || err != nil {
			t.Error(n, err)
		}
	})
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		in, w := newTestPipe(t)
		out, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		go feed(w, []byte("hello"), 2, rand.New(rand.NewPCG(1, 2)))
		seen := 0
		n, err := Watch(t.Context(), out, in, func(p []byte) error { seen += len(p); return nil })
		if text, _ := os.ReadFile(out.Name()); n != 5 || err != nil || seen != 5 || string(text) != "hello" {
			t.Error(n, err, seen, string(text))
		}
	})
}
