// Package commit says from what the next run of a task goes on. One small object names the version of every state and the
// archive of the artifacts, and is replaced as a whole, under a condition, when all that it names is stored. So what a run
// leaves becomes current at once or not at all, whenever it is killed; what is stored and not named is as if it were not there.
// The package knows how states and artifacts are stored, and nothing of how runs work.
package commit

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/handoff-run/handoff/internal/artifact"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/state"
)

// SchemaVersion is the version of a Commit as it is stored; it rises when a field changes its meaning.
const SchemaVersion = 1

// maxSize is the size of the largest commit that is read, in bytes.
const maxSize = 16 << 20

// By says what a commit is.
type By string

// What commits are.
const (
	ByStart      By = "start"      // a run has begun: nobody who came before it can commit any more
	ByRun        By = "run"        // a run has succeeded
	ByFailed     By = "failed"     // the artifacts of a failed run, as on_failure: commit wants it
	ByCheckpoint By = "checkpoint" // one state, while the run goes on
	ByBody       By = "body"       // states of lines of a foreach whose bodies have succeeded, while the run goes on
	BySet        By = "set"        // by hand
	ByRollback   By = "rollback"
	ByPush       By = "push"
	ByDelete     By = "delete"
	ByRestore    By = "restore"
)

// Commit is from what the next run goes on. It is never deleted: what it does not name does not count.
type Commit struct {
	SchemaVersion int                  `json:"schema_version"`
	ID            string               `json:"id"`        // of this write
	Fence         int64                `json:"fence"`     // the highest one of a lease whose holder has begun
	By            By                   `json:"by"`        // what this commit is
	Writer        string               `json:"writer"`    // id of the run, or of the change by hand, that made it
	Time          time.Time            `json:"time"`      // UTC
	States        map[string]state.Ref `json:"states"`    // by the name of the state: that of the pipeline, in a foreach one for each line
	Artifacts     string               `json:"artifacts"` // name of the archive; "": none
	RunID         string               `json:"run"`       // id of the last run that has succeeded, whatever its record says
	Ended         time.Time            `json:"ended"`     // when that was; UTC

	etag    string // "": there is no such object yet
	damaged bool   // it cannot be read: what it said is a guess
}

// Store is the commits of one deployed task in its bucket: the object <task>/current.json.
type Store struct {
	Files     cloud.Files
	Prefix    string // folder of the task in the bucket: cloud.Scope.Prefix
	States    *state.Store
	Artifacts *artifact.Store
	Now       func() time.Time
}

// Open returns the commits of the task whose folder is prefix, with its states and artifacts. parallel is how many calls are made at a time.
func Open(files cloud.Files, prefix string, parallel int, now func() time.Time) *Store {
	return &Store{
		Files: files, Prefix: prefix, Now: now,
		States:    &state.Store{Files: files, Prefix: prefix, Parallel: parallel, Now: now},
		Artifacts: &artifact.Store{Files: files, Prefix: prefix, Parallel: parallel, Now: now},
	}
}

func (s *Store) key() string { return s.Prefix + "/current.json" }

// Read returns from what the next run goes on. A bucket without a commit may be that of an earlier handoff, whose states and
// artifacts count then; or the commit was lost, and the newest of everything counts.
func (s *Store) Read(ctx context.Context) (Commit, error) {
	text, o, err := cloud.Read(ctx, s.Files, s.key(), maxSize)
	if errors.Is(err, cloud.ErrNotFound) {
		return s.found(ctx)
	}
	var c Commit
	if err == nil {
		if jerr := json.Unmarshal(text, &c); jerr != nil {
			err = fmt.Errorf("object %q: %w: %w", s.key(), cloud.ErrCorrupt, jerr)
		}
	}
	if errors.Is(err, cloud.ErrCorrupt) {
		return Commit{}, cloud.WithHint(fmt.Errorf("read what the next run goes on from: %w", err), "`handoff state log` shows the states that there are, "+
			"`handoff state rollback` goes back to the last of them; or delete this object, and the newest states and artifacts count: "+cloud.Hint(err))
	}
	if err != nil {
		return Commit{}, fmt.Errorf("read what the next run goes on from: %w", err)
	}
	c.etag = o.ETag
	return c, nil
}

