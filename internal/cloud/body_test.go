package cloud_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/handoff-run/handoff/internal/cloud"
)

func TestBodies(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("some text"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	file, err := cloud.FromFile(f)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		body cloud.Body
		want string
	}{
		"none": {cloud.Body{}, ""}, "text": {cloud.Text("some text"), "some text"}, "bytes": {cloud.Bytes([]byte("some text")), "some text"},
		"beginning": {cloud.From(strings.NewReader("some text"), 4), "some"}, "file": {file, "some text"},
	} {
		for range 2 { // as often as needed
			if err := iotest.TestReader(test.body.Open(), []byte(test.want)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if test.body.Size() != int64(len(test.want)) || test.body.SHA256() != "" {
			t.Errorf("%s: size %d, hash %q", name, test.body.Size(), test.body.SHA256())
		}
	}
	if b := cloud.Text("x").WithSHA256("abc"); b.SHA256() != "abc" {
		t.Errorf("hash %q", b.SHA256())
	}
}

// What reads no further than it has to learns of a change, too.
func TestBodyTellsBeforeTheLastByte(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	body, err := cloud.FromFile(f)
	if err != nil {
		t.Fatal(err)
	}
	r := body.Open()
	if _, err := io.ReadFull(r, make([]byte, 99)); err != nil {
		t.Error(err)
	}
	if _, err := f.WriteAt([]byte("x"), 100); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, cloud.ErrChanged) || cloud.Hint(err) == "" {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

func TestSpool(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, size := range []int{0, 1, 1<<20 - 1, 1 << 20, 1<<20 + 1, 5 << 20} {
		text := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
		body, done, err := cloud.Spool(iotest.HalfReader(bytes.NewReader(text)))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got, err := io.ReadAll(body.Open()); err != nil || !bytes.Equal(got, text) || body.Size() != int64(size) {
				t.Errorf("%d bytes became %d, %v", size, len(got), err)
			}
		}
		done()
		if _, _, err := cloud.Spool(io.MultiReader(bytes.NewReader(text), iotest.ErrReader(broken))); !errors.Is(err, broken) {
			t.Errorf("a stream that breaks: %v", err)
		}
	}
}
