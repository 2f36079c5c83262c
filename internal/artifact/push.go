package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/handoff-run/handoff/internal/cloud"
)

// PushOptions says what is stored, and as what.
type PushOptions struct {
	Dir    string // the artifacts folder
	Run    string // id of the run
	Fence  int64  // of the lease of the run; 0 where it runs without one, at its own risk
	Keep   int    // archives that are kept, and as many of failed runs; 0: all
	Failed bool   // keep it apart: the next run does not get it
	Skip   func(path string) bool
}

// Pushed is what a Push has stored.
type Pushed struct {
	Archive
	Skipped []string // links, pipes and the like, which are not stored
}

// Push stores the folder. When it has returned nil, the next run gets what it has stored, unless Failed. Killed or
// failed midway it leaves what the next run gets as it was. cloud.ErrConflict: a later run has stored its artifacts.
func (s *Store) Push(ctx context.Context, o PushOptions) (Pushed, error) {
	entries, skipped, err := scan(o)
	if err != nil {
		return Pushed{}, fmt.Errorf("store artifacts: %w", err)
	}
	at := s.Now().UTC()
	snap := &Snapshot{Archive: Archive{Name: archivesName + "/" + at.Format(timeForm), Run: o.Run, Time: at}}
	if o.Failed {
		snap.Name = failedName + "/" + o.Run
	}
	if err := s.upload(ctx, o.Dir, snap.Name, entries); err != nil {
		return Pushed{}, fmt.Errorf("store artifacts: %w", err)
	}
	for _, e := range entries {
		snap.add(e)
	}
	err = s.addArchive(ctx, o.Keep, func(x *Index) error { return x.commit(snap, o) })
	if err == nil && !o.Failed {
		err = s.mirror(ctx, snap)
	}
	if err != nil {
		return Pushed{}, fmt.Errorf("store artifacts: %w", err)
	}
	return Pushed{Archive: snap.Archive, Skipped: skipped}, nil
}

// Count answers what a Push would store.
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

func (x *Index) commit(snap *Snapshot, o PushOptions) error {
	if o.Failed {
		x.Failed = slices.Insert(x.Failed, 0, snap.Archive)
		return nil
	}
	if err := x.take(o.Fence); err != nil {
		return err
	}
	x.Last = snap
	x.Archives = slices.Insert(x.Archives, 0, snap.Archive)
	return nil
}

// scan answers the files of the folder, sorted by path, and what is no file.
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
	return each(ctx, s.Parallel, refs, func(ctx context.Context, e *Entry) error {
		return s.putFile(ctx, filepath.Join(dir, filepath.FromSlash(e.Path)), name, e)
	})
}

func (s *Store) putFile(ctx context.Context, path, name string, e *Entry) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read only
	h := sha256.New()
	n := &counter{}
	body := io.TeeReader(f, io.MultiWriter(h, n))
	if _, err := s.Files.Put(ctx, s.prefix()+"/"+name+"/"+e.Path, body, cloud.PutOptions{}); err != nil {
		return err
	}
	e.Size, e.SHA256 = n.n, hex.EncodeToString(h.Sum(nil))
	return nil
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// AddFile stores one more file beside what a Push has stored; the next run does not get it.
func (s *Store) AddFile(ctx context.Context, a Archive, dir, name string) error {
	if err := s.putFile(ctx, filepath.Join(dir, name), a.Name, &Entry{Path: name}); err != nil {
		return fmt.Errorf("store artifact %q: %w", name, err)
	}
	return nil
}

// mirror makes artifacts/last equal to the archive. It is for people: who is killed in it has committed.
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
	err := each(ctx, s.Parallel, todo, func(ctx context.Context, e Entry) error {
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

// each does work for all items, n at a time, up to the first error.
func each[T any](ctx context.Context, n int, items []T, work func(context.Context, T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan T)
	var wg sync.WaitGroup
	for range min(max(n, 1), len(items)) {
		wg.Go(func() {
			for item := range next {
				if err := work(ctx, item); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, item := range items {
		select {
		case next <- item:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
	}
	close(next)
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}
