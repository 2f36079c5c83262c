package release

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
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Parts says which parts of a project are meant.
type Parts struct{ Config, Files bool }

// All is the whole project.
var All = Parts{Config: true, Files: true}

// has reports whether the path of an entry is in one of the parts.
func (p Parts) has(path string) bool {
	if path == configName || isClient(path) {
		return p.Config
	}
	return p.Files
}

// isClient reports whether the path is that of the file of a client: it is as much of the project as project.yml.
func isClient(path string) bool {
	name, ok := strings.CutPrefix(path, clientsName+"/")
	return ok && !strings.Contains(name, "/") && strings.HasSuffix(name, ".yml") && name != ".yml"
}

// Tree is what a project folder holds of a release.
type Tree struct {
	Dir      string
	Entries  []Entry  // sorted by path; where their content is in the bucket is not known
	Warnings []string // what is left out, and why
}

// ID returns the name of the release that the tree makes.
func (t *Tree) ID() string { return ID(t.Entries) }

// Scan reads and hashes parts of a project folder. A symbolic link that leaves files/ is an error; secrets, folders of
// version control and what Python caches are left out, in every folder.
func Scan(ctx context.Context, dir string, parts Parts) (*Tree, error) {
	s := &scanner{dir: dir}
	for part, wanted := range map[string]bool{configName: parts.Config, clientsName: parts.Config, filesName: parts.Files} {
		if err := notSecret(filepath.Join(dir, part)); wanted && err != nil {
			return nil, err
		}
	}
	if parts.Config {
		if err := s.config(); err != nil {
			return nil, err
		}
	}
	if parts.Files {
		if err := s.files(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.hash(ctx); err != nil {
		return nil, err
	}
	t := &Tree{Dir: dir, Warnings: s.warnings, Entries: make([]Entry, len(s.entries))}
	for i, e := range s.entries {
		t.Entries[i] = *e
	}
	slices.SortFunc(t.Entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return t, nil
}

// notSecret refuses a part that is a symbolic link into a folder of secrets.
func notSecret(part string) error {
	info, err := os.Lstat(part)
	if err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return nil // who reads it says what is wrong
	}
	real, err := filepath.EvalSymlinks(part)
	if err == nil && slices.Contains(strings.Split(real, "/"), secretsName) {
		return fmt.Errorf("%s: symbolic link to %s: a release must not contain secrets", part, real)
	}
	return nil
}

type scanner struct {
	dir      string
	entries  []*Entry
	warnings []string
}

// config lists project.yml, and the clients that are files of their own.
func (s *scanner) config() error {
	s.entries = append(s.entries, &Entry{Path: configName})
	list, err := os.ReadDir(filepath.Join(s.dir, clientsName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
		return err
	}
	for _, c := range list {
		if name := path.Join(clientsName, c.Name()); isClient(name) && !c.IsDir() {
			s.entries = append(s.entries, &Entry{Path: name})
		}
	}
	return nil
}

// files lists files/ of the project, if there is one.
func (s *scanner) files(ctx context.Context) error {
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return err
	}
	defer root.Close()                // read only
	info, err := root.Stat(filesName) // refuses a link that leaves the project
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a folder", filepath.Join(s.dir, filesName))
	}
	return s.folder(ctx, filesName)
}

// leftOut returns why a name is never part of a release; "" for other names.
func leftOut(name string) string {
	switch name {
	case secretsName:
		return "a release must not contain secrets"
	case "__pycache__", ".DS_Store", ".git":
		return "no part of a project"
	}
	return ""
}

// folder lists a folder, without the one that it is in.
func (s *scanner) folder(ctx context.Context, name string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	children, err := os.ReadDir(filepath.Join(s.dir, name))
	if err != nil {
		return err
	}
	kept := 0
	for _, c := range children {
		took, err := s.child(ctx, path.Join(name, c.Name()), c)
		if err != nil {
			return err
		}
		if took {
			kept++
		}
	}
	if kept == 0 && name != filesName {
		s.entries = append(s.entries, &Entry{Path: name, Dir: true})
	}
	return nil
}

func (s *scanner) child(ctx context.Context, name string, c fs.DirEntry) (took bool, err error) {
	if why := leftOut(c.Name()); why != "" {
		if c.Name() == secretsName {
			s.warnings = append(s.warnings, name+" is left out: "+why)
		}
		return false, nil
	}
	if err := checkPath(name); err != nil {
		return false, err
	}
	switch c.Type() {
	case fs.ModeDir:
		return true, s.folder(ctx, name)
	case fs.ModeSymlink:
		return true, s.link(name)
	case 0:
		s.entries = append(s.entries, &Entry{Path: name})
		return true, nil
	}
	s.warnings = append(s.warnings, name+" is left out: not a regular file")
	return false, nil
}

func (s *scanner) link(name string) error {
	target, err := os.Readlink(filepath.Join(s.dir, name))
	if err != nil {
		return err
	}
	to := path.Join(path.Dir(name), target)
	if path.IsAbs(target) || to != filesName && !strings.HasPrefix(to, filesName+"/") {
		return fmt.Errorf("%s: symbolic link to %q, which is not in %s/", name, target, filesName)
	}
	s.entries = append(s.entries, &Entry{Path: name, Link: target})
	return nil
}

// hash fills the entries of files, several at a time.
func (s *scanner) hash(ctx context.Context) error {
	work, inner := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range min(runtime.GOMAXPROCS(0)+1, 16) {
		work.Go(func() error {
			buf := make([]byte, 128<<10)
			for inner.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(s.entries) {
					return nil
				}
				if e := s.entries[i]; e.isFile() {
					if err := s.file(e, buf); err != nil {
						return err
					}
				}
			}
			return context.Cause(inner)
		})
	}
	return cmp.Or(work.Wait(), context.Cause(ctx))
}

