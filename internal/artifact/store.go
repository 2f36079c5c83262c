// Package artifact keeps the artifacts folder of a workspace between runs: what a successful run has left is what the
// next one finds, older ones are archives, and what a failed run has left stands apart. It copies files to and from a
// bucket; it knows nothing of runs but their ids, and looks into no file.
package artifact

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// SchemaVersion is the version of the Index; it rises when a field changes its meaning.
const SchemaVersion = 1

// Store is the artifacts of one deployed task in its bucket:
//
//	<task>/artifacts/index.json           which archive is the last one, and what there is
//	<task>/artifacts/archives/<time>/...  a copy of the folder for each push
//	<task>/artifacts/last/...             the newest of them again, for people and other programs to read
//	<task>/artifacts/failed/<run>/...     what failed runs have left
//
// Readers go by the index: it changes as a whole, when all that it names is stored.
type Store struct {
	Files    cloud.Files
	Task     string // deploy.task: the folder in the bucket
	Parallel int    // transfers at a time; at least 1
	Now      func() time.Time
}

// Index is what a bucket has. It is one object, replaced under a condition.
type Index struct {
	SchemaVersion int       `json:"schema_version"`
	Fence         int64     `json:"fence"` // of the lease of the run that committed Last
	Last          *Snapshot `json:"last,omitempty"`
	Archives      []Archive `json:"archives"` // the newest first
	Failed        []Archive `json:"failed"`   // the newest first

	etag string // "": there is no index
}

// Archive is one copy of the folder.
type Archive struct {
	Name  string    `json:"name"` // of its folder below artifacts/: "archives/..." or "failed/..."
	Run   string    `json:"run,omitempty"`
	Time  time.Time `json:"time"` // UTC
	Files int       `json:"files"`
	Bytes int64     `json:"bytes"`
}

// Snapshot is an Archive with its files.
type Snapshot struct {
	Archive
	Entries []Entry `json:"entries"` // sorted by path
}

// Entry is one file.
type Entry struct {
	Path       string `json:"path"` // slashes
	Size       int64  `json:"size"` // bytes
	SHA256     string `json:"sha256,omitempty"`
	Executable bool   `json:"executable,omitempty"`
}

func (s *Store) prefix() string { return s.Task + "/artifacts" }

func (s *Store) indexKey() string { return s.prefix() + "/index.json" }

// Index answers what there is; an empty one where nothing was ever pushed.
func (s *Store) Index(ctx context.Context) (*Index, error) {
	x := &Index{SchemaVersion: SchemaVersion, Archives: []Archive{}, Failed: []Archive{}}
	body, o, err := s.Files.Get(ctx, s.indexKey())
	if errors.Is(err, cloud.ErrNotFound) {
		return x, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read index of artifacts: %w", err)
	}
	defer body.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("read index of artifacts: %w", err)
	}
	x.etag = o.ETag
	if err := json.Unmarshal(text, x); err != nil {
		return nil, cloud.WithHint(fmt.Errorf("read index of artifacts: %w: %w", cloud.ErrCorrupt, err),
			"the archives are not touched by this: delete the object "+s.indexKey()+", and the files below artifacts/last count again")
	}
	return x, nil
}

// tries is how often a change of the index that others overtake begins anew.
const tries = 20

// change lets do change the index and writes it; it begins anew where another change came in between.
func (s *Store) change(ctx context.Context, do func(*Index) error) error {
	for try := 1; ; try++ {
		x, err := s.Index(ctx)
		if err == nil && x.etag == "" { // the bucket may be one of 0.4.x
			x.Last, err = s.last(ctx)
		}
		if err == nil {
			err = do(x)
		}
		if err != nil {
			return err
		}
		text, err := json.MarshalIndent(x, "", " ")
		if err != nil {
			return fmt.Errorf("encode index of artifacts: %w", err)
		}
		_, err = s.Files.Put(ctx, s.indexKey(), bytes.NewReader(append(text, '\n')), cloud.PutOptions{IfAbsent: x.etag == "", IfMatch: x.etag})
		if err == nil {
			return nil
		}
		if !errors.Is(err, cloud.ErrConflict) || try == tries {
			return fmt.Errorf("write index of artifacts: %w", err)
		}
	}
}

// last answers the files that the next run gets and the folder below artifacts/ in which they are; nil where there are
// none. A bucket without an index may be one of handoff 0.4.x, which has only the files.
func (s *Store) last(ctx context.Context) (*Snapshot, error) {
	x, err := s.Index(ctx)
	if err != nil {
		return nil, err
	}
	if x.etag != "" {
		return x.Last, nil
	}
	snap := &Snapshot{Archive: Archive{Name: lastName}}
	for o, err := range s.Files.List(ctx, s.prefix()+"/"+lastName) {
		if err != nil {
			return nil, fmt.Errorf("list artifacts: %w", err)
		}
		path := strings.TrimPrefix(o.Key, s.prefix()+"/"+lastName+"/")
		snap.add(Entry{Path: path, Size: o.Size, SHA256: o.SHA256})
	}
	if len(snap.Entries) == 0 {
		return nil, nil
	}
	return snap, nil
}

