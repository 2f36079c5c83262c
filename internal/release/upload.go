package release

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
)

const (
	packSize = 8 << 20 // bytes of small files that go into one blob
	largest  = 2 << 20 // a larger file is a blob of its own, and is never held in memory
	uploads  = 4       // at a time; each holds a pack in memory
)

// put uploads contents: small ones in packs, in their order, large ones alone.
func (u *upload) put(ctx context.Context, fresh []Entry) error {
	u.done = Uploads{Files: len(fresh)}
	for i := range fresh {
		u.done.Size += fresh[i].Size
	}
	var mu sync.Mutex // guards u and calls of Progress
	return cloud.Each(ctx, min(uploads, u.store.cloud.Parallel), batches(fresh), func(ctx context.Context, batch []Entry) error {
		return u.blob(ctx, batch, &mu)
	})
}

// batches returns what goes into one blob each.
func batches(fresh []Entry) [][]Entry {
	var out [][]Entry
	var pack []Entry
	var size int64
	for _, e := range fresh {
		if e.Size > largest {
			out = append(out, []Entry{e})
			continue
		}
		if size+e.Size > packSize {
			out, pack, size = append(out, pack), nil, 0
		}
		pack = append(pack, e)
		size += e.Size
	}
	if len(pack) > 0 {
		out = append(out, pack)
	}
	return out
}

// blob uploads one blob and notes what is in it.
func (u *upload) blob(ctx context.Context, batch []Entry, mu *sync.Mutex) error {
	name, err := u.send(ctx, batch)
	if err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	var offset int64
	for i := range batch {
		u.have[batch[i].SHA256] = place{name, offset}
		offset += batch[i].Size
	}
	u.done.Done += len(batch)
	u.done.DoneSize += offset
	if u.o.Progress != nil {
		u.o.Progress(u.done)
	}
	return nil
}

// send stores the contents one after the other, in one blob.
func (u *upload) send(ctx context.Context, batch []Entry) (name string, err error) {
	if len(batch) == 1 && batch[0].Size > largest {
		return u.large(ctx, &batch[0])
	}
	var pack bytes.Buffer
	var size int64
	for i := range batch {
		size += batch[i].Size
	}
	pack.Grow(int(size) + 1)
	for i := range batch {
		if err := u.read(&pack, &batch[i]); err != nil {
			return "", err
		}
	}
	sum := sha256.Sum256(pack.Bytes())
	return u.store.putBlob(ctx, u.data, cloud.Bytes(pack.Bytes()).WithSHA256(hex.EncodeToString(sum[:])))
}

// putBlob stores content under a name that no blob has had before: its hash and some digits of chance.
func (s *Store) putBlob(ctx context.Context, data string, body cloud.Body) (name string, err error) {
	chance := make([]byte, 8)
	_, _ = rand.Read(chance) // it never fails
	name = body.SHA256() + hex.EncodeToString(chance)
	_, err = s.cloud.Files.Put(ctx, s.blobKey(data, name), body, cloud.PutOptions{})
	return name, err
}

// read appends the content of e, if it is still what it was.
func (u *upload) read(pack *bytes.Buffer, e *Entry) error {
	pack.Grow(int(e.Size) + 1)
	text := pack.AvailableBuffer()[:e.Size+1] // one more, to see what was added to the file
	n := 0
	err := withFile(u.o.Tree.Dir, e.Path, func(fd int) error {
		for n < len(text) {
			got, err := retry(func() (int, error) { return unix.Read(fd, text[n:]) })
			if err != nil || got == 0 {
				return err
			}
			n += got
		}
		return nil
	})
	if err != nil {
		return err
	}
	if int64(n) != e.Size || !fits(text[:n], e) {
		return changed(e)
	}
	pack.Write(text[:n])
	return nil
}

func changed(e *Entry) error {
	return cloud.WithHint(fmt.Errorf("%s was changed while it was pushed: nothing has been pushed", e.Path), "push again when nobody writes to the project")
}

func (u *upload) large(ctx context.Context, e *Entry) (name string, err error) {
	f, err := openFile(u.o.Tree.Dir, e.Path)
	if err != nil {
		return "", err
	}
	defer f.Close() // read only
	body, err := cloud.FromFile(f)
	if err == nil && body.Size() != e.Size {
		err = cloud.ErrChanged
	}
	if err == nil {
		name, err = u.store.putBlob(ctx, u.data, body.WithSHA256(e.SHA256))
	}
	if errors.Is(err, cloud.ErrChanged) {
		err = changed(e)
	}
	return name, err
}
