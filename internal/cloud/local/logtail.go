package local

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

// place is where a line begins, or where the lines of a run end.
type place struct {
	time   time.Time // of the line, or of the last one
	id     runID
	seq    int
	offset int64
}

func (p place) compare(q place) int {
	return cmp.Or(p.time.Compare(q.time), cmp.Compare(p.id.job, q.id.job), cmp.Compare(p.id.run, q.id.run),
		cmp.Compare(p.seq, q.seq), cmp.Compare(p.offset, q.offset))
}

// skip puts a cursor into each run so that only the last lines that the query asks for, and what comes later, are in front of it.
// It reads backwards, and leaves out the runs that ended before the earliest of these lines.
func (r *reader) skip(ctx context.Context) error {
	ends, err := r.ends()
	if err != nil {
		return err
	}
	var last []place
	for _, end := range ends {
		r.place(end)
		if len(last) == r.query.Tail && end.time.Before(last[0].time) {
			continue
		}
		found, err := r.lastOf(ctx, end)
		if err != nil {
			return fmt.Errorf("job %q: %w", end.id.job, kind(err))
		}
		last = append(last, found...)
		slices.SortFunc(last, place.compare)
		last = last[max(0, len(last)-r.query.Tail):]
	}
	for _, p := range slices.Backward(last) { // the first one of a run stays
		r.place(p)
	}
	return nil
}

func (r *reader) place(p place) {
	r.cursors[p.id] = &cursor{
		id: p.id, dir: r.logs.runDir(p.id), first: p.time, seq: p.seq, offset: p.offset, changed: time.Now(), started: p.seq > 0,
	}
}

// ends returns where the runs end that the query asks for, the latest first.
func (r *reader) ends() ([]place, error) {
	runs, err := r.logs.runs(r.query.JobID, r.query.RunID)
	if err != nil {
		return nil, err
	}
	var ends []place
	for _, id := range runs {
		end, err := endOf(r.logs.runDir(id))
		if notThere(err) { // pruned
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("job %q: %w", id.job, kind(err))
		}
		end.id = id
		ends = append(ends, end)
	}
	slices.SortFunc(ends, func(a, b place) int { return b.compare(a) })
	return ends, nil
}

// lastOf returns the last lines of a run that match, in their order.
func (r *reader) lastOf(ctx context.Context, end place) ([]place, error) {
	dir := r.logs.runDir(end.id)
	seqs, err := segments(dir)
	if err != nil {
		return nil, err
	}
	var found []place
	for _, seq := range slices.Backward(seqs) {
		first, err := firstTime(dir, seq)
		if err != nil && !notThere(err) {
			return nil, err
		}
		if q := r.query; q.End.IsZero() || first.Before(q.End) {
			some, err := r.matches(ctx, &cursor{id: end.id, dir: dir, seq: seq})
			if err != nil {
				return nil, err
			}
			found = append(some, found...)
		}
		if len(found) >= r.query.Tail || !first.IsZero() && first.Before(r.query.Start) {
			break
		}
	}
	return found[max(0, len(found)-r.query.Tail):], nil
}

// matches returns the last lines of a segment that match.
func (r *reader) matches(ctx context.Context, c *cursor) ([]place, error) {
	defer c.close()
	var found []place
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		at := c.offset
		line, err := c.line()
		if err != nil || line == nil {
			return found, err
		}
		if !r.query.Match(*line) {
			continue
		}
		if len(found) == 2*r.query.Tail {
			found = append(found[:0], found[r.query.Tail:]...)
		}
		found = append(found, place{line.Time, c.id, c.seq, at})
	}
}

// endOf returns where the whole lines of a run end; seq is 0 where it has no segment.
func endOf(dir string) (place, error) {
	seqs, err := segments(dir)
	if err != nil {
		return place{}, err
	}
	var end place
	for _, seq := range slices.Backward(seqs) {
		f, err := os.Open(segmentPath(dir, seq))
		if err != nil {
			return place{}, err
		}
		offset, last, err := tail(f)
		_ = f.Close() // read only
		if err != nil {
			return place{}, err
		}
		if end.seq == 0 {
			end.seq, end.offset = seq, offset
		}
		if end.time = last; !last.IsZero() {
			break
		}
	}
	return end, nil
}
