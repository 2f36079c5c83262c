package cloudtest

import (
	"context"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Twice returns f on a network that loses the answer to each conditional Put: it is sent again, as SDKs do, and meets its own
// first try. What is built on a bucket has to work on it.
func Twice(f cloud.Files) cloud.Files { return twice{f} }

type twice struct{ cloud.Files }

// Put implements cloud.Files.
func (t twice) Put(ctx context.Context, key string, body cloud.Body, o cloud.PutOptions) (cloud.Object, error) {
	if !o.Conditional() {
		return t.Files.Put(ctx, key, body, o)
	}
	if _, err := t.Files.Put(ctx, key, body, o); err != nil {
		return cloud.Object{}, err
	}
	return t.Files.Put(ctx, key, body, o)
}
