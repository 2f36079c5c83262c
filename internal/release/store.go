package release

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Store is the releases of one task in its bucket:
//
//	<task>/releases/current.json                        which release is current, and which were before
//	<task>/releases/<data>/manifests/<digits>.json      what a release consists of
//	<task>/releases/<data>/blobs/<digits>               contents of files, many small ones in one blob
//
// Only current.json is ever changed, but for what Sweep removes. A release becomes current by one conditional Put of it, when all that the release
// consists of is durable: who reads sees the old release or the new one, whole.
type Store struct {
	cloud  *cloud.Cloud
	prefix string
}

// Open returns the releases of the task of c's scope.
func Open(c *cloud.Cloud) *Store {
	return &Store{cloud: c, prefix: PlaceOf(c.Scope).Prefix() + "/releases/"}
}

// PlaceOf returns the scope whose releases a task runs: all of its clients run the same.
func PlaceOf(s cloud.Scope) cloud.Scope {
	s.Client = ""
	return s
}

// Push is one change of what is current.
type Push struct {
	Number  int       `json:"number"` // counts from 1
	Release string    `json:"release"`
	Time    time.Time `json:"time"`
	By      string    `json:"by,omitempty"` // user@host
	Action  string    `json:"action"`       // "project push", "files delete", "rollback", ...
	Files   int       `json:"files"`
	Size    int64     `json:"size"`              // bytes
	Version string    `json:"handoff,omitempty"` // of the program
	Removed bool      `json:"removed,omitempty"` // it is kept no longer: see Sweep
}

// maxHistory is how many pushes are remembered. The releases of older ones can be fetched by id until Sweep removes them.
const maxHistory = 200

// maxList is the size of the largest list of pushes, or of the files of a release, that is read, in bytes.
const maxList = 64 << 20

// record is current.json.
type record struct {
	Format int    `json:"format"`
	Data   string `json:"data"`            // folder of manifests and blobs; `project delete` begins a new one
	Pushes []Push `json:"pushes"`          // the last one first; it is current
	Sweep  string `json:"sweep,omitempty"` // another one each time that something is removed

	// Marked says since when a sweep has found that a release (by id) or a blob (by name) is kept no longer.
	Marked map[string]time.Time `json:"marked,omitempty"`

	etag string // "": the record does not exist
}

func (r *record) current() string { return r.last().Release }

// has reports whether a release was current, and is there as a whole.
func (r *record) has(id string) bool {
	return slices.ContainsFunc(r.Pushes, func(p Push) bool { return p.Release == id && !p.Removed })
}

// last returns the zero Push where there was none.
func (r *record) last() Push {
	if len(r.Pushes) == 0 {
		return Push{}
	}
	return r.Pushes[0]
}

func (s *Store) key() string { return s.prefix + "current.json" }

func (s *Store) manifestKey(data, id string) string {
	return s.prefix + data + "/manifests/" + strings.TrimPrefix(id, idPrefix) + ".json"
}

func (s *Store) blobKey(data, blob string) string { return s.prefix + data + "/blobs/" + blob }

// none is the error for a task without a release.
func (s *Store) none() error {
	sc := s.cloud.Scope
	return cloud.WithHint(fmt.Errorf("release of task %q (resource group %s, env stage %s): %w", sc.Task, sc.ResourceGroup, sc.Stage, cloud.ErrNotFound),
		fmt.Sprintf("push the project first: handoff project push -p FOLDER -s %s", sc.Stage))
}

// read returns the record. One that does not exist is new and empty.
func (s *Store) read(ctx context.Context) (*record, error) {
	text, o, err := cloud.Read(ctx, s.cloud.Files, s.key(), maxList)
	if errors.Is(err, cloud.ErrNotFound) {
		return &record{Format: formatVersion, Data: newData(), Pushes: []Push{}}, nil
	}
	if err != nil {
		return nil, err
	}
	r := &record{etag: o.ETag}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read %q: %w: %w", s.key(), cloud.ErrCorrupt, err)
	}
	if err := checkFormat(r.Format); err != nil {
		return nil, fmt.Errorf("read %q: %w", s.key(), err)
	}
	if r.Data == "" || cloud.CheckKey(s.prefix+r.Data) != nil {
		return nil, fmt.Errorf("read %q: %w: no folder for data", s.key(), cloud.ErrCorrupt)
	}
	return r, nil
}

