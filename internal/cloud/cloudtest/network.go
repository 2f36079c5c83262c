package cloudtest

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Network is a way to Files which counts the bytes of contents that go over it.
type Network struct {
	cloud.Files
	Sent, Received atomic.Int64
}

// Put implements cloud.Files.
func (n *Network) Put(ctx context.Context, key string, body cloud.Body, o cloud.PutOptions) (cloud.Object, error) {
	n.Sent.Add(body.Size())
	return n.Files.Put(ctx, key, body, o)
}

// Get implements cloud.Files.
func (n *Network) Get(ctx context.Context, key string, part cloud.GetOptions) (io.ReadCloser, cloud.Object, error) {
	body, o, err := n.Files.Get(ctx, key, part)
	if err != nil {
		return nil, o, err
	}
	return &received{body, n}, o, nil
}

// Copy implements cloud.Copier.
func (n *Network) Copy(ctx context.Context, from, to string) (cloud.Object, error) {
	return cloud.Copy(ctx, n.Files, from, to)
}

type received struct {
	io.ReadCloser
	network *Network
}

func (r *received) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.network.Received.Add(int64(n))
	return n, err
}
