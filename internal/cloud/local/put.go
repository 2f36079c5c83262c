package local

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
)

// bufferSize is what one Put holds in memory. An object that fits into it is written by one call.
const bufferSize = 256 << 10

// abandoned is the age from which a file in tmp/ that nobody has locked is a leftover: between its making and its lock
// there is a moment.
const abandoned = time.Minute

func newBuffer() any {
	b := make([]byte, 0, bufferSize)
	return &b
}

// Put implements cloud.Files.
func (f *Files) Put(ctx context.Context, key string, body cloud.Body, o cloud.PutOptions) (cloud.Object, error) {
	stored, err := f.store(ctx, key, o, func(temp *os.File) (cloud.Object, error) { return f.write(ctx, temp, key, body) })
	if err != nil {
		return cloud.Object{}, fmt.Errorf("put object %q: %w", key, err)
	}
	return stored, nil
}

// store makes what fill writes the object, when it is on the disk.
func (f *Files) store(ctx context.Context, key string, o cloud.PutOptions, fill func(temp *os.File) (cloud.Object, error)) (cloud.Object, error) {
	if err := errors.Join(cloud.CheckKey(key), o.Check()); err != nil {
		return cloud.Object{}, err
	}
	if ctx.Err() != nil {
		return cloud.Object{}, context.Cause(ctx)
	}
	f.cleaned.Do(f.clean)
	temp, err := f.temp()
	if err != nil {
		return cloud.Object{}, kind(err)
	}
	defer temp.Close() // what matters was flushed
	stored, err := fill(temp)
	if err == nil {
		err = kind(f.group.sync(temp.Sync))
	}
	if err == nil {
		err = f.commit(ctx, temp.Name(), key, o)
	}
	if err != nil {
		_ = os.Remove(temp.Name())
		return cloud.Object{}, err
	}
	return stored, nil
}

// temp makes a file in tmp/. Its lock, which goes with the process, tells it from a leftover.
func (f *Files) temp() (*os.File, error) {
	name := filepath.Join(f.dir, "tmp", rand.Text())
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return nil, err
		}
		file, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(name))
	}
	return file, nil
}

// clean removes what killed processes have left in tmp/. What it cannot remove now, a later one will.
func (f *Files) clean() {
	entries, err := os.ReadDir(filepath.Join(f.dir, "tmp"))
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < abandoned {
			continue
		}
		path := filepath.Join(f.dir, "tmp", e.Name())
		file, err := os.Open(path)
		if err != nil {
			continue
		}
		if unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.Remove(path)
		}
		_ = file.Close()
	}
}

// write puts header and content into temp. The header is only known at the end: until then its place is blank.
func (f *Files) write(ctx context.Context, temp *os.File, key string, body cloud.Body) (cloud.Object, error) {
	pooled := f.buffers.Get().(*[]byte)
	defer f.buffers.Put(pooled)
	buf := blankHeader((*pooled)[:0], key)
	head := len(buf)
	from, sum := body.Open(), sha256.New()
	for full := true; full; {
		if ctx.Err() != nil {
			return cloud.Object{}, context.Cause(ctx)
		}
		n, err := io.ReadFull(from, buf[len(buf):cap(buf)])
		full = err == nil
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return cloud.Object{}, err
		}
		sum.Write(buf[len(buf) : len(buf)+n])
		buf = buf[:len(buf)+n]
		if full {
			if _, err := temp.Write(buf); err != nil {
				return cloud.Object{}, kind(err)
			}
			buf, head = buf[:0], 0
		}
	}
	o := newObject(key, body.Size(), hex.EncodeToString(sum.Sum(nil)))
	if want := body.SHA256(); want != "" && want != o.SHA256 {
		return o, fmt.Errorf("%w: its hash is not the one that was said", cloud.ErrChanged)
	}
	return o, kind(finish(temp, o, buf, head))
}

// newObject is the version of an object that is being written.
func newObject(key string, size int64, sum string) cloud.Object {
	var tag [etagWidth / 2]byte
	_, _ = rand.Read(tag[:]) // never fails
	return cloud.Object{Key: key, Size: size, Modified: time.Now().UTC(), ETag: hex.EncodeToString(tag[:]), SHA256: sum}
}

