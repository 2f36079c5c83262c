package lease

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Wait takes the lease as soon as those before it have ended: it waits for its holder, and for those that began to wait
// earlier (their run ids sort before this one). waiting, which may be nil, is told once which run is waited for.
func Wait(ctx context.Context, files cloud.Files, o Options, waiting func(Record)) (context.Context, *Lease, error) {
	o = o.withDefaults()
	t := ticket{files: files, o: o}
	defer t.drop(ctx)
	for {
		turn, err := t.turn(ctx)
		if err != nil {
			return ctx, nil, err
		}
		if turn {
			held, l, err := Acquire(ctx, files, o)
			busy, taken := errors.AsType[*HeldError](err)
			if !taken {
				return held, l, err
			}
			if waiting != nil {
				waiting(busy.Record)
				waiting = nil
			}
		}
		if err := sleep(ctx, o.Poll); err != nil {
			return ctx, nil, err
		}
	}
}

// Replace asks the holder to end, waits until it has, and takes the lease.
func Replace(ctx context.Context, files cloud.Files, o Options, waiting func(Record)) (context.Context, *Lease, error) {
	o = o.withDefaults()
	for {
		held, l, err := Acquire(ctx, files, o)
		busy, taken := errors.AsType[*HeldError](err)
		if !taken {
			return held, l, err
		}
		if err := ask(ctx, files, o); err != nil {
			return ctx, nil, err
		}
		if waiting != nil {
			waiting(busy.Record)
			waiting = nil
		}
		if err := sleep(ctx, o.Poll); err != nil {
			return ctx, nil, err
		}
	}
}

// ask writes into the lease that its holder shall end. Of several that ask the last one counts.
func ask(ctx context.Context, files cloud.Files, o Options) error {
	now, etag, err := Read(ctx, files, o.Key)
	if err != nil || etag == "" || now.Released || now.StopBy == o.Run {
		return err
	}
	now.StopBy = o.Run
	if _, err := write(ctx, files, o.Key, now, etag); err != nil && !errors.Is(err, cloud.ErrConflict) {
		return fmt.Errorf("ask run %s to end: %w", now.Run, err)
	}
	return nil // after a conflict the next round asks again
}

// ticket is a place in the queue: an object beside the lease, named after the run, and written again as a sign of life.
type ticket struct {
	files   cloud.Files
	o       Options
	written time.Time
}

// folder is where the tickets of a lease are.
func (t *ticket) folder() string { return strings.TrimSuffix(t.o.Key, ".json") + "/queue" }

func (t *ticket) key() string { return t.folder() + "/" + t.o.Run }

// turn reports whether nobody who still lives is before this one.
func (t *ticket) turn(ctx context.Context) (bool, error) {
	if time.Since(t.written) >= t.o.Renew {
		o, err := t.files.Put(ctx, t.key(), strings.NewReader(t.o.Run+"\n"), cloud.PutOptions{})
		if err != nil {
			return false, fmt.Errorf("queue for lease: %w", err)
		}
		t.written = time.Now()
		return t.first(ctx, o.Modified)
	}
	return t.first(ctx, time.Time{})
}

// first looks for living tickets before this one. now is the clock of the bucket, zero where it is not known.
func (t *ticket) first(ctx context.Context, now time.Time) (bool, error) {
	for o, err := range t.files.List(ctx, t.folder()) {
		if err != nil {
			return false, fmt.Errorf("queue for lease: %w", err)
		}
		if o.Key >= t.key() {
			return true, nil
		}
		if now.IsZero() || now.Sub(o.Modified) < t.o.TTL {
			return false, nil
		}
		if err := t.files.Delete(ctx, o.Key); err != nil { // its run died while it waited
			return false, fmt.Errorf("queue for lease: %w", err)
		}
	}
	return true, nil
}

func (t *ticket) drop(ctx context.Context) {
	// One that stays is passed by after its time.
	_ = t.files.Delete(context.WithoutCancel(ctx), t.key())
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
