package artifact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/handoff-run/handoff/internal/cloud"
)

// PushOptions says what is stored, and as what.
type PushOptions struct {
	Dir    string // the artifacts folder
	RunID  string // id of the run
	Fence  int64  // of the lease of the run; 0 where it runs without one, at its own risk
	Keep   int    // archives that Settle is to keep, and as many of failed runs; 0: all
	Failed bool   // keep it apart: the next run does not get it
	Skip   func(path string) bool
}

// Pushed is what an Upload has stored.
type Pushed struct {
	Archive
	Skipped []string // links, pipes and the like, which are not stored
}

// Upload stores the folder as an archive that nothing names yet: see package commit, and Settle. current is the archive from
// which the next run would go on. Killed midway it leaves what a later Settle removes.
func (s *Store) Upload(ctx context.Context, current string, o PushOptions) (Pushed, error) {
	entries, skipped, err := scan(o)
	if err != nil {
		return Pushed{}, fmt.Errorf("store artifacts: %w", err)
	}
	at := s.Now().UTC()
	snap := &Snapshot{Archive: Archive{Name: archivesName + "/" + at.Format(timeForm), RunID: o.RunID, Time: at}}
	if o.Failed {
		snap.Name = failedName + "/" + o.RunID
	}
	err = s.begin(ctx, snap.Archive, current, o.Fence)
	if err == nil {
		err = s.upload(ctx, o.Dir, snap.Name, entries)
	}
	if err == nil {
		for _, e := range entries {
			snap.add(e)
		}
		err = s.putSnapshot(ctx, snap)
	}
	if err != nil {
		return Pushed{}, fmt.Errorf("store artifacts: %w", err)
	}
	return Pushed{Archive: snap.Archive, Skipped: skipped}, nil
}

// Count returns what an Upload would store.
func Count(o PushOptions) (files int, size int64, err error) {
	entries, _, err := scan(o)
	if err != nil {
		return 0, 0, fmt.Errorf("look at artifacts: %w", err)
	}
	for _, e := range entries {
		size += e.Size
	}
	return len(entries), size, nil
}

// scan returns the files of the folder, sorted by path, and what is no file.
func scan(o PushOptions) (entries []Entry, skipped []string, err error) {
	err = filepath.WalkDir(o.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(o.Dir, path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		switch {
		case o.Skip != nil && o.Skip(name):
		case !d.Type().IsRegular():
			skipped = append(skipped, name)
		default:
			info, err := d.Info()
			if err != nil {
				return err
			}
			entries = append(entries, Entry{Path: name, Size: info.Size(), Executable: info.Mode()&0o111 != 0})
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return entries, skipped, err
}

// upload stores the files below artifacts/<name> and notes their sizes and hashes.
func (s *Store) upload(ctx context.Context, dir, name string, entries []Entry) error {
	refs := make([]*Entry, len(entries))
	for i := range entries {
		refs[i] = &entries[i]
	}
	return cloud.Each(ctx, s.Parallel, refs, func(ctx context.Context, e *Entry) error {
		return s.putFile(ctx, filepath.Join(dir, filepath.FromSlash(e.Path)), name, e)
	})
}

func (s *Store) putFile(ctx context.Context, path, name string, e *Entry) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // read only
	body, err := cloud.FromFile(f)
	if err != nil {
		return err
	}
	stored, err := s.Files.Put(ctx, s.prefix()+"/"+name+"/"+e.Path, body, cloud.PutOptions{})
	if err != nil {
		return err
	}
	e.Size, e.SHA256 = stored.Size, stored.SHA256
	return nil
}

// AddFile stores one more file beside what an Upload has stored; the next run does not get it.
func (s *Store) AddFile(ctx context.Context, a Archive, dir, name string) error {
	if err := s.putFile(ctx, filepath.Join(dir, name), a.Name, &Entry{Path: name}); err != nil {
		return fmt.Errorf("store artifact %q: %w", name, err)
	}
	return nil
}

// mirror makes artifacts/last equal to the archive. It is for people and other programs, no run reads it.
func (s *Store) mirror(ctx context.Context, snap *Snapshot) error {
	there := map[string]cloud.Object{}
	for o, err := range s.Files.List(ctx, s.prefix()+"/"+lastName) {
		if err != nil {
			return err
		}
		there[strings.TrimPrefix(o.Key, s.prefix()+"/"+lastName+"/")] = o
	}
	var todo []Entry
	for _, e := range snap.Entries {
		if o, ok := there[e.Path]; !ok || o.SHA256 == "" || o.SHA256 != e.SHA256 {
			todo = append(todo, e)
		}
		delete(there, e.Path)
	}
	err := cloud.Each(ctx, s.Parallel, todo, func(ctx context.Context, e Entry) error {
		return s.copy(ctx, snap.Name+"/"+e.Path, lastName+"/"+e.Path)
	})
	if err != nil || len(there) == 0 {
		return err
	}
	gone := make([]string, 0, len(there))
	for _, o := range there {
		gone = append(gone, o.Key)
	}
	return s.Files.Delete(ctx, gone...)
}
