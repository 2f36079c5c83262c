package release

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Rest is how long a release has to be marked before it is removed. Whoever starts something by its id meanwhile takes the mark away.
const Rest = 24 * time.Hour

// SweepOptions says which releases are kept besides the current one.
type SweepOptions struct {
	Newest int // so many of those that were current last
	Now    time.Time
	DryRun bool

	// Needed returns ids that something else names. It is asked only where a release may go.
	Needed func(context.Context) (map[string]bool, error)
}

// Old is a release that is kept no longer, or, without a Release, a part of none, as killed pushes leave them.
type Old struct {
	Release string
	Marked  time.Time // since when it is marked
	Goes    bool      // it is removed now; else it was marked
	Bytes   int64     // that nothing else needs
}

// trash is what one sweep removes.
type trash struct {
	manifests []cloud.Object
	ids       []string // of them
	blobs     []string // keys
}

// Sweep marks the releases that are kept no longer, and removes those that were marked Rest ago and that nobody has used since; of two
// sweeps at least a day apart the second one removes them. It never harms another writer, however long it stops between any two lines:
//
//   - before anything is removed, the record gets a new Sweep under its condition. So a push or rollback that has read it before does
//     all of its work anew, and believes in nothing that it had uploaded.
//   - a manifest is replaced under its condition by a small one that says it was removed. Who makes an old release current again
//     replaces the manifest first: one of the two fails, and the sweep then ends.
//   - blobs come last. Names of blobs are never used twice, so nothing new can have the name of one that is to be deleted.
func (s *Store) Sweep(ctx context.Context, o SweepOptions) (list []Old, err error) {
	var gone trash
	var data string
	err = s.change(ctx, func(r *record) (bool, error) {
		data, list, gone = r.Data, nil, trash{}
		if len(r.Pushes) == 0 {
			return false, nil
		}
		before := maps.Clone(r.Marked)
		list, gone, err = s.look(ctx, r, o)
		if err != nil || o.DryRun {
			return false, err
		}
		if len(gone.manifests)+len(gone.blobs) > 0 {
			r.Sweep = rand.Text()
			return true, nil
		}
		return !maps.EqualFunc(before, r.Marked, time.Time.Equal), nil
	})
	if err == nil && !o.DryRun {
		err = s.remove(ctx, data, gone, o.Now)
	}
	if err != nil {
		return nil, fmt.Errorf("remove old releases: %w", err)
	}
	return list, nil
}

// kept are the manifests that stay, and what they need.
type kept struct {
	manifests, blobs map[string]bool // by id, by name
}

func (k kept) need(m *Manifest) {
	for i := range m.Entries {
		if blob := m.Entries[i].Blob; blob != "" {
			k.blobs[blob] = true
		}
	}
}

// look marks in r what may go, and returns it with what goes now.
func (s *Store) look(ctx context.Context, r *record, o SweepOptions) (list []Old, gone trash, err error) {
	manifests, blobs, err := s.list(ctx, r)
	if err != nil {
		return nil, gone, err
	}
	old, err := s.beyond(ctx, r, o, manifests)
	if err != nil {
		return nil, gone, err
	}
	marked := map[string]time.Time{}
	stays, goes := kept{map[string]bool{}, map[string]bool{}}, map[string]*Manifest{}
	for _, id := range slices.Sorted(maps.Keys(manifests)) {
		m, err := s.manifest(ctx, r, id)
		if errors.Is(err, errRemoved) || old[id] && (errors.Is(err, cloud.ErrNotFound) || errors.Is(err, cloud.ErrCorrupt)) {
			continue
		}
		if err != nil {
			return nil, gone, err
		}
		since, now := r.due(id, o.Now)
		switch {
		case !old[id]:
			stays.need(m)
		case now: // it stays marked, so that who uses it sees that it may be going
			goes[id], marked[id] = m, since
		default:
			marked[id] = since
			stays.need(m)
			list = append(list, Old{Release: id, Marked: since})
		}
	}
	mine := map[string]bool{} // blobs counted already
	for _, id := range slices.Sorted(maps.Keys(goes)) {
		since, _ := r.due(id, o.Now)
		x := Old{Release: id, Marked: since, Goes: true, Bytes: manifests[id].Size}
		for _, e := range goes[id].Entries {
			if b, there := blobs[e.Blob]; there && !stays.blobs[e.Blob] && !mine[e.Blob] {
				mine[e.Blob] = true
				x.Bytes += b.Size
				gone.blobs = append(gone.blobs, b.Key)
			}
		}
		list, gone.manifests, gone.ids = append(list, x), append(gone.manifests, manifests[id]), append(gone.ids, id)
	}
	for _, name := range slices.Sorted(maps.Keys(blobs)) {
		if stays.blobs[name] || mine[name] {
			continue
		}
		since, now := r.due(name, o.Now)
		if now {
			gone.blobs = append(gone.blobs, blobs[name].Key)
		} else {
			marked[name] = since
		}
		list = append(list, Old{Marked: since, Goes: now, Bytes: blobs[name].Size})
	}
	r.Marked = marked
	r.removed(gone.ids)
	return list, gone, nil
}

