package local

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"github.com/handoff-run/handoff/internal/cloud"
)

// List implements cloud.Files. An object whose header is damaged has neither ETag nor SHA256, so that it does not hide
// the others; Get says what is wrong with it.
func (f *Files) List(ctx context.Context, prefix string) iter.Seq2[cloud.Object, error] {
	return func(yield func(cloud.Object, error) bool) {
		w := walk{ctx: ctx, root: f.dir, yield: yield}
		if err := w.start(prefix); err != nil && !errors.Is(err, errLeft) {
			yield(cloud.Object{}, fmt.Errorf("list objects below %q: %w", prefix, err))
		}
	}
}

// errLeft says that the consumer of a listing has left.
var errLeft = errors.New("left")

// walk yields the objects in the order of their keys. It reads one folder at a time, and the header of an object when it
// is its turn.
type walk struct {
	ctx   context.Context // lives as long as one call
	root  string
	yield func(cloud.Object, error) bool
	long  []cloud.Object // the objects in long/ that are still to come
}

func (w *walk) start(prefix string) error {
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	folder, err := cloud.CheckPrefix(prefix)
	if err != nil {
		return err
	}
	if err := w.readLong(folder); err != nil {
		return err
	}
	if folder == "" {
		err = w.folder(filepath.Join(w.root, "objects"), "")
	} else if path, ok := encodeKey(folder); ok {
		err = w.folder(filepath.Join(w.root, "objects", path), folder+"/")
	}
	if err != nil {
		return err
	}
	for _, o := range w.long {
		if !w.yield(o, nil) {
			return errLeft
		}
	}
	return nil
}

// readLong finds the objects below the prefix in long/, which a bucket seldom has.
func (w *walk) readLong(prefix string) error {
	dir := filepath.Join(w.root, "long")
	files, err := names(dir)
	if err != nil {
		return err
	}
	for _, name := range files {
		o, err := statHeader(filepath.Join(dir, name))
		if err == nil && cloud.Below(o.Key, prefix) {
			w.long = append(w.long, o)
		}
	}
	slices.SortFunc(w.long, func(a, b cloud.Object) int { return strings.Compare(a.Key, b.Key) })
	return nil
}

// names returns the names in dir, none where it does not exist.
func names(dir string) ([]string, error) {
	d, err := openRaw(dir)
	if notThere(err) {
		return nil, nil
	}
	if err != nil {
		return nil, kind(err)
	}
	defer d.close()
	list, err := d.names()
	if notThere(err) { // removed meanwhile
		return nil, nil
	}
	return list, err
}

// folder yields what is in dir, where all keys begin with prefix.
func (w *walk) folder(dir, prefix string) error {
	files, err := names(dir)
	if err != nil {
		return err
	}
	entries := make([]entry, 0, len(files))
	for _, name := range files {
		plain, object := strings.CutSuffix(name, objectMark)
		part, ok := decodePart(plain)
		if !ok { // some other program's
			continue
		}
		key := prefix + part
		if !object {
			key += "/" // sorts as the keys in it do
		}
		entries = append(entries, entry{key, name})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	for _, e := range entries {
		if err := w.entry(filepath.Join(dir, e.name), e.key); err != nil {
			return err
		}
	}
	return nil
}

// entry is a file or a folder, whose key ends with a slash.
type entry struct{ key, name string }

func (w *walk) entry(path, key string) error {
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	if strings.HasSuffix(key, "/") {
		return w.folder(path, key)
	}
	o, err := statHeader(path)
	if notThere(err) { // deleted meanwhile
		return nil
	}
	if errors.Is(err, cloud.ErrCorrupt) || err == nil && o.Key != key {
		o = cloud.Object{Key: key}
	} else if err != nil {
		return kind(err)
	}
	for len(w.long) > 0 && w.long[0].Key < key {
		next := w.long[0]
		w.long = w.long[1:]
		if !w.yield(next, nil) {
			return errLeft
		}
	}
	if !w.yield(o, nil) {
		return errLeft
	}
	return nil
}
