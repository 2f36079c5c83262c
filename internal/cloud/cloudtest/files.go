package cloudtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Files runs the tests of cloud.Files.
func Files(t *testing.T, open func(t *testing.T) World) {
	for name, test := range map[string]func(*testing.T, cloud.Files){
		"round trip":                   testRoundTrip,
		"what is not there":            testMissing,
		"keys that are refused":        testBadKeys,
		"odd names":                    testOddNames,
		"an object above another":      testNested,
		"overwrite":                    testOverwrite,
		"a reader keeps its version":   testReaderKeeps,
		"a part":                       testParts,
		"a failed put changes nothing": testFailedPut,
		"a body that changes":          testChangedBody,
		"a hash that was said":         testSaidHash,
		"copy":                         testCopy,
		"copy what changes":            testCopyNoMix,
		"a cancelled put":              testCancelPut,
		"a cancelled get":              testCancelGet,
		"a cancelled listing":          testCancelList,
		"a listing of 1,234":           testListMany,
		"prefixes do not bleed":        testPrefixes,
		"a listing is sorted":          testSorted,
		"delete 2,500":                 testDeleteMany,
		"create once":                  testIfAbsent,
		"replace what was seen":        testIfMatch,
		"a put that is sent twice":     testSentTwice,
		"signs of life":                testFleeting,
		"both conditions":              testBothConditions,
		"20 creators":                  testCreators,
		"20 counters":                  testCounters,
		"writers and readers":          testNoMix,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t)(scope).Files)
		})
	}
	t.Run("seen by another opener", func(t *testing.T) {
		t.Parallel()
		world := open(t)
		o := put(t, world(scope).Files, "a", "text")
		_, got, err := read(t.Context(), world(scope).Files, "a")
		if err != nil || got.ETag != o.ETag {
			t.Errorf("the other reads %+v, %v; want ETag %s", got, err, o.ETag)
		}
	})
}

func testRoundTrip(t *testing.T, f cloud.Files) {
	binary := make([]byte, 70_000)
	for i := range binary {
		binary[i] = byte(i * i >> 3)
	}
	for name, content := range map[string]string{
		"empty": "", "one": "x", "newlines": "\n\r\n\x00\n", "text": "für alle\n", "binary": string(binary),
	} {
		key := "round/" + name
		stored := put(t, f, key, content)
		got, o, err := read(t.Context(), f, key)
		if err != nil || got != content {
			t.Errorf("%s: got %d bytes and %v, want %d bytes", name, len(got), err, len(content))
		}
		if o.Key != key || o.Size != int64(len(content)) || o.ETag == "" || o.ETag != stored.ETag || o.Modified.IsZero() {
			t.Errorf("%s: object %+v, put answered %+v", name, o, stored)
		}
		if sum := sha256.Sum256([]byte(content)); stored.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: SHA256 is %q", name, stored.SHA256)
		}
		for listed, err := range f.List(t.Context(), "round") {
			if err != nil {
				t.Fatal(err)
			}
			if listed.Key == key && (listed.Size != o.Size || listed.ETag != o.ETag || listed.Modified.IsZero()) {
				t.Errorf("%s: listed as %+v, want %+v", name, listed, o)
			}
		}
	}
	o, err := f.Put(t.Context(), "part", cloud.From(strings.NewReader("more than is wanted"), 9), cloud.PutOptions{})
	if err != nil || o.Size != 9 || get(t, f, "part") != "more than" {
		t.Errorf("the beginning of a reader: %+v, %v", o, err)
	}
}

