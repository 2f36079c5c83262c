package container

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/match"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sys/unix"
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
		return err
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

// Put stores an image under a name with a tag, in the place of the one that has it.
func (s *Store) Put(img v1.Image, name string) error {
	err := s.locked(func() error {
		return s.path.ReplaceImage(img, match.Name(name), layout.WithAnnotations(map[string]string{refName: name}))
	})
	if err != nil {
		return fmt.Errorf("store image %s: %w", name, err)
	}
	return nil
}

// Image returns the image with a name and a tag. ErrNotThere: there is none.
func (s *Store) Image(name string) (v1.Image, error) {
	all, err := s.all()
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if d.Annotations[refName] == name {
			return s.path.Image(d.Digest)
		}
	}
	return nil, fmt.Errorf("image %s: %w", name, errNotStored)
}

var errNotStored = errors.New("not on this machine")

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

// Base returns an image to build upon. What the store has of it is not fetched again.
func (s *Store) Base(ctx context.Context, reference, arch string, l Login) (v1.Image, error) {
	img, err := Pull(ctx, reference, arch, l)
	if err != nil {
		return nil, err
	}
	digest, err := img.Digest()
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", reference, err)
	}
	name := "base@" + digest.String()
	if has, err := s.Image(name); err == nil {
		return has, nil
	}
	if err := s.Put(img, name); err != nil {
		return nil, err
	}
	return s.Image(name)
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
	if layer, err := tarball.LayerFromFile(file); err == nil {
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
