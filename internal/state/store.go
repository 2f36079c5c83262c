// Package state keeps what Singer taps and targets call state: the bookmark from which the next run goes on. In the
// bucket every commit is a version, so that one can look back and go back; in a workspace it is a file for the tap. The
// package knows the form of a STATE line and where versions are; it starts nothing and never looks into a state.
package state

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// SchemaVersion is the version of a Version as it is stored; it rises when a field changes its meaning.
const SchemaVersion = 1

const (
	maxState = 16 << 20 // bytes of the largest state
	kept     = 100      // versions in the log
	maxSeq   = 9_999_999_999
	tries    = 10 // of a commit that meets others
)

// By says who made a version.
type By string

// Who makes versions.
const (
	ByRun      By = "run"
	BySet      By = "set"      // by hand
	ByRollback By = "rollback" // by hand, from an earlier one
)

// Version is one commit of the state of a pipeline.
type Version struct {
	SchemaVersion int             `json:"schema_version"`
	Task          string          `json:"task"` // name of the pipeline in project.yml
	Seq           int64           `json:"seq"`  // 1, 2, 3, ...
	Run           string          `json:"run"`
	By            By              `json:"by"`
	From          int64           `json:"from,omitempty"`       // of a rollback: the version whose state it has
	Checkpoint    bool            `json:"checkpoint,omitempty"` // the run had not ended with success when it was committed
	Time          time.Time       `json:"time"`                 // UTC
	Fence         int64           `json:"fence"`                // of the lease of the run; given as 0 by one without a lease: it is not compared
	State         json.RawMessage `json:"state"`
}

// Store holds the states of one deployed task in a bucket.
type Store struct {
	Files cloud.Files
	Task  string // deploy.task: the folder in the bucket
	Now   func() time.Time
}

func (s *Store) folder(name string) string { return s.Task + "/state/" + name }

func (s *Store) currentKey(name string) string { return s.folder(name) + "/current.json" }

// logKey sorts the newest version first.
func (s *Store) logKey(name string, seq int64) string {
	return fmt.Sprintf("%s/log/%010d.json", s.folder(name), maxSeq-seq)
}

// Names answers the pipelines that have a state, sorted.
func (s *Store) Names(ctx context.Context) ([]string, error) {
	var names []string
	for o, err := range s.Files.List(ctx, s.Task+"/state") {
		if err != nil {
			return nil, fmt.Errorf("list states: %w", err)
		}
		name, isCurrent := strings.CutSuffix(strings.TrimPrefix(o.Key, s.Task+"/state/"), "/current.json")
		if isCurrent && !strings.Contains(name, "/") {
			names = append(names, name)
		}
	}
	return names, nil
}

// Current answers the version from which the next run goes on. cloud.ErrNotFound: there is none.
func (s *Store) Current(ctx context.Context, name string) (Version, error) {
	v, _, err := s.read(ctx, s.currentKey(name))
	if errors.Is(err, cloud.ErrCorrupt) {
		return Version{}, cloud.WithHint(fmt.Errorf("state of %q: %w", name, err), "`handoff state log` shows the versions that there are, "+
			"`handoff state rollback` goes back to the last of them; "+cloud.Hint(err))
	}
	if err != nil {
		return Version{}, fmt.Errorf("state of %q: %w", name, err)
	}
	return v, nil
}

// At answers the version with the number seq. cloud.ErrNotFound: there is none, or it is too long ago.
func (s *Store) At(ctx context.Context, name string, seq int64) (Version, error) {
	v, _, err := s.read(ctx, s.logKey(name, seq))
	if err != nil {
		return Version{}, fmt.Errorf("version %d of the state of %q: %w", seq, name, err)
	}
	return v, nil
}

// Before answers version seq, or with seq 0 the last version before the current one that has another state.
func (s *Store) Before(ctx context.Context, name string, seq int64) (Version, error) {
	if seq != 0 {
		return s.At(ctx, name, seq)
	}
	now, err := s.Current(ctx, name)
	if errors.Is(err, cloud.ErrCorrupt) || errors.Is(err, cloud.ErrNotFound) { // the last one in the log then
		now, err = Version{Seq: maxSeq}, nil
	}
	if err != nil {
		return Version{}, err
	}
	log, err := s.Log(ctx, name, 0)
	if err != nil {
		return Version{}, err
	}
	for _, v := range log {
		if v.Seq < now.Seq && !bytes.Equal(v.State, now.State) {
			return v, nil
		}
	}
	return Version{}, cloud.WithHint(fmt.Errorf("a state of %q before the current one: %w", name, cloud.ErrNotFound),
		"`handoff state log` shows what there is")
}

