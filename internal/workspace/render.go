package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// RenderOptions say how files/ of the project becomes files/ of the workspace.
type RenderOptions struct {
	Raw []string // globs below files/ that are copied byte for byte; ** crosses folders

	// Render returns the text of a template, its final newline kept, and whether something of a secret is in it: then only
	// its owner may read the file. name is "files/..."; an error says the line. It is called from several goroutines at
	// once. nil: everything is copied.
	Render func(name, text string) (rendered string, private bool, err error)

	// Link lets files that are copied as they are be hard links to those of the project, where the file system can: for
	// a project that is a copy anyway, whose files may change with those of the workspace.
	Link bool
}

// Warning is a remark on one file, for a person to read.
type Warning struct {
	File string // "files/..."
	Text string
}

// String implements fmt.Stringer.
func (w Warning) String() string { return w.File + ": " + w.Text }

// Render replaces files/ of the workspace by the rendered files/ of the project. Text files are templates, others are
// copied; permissions are kept. A symbolic link stays one; a link that leaves files/ is an error. The new tree
// is built aside: after an error files/ is as it was. All errors are returned at once. A project without files/ leaves
// the workspace as it is, unless it was fetched into it. The caller holds the Lock.
func (w *Workspace) Render(ctx context.Context, o RenderOptions) ([]Warning, error) {
	if w.project == "" {
		return nil, nil
	}
	src, err := openFiles(w.project)
	if err != nil || src == nil && !w.fetched() {
		return nil, err
	}
	if src == nil { // what another release has left there is none of this one's
		return nil, emptied(w.Files())
	}
	defer src.Close()
	r := &renderer{src: src, o: o}
	if err := r.parseRaw(o.Raw); err != nil {
		return nil, err
	}
	if err := w.build(ctx, r); err != nil {
		return nil, err
	}
	r.warnUnused()
	slices.SortStableFunc(r.warnings, func(a, b Warning) int { return strings.Compare(a.File, b.File) })
	return r.warnings, nil
}

// emptied makes dir an empty folder.
func emptied(dir string) error {
	if err := errors.Join(removeTree(dir), os.MkdirAll(dir, 0o777)); err != nil {
		return fmt.Errorf("render files: %w", err)
	}
	return nil
}

func (r *renderer) parseRaw(patterns []string) error {
	for _, pattern := range patterns {
		g, err := parseGlob(pattern)
		if err != nil {
			return err
		}
		r.raw = append(r.raw, &rawGlob{glob: g, pattern: pattern})
	}
	return nil
}

// openFiles returns nil without an error when the project has no files/.
func openFiles(project string) (*os.Root, error) {
	root, err := os.OpenRoot(project)
	if err != nil {
		return nil, fmt.Errorf("render files: %w", err)
	}
	defer root.Close()
	info, err := root.Stat(filesName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && !info.IsDir() {
		err = errors.New("not a folder")
	}
	if err != nil {
		return nil, fmt.Errorf("render files: %s: %w", filepath.Join(project, filesName), err)
	}
	files, err := root.OpenRoot(filesName)
	if err != nil {
		return nil, fmt.Errorf("render files: %w", err)
	}
	return files, nil
}

// build renders into a new folder and puts that in the place of files/.
func (w *Workspace) build(ctx context.Context, r *renderer) error {
	if err := w.dropLeftovers(); err != nil {
		return fmt.Errorf("render files: %w", err)
	}
	tmp, err := os.MkdirTemp(w.state(), "files-")
	if err != nil {
		return fmt.Errorf("render files: %w", err)
	}
	defer func() { _ = removeTree(tmp) }()
	fresh := filepath.Join(tmp, "new")
	if err := os.Mkdir(fresh, 0o777); err != nil {
		return fmt.Errorf("render files: %w", err)
	}
	if r.dst, err = os.OpenRoot(fresh); err != nil {
		return fmt.Errorf("render files: %w", err)
	}
	defer r.dst.Close()
	if err := r.run(ctx); err != nil {
		return err
	}
	if err := swap(fresh, w.Files(), filepath.Join(tmp, "old")); err != nil {
		return fmt.Errorf("render files: %w", err)
	}
	return nil
}

// dropLeftovers makes the state folder and removes what a killed Render left in it.
func (w *Workspace) dropLeftovers() error {
	if err := os.MkdirAll(w.state(), 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(w.state())
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "files-") {
			err = errors.Join(err, removeTree(filepath.Join(w.state(), e.Name())))
		}
	}
	return err
}