// newData names a folder that nobody has used.
func newData() string { return "d-" + strings.ToLower(rand.Text()[:13]) }

// write makes r the record, if it is still the one that was read. Else it is ErrConflict: a change that is made a second time
// would be another one.
func (s *Store) write(ctx context.Context, r *record) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("encode %q: %w", s.key(), err)
	}
	o, err := cloud.Write(ctx, s.cloud.Files, s.key(), append(text, '\n'), cloud.PutOptions{IfMatch: r.etag, IfAbsent: r.etag == ""})
	if err == nil {
		r.etag = o.ETag
	}
	return err
}

// add makes p the current release.
func (r *record) add(p Push) {
	p.Number = r.last().Number + 1
	r.unmark(p.Release)
	r.Pushes = append([]Push{p}, r.Pushes...)
	r.Pushes = r.Pushes[:min(len(r.Pushes), maxHistory)]
}

// List returns the pushes, the last one first. None is no error.
func (s *Store) List(ctx context.Context) ([]Push, error) {
	r, err := s.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("list releases: %w", err)
	}
	return r.Pushes, nil
}

// Resolve returns the id of a release: name is an id (which is not looked up), the first digits of one (at least 6), or
// the number of a push; "" is the current release.
func (s *Store) Resolve(ctx context.Context, name string) (string, error) {
	if _, ok := digits(name); ok {
		return name, nil
	}
	r, err := s.read(ctx)
	if err != nil {
		return "", fmt.Errorf("find release: %w", err)
	}
	return s.resolve(r, name)
}

// Manifest returns what a release consists of; name is as in Resolve.
func (s *Store) Manifest(ctx context.Context, name string) (*Manifest, error) {
	_, m, err := s.find(ctx, name)
	return m, err
}

// find returns what a release consists of, and the folder of its contents.
func (s *Store) find(ctx context.Context, name string) (data string, m *Manifest, err error) {
	r, err := s.read(ctx)
	if err != nil {
		return "", nil, fmt.Errorf("read release: %w", err)
	}
	id, err := s.resolve(r, name)
	if err != nil {
		return "", nil, err
	}
	if m, err = s.manifest(ctx, r, id); err != nil {
		return "", nil, err
	}
	return r.Data, m, nil
}

func (s *Store) manifest(ctx context.Context, r *record, id string) (*Manifest, error) {
	text, o, err := cloud.Read(ctx, s.cloud.Files, s.manifestKey(r.Data, id), maxList)
	var m *Manifest
	if err == nil {
		m, err = decodeManifest(text, id)
	}
	if err == nil {
		m.etag = o.ETag
	}
	if errors.Is(err, errRemoved) {
		err = cloud.WithHint(err, "push it again from where its files are; `handoff release list` shows those that there are")
	} else if id != r.current() && errors.Is(err, cloud.ErrNotFound) {
		err = cloud.WithHint(err, "see handoff release list for what there is")
	} else {
		err = lost(err)
	}
	if err != nil {
		return nil, fmt.Errorf("release %s: %w", Short(id), err)
	}
	return m, nil
}

