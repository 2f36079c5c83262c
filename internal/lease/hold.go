package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Lease is a lease that is held. It is renewed in the background until Release.
type Lease struct {
	files    cloud.Files
	o        Options
	previous Record
	lose     context.CancelCauseFunc
	stop     context.CancelFunc
	done     chan struct{}
	held     context.Context // ends with the loss of the lease, and with nothing else
	gone     context.CancelCauseFunc

	mu      sync.Mutex // held only for moments, never during a call
	record  Record
	etag    string
	proven  time.Time // when the last renewal that is known to have arrived began
	failed  error     // of the renewal after that, if any
	lost    *LostError
	renewed func(proven time.Time)
}

// begin starts the renewals.
func (l *Lease) begin(ctx context.Context) context.Context {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	running, lose := context.WithCancelCause(ctx)
	l.lose, l.stop, l.done = lose, stop, make(chan struct{})
	l.held, l.gone = context.WithCancelCause(context.WithoutCancel(ctx))
	go l.keep(background)
	return running
}

// Held returns a context for what the holder stores at its end: that it was asked to end does not end it, the loss of the lease
// does, with a LostError as its cause.
func (l *Lease) Held() context.Context { return l.held }

// Previous returns the lease as it was before; its Run is "" if this is the first one. If it was not released, that run
// has died.
func (l *Lease) Previous() Record { return l.previous }

// Fence returns the number of this holder.
func (l *Lease) Fence() int64 {
	r, _ := l.current()
	return r.Fence
}

// OnRenew has tell called at once and after each renewal. The stages of the holder may live until Kill after proven.
func (l *Lease) OnRenew(tell func(proven time.Time)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewed = tell
	tell(l.proven)
}

func (l *Lease) current() (Record, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.record, l.etag
}

// keep renews the lease. The calls have a goroutine of their own: one that hangs must not hide that the time is up.
func (l *Lease) keep(ctx context.Context) {
	defer close(l.done)
	results := make(chan renewal, 1) // one that comes after the end stays in there
	pending := false
	tick := time.NewTicker(l.o.Renew)
	defer tick.Stop()
	for {
		over := time.NewTimer(l.left())
		var got *renewal
		start := false
		select {
		case <-ctx.Done():
		case <-over.C:
		case <-tick.C:
			start = !pending
		case r := <-results:
			got, pending = &r, false
		}
		over.Stop()
		if ctx.Err() != nil {
			return
		}
		if lost := l.silence(); lost == nil && got != nil { // the time counts first: the guardian goes by it
			l.noteRenewal(*got)
		}
		if lost := l.silence(); lost != nil {
			l.lose(lost)
			l.gone(lost)
			return
		}
		if start {
			pending = true
			go func() { results <- l.renew(ctx) }()
		}
	}
}

// left is the time after which the holder has to give up.
func (l *Lease) left() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Until(l.proven.Add(l.o.Stop()))
}

// silence returns why the holder may not go on; nil if it may. What it has once returned stays.
func (l *Lease) silence() *LostError {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := time.Since(l.proven); l.lost == nil && d >= l.o.Stop() {
		l.lost = &LostError{Silent: d, Err: l.failed}
	}
	return l.lost
}

// renewal is what became of one.
type renewal struct {
	began  time.Time
	record Record
	etag   string
	err    error      // nobody knows whether it arrived
	lost   *LostError // another run has the lease
}

// renew writes the next beat. A conflict is one with a run that waits, with an earlier renewal whose answer was lost, or
// with a run that has taken the lease.
func (l *Lease) renew(ctx context.Context) renewal {
	ctx, cancel := context.WithTimeout(ctx, l.o.Stop()/4) // a connection may hang that the next one finds in order
	defer cancel()
	now, etag := l.current()
	for range 5 {
		next := now
		next.Beat++
		next.Renewed = l.o.Now().UTC()
		began := time.Now()
		after, err := write(ctx, l.files, l.o.Key, next, etag)
		if err == nil {
			return renewal{began: began, record: next, etag: after}
		}
		if !errors.Is(err, cloud.ErrConflict) {
			return renewal{err: err}
		}
		if now, etag, err = Read(ctx, l.files, l.o.Key); err != nil {
			return renewal{err: err}
		}
		if !now.same(next) {
			return renewal{lost: &LostError{To: now.RunID}}
		}
	}
	return renewal{err: fmt.Errorf("renew lease: %w", cloud.ErrConflict)}
}

// noteRenewal notes what became of a renewal. One that failed is tried again.
func (l *Lease) noteRenewal(r renewal) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed, l.lost = r.err, r.lost
	if r.err != nil || r.lost != nil {
		return
	}
	l.record, l.etag, l.proven = r.record, r.etag, r.began
	if l.renewed != nil {
		l.renewed(l.proven)
	}
	if r.record.StopBy != "" {
		l.lose(&LostError{To: r.record.StopBy, Asks: true})
	}
}

// Check returns a LostError if the lease is not held any more. What commits calls it right before.
func (l *Lease) Check(ctx context.Context) error {
	if lost := l.silence(); lost != nil {
		return lost
	}
	now, _, err := Read(ctx, l.files, l.o.Key)
	if err != nil {
		return err
	}
	if mine, _ := l.current(); !now.same(mine) {
		return &LostError{To: now.RunID}
	}
	return nil
}

// Release gives the lease back, so that the next run need not wait for its end. A lease that was lost is left alone.
// What the holder has started has ended by then.
func (l *Lease) Release(ctx context.Context) error {
	l.stop()
	<-l.done
	l.lose(nil)
	l.gone(nil)
	ctx, cancel := context.WithTimeout(ctx, l.o.Stop()/4)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- l.release(ctx) }() // it may hang on a disk that stands still
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("release lease: %w", context.Cause(ctx))
	}
}

func (l *Lease) release(ctx context.Context) error {
	now, etag := l.current()
	for try := 0; ; try++ {
		next := now
		next.Released, next.Renewed = true, l.o.Now().UTC()
		_, err := write(ctx, l.files, l.o.Key, next, etag)
		if err == nil {
			return nil
		}
		if !errors.Is(err, cloud.ErrConflict) && cloud.Sleep(ctx, l.o.Poll) != nil || try == 4 {
			return fmt.Errorf("release lease: %w", err)
		}
		latest, tag, rerr := Read(ctx, l.files, l.o.Key)
		switch {
		case rerr != nil: // the next try tells
		case !latest.same(now) || latest.Released:
			return nil
		default:
			now, etag = latest, tag
		}
	}
}
