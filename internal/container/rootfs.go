package container

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// Rootfs returns the folder with the unpacked files of an image, below cache: unpacked once for each image.
func Rootfs(ctx context.Context, img v1.Image, cache string) (string, error) {
	id, err := img.ConfigName()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "rootfs", id.Hex)
	if _, err := os.Stat(dir); err == nil {
		now := time.Now()
		return dir, os.Chtimes(dir, now, now) // the last use
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".new-")
	if err != nil {
		return "", err
	}
	if err := unpack(ctx, img, tmp); err != nil {
		return "", errors.Join(fmt.Errorf("unpack image: %w", err), os.RemoveAll(tmp))
	}
	if err := os.Rename(tmp, dir); err != nil {
		_ = os.RemoveAll(tmp)
		if _, serr := os.Stat(dir); serr != nil { // nobody was faster
			return "", err
		}
	}
	return dir, nil
}

// unpack writes the files of an image into dir. No name and no link in it leads out of dir. Owners and devices are left out.
func unpack(ctx context.Context, img v1.Image, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Chmod(".", 0o755); err != nil {
		return err
	}
	from := mutate.Extract(img)
	defer from.Close()
	files := tar.NewReader(from)
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, from) // what went wrong comes after an end like any other
			return err
		}
		if err == nil {
			err = cmp.Or(context.Cause(ctx), unpackOne(root, h, files))
		}
		if err != nil {
			return err
		}
	}
}

func unpackOne(root *os.Root, h *tar.Header, content io.Reader) error {
	name := path.Clean(h.Name)
	if !fs.ValidPath(name) || name == "." {
		return nil
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	mode := h.FileInfo().Mode().Perm() | 0o200 // a box has one user
	switch h.Typeflag {
	case tar.TypeDir:
		if err := root.MkdirAll(name, 0o755); err != nil {
			return err
		}
		return root.Chmod(name, mode|0o700)
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, name)
	case tar.TypeLink:
		return root.Link(path.Clean(h.Linkname), name)
	case tar.TypeReg:
		return unpackFile(root, name, mode, h.ModTime, content)
	}
	return nil
}

func unpackFile(root *os.Root, name string, mode fs.FileMode, modified time.Time, content io.Reader) error {
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err := errors.Join(err, f.Chmod(mode), f.Close()); err != nil {
		return err
	}
	return root.Chtimes(name, modified, modified) // a virtual environment knows its Python by that
}