// due returns since when a release or blob is marked, and whether it is to go now.
func (r *record) due(name string, now time.Time) (since time.Time, goes bool) {
	since, was := r.Marked[name]
	if !was || since.After(now) {
		since = now.UTC()
	}
	return since, was && now.Sub(since) >= Rest
}

// small is more than the manifest of a removed release has, in bytes.
const small = 200

// list returns the manifests of releases that are not known to be removed, by id, and the blobs by name.
func (s *Store) list(ctx context.Context, r *record) (manifests, blobs map[string]cloud.Object, err error) {
	manifests, blobs = map[string]cloud.Object{}, map[string]cloud.Object{}
	removed := map[string]bool{}
	for _, p := range r.Pushes {
		removed[p.Release] = p.Removed
	}
	for o, err := range s.cloud.Files.List(ctx, s.prefix+r.Data) {
		if err != nil {
			return nil, nil, err
		}
		name := path.Base(o.Key)
		if digits, ok := strings.CutSuffix(name, ".json"); ok && o.Key == s.manifestKey(r.Data, idPrefix+digits) {
			if id := idPrefix + digits; !removed[id] || o.Size >= small {
				manifests[id] = o
			}
		} else if o.Key == s.blobKey(r.Data, name) {
			blobs[name] = o
		}
	}
	return manifests, blobs, nil
}

// beyond returns which of the manifests are kept no longer.
func (s *Store) beyond(ctx context.Context, r *record, o SweepOptions, manifests map[string]cloud.Object) (map[string]bool, error) {
	newest := map[string]bool{r.current(): true}
	for _, p := range r.Pushes {
		if len(newest) < max(o.Newest, 1) && !p.Removed {
			newest[p.Release] = true
		}
	}
	old := map[string]bool{}
	for id := range manifests {
		if !newest[id] {
			old[id] = true
		}
	}
	if len(old) == 0 || o.Needed == nil {
		return old, nil
	}
	needed, err := o.Needed(ctx)
	maps.DeleteFunc(old, func(id string, _ bool) bool { return needed[id] })
	return old, err
}

// removed notes in the history which releases are not there any more.
func (r *record) removed(ids []string) {
	for i := range r.Pushes {
		r.Pushes[i].Removed = r.Pushes[i].Removed || slices.Contains(ids, r.Pushes[i].Release)
	}
}

// unmark takes back what a sweep has said of a release, and reports whether there was something.
func (r *record) unmark(id string) bool {
	_, was := r.Marked[id]
	delete(r.Marked, id)
	for i := range r.Pushes {
		if r.Pushes[i].Release == id {
			was, r.Pushes[i].Removed = was || r.Pushes[i].Removed, false
		}
	}
	return was
}

// remove removes what look has found.
func (s *Store) remove(ctx context.Context, data string, gone trash, now time.Time) error {
	for i, o := range gone.manifests {
		text, err := json.Marshal(&Manifest{Format: formatVersion, Release: gone.ids[i], Entries: []Entry{}, Removed: now.UTC()})
		if err != nil {
			return err
		}
		_, err = cloud.Write(ctx, s.cloud.Files, o.Key, text, cloud.PutOptions{IfMatch: o.ETag})
		if errors.Is(err, cloud.ErrConflict) {
			return nil // it is in use again: the next sweep looks at all of it anew
		}
		if err != nil {
			return err
		}
	}
	const atOnce = 1000
	for keys := range slices.Chunk(gone.blobs, atOnce) {
		if err := s.cloud.Files.Delete(ctx, keys...); err != nil {
			return err
		}
	}
	return nil
}

// Use returns the id of a release that something is about to be started with, and sees to it that it stays for at least Rest; name is as
// in Resolve. The current one is not looked up.
func (s *Store) Use(ctx context.Context, name string) (id string, err error) {
	err = s.change(ctx, func(r *record) (bool, error) {
		if id, err = s.resolve(r, name); err != nil || id == r.current() {
			return false, err
		}
		m, err := s.manifest(ctx, r, id)
		if err != nil || !r.unmark(id) {
			return false, err
		}
		return true, s.renew(ctx, r.Data, m)
	})
	if err != nil {
		return "", fmt.Errorf("find release: %w", err)
	}
	return id, nil
}

// renew writes a manifest anew, under the condition that it is as it was read: no sweep that is about to remove it does so then.
func (s *Store) renew(ctx context.Context, data string, m *Manifest) error {
	m.Nonce = rand.Text()
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	_, err = cloud.Write(ctx, s.cloud.Files, s.manifestKey(data, m.Release), text, cloud.PutOptions{IfMatch: m.etag})
	return err
}