func (s *Store) resolve(r *record, name string) (string, error) {
	if _, ok := digits(name); ok {
		return name, nil
	}
	if len(r.Pushes) == 0 {
		return "", s.none()
	}
	if name == "" {
		return r.current(), nil
	}
	var found []string
	for _, p := range r.Pushes {
		if p.named(name) && !slices.Contains(found, p.Release) {
			found = append(found, p.Release)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", cloud.WithHint(fmt.Errorf("release %q: %w", name, cloud.ErrNotFound), "see handoff release list")
	}
	return "", cloud.WithHint(fmt.Errorf("release %q: %w: %d releases begin with it", name, cloud.ErrInvalid, len(found)), "write more of its digits")
}

// minDigits is how many digits tell a release from the number of a push.
const minDigits = 6

func (p *Push) named(name string) bool {
	if n, err := strconv.Atoi(name); err == nil && len(name) < minDigits {
		return p.Number == n
	}
	name = strings.TrimPrefix(name, idPrefix)
	return len(name) >= minDigits && strings.HasPrefix(p.Release, idPrefix+name)
}

// change reads the record, lets do change it, and writes it; it begins anew where someone else was faster. do returns
// false where there is nothing to write.
func (s *Store) change(ctx context.Context, do func(*record) (bool, error)) error {
	return cloud.Compete(ctx, func() (again bool, err error) {
		r, err := s.read(ctx)
		if err != nil {
			return false, err
		}
		changed, err := do(r)
		if err != nil || !changed {
			return errors.Is(err, cloud.ErrConflict), err
		}
		err = s.write(ctx, r)
		return errors.Is(err, cloud.ErrConflict), err
	})
}

// Rollback makes an earlier release current again; name is as in Resolve, but "" is the one before the current one.
// It changes nothing where that release is current already. p says who does it, and when.
func (s *Store) Rollback(ctx context.Context, name string, p Push) (now Push, err error) {
	err = s.change(ctx, func(r *record) (bool, error) {
		id, err := s.target(r, name)
		if err != nil {
			return false, err
		}
		if id == r.current() {
			now = r.Pushes[0]
			return false, nil
		}
		m, err := s.manifest(ctx, r, id)
		if err == nil {
			err = s.renew(ctx, r.Data, m)
		}
		if err != nil {
			return false, err
		}
		p.Release, p.Action = id, rollback
		p.Files, p.Size = m.Count()
		r.add(p)
		now = r.Pushes[0]
		return true, nil
	})
	if err != nil {
		return Push{}, fmt.Errorf("roll back: %w", err)
	}
	return now, nil
}

// RollbackTarget returns the id to which Rollback would go.
func (s *Store) RollbackTarget(ctx context.Context, name string) (string, error) {
	r, err := s.read(ctx)
	if err != nil {
		return "", fmt.Errorf("find release: %w", err)
	}
	return s.target(r, name)
}

// target returns the id to which Rollback goes.
func (s *Store) target(r *record, name string) (string, error) {
	if name != "" || len(r.Pushes) == 0 {
		return s.resolve(r, name)
	}
	for _, p := range r.Pushes[r.cameFrom():] {
		if p.Release != r.current() {
			return p.Release, nil
		}
	}
	hint := "only one release has been pushed"
	if r.Pushes[0].Action == rollback {
		hint = "it is the first one; to go forward again name a release of `handoff release list`"
	}
	return "", cloud.WithHint(fmt.Errorf("the release before %s: %w", Short(r.current()), cloud.ErrNotFound), hint)
}

const rollback = "rollback" // the action of a Push

// cameFrom is the index of the push by which the current release came: a rollback leads to an earlier one, so that what is said twice goes
// back twice.
func (r *record) cameFrom() int {
	at := 0
	for r.Pushes[at].Action == rollback {
		older := slices.IndexFunc(r.Pushes[at+1:], func(p Push) bool { return p.Release == r.Pushes[at].Release })
		if older < 0 { // longer ago than is remembered
			break
		}
		at += 1 + older
	}
	return at
}

// Delete removes every release of the task, and what killed pushes have left. It returns how many pushes there were.
// A push at the same time is not harmed: it begins a new history.
func (s *Store) Delete(ctx context.Context) (pushes int, err error) {
	err = s.change(ctx, func(r *record) (bool, error) {
		pushes = len(r.Pushes)
		r.Data, r.Pushes, r.Marked = newData(), []Push{}, nil
		return pushes > 0, nil
	})
	if err == nil {
		err = s.deleteData(ctx)
	}
	if err != nil {
		return pushes, fmt.Errorf("delete releases: %w", err)
	}
	return pushes, nil
}

// deleteData removes the data that no push in progress can make current any more: its record has another folder. Where
// there is no record, a first push may be in progress in any folder.
func (s *Store) deleteData(ctx context.Context) error {
	r, err := s.read(ctx)
	if err != nil || r.etag == "" {
		return err
	}
	var keys []string
	for o, err := range s.cloud.Files.List(ctx, strings.TrimSuffix(s.prefix, "/")) {
		if err != nil {
			return err
		}
		if o.Key != s.key() && !strings.HasPrefix(o.Key, s.prefix+r.Data+"/") {
			keys = append(keys, o.Key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return s.cloud.Files.Delete(ctx, keys...)
}
