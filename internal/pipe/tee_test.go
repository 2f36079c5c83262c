package pipe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type teeFunc func(ctx context.Context, in *os.File, branches []*os.File, taken *atomic.Int64) (int64, error)

// eachTee runs a test with every implementation.
func eachTee(t *testing.T, test func(t *testing.T, tee teeFunc)) {
	t.Helper()
	for name, tee := range implementations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, tee)
		})
	}
}

// reader is a branch that is read by a goroutine, in portions of up to size bytes, and closed after limit bytes.
type reader struct {
	w    *os.File
	sum  []byte
	read int64
	err  error
	done chan struct{}
}

func newReader(t *testing.T, size int, limit int64, pause time.Duration) *reader {
	t.Helper()
	r, w := newTestPipe(t)
	b := &reader{w: w, done: make(chan struct{})}
	go func() {
		defer close(b.done)
		defer r.Close()
		h := sha256.New()
		buf := make([]byte, size)
		for b.err == nil && b.read < limit {
			var n int
			n, b.err = r.Read(buf[:min(int64(size), limit-b.read)])
			h.Write(buf[:n])
			b.read += int64(n)
			time.Sleep(pause)
		}
		b.sum = h.Sum(nil)
	}()
	return b
}

const noLimit = 1 << 60

// feed writes data in portions of random size and closes w.
func feed(w *os.File, data []byte, largest int, rnd *rand.Rand) {
	defer w.Close()
	for len(data) > 0 {
		n := min(len(data), 1+rnd.IntN(largest))
		if _, err := w.Write(data[:n]); err != nil {
			return
		}
		data = data[n:]
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func TestTeeGivesEveryByteToEveryBranch(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	tests := []struct {
		name           string
		size, branches int
		largestWrite   int
		readSize       int
	}{
		{"nothing", 0, 3, 1, 1000},
		{"one byte", 1, 3, 1, 1000},
		{"one branch", 3 << 20, 1, 100_000, 70_000},
		{"two branches", 3 << 20, 2, 100_000, 70_000},
		{"five branches", 3 << 20, 5, 300_000, 4096},
		{"odd small writes", 300_000, 3, 37, 1 << 20},
		{"writes of half a page and a bit", 1 << 20, 3, 4096, 1 << 20},
		{"large writes, small reads", 2 << 20, 2, 2 << 20, 501},
		{"a lot", 64 << 20, 3, 1 << 20, 1 << 20},
	}
	eachTee(t, func(t *testing.T, tee teeFunc) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				data := randomBytes(tt.size)
				in, w := newTestPipe(t)
				go feed(w, data, tt.largestWrite, rand.New(rand.NewPCG(1, uint64(tt.size))))
				var readers []*reader
				var branches []*os.File
				for range tt.branches {
					r := newReader(t, tt.readSize, noLimit, 0)
					readers, branches = append(readers, r), append(branches, r.w)
				}
				n, err := tee(t.Context(), in, branches, new(atomic.Int64))
				if err != nil || n != int64(tt.size) {
					t.Errorf("tee = %d, %v; want %d", n, err, tt.size)
				}
				want := sha256.Sum256(data)
				for i, r := range readers {
					_ = r.w.Close()
					<-r.done
					if !bytes.Equal(r.sum, want[:]) || r.err != io.EOF {
						t.Errorf("branch %d: %d bytes of %d, %v", i, r.read, tt.size, r.err)
					}
				}
			})
		}
	})
}

func TestTeeDropsBranchesThatEndEarly(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	data := randomBytes(size)
	want := sha256.Sum256(data)
	tests := []struct {
		name   string
		limits []int64
	}{
		{"first", []int64{1000, noLimit, noLimit}},
		{"last", []int64{noLimit, noLimit, 1000}},
		{"at once", []int64{0, noLimit}},
		{"one after the other", []int64{100, 1 << 20, 3 << 20, noLimit}},
		{"all but the first", []int64{noLimit, 2 << 20, 5, 3 << 20}},
	}
	eachTee(t, func(t *testing.T, tee teeFunc) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				in, w := newTestPipe(t)
				go feed(w, data, 200_000, rand.New(rand.NewPCG(1, 2)))
				var readers []*reader
				var branches []*os.File
				for _, limit := range tt.limits {
					r := newReader(t, 10_000, limit, 0)
					readers, branches = append(readers, r), append(branches, r.w)
				}
				n, err := tee(t.Context(), in, branches, new(atomic.Int64))
				if err != nil || n != size {
					t.Errorf("tee = %d, %v; want %d", n, err, size)
				}
				for i, r := range readers {
					if gone := ReaderGone(r.w); gone != (tt.limits[i] != noLimit) {
						t.Errorf("branch %d: ReaderGone = %v", i, gone)
					}
					_ = r.w.Close()
					<-r.done
					if tt.limits[i] == noLimit && !bytes.Equal(r.sum, want[:]) {
						t.Errorf("branch %d: %d bytes of %d", i, r.read, size)
					}
				}
			})
		}
	})
}

