package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path"
	"slices"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/pipeline"
)

// Query says which runs are wanted.
type Query struct {
	Outcome string // only those with it; "": all
	Also    string // id of a run that is wanted whatever its record says
	All     bool   // the caller will look at all of them; as it is where Outcome is set
}

const (
	sealAfter    = 2 * 24 * time.Hour // from this age of their day on, records are summed up
	changedAfter = 12 * time.Hour     // from this age on, a record may have been: the clocks of machines differ
	sealFrom     = 200                // new ones at least, for a new summary
	maxSummary   = 256 << 20          // bytes of the largest summary that is read: some million runs
)

// summary is the object <task>/runs/summary.jsonl: what a list of runs needs of the records of all days before some day, in
// the order of their keys, so that a search reads one object instead of all records. It is made by searches, and can be deleted
// at any time. It cannot disagree with the records: who changes one of these days deletes it first, and it is only ever replaced
// under the condition that it is still there.
type summary struct {
	etag  string // "": there is none, and none is to be made
	day   string // the newest day that is in it, as in the keys; "": none is
	lines []byte // of the runs
}

// head is the first line of a summary.
type head struct {
	SchemaVersion int    `json:"schema_version"`
	Day           string `json:"day"`
}

// line is a run in a summary. The outcome comes first, so that others need not be decoded.
type line struct {
	Outcome string    `json:"outcome"`
	ID      string    `json:"id"`
	Start   time.Time `json:"start,omitzero"`
	End     time.Time `json:"end,omitzero"`
	Trigger string    `json:"trigger,omitempty"`
	Release string    `json:"release,omitempty"`
	JobID   string    `json:"job,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Rows    *int64    `json:"rows,omitempty"`

	Schedule    string    `json:"schedule,omitempty"`
	Series      string    `json:"series,omitempty"`
	ScheduledAt time.Time `json:"scheduled_at,omitzero"`
}

// summaryVersion is that of the lines of a summary.
const summaryVersion = 3

// open stands for the outcome of a run whose record may change, or is damaged: its record is read each time.
const open = "open"

// Line is what a list needs of the record of a run.
type Line = line

// LineOf returns what a list needs of a run.
func LineOf(run Run) Line { return lineOf(run) }

func lineOf(run Run) line {
	return line{run.Outcome, run.ID, run.Start, run.End, run.Trigger, run.Release, run.JobID, run.Reason, run.Rows, run.ScheduleID, run.Series, run.ScheduledAt}
}

// Run returns the run, with what a list needs of it.
func (l line) Run() Run {
	return Run{
		Outcome: l.Outcome, ID: l.ID, Start: l.Start, End: l.End, Trigger: l.Trigger, Release: l.Release, JobID: l.JobID, Reason: l.Reason, Rows: l.Rows,
		ScheduleID: l.Schedule, Series: l.Series, ScheduledAt: l.ScheduledAt,
	}
}

func (b *Bucket) summaryKey() string { return b.Prefix + "/runs/summary.jsonl" }

func dayOf(key string) string { return path.Base(path.Dir(key)) }

// summary reads the summary. Where there is none and anew is set, it makes an empty one, from which on changes are seen. What
// cannot be read or made is as if it were not there.
func (b *Bucket) summary(ctx context.Context, anew bool) (summary, error) {
	text, o, err := cloud.Read(ctx, b.Files, b.summaryKey(), maxSummary)
	if err == nil {
		first, rest, _ := bytes.Cut(text, []byte("\n"))
		var h head
		if json.Unmarshal(first, &h) == nil && h.SchemaVersion == summaryVersion {
			return summary{etag: o.ETag, day: h.Day, lines: rest}, nil
		}
		err = cloud.ErrCorrupt
	}
	if errors.Is(err, cloud.ErrCorrupt) {
		return summary{}, b.Files.Delete(ctx, b.summaryKey())
	}
	if !errors.Is(err, cloud.ErrNotFound) {
		return summary{}, fmt.Errorf("list runs: %w", err)
	}
	if !anew {
		return summary{}, nil
	}
	stored, err := b.putSummary(ctx, head{SchemaVersion: summaryVersion}, nil, cloud.PutOptions{IfAbsent: true})
	if err != nil { // one may be allowed to read only
		return summary{}, nil
	}
	return summary{etag: stored.ETag}, nil
}

func (b *Bucket) putSummary(ctx context.Context, h head, lines []byte, o cloud.PutOptions) (cloud.Object, error) {
	first, err := json.Marshal(h)
	if err != nil {
		return cloud.Object{}, err
	}
	return b.Files.Put(ctx, b.summaryKey(), cloud.Bytes(append(append(first, '\n'), lines...)), o)
}

// forget deletes the summary if the record of the run may be in it.
func (b *Bucket) forget(ctx context.Context, id string) error {
	if start, _ := cloud.RunTime(id); time.Since(start) < changedAfter {
		return nil
	}
	if err := b.Files.Delete(ctx, b.summaryKey()); err != nil {
		return fmt.Errorf("delete the summary of runs: %w", err)
	}
	return nil
}

// search is one look at the runs of a task.
type search struct {
	*Bucket
	q     Query
	now   time.Time
	old   summary
	fresh []line // what the summary does not have yet and is old enough
	yield func(Run, error) bool
}

// Runs yields the runs, the newest first; one that is running may have died. now says which days are long over. A record that
// is damaged is yielded as a Run with the outcome Damaged: it must not hide the others. With an Outcome some others are yielded,
// too. Of runs of days that are long over only the fields of a line are set.
func (b *Bucket) Runs(ctx context.Context, now time.Time, q Query) iter.Seq2[Run, error] {
	return func(yield func(Run, error) bool) {
		s := &search{Bucket: b, q: q, now: now, yield: yield}
		var err error
		if s.old, err = b.summary(ctx, q.All || q.Outcome != ""); err != nil {
			yield(Run{}, err)
			return
		}
		if s.records(ctx) && s.summed(ctx) {
			s.seal(ctx)
		}
	}
}

// Last is the newest run of a schedule, and the newest that has succeeded; the zero Run where there is none.
type Last struct{ Run, Success Run }

// LastOfSchedules returns, by target id, the last runs of each of these schedules, backfills left out.
func (b *Bucket) LastOfSchedules(ctx context.Context, now time.Time, targets []string) (map[string]Last, error) {
	last, known := map[string]Last{}, 0
	for run, err := range b.Runs(ctx, now, Query{All: true}) {
		if err != nil {
			return nil, err
		}
		if run.Series != "" || !slices.Contains(targets, run.ScheduleID) {
			continue
		}
		l := last[run.ScheduleID]
		if l.Run.ID == "" {
			l.Run = run
		}
		if l.Success.ID == "" && run.Outcome == string(pipeline.Success) {
			l.Success = run
			known++
		}
		if last[run.ScheduleID] = l; known == len(targets) {
			break
		}
	}
	return last, nil
}

// records looks at the records that are not in the summary. It returns false when the caller has seen enough.
func (s *search) records(ctx context.Context) bool {
	batch := make([]cloud.Object, 0, max(s.Parallel, 1))
	for o, err := range s.Files.List(ctx, s.Prefix+"/runs") {
		if err != nil {
			s.yield(Run{}, fmt.Errorf("list runs: %w", err))
			return false
		}
		if idOf(o.Key) == "" {
			continue
		}
		if s.old.day != "" && dayOf(o.Key) >= s.old.day {
			break
		}
		if batch = append(batch, o); len(batch) == cap(batch) {
			if !s.batch(ctx, batch) {
				return false
			}
			batch = batch[:0]
		}
	}
	return s.batch(ctx, batch)
}

// batch reads the records of keys at the same time.
func (s *search) batch(ctx context.Context, keys []cloud.Object) bool {
	runs := make([]Run, len(keys))
	var order []int
	for i, o := range keys {
		known := false
		if s.Known != nil {
			runs[i], known = s.Known(o)
		}
		if !known {
			order = append(order, i)
		}
	}
	err := cloud.Each(ctx, s.Parallel, order, func(ctx context.Context, i int) (err error) {
		runs[i], err = s.read(ctx, keys[i].Key)
		switch {
		case errors.Is(err, cloud.ErrNotFound): // deleted meanwhile
			return nil
		case errors.Is(err, cloud.ErrCorrupt):
			runs[i] = damaged(idOf(keys[i].Key), err)
		case err != nil:
			return fmt.Errorf("run %s: %w", idOf(keys[i].Key), err)
		}
		return nil
	})
	if err != nil {
		s.yield(Run{}, err)
		return false
	}
	for i, run := range runs {
		if run.ID == "" {
			continue
		}
		s.note(keys[i].Key, run)
		if !s.give(run) {
			return false
		}
	}
	return true
}

// note keeps a run for the next summary.
func (s *search) note(key string, run Run) {
	day := dayOf(key)
	if s.old.etag == "" || day < path.Base(s.day(s.now.Add(-sealAfter))) || s.old.day != "" && day >= s.old.day {
		return
	}
	if run.Outcome == Running || run.Outcome == Damaged {
		run = Run{Outcome: open, ID: idOf(key)}
	}
	s.fresh = append(s.fresh, lineOf(run))
}

// give yields a run that is wanted, or may be: the caller may know that one that is running has died.
func (s *search) give(run Run) bool {
	wanted := s.q.Outcome == "" || run.Outcome == s.q.Outcome || run.Outcome == Running || run.ID == s.q.Also
	return !wanted || s.yield(run, nil)
}

// summed looks at the runs that are in the summary.
func (s *search) summed(ctx context.Context) bool {
	want, also, all := outcomePrefix(s.q.Outcome), []byte(s.q.Also), s.q.Outcome == ""
	for rest := s.old.lines; len(rest) > 0; {
		var text []byte
		text, rest, _ = bytes.Cut(rest, []byte("\n"))
		isOpen := bytes.HasPrefix(text, outcomePrefix(open))
		if !all && !isOpen && !bytes.HasPrefix(text, want) && (len(also) == 0 || !bytes.Contains(text, also)) {
			continue
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			s.yield(Run{}, fmt.Errorf("list runs: object %q: %w: %w", s.summaryKey(), cloud.ErrCorrupt, err))
			return false
		}
		if !isOpen && !s.give(l.Run()) || isOpen && !s.open(ctx, l.ID) {
			return false
		}
	}
	return true
}

func (s *search) open(ctx context.Context, id string) bool {
	key, err := s.Key(id)
	if err != nil {
		s.yield(Run{}, err)
		return false
	}
	return s.batch(ctx, []cloud.Object{{Key: key}})
}

func outcomePrefix(outcome string) []byte {
	text, _ := json.Marshal(outcome) // a text can always be encoded
	return append([]byte(`{"outcome":`), append(text, ',')...)
}

// seal makes a new summary, if it is worth it. That it does not work is no harm.
func (s *search) seal(ctx context.Context) {
	if len(s.fresh) < sealFrom {
		return
	}
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for _, l := range s.fresh {
		if enc.Encode(l) != nil {
			return
		}
	}
	key, err := s.Key(s.fresh[0].ID)
	if err != nil {
		return
	}
	h := head{SchemaVersion: summaryVersion, Day: dayOf(key)}
	_, _ = s.putSummary(ctx, h, append(lines.Bytes(), s.old.lines...), cloud.PutOptions{IfMatch: s.old.etag})
}
