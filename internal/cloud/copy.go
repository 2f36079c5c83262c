package cloud

import (
	"context"
	"errors"
	"fmt"
)

// Copier is what Files are, too, whose provider copies an object by itself, so that it does not go over the network.
type Copier interface {
	// Copy stores the content of from under to, as a Put without a condition does: one version of it, durable, in the place of
	// what was there. ErrNotFound: there is no from. ErrUnsupported: not these two.
	Copy(ctx context.Context, from, to string) (Object, error)
}

// Copy copies an object: by the provider where it can, else by a Get and a Put.
func Copy(ctx context.Context, files Files, from, to string) (Object, error) {
	if c, ok := files.(Copier); ok {
		o, err := c.Copy(ctx, from, to)
		if !errors.Is(err, ErrUnsupported) {
			return o, err
		}
	}
	content, o, err := files.Get(ctx, from, GetOptions{})
	if err != nil {
		return Object{}, err
	}
	defer content.Close() // read only
	body, done, err := Spool(content)
	if err != nil {
		return Object{}, fmt.Errorf("copy object %q: %w", from, err)
	}
	defer done()
	return files.Put(ctx, to, body.WithSHA256(o.SHA256), PutOptions{})
}
