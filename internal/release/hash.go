// Package release names what runs: the same project.yml and files/ have the same hash anywhere.
package release

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Hash answers "sha256:..." over project.yml and the tree of files/ (names, exec bits and contents) in dir.
// Secrets are not part of a release.
func Hash(dir string) (string, error) {
	h := sha256.New()
	if err := addFile(h, dir, "project.yml"); err != nil {
		return "", fmt.Errorf("hash release: %w", err)
	}
	err := filepath.WalkDir(filepath.Join(dir, "files"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return addFile(h, dir, name)
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("hash release: %w", err)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

// addFile writes an unambiguous frame: name, exec bit, size, content.
func addFile(h io.Writer, dir, name string) error {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // read only
	info, err := f.Stat()
	if err != nil {
		return err
	}
	fmt.Fprintf(h, "%q %t %d\n", filepath.ToSlash(name), info.Mode()&0o111 != 0, info.Size())
	_, err = io.Copy(h, f)
	return err
}