func testMissing(t *testing.T, f cloud.Files) {
	for range 2 { // in a new bucket, and in one with something in it
		if _, _, err := f.Get(t.Context(), "a", cloud.GetOptions{}); !errors.Is(err, cloud.ErrNotFound) {
			t.Errorf("get: %v, want ErrNotFound", err)
		}
		if _, _, err := f.Get(t.Context(), "other/a", cloud.GetOptions{}); !errors.Is(err, cloud.ErrNotFound) {
			t.Errorf("get below an object: %v, want ErrNotFound", err)
		}
		if err := f.Delete(t.Context(), "a", "other/a"); err != nil {
			t.Errorf("delete: %v", err)
		}
		if err := f.Delete(t.Context()); err != nil {
			t.Errorf("delete nothing: %v", err)
		}
		if got := keys(t, f.List(t.Context(), "none")); len(got) > 0 {
			t.Errorf("list: %q", got)
		}
		put(t, f, "other", "x")
	}
	if err := f.Delete(t.Context(), "other", "other"); err != nil {
		t.Errorf("delete the same key twice: %v", err)
	}
	if _, _, err := f.Get(t.Context(), "other", cloud.GetOptions{}); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("get after delete: %v, want ErrNotFound", err)
	}
}

func testBadKeys(t *testing.T, f cloud.Files) {
	for name, key := range map[string]string{
		"empty": "", "slash": "/", "leading slash": "/a", "trailing slash": "a/", "empty part": "a//b", "up": "../a",
		"up inside": "a/../b", "up at the end": "a/..", "here": "./a", "nul": "a\x00b", "too long": strings.Repeat("k", 1025), "not utf-8": "a\xff",
	} {
		_, err := f.Put(t.Context(), key, cloud.Text("x"), cloud.PutOptions{})
		if !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("put with %s: %v, want ErrInvalid", name, err)
		}
		if _, _, err := f.Get(t.Context(), key, cloud.GetOptions{}); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("get with %s: %v, want ErrInvalid", name, err)
		}
		if err := f.Delete(t.Context(), "fine", key); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("delete with %s: %v, want ErrInvalid", name, err)
		}
	}
	for _, prefix := range []string{"/", "a//b", "../a", "a/.."} {
		for _, err := range f.List(t.Context(), prefix) {
			if !errors.Is(err, cloud.ErrInvalid) {
				t.Errorf("list %q: %v, want ErrInvalid", prefix, err)
			}
		}
	}
}

// oddNames are keys that some store or file system has got wrong.
func oddNames() []string {
	return []string{
		" ", " leading", "trailing ", "a b", "a+b", "a%2Fb", "a%", "%", "100%", "a#b", "a?b=c&d", "a=b", "a@", "@", "a~", "~",
		"a:b", "a*b", "a\"b", "a'b", "a\\b", "a<b>", "a|b", "[a]", "{a}", "$(a)", "`a`", "a;b", "!", "a,b", ".hidden", "..a", "a..", "...",
		"a\nb", "a\tb", "a\x01b", "a\x7fb", "-a", "--", "con", "nul.txt", "CaSe", "case", "CASE", "größe", "gro\u0308ße", "日本語/データ", "🙂", "\u202eabc",
		"a/b c/d+e/f%g", "A/b", "a/B", strings.Repeat("x", 255), strings.Repeat("y", 1024), strings.Repeat("Z", 300) + "/a",
		strings.Repeat("é", 512), strings.Repeat("d/", 511) + "dd", strings.Repeat("p", 250) + "/" + strings.Repeat("q", 250) + "/r",
		"2026-01-30T12:00:00+01:00", "objects", "tmp", "locks", "long", "a.new", ".tmp-1",
	}
}

func testOddNames(t *testing.T, f cloud.Files) {
	want := oddNames()
	for _, key := range want {
		put(t, f, key, "content of "+key)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, keys(t, f.List(t.Context(), ""))); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	for _, key := range want {
		if got := get(t, f, key); got != "content of "+key {
			t.Errorf("get %.40q: %.40q", key, got)
		}
	}
	if diff := cmp.Diff([]string{"日本語/データ"}, keys(t, f.List(t.Context(), "日本語"))); diff != "" {
		t.Errorf("list below a folder (-want +got):\n%s", diff)
	}
	if err := f.Delete(t.Context(), want...); err != nil {
		t.Fatal(err)
	}
	if got := keys(t, f.List(t.Context(), "")); len(got) > 0 {
		t.Errorf("after deletion: %q", got)
	}
}

