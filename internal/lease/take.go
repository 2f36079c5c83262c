package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// taker tries to take a lease.
type taker struct {
	files cloud.Files
	o     Options
	watch watch
}

// Acquire takes the lease or returns a HeldError. Where this machine cannot see whether the holder lives, it waits for a
// renewal: for moments if it lives, for TTL if not. The context that it returns is one of ctx; it ends with a LostError
// as its cause when the lease is lost or another run asks for it. The caller calls Release.
func Acquire(ctx context.Context, files cloud.Files, o Options) (context.Context, *Lease, error) {
	t := taker{files: files, o: o.withDefaults()}
	for {
		held, l, more, err := t.try(ctx)
		if !more {
			return held, l, err
		}
		if err := t.wait(ctx, err); err != nil {
			return ctx, nil, err
		}
	}
}

// wait tells, once, which run is waited for, and pauses.
func (t *taker) wait(ctx context.Context, err error) error {
	if held, ok := errors.AsType[*HeldError](err); ok {
		t.o.Waiting(held.Record)
		t.o.Waiting = func(Record) {}
	}
	return cloud.Sleep(ctx, t.o.Poll)
}

// try looks once. more says that another look will tell whether the holder lives; the error is a HeldError then.
func (t *taker) try(ctx context.Context) (held context.Context, l *Lease, more bool, err error) {
	now, etag, err := Read(ctx, t.files, t.o.Key)
	if err != nil {
		return ctx, nil, false, err
	}
	if v := t.watch.look(now, t.o); v != free {
		return ctx, nil, v == unsure, &HeldError{now}
	}
	held, l, err = t.take(ctx, now, etag)
	return held, l, false, err
}

// take replaces the lease that was seen, and begins to renew it.
func (t *taker) take(ctx context.Context, before Record, etag string) (context.Context, *Lease, error) {
	at := t.o.Now().UTC().Round(0)
	l := &Lease{files: t.files, o: t.o, previous: before, record: Record{
		SchemaVersion: 1, Holder: t.o.Holder, Fence: t.nextFence(ctx, before, at), TTL: t.o.TTL.Seconds(), Taken: at, Renewed: at,
	}}
	calls, cancel := context.WithTimeout(ctx, t.o.Stop())
	defer cancel()
	l.proven = time.Now()
	var err error
	if l.etag, err = write(calls, t.files, t.o.Key, l.record, etag); err != nil {
		err = l.settle(calls, err)
	}
	if err == nil {
		if lost := l.silence(); lost != nil {
			err = fmt.Errorf("take lease: %w", lost)
		}
	}
	if err != nil {
		return ctx, nil, err
	}
	return l.begin(ctx), l, nil
}

// nextFence returns a number higher than those of all holders before. Where the lease is not there, those are not known:
// it may be the first one, or one that was damaged and deleted by hand. A number of holders never gets near the time; but the
// clock that the first of them went by may have been ahead of this one.
func (t *taker) nextFence(ctx context.Context, before Record, at time.Time) int64 {
	if before.Fence == 0 {
		return max(at.UnixMilli(), t.o.Above(ctx)+1)
	}
	return before.Fence + 1
}

// settle looks, after a write that failed, who has the lease: the write may have arrived although its answer did not.
func (l *Lease) settle(ctx context.Context, err error) error {
	now, etag, rerr := Read(ctx, l.files, l.o.Key)
	switch {
	case rerr == nil && now.same(l.record):
		l.etag = etag
		return nil
	case rerr == nil && errors.Is(err, cloud.ErrConflict):
		return &HeldError{now}
	}
	return fmt.Errorf("take lease: %w", errors.Join(err, rerr))
}
