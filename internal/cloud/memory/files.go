package memory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Files is a bucket. The zero Files is empty and ready.
type Files struct {
	// Before is asked before each call with its name ("get", "put", "copy", "list", "delete") and key; its error is the answer.
	// It may call Files itself. nil: nothing fails. To be set before the first use.
	Before func(call, key string) error

	now     func() time.Time // nil: that of the machine
	mu      sync.Mutex
	objects map[string]object
	writes  int
}

type object struct {
	cloud.Object
	content []byte
}

var (
	_ cloud.Files  = (*Files)(nil)
	_ cloud.Copier = (*Files)(nil)
)

// enter checks a call.
func (f *Files) enter(ctx context.Context, call, key string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if f.Before != nil {
		return f.Before(call, key)
	}
	return nil
}

// Get implements cloud.Files.
func (f *Files) Get(ctx context.Context, key string, part cloud.GetOptions) (io.ReadCloser, cloud.Object, error) {
	if err := errors.Join(cloud.CheckKey(key), part.Check()); err != nil {
		return nil, cloud.Object{}, err
	}
	if err := f.enter(ctx, "get", key); err != nil {
		return nil, cloud.Object{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	o, ok := f.objects[key]
	if !ok {
		return nil, cloud.Object{}, fmt.Errorf("get object %q: %w", key, cloud.ErrNotFound)
	}
	offset, length := part.Part(o.Size)
	return io.NopCloser(patient{ctx, bytes.NewReader(o.content[offset : offset+length])}), o.Object, nil
}

// Put implements cloud.Files.
func (f *Files) Put(ctx context.Context, key string, body cloud.Body, o cloud.PutOptions) (cloud.Object, error) {
	if err := cloud.CheckKey(key); err != nil {
		return cloud.Object{}, err
	}
	if err := o.Check(); err != nil {
		return cloud.Object{}, err
	}
	if err := f.enter(ctx, "put", key); err != nil {
		return cloud.Object{}, err
	}
	content, err := io.ReadAll(patient{ctx, body.Open()})
	sum := sha256.Sum256(content)
	if want := body.SHA256(); err == nil && want != "" && want != hex.EncodeToString(sum[:]) {
		err = cloud.ErrChanged
	}
	if err != nil {
		return cloud.Object{}, fmt.Errorf("put object %q: %w", key, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	old, there := f.objects[key]
	if o.IfAbsent && there || o.IfMatch != "" && (!there || old.ETag != o.IfMatch) {
		return cloud.Object{}, fmt.Errorf("put object %q: %w", key, cloud.ErrConflict)
	}
	return f.set(key, content), nil
}

// patient reads until its context ends.
type patient struct {
	context.Context
	io.Reader
}

func (p patient) Read(b []byte) (int, error) {
	if p.Err() != nil {
		return 0, context.Cause(p.Context)
	}
	return p.Reader.Read(b)
}

func (f *Files) set(key string, content []byte) cloud.Object {
	if f.objects == nil {
		f.objects = map[string]object{}
	}
	f.writes++
	sum := sha256.Sum256(content)
	meta := cloud.Object{
		Key: key, Size: int64(len(content)), Modified: f.time(),
		ETag: strconv.Itoa(f.writes), SHA256: hex.EncodeToString(sum[:]),
	}
	f.objects[key] = object{Object: meta, content: content}
	return meta
}

func (f *Files) time() time.Time {
	if f.now == nil {
		return time.Now().UTC()
	}
	return f.now()
}

// Copy implements cloud.Copier.
func (f *Files) Copy(ctx context.Context, from, to string) (cloud.Object, error) {
	if err := errors.Join(cloud.CheckKey(from), cloud.CheckKey(to)); err != nil {
		return cloud.Object{}, err
	}
	if err := f.enter(ctx, "copy", to); err != nil {
		return cloud.Object{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	o, ok := f.objects[from]
	if !ok {
		return cloud.Object{}, fmt.Errorf("copy object %q: %w", from, cloud.ErrNotFound)
	}
	return f.set(to, o.content), nil
}

// List implements cloud.Files.
func (f *Files) List(ctx context.Context, prefix string) iter.Seq2[cloud.Object, error] {
	return func(yield func(cloud.Object, error) bool) {
		folder, err := cloud.CheckPrefix(prefix)
		if err == nil {
			err = f.enter(ctx, "list", prefix)
		}
		if err != nil {
			yield(cloud.Object{}, err)
			return
		}
		f.mu.Lock()
		all := maps.Clone(f.objects)
		f.mu.Unlock()
		for _, key := range slices.Sorted(maps.Keys(all)) {
			if cloud.Below(key, folder) && !yield(all[key].Object, nil) {
				return
			}
		}
	}
}

// Delete implements cloud.Files.
func (f *Files) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := cloud.CheckKey(key); err != nil {
			return err
		}
		if err := f.enter(ctx, "delete", key); err != nil {
			return err
		}
		f.mu.Lock()
		delete(f.objects, key)
		f.mu.Unlock()
	}
	return nil
}

func (f *Files) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.objects = nil
}

// Keys returns the keys of all objects, sorted.
func (f *Files) Keys() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.objects))
}
