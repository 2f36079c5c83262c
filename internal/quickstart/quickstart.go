// Package quickstart holds the small projects with which people learn handoff, and writes them to a folder.
// It knows nothing of how a project is read or run.
package quickstart

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

//go:embed all:projects
var embedded embed.FS

const root = "projects"

// Projects returns the names of the projects in the order in which to read them.
func Projects() []string {
	entries, err := embedded.ReadDir(root)
	if err != nil {
		return nil // the folder is part of the binary
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

// Write puts every project below dir, which is made when absent, and returns the names of the projects. When one of
// their files exists already nothing is written and the error names it. Folders and files of secrets can be read by
// their owner only; scripts are executable.
func Write(dir string) ([]string, error) {
	names, err := files()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		_, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name)))
		if err == nil {
			return nil, fmt.Errorf("write quick-start projects: %s: %w", filepath.Join(dir, filepath.FromSlash(name)), fs.ErrExist)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("write quick-start projects: %w", err)
		}
	}
	for _, name := range names {
		if err := write(dir, name); err != nil {
			return nil, fmt.Errorf("write quick-start projects: %w", err)
		}
	}
	return Projects(), nil
}

func files() ([]string, error) {
	var names []string
	err := fs.WalkDir(embedded, root, func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, strings.TrimPrefix(name, root+"/"))
		}
		return err
	})
	return names, err
}

func write(dir, name string) error {
	content, err := embedded.ReadFile(path.Join(root, name))
	if err != nil {
		return err
	}
	target := filepath.Join(dir, filepath.FromSlash(name))
	folderMode, fileMode := modes(name, content)
	if err := os.MkdirAll(filepath.Dir(filepath.Dir(target)), 0o755); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), folderMode); err != nil {
		return err
	}
	f, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// modes returns the modes of a file and its folder: embedding has lost those of the source.
func modes(name string, content []byte) (folder, file fs.FileMode) {
	switch {
	case path.Base(path.Dir(name)) == ".secrets":
		return 0o700, 0o600
	case bytes.HasPrefix(content, []byte("#!")):
		return 0o755, 0o755
	default:
		return 0o755, 0o644
	}
}
