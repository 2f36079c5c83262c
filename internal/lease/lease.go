// Package lease lets one run of a task work at a time: a small object in the bucket says which one, and its holder
// renews it while it works. No two machines' clocks are compared: who wants the lease takes it when he has seen no
// renewal for TTL of his own clock, and a holder that could not renew gives up before that, by its own clock. Each holder
// gets a number that is higher than all before it (the fence): what commits a result compares it, so that a holder that
// was presumed dead cannot overwrite what its successor did.
// The package knows nothing of runs but their ids; it starts and stops nothing.
package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// maxSize is the size of the largest lease that is read, in bytes.
const maxSize = 64 << 10

// Record is the lease as it stands in the bucket. It is never deleted: the fence must not begin anew. Its times are
// those of the holder's clock, for people; nothing is decided by them.
type Record struct {
	SchemaVersion int `json:"schema_version"` // 1
	Holder
	Fence    int64     `json:"fence"` // rises by one with each holder
	Beat     int64     `json:"beat"`  // rises with each renewal; nobody but the holder changes it
	TTL      float64   `json:"ttl"`   // seconds without a renewal after which anyone may take it
	Taken    time.Time `json:"taken"`
	Renewed  time.Time `json:"renewed"`
	Released bool      `json:"released"`          // the holder has ended by itself
	StopBy   string    `json:"stop_by,omitempty"` // id of the run that asks the holder to end
}

// Holder says whose a lease is.
type Holder struct {
	RunID string `json:"run"`            // id of the run that holds it, or was the last to
	Host  string `json:"host,omitempty"` // name, boot and process namespace; "": not known
	Pid   int    `json:"pid,omitempty"`
	Born  uint64 `json:"born,omitempty"` // when the process started, in the unit of its machine: ids of processes are used again
}

// on says where the holder is, for a person.
func (h Holder) on() string {
	name, _, _ := strings.Cut(h.Host, " ")
	if name == "" {
		return ""
	}
	return fmt.Sprintf(" (process %d on %s)", h.Pid, name)
}

// Sight is what this machine sees of a holder.
type Sight int

// What can be seen of a holder.
const (
	Unseen Sight = iota // it is elsewhere
	Alive               // its process is there, perhaps stopped
	Gone                // no process of it is left
)

// Times are the times of a lease, measured on monotonic clocks.
type Times struct {
	TTL   time.Duration // without a renewal, after which it may be taken; 0: 60 s
	Renew time.Duration // between two renewals; 0: TTL/12
	Poll  time.Duration // between two looks at a lease that somebody else has; 0: 0.5 s
}

// Stop is how long after its last renewal a holder gives up: its stages are asked to end then, or killed.
func (t Times) Stop() time.Duration { return t.withDefaults().TTL * 8 / 12 }

// Kill is how long after the last renewal none of its stages may live any more. What is left until TTL is a margin for
// clocks that go at different speeds, and for a machine that is slow to kill.
func (t Times) Kill() time.Duration { return t.withDefaults().TTL * 10 / 12 }

func (t Times) withDefaults() Times {
	if t.TTL <= 0 {
		t.TTL = time.Minute
	}
	if t.Renew <= 0 {
		t.Renew = t.TTL / 12
	}
	if t.Poll <= 0 {
		t.Poll = min(500*time.Millisecond, t.Renew)
	}
	return t
}

// Options says who takes a lease, and how.
type Options struct {
	Key string // of the object
	Holder
	Times
	Sight   func(Record) Sight          // nil: nothing is seen
	Now     func() time.Time            // nil: time.Now
	Above   func(context.Context) int64 // asked where the lease is not there: the highest fence that anybody remembers; may be nil
	Waiting func(Record)                // told once which run has the lease, when that does not decide at once; may be nil
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sight == nil {
		o.Sight = func(Record) Sight { return Unseen }
	}
	if o.Above == nil {
		o.Above = func(context.Context) int64 { return 0 }
	}
	if o.Waiting == nil {
		o.Waiting = func(Record) {}
	}
	o.Times = o.Times.withDefaults()
	return o
}

