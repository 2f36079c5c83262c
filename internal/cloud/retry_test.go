package cloud_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

var errBusy = cloud.Temporary(errors.New("slow down"))

// fake is a bucket in memory whose calls fail as fail says, which gets their number from 1 on.
type fake struct {
	mu      sync.Mutex
	calls   int
	fail    func(n int) error
	late    bool // a failing Put has stored the object: only its answer is lost
	objects map[string]string
	now     int // calls under way
	peak    int
	hold    time.Duration // of each call
}

func (f *fake) enter() error {
	f.mu.Lock()
	f.calls++
	f.now++
	f.peak = max(f.peak, f.now)
	n := f.calls
	f.mu.Unlock()
	time.Sleep(f.hold)
	if f.fail == nil {
		return nil
	}
	return f.fail(n)
}

func (f *fake) leave() {
	f.mu.Lock()
	f.now--
	f.mu.Unlock()
}

func (f *fake) Get(_ context.Context, key string) (io.ReadCloser, cloud.Object, error) {
	defer f.leave() // runs after the lock is given back
	if err := f.enter(); err != nil {
		return nil, cloud.Object{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	text, ok := f.objects[key]
	if !ok {
		return nil, cloud.Object{}, cloud.ErrNotFound
	}
	return io.NopCloser(strings.NewReader(text)), cloud.Object{Key: key}, nil
}

func (f *fake) Put(_ context.Context, key string, body io.Reader, o cloud.PutOptions) (cloud.Object, error) {
	defer f.leave()
	text, _ := io.ReadAll(body)
	failed := f.enter()
	if failed != nil && !f.late {
		return cloud.Object{}, failed
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, there := f.objects[key]; there && o.IfAbsent {
		return cloud.Object{}, cloud.ErrConflict
	}
	f.objects[key] = string(text)
	return cloud.Object{Key: key, Size: int64(len(text))}, failed
}

func (f *fake) List(context.Context, string) iter.Seq2[cloud.Object, error] {
	return func(yield func(cloud.Object, error) bool) {
		for i := range 10 {
			if err := f.enter(); err != nil {
				yield(cloud.Object{}, err)
				return
			}
			f.leave()
			if !yield(cloud.Object{Key: fmt.Sprint(i)}, nil) {
				return
			}
		}
	}
}

func (f *fake) Delete(context.Context, ...string) error {
	defer f.leave()
	return f.enter()
}

// failing returns an error for the first n calls.
func failing(n int) func(int) error {
	return func(call int) error {
		if call <= n {
			return errBusy
		}
		return nil
	}
}

func exact() cloud.Backoff {
	return cloud.Backoff{First: time.Second, Max: 4 * time.Second, Tries: 6, Rand: func() float64 { return 1 }}
}

func TestBackoffWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		start := time.Now()
		err := exact().Do(t.Context(), func(context.Context) error {
			at = append(at, time.Since(start))
			return errBusy
		})
		want := []time.Duration{0, 1 * time.Second, 3 * time.Second, 7 * time.Second, 11 * time.Second, 15 * time.Second}
		if !slices.Equal(at, want) {
			t.Errorf("tried at %v, want %v", at, want)
		}
		if !cloud.IsTemporary(err) || !strings.Contains(err.Error(), "gave up after 6 tries") {
			t.Errorf("error: %v", err)
		}
	})
}

func TestBackoffJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := map[time.Duration]bool{}
		for range 20 {
			start := time.Now()
			b := cloud.Backoff{First: time.Second, Tries: 2}
			if err := b.Do(t.Context(), func(context.Context) error { return errBusy }); err == nil {
				t.Fatal("no error")
			}
			d := time.Since(start)
			if d < 500*time.Millisecond || d > time.Second {
				t.Errorf("waited %v", d)
			}
			seen[d] = true
		}
		if len(seen) < 2 {
			t.Error("always the same wait")
		}
	})
}

func TestBackoffStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		final := errors.New("no such thing")
		err := exact().Do(t.Context(), func(context.Context) error { n++; return final })
		if n != 1 || !errors.Is(err, final) {
			t.Errorf("an error that is not temporary: %d tries, %v", n, err)
		}
		why := errors.New("enough")
		ctx, stop := context.WithCancelCause(t.Context())
		time.AfterFunc(1500*time.Millisecond, func() { stop(why) })
		start := time.Now()
		err = exact().Do(ctx, func(context.Context) error { return errBusy })
		if time.Since(start) != 1500*time.Millisecond || !errors.Is(err, why) || !strings.Contains(err.Error(), "slow down") {
			t.Errorf("cancelled after %v: %v", time.Since(start), err)
		}
	})
}

