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

// Fetch brings what the last successful run has left into the folder; what is there already is not fetched. found is
// false where the bucket has nothing: the folder then stays as it is.
func (s *Store) Fetch(ctx context.Context, o FetchOptions) (got Archive, found bool, err error) {
	snap, err := s.last(ctx)
	if err != nil || snap == nil {
		return Archive{}, false, err
	}
	root, err := os.OpenRoot(o.Dir)
	if err != nil {
		return Archive{}, false, fmt.Errorf("fetch artifacts: %w", err)
	}
	defer root.Close() //nolint:errcheck // nothing was written through it
	entries := slices.DeleteFunc(slices.Clone(snap.Entries), func(e Entry) bool { return o.Skip != nil && o.Skip(e.Path) })
	if o.Exact {
		err = clean(o, root, entries)
	}
	if err == nil {
		err = each(ctx, s.Parallel, entries, func(ctx context.Context, e Entry) error {
			return s.fetchFile(ctx, root, snap.Name, e)
		})
	}
	if err != nil {
		return Archive{}, true, fmt.Errorf("fetch artifacts: %w", err)
	}
	return snap.Archive, true, nil
}

// Clear removes all files of an artifacts folder but those that are to be skipped.
func Clear(o FetchOptions) error {
	root, err := os.OpenRoot(o.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("clear artifacts: %w", err)
	}
	defer root.Close() //nolint:errcheck // nothing was written through it
	return clean(o, root, nil)
}

// clean removes what is not one of the entries, and folders in the place of one.
func clean(o FetchOptions, root *os.Root, entries []Entry) error {
	want, folders := map[string]bool{}, map[string]bool{".": true}
	for _, e := range entries {
		want[e.Path] = true
		for dir := path.Dir(e.Path); !folders[dir]; dir = path.Dir(dir) {
			folders[dir] = true
		}
	}
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && folders[name], !d.IsDir() && want[name], o.Skip != nil && o.Skip(name):
			return nil
		case d.IsDir():
			if err := root.RemoveAll(name); err != nil {
				return err
			}
			return fs.SkipDir
		}
		return root.Remove(name)
	})
}

// partSuffix marks a file that is being fetched.
const partSuffix = ".handoff-part"

func (s *Store) fetchFile(ctx context.Context, root *os.Root, name string, e Entry) error {
	local := filepath.FromSlash(e.Path)
	if same(root, local, e) {
		return nil
	}
	body, _, err := s.Files.Get(ctx, s.prefix()+"/"+name+"/"+e.Path)
	if err != nil {
		return err
	}
	defer body.Close() //nolint:errcheck // read only
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
	defer f.Close() //nolint:errcheck // read only
	h := sha256.New()
	_, err = io.Copy(h, f)
	return err == nil && hex.EncodeToString(h.Sum(nil)) == e.SHA256
}
