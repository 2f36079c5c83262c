// Package workspace is the folder in which a project runs: files/ (rendered), artifacts/ (outputs, kept between runs)
// and one folder for each Python virtual environment. It renders and installs into that folder only; it knows nothing
// of tasks, clouds or secrets, and never writes to the project.
package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrOverlap says that a run would write into the project: the two are one folder, or one lies in what belongs to the other.
var ErrOverlap = errors.New("project and workspace must be separate folders")

const (
	filesName     = "files"
	artifactsName = "artifacts"
	stateName     = ".handoff"
	secretsName   = ".secrets" // of the project
)

// Workspace is a workspace folder, which may not exist yet.
type Workspace struct {
	project string // "": none
	dir     string
}

// Open checks the two folders and touches neither. Both are made absolute, with symbolic links resolved. ErrOverlap
// if they are the same, the workspace lies in files/ or .secrets/ of the project, or the project in a folder that the
// workspace has for itself. A workspace elsewhere in the project is no part of it. An empty projectDir means that there is
// no project.
func Open(projectDir, workspaceDir string) (*Workspace, error) {
	if workspaceDir == "" {
		return nil, errors.New("open workspace: no folder given")
	}
	dir, err := resolve(workspaceDir)
	if err != nil {
		return nil, fmt.Errorf("open workspace %q: %w", workspaceDir, err)
	}
	if projectDir == "" {
		return &Workspace{dir: dir}, nil
	}
	project, err := resolve(projectDir)
	if err != nil {
		return nil, fmt.Errorf("open project %q: %w", projectDir, err)
	}
	if sameFile(dir, project) || dir == project || inOneOf(dir, project, filesName, secretsName) ||
		inOneOf(project, dir, filesName, artifactsName, stateName) {
		return nil, fmt.Errorf("project %s, workspace %s: %w", project, dir, ErrOverlap)
	}
	return &Workspace{project: project, dir: dir}, nil
}

// OpenFetched is Open for a project that was fetched into the workspace itself, where it has a folder of this name.
func OpenFetched(workspaceDir, name string) (*Workspace, error) {
	w, err := Open("", workspaceDir)
	if err != nil {
		return nil, err
	}
	w.project = filepath.Join(w.state(), "releases", name)
	return w, nil
}

// fetched reports that the project is in the workspace itself.
func (w *Workspace) fetched() bool { return w.project != "" && inside(w.project, w.state()) }

// Project returns the folder of the project; "" where there is none.
func (w *Workspace) Project() string { return w.project }

// maxLinks is how many symbolic links a path may go through.
const maxLinks = 40

// resolve returns path absolute and without symbolic links. Its last parts need not exist; a link to nowhere counts as
// the place that it names. ".." is taken after links are followed, as the kernel does.
func resolve(path string) (string, error) {
	if !filepath.IsAbs(path) {
		here, err := os.Getwd()
		if err != nil {
			return "", err
		}
		path = here + "/" + path
	}
	todo := strings.Split(path, "/")
	dir := "/"
	for links := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		if part == "" || part == "." || part == ".." {
			dir = filepath.Join(dir, part)
			continue
		}
		target, err := linkTarget(filepath.Join(dir, part))
		if err != nil {
			return "", err
		}
		if target == "" {
			dir = filepath.Join(dir, part)
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "resolve", Path: path, Err: errors.New("too many links")}
		}
		if filepath.IsAbs(target) {
			dir = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return dir, nil
}

// linkTarget returns where path points to, "" if it is no symbolic link or does not exist.
func linkTarget(path string) (string, error) {
	target, err := os.Readlink(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EINVAL) {
		return "", nil
	}
	return target, err
}

// inside reports whether path is folder or in it. Folders are compared as the file system does, so that two spellings
// of one folder are the same on file systems that ignore case.
func inside(path, folder string) bool {
	for p := path; ; p = filepath.Dir(p) {
		if p == folder || sameFile(p, folder) {
			return true
		}
		if p == filepath.Dir(p) {
			return false
		}
	}
}

// inOneOf reports whether path is in one of these folders of dir.
func inOneOf(path, dir string, names ...string) bool {
	for _, name := range names {
		folder, err := resolve(filepath.Join(dir, name))
		if err == nil && inside(path, folder) {
			return true
		}
	}
	return false
}

func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// Dir returns the workspace folder, absolute.
func (w *Workspace) Dir() string { return w.dir }

// Files returns the folder of the rendered files.
func (w *Workspace) Files() string { return filepath.Join(w.dir, filesName) }

// Artifacts returns the folder of the outputs.
func (w *Workspace) Artifacts() string { return filepath.Join(w.dir, artifactsName) }

// Venv returns the folder of a virtual environment.
func (w *Workspace) Venv(name string) string { return filepath.Join(w.dir, name) }

// States returns the folder of the states that were fetched from a bucket.
func (w *Workspace) States() string { return filepath.Join(w.state(), "states") }

func (w *Workspace) state() string { return filepath.Join(w.dir, stateName) }

// Init makes the workspace folder, files/ and artifacts/; what exists stays as it is.
func (w *Workspace) Init() error {
	for _, dir := range []string{w.Files(), w.Artifacts()} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return fmt.Errorf("init workspace %q: %w", w.dir, err)
		}
	}
	// A folder that was there may be of another user or read-only: better to say so now than in the middle of a run.
	if err := os.MkdirAll(w.state(), 0o700); err != nil {
		return fmt.Errorf("init workspace %q: %w", w.dir, err)
	}
	probe, err := os.CreateTemp(w.state(), "probe-")
	if err != nil {
		return fmt.Errorf("init workspace %q: cannot write: %w", w.dir, err)
	}
	_, err = probe.WriteString(strings.Repeat("x", 4096))
	err = errors.Join(err, probe.Close(), os.Remove(probe.Name()))
	if err != nil {
		return fmt.Errorf("init workspace %q: cannot write: %w", w.dir, err)
	}
	return nil
}