func testNested(t *testing.T, f cloud.Files) {
	all := []string{"a", "a/b", "a/b/c", "a/b/c/d"}
	for _, key := range all {
		put(t, f, key, key)
	}
	if err := f.Delete(t.Context(), "a/b"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "a/b/c", "a/b/c/d"}, keys(t, f.List(t.Context(), ""))); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if err := f.Delete(t.Context(), "a/b/c/d", "a", "a/b/c"); err != nil {
		t.Fatal(err)
	}
	put(t, f, "a/b", "again")
	if got := get(t, f, "a/b"); got != "again" {
		t.Errorf("get: %q", got)
	}
}

func testOverwrite(t *testing.T, f cloud.Files) {
	first := put(t, f, "a", strings.Repeat("long", 1000))
	second := put(t, f, "a", "short")
	if got := get(t, f, "a"); got != "short" || first.ETag == second.ETag {
		t.Errorf("got %q, ETags %s and %s", got, first.ETag, second.ETag)
	}
	if got := keys(t, f.List(t.Context(), "")); len(got) != 1 {
		t.Errorf("list: %q", got)
	}
}

func testReaderKeeps(t *testing.T, f cloud.Files) {
	old := strings.Repeat("old ", 100_000)
	for _, change := range []func() error{
		func() error {
			_, err := f.Put(t.Context(), "a", cloud.Text("new"), cloud.PutOptions{})
			return err
		},
		func() error { return f.Delete(t.Context(), "a") },
	} {
		put(t, f, "a", old)
		body, _, err := f.Get(t.Context(), "a", cloud.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		begin := make([]byte, 10)
		if _, err := io.ReadFull(body, begin); err != nil {
			t.Fatal(err)
		}
		if err := change(); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(body)
		if err != nil || string(begin)+string(rest) != old {
			t.Errorf("read %d bytes of the old version, %v", len(begin)+len(rest), err)
		}
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	}
}

func testParts(t *testing.T, f cloud.Files) {
	for _, size := range []int{0, 1, 100, 300_000} {
		text := make([]byte, size)
		for i := range text {
			text[i] = byte(i * i >> 3)
		}
		stored := put(t, f, "a", string(text))
		for _, part := range []cloud.GetOptions{
			{}, {Length: 1}, {Offset: 1}, {Offset: 99, Length: 1}, {Offset: 50, Length: 50}, {Offset: 99, Length: 100}, {Offset: 100}, {Offset: 1 << 40, Length: 9},
			{Offset: 7, Length: 200_000}, {Offset: 299_999},
		} {
			body, o, err := f.Get(t.Context(), "a", part)
			if err != nil {
				t.Errorf("%+v of %d bytes: %v", part, size, err)
				continue
			}
			got, err := io.ReadAll(body)
			offset, length := part.Part(int64(size))
			if err != nil || !bytes.Equal(got, text[offset:offset+length]) || o.Size != int64(size) || o.ETag != stored.ETag {
				t.Errorf("%+v of %d bytes: %d bytes, %+v, %v", part, size, len(got), o, err)
			}
			if err := body.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	for _, part := range []cloud.GetOptions{{Offset: -1}, {Length: -1}} {
		if _, _, err := f.Get(t.Context(), "a", part); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("%+v: %v, want ErrInvalid", part, err)
		}
	}
	if _, _, err := f.Get(t.Context(), "b", cloud.GetOptions{Offset: 1}); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("a part of nothing: %v, want ErrNotFound", err)
	}
}

// A file that is written to while it is stored is never an object of which nobody has seen the whole.
func testChangedBody(t *testing.T, f cloud.Files) {
	put(t, f, "a", "old")
	write := func(change func(*os.File) error) func(*os.File, int) error {
		return func(file *os.File, _ int) error { return change(file) }
	}
	for name, test := range map[string]struct {
		size   int
		change func(file *os.File, size int) error
	}{
		"longer":      {1 << 20, func(file *os.File, size int) error { _, err := file.WriteAt([]byte("x"), int64(size)); return err }},
		"shorter":     {1 << 20, func(file *os.File, size int) error { return file.Truncate(int64(size) - 1) }},
		"empty now":   {1 << 20, write(func(file *os.File) error { return file.Truncate(0) })},
		"not empty":   {0, write(func(file *os.File) error { _, err := file.WriteAt([]byte("x"), 0); return err })},
		"other bytes": {1 << 20, write(func(file *os.File) error { _, err := file.WriteAt([]byte("x"), 9); return err })},
	} {
		file, err := os.CreateTemp(t.TempDir(), "")
		if err == nil {
			_, err = file.Write(make([]byte, test.size))
		}
		if err == nil { // not in the tick of the clock in which it is changed
			err = os.Chtimes(file.Name(), time.Time{}, time.Now().Add(-time.Minute))
		}
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close() // it goes
		body, err := cloud.FromFile(file)
		if err == nil {
			err = test.change(file, test.size)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Put(t.Context(), "a", body, cloud.PutOptions{}); !errors.Is(err, cloud.ErrChanged) {
			t.Errorf("%s: %v, want ErrChanged", name, err)
		}
	}
	if got := get(t, f, "a"); got != "old" {
		t.Errorf("stored: %.20q", got)
	}
}

func testSaidHash(t *testing.T, f cloud.Files) {
	sum := sha256.Sum256([]byte("text"))
	said := hex.EncodeToString(sum[:])
	if o, err := f.Put(t.Context(), "a", cloud.Text("text").WithSHA256(said), cloud.PutOptions{}); err != nil || o.SHA256 != said {
		t.Errorf("%+v, %v; want %s", o, err, said)
	}
	if _, err := f.Put(t.Context(), "a", cloud.Text("test").WithSHA256(said), cloud.PutOptions{}); !errors.Is(err, cloud.ErrChanged) {
		t.Errorf("another text: %v, want ErrChanged", err)
	}
	if got := get(t, f, "a"); got != "text" {
		t.Errorf("stored: %q", got)
	}
}

// alone hides that Files can copy.
type alone struct{ cloud.Files }

// Copy does the same whoever copies.
func testCopy(t *testing.T, f cloud.Files) {
	ctx := t.Context()
	for i, files := range []cloud.Files{f, alone{f}} {
		for _, size := range []int{0, 5, 3 << 20} {
			from, to := fmt.Sprintf("%d/from %d", i, size), fmt.Sprintf("%d/to/%s/%d", i, strings.Repeat("n", 300), size)
			text := strings.Repeat("0123456789", size/10+1)[:size]
			source := put(t, f, from, text)
			for range 2 { // there is none, there is one
				o, err := cloud.Copy(ctx, files, from, to)
				if err != nil || o.Key != to || o.Size != int64(size) || o.SHA256 != source.SHA256 {
					t.Errorf("%+v, %v; want a copy of %+v", o, err, source)
				}
				got, now, err := read(ctx, f, to)
				if err != nil || got != text || now.ETag != o.ETag {
					t.Errorf("the copy has %d bytes, %+v, %v; want %d bytes and ETag %s", len(got), now, err, size, o.ETag)
				}
				put(t, f, to, "else")
			}
			if _, err := cloud.Copy(ctx, files, from, from); err != nil || get(t, f, from) != text {
				t.Errorf("onto itself: %v", err)
			}
		}
		if _, err := cloud.Copy(ctx, files, "none", "copy"); !errors.Is(err, cloud.ErrNotFound) {
			t.Errorf("copy of nothing: %v, want ErrNotFound", err)
		}
		if _, err := cloud.Copy(ctx, files, "../a", "copy"); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("copy of a bad key: %v, want ErrInvalid", err)
		}
		put(t, f, "a", "x")
		if _, err := cloud.Copy(ctx, files, "a", "b//c"); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("copy to a bad key: %v, want ErrInvalid", err)
		}
		stopped, stop := context.WithCancel(ctx)
		stop()
		_, err := cloud.Copy(stopped, files, "a", "copy")
		wantStopped(t, "copy", err, context.Canceled)
	}
}

