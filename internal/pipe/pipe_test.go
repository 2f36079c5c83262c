package pipe

import (
	"bytes"
	"io"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// newTestPipe returns a pipe that is closed at the end of the test.
func newTestPipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	return r, w
}

func TestForChild(t *testing.T) {
	t.Parallel()
	r, w, err := ForChild()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if err := r.SetReadDeadline(time.Now()); err != nil {
		t.Fatalf("reads cannot be ended: %v", err)
	}
	if _, err := r.Read(make([]byte, 1)); !os.IsTimeout(err) {
		t.Errorf("read: %v", err)
	}
	for name, f := range map[string]*os.File{"read end": r, "write end": w} {
		if err := control(f, func(fd int) {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
			closes, cerr := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			if err != nil || cerr != nil || (flags&unix.O_NONBLOCK != 0) != (f == r) || closes&unix.FD_CLOEXEC == 0 {
				t.Errorf("%s: flags %o and %o, errors %v, %v", name, flags, closes, err, cerr)
			}
		}); err != nil {
			t.Error(err)
		}
	}
}

func TestLevel(t *testing.T) {
	t.Parallel()
	r, w := newTestPipe(t)
	if _, err := w.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]*os.File{"read end": r, "write end": w} {
		used, size, err := Level(f)
		if err != nil || used != 1000 || size < 4096 {
			t.Errorf("%s: Level = %d, %d, %v; want 1000, >= 4096", name, used, size, err)
		}
	}
	_ = r.Close()
	if _, _, err := Level(r); err == nil {
		t.Error("Level of a closed file gives no error")
	}
}

func TestReaderGone(t *testing.T) {
	t.Parallel()
	r, w := newTestPipe(t)
	if ReaderGone(w) {
		t.Error("ReaderGone is true with an open reader")
	}
	if _, err := w.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	if !ReaderGone(w) {
		t.Error("ReaderGone is false without a reader")
	}
	_ = w.Close()
	if ReaderGone(w) {
		t.Error("ReaderGone is true for a closed file")
	}
}

func TestTeeToTwo(t *testing.T) {
	t.Parallel()
	inR, inW := newTestPipe(t)
	r1, w1 := newTestPipe(t)
	r2, w2 := newTestPipe(t)
	want := bytes.Repeat([]byte("0123456789"), 1000)
	if _, err := inW.Write(want); err != nil {
		t.Fatal(err)
	}
	_ = inW.Close()
	n, err := Tee(t.Context(), inR, []*os.File{w1, w2})
	if err != nil || n != int64(len(want)) {
		t.Fatalf("Tee = %d, %v; want %d", n, err, len(want))
	}
	_ = w1.Close()
	_ = w2.Close()
	for _, r := range []*os.File{r1, r2} {
		got, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Error(d)
		}
	}
}

// isNonblock reports whether a file is in non-blocking mode.
func isNonblock(t *testing.T, f *os.File) bool {
	t.Helper()
	var flags int
	var err error
	if cerr := control(f, func(fd int) { flags, err = unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	return flags&unix.O_NONBLOCK != 0
}
