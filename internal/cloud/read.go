package cloud

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"
)

// Read returns the whole content of a small object. ErrNotFound: there is none. ErrCorrupt: it is longer than limit bytes, so
// handoff has not written it.
func Read(ctx context.Context, files Files, key string, limit int64) ([]byte, Object, error) {
	body, o, err := files.Get(ctx, key, GetOptions{})
	if err != nil {
		return nil, Object{}, err
	}
	defer body.Close() // read only
	text, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("object %q: %w: longer than %d bytes", key, ErrCorrupt, limit)
	}
	if err != nil {
		return nil, Object{}, err
	}
	return text, o, nil
}

// Write is a conditional Put of a small text that nobody else would store. It knows its own first try: where the text is what is
// stored, there was no conflict.
func Write(ctx context.Context, files Files, key string, text []byte, o PutOptions) (Object, error) {
	stored, err := files.Put(ctx, key, Bytes(text), o)
	if !errors.Is(err, ErrConflict) {
		return stored, err
	}
	now, found, rerr := Read(ctx, files, key, int64(len(text)))
	if rerr == nil && bytes.Equal(now, text) {
		return found, nil
	}
	return Object{}, err
}

// Each does work for all items, n at a time, up to the first error, which it returns when no work is under way any more. Where ctx
// ends first, it returns the cause of that.
func Each[T any](ctx context.Context, n int, items []T, work func(context.Context, T) error) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(max(n, 1))
	for _, item := range items {
		if inner.Err() != nil {
			break
		}
		group.Go(func() error { return work(inner, item) })
	}
	if group.Wait() != nil {
		return context.Cause(inner) // the first error, or why ctx ended, whichever came first
	}
	return context.Cause(ctx)
}
