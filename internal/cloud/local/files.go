package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Files is one bucket: a folder with
//
//	objects/   one file for each object, at the path of its key
//	long/      objects whose path would be too long, by the hash of their key
//	tmp/       objects that are being written
//	locks/     locks of conditional puts, by the hash of the key
//
// It exists from the first Put on; before that it is empty.
type Files struct {
	dir     string
	group   *syncGroup
	buffers sync.Pool // of *[]byte
	cleaned sync.Once
}

var (
	_ cloud.Files  = (*Files)(nil)
	_ cloud.Copier = (*Files)(nil)
)

// Get implements cloud.Files. The reader of a whole object compares it with its hash.
func (f *Files) Get(ctx context.Context, key string, part cloud.GetOptions) (io.ReadCloser, cloud.Object, error) {
	body, o, err := f.get(ctx, key, part)
	if err != nil {
		return nil, cloud.Object{}, fmt.Errorf("get object %q: %w", key, err)
	}
	return body, o, nil
}

func (f *Files) get(ctx context.Context, key string, part cloud.GetOptions) (io.ReadCloser, cloud.Object, error) {
	if err := errors.Join(cloud.CheckKey(key), part.Check()); err != nil {
		return nil, cloud.Object{}, err
	}
	if ctx.Err() != nil {
		return nil, cloud.Object{}, context.Cause(ctx)
	}
	file, o, rest, err := f.open(key)
	if err != nil {
		return nil, cloud.Object{}, err
	}
	b := &body{file: file, rest: rest, stopped: func() error { return stopped(ctx) }, object: o, left: o.Size}
	if part == (cloud.GetOptions{}) {
		b.hash = sha256.New()
		return b, o, nil
	}
	offset, length := part.Part(o.Size)
	at, err := seekContent(file, rest, o)
	if err == nil {
		_, err = file.Seek(at+offset, io.SeekStart)
	}
	if err != nil {
		return nil, cloud.Object{}, errors.Join(err, file.Close())
	}
	b.rest, b.left = nil, length
	return b, o, nil
}

// open opens the object and reads its header; rest is what was read of its content.
func (f *Files) open(key string) (file *os.File, o cloud.Object, rest []byte, err error) {
	file, err = os.Open(filepath.Join(f.dir, objectPath(key)))
	if notThere(err) {
		return nil, o, nil, cloud.ErrNotFound
	}
	if err != nil {
		return nil, o, nil, kind(err)
	}
	o, rest, err = readHeader(file)
	if err == nil && o.Key != key {
		err = fmt.Errorf("%w: the header is that of %q", cloud.ErrCorrupt, o.Key)
	}
	if err != nil {
		return nil, o, nil, damaged(errors.Join(err, file.Close()), file.Name())
	}
	return file, o, rest, nil
}

// seekContent returns where the content begins in a file from which header and rest were read. The file has the right length.
func seekContent(file *os.File, rest []byte, o cloud.Object) (int64, error) {
	at, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, kind(err)
	}
	info, err := file.Stat()
	if err != nil {
		return 0, kind(err)
	}
	at -= int64(len(rest))
	if info.Size() != at+o.Size {
		return 0, damaged(fmt.Errorf("%w: the content is not as long as its header says", cloud.ErrCorrupt), file.Name())
	}
	return at, nil
}

// notThere is true also where a part of the path is an object of some other program: a file, not a folder.
func notThere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
}

func stopped(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// damaged adds to an ErrCorrupt where to look.
func damaged(err error, path string) error {
	return cloud.WithHint(err, "the file "+path+" is not as handoff wrote it: restore it from a backup, or delete it, and what was in the object is lost; other objects are not touched by this")
}

// body reads the content of an object, and does not return io.EOF unless all of it was right.
type body struct {
	file    *os.File
	rest    []byte // of the content, read with the header
	stopped func() error
	object  cloud.Object
	left    int64     // of what is to be read
	hash    hash.Hash // nil: a part is read
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.stopped(); err != nil {
		return 0, fmt.Errorf("get object %q: %w", b.object.Key, err)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if b.hash == nil {
		return b.readPart(p)
	}
	n, err := b.next(p)
	b.hash.Write(p[:n])
	b.left -= int64(n)
	switch {
	case err == io.EOF && b.left == 0 && hex.EncodeToString(b.hash.Sum(nil)) == b.object.SHA256:
		return n, io.EOF
	case err == io.EOF || b.left < 0:
		err = damaged(fmt.Errorf("%w: the content does not fit its hash", cloud.ErrCorrupt), b.file.Name())
	case err == nil:
		return n, nil
	}
	return n, fmt.Errorf("get object %q: %w", b.object.Key, err)
}

func (b *body) readPart(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.file.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // it was cut since it was opened
	}
	if err != nil {
		err = fmt.Errorf("get object %q: %w", b.object.Key, err)
	}
	return n, err
}

func (b *body) next(p []byte) (int, error) {
	if len(b.rest) > 0 {
		n := copy(p, b.rest)
		b.rest = b.rest[n:]
		return n, nil
	}
	return b.file.Read(p)
}

// WriteTo implements io.WriterTo, so that io.Copy needs no buffer that is larger than the object.
func (b *body) WriteTo(w io.Writer) (int64, error) {
	buf := make([]byte, min(max(b.left, int64(len(b.rest)))+1, bufferSize))
	var total int64
	for {
		n, err := b.Read(buf)
		if n > 0 {
			written, failed := w.Write(buf[:n])
			total += int64(written)
			if failed != nil {
				return total, failed
			}
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

func (b *body) Close() error { return b.file.Close() }

// Delete implements cloud.Files.
func (f *Files) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := cloud.CheckKey(key); err != nil {
			return fmt.Errorf("delete object: %w", err)
		}
	}
	dirs := map[string]bool{}
	var failed error
	for _, key := range keys {
		dir, err := f.remove(ctx, key)
		if err != nil {
			failed = fmt.Errorf("delete object %q: %w", key, err)
			break
		}
		if dir != "" {
			dirs[dir] = true
		}
	}
	if len(dirs) > 0 {
		failed = errors.Join(failed, f.group.sync(func() error { return syncAll(dirs) }))
	}
	return failed
}

func syncAll(dirs map[string]bool) error {
	for dir := range dirs {
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// remove returns the folder that has to be flushed; "" where there was nothing.
func (f *Files) remove(ctx context.Context, key string) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	path := filepath.Join(f.dir, objectPath(key))
	if _, err := os.Lstat(path); notThere(err) {
		return "", nil
	}
	unlock, err := f.lock(ctx, key, unix.LOCK_SH)
	if err != nil {
		return "", kind(err)
	}
	defer unlock()
	if err := os.Remove(path); notThere(err) {
		return "", nil
	} else if err != nil {
		return "", kind(err)
	}
	return f.prune(filepath.Dir(path)), nil
}

// prune removes the folders that have become empty, and returns the first one that has not.
func (f *Files) prune(dir string) string {
	for len(dir) > len(f.dir) && os.Remove(dir) == nil {
		dir = filepath.Dir(dir)
	}
	return dir
}

// lock keeps a conditional put (unix.LOCK_EX) from running between the check and the change of any other one.
func (f *Files) lock(ctx context.Context, key string, how int) (unlock func(), err error) {
	sum := sha256.Sum256([]byte(key))
	name := filepath.Join(f.dir, "locks", hex.EncodeToString(sum[:1]))
	file, err := lockFile(ctx, name, how)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return nil, err
		}
		file, err = lockFile(ctx, name, how)
	}
	if err != nil {
		return nil, err
	}
	return func() { _ = file.Close() }, nil
}