// file fills the entry of one file.
func (s *scanner) file(e *Entry, buf []byte) error {
	return withFile(s.dir, e.Path, func(fd int) error { return hashFile(fd, e, buf) })
}

// withFile opens a file of a project for do. It makes bare system calls: with thousands of small files, what os.File does
// around them takes longer than what is done with the files.
func withFile(dir, name string, do func(fd int) error) error {
	name, flags := filepath.Join(dir, name), openFlags(name)
	fd, err := retry(func() (int, error) { return unix.Open(name, flags, 0) })
	if err != nil {
		return &fs.PathError{Op: "open", Path: name, Err: err}
	}
	err = do(fd)
	if closeErr := unix.Close(fd); err == nil {
		err = closeErr
	}
	if err != nil {
		return &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return nil
}

func hashFile(fd int, e *Entry, buf []byte) error {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return errors.New("not a regular file")
	}
	e.Mode = mode(fs.FileMode(stat.Mode & 0o777))
	if stat.Size <= int64(len(buf)) {
		n, err := retry(func() (int, error) { return unix.Read(fd, buf) })
		if err != nil {
			return err
		}
		if int64(n) == stat.Size {
			sum := sha256.Sum256(buf[:n])
			e.Size, e.SHA256 = stat.Size, hex.EncodeToString(sum[:])
			return nil
		}
		if _, err := unix.Seek(fd, 0, io.SeekStart); err != nil { // somebody writes to it
			return err
		}
	}
	return hashLarge(fd, e, buf)
}

func hashLarge(fd int, e *Entry, buf []byte) error {
	h := sha256.New()
	for {
		n, err := retry(func() (int, error) { return unix.Read(fd, buf) })
		if err != nil {
			return err
		}
		if n == 0 {
			e.SHA256 = hex.EncodeToString(h.Sum(nil))
			return nil
		}
		h.Write(buf[:n])
		e.Size += int64(n)
	}
}

// retry makes a system call again that a signal has interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// openFlags follow no link but project.yml, and do not wait for a writer of a named pipe.
func openFlags(name string) int {
	flags := unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC
	if name != configName {
		flags |= unix.O_NOFOLLOW
	}
	return flags
}

func openFile(dir, name string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, name), openFlags(name), 0)
}