func TestTeeReturnsWhenAllBranchesAreGone(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		input  int // bytes, then the writer waits
		limits []int64
	}{
		{"no branches", 0, nil},
		{"no input, one branch", 0, []int64{0}},
		{"no input, three branches", 0, []int64{0, 0, 0}},
		{"after some input", 100_000, []int64{100_000, 100_000}},
		{"in the midst of input", 1 << 20, []int64{10, 70_000, 200_000}},
	}
	eachTee(t, func(t *testing.T, tee teeFunc) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				in, w := newTestPipe(t)
				written := make(chan struct{})
				go func() { _, _ = w.Write(make([]byte, tt.input)); close(written) }()
				var branches []*os.File
				for _, limit := range tt.limits {
					branches = append(branches, newReader(t, 5000, limit, 0).w)
				}
				if n, err := tee(t.Context(), in, branches, new(atomic.Int64)); err != nil || n > int64(tt.input) {
					t.Errorf("tee = %d, %v", n, err)
				}
				_ = in.Close() // ends the write if it still waits
				<-written
			})
		}
	})
}

func TestTeeIsSlowedByASlowBranch(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	eachTee(t, func(t *testing.T, tee teeFunc) {
		in, w := newTestPipe(t)
		slowR, slowW := newTestPipe(t)
		fast := newReader(t, 1<<20, noLimit, 0)
		var accepted atomic.Int64
		go func() {
			defer w.Close()
			for chunk := make([]byte, 1<<16); accepted.Load() < size; accepted.Add(1 << 16) {
				if _, err := w.Write(chunk); err != nil {
					t.Error(err)
					return
				}
			}
		}()
		done := make(chan struct{})
		go func() {
			defer close(done)
			if n, err := tee(t.Context(), in, []*os.File{slowW, fast.w}, new(atomic.Int64)); err != nil || n != size {
				t.Errorf("tee = %d, %v", n, err)
			}
			_ = slowW.Close()
			_ = fast.w.Close()
		}()
		waitFull(t, slowW) // nobody reads it
		waitFull(t, w)
		if got, most := accepted.Load(), int64(5*MaxSize); got > most {
			t.Errorf("the writer could write %d bytes; want at most %d", got, most)
		}
		if n, err := io.Copy(io.Discard, slowR); err != nil || n != size {
			t.Errorf("slow branch: %d bytes, %v", n, err)
		}
		<-done
		<-fast.done
		if fast.read != size {
			t.Errorf("fast branch: %d bytes", fast.read)
		}
	})
}

// waitFull waits until nothing more fits into a pipe.
func waitFull(t *testing.T, w *os.File) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		used, size, err := Level(w)
		if err != nil {
			t.Fatal(err)
		}
		if used == size {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("pipe holds %d of %d bytes", used, size)
		}
	}
}

func TestTeeEndsWithContext(t *testing.T) {
	t.Parallel()
	cause := errors.New("told to stop")
	tests := []struct {
		name  string
		input int
		read  bool
	}{
		{"waiting for input", 0, true},
		{"waiting for a branch", 64 << 20, false},
		{"busy", 1 << 40, true},
	}
	eachTee(t, func(t *testing.T, tee teeFunc) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				in, w := newTestPipe(t)
				fed := make(chan struct{})
				go func() {
					defer close(fed)
					for n := 0; n < tt.input; n += 1 << 20 {
						if _, err := w.Write(make([]byte, 1<<20)); err != nil {
							return
						}
					}
				}()
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(30*time.Millisecond, func() { cancel(cause) })
				_, stuck := newTestPipe(t)
				branches := []*os.File{newReader(t, 1<<20, noLimit, 0).w, newReader(t, 1<<20, noLimit, 0).w}
				if !tt.read {
					branches = append(branches, stuck)
				}
				if _, err := tee(ctx, in, branches, new(atomic.Int64)); !errors.Is(err, cause) {
					t.Errorf("error = %v; want %v", err, cause)
				}
				if _, err := tee(ctx, in, branches, new(atomic.Int64)); !errors.Is(err, cause) {
					t.Errorf("error with an ended context = %v; want %v", err, cause)
				}
				_ = in.Close()
				<-fed
				for _, b := range branches {
					_ = b.Close()
				}
			})
		}
	})
}

