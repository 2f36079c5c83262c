package container

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/match"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/atomicfile"
)

// Store holds images on this machine, without an engine: those that were built and not pushed yet, and the bases of them. It is an OCI
// image layout, which other tools read, too.
type Store struct {
	dir  string
	path layout.Path
}

// refName is the annotation under which a layout has the name of an image.
const refName = "org.opencontainers.image.ref.name"

// OpenStore opens the store in a folder, which is made where it is not there.
func OpenStore(dir string) (*Store, error) {
	s := &Store{dir: dir}
	err := s.locked(func() error {
		var err error
		if s.path, err = layout.FromPath(dir); errors.Is(err, fs.ErrNotExist) {
			s.path, err = layout.Write(dir, empty.Index)
		}
		if err != nil {
			return err
		}
		if _, err = s.all(); err != nil {
			return fmt.Errorf("%s: %w: %w", filepath.Join(dir, "index.json"), ErrDamaged, err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("open the images of this machine: %w", err)
	}
	return s, nil
}

// locked keeps other processes from changing the index meanwhile.
func (s *Store) locked(change func() error) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(s.dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close() // and so unlocks it
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	return change()
}

// Put stores an image under a name with a tag, in the place of the one that has it. What is damaged of it is written anew.
func (s *Store) Put(img Image, name string) error {
	return s.put(img, name, func(string) error { return nil })
}

// ErrHas says that a name is that of another image.
var ErrHas = errors.New("there is another image with this name")

// Add stores an image as Put does, but never in the place of another one, which a build at the same time may have made: that is an ErrHas.
func (s *Store) Add(img Image, name string) error {
	return s.put(img, name, func(name string) error {
		has, err := s.Image(name)
		if errors.Is(err, errNotStored) || errors.Is(err, ErrDamaged) || err == nil && same(has, img) {
			return nil
		}
		return cmp.Or(err, ErrHas)
	})
}

// put stores an image, if allowed says that it may have the name.
func (s *Store) put(img Image, name string, allowed func(name string) error) error {
	err := s.locked(func() error {
		if err := cmp.Or(allowed(name), s.dropDamaged(img)); err != nil {
			return err
		}
		if err := s.path.WriteImage(img); err != nil {
			return err
		}
		d, err := partial.Descriptor(img)
		if err != nil {
			return err
		}
		d.Annotations = map[string]string{refName: name}
		return s.change(func(index v1.ImageIndex) v1.ImageIndex {
			return mutate.AppendManifests(mutate.RemoveManifests(index, match.Name(name)), mutate.IndexAddendum{Add: img, Descriptor: *d})
		})
	})
	if err != nil {
		return fmt.Errorf("store image %s: %w", name, err)
	}
	return nil
}

// change gives the store another index: as a whole or not at all.
func (s *Store) change(edit func(v1.ImageIndex) v1.ImageIndex) error {
	index, err := s.path.ImageIndex()
	if err != nil {
		return err
	}
	text, err := edit(index).RawManifest()
	if err != nil {
		return err
	}
	return atomicfile.WriteDurable(filepath.Join(s.dir, "index.json"), text, 0o600)
}

// Image returns the image with a name and a tag. ErrDamaged: some of it is lost.
func (s *Store) Image(name string) (Image, error) {
	all, err := s.all()
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if d.Annotations[refName] != name {
			continue
		}
		img, err := s.path.Image(d.Digest)
		if err != nil || !s.whole(img) {
			return nil, fmt.Errorf("image %s: %w", name, ErrDamaged)
		}
		return img, nil
	}
	return nil, fmt.Errorf("image %s: %w", name, errNotStored)
}

var errNotStored = errors.New("not on this machine")

// ErrDamaged says that what this machine keeps of images is not whole any more.
var ErrDamaged = errors.New("damaged on this machine")

// whole reports whether the store has all files of one of its images, in their length.
func (s *Store) whole(img Image) bool {
	m, err := img.Manifest()
	if err != nil {
		return false
	}
	for _, d := range append(m.Layers, m.Config) {
		info, err := os.Stat(s.blob(d.Digest))
		if err != nil || info.Size() != d.Size {
			return false
		}
	}
	return true
}

func (s *Store) blob(h v1.Hash) string { return filepath.Join(s.dir, "blobs", h.Algorithm, h.Hex) }

// dropDamaged removes the files of an image that are not as long as they should be: what is there is not written again.
func (s *Store) dropDamaged(img Image) error {
	m, err := img.Manifest()
	if err != nil {
		return err
	}
	d, err := partial.Descriptor(img)
	if err != nil {
		return err
	}
	for _, d := range append(m.Layers, m.Config, *d) {
		info, err := os.Stat(s.blob(d.Digest))
		if err != nil || info.Size() == d.Size {
			continue
		}
		if err := os.Remove(s.blob(d.Digest)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) all() ([]v1.Descriptor, error) {
	index, err := s.path.ImageIndex()
	if err != nil {
		return nil, err
	}
	m, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	return m.Manifests, nil
}

// baseMark begins the name under which the store has a base.
const baseMark = "base "

// Base returns an image to build upon. What the store has of it is not fetched again. old: the registry could not be reached, and the image
// is the one that it had at the last build.
func (s *Store) Base(ctx context.Context, reference, arch string, l Login) (img Image, old bool, err error) {
	name := baseMark + reference + " " + arch
	has, herr := s.Image(name)
	img, err = Pull(ctx, reference, arch, l)
	if errors.Is(err, ErrRegistry) && herr == nil && ctx.Err() == nil {
		return has, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	if herr == nil && same(has, img) {
		return has, false, nil
	}
	if err := s.Put(img, name); err != nil {
		return nil, false, err
	}
	img, err = s.Image(name)
	return img, false, err
}

func same(a, b Image) bool {
	x, xerr := a.Digest()
	y, yerr := b.Digest()
	return xerr == nil && yerr == nil && x == y
}

// unusedFor is after how long without a use it is removed what images were made of.
const unusedFor = 30 * 24 * time.Hour

// Sweep removes images, by name and tag, and then all that no image needs: blobs, and layers and unpacked bases that no build has used for a
// month. It returns how many bytes that were.
func (s *Store) Sweep(names []string, now time.Time) (int64, error) {
	var freed int64
	err := s.locked(func() error {
		gone := func(d v1.Descriptor) bool { return slices.Contains(names, d.Annotations[refName]) }
		if err := s.change(func(index v1.ImageIndex) v1.ImageIndex { return mutate.RemoveManifests(index, gone) }); err != nil {
			return err
		}
		needed, err := s.blobs()
		if err != nil {
			return err
		}
		freed, err = s.dropBlobs(needed)
		return err
	})
	if err != nil {
		return freed, fmt.Errorf("remove images: %w", err)
	}
	more, err := dropUnused(now, filepath.Join(s.dir, "..", "layers"), filepath.Join(s.dir, "..", "rootfs"))
	return freed + more, err
}

// blobs returns the names of the files that the images are made of. One whose list of them is lost has none.
func (s *Store) blobs() (map[string]bool, error) {
	all, err := s.all()
	if err != nil {
		return nil, err
	}
	needed := map[string]bool{}
	for _, d := range all {
		img, err := s.path.Image(d.Digest)
		if err != nil {
			continue
		}
		m, err := img.Manifest()
		if err != nil {
			continue
		}
		for _, l := range append(m.Layers, d, m.Config) {
			needed[l.Digest.Hex] = true
		}
	}
	return needed, nil
}

func (s *Store) dropBlobs(needed map[string]bool) (freed int64, err error) {
	dir := filepath.Join(s.dir, "blobs", "sha256")
	entries, _ := os.ReadDir(dir) // there may be none
	for _, e := range entries {
		if needed[e.Name()] {
			continue
		}
		path := filepath.Join(dir, e.Name())
		freed += size(path)
		err = errors.Join(err, os.Remove(path))
	}
	return freed, err
}

func dropUnused(now time.Time, dirs ...string) (freed int64, err error) {
	for _, dir := range dirs {
		entries, _ := os.ReadDir(dir) // there may be none
		for _, e := range entries {
			info, ierr := e.Info()
			if ierr != nil || now.Sub(info.ModTime()) < unusedFor {
				continue
			}
			path := filepath.Join(dir, e.Name())
			freed += size(path)
			err = errors.Join(err, removeAll(path))
		}
	}
	return freed, err
}

func size(path string) int64 {
	var n int64
	_ = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return nil
	})
	return n
}

// removeAll removes a folder after it has another name: nobody begins to use what is half there.
func removeAll(path string) error {
	gone := filepath.Join(filepath.Dir(path), ".gone-"+filepath.Base(path))
	if strings.HasPrefix(filepath.Base(path), ".") {
		return os.RemoveAll(path)
	}
	if err := os.Rename(path, gone); err != nil {
		return err
	}
	return os.RemoveAll(gone)
}

// Tags returns the tags under which the store has an image with this name.
func (s *Store) Tags(name string) ([]string, error) {
	all, err := s.all()
	if err != nil {
		return nil, err
	}
	var tags []string
	for _, d := range all {
		if tag, ok := strings.CutPrefix(d.Annotations[refName], name+":"); ok {
			tags = append(tags, tag)
		}
	}
	return tags, nil
}

// File returns the layer that has a file of this machine at a place. What was made before is not made again.
func (s *Store) File(from, to string) (Layer, error) {
	sum, err := fileSum(from)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(s.dir, "..", "layers", "file-"+sum+".tar.gz")
	if layer, err := keptLayer(file); err == nil {
		return layer, nil
	}
	return layerFile(file, from, to)
}

func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
