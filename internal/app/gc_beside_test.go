package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"testing"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
)

// besideFiles calls beside at one of the calls of a verb, between any two objects that are removed, too.
type besideFiles struct {
	cloud.Files
	calls, at int
	beside    func() // before that call; the calls that it makes itself do not count
}

// set has do called before a call, 0: none; it returns how many there were.
func (b *besideFiles) set(at int, do func()) (calls int) {
	calls = b.calls
	b.calls, b.at, b.beside = 0, at, do
	return calls
}

func (b *besideFiles) step() {
	if b.calls++; b.calls == b.at {
		calls, do := b.calls, b.beside
		b.at = 0
		do()
		b.calls = calls
	}
}

func (b *besideFiles) Get(ctx context.Context, key string, part cloud.GetOptions) (io.ReadCloser, cloud.Object, error) {
	b.step()
	return b.Files.Get(ctx, key, part)
}

func (b *besideFiles) Put(ctx context.Context, key string, body cloud.Body, o cloud.PutOptions) (cloud.Object, error) {
	b.step()
	return b.Files.Put(ctx, key, body, o)
}

func (b *besideFiles) List(ctx context.Context, prefix string) iter.Seq2[cloud.Object, error] {
	b.step()
	return b.Files.List(ctx, prefix)
}

func (b *besideFiles) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		b.step()
		if err := b.Files.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// three are files of one archive, each with its number.
func three(n int) map[string]string {
	return map[string]string{"a": fmt.Sprint(n), "b": fmt.Sprint(n), "c/d": fmt.Sprint(n)}
}

// oneOf returns the number that all files of a folder carry, -1 where they are not of one archive; none where there is no file.
func (b *bucket) oneOf(dir string) int {
	n := 0
	for name := range three(0) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		found := 0
		if err == nil {
			_, err = fmt.Sscan(string(text), &found)
		}
		if err != nil || n != 0 && n != found {
			return -1
		}
		n = found
	}
	return n
}

// got returns which archive a workspace gets, as oneOf has it; word is as in ArtifactsGet.
func (b *bucket) got(word string) (int, error) {
	at := b.target
	at.WorkspaceDir = b.t.TempDir()
	_, err := b.ArtifactsGet(b.t.Context(), at, word)
	return b.oneOf(filepath.Join(at.WorkspaceDir, "artifacts")), err
}

// put makes the files of an archive those of the next run.
func (b *bucket) put(n int) (ArtifactsResult, error) {
	at := b.target
	at.WorkspaceDir = b.t.TempDir()
	write(b.t, filepath.Join(at.WorkspaceDir, "artifacts"), three(n))
	return b.ArtifactsPush(b.t.Context(), at, false)
}

// wholeArchives checks that the next run gets want, and that what is in the list is there.
func (b *bucket) wholeArchives(what string, want int) {
	b.t.Helper()
	if got, err := b.got(""); got != want || err != nil {
		b.t.Errorf("%s: the next run finds %d, %v; want %d", what, got, err, want)
	}
	list, err := b.ArtifactsList(b.t.Context(), b.target)
	if err != nil {
		b.t.Error(err)
	}
	for _, x := range list.Archives {
		if got, err := b.got(x.Name); err != nil || got < 1 {
			b.t.Errorf("%s: %s is in the list and has %d, %v", what, x.Name, got, err)
		}
	}
}

// TestGCBeside: an archive is read, copied and replaced while it is removed, and the other way round, at each call of either. What fails
// says what is the matter, what does not has all of it, and nothing is left that is in the list and not there.
func TestGCBeside(t *testing.T) {
	t.Parallel()
	files := &besideFiles{Files: &memory.Files{}}
	b := pushedTo(t, "keep: {days: 10}\ntasks: []\n", func(c *cloud.Cloud) { c.Files, c.Parallel = files, 1 })
	var names []string
	for n := 1; n <= 3; n++ {
		b.later(-100 + n)
		res, err := b.put(n)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, res.Name)
	}
	b.later(0)
	before := copyOf(t, files.Files)
	type verb func() (next int, err error) // next: what the next run gets then
	gc := func() (int, error) {
		_, err := b.gc(false)
		return 3, err
	}
	for name, do := range map[string]verb{
		"get": func() (int, error) {
			got, err := b.got(names[0])
			if err == nil && got != 1 {
				t.Errorf("half of an archive reads as whole: %d", got)
			}
			return 3, err
		},
		"restore": func() (int, error) {
			_, err := b.ArtifactsRestore(t.Context(), b.target, names[0], false)
			return map[bool]int{true: 1, false: 3}[err == nil], err
		},
		"commit": func() (int, error) {
			_, err := b.put(4)
			return 4, err
		},
	} {
		for what, pair := range map[string][2]verb{"gc beside " + name: {do, gc}, name + " beside gc": {gc, do}} {
			for at, more := 1, true; more && !t.Failed(); at++ {
				files.Files = copyOf(t, before)
				other, otherErr := 3, error(nil)
				files.set(at, func() { other, otherErr = pair[1]() })
				next, err := pair[0]()
				more = files.set(0, nil) >= at
				what := fmt.Sprintf("%s, call %d", what, at)
				for _, err := range []error{err, otherErr} {
					if err != nil && (name == "commit" || !errors.Is(err, cloud.ErrNotFound) || HintOf(err) == "") {
						t.Errorf("%s: %v (hint: %s)", what, err, HintOf(err))
					}
				}
				if next == 3 {
					next = other
				}
				b.wholeArchives(what, next)
				if !more && at < 6 {
					t.Errorf("only %d calls", at)
				}
			}
		}
	}
}