// Last answers what the next run finds; found is false where that is nothing.
func (s *Store) Last(ctx context.Context) (a Archive, found bool, err error) {
	snap, err := s.last(ctx)
	if err != nil || snap == nil {
		return Archive{}, false, err
	}
	return snap.Archive, true, nil
}

func (s *Snapshot) add(e Entry) {
	s.Entries = append(s.Entries, e)
	s.Files++
	s.Bytes += e.Size
}

// The folders below artifacts/.
const (
	lastName     = "last"
	archivesName = "archives"
	failedName   = "failed"
)

// Delete removes what the next run would get. Archives stay. fence is that of the caller's lease.
func (s *Store) Delete(ctx context.Context, fence int64) error {
	err := s.change(ctx, func(x *Index) error {
		if err := x.take(fence); err != nil {
			return err
		}
		x.Last = nil
		return nil
	})
	if err != nil {
		return err
	}
	return s.drop(ctx, lastName)
}

// take notes the fence of who changes what the next run gets, and keeps out who has lost the lease.
func (x *Index) take(fence int64) error {
	if fence == 0 { // a run that takes no lease, at its own risk
		return nil
	}
	if fence < x.Fence {
		return fmt.Errorf("%w: a later run has stored its artifacts meanwhile", cloud.ErrConflict)
	}
	x.Fence = fence
	return nil
}

// Archive copies what the next run would get into a new archive.
func (s *Store) Archive(ctx context.Context, keep int) (Archive, error) {
	snap, err := s.last(ctx)
	if err != nil || snap == nil {
		return Archive{}, errors.Join(err, s.noneIf(snap == nil && err == nil))
	}
	at := s.Now().UTC()
	a := snap.Archive
	a.Name, a.Time = archivesName+"/"+at.Format(timeForm), at
	err = each(ctx, s.Parallel, snap.Entries, func(ctx context.Context, e Entry) error {
		return s.copy(ctx, snap.Name+"/"+e.Path, a.Name+"/"+e.Path)
	})
	if err != nil {
		return Archive{}, err
	}
	return a, s.addArchive(ctx, keep, func(x *Index) error {
		x.Archives = slices.Insert(x.Archives, 0, a)
		return nil
	})
}

func (s *Store) noneIf(none bool) error {
	if !none {
		return nil
	}
	return cloud.WithHint(fmt.Errorf("artifacts of task %q: %w", s.Task, cloud.ErrNotFound), "a successful `handoff run -a` or `handoff artifacts push` makes some")
}

// timeForm is the name of an archive, as handoff 0.4.x has it.
const timeForm = "2006-01-02T15:04:05.000000"

// copy copies an object; names are below artifacts/.
func (s *Store) copy(ctx context.Context, from, to string) error {
	body, _, err := s.Files.Get(ctx, s.prefix()+"/"+from)
	if err != nil {
		return fmt.Errorf("copy artifact: %w", err)
	}
	defer body.Close() //nolint:errcheck // read only
	if _, err := s.Files.Put(ctx, s.prefix()+"/"+to, body, cloud.PutOptions{}); err != nil {
		return fmt.Errorf("copy artifact: %w", err)
	}
	return nil
}

// addArchive changes the index and then removes the archives beyond keep, but never the one that is the last.
func (s *Store) addArchive(ctx context.Context, keep int, add func(*Index) error) error {
	var old []Archive
	err := s.change(ctx, func(x *Index) error {
		if err := add(x); err != nil {
			return err
		}
		old = x.trim(keep)
		return nil
	})
	if err != nil {
		return err
	}
	for _, a := range old {
		if err := s.drop(ctx, a.Name); err != nil {
			return fmt.Errorf("remove old artifacts: %w", err)
		}
	}
	return nil
}

// trim takes the archives beyond keep out of the index and answers them.
func (x *Index) trim(keep int) []Archive {
	if keep <= 0 {
		return nil
	}
	var old []Archive
	for _, list := range []*[]Archive{&x.Archives, &x.Failed} {
		n := 0
		*list = slices.DeleteFunc(*list, func(a Archive) bool {
			if n++; n <= keep || x.Last != nil && a.Name == x.Last.Name {
				return false
			}
			old = append(old, a)
			return true
		})
	}
	return old
}

// drop removes a folder below artifacts/.
func (s *Store) drop(ctx context.Context, name string) error {
	var keys []string
	for o, err := range s.Files.List(ctx, s.prefix()+"/"+name) {
		if err != nil {
			return fmt.Errorf("list artifacts: %w", err)
		}
		keys = append(keys, o.Key)
	}
	if len(keys) == 0 {
		return nil
	}
	return s.Files.Delete(ctx, keys...)
}
