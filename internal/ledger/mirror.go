package ledger

import (
	"context"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

const (
	mirrorEvery = 2 * time.Second  // at most, while something happens
	signOfLife  = 10 * time.Second // at least, while nothing does
	lateSign    = 30 * time.Second // the same of a large record
)

// whileRunning is how a record is put that says that its run goes on: it does not after a crash of the machine.
var whileRunning = cloud.PutOptions{Fleeting: true}

// Mirror keeps the record of a run in a bucket up to date while the run goes on.
type Mirror struct {
	bucket *Bucket
	record *Recorder
	mu     sync.Mutex // held while one is put
	stop   context.CancelFunc
	done   chan struct{}
}

// Follow puts the record of r into the bucket, and again while it changes and as a sign of life, until Close. The error
// is for the first time; later ones are told to failed, which may be nil, when they begin: the next try may work.
func (b *Bucket) Follow(ctx context.Context, r *Recorder, failed func(error)) (*Mirror, error) {
	text, seen, err := r.snapshot(time.Now())
	if err == nil {
		err = b.put(ctx, r.ID(), text, whileRunning)
	}
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	m := &Mirror{bucket: b, record: r, stop: stop, done: make(chan struct{})}
	go m.follow(ctx, seen, len(text), failed)
	return m, nil
}

// Close ends the updates. What the record says at last is for the caller to put.
func (m *Mirror) Close() {
	m.stop()
	<-m.done
}

// Put puts the record as it is now, so that it outlives a crash of the machine.
func (m *Mirror) Put(ctx context.Context) error {
	_, _, err := m.put(ctx, cloud.PutOptions{})
	return err
}

// put is one at a time, so that no older record replaces a newer one.
func (m *Mirror) put(ctx context.Context, o cloud.PutOptions) (seen, size int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text, seen, err := m.record.snapshot(time.Now())
	if err != nil {
		return seen, 0, err
	}
	return seen, len(text), m.bucket.store(ctx, m.record.ID(), text, o)
}

func (m *Mirror) follow(ctx context.Context, seen, size int, failed func(error)) {
	defer close(m.done)
	tick := time.NewTicker(mirrorEvery)
	defer tick.Stop()
	last, bad := time.Now(), false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		rest := pause(size, 0)
		since := time.Since(last)
		if m.record.unchanged(seen) {
			rest = max(signOfLife, rest)
		}
		if since < min(rest, lateSign) {
			continue
		}
		now, n, err := m.put(ctx, whileRunning)
		if err == nil {
			last, seen, size = time.Now(), now, n
		} else if !bad && failed != nil && ctx.Err() == nil {
			failed(err)
		}
		bad = err != nil
	}
}