// Log answers the versions, the newest first; at most limit where that is not 0.
func (s *Store) Log(ctx context.Context, name string, limit int) ([]Version, error) {
	var out []Version
	for o, err := range s.Files.List(ctx, s.folder(name)+"/log") {
		if err != nil {
			return nil, fmt.Errorf("log of the state of %q: %w", name, err)
		}
		v, _, err := s.read(ctx, o.Key)
		if errors.Is(err, cloud.ErrNotFound) { // trimmed meanwhile
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("log of the state of %q: %w", name, err)
		}
		if out = append(out, v); len(out) == limit {
			break
		}
	}
	return out, nil
}

// Commit makes v the current version and answers it as it is stored; Seq and Time are set here. All commits of one run
// are one version: a checkpoint is replaced by the next one. cloud.ErrConflict: a run with a higher fence has
// committed, so this one is not the holder any more.
func (s *Store) Commit(ctx context.Context, v Version) (Version, error) {
	var err error
	for range tries {
		var done Version
		if done, err = s.commit(ctx, v); !errors.Is(err, errRaced) {
			return done, err
		}
	}
	return Version{}, err
}

// errRaced says that another commit came in between.
var errRaced = fmt.Errorf("another commit came in between: %w", cloud.ErrConflict)

func (s *Store) commit(ctx context.Context, v Version) (Version, error) {
	text, err := checked(v.State)
	if err != nil {
		return Version{}, fmt.Errorf("state of %q: %w", v.Task, err)
	}
	now, etag, err := s.forCommit(ctx, v)
	if err != nil {
		return Version{}, fmt.Errorf("commit state of %q: %w", v.Task, err)
	}
	if v.Fence == 0 {
		v.Fence = now.Fence
	}
	if now.Fence > v.Fence {
		return Version{}, fmt.Errorf("commit state of %q: %w: run %s has committed a later one", v.Task, cloud.ErrConflict, now.Run)
	}
	v.SchemaVersion, v.State, v.Time = SchemaVersion, text, s.Now().UTC()
	v.Seq = now.Seq + 1
	if now.Run == v.Run && v.Run != "" {
		v.Seq = max(now.Seq, 1)
	}
	if err := s.put(ctx, v, etag); err != nil {
		return Version{}, err
	}
	if v.Seq > kept {
		_ = s.Files.Delete(ctx, s.logKey(v.Task, v.Seq-kept)) // one too many does no harm
	}
	return v, nil
}

// overwrite stands for the ETag of a version that cannot be read and is replaced by hand.
const overwrite = "*"

// forCommit answers the version that v is to follow. Where it is lost, or damaged and v is made by hand, that is one without
// anything but the number of the last one in the log, which no other may get.
func (s *Store) forCommit(ctx context.Context, v Version) (Version, string, error) {
	now, etag, err := s.read(ctx, s.currentKey(v.Task))
	switch {
	case errors.Is(err, cloud.ErrCorrupt) && v.By != ByRun && v.By != "":
		etag = overwrite
	case errors.Is(err, cloud.ErrNotFound):
		etag = ""
	default:
		return now, etag, err
	}
	seq, err := s.lastSeq(ctx, v.Task)
	return Version{Seq: seq}, etag, err
}

// lastSeq answers the number of the newest version in the log, whether it can be read or not; 0 without one.
func (s *Store) lastSeq(ctx context.Context, name string) (int64, error) {
	for o, err := range s.Files.List(ctx, s.folder(name)+"/log") {
		if err != nil {
			return 0, err
		}
		var at int64
		if _, err := fmt.Sscanf(path.Base(o.Key), "%d.json", &at); err == nil {
			return maxSeq - at, nil
		}
	}
	return 0, nil
}

// put writes the log first: a version that is current is always in it.
func (s *Store) put(ctx context.Context, v Version, etag string) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode state of %q: %w", v.Task, err)
	}
	text = append(text, '\n')
	if _, err := s.Files.Put(ctx, s.logKey(v.Task, v.Seq), bytes.NewReader(text), cloud.PutOptions{}); err != nil {
		return fmt.Errorf("commit state of %q: %w", v.Task, err)
	}
	o := cloud.PutOptions{IfAbsent: etag == "", IfMatch: etag}
	if etag == overwrite {
		o = cloud.PutOptions{}
	}
	_, err = s.Files.Put(ctx, s.currentKey(v.Task), bytes.NewReader(text), o)
	if errors.Is(err, cloud.ErrConflict) {
		return errRaced
	}
	if err != nil {
		return fmt.Errorf("commit state of %q: %w", v.Task, err)
	}
	return nil
}

// checked answers a state on one line. It has to be a JSON object.
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

// read answers the version at key and its ETag.
func (s *Store) read(ctx context.Context, key string) (Version, string, error) {
	var v Version
	body, o, err := s.Files.Get(ctx, key)
	if err != nil {
		return v, "", err
	}
	defer body.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(io.LimitReader(body, 2*maxState))
	if err != nil {
		return v, "", err
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return v, "", cloud.WithHint(fmt.Errorf("%w: object %q: %w", cloud.ErrCorrupt, key, err), "or put another one in place: `handoff state set`")
	}
	v.State, err = checked(v.State)
	return v, o.ETag, err
}
