// Package lease lets one run of a task work at a time: a small object in the bucket says which one, is renewed while it
// works and expires when it died. Each holder gets a number that is higher than all before it (the fence): what commits
// a result compares it, so that a holder that was presumed dead cannot overwrite what its successor did.
// The package knows nothing of runs but their ids; it starts and stops nothing.
package lease

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// The times of a lease where Options names none.
const (
	defaultTTL   = 30 * time.Second
	defaultRenew = 5 * time.Second
	defaultPoll  = 500 * time.Millisecond
)

// maxSize is the size of the largest lease that is read, in bytes.
const maxSize = 64 << 10

// Record is the lease as it stands in the bucket. It is never deleted: the fence must not begin anew.
type Record struct {
	SchemaVersion int       `json:"schema_version"` // 1
	Fence         int64     `json:"fence"`          // rises by one with each holder
	Run           string    `json:"run"`            // id of the run that holds it, or was the last to
	Host          string    `json:"host,omitempty"` // of the holder: name, boot and process namespace
	Pid           int       `json:"pid,omitempty"`
	Taken         time.Time `json:"taken"`
	Renewed       time.Time `json:"renewed"`           // last sign of life
	Expires       time.Time `json:"expires"`           // from then on anyone may take it
	Released      bool      `json:"released"`          // the holder has ended by itself
	StopBy        string    `json:"stop_by,omitempty"` // id of the run that asks the holder to end
}

// Free reports whether the lease may be taken at the time now.
func (r Record) Free(now time.Time) bool { return r.Released || !now.Before(r.Expires) }

// Options says who takes a lease, and how.
type Options struct {
	Key   string // of the object
	Run   string // id of the run
	Host  string // who the holder is: see Record
	Pid   int
	Dead  func(Record) bool // is the holder known to have died; nil: nobody knows
	Now   func() time.Time  // nil: time.Now
	TTL   time.Duration     // after which a holder that gives no sign of life has lost it; 0: 30 s
	Renew time.Duration     // between two signs of life; 0: 5 s
	Poll  time.Duration     // between two looks at a lease that is waited for; 0: 0.5 s
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.TTL <= 0 {
		o.TTL = defaultTTL
	}
	if o.Renew <= 0 {
		o.Renew = defaultRenew
	}
	if o.Poll <= 0 {
		o.Poll = defaultPoll
	}
	return o
}

// HeldError says which run has the lease. errors.Is(err, cloud.ErrConflict) holds.
type HeldError struct{ Record Record }

// Error implements error.
func (e *HeldError) Error() string {
	return fmt.Sprintf("run %s of this task is going on (last sign of life at %s)", e.Record.Run, e.Record.Renewed.UTC().Format(time.RFC3339))
}

// Unwrap answers cloud.ErrConflict.
func (e *HeldError) Unwrap() error { return cloud.ErrConflict }

// LostError is the cause with which the context of a holder ends.
type LostError struct {
	To   string // id of the run that has the lease now, or asks for it
	Asks bool   // the holder was asked to end; false: its lease is gone
}

// Error implements error.
func (e *LostError) Error() string {
	if e.Asks {
		return "replaced by run " + e.To
	}
	return fmt.Sprintf("run %s has taken over the task, since this one gave no sign of life", e.To)
}

// Lease is a lease that is held. It is renewed in the background until Release.
type Lease struct {
	files cloud.Files
	o     Options
	lost  context.CancelCauseFunc
	stop  context.CancelFunc
	done  chan struct{}

	previous Record

	mu     sync.Mutex
	record Record
	etag   string
}

// Acquire takes the lease or answers a HeldError. The context that it answers is one of ctx; it ends with a LostError
// as its cause when the lease is lost or another run asks for it. The caller calls Release.
func Acquire(ctx context.Context, files cloud.Files, o Options) (context.Context, *Lease, error) {
	o = o.withDefaults()
	now, etag, err := Read(ctx, files, o.Key)
	if err != nil {
		return ctx, nil, err
	}
	if etag != "" {
		if free, err := o.free(ctx, files, now, etag); err != nil || !free {
			return ctx, nil, errors.Join(err, &HeldError{now})
		}
	}
	l := &Lease{files: files, o: o, done: make(chan struct{}), previous: now}
	at := o.Now().UTC()
	l.record = Record{
		SchemaVersion: 1, Fence: nextFence(now, at), Run: o.Run, Host: o.Host, Pid: o.Pid,
		Taken: at, Renewed: at, Expires: at.Add(o.TTL),
	}
	if l.etag, err = write(ctx, files, o.Key, l.record, etag); err != nil {
		return ctx, nil, l.raced(ctx, err)
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	held, lost := context.WithCancelCause(ctx)
	l.lost, l.stop = lost, stop
	go l.keep(background)
	return held, l, nil
}

// nextFence answers a number higher than those of all holders before. Where the lease is not there, those are not known:
// it may be the first one, or one that was damaged and deleted by hand. A number of holders never gets near the time.
func nextFence(before Record, at time.Time) int64 {
	if before.Fence == 0 {
		return max(at.UnixMilli(), 1)
	}
	return before.Fence + 1
}

// free reports whether the lease may be taken. One that expires later than any holder could have written it is of a
// clock that was set back since: then a sign of life counts, not the time.
func (o Options) free(ctx context.Context, files cloud.Files, r Record, etag string) (bool, error) {
	if r.Free(o.Now()) || o.Dead != nil && o.Dead(r) {
		return true, nil
	}
	if r.Expires.Sub(o.Now()) <= 2*o.TTL {
		return false, nil
	}
	if err := sleep(ctx, 3*o.Renew); err != nil {
		return false, err
	}
	_, later, err := Read(ctx, files, o.Key)
	return later == etag, err
}

// raced answers a HeldError where another run was faster.
func (l *Lease) raced(ctx context.Context, err error) error {
	if !errors.Is(err, cloud.ErrConflict) {
		return fmt.Errorf("take lease: %w", err)
	}
	now, _, rerr := Read(ctx, l.files, l.o.Key)
	if rerr != nil {
		return rerr
	}
	return &HeldError{now}
}

// Previous answers the lease as it was before; its Run is "" if this is the first one. If it was not released, that run
// has died.
func (l *Lease) Previous() Record { return l.previous }

// Fence answers the number of this holder.
func (l *Lease) Fence() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.record.Fence
}

