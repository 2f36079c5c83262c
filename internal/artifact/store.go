// Package artifact keeps the artifacts folder of a workspace between runs, as archives in a bucket: what successful runs have
// left, and apart from it what failed ones have. Which archive the next run finds is for package commit to say. It copies files
// to and from a bucket; it knows nothing of runs but their ids, and looks into no file.
package artifact

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// SchemaVersion is the version of Index and Snapshot; it rises when a field changes its meaning.
const SchemaVersion = 2

// maxIndex is the size of the largest list of files that is read, in bytes: some 400,000 files.
const maxIndex = 64 << 20

// Store is the artifacts of one deployed task in its bucket:
//
//	<task>/artifacts/archives/<time>/...   a copy of the folder for each successful run
//	<task>/artifacts/failed/<run>/...      what failed runs have left
//	<task>/artifacts/manifests/....json    the files of an archive (a Snapshot), written when all of them are stored
//	<task>/artifacts/index.json            which archives there are
//	<task>/artifacts/last/...              the last archive again, for people and other programs to read
type Store struct {
	Files    cloud.Files
	Prefix   string // folder of the task in the bucket: cloud.Scope.Prefix
	Parallel int    // transfers at a time; at least 1
	Now      func() time.Time
}

// Index is which archives a bucket has. It is one object, replaced under a condition.
type Index struct {
	SchemaVersion int       `json:"schema_version"`
	Last          *Snapshot `json:"last,omitempty"` // in a bucket of a handoff before schema 2: what the next run finds
	Archives      []Archive `json:"archives"`       // the newest first
	Failed        []Archive `json:"failed"`         // the newest first
	Loose         []Loose   `json:"loose,omitempty"`

	etag string // "": there is no index
}

// Archive is one copy of the folder.
type Archive struct {
	Name  string    `json:"name"` // of its folder below artifacts/: "archives/..." or "failed/..."
	RunID string    `json:"run,omitempty"`
	Time  time.Time `json:"time"` // UTC
	Files int       `json:"files"`
	Bytes int64     `json:"bytes"`
}

