package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/workspace"
)

const unusedFor = 30 * 24 * time.Hour // after which shared virtual environments are removed

// installAll gives the workspace what the project installs, in which files/ is rendered. What is there already stays. A
// job whose workspace has none of it takes the virtual environments that the jobs of its task share.
func (r *releaseRun) installAll(ctx context.Context) error {
	if err := r.dropLinks(); err != nil {
		return err
	}
	o := r.app.installOptions(r.session)
	whole := func() bool { return len(r.session.ws.Problems(ctx, o, r.venvNames())) == 0 }
	if whole() {
		return nil
	}
	if dir := r.app.env(cloud.EnvVenvs); dir != "" {
		if err := r.takeFromImage(ctx, o, dir); err != nil {
			return err
		}
		if whole() {
			return nil
		}
	}
	if err := r.install(ctx, o); err != nil {
		return err
	}
	return r.installed(ctx, o)
}

// takeFromImage links the virtual environments that the image of the job has in dir into the workspace, where they are what the release
// installs.
func (r *releaseRun) takeFromImage(ctx context.Context, o workspace.InstallOptions, dir string) error {
	o.VenvDir = dir
	for _, name := range venvNames(o.Installs) {
		if name == "" {
			continue
		}
		if wrong := r.session.ws.Problems(ctx, o, []string{name}); len(wrong) > 0 {
			r.app.Log.Warn(fmt.Sprintf("venv %q of the image is not the one of this release: %s", name, wrong[0].Reason))
			continue
		}
		err := os.Symlink(filepath.Join(dir, name), r.session.ws.Venv(name))
		if err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("take venv %q of the image: %w", name, err)
		}
	}
	return nil
}

