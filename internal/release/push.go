package release

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/handoff-run/handoff/internal/cloud"
)

// PushOptions says what to push and who watches.
type PushOptions struct {
	Tree     *Tree         // of the parts; nil: the parts become empty
	Parts    Parts         // what is replaced; the other part stays as it is in the current release
	Force    bool          // upload also what the bucket seems to have: mends a bucket that has lost blobs
	Info     Push          // Time, By, Action, Version of the push; the rest is filled
	Progress func(Uploads) // may be nil; called serially
}

// Uploads tells how far a push is. Sizes are in bytes.
type Uploads struct {
	Files, Done    int
	Size, DoneSize int64
}

// PushResult is what a push did.
type PushResult struct {
	Push             // that is current now
	Changed  bool    // false: the bucket had just this release as the current one
	Uploaded Uploads // what the bucket did not have
}

// Push makes a release of the current one with the parts replaced, and makes that the current one: by one step at its
// very end. It uploads what the current release does not have. A push that is killed leaves the release that was
// current; of two at a time both take place, one after the other. ErrCorrupt tells of a bucket that Force may mend.
func (s *Store) Push(ctx context.Context, o PushOptions) (res PushResult, err error) {
	u := &upload{store: s, o: o, have: map[string]place{}}
	err = s.change(ctx, func(r *record) (bool, error) {
		m, err := s.prepare(ctx, r, u)
		if err != nil {
			return false, err
		}
		res.Uploaded, res.Changed = u.done, m != nil
		if m == nil {
			res.Push = r.last()
			return false, nil
		}
		info := o.Info
		info.Release = m.Release
		info.Files, info.Size = m.Count()
		r.add(info)
		res.Push = r.Pushes[0]
		return true, nil
	})
	if err != nil {
		return PushResult{}, fmt.Errorf("push: %w", err)
	}
	return res, nil
}

// prepare brings all of the new release into the bucket and returns its manifest; nil where there is nothing to change.
func (s *Store) prepare(ctx context.Context, r *record, u *upload) (*Manifest, error) {
	if r.current() == "" && len(u.o.entries()) == 0 {
		return nil, nil // nothing of nothing
	}
	whole := u.o.Parts == All
	if whole && !u.o.Force && r.current() != "" && ID(u.o.entries()) == r.current() {
		return nil, nil
	}
	base, err := s.base(ctx, r, whole)
	if err != nil {
		return nil, err
	}
	m := newManifest(merge(base.Entries, u.o))
	if m.Release == r.current() && !u.o.Force {
		return nil, nil
	}
	if !u.o.Force && r.has(m.Release) {
		if old, err := s.manifest(ctx, r, m.Release); err == nil { // it was current before
			return old, s.renew(ctx, r.Data, old)
		}
	}
	if r.etag == "" { // a record that nobody has written would not tell that all was removed meanwhile
		if err := s.write(ctx, r); err != nil {
			return nil, err
		}
	}
	if err := u.run(ctx, r, base, m); err != nil {
		return nil, err
	}
	if now, err := s.read(ctx); err != nil || now.etag != r.etag { // what was uploaded may be gone: a manifest that is there must not name it
		return nil, cmp.Or(err, fmt.Errorf("%w: the releases have changed meanwhile", cloud.ErrConflict))
	}
	return m, s.putManifest(ctx, r.Data, m)
}

// base returns the current release. Where that is replaced as a whole, one that is lost counts as none.
func (s *Store) base(ctx context.Context, r *record, whole bool) (*Manifest, error) {
	if r.current() == "" {
		return &Manifest{}, nil
	}
	m, err := s.manifest(ctx, r, r.current())
	if whole && (errors.Is(err, cloud.ErrCorrupt) || errors.Is(err, cloud.ErrNotFound)) {
		return &Manifest{}, nil
	}
	return m, err
}

func (s *Store) putManifest(ctx context.Context, data string, m *Manifest) error {
	m.Nonce = rand.Text()
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	_, err = s.cloud.Files.Put(ctx, s.manifestKey(data, m.Release), cloud.Bytes(text), cloud.PutOptions{})
	return err
}

func (o *PushOptions) entries() []Entry {
	if o.Tree == nil {
		return nil
	}
	return o.Tree.Entries
}

// Preview returns what Push would make of the entries of the current release.
func (o PushOptions) Preview(base []Entry) []Entry { return merge(base, o) }

// merge takes the parts from the tree, and the rest from base.
func merge(base []Entry, o PushOptions) []Entry {
	out := []Entry{}
	for _, e := range base {
		if !o.Parts.has(e.Path) {
			out = append(out, e)
		}
	}
	out = append(out, o.entries()...)
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return out
}

// place is where in the bucket a content is.
type place struct {
	blob   string
	offset int64
}

// upload brings contents into one data folder.
type upload struct {
	store *Store
	o     PushOptions
	data  string           // the folder
	at    string           // the folder and the last sweep; where one of them changes, nothing is there
	have  map[string]place // by hash: what is in the folder for sure
	done  Uploads
}

// run fills the blobs of m: with those of base, and with new ones, which it uploads.
func (u *upload) run(ctx context.Context, r *record, base, m *Manifest) error {
	if at := r.Data + "/" + r.Sweep; at != u.at {
		u.data, u.at = r.Data, at
		clear(u.have)
	}
	known := maps.Clone(u.have)
	if !u.o.Force {
		maps.Copy(known, worthKeeping(base))
	}
	fresh := u.missing(m, known)
	if err := u.put(ctx, fresh); err != nil {
		return err
	}
	maps.Copy(known, u.have)
	for i := range m.Entries {
		if e := &m.Entries[i]; e.isFile() && e.Size > 0 {
			p, ok := known[e.SHA256]
			if !ok && e.Blob != "" { // of the part that stays, with Force
				continue
			}
			e.Blob, e.Offset = p.blob, p.offset
		}
	}
	return nil
}

// missing returns the files of the tree whose content is not known, each content once.
func (u *upload) missing(m *Manifest, known map[string]place) []Entry {
	var fresh []Entry
	seen := map[string]bool{}
	for _, e := range m.Entries {
		if !e.isFile() || e.Size == 0 || e.Blob != "" || seen[e.SHA256] {
			continue
		}
		if _, ok := known[e.SHA256]; !ok {
			seen[e.SHA256] = true
			fresh = append(fresh, e)
		}
	}
	return fresh
}

// maxSmall is how many blobs of less than half of a pack a release may have.
const maxSmall = 50

// worthKeeping returns where the contents of a release are. Left out are blobs of which it uses less than a half, and
// small ones where it has many: their contents are better packed anew than fetched one by one for ever.
func worthKeeping(m *Manifest) map[string]place {
	end, used := map[string]int64{}, map[string]int64{}
	seen := map[place]bool{}
	for _, e := range m.Entries {
		if p := (place{e.Blob, e.Offset}); e.Blob != "" && !seen[p] {
			seen[p] = true
			used[e.Blob] += e.Size
			end[e.Blob] = max(end[e.Blob], e.Offset+e.Size)
		}
	}
	small := 0
	for _, n := range used {
		if n < packSize/2 {
			small++
		}
	}
	known := map[string]place{}
	for _, e := range m.Entries {
		n := used[e.Blob]
		if e.Blob != "" && 2*n >= end[e.Blob] && (small <= maxSmall || n >= packSize/2) {
			known[e.SHA256] = place{e.Blob, e.Offset}
		}
	}
	return known
}