// finish writes what is left in buf, and the header: in the first head bytes of buf, or, where that is 0, into its place.
func finish(temp *os.File, o cloud.Object, buf []byte, head int) error {
	if head > 0 {
		appendHeader(buf[:0], o)
		_, err := temp.Write(buf)
		return err
	}
	if _, err := temp.Write(buf); err != nil {
		return err
	}
	_, err := temp.WriteAt(appendHeader(nil, o), 0)
	return err
}

// Copy implements cloud.Copier. The kernel copies the content, which keeps its hash: what is damaged in it is damaged in the copy.
func (f *Files) Copy(ctx context.Context, from, to string) (cloud.Object, error) {
	stored, err := f.copy(ctx, from, to)
	if err != nil {
		return cloud.Object{}, fmt.Errorf("copy object %q: %w", from, err)
	}
	return stored, nil
}

func (f *Files) copy(ctx context.Context, from, to string) (cloud.Object, error) {
	if err := cloud.CheckKey(from); err != nil {
		return cloud.Object{}, err
	}
	source, old, rest, err := f.open(from)
	if err != nil {
		return cloud.Object{}, err
	}
	defer source.Close() // read only
	at, err := seekContent(source, rest, old)
	if err != nil {
		return cloud.Object{}, err
	}
	return f.store(ctx, to, cloud.PutOptions{}, func(temp *os.File) (cloud.Object, error) {
		o := newObject(to, old.Size, old.SHA256)
		_, err := temp.Write(appendHeader(nil, o))
		if err == nil {
			_, err = source.Seek(at, io.SeekStart)
		}
		for left := o.Size; err == nil && left > 0; left -= copyStep {
			if err = stopped(ctx); err == nil {
				_, err = io.CopyN(temp, source, min(left, copyStep))
			}
		}
		return o, kind(err)
	})
}

// copyStep is how much is copied between two looks at the context, in bytes.
const copyStep = 64 << 20

// commit gives the written object its name, if the condition holds.
func (f *Files) commit(ctx context.Context, temp, key string, o cloud.PutOptions) error {
	path := filepath.Join(f.dir, objectPath(key))
	flush, err := f.swap(ctx, temp, path, key, o)
	if !o.Fleeting {
		flush = append(flush, filepath.Dir(path))
	}
	if err == nil && len(flush) > 0 {
		err = f.group.sync(func() error { return syncDirs(flush...) })
	}
	return kind(err)
}

// swap returns the folders in which it made folders.
func (f *Files) swap(ctx context.Context, temp, path, key string, o cloud.PutOptions) ([]string, error) {
	how := unix.LOCK_SH
	if o.Conditional() {
		how = unix.LOCK_EX
	}
	unlock, err := f.lock(ctx, key, how)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := holds(path, o); err != nil {
		return nil, err
	}
	return rename(temp, path, f.dir)
}

// holds returns ErrConflict unless the condition is true of the object at path.
func holds(path string, o cloud.PutOptions) error {
	if !o.Conditional() {
		return nil
	}
	now, err := statHeader(path)
	if notThere(err) {
		if o.IfMatch != "" {
			return fmt.Errorf("%w: it does not exist any more", cloud.ErrConflict)
		}
		return nil
	}
	if err != nil && !errors.Is(err, cloud.ErrCorrupt) {
		return err
	}
	if o.IfAbsent {
		return fmt.Errorf("%w: it exists already", cloud.ErrConflict)
	}
	if now.ETag != o.IfMatch {
		return fmt.Errorf("%w: it has been changed meanwhile", cloud.ErrConflict)
	}
	return nil
}

// rename makes the folders of path, below root, and renames. A Delete may remove a folder in between: then it begins anew.
func rename(temp, path, root string) (made []string, err error) {
	for range 100 {
		err = os.Rename(temp, path)
		if !errors.Is(err, fs.ErrNotExist) {
			return made, err
		}
		m, err := mkdirs(filepath.Dir(path), root)
		made = append(made, m...)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return made, err
		}
	}
	return made, err
}

// mkdirs makes dir and what it lies in, and returns the folders that have a new entry.
func mkdirs(dir, root string) ([]string, error) {
	err := os.Mkdir(dir, 0o700)
	switch {
	case err == nil:
		return []string{filepath.Dir(dir)}, nil
	case errors.Is(err, fs.ErrExist):
		return nil, nil
	case !errors.Is(err, fs.ErrNotExist) || len(dir) <= len(root):
		return nil, err
	}
	made, err := mkdirs(filepath.Dir(dir), root)
	if err != nil {
		return made, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return made, err
	}
	return append(made, filepath.Dir(dir)), nil
}
