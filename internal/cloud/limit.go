package cloud

import (
	"context"
	"io"
	"iter"
	"sync"
)

// LimitFiles returns f with at most n calls under way at a time; further ones wait for their turn or for the end of their
// context. An open reader of a Get counts until it is closed. A listing does not count, so that the code that ranges over
// it may make calls.
func LimitFiles(f Files, n int) Files {
	return &limitFiles{files: f, slots: make(chan struct{}, max(n, 1))}
}

type limitFiles struct {
	files Files
	slots chan struct{}
}

func (l *limitFiles) enter(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *limitFiles) leave() { <-l.slots }

func (l *limitFiles) Get(ctx context.Context, key string) (io.ReadCloser, Object, error) {
	if err := l.enter(ctx); err != nil {
		return nil, Object{}, err
	}
	body, o, err := l.files.Get(ctx, key)
	if err != nil {
		l.leave()
		return nil, o, err
	}
	return &limitedBody{ReadCloser: body, leave: sync.OnceFunc(l.leave)}, o, nil
}

// limitedBody gives its slot back when it is closed.
type limitedBody struct {
	io.ReadCloser
	leave func()
}

func (b *limitedBody) Close() error {
	defer b.leave()
	return b.ReadCloser.Close()
}

func (l *limitFiles) Put(ctx context.Context, key string, body io.Reader, o PutOptions) (Object, error) {
	if err := l.enter(ctx); err != nil {
		return Object{}, err
	}
	defer l.leave()
	return l.files.Put(ctx, key, body, o)
}

func (l *limitFiles) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return l.files.List(ctx, prefix)
}

func (l *limitFiles) Delete(ctx context.Context, keys ...string) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.leave()
	return l.files.Delete(ctx, keys...)
}
