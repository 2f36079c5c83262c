package container

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// owner is the user of an image: the number of nobody in particular.
const owner = 10001

// writeLayer writes what is at from (a file, or a folder with all that it has) as a layer in which it is at to. The same files make the
// same bytes: in the order of their names, with one time, owned by root, readable for all.
func writeLayer(w io.Writer, from, to string) error {
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	if err := parents(t, to); err != nil {
		return err
	}
	err := filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		return addFile(t, p, path.Join(to, filepath.ToSlash(rel)), d)
	})
	if err != nil {
		return fmt.Errorf("make a layer of %s: %w", from, err)
	}
	return errors.Join(t.Close(), z.Close())
}

// epoch is the time of all files in our layers.
func epoch() time.Time { return time.Unix(0, 0).UTC() }

// parents adds the folders above name.
func parents(t *tar.Writer, name string) error {
	parts := strings.Split(strings.Trim(path.Dir(name), "/"), "/")
	for i := range parts {
		dir := strings.Join(parts[:i+1], "/") + "/"
		if dir == "/" {
			continue
		}
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755, ModTime: epoch()}); err != nil {
			return err
		}
	}
	return nil
}

func addFile(t *tar.Writer, from, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	h := &tar.Header{Name: strings.TrimPrefix(name, "/"), ModTime: epoch(), Mode: 0o644}
	if info.IsDir() || info.Mode()&0o100 != 0 {
		h.Mode = 0o755
	}
	switch {
	case info.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		return t.WriteHeader(h)
	case info.Mode()&fs.ModeSymlink != 0:
		h.Typeflag, h.Mode = tar.TypeSymlink, 0o777
		if h.Linkname, err = os.Readlink(from); err != nil {
			return err
		}
		return t.WriteHeader(h)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no file", from)
	}
	h.Typeflag, h.Size = tar.TypeReg, info.Size()
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(t, f)
	return err
}

// layerFile returns the layer of what is at from, kept as the file path: as a whole or not at all.
func layerFile(file, from, to string) (v1.Layer, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".new-")
	if err != nil {
		return nil, err
	}
	err = errors.Join(writeLayer(tmp, from, to), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return nil, err
	}
	return tarball.LayerFromFile(file)
}

// keptLayer returns the layer that layerFile has made before. It is read to its end, where gzip has a checksum; what is not even
// compressed would be taken as it is.
func keptLayer(file string) (v1.Layer, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	_, err = gzip.NewReader(f)
	_ = f.Close() // only read
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromFile(file)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return layer, os.Chtimes(file, now, now) // the last use
}