func TestTeeGivesFilesBack(t *testing.T) {
	t.Parallel()
	eachTee(t, func(t *testing.T, tee teeFunc) {
		in, w := newTestPipe(t)
		out, branch := newTestPipe(t)
		_ = w.Close()
		if _, err := tee(t.Context(), in, []*os.File{branch}, new(atomic.Int64)); err != nil {
			t.Fatal(err)
		}
		for name, f := range map[string]*os.File{"in": in, "branch": branch} {
			if isNonblock(t, f) {
				t.Errorf("%s is left in non-blocking mode", name)
			}
		}
		if _, err := branch.WriteString("still open"); err != nil {
			t.Fatal(err)
		}
		_ = branch.Close()
		got, err := io.ReadAll(out)
		if d := cmp.Diff("still open", string(got)); d != "" || err != nil {
			t.Error(err, d)
		}
	})
}

func TestTeeOfBadFiles(t *testing.T) {
	t.Parallel()
	eachTee(t, func(t *testing.T, tee teeFunc) {
		in, w := newTestPipe(t)
		_, closed := newTestPipe(t)
		_ = closed.Close()
		if _, err := tee(t.Context(), in, []*os.File{w, closed}, new(atomic.Int64)); !errors.Is(err, os.ErrClosed) {
			t.Errorf("closed branch: error = %v", err)
		}
		if _, err := tee(t.Context(), closed, []*os.File{w}, new(atomic.Int64)); !errors.Is(err, os.ErrClosed) {
			t.Errorf("closed input: error = %v", err)
		}
		f, err := os.Create(filepath.Join(t.TempDir(), "f"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := tee(t.Context(), in, []*os.File{f}, new(atomic.Int64)); err == nil {
			t.Error("a branch that is no pipe: no error")
		}
	})
}

func TestCopy(t *testing.T) {
	t.Parallel()
	data := randomBytes(3 << 20)
	for _, from := range []string{"pipe", "file"} {
		for _, to := range []string{"pipe", "file", "appended file"} {
			t.Run(fmt.Sprintf("%s to %s", from, to), func(t *testing.T) {
				t.Parallel()
				in := source(t, from, data)
				out, result := sink(t, to)
				n, err := Copy(t.Context(), out, in)
				if err != nil || n != int64(len(data)) {
					t.Errorf("Copy = %d, %v; want %d", n, err, len(data))
				}
				if got := result(); !bytes.Equal(got, data) {
					t.Errorf("got %d bytes, or others than were sent", len(got))
				}
			})
		}
	}
}

func source(t *testing.T, kind string, data []byte) *os.File {
	t.Helper()
	if kind == "pipe" {
		r, w := newTestPipe(t)
		go feed(w, data, 100_000, rand.New(rand.NewPCG(3, 4)))
		return r
	}
	name := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// sink returns a file to copy to, and what tells at the end what arrived there.
func sink(t *testing.T, kind string) (*os.File, func() []byte) {
	t.Helper()
	if kind == "pipe" {
		r, w := newTestPipe(t)
		got := make(chan []byte)
		go func() {
			b, _ := io.ReadAll(r)
			got <- b
		}()
		return w, func() []byte { _ = w.Close(); return <-got }
	}
	flags := os.O_CREATE | os.O_WRONLY
	if kind == "appended file" {
		flags |= os.O_APPEND
	}
	name := filepath.Join(t.TempDir(), "out")
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, func() []byte {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
		}
		return b
	}
}

func TestCopyEnds(t *testing.T) {
	t.Parallel()
	cause := errors.New("told to stop")
	for _, from := range []string{"pipe", "file"} {
		t.Run("reader gone, from "+from, func(t *testing.T) {
			t.Parallel()
			r, w := newTestPipe(t)
			_ = r.Close()
			if _, err := Copy(t.Context(), w, source(t, from, make([]byte, 1<<20))); err != nil {
				t.Error(err)
			}
		})
		t.Run("context, from "+from, func(t *testing.T) {
			t.Parallel()
			_, w := newTestPipe(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			in := source(t, from, make([]byte, 64<<20)) // more than the pipe, which nobody reads, can hold
			time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
			if _, err := Copy(ctx, w, in); !errors.Is(err, cause) {
				t.Errorf("error = %v; want %v", err, cause)
			}
			_ = in.Close()
		})
	}
	t.Run("context, to file", func(t *testing.T) {
		t.Parallel()
		r, _ := newTestPipe(t)
		out, _ := sink(t, "file")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
		if _, err := Copy(ctx, out, r); !errors.Is(err, cause) {
			t.Errorf("error = %v; want %v", err, cause)
		}
	})
	t.Run("closed file", func(t *testing.T) {
		t.Parallel()
		out, _ := sink(t, "file")
		in := source(t, "file", []byte("x"))
		_ = out.Close()
		if _, err := Copy(t.Context(), out, in); !errors.Is(err, os.ErrClosed) {
			t.Errorf("error = %v", err)
		}
	})
}
