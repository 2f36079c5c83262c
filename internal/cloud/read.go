package cloud

import (
	"context"
	"fmt"
	"io"
	"sync"
)

// Read returns the whole content of a small object. ErrNotFound: there is none. ErrCorrupt: it is longer than limit bytes, so
// handoff has not written it.
func Read(ctx context.Context, files Files, key string, limit int64) ([]byte, Object, error) {
	body, o, err := files.Get(ctx, key)
	if err != nil {
		return nil, Object{}, err
	}
	defer body.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("object %q: %w: longer than %d bytes", key, ErrCorrupt, limit)
	}
	if err != nil {
		return nil, Object{}, err
	}
	return text, o, nil
}

// Each does work for all items, n at a time, up to the first error, which it returns when no work is under way any more.
func Each[T any](ctx context.Context, n int, items []T, work func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan T)
	var wg sync.WaitGroup
	for range min(max(n, 1), len(items)) {
		wg.Go(func() {
			for item := range next {
				if err := work(ctx, item); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, item := range items {
		select {
		case next <- item:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
	}
	close(next)
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
