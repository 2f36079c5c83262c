// Package state keeps what Singer taps and targets call state: the bookmark from which the next run goes on. In the
// bucket every state is a version that is never changed, so that one can look back and go back; which one counts is for package
// commit to say. In a workspace it is a file for the tap. The package knows the form of a STATE line and where versions are; it
// starts nothing and never looks into a state.
package state

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// SchemaVersion is the version of a Version as it is stored; it rises when a field changes its meaning.
const SchemaVersion = 2

const (
	maxState = 16 << 20 // bytes of the largest state
	kept     = 100      // versions in the log
	maxSeq   = 9_999_999_999
	tries    = 10 // of a version that meets others
)

// By says who made a version.
type By string

// Who makes versions.
const (
	ByRun      By = "run"
	BySet      By = "set"      // by hand
	ByRollback By = "rollback" // by hand, from an earlier one
)

// Version is the state of a pipeline as it was at one time.
type Version struct {
	SchemaVersion int             `json:"schema_version"`
	Task          string          `json:"task"`            // name of the pipeline in project.yml
	Name          string          `json:"name,omitempty"`  // under which the state of one line of a foreach is kept; "": that is Task
	Lines         []string        `json:"lines,omitempty"` // of the foreach loops around the pipeline, outermost first; secrets in them are masked
	Seq           int64           `json:"seq"`             // rises from version to version
	After         int64           `json:"after"`           // seq of the version before it in the history; 0: none
	RunID         string          `json:"run"`
	By            By              `json:"by"`
	From          int64           `json:"from,omitempty"`       // of a rollback: the version whose state it has
	Line          int64           `json:"line,omitempty"`       // of a run: the line of the artifact <task>_stdout.log that it was
	Checkpoint    bool            `json:"checkpoint,omitempty"` // the run had not ended with success when it was committed
	Time          time.Time       `json:"time"`                 // UTC
	Fence         int64           `json:"fence"`                // of the lease of the run; 0: it had none
	State         json.RawMessage `json:"state"`
}

// Key is the name under which the state is kept.
func (v Version) Key() string { return cmp.Or(v.Name, v.Task) }

// Ref names the version of a pipeline from which the next run goes on.
type Ref struct {
	Seq        int64  `json:"seq"`
	After      int64  `json:"after"` // as in the Version
	RunID      string `json:"run"`
	Checkpoint bool   `json:"checkpoint,omitempty"`
}

// Ref names v.
func (v Version) Ref() Ref {
	return Ref{Seq: v.Seq, After: v.After, RunID: v.RunID, Checkpoint: v.Checkpoint}
}

// Store holds the versions of the states of one deployed task in a bucket:
//
//	<task>/state/<name>/log/<n>.json   a version, the newest first: n is 9999999999 minus its number
type Store struct {
	Files    cloud.Files
	Prefix   string // folder of the task in the bucket: cloud.Scope.Prefix
	Parallel int    // calls at a time; at least 1
	Now      func() time.Time
}

func (s *Store) folder(name string) string { return s.Prefix + "/state/" + name }

// logKey sorts the newest version first.
func (s *Store) logKey(name string, seq int64) string {
	return fmt.Sprintf("%s/log/%010d.json", s.folder(name), maxSeq-seq)
}

// oldKey is where earlier versions of handoff have kept the version from which the next run goes on.
func (s *Store) oldKey(name string) string { return s.folder(name) + "/current.json" }

// seqOf returns the number of the version at key; 0 for other objects.
func seqOf(key string) int64 {
	var n int64
	if _, err := fmt.Sscanf(path.Base(key), "%d.json", &n); err != nil || n >= maxSeq {
		return 0
	}
	return maxSeq - n
}

// At returns the version with the number seq. cloud.ErrNotFound: there is none, or it is too long ago.
func (s *Store) At(ctx context.Context, name string, seq int64) (Version, error) {
	v, err := s.read(ctx, s.logKey(name, seq))
	if errors.Is(err, cloud.ErrNotFound) { // a bucket of an earlier handoff may have lost its log
		if old, oerr := s.read(ctx, s.oldKey(name)); oerr == nil && old.Seq == seq {
			return old, nil
		}
	}
	if errors.Is(err, cloud.ErrCorrupt) {
		err = cloud.WithHint(err, "`handoff state log` shows the versions that there are, `handoff state rollback` goes back to the last of them; "+cloud.Hint(err))
	}
	if err != nil {
		return Version{}, fmt.Errorf("version %d of the state of %q: %w", seq, name, err)
	}
	return v, nil
}