// Loose is an archive that is being written or removed, or was when its run died.
type Loose struct {
	Archive
	Fence int64 `json:"fence"` // of the lease of who does so; 0: he has none
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

func (s *Store) prefix() string { return s.Prefix + "/artifacts" }

func (s *Store) indexKey() string { return s.prefix() + "/index.json" }

func (s *Store) manifestKey(name string) string { return s.prefix() + "/manifests/" + name + ".json" }

// Index returns what there is; an empty one where nothing was ever stored.
func (s *Store) Index(ctx context.Context) (*Index, error) {
	x := &Index{SchemaVersion: SchemaVersion, Archives: []Archive{}, Failed: []Archive{}}
	text, o, err := cloud.Read(ctx, s.Files, s.indexKey(), maxIndex)
	if errors.Is(err, cloud.ErrNotFound) {
		return x, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read index of artifacts: %w", err)
	}
	x.etag = o.ETag
	if err := json.Unmarshal(text, x); err != nil {
		return nil, cloud.WithHint(fmt.Errorf("read index of artifacts: %w: %w", cloud.ErrCorrupt, err),
			"the archives are not touched by this: delete the object "+s.indexKey()+", and the next run begins a new list")
	}
	return x, nil
}

// change lets do change the index and writes it; it begins anew where another change came in between. fleeting: a crash of the
// machine may undo it.
func (s *Store) change(ctx context.Context, fleeting bool, do func(*Index) error) error {
	return cloud.Compete(ctx, func() (again bool, err error) {
		x, err := s.Index(ctx)
		if err == nil {
			x.SchemaVersion = SchemaVersion
			err = do(x)
		}
		if err != nil {
			return false, err
		}
		text, err := json.MarshalIndent(x, "", " ")
		if err != nil {
			return false, fmt.Errorf("encode index of artifacts: %w", err)
		}
		_, err = cloud.Write(ctx, s.Files, s.indexKey(), append(text, '\n'), cloud.PutOptions{IfAbsent: x.etag == "", IfMatch: x.etag, Fleeting: fleeting})
		if err != nil {
			err = fmt.Errorf("write index of artifacts: %w", err)
		}
		return errors.Is(err, cloud.ErrConflict), err
	})
}

// Snapshot returns the files of an archive; none for the name "". Archives of earlier versions of handoff have no manifest:
// then the index may know them, and else it is what the folder has.
func (s *Store) Snapshot(ctx context.Context, name string) (*Snapshot, error) {
	if name == "" {
		return &Snapshot{}, nil
	}
	text, _, err := cloud.Read(ctx, s.Files, s.manifestKey(name), maxIndex)
	if errors.Is(err, cloud.ErrNotFound) {
		return s.older(ctx, name)
	}
	if err != nil {
		return nil, fmt.Errorf("read list of artifacts: %w", err)
	}
	snap := &Snapshot{}
	if err := json.Unmarshal(text, snap); err != nil {
		return nil, fmt.Errorf("read list of artifacts %q: %w: %w", s.manifestKey(name), cloud.ErrCorrupt, err)
	}
	return snap, nil
}

// older returns what the folder of an archive without a manifest has. The index is read afterwards: what it has then was not being
// removed meanwhile.
func (s *Store) older(ctx context.Context, name string) (*Snapshot, error) {
	snap := &Snapshot{Archive: Archive{Name: name}}
	for o, err := range s.Files.List(ctx, s.prefix()+"/"+name) {
		if err != nil {
			return nil, fmt.Errorf("list artifacts: %w", err)
		}
		path := strings.TrimPrefix(o.Key, s.prefix()+"/"+name+"/")
		snap.add(Entry{Path: path, Size: o.Size, SHA256: o.SHA256})
	}
	x, err := s.Index(ctx)
	switch {
	case err != nil:
		return nil, err
	case x.Last != nil && x.Last.Name == name:
		return x.Last, nil
	case x.etag != "" && name != lastName && !x.has(name):
		return nil, gone(fmt.Errorf("artifacts %s: %w", name, cloud.ErrNotFound))
	}
	return snap, nil
}

// gone says what to do where a part of an archive is not there.
func gone(err error) error {
	if errors.Is(err, cloud.ErrNotFound) {
		return cloud.WithHint(err, "it was removed meanwhile, since it is kept no longer, or the bucket has lost it: `handoff artifacts list` shows those that there are")
	}
	return err
}

func (s *Store) putSnapshot(ctx context.Context, snap *Snapshot) error {
	text, err := json.MarshalIndent(snap, "", " ")
	if err == nil {
		_, err = s.Files.Put(ctx, s.manifestKey(snap.Name), cloud.Bytes(append(text, '\n')), cloud.PutOptions{})
	}
	return err
}

// Found returns, for a bucket in which nothing says which archive counts, the one from which to go on: what an earlier
// handoff has named, what 0.4.x has left below artifacts/last, or the newest; "" is none.
func (s *Store) Found(ctx context.Context) (string, error) {
	x, err := s.Index(ctx)
	switch {
	case err != nil:
		return "", err
	case x.etag != "" && x.SchemaVersion > 1 && len(x.Archives) > 0:
		return x.Archives[0].Name, nil
	case x.etag != "" && x.SchemaVersion < 2 && x.Last != nil:
		return x.Last.Name, nil
	case x.etag != "":
		return "", nil
	}
	for _, err := range s.Files.List(ctx, s.prefix()+"/"+lastName) {
		if err != nil {
			return "", fmt.Errorf("list artifacts: %w", err)
		}
		return lastName, nil
	}
	return "", nil
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

// Copy copies an archive into a new one, which Settle has to take into the index. current is the archive from which the next run would
// go on.
func (s *Store) Copy(ctx context.Context, name, current string, fence int64) (Archive, error) {
	snap, err := s.Snapshot(ctx, name)
	if err != nil {
		return Archive{}, err
	}
	at := s.Now().UTC()
	to := *snap
	to.Name, to.Time = archivesName+"/"+at.Format(timeForm), at
	if err := s.begin(ctx, to.Archive, current, fence); err != nil {
		return Archive{}, err
	}
	err = cloud.Each(ctx, s.Parallel, snap.Entries, func(ctx context.Context, e Entry) error {
		return s.copy(ctx, snap.Name+"/"+e.Path, to.Name+"/"+e.Path)
	})
	if err == nil {
		err = s.putSnapshot(ctx, &to)
	}
	return to.Archive, err
}

// timeForm is the name of an archive, as handoff 0.4.x has it.
const timeForm = "2006-01-02T15:04:05.000000"

// copy copies an object; names are below artifacts/.
func (s *Store) copy(ctx context.Context, from, to string) error {
	if _, err := cloud.Copy(ctx, s.Files, s.prefix()+"/"+from, s.prefix()+"/"+to); err != nil {
		return fmt.Errorf("copy artifact: %w", gone(err))
	}
	return nil
}

// drop removes a folder below artifacts/. Its manifest is removed before: who has that has begun to read when all was there.
func (s *Store) drop(ctx context.Context, name string) error {
	if err := s.Files.Delete(ctx, s.manifestKey(name)); err != nil {
		return fmt.Errorf("remove old artifacts: %w", err)
	}
	var keys []string
	for o, err := range s.Files.List(ctx, s.prefix()+"/"+name) {
		if err != nil {
			return fmt.Errorf("list artifacts: %w", err)
		}
		keys = append(keys, o.Key)
	}
	if err := s.Files.Delete(ctx, keys...); err != nil {
		return fmt.Errorf("remove old artifacts: %w", err)
	}
	return nil
}
