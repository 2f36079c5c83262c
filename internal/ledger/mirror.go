package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

const (
	mirrorEvery = 2 * time.Second  // at most, while something happens
	signOfLife  = 10 * time.Second // at least
)

// Mirror keeps the record of a run in a bucket up to date while the run goes on.
type Mirror struct {
	stop context.CancelFunc
	done chan struct{}
}

// Follow puts the record of r into the bucket, and again while it changes and as a sign of life, until Close. The error
// is for the first time; later ones are told to failed, which may be nil, when they begin: the next try may work.
func (b *Bucket) Follow(ctx context.Context, r *Recorder, failed func(error)) (*Mirror, error) {
	text, seen, err := r.snapshot(time.Now())
	if err == nil {
		err = b.put(ctx, r.ID(), text)
	}
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	m := &Mirror{stop: stop, done: make(chan struct{})}
	go m.follow(ctx, b, r, seen, failed)
	return m, nil
}

// Close ends the updates. What the record says at last is for the caller to put.
func (m *Mirror) Close() {
	m.stop()
	<-m.done
}

func (m *Mirror) follow(ctx context.Context, b *Bucket, r *Recorder, seen int, failed func(error)) {
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
		text, now, err := r.snapshot(time.Now())
		if err == nil && now == seen && time.Since(last) < signOfLife {
			continue
		}
		if err == nil {
			err = b.put(ctx, r.ID(), text)
		}
		if err == nil {
			last, seen = time.Now(), now
		} else if !bad && failed != nil && ctx.Err() == nil {
			failed(err)
		}
		bad = err != nil
	}
}

// snapshot answers the record as it is now, and a number that changes when something happens.
func (r *Recorder) snapshot(now time.Time) ([]byte, int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.run.Updated = now.UTC()
	text, err := json.MarshalIndent(r.run, "", "  ")
	if err != nil {
		return nil, 0, fmt.Errorf("encode run record: %w", err)
	}
	return text, r.changes, nil
}
