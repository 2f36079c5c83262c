package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Notes are what the bucket knows of messages of a task: one small object. Whoever wants to send one claims it before, and says
// afterwards what has become of it, so that of several who notice an event one tells of it. Where that one dies in between, the
// message is sent by the next who looks: once, or, in this case only, twice.
type Notes struct {
	Files cloud.Files
	Key   string
	By    string             // who sends: the id of a run, or of a look
	Where Process            // in which that is
	Ended func(Process) bool // reports whether a process is known to have ended: its claims do not count; nil: of none is that known
	Now   func() time.Time
}

// Process names a process for whoever is on the same machine; the zero Process is not known.
type Process struct {
	Host string `json:"host,omitempty"` // the machine, since when it runs, and the space in which the id means something
	Pid  int    `json:"pid,omitempty"`
	Born uint64 `json:"born,omitempty"` // when it started, in the unit of its machine: ids are used again
}

const (
	// ClaimFor is how long a message is left to the one who has claimed it, where nobody can tell that it has ended. It is read on two
	// clocks: where they differ by more, a message may be sent twice, and never not at all.
	ClaimFor = 10 * time.Minute

	mostNotes = 500 // the newest; older events are not looked for any more
	maxNotes  = 1 << 20
)

type notes struct {
	SchemaVersion int    `json:"schema_version"`
	Notes         []note `json:"notes"` // the oldest first
}

type note struct {
	ID   string    `json:"id"`
	By   string    `json:"by,omitempty"` // who has claimed it, in the Process; "": it is sent
	At   time.Time `json:"at"`
	Sent bool      `json:"sent"`
	Process
}

// Claim returns those of ids that are neither sent nor claimed by somebody else; they are claimed then. gone is somebody whose
// claims do not count, since it is known to have ended; it may be "".
func (n Notes) Claim(ctx context.Context, gone string, ids ...string) (mine []string, err error) {
	err = n.change(ctx, func(all *notes) bool {
		mine = nil
		for _, id := range ids {
			i := slices.IndexFunc(all.Notes, func(x note) bool { return x.ID == id })
			if i >= 0 && (all.Notes[i].Sent || n.holds(all.Notes[i], gone)) {
				continue
			}
			if i >= 0 {
				all.Notes = slices.Delete(all.Notes, i, i+1)
			}
			all.Notes = append(all.Notes, note{ID: id, By: n.By, At: n.Now().UTC(), Process: n.Where})
			mine = append(mine, id)
		}
		return len(mine) > 0
	})
	return mine, err
}

// holds reports whether somebody else is about to send x.
func (n Notes) holds(x note, gone string) bool {
	return x.By != n.By && x.By != gone && n.Now().Sub(x.At).Abs() < ClaimFor && (n.Ended == nil || !n.Ended(x.Process))
}

// Settle notes what has become of claims: those of sent are sent, the others of failed may be claimed again.
func (n Notes) Settle(ctx context.Context, sent, failed []string) error {
	return n.change(ctx, func(all *notes) bool {
		all.Notes = slices.DeleteFunc(all.Notes, func(x note) bool {
			return slices.Contains(sent, x.ID) || slices.Contains(failed, x.ID) && x.By == n.By
		})
		for _, id := range sent {
			all.Notes = append(all.Notes, note{ID: id, At: n.Now().UTC(), Sent: true})
		}
		return true
	})
}

// change replaces the object by what do makes of it, unless do returns false.
func (n Notes) change(ctx context.Context, do func(*notes) bool) error {
	err := cloud.Compete(ctx, func() (again bool, err error) {
		var all notes
		text, o, err := cloud.Read(ctx, n.Files, n.Key, maxNotes)
		put := cloud.PutOptions{IfMatch: o.ETag}
		switch {
		case errors.Is(err, cloud.ErrNotFound):
			put = cloud.PutOptions{IfAbsent: true}
		case errors.Is(err, cloud.ErrCorrupt): // what was sent is not known any more
			put = cloud.PutOptions{}
		case err != nil:
			return false, err
		default:
			if json.Unmarshal(text, &all) != nil {
				all = notes{}
			}
		}
		if !do(&all) {
			return false, nil
		}
		all.SchemaVersion = schemaVersion
		all.Notes = all.Notes[max(len(all.Notes)-mostNotes, 0):]
		if text, err = json.Marshal(all); err != nil {
			return false, err
		}
		_, err = cloud.Write(ctx, n.Files, n.Key, append(text, '\n'), put)
		return errors.Is(err, cloud.ErrConflict), err
	})
	if err != nil {
		return fmt.Errorf("note what is sent: %w", err)
	}
	return nil
}