// venvNames returns the names of all virtual environments that the run makes or uses; "" stands for the installs without one.
func (r *releaseRun) venvNames() []string {
	names := []string{""}
	for _, in := range r.session.project.Installs {
		names = append(names, in.Venv)
	}
	for name := range r.session.usedVenvs() {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (r *releaseRun) install(ctx context.Context, o workspace.InstallOptions) error {
	out := InstallOptions{Output: func(line string) { r.app.Log.Info(line) }, Started: r.options.Started}
	done, err := r.share(ctx, o, out)
	if done || err != nil {
		return err
	}
	r.app.Log.Info("the workspace lacks what the project installs: installing it now")
	_, err = r.app.install(ctx, r.session, r.lock, out)
	return err
}

// installed fails where a virtual environment is not usable, or is left from a release that has installed it.
func (r *releaseRun) installed(ctx context.Context, o workspace.InstallOptions) error {
	used := r.session.usedVenvs()
	var errs project.Errors
	for _, l := range r.session.ws.Problems(ctx, o, r.venvNames()) {
		if l.Kind >= workspace.Broken || l.Kind == workspace.Stale && l.Venv != "" && !r.session.installs(l.Venv) {
			d := r.session.problemOf(l)
			d.Pos = used[l.Venv]
			errs = append(errs, d)
		}
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// dropLinks takes away the links to virtual environments elsewhere that the run before this one has used.
func (r *releaseRun) dropLinks() error {
	var ours []string
	for _, dir := range []string{r.app.Venvs, r.app.env(cloud.EnvVenvs)} {
		if dir != "" {
			ours = append(ours, dir+"/")
		}
	}
	entries, err := os.ReadDir(r.session.ws.Dir())
	if err != nil {
		return fmt.Errorf("share venvs: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(r.session.ws.Dir(), e.Name())
		target, err := os.Readlink(path)
		if err == nil && slices.ContainsFunc(ours, func(dir string) bool { return strings.HasPrefix(target, dir) }) {
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("share venvs: %w", err)
			}
		}
	}
	return nil
}

// share links the virtual environments that jobs with these installs share into the workspace, after it has made them where
// that is needed. It returns false where they cannot be shared, or are not to be: the workspace has some of its own.
func (r *releaseRun) share(ctx context.Context, o workspace.InstallOptions, out InstallOptions) (bool, error) {
	if r.options.jobID == "" || r.app.Venvs == "" || len(o.Installs) == 0 {
		return false, nil
	}
	for _, in := range o.Installs {
		if _, err := os.Lstat(r.session.ws.Venv(in.Venv)); !errors.Is(err, os.ErrNotExist) {
			return false, nil
		}
	}
	key, err := r.session.ws.ShareKey(ctx, o)
	if err != nil || key == "" {
		return false, err
	}
	o.VenvDir = filepath.Join(r.app.Venvs, filepath.FromSlash(r.cloud.Scope.String()), key)
	out.venvDir = o.VenvDir
	defer dropUnused(filepath.Dir(o.VenvDir), time.Now())
	ok, err := r.takeShared(ctx, o, func() error {
		r.app.Log.Info("installing what the jobs of this task share, into " + o.VenvDir)
		_, err := r.app.install(ctx, r.session, r.lock, out)
		return err
	})
	if !ok || err != nil {
		return false, err
	}
	for _, in := range o.Installs {
		err := os.Symlink(filepath.Join(o.VenvDir, in.Venv), r.session.ws.Venv(in.Venv))
		if err != nil && !errors.Is(err, os.ErrExist) { // two installs of one venv
			return false, fmt.Errorf("share venv %q: %w", in.Venv, err)
		}
	}
	return true, nil
}

// takeShared takes part in the use of a shared folder until r.venvs is closed; nobody removes or changes it meanwhile. Where
// it is not whole, and nobody uses it, fill makes it so. It returns false where it is not whole and is in use.
func (r *releaseRun) takeShared(ctx context.Context, o workspace.InstallOptions, fill func() error) (bool, error) {
	whole := func() bool { return len(r.session.ws.Problems(ctx, o, venvsOf(o))) == 0 }
	for told := false; ; told = true {
		f, alone, err := lockShared(o.VenvDir)
		if err == nil && alone {
			f, err = refill(f, whole, fill)
		}
		switch {
		case err != nil:
			return false, err
		case f != nil && whole():
			r.venvs = f
			return true, nil
		case f != nil:
			r.app.Log.Warn(o.VenvDir + " is damaged and in use: installing into the workspace instead")
			return false, f.Close()
		case !told:
			r.app.Log.Info("waiting for another job, which installs what the jobs of this task share")
		}
		if err := cloud.Sleep(ctx, 100*time.Millisecond); err != nil {
			return false, err
		}
	}
}

// refill fills a shared folder that the caller has alone, unless it is whole, and shares the lock from then on. It returns nil
// if somebody else was faster.
func refill(f *os.File, whole func() bool, fill func() error) (*os.File, error) {
	now := time.Now()
	_ = os.Chtimes(f.Name(), now, now) // at worst it is installed again in a month
	if !whole() {
		if err := fill(); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil { // for a moment nobody had it
		return nil, f.Close()
	}
	return f, nil
}

func venvsOf(o workspace.InstallOptions) []string {
	var names []string
	for _, in := range o.Installs {
		names = append(names, in.Venv)
	}
	return names
}

// sharedLock is the file in a shared folder that its users have locked; its time is that of the last use.
const sharedLock = "lock"

// lockShared locks a shared folder, for the caller alone if nobody uses it. It returns nil while somebody else has it alone.
func lockShared(dir string) (f *os.File, alone bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, fmt.Errorf("share venvs: %w", err)
	}
	f, err = os.OpenFile(filepath.Join(dir, sharedLock), os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, os.ErrNotExist) { // just removed
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("share venvs: %w", err)
	}
	alone = true
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		alone = false
		err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	}
	if err == nil && !sameAsNow(f) {
		err = unix.EWOULDBLOCK
	}
	if err != nil {
		_ = f.Close()
		f = nil
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, false, nil
	}
	return f, alone, err
}

// sameAsNow reports whether the name of f still leads to f.
func sameAsNow(f *os.File) bool {
	mine, err := f.Stat()
	now, err2 := os.Stat(f.Name())
	return err == nil && err2 == nil && os.SameFile(mine, now)
}

// dropUnused removes the shared folders of a task that no job has used for long.
func dropUnused(dir string, now time.Time) {
	folders, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, d := range folders {
		path := filepath.Join(dir, d.Name())
		if strings.HasPrefix(d.Name(), goneMark) {
			_ = os.RemoveAll(path)
			continue
		}
		info, err := os.Stat(filepath.Join(path, sharedLock))
		if err != nil || now.Sub(info.ModTime()) < unusedFor {
			continue
		}
		if f, alone, err := lockShared(path); err == nil && f != nil {
			gone := filepath.Join(dir, goneMark+d.Name())
			if info, err := f.Stat(); alone && err == nil && now.Sub(info.ModTime()) > unusedFor && os.Rename(path, gone) == nil {
				_ = os.RemoveAll(gone) // what stays only takes room
			}
			_ = f.Close()
		}
	}
}

// goneMark begins the name of a shared folder that is being removed.
const goneMark = ".gone-"