func TestRetryFiles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{fail: failing(2), objects: map[string]string{"a": "old"}}
		r := cloud.RetryFiles(f, exact())
		body := strings.NewReader("skipped|text")
		body.Seek(8, io.SeekStart)
		if _, err := r.Put(t.Context(), "a", body, cloud.PutOptions{}); err != nil || f.objects["a"] != "text" || f.calls != 3 {
			t.Errorf("put: %v, %q after %d calls", err, f.objects["a"], f.calls)
		}
		f.calls = 0
		if _, _, err := r.Get(t.Context(), "a"); err != nil || f.calls != 3 {
			t.Errorf("get: %v after %d calls", err, f.calls)
		}
		f.calls = 0
		if err := r.Delete(t.Context(), "a"); err != nil || f.calls != 3 {
			t.Errorf("delete: %v after %d calls", err, f.calls)
		}
		f.calls = 0
		if _, err := r.Put(t.Context(), "a", io.MultiReader(strings.NewReader("x")), cloud.PutOptions{}); !cloud.IsTemporary(err) || f.calls != 1 {
			t.Errorf("put of what cannot be rewound: %v after %d calls", err, f.calls)
		}
	})
}

func TestRetryList(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{fail: func(n int) error {
			if n == 4 || n == 9 {
				return errBusy
			}
			return nil
		}}
		r := cloud.RetryFiles(f, exact())
		var got []string
		for o, err := range r.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, o.Key)
			if len(got) == 9 {
				break
			}
		}
		if want := strings.Split("012345678", ""); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		f.fail = func(int) error { return cloud.ErrDenied }
		for _, err := range r.List(t.Context(), "") {
			if !errors.Is(err, cloud.ErrDenied) {
				t.Errorf("list: %v", err)
			}
		}
	})
}

// TestRetryConditionalPut: the first try has arrived, its answer has not; the second one must not take its own object for
// that of another writer, nor the other way round.
func TestRetryConditionalPut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		create := cloud.PutOptions{IfAbsent: true}
		f := &fake{fail: failing(1), late: true, objects: map[string]string{}}
		o, err := cloud.RetryFiles(f, exact()).Put(t.Context(), "lease", strings.NewReader("mine"), create)
		if err != nil || o.Key != "lease" {
			t.Errorf("after a lost answer: %+v, %v", o, err)
		}
		f = &fake{fail: failing(1), objects: map[string]string{"lease": "theirs"}}
		_, err = cloud.RetryFiles(f, exact()).Put(t.Context(), "lease", strings.NewReader("mine"), create)
		if !errors.Is(err, cloud.ErrConflict) {
			t.Errorf("someone else has it: %v", err)
		}
		f = &fake{objects: map[string]string{"lease": "mine"}}
		_, err = cloud.RetryFiles(f, exact()).Put(t.Context(), "lease", strings.NewReader("mine"), create)
		if !errors.Is(err, cloud.ErrConflict) {
			t.Errorf("a first try that loses against an equal object: %v", err)
		}
	})
}

func TestLimitFiles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{objects: map[string]string{"a": "x"}, hold: time.Second}
		l := cloud.LimitFiles(f, 3)
		var group sync.WaitGroup
		for i := range 12 {
			group.Go(func() {
				var err error
				switch i % 3 {
				case 0:
					_, err = l.Put(t.Context(), fmt.Sprint(i), strings.NewReader("x"), cloud.PutOptions{})
				case 1:
					err = l.Delete(t.Context(), "b")
				default:
					var body io.ReadCloser
					if body, _, err = l.Get(t.Context(), "a"); err == nil {
						err = errors.Join(body.Close(), body.Close())
					}
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if f.peak != 3 || f.calls != 12 {
			t.Errorf("%d calls, up to %d at a time, want 12 and 3", f.calls, f.peak)
		}
	})
}

func TestLimitHolds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fake{objects: map[string]string{"a": "x"}}
		l := cloud.LimitFiles(f, 1)
		for o, err := range l.List(t.Context(), "") { // a call inside of a listing does not wait for its end
			if _, _, missing := l.Get(t.Context(), o.Key); err != nil || !errors.Is(missing, cloud.ErrNotFound) {
				t.Errorf("%v %v", err, missing)
			}
		}
		body, _, err := l.Get(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if err := l.Delete(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while a reader is open: %v", err)
		}
		if err := body.Close(); err != nil {
			t.Error(err)
		}
		if err := l.Delete(t.Context(), "a"); err != nil {
			t.Errorf("after it was closed: %v", err)
		}
	})
}