// removeTree removes dir also where somebody has taken the right to write from its folders.
func removeTree(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && err == nil {
			return os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// swap puts fresh in the place of current, which becomes old.
func swap(fresh, current, old string) error {
	err := os.Rename(current, old)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	had := err == nil
	if err := os.Rename(fresh, current); err != nil {
		if had {
			err = errors.Join(err, os.Rename(old, current))
		}
		return err
	}
	return nil
}

type rawGlob struct {
	glob    glob
	pattern string
	used    bool
}

// renderer takes one tree from src to dst.
type renderer struct {
	src, dst *os.Root
	o        RenderOptions
	raw      []*rawGlob
	warnings []Warning
	work     errgroup.Group // renders regular files

	mu   sync.Mutex
	errs map[string]error // by name
}

// run walks src in one goroutine and renders its files in several.
func (r *renderer) run(ctx context.Context) error {
	r.errs = map[string]error{}
	r.work.SetLimit(min(runtime.GOMAXPROCS(0)*2, 16))
	r.folder(ctx, ".")
	_ = r.work.Wait() // all errors are told, not only the first
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return r.failures()
}

func (r *renderer) fail(name string, err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs[name] = err
}

// failures returns all errors in the order of their files.
func (r *renderer) failures() error {
	var names []string
	for name := range r.errs {
		names = append(names, name)
	}
	slices.Sort(names)
	var errs []error
	for _, name := range names {
		errs = append(errs, r.errs[name])
	}
	return errors.Join(errs...)
}

// folder makes what is in a folder of src; its regular files are rendered meanwhile.
func (r *renderer) folder(ctx context.Context, dir string) {
	entries, err := r.list(dir)
	if err != nil {
		r.fail(dir, fmt.Errorf("read %s: %w", shown(dir), cause(err)))
		return
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			return
		}
		if left(e.Name()) {
			continue
		}
		name := path.Join(dir, e.Name())
		if err := r.entry(ctx, name); err != nil {
			r.fail(name, err)
		}
	}
}

func (r *renderer) list(dir string) ([]fs.DirEntry, error) {
	f, err := r.src.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ReadDir(-1)
}

// left reports names that are never part of a project.
func left(name string) bool {
	return name == "__pycache__" || name == ".DS_Store" || name == ".git"
}

func (r *renderer) entry(ctx context.Context, name string) error {
	info, err := r.src.Lstat(name)
	if err != nil {
		return fmt.Errorf("read %s: %w", shown(name), cause(err))
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		if err := r.dst.Mkdir(name, mode.Perm()|0o700); err != nil {
			return fmt.Errorf("make %s: %w", shown(name), cause(err))
		}
		r.folder(ctx, name)
	case mode&fs.ModeSymlink != 0:
		return r.link(name)
	case mode.IsRegular():
		j := job{name: name, info: info, raw: r.isRaw(name)}
		r.work.Go(func() error {
			if ctx.Err() == nil {
				r.fail(name, r.file(j))
			}
			return nil
		})
	default:
		r.warnings = append(r.warnings, Warning{shown(name), "not a regular file: not copied"})
	}
	return nil
}

// link copies a symbolic link, if what it leads to is in files/ too.
func (r *renderer) link(name string) error {
	target, err := r.src.Readlink(name)
	if err != nil {
		return fmt.Errorf("read %s: %w", shown(name), cause(err))
	}
	_, err = r.src.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		r.warnings = append(r.warnings, Warning{shown(name), fmt.Sprintf("symbolic link to %q, which does not exist", target)})
	} else if err != nil {
		return fmt.Errorf("%s: symbolic link to %q: %w", shown(name), target, escape(cause(err)))
	}
	if err := r.dst.Symlink(target, name); err != nil {
		return fmt.Errorf("make %s: %w", shown(name), cause(err))
	}
	return nil
}

// escape words the error of an os.Root for a path that leaves it, which has no name.
func escape(err error) error {
	if strings.Contains(err.Error(), "path escapes") {
		return errors.New("it leads out of files/; copy what it leads to")
	}
	return err
}

func (r *renderer) isRaw(name string) bool {
	raw := false
	for _, g := range r.raw {
		if g.glob.match(name) {
			g.used, raw = true, true
		}
	}
	return raw
}

func (r *renderer) warnUnused() {
	for _, g := range r.raw {
		if !g.used {
			r.warnings = append(r.warnings, Warning{filesName, fmt.Sprintf("raw: no file matches %q (all in a folder: %q)", g.pattern, "folder/**")})
		}
	}
}

// shown returns name as people know it.
func shown(name string) string { return path.Join(filesName, name) }

// cause returns an error without the path that it names, since ours says it better.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
