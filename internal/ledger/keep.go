package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Limit says which records are kept.
type Limit struct {
	Runs   int             // so many of the newest
	Before time.Time       // none of a run that was started before
	Always map[string]bool // ids of runs whose records stay whatever else is said
}

// Record names the record of a run.
type Record struct {
	RunID string
	Start time.Time // UTC
	Bytes int64
	key   string
}

// settled is the age from which a record may be removed: a run that is younger may be going on, or have one behind it that needs it.
const settled = 24 * time.Hour

// Beyond returns the records that l does not keep, the newest first, and the ids of those that it does. It lists all records.
func (b *Bucket) Beyond(ctx context.Context, now time.Time, l Limit) (old []Record, kept map[string]bool, err error) {
	kept = map[string]bool{}
	n := 0
	for o, err := range b.Files.List(ctx, b.Prefix+"/runs") {
		if err != nil {
			return nil, nil, fmt.Errorf("list runs: %w", err)
		}
		id := idOf(o.Key)
		start, err := cloud.RunTime(id)
		if err != nil {
			continue
		}
		n++
		if n <= l.Runs && !start.Before(l.Before) || now.Sub(start) < settled || l.Always[id] {
			kept[id] = true
			continue
		}
		old = append(old, Record{id, start.UTC(), o.Size, o.Key})
	}
	return old, kept, nil
}

// removeAtOnce is how many records are removed with one call.
const removeAtOnce = 1000

// Remove removes records, the oldest first, so that what is left when it is killed is whole. kept are the ids that stay.
func (b *Bucket) Remove(ctx context.Context, old []Record, kept map[string]bool) error {
	if len(old) == 0 {
		return nil
	}
	if err := b.shrink(ctx, kept); err != nil {
		return err
	}
	var keys []string
	for _, r := range slices.Backward(old) {
		keys = append(keys, r.key)
	}
	for batch := range slices.Chunk(keys, removeAtOnce) {
		if err := b.Files.Delete(ctx, batch...); err != nil {
			return fmt.Errorf("remove old run records: %w", err)
		}
	}
	return nil
}

// shrink takes out of the summary what is not kept: to make it anew would be to read all records once more. A search that is going
// on meanwhile may bring back some lines; the next call takes them out.
func (b *Bucket) shrink(ctx context.Context, kept map[string]bool) error {
	old, err := b.summary(ctx, false)
	if err != nil || old.etag == "" {
		return err
	}
	var lines []byte
	for text := range bytes.Lines(old.lines) {
		var l line
		if json.Unmarshal(text, &l) == nil && kept[l.ID] {
			lines = append(lines, text...)
		}
	}
	if len(lines) == len(old.lines) {
		return nil
	}
	_, err = b.putSummary(ctx, head{SchemaVersion: summaryVersion, Day: old.day}, lines, cloud.PutOptions{IfMatch: old.etag})
	if errors.Is(err, cloud.ErrConflict) {
		err = b.Files.Delete(ctx, b.summaryKey())
	}
	if err != nil {
		return fmt.Errorf("shorten the summary of runs: %w", err)
	}
	return nil
}