// Before returns version seq, or with seq 0 the last version before now that has another state; now 0 stands for a current
// version that is not known.
func (s *Store) Before(ctx context.Context, name string, now, seq int64) (Version, error) {
	if seq != 0 {
		return s.At(ctx, name, seq)
	}
	log, err := s.Log(ctx, name, now, 0)
	if err != nil {
		return Version{}, err
	}
	var current Version
	for _, v := range log {
		switch {
		case now != 0 && v.Seq == now:
			current = v
		case v.State != nil && !bytes.Equal(v.State, current.State):
			return v, nil
		}
	}
	return Version{}, cloud.WithHint(fmt.Errorf("a state of %q before the current one: %w", name, cloud.ErrNotFound),
		"`handoff state log` shows what there is")
}

// Log returns the history that leads to version now, the newest first; at most limit versions where that is not 0. What a run
// has written that died before it could commit is not in it. A version that is damaged is left out. With now 0 it is all that
// there is.
func (s *Store) Log(ctx context.Context, name string, now int64, limit int) ([]Version, error) {
	var seqs []int64
	for o, err := range s.Files.List(ctx, s.folder(name)+"/log") {
		if err != nil {
			return nil, fmt.Errorf("log of the state of %q: %w", name, err)
		}
		if seq := seqOf(o.Key); seq > 0 && (now == 0 || seq <= now) {
			seqs = append(seqs, seq)
		}
		if len(seqs) == 2*kept {
			break
		}
	}
	all := make([]Version, len(seqs))
	err := cloud.Each(ctx, s.Parallel, indexes(all), func(ctx context.Context, i int) error {
		v, err := s.read(ctx, s.logKey(name, seqs[i]))
		if err == nil {
			all[i] = v
		} else if !errors.Is(err, cloud.ErrNotFound) && !errors.Is(err, cloud.ErrCorrupt) {
			return fmt.Errorf("log of the state of %q: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return history(all, now, limit), nil
}

func indexes[T any](of []T) []int {
	out := make([]int, len(of))
	for i := range out {
		out[i] = i
	}
	return out
}

// history follows the links from version now on through versions in falling order. Where a link leads to nothing (a version
// is damaged, or of a handoff that knew no links), the next lower version follows.
func history(all []Version, now int64, limit int) []Version {
	if limit == 0 || limit > kept {
		limit = kept
	}
	var out []Version
	want := now
	for i, v := range all {
		linked := slices.ContainsFunc(all[i:], func(x Version) bool { return x.Seq == want })
		if v.Seq == 0 || linked && v.Seq != want || want > 0 && v.Seq > want {
			continue
		}
		if out = append(out, v); len(out) == limit || now != 0 && v.SchemaVersion > 1 && v.After == 0 {
			break
		}
		if want = v.After; now == 0 {
			want = 0
		}
	}
	return out
}

// Put stores v as a version that nothing names yet; Seq and Time are set here. current is what it follows: a checkpoint of
// the same run is left out of the history then.
func (s *Store) Put(ctx context.Context, v Version, current Ref) (Version, error) {
	text, err := checked(v.State)
	if err != nil {
		return Version{}, fmt.Errorf("state of %q: %w", v.Key(), err)
	}
	v.SchemaVersion, v.State, v.Time = SchemaVersion, text, s.Now().UTC()
	v.Seq, v.After = current.Seq+1, current.Seq
	if Replaces(v, current) {
		v.After = current.After
	}
	for range tries {
		err = s.put(ctx, v)
		if !errors.Is(err, cloud.ErrConflict) {
			break
		}
		last, lerr := s.lastSeq(ctx, v.Key()) // of a run that died before it could commit
		if lerr != nil {
			return Version{}, fmt.Errorf("store state of %q: %w", v.Key(), lerr)
		}
		v.Seq = max(v.Seq, last) + 1
	}
	if err != nil {
		return Version{}, fmt.Errorf("store state of %q: %w", v.Key(), err)
	}
	return v, nil
}

// Replaces reports whether v takes the place of a checkpoint of its own run.
func Replaces(v Version, before Ref) bool {
	return before.Checkpoint && before.RunID == v.RunID && v.RunID != ""
}

func (s *Store) put(ctx context.Context, v Version) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = cloud.Write(ctx, s.Files, s.logKey(v.Key(), v.Seq), append(text, '\n'), cloud.PutOptions{IfAbsent: true})
	return err
}

// lastSeq returns the number of the newest version in the log, whether it can be read or not; 0 without one.
func (s *Store) lastSeq(ctx context.Context, name string) (int64, error) {
	for o, err := range s.Files.List(ctx, s.folder(name)+"/log") {
		if err != nil {
			return 0, err
		}
		if seq := seqOf(o.Key); seq > 0 {
			return seq, nil
		}
	}
	return 0, nil
}

// trimEvery is how many commits of a state there are between two looks at how long its log is.
const trimEvery = 16

// Tidy removes, after the commit of v, the checkpoint that it has replaced, and what is too long ago.
func (s *Store) Tidy(ctx context.Context, v Version, before Ref) error {
	var old []string
	if Replaces(v, before) {
		old = append(old, s.logKey(v.Key(), before.Seq))
	}
	if v.Seq%trimEvery == 0 {
		n := 0
		for o, err := range s.Files.List(ctx, s.folder(v.Key())+"/log") {
			if err != nil {
				return fmt.Errorf("trim log of the state of %q: %w", v.Key(), err)
			}
			if n++; n > kept {
				old = append(old, o.Key)
			}
		}
	}
	if len(old) == 0 {
		return nil
	}
	if err := s.Files.Delete(ctx, old...); err != nil {
		return fmt.Errorf("trim log of the state of %q: %w", v.Key(), err)
	}
	return nil
}

// Found returns, for a bucket in which nothing says which versions count, those from which to go on: what earlier versions of
// handoff have left as <pipeline>/current.json, and else the newest of each log.
func (s *Store) Found(ctx context.Context) (map[string]Ref, error) {
	newest, old := map[string]int64{}, map[string]bool{}
	for o, err := range s.Files.List(ctx, s.Prefix+"/state") {
		if err != nil {
			return nil, fmt.Errorf("list states: %w", err)
		}
		name, rest, _ := strings.Cut(strings.TrimPrefix(o.Key, s.Prefix+"/state/"), "/")
		switch seq := seqOf(o.Key); {
		case rest == "current.json":
			old[name] = true
		case strings.HasPrefix(rest, "log/") && seq > newest[name]:
			newest[name] = seq
		}
	}
	out := map[string]Ref{}
	for name := range old {
		newest[name] = max(newest[name], 0)
	}
	for name, seq := range newest {
		v, err := s.found(ctx, name, seq, old[name])
		if err != nil {
			return nil, err
		}
		out[name] = v.Ref()
	}
	return out, nil
}

// found returns the version of a pipeline from which to go on; seq is the newest in its log. From schema 2 on the log is
// younger than what an earlier handoff has left.
func (s *Store) found(ctx context.Context, name string, seq int64, old bool) (Version, error) {
	log, err := s.Log(ctx, name, 0, 1)
	if err != nil {
		return Version{}, err
	}
	if len(log) > 0 && (!old || log[0].SchemaVersion > 1) {
		return log[0], nil
	}
	if !old {
		return s.At(ctx, name, seq)
	}
	v, err := s.read(ctx, s.oldKey(name))
	if err != nil {
		return Version{}, cloud.WithHint(fmt.Errorf("state of %q: %w", name, err), "`handoff state log` shows the versions that there are, "+
			"`handoff state rollback` goes back to the last of them; "+cloud.Hint(err))
	}
	return v, nil
}

// checked returns a state on one line. It has to be a JSON object.
func checked(text json.RawMessage) (json.RawMessage, error) {
	var out bytes.Buffer
	if err := json.Compact(&out, text); err != nil {
		return nil, fmt.Errorf("%w: not JSON: %w", cloud.ErrInvalid, err)
	}
	if out.Len() == 0 || out.Bytes()[0] != '{' {
		return nil, fmt.Errorf("%w: not a JSON object", cloud.ErrInvalid)
	}
	if out.Len() > maxState {
		return nil, fmt.Errorf("%w: larger than %d MiB", cloud.ErrInvalid, maxState>>20)
	}
	return out.Bytes(), nil
}

// read returns the version at key.
func (s *Store) read(ctx context.Context, key string) (Version, error) {
	var v Version
	text, _, err := cloud.Read(ctx, s.Files, key, 2*maxState)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return v, cloud.WithHint(fmt.Errorf("%w: object %q: %w", cloud.ErrCorrupt, key, err), "or put another one in place: `handoff state set`")
	}
	v.State, err = checked(v.State)
	return v, err
}