// HeldError says which run has the lease. errors.Is(err, cloud.ErrConflict) holds.
type HeldError struct{ Record Record }

// Error implements error.
func (e *HeldError) Error() string {
	return fmt.Sprintf("run %s of this task is going on%s", e.Record.RunID, e.Record.on())
}

// Unwrap returns cloud.ErrConflict.
func (e *HeldError) Unwrap() error { return cloud.ErrConflict }

// LostError is the cause with which the context of a holder ends.
type LostError struct {
	To     string        // id of the run that has the lease now, or asks for it; "": not known
	Asks   bool          // the holder was asked to end; false: it may not go on
	Silent time.Duration // for so long the lease could not be renewed; 0: that is not why
	Err    error         // of the last try to renew it, if Silent; may be nil
}

// Error implements error.
func (e *LostError) Error() string {
	switch {
	case e.Asks:
		return "replaced by run " + e.To
	case e.To != "":
		return fmt.Sprintf("run %s has taken over the task, since this one gave no sign of life", e.To)
	case e.Silent > 0 && e.Err != nil:
		return fmt.Sprintf("the lease of the task could not be renewed for %v, so that another run may begin: %v", e.Silent.Round(time.Second), e.Err)
	case e.Silent > 0:
		return fmt.Sprintf("the lease of the task was not renewed for %v (was handoff stopped, or the disk stalled?), so that another run may begin",
			e.Silent.Round(time.Second))
	}
	return "the lease of the task was deleted from the bucket"
}

// Unwrap returns why the lease could not be renewed.
func (e *LostError) Unwrap() error { return e.Err }

const whenDamaged = "when no run of the task is going on, delete this object from the bucket: the next run makes it anew"

// Read returns the lease at key and its ETag, which is "" where there is none.
func Read(ctx context.Context, files cloud.Files, key string) (Record, string, error) {
	body, o, err := files.Get(ctx, key, cloud.GetOptions{})
	if errors.Is(err, cloud.ErrNotFound) {
		return Record{}, "", nil
	}
	if errors.Is(err, cloud.ErrCorrupt) {
		return Record{}, "", cloud.WithHint(fmt.Errorf("read lease: %w", err), whenDamaged+"; "+cloud.Hint(err))
	}
	if err != nil {
		return Record{}, "", fmt.Errorf("read lease: %w", err)
	}
	defer body.Close() // read only
	r, err := decode(body)
	if err != nil {
		return Record{}, "", cloud.WithHint(fmt.Errorf("read lease %q: %w", key, err), whenDamaged)
	}
	return r, o.ETag, nil
}

// Heard returns when the lease was written last, by the clock of the bucket.
func Heard(ctx context.Context, files cloud.Files, key string) (time.Time, error) {
	body, o, err := files.Get(ctx, key, cloud.GetOptions{})
	if err != nil {
		return time.Time{}, fmt.Errorf("read lease: %w", err)
	}
	return o.Modified, body.Close()
}

func decode(body io.Reader) (Record, error) {
	var r Record
	text, err := io.ReadAll(io.LimitReader(body, maxSize))
	if err == nil {
		if uerr := json.Unmarshal(text, &r); uerr != nil {
			err = fmt.Errorf("%w: %w", cloud.ErrCorrupt, uerr)
		}
	}
	return r, err
}

func encode(r Record) ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode lease: %w", err)
	}
	return append(text, '\n'), nil
}

// write replaces the lease if it is still the one with etag; "" stands for none.
func write(ctx context.Context, files cloud.Files, key string, r Record, etag string) (string, error) {
	text, err := encode(r)
	if err != nil {
		return "", err
	}
	o, err := cloud.Write(ctx, files, key, text, cloud.PutOptions{IfAbsent: etag == "", IfMatch: etag, Fleeting: true})
	return o.ETag, err
}
