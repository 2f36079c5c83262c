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
// earlier (their run ids sort before this one).
func Wait(ctx context.Context, files cloud.Files, o Options) (context.Context, *Lease, error) {
	o = o.withDefaults()
	t := taker{files: files, o: o}
	q := queue{files: files, o: o, ahead: map[string]*ticket{}}
	defer q.drop(ctx)
	for {
		turn, err := q.turn(ctx)
		if err != nil {
			return ctx, nil, err
		}
		if turn {
			held, l, _, err := t.try(ctx)
			if !isHeld(err) {
				return held, l, err
			}
			if err := t.wait(ctx, err); err != nil {
				return ctx, nil, err
			}
			continue
		}
		if err := cloud.Sleep(ctx, o.Poll); err != nil {
			return ctx, nil, err
		}
	}
}

// Replace asks the holder to end, waits until it has, and takes the lease.
func Replace(ctx context.Context, files cloud.Files, o Options) (context.Context, *Lease, error) {
	t := taker{files: files, o: o.withDefaults()}
	for {
		held, l, _, err := t.try(ctx)
		if !isHeld(err) {
			return held, l, err
		}
		if err := ask(ctx, files, t.o); err != nil {
			return ctx, nil, err
		}
		if err := t.wait(ctx, err); err != nil {
			return ctx, nil, err
		}
	}
}

func isHeld(err error) bool {
	_, held := errors.AsType[*HeldError](err)
	return held
}

// ask writes into the lease that its holder shall end. Of several that ask the last one counts.
func ask(ctx context.Context, files cloud.Files, o Options) error {
	now, etag, err := Read(ctx, files, o.Key)
	if err != nil || etag == "" || now.Released || now.StopBy == o.RunID {
		return err
	}
	now.StopBy = o.RunID
	if _, err := write(ctx, files, o.Key, now, etag); err != nil && !errors.Is(err, cloud.ErrConflict) {
		return fmt.Errorf("ask run %s to end: %w", now.RunID, err)
	}
	return nil // after a conflict the next round asks again
}

// queue is the place of a run among those that wait: a ticket beside the lease, named after the run, whose beat rises
// as a sign of life. It only keeps the order; that one run goes on at a time is the work of the lease.
type queue struct {
	files   cloud.Files
	o       Options
	mine    Record
	written time.Time
	ahead   map[string]*ticket // by key: those before this one
}

// ticket is that of another run.
type ticket struct {
	etag   string
	record Record
	watch  watch
}

// folder is where the tickets of a lease are.
func (q *queue) folder() string { return strings.TrimSuffix(q.o.Key, ".json") + "/queue" }

func (q *queue) key() string { return q.folder() + "/" + q.o.RunID }

// turn reports whether nobody who still lives is before this one.
func (q *queue) turn(ctx context.Context) (bool, error) {
	var err error
	if time.Since(q.written) >= q.o.Renew {
		err = q.write(ctx)
	}
	first := false
	if err == nil {
		first, err = q.first(ctx)
	}
	if err != nil {
		return false, fmt.Errorf("queue for lease: %w", err)
	}
	return first, nil
}

// write is a sign of life.
func (q *queue) write(ctx context.Context) error {
	q.mine = Record{SchemaVersion: 1, Holder: q.o.Holder, Beat: q.mine.Beat + 1, TTL: q.o.TTL.Seconds()}
	text, err := encode(q.mine)
	if err == nil {
		_, err = q.files.Put(ctx, q.key(), cloud.Bytes(text), cloud.PutOptions{Fleeting: true})
	}
	if err == nil {
		q.written = time.Now()
	}
	return err
}

// first looks for living tickets before this one, and removes those of runs that died while they waited.
func (q *queue) first(ctx context.Context) (bool, error) {
	for o, err := range q.files.List(ctx, q.folder()) {
		if err != nil {
			return false, err
		}
		if o.Key >= q.key() {
			return true, nil
		}
		dead, err := q.dead(ctx, o)
		if err != nil || !dead {
			return false, err
		}
		if err := q.files.Delete(ctx, o.Key); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (q *queue) dead(ctx context.Context, o cloud.Object) (bool, error) {
	t := q.ahead[o.Key]
	if t == nil {
		t = &ticket{}
		q.ahead[o.Key] = t
	}
	if t.etag != o.ETag {
		body, got, err := q.files.Get(ctx, o.Key, cloud.GetOptions{})
		if errors.Is(err, cloud.ErrNotFound) { // its turn has come
			return true, nil
		}
		if err != nil {
			return false, err
		}
		t.etag = got.ETag
		t.record, err = decode(body)
		_ = body.Close() // read only
		if err != nil {  // nobody's, and it does not change
			t.record = Record{}
		}
		t.record.RunID = strings.TrimPrefix(o.Key, q.folder()+"/")
	}
	return t.watch.look(t.record, q.o) == free, nil
}

func (q *queue) drop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.o.Stop()/4)
	defer cancel()
	_ = q.files.Delete(ctx, q.key()) // one that stays is passed by after its time
}
