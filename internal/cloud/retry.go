package cloud

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"time"
)

// Backoff says how often and after which waits a call is tried again. The zero Backoff tries 5 times, after waits of
// about 0.2, 0.4, 0.8 and 1.6 s.
type Backoff struct {
	Tries int            // in all; 0: 5
	First time.Duration  // the wait after the first try; it doubles from try to try; 0: 200 ms
	Max   time.Duration  // the longest wait; 0: 20 s
	Rand  func() float64 // in [0, 1): a wait is between half of its length and all of it; nil: random
}

func (b Backoff) tries() int {
	if b.Tries <= 0 {
		return 5
	}
	return b.Tries
}

// Wait returns the time between try n (from 1) and the next one.
func (b Backoff) Wait(n int) time.Duration {
	d, longest := b.First, b.Max
	if d <= 0 {
		d = 200 * time.Millisecond
	}
	if longest <= 0 {
		longest = 20 * time.Second
	}
	for range n - 1 {
		d = min(2*d, longest)
	}
	d = min(d, longest)
	random := b.Rand
	if random == nil {
		random = rand.Float64
	}
	return d/2 + time.Duration(random()*float64(d/2))
}

// Do calls op until it returns nil or an error that is not temporary, or the tries are used up. Where ctx ends during a
// wait, the error is that of ctx and of the last try.
func (b Backoff) Do(ctx context.Context, op func(context.Context) error) error {
	for n := 1; ; n++ {
		err := op(ctx)
		if err == nil || !IsTemporary(err) {
			return err
		}
		if n >= b.tries() {
			return fmt.Errorf("gave up after %d tries: %w", n, err)
		}
		if stopped := sleep(ctx, b.Wait(n)); stopped != nil {
			return fmt.Errorf("%w (last try: %w)", stopped, err)
		}
	}
}

// sleep returns early, with the cause, where ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// RetryFiles returns f with every call tried again as b says. A Put is tried again only where its body can be rewound (an
// io.Seeker); a listing goes on behind the last key that it yielded; the reader of a Get is not retried.
func RetryFiles(f Files, b Backoff) Files { return &retryFiles{f, b} }

type retryFiles struct {
	files   Files
	backoff Backoff
}

func (r *retryFiles) Get(ctx context.Context, key string) (body io.ReadCloser, o Object, err error) {
	err = r.backoff.Do(ctx, func(ctx context.Context) (err error) {
		body, o, err = r.files.Get(ctx, key)
		return err
	})
	return body, o, err
}

func (r *retryFiles) Put(ctx context.Context, key string, body io.Reader, opts PutOptions) (o Object, err error) {
	seeker, ok := body.(io.ReadSeeker)
	if !ok {
		return r.files.Put(ctx, key, body, opts)
	}
	start, err := seeker.Seek(0, io.SeekCurrent)
	if err != nil { // a pipe is a Seeker that cannot seek
		return r.files.Put(ctx, key, body, opts)
	}
	unsure := false // an earlier try may have arrived
	err = r.backoff.Do(ctx, func(ctx context.Context) error {
		if _, err := seeker.Seek(start, io.SeekStart); err != nil {
			return err
		}
		o, err = r.files.Put(ctx, key, seeker, opts)
		unsure = unsure || IsTemporary(err)
		return err
	})
	if unsure && errors.Is(err, ErrConflict) {
		return r.mine(ctx, key, seeker, start, err)
	}
	return o, err
}

// mine looks, after a conditional Put of several tries has lost, whether it lost against its own earlier try, whose
// answer did not arrive: then what is stored is what it wanted to store.
func (r *retryFiles) mine(ctx context.Context, key string, body io.ReadSeeker, start int64, lost error) (Object, error) {
	if _, err := body.Seek(start, io.SeekStart); err != nil {
		return Object{}, lost
	}
	want, err := sum(body)
	if err != nil {
		return Object{}, lost
	}
	stored, o, err := r.Get(ctx, key)
	if err != nil {
		return Object{}, lost
	}
	defer stored.Close() //nolint:errcheck // read only
	got, err := sum(stored)
	if err != nil || string(got) != string(want) {
		return Object{}, lost
	}
	return o, nil
}

func sum(r io.Reader) ([]byte, error) {
	h := sha256.New()
	_, err := io.Copy(h, r)
	return h.Sum(nil), err
}

func (r *retryFiles) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		l := lister{files: r.files, prefix: prefix, yield: yield}
		if err := r.backoff.Do(ctx, l.run); err != nil && !l.left {
			yield(Object{}, err)
		}
	}
}

// lister yields a listing over several tries.
type lister struct {
	files  Files
	prefix string
	yield  func(Object, error) bool
	last   string // key that was yielded last
	left   bool   // the consumer has left
}

func (l *lister) run(ctx context.Context) error {
	for o, err := range l.files.List(ctx, l.prefix) {
		if err != nil {
			return err
		}
		if o.Key <= l.last {
			continue
		}
		l.last = o.Key
		if !l.yield(o, nil) {
			l.left = true
			return nil
		}
	}
	return nil
}

func (r *retryFiles) Delete(ctx context.Context, keys ...string) error {
	return r.backoff.Do(ctx, func(ctx context.Context) error { return r.files.Delete(ctx, keys...) })
}
