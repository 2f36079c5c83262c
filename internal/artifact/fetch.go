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
	"path"
	"path/filepath"
	"slices"

	"github.com/handoff-run/handoff/internal/cloud"
)

// FetchOptions says where the artifacts go.
type FetchOptions struct {
	Dir   string                 // the artifacts folder, which exists
	Exact bool                   // files that the bucket does not have are removed
	Skip  func(path string) bool // files that are neither fetched nor removed
}

// Fetch brings an archive into the folder; what is there already is not fetched. With the name "" there is none, and the
// folder stays as it is.
func (s *Store) Fetch(ctx context.Context, name string, o FetchOptions) (got Fetched, err error) {
	snap, err := s.Snapshot(ctx, name)
	if err != nil || name == "" {
		return Fetched{}, err
	}
	root, err := os.OpenRoot(o.Dir)
	if err != nil {
		return Fetched{}, fmt.Errorf("fetch artifacts: %w", err)
	}
	defer root.Close() // nothing was written through it
	entries := slices.DeleteFunc(slices.Clone(snap.Entries), func(e Entry) bool { return o.Skip != nil && o.Skip(e.Path) })
	got.Archive = snap.Archive
	if o.Exact {
		got.Removed, err = clean(o, root, entries)
	}
	if err == nil {
		err = cloud.Each(ctx, s.Parallel, entries, func(ctx context.Context, e Entry) error {
			return s.fetchFile(ctx, root, snap.Name, e)
		})
	}
	if err != nil {
		return got, fmt.Errorf("fetch artifacts: %w", gone(err))
	}
	return got, nil
}

// FetchBeside brings files that were stored beside an archive, by AddFile; one that is not there is left out.
func (s *Store) FetchBeside(ctx context.Context, name string, o FetchOptions, files ...string) error {
	root, err := os.OpenRoot(o.Dir)
	if err != nil {
		return fmt.Errorf("fetch artifacts: %w", err)
	}
	defer root.Close() // nothing was written through it
	for _, file := range files {
		err := s.fetchFile(ctx, root, name, Entry{Path: file})
		if errors.Is(err, cloud.ErrNotFound) { // it was never there, or the archive is being removed
			_, err = s.Snapshot(ctx, name)
		}
		if err != nil {
			return fmt.Errorf("fetch artifacts: %w", err)
		}
	}
	return nil
}

// Fetched is what a Fetch has brought.
type Fetched struct {
	Archive
	Removed int // files that were in the folder and are not in the archive
}

// Loses returns how many files a Fetch of the archive, with Exact, would remove or replace by others.
func (s *Store) Loses(ctx context.Context, name string, o FetchOptions) (int, error) {
	snap, err := s.Snapshot(ctx, name)
	if err != nil {
		return 0, err
	}
	root, err := os.OpenRoot(o.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look at artifacts: %w", err)
	}
	defer root.Close() // nothing was written through it
	n := 0
	for _, e := range snap.Entries {
		if _, err := root.Lstat(filepath.FromSlash(e.Path)); err == nil && !same(root, filepath.FromSlash(e.Path), e) {
			n++
		}
	}
	err = surplus(o, root, snap.Entries, func(_ string, isDir bool) error {
		if !isDir {
			n++
		}
		return nil
	})
	return n, err
}

// Clear removes all files of an artifacts folder but those that are to be skipped, and returns how many.
func Clear(o FetchOptions) (removed int, err error) {
	root, err := os.OpenRoot(o.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("clear artifacts: %w", err)
	}
	defer root.Close() // nothing was written through it
	return clean(o, root, nil)
}

// clean removes what is not one of the entries, and folders in the place of one; it returns how many files that were.
func clean(o FetchOptions, root *os.Root, entries []Entry) (removed int, err error) {
	err = surplus(o, root, entries, func(name string, isDir bool) error {
		if !isDir {
			removed++
		}
		return root.RemoveAll(name)
	})
	return removed, err
}

// surplus tells found of each file that is not one of the entries, and then of folders that have no place in them.
func surplus(o FetchOptions, root *os.Root, entries []Entry, found func(name string, isDir bool) error) error {
	want, folders := map[string]bool{}, map[string]bool{".": true}
	for _, e := range entries {
		want[e.Path] = true
		for dir := path.Dir(e.Path); !folders[dir]; dir = path.Dir(dir) {
			folders[dir] = true
		}
	}
	var gone []string
	err := fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !d.IsDir() && want[name], o.Skip != nil && o.Skip(name):
			return nil
		case !d.IsDir():
			return found(name, false)
		case !folders[name]:
			gone = append(gone, name)
		}
		return nil
	})
	for _, dir := range slices.Backward(gone) {
		err = errors.Join(err, found(dir, true))
	}
	return err
}

// partSuffix marks a file that is being fetched.
const partSuffix = ".handoff-part"

func (s *Store) fetchFile(ctx context.Context, root *os.Root, name string, e Entry) error {
	local := filepath.FromSlash(e.Path)
	if same(root, local, e) {
		return nil
	}
	body, _, err := s.Files.Get(ctx, s.prefix()+"/"+name+"/"+e.Path, cloud.GetOptions{})
	if err != nil {
		return err
	}
	defer body.Close() // read only
	if err := root.MkdirAll(filepath.Dir(local), 0o777); err != nil {
		return err
	}
	mode := fs.FileMode(0o666)
	if e.Executable {
		mode = 0o777
	}
	part := local + partSuffix
	err = write(root, part, mode, body, e)
	if err == nil {
		err = root.Rename(part, local)
	}
	if err != nil {
		_ = root.Remove(part) // half a file is of no use
	}
	return err
}

func write(root *os.Root, name string, mode fs.FileMode, body io.Reader, e Entry) error {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	h := sha256.New()
	if e.SHA256 != "" { // a body that is longer is wrong, however long it is
		body = io.LimitReader(body, e.Size+1)
	}
	_, err = io.Copy(io.MultiWriter(f, h), body)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); e.SHA256 != "" && got != e.SHA256 {
		return fmt.Errorf("artifact %q: %w: its content does not fit the index", e.Path, cloud.ErrCorrupt)
	}
	return nil
}

// same reports whether the file is there already, with the same content and mode.
func same(root *os.Root, name string, e Entry) bool {
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() != e.Size || e.SHA256 == "" || (info.Mode()&0o100 != 0) != e.Executable {
		return false
	}
	f, err := root.Open(name)
	if err != nil {
		return false
	}
	defer f.Close() // read only
	h := sha256.New()
	_, err = io.Copy(h, f)
	return err == nil && hex.EncodeToString(h.Sum(nil)) == e.SHA256
}