// found makes a commit of what the bucket has.
func (s *Store) found(ctx context.Context) (Commit, error) {
	states, err := s.States.Found(ctx)
	if err != nil {
		return Commit{}, err
	}
	archive, err := s.Artifacts.Found(ctx)
	return Commit{States: states, Artifacts: archive}, err
}

// Claim begins a run: from now on nobody whose fence is lower can commit. It returns from what the run goes on. fence 0 is that
// of a run without a lease, which keeps nobody out. It comes before anything else of the run is stored.
func (s *Store) Claim(ctx context.Context, fence int64, run string) (Commit, error) {
	c, err := s.Read(ctx)
	if err != nil || c.etag != "" && fence == 0 {
		return c, err
	}
	return s.change(ctx, Change{By: ByStart, Writer: run, Fence: fence}, func(*Commit) {})
}

// read is Read, or for a change that a person makes what can be found out where the commit is damaged.
func (s *Store) read(ctx context.Context, by By) (Commit, error) {
	c, err := s.Read(ctx)
	if !errors.Is(err, cloud.ErrCorrupt) || by != BySet && by != ByRollback {
		return c, err
	}
	c, err = s.found(ctx)
	c.damaged = true
	return c, err
}

// change lets do change the commit and writes it; it begins anew where another commit came in between. cloud.ErrConflict: who
// holds a later lease has begun.
func (s *Store) change(ctx context.Context, ch Change, do func(*Commit)) (done Commit, err error) {
	err = cloud.Compete(ctx, func() (again bool, err error) {
		c, err := s.before(ctx, ch)
		ch.After = nil
		if err != nil {
			return false, err
		}
		if ch.Fence != 0 && ch.Fence < c.Fence {
			return false, fmt.Errorf("%w: run %s has taken over the task", cloud.ErrConflict, c.Writer)
		}
		c.SchemaVersion, c.ID, c.By, c.Writer, c.Time = SchemaVersion, rand.Text(), ch.By, ch.Writer, s.Now().UTC()
		c.Fence = max(c.Fence, ch.Fence)
		c.States = maps.Clone(c.States)
		if c.States == nil {
			c.States = map[string]state.Ref{}
		}
		do(&c)
		done, err = s.write(ctx, c)
		return errors.Is(err, cloud.ErrConflict), err
	})
	return done, err
}

// write replaces the commit that c was read from. Where the answer is an error the commit may be made all the same: a call
// whose answer got lost, or one that was sent a second time and met its first.
func (s *Store) write(ctx context.Context, c Commit) (Commit, error) {
	text, err := encode(c)
	if err != nil {
		return c, fmt.Errorf("encode commit: %w", err)
	}
	o := cloud.PutOptions{IfAbsent: c.etag == "", IfMatch: c.etag}
	switch {
	case c.damaged:
		o = cloud.PutOptions{}
	case c.By == ByStart && c.etag != "": // it keeps others out, and a crash of the machine does that, too
		o.Fleeting = true
	}
	stored, err := s.Files.Put(ctx, s.key(), cloud.Bytes(append(text, '\n')), o)
	if err == nil {
		c.etag = stored.ETag
		return c, nil
	}
	err = fmt.Errorf("commit: %w", err)
	now, rerr := s.lookAgain(ctx)
	switch {
	case rerr != nil:
		return c, fmt.Errorf("%w; whether it was made is not known: %w", err, rerr)
	case now.ID == c.ID:
		return now, nil
	}
	return c, err
}

// encode returns a commit as it is stored: for people to read, but for those of bodies, of which a run may make one for each of thousands
// of lines, and that name as many states.
func encode(c Commit) ([]byte, error) {
	if c.By == ByBody {
		return json.Marshal(c)
	}
	return json.MarshalIndent(c, "", "  ")
}

// lookAgain reads the commit, with a few tries: the call before has failed.
func (s *Store) lookAgain(ctx context.Context) (c Commit, err error) {
	for wait := 50 * time.Millisecond; wait < time.Second; wait *= 2 {
		if c, err = s.Read(ctx); err == nil {
			return c, nil
		}
		if stopped := cloud.Sleep(ctx, wait); stopped != nil {
			return c, stopped
		}
	}
	return c, err
}