func testCopyNoMix(t *testing.T, f cloud.Files) {
	texts := []string{strings.Repeat("a", 300_000), strings.Repeat("b", 500_000)}
	put(t, f, "from", texts[0])
	put(t, f, "to", texts[1])
	var group sync.WaitGroup
	for _, text := range texts {
		group.Go(func() {
			for range 10 {
				if _, err := f.Put(t.Context(), "from", cloud.Text(text), cloud.PutOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
		group.Go(func() {
			for range 10 {
				if _, err := cloud.Copy(t.Context(), f, "from", "to"); err != nil {
					t.Error(err)
				}
				if got, _, err := read(t.Context(), f, "to"); err != nil || !slices.Contains(texts, got) {
					t.Errorf("read %d bytes that nobody wrote, %v", len(got), err)
				}
			}
		})
	}
	group.Wait()
}

// breaking has so many bytes in front of an error.
type breaking struct {
	size int64
	err  error
}

func (b *breaking) ReadAt(p []byte, at int64) (int, error) {
	n := min(int64(len(p)), max(0, b.size-at))
	clear(p[:n])
	if n < int64(len(p)) {
		return int(n), b.err
	}
	return int(n), nil
}

func testFailedPut(t *testing.T, f cloud.Files) {
	broken := errors.New("the source broke")
	put(t, f, "a", "old")
	for _, size := range []int64{0, 10, 1 << 20} {
		for _, key := range []string{"a", "b"} {
			body := cloud.From(&breaking{size, broken}, 2<<20)
			if _, err := f.Put(t.Context(), key, body, cloud.PutOptions{}); !errors.Is(err, broken) {
				t.Errorf("put %d bytes, then a broken source: %v", size, err)
			}
		}
	}
	if got := get(t, f, "a"); got != "old" {
		t.Errorf("after failed puts: %.20q", got)
	}
	if diff := cmp.Diff([]string{"a"}, keys(t, f.List(t.Context(), ""))); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
}

// cancelling calls stop when it has been read n times.
type cancelling struct {
	n    int
	stop func()
}

func (c *cancelling) ReadAt(p []byte, _ int64) (int, error) {
	if c.n--; c.n == 0 {
		c.stop()
	}
	clear(p)
	return len(p), nil // it has no end: only a Put that looks at its context returns
}

func testCancelPut(t *testing.T, f cloud.Files) {
	put(t, f, "a", "old")
	why := errors.New("enough")
	before, stop := context.WithCancelCause(t.Context())
	stop(why)
	_, err := f.Put(before, "a", cloud.Text("new"), cloud.PutOptions{})
	wantStopped(t, "put before", err, why)
	wantStopped(t, "delete before", f.Delete(before, "a"), why)
	middle, stop := context.WithCancelCause(t.Context())
	_, err = f.Put(middle, "a", cloud.From(&cancelling{n: 5, stop: func() { stop(why) }}, 1<<50), cloud.PutOptions{})
	wantStopped(t, "put in the middle", err, why)
	if got := get(t, f, "a"); got != "old" {
		t.Errorf("after cancelled puts: %.20q", got)
	}
	if got := keys(t, f.List(t.Context(), "")); len(got) != 1 {
		t.Errorf("list: %q", got)
	}
}

func wantStopped(t *testing.T, what string, err, why error) {
	t.Helper()
	if !errors.Is(err, why) && !errors.Is(err, context.Canceled) {
		t.Errorf("%s: %v, want the cause of the context", what, err)
	}
}

func testCancelGet(t *testing.T, f cloud.Files) {
	put(t, f, "a", strings.Repeat("x", 8<<20))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	body, _, err := f.Get(ctx, "a", cloud.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if _, err := io.ReadFull(body, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	stop()
	if n, err := io.Copy(io.Discard, body); err == nil {
		t.Errorf("read %d bytes to the end after cancellation", n)
	}
	_, _, err = f.Get(ctx, "a", cloud.GetOptions{})
	wantStopped(t, "get before", err, context.Canceled)
}

func testCancelList(t *testing.T, f cloud.Files) {
	fill(t, f, numbered("n", 50))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var last error
	n := 0
	for _, err := range f.List(ctx, "") {
		last = err
		if n++; n == 3 {
			stop()
		}
	}
	// A provider may still yield what is in the page that it has.
	if n < 50 {
		wantStopped(t, "list", last, context.Canceled)
	}
	n = 0
	for _, err := range f.List(ctx, "") {
		wantStopped(t, "list before", err, context.Canceled)
		n++
	}
	if n != 1 {
		t.Errorf("a listing that was cancelled before yielded %d times", n)
	}
}

// fill stores many small objects at once.
func fill(t *testing.T, f cloud.Files, all []string) {
	t.Helper()
	work := make(chan string)
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			for key := range work {
				if _, err := f.Put(t.Context(), key, cloud.Text(key), cloud.PutOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, key := range all {
		work <- key
	}
	close(work)
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

func testListMany(t *testing.T, f cloud.Files) {
	want := slices.Concat(numbered("many/a/", 617), numbered("many/b", 617))
	fill(t, f, want)
	fill(t, f, []string{"many2/x", "man"})
	if diff := cmp.Diff(want, keys(t, f.List(t.Context(), "many"))); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	n := 0
	for _, err := range f.List(t.Context(), "many") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 10 {
			break
		}
	}
	if n != 10 {
		t.Errorf("left after %d", n)
	}
}

func testPrefixes(t *testing.T, f cloud.Files) {
	fill(t, f, []string{"files", "files/a", "files/b/c", "files2/a", "files-old/a", "files.bak", "Files/a", "file/a", "x/files/a"})
	for prefix, want := range map[string][]string{
		"files": {"files/a", "files/b/c"}, "files/": {"files/a", "files/b/c"}, "files/b": {"files/b/c"}, "files2": {"files2/a"},
		"files/a": nil, "file": {"file/a"}, "x": {"x/files/a"}, "fil": nil, "f": nil,
	} {
		if diff := cmp.Diff(want, keys(t, f.List(t.Context(), prefix))); diff != "" {
			t.Errorf("list %q (-want +got):\n%s", prefix, diff)
		}
	}
}

func testSorted(t *testing.T, f cloud.Files) {
	want := []string{"a", "a-b", "a.b", "a/b", "a/b-c", "a/b/c", "a/b0", "a0", "aA", "a_", "ab", "b", "B", "é", "z/z", "zz", strings.Repeat("m", 900), "a/" + strings.Repeat("n", 900)}
	fill(t, f, want)
	slices.Sort(want)
	if diff := cmp.Diff(want, keys(t, f.List(t.Context(), ""))); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
}

func testDeleteMany(t *testing.T, f cloud.Files) {
	all := numbered("del/", 2500)
	fill(t, f, all[:1300])
	put(t, f, "keep", "x")
	if err := f.Delete(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"keep"}, keys(t, f.List(t.Context(), ""))); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
}

// endless has as many bytes as are asked for, and notes how large the heap has become meanwhile.
type endless struct{ peak *uint64 }

func (e endless) ReadAt(p []byte, at int64) (int, error) {
	for i := range p {
		p[i] = byte(at + int64(i))
	}
	if at>>22 != (at+int64(len(p)))>>22 { // every 4 MiB
		noteHeap(e.peak)
	}
	return len(p), nil
}

func noteHeap(peak *uint64) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	*peak = max(*peak, m.HeapAlloc)
}

// Streams is the test that memory does not grow with the size of an object. Since it measures that, it has to run alone. A bucket
// that is itself in memory cannot pass it.
func Streams(t *testing.T, f cloud.Files) {
	const size, most = 64 << 20, 40 << 20
	var start, peak uint64
	runtime.GC()
	noteHeap(&start)
	stored, err := f.Put(t.Context(), "large", cloud.From(endless{&peak}, size), cloud.PutOptions{})
	if err != nil || stored.Size != size {
		t.Fatalf("put: %+v, %v", stored, err)
	}
	body, _, err := f.Get(t.Context(), "large", cloud.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(sum, writerFunc(func(p []byte) (int, error) {
		noteHeap(&peak)
		return len(p), nil
	})), body)
	if err != nil || n != size || hex.EncodeToString(sum.Sum(nil)) != stored.SHA256 {
		t.Errorf("got %d bytes with hash %x and %v, want %+v", n, sum.Sum(nil), err, stored)
	}
	if peak > start+most {
		t.Errorf("the heap grew by %d MiB", (peak-start)>>20)
	}
}

type writerFunc func([]byte) (int, error)

func (w writerFunc) Write(p []byte) (int, error) { return w(p) }

func testIfAbsent(t *testing.T, f cloud.Files) {
	create := cloud.PutOptions{IfAbsent: true}
	if _, err := f.Put(t.Context(), "a", cloud.Text("first"), create); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Put(t.Context(), "a", cloud.Text("second"), create); !errors.Is(err, cloud.ErrConflict) {
		t.Errorf("create again: %v, want ErrConflict", err)
	}
	if got := get(t, f, "a"); got != "first" {
		t.Errorf("got %q", got)
	}
	if err := f.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Put(t.Context(), "a", cloud.Text("third"), create); err != nil {
		t.Errorf("create after delete: %v", err)
	}
}

// A sign of life is an object like any other as long as the machine lives.
func testFleeting(t *testing.T, f cloud.Files) {
	first, err := f.Put(t.Context(), "new/folder/a", cloud.Text("first"), cloud.PutOptions{IfAbsent: true, Fleeting: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Put(t.Context(), "new/folder/a", cloud.Text("x"), cloud.PutOptions{IfAbsent: true, Fleeting: true}); !errors.Is(err, cloud.ErrConflict) {
		t.Errorf("err = %v", err)
	}
	second, err := f.Put(t.Context(), "new/folder/a", cloud.Text("second"), cloud.PutOptions{IfMatch: first.ETag, Fleeting: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Put(t.Context(), "new/folder/a", cloud.Text("third"), cloud.PutOptions{Fleeting: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Put(t.Context(), "new/folder/a", cloud.Text("x"), cloud.PutOptions{IfMatch: second.ETag}); !errors.Is(err, cloud.ErrConflict) {
		t.Errorf("err = %v", err)
	}
	body, _, err := f.Get(t.Context(), "new/folder/a", cloud.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close() // read only
	if text, err := io.ReadAll(body); err != nil || string(text) != "third" {
		t.Errorf("content %q, %v", text, err)
	}
}

func testIfMatch(t *testing.T, f cloud.Files) {
	first := put(t, f, "a", "first")
	second, err := f.Put(t.Context(), "a", cloud.Text("second"), cloud.PutOptions{IfMatch: first.ETag})
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]string{"stale": "a", "missing": "b"} {
		_, err := f.Put(t.Context(), key, cloud.Text("third"), cloud.PutOptions{IfMatch: first.ETag})
		if !errors.Is(err, cloud.ErrConflict) {
			t.Errorf("%s: %v, want ErrConflict", name, err)
		}
	}
	_, now, err := read(t.Context(), f, "a")
	if err != nil || now.ETag != second.ETag || get(t, f, "a") != "second" {
		t.Errorf("got %+v, %v; want %+v", now, err, second)
	}
}

// A provider does not guess from the content who has stored it: of writers of the same text, too, exactly one wins. Who has won by
// a request whose answer was lost finds out by reading.
func testSentTwice(t *testing.T, f cloud.Files) {
	ctx := t.Context()
	for i, o := range []cloud.PutOptions{{IfAbsent: true}, {IfMatch: put(t, f, "1", "old").ETag}} {
		key, text := fmt.Sprint(i), fmt.Sprint("text ", i)
		first, err := f.Put(ctx, key, cloud.Text(text), o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Put(ctx, key, cloud.Text(text), o); !errors.Is(err, cloud.ErrConflict) {
			t.Errorf("%+v again: %v, want ErrConflict", o, err)
		}
		if got, err := cloud.Write(ctx, f, key, []byte(text), o); err != nil || got.ETag != first.ETag {
			t.Errorf("%+v: found %+v, %v; want ETag %s", o, got, err, first.ETag)
		}
		if _, err := cloud.Write(ctx, f, key, []byte("else"), o); !errors.Is(err, cloud.ErrConflict) {
			t.Errorf("%+v of another text: %v, want ErrConflict", o, err)
		}
	}
}

func testBothConditions(t *testing.T, f cloud.Files) {
	_, err := f.Put(t.Context(), "a", cloud.Text("x"), cloud.PutOptions{IfAbsent: true, IfMatch: "e"})
	if !errors.Is(err, cloud.ErrInvalid) {
		t.Errorf("both conditions: %v, want ErrInvalid", err)
	}
}

func testCreators(t *testing.T, f cloud.Files) {
	for round := range 5 {
		key := fmt.Sprintf("lease/%d", round)
		var winners atomic.Int32
		var winner atomic.Value
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() {
				text := fmt.Sprintf("writer %d", i)
				_, err := f.Put(t.Context(), key, cloud.Text(text), cloud.PutOptions{IfAbsent: true})
				switch {
				case err == nil:
					winners.Add(1)
					winner.Store(text)
				case !errors.Is(err, cloud.ErrConflict):
					t.Error(err)
				}
			})
		}
		group.Wait()
		if winners.Load() != 1 || get(t, f, key) != winner.Load() {
			t.Errorf("%d writers created it, the last is %v, it holds %q", winners.Load(), winner.Load(), get(t, f, key))
		}
	}
}

func testCounters(t *testing.T, f cloud.Files) {
	put(t, f, "count", "")
	const each = 5
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			for done := 0; done < each; {
				text, o, err := read(t.Context(), f, "count")
				if err != nil {
					t.Error(err)
					return
				}
				_, err = f.Put(t.Context(), "count", cloud.Text(text+"x"), cloud.PutOptions{IfMatch: o.ETag})
				if err == nil {
					done++
				} else if !errors.Is(err, cloud.ErrConflict) {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if got := len(get(t, f, "count")); got != 20*each {
		t.Errorf("%d increments were reported, %d are there", 20*each, got)
	}
}

func testNoMix(t *testing.T, f cloud.Files) {
	texts := []string{strings.Repeat("a", 300_000), strings.Repeat("b", 500_000), ""}
	put(t, f, "m", texts[0])
	var group sync.WaitGroup
	for _, text := range texts {
		group.Go(func() {
			for range 10 {
				if _, err := f.Put(t.Context(), "m", cloud.Text(text), cloud.PutOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
		group.Go(func() {
			for range 10 {
				if got, _, err := read(t.Context(), f, "m"); err != nil || !slices.Contains(texts, got) {
					t.Errorf("read %d bytes that nobody wrote, %v", len(got), err)
				}
			}
		})
	}
	group.Wait()
}