// keep renews the lease. A call that fails is tried again: what counts is whether somebody else has taken it.
func (l *Lease) keep(ctx context.Context) {
	defer close(l.done)
	tick := time.NewTicker(l.o.Renew)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if cause := l.renew(ctx); cause != nil {
				l.lost(cause)
				if !cause.Asks {
					return
				}
			}
		}
	}
}

// renew answers why the holder has to end, nil if it has not.
func (l *Lease) renew(ctx context.Context) *LostError {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.record
	next.Renewed = l.o.Now().UTC()
	next.Expires = next.Renewed.Add(l.o.TTL)
	etag, err := write(ctx, l.files, l.o.Key, next, l.etag)
	if err == nil {
		l.record, l.etag = next, etag
		return nil
	}
	if !errors.Is(err, cloud.ErrConflict) {
		return nil
	}
	return l.changed(ctx)
}

// changed looks what another run has made of the lease.
func (l *Lease) changed(ctx context.Context) *LostError {
	now, etag, err := Read(ctx, l.files, l.o.Key)
	if err != nil || etag == "" {
		return nil
	}
	if now.Fence != l.record.Fence || now.Run != l.record.Run {
		return &LostError{To: now.Run}
	}
	l.record.StopBy, l.etag = now.StopBy, etag
	if now.StopBy != "" {
		return &LostError{To: now.StopBy, Asks: true}
	}
	return nil
}

// Check answers a LostError if the lease is not held any more. What commits calls it right before.
func (l *Lease) Check(ctx context.Context) error {
	now, _, err := Read(ctx, l.files, l.o.Key)
	if err != nil {
		return err
	}
	if fence := l.Fence(); now.Fence != fence || now.Run != l.o.Run {
		return &LostError{To: now.Run}
	}
	return nil
}

// Release gives the lease back, so that the next run need not wait for its end. A lease that was lost is left alone.
func (l *Lease) Release(ctx context.Context) error {
	l.stop()
	<-l.done
	l.lost(nil)
	l.mu.Lock()
	defer l.mu.Unlock()
	for range 3 { // a request to end may come in between
		next := l.record
		next.Released, next.Renewed = true, l.o.Now().UTC()
		_, err := write(ctx, l.files, l.o.Key, next, l.etag)
		if err == nil {
			return nil
		}
		if !errors.Is(err, cloud.ErrConflict) {
			return fmt.Errorf("release lease: %w", err)
		}
		if lost := l.changed(ctx); lost != nil && !lost.Asks {
			return nil
		}
	}
	return fmt.Errorf("release lease: %w", cloud.ErrConflict)
}

const whenDamaged = "when no run of the task is going on, delete this object from the bucket: the next run makes it anew"

// Read answers the lease at key and its ETag, which is "" where there is none.
func Read(ctx context.Context, files cloud.Files, key string) (Record, string, error) {
	body, o, err := files.Get(ctx, key)
	if errors.Is(err, cloud.ErrNotFound) {
		return Record{}, "", nil
	}
	if errors.Is(err, cloud.ErrCorrupt) {
		return Record{}, "", cloud.WithHint(fmt.Errorf("read lease: %w", err), whenDamaged+"; "+cloud.Hint(err))
	}
	if err != nil {
		return Record{}, "", fmt.Errorf("read lease: %w", err)
	}
	defer body.Close() //nolint:errcheck // read only
	var r Record
	text, err := io.ReadAll(io.LimitReader(body, maxSize))
	if err == nil {
		if uerr := json.Unmarshal(text, &r); uerr != nil {
			err = fmt.Errorf("%w: %w", cloud.ErrCorrupt, uerr)
		}
	}
	if err != nil {
		return Record{}, "", cloud.WithHint(fmt.Errorf("read lease %q: %w", key, err), whenDamaged)
	}
	return r, o.ETag, nil
}

// write replaces the lease if it is still the one with etag; "" stands for none.
func write(ctx context.Context, files cloud.Files, key string, r Record, etag string) (string, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", fmt.Errorf("encode lease: %w", err)
	}
	o, err := files.Put(ctx, key, bytes.NewReader(append(text, '\n')), cloud.PutOptions{IfAbsent: etag == "", IfMatch: etag})
	return o.ETag, err
}
