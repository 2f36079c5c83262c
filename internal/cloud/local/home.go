// Package local is the cloud provider that needs no account: a folder of this machine holds buckets, secrets and logs.
// Many processes may use the folder at a time, and each may be killed at any point. docs/storage.md describes every file,
// so that another program can read them; what changes there rises formatVersion.
// The package must not read the environment, print, or reach outside of its folder.
package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/handoff-run/handoff/internal/cloud"
)

// formatVersion is what the file "version" of a home says.
const formatVersion = "1"

// parallel is how many calls of Files share one flush of the disk best.
const parallel = 128

// Home is a folder that holds everything of the provider.
type Home struct {
	dir   string
	group *syncGroup
}

// Open opens the home in dir and makes it where it does not exist. Whatever the mode of dir, what handoff makes in it
// is for its user only. It is ErrUnsupported where a newer handoff has made the home.
func Open(dir string) (*Home, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open home %q: %w", dir, err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, fmt.Errorf("open home %q: %w", dir, kind(err))
	}
	if err := checkVersion(filepath.Join(abs, "version")); err != nil {
		return nil, fmt.Errorf("open home %q: %w", dir, err)
	}
	return &Home{dir: abs, group: newSyncGroup(abs)}, nil
}

// checkVersion writes the version of a new home, or compares it.
func checkVersion(path string) error {
	text, err := readRaw(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return kind(err)
	}
	got := strings.TrimSpace(string(text))
	if got == "" { // a new home, or one whose first process was killed here
		return kind(os.WriteFile(path, []byte(formatVersion+"\n"), 0o600))
	}
	if got != formatVersion {
		return cloud.WithHint(fmt.Errorf("its format is %q, this handoff knows %q: %w", got, formatVersion, cloud.ErrUnsupported),
			"use the newer handoff that made it, or name another folder in HANDOFF_HOME")
	}
	return nil
}

// Dir returns the absolute path of the home.
func (h *Home) Dir() string { return h.dir }

// Cloud opens what the home has for a scope. Account, Infra, Jobs and Schedules are not set, nor what the list of providers
// says of this one.
func (h *Home) Cloud(s cloud.Scope) (*cloud.Cloud, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	return &cloud.Cloud{
		Scope: s, Here: true, Parallel: parallel,
		Files: h.Files(s), Secrets: h.Secrets(s), Logs: h.Logs(s),
	}, nil
}

// BucketDir returns the folder of the bucket of a scope, which exists from the first Put on.
func (h *Home) BucketDir(s cloud.Scope) string { return h.groupDir("buckets", s) }

// Files returns the bucket of a scope, which all tasks of its group share.
func (h *Home) Files(s cloud.Scope) *Files {
	return &Files{dir: h.BucketDir(s), group: h.group, buffers: sync.Pool{New: newBuffer}}
}

// Secrets returns the secrets of a scope.
func (h *Home) Secrets(s cloud.Scope) *Secrets {
	return &Secrets{home: h, root: filepath.Join(h.dir, "secrets"), scope: s}
}

// Logs returns the logs of a scope.
func (h *Home) Logs(s cloud.Scope) *Logs {
	if s.Task == "" {
		return newLogs(filepath.Join(h.groupDir("logs", s), "@group"))
	}
	return newLogs(h.taskDir("logs", s))
}

// groupDir returns <home>/<room>/<env stage>/<resource group>.
func (h *Home) groupDir(room string, s cloud.Scope) string {
	return filepath.Join(h.dir, room, encodePart(s.Stage), encodePart(s.ResourceGroup))
}

// clientsDir is, in the folder of a resource group, where its clients are.
const clientsDir = "@clients"

// clientDir returns the folder in which the tasks of the scope's client are: groupDir, or in it @clients/<client>.
func (h *Home) clientDir(room string, s cloud.Scope) string {
	if s.Client == "" {
		return h.groupDir(room, s)
	}
	return filepath.Join(h.groupDir(room, s), clientsDir, encodePart(s.Client))
}

// taskDir returns <clientDir>/<task>.
func (h *Home) taskDir(room string, s cloud.Scope) string {
	return filepath.Join(h.clientDir(room, s), encodePart(s.Task))
}

// kind adds the sentinel of package cloud that fits an error of the file system.
func kind(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return cloud.WithHint(fmt.Errorf("%w: %w", cloud.ErrDenied, err), "the folder and all in it must belong to the user who runs handoff")
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", cloud.ErrNotFound, err)
	}
	return err
}
