package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/atomicfile"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/secret"
)

// Secrets holds the secrets of one scope: a file for the resource group and one for each task, each encrypted with the
// key in <home>/secrets/key.txt. The files and the key are those of the program age, which can read them:
// age -d -i key.txt group.age.
type Secrets struct {
	home  *Home
	root  string // with the key
	scope cloud.Scope
}

var _ cloud.Secrets = (*Secrets)(nil)

// vault is the content of one file.
type vault struct {
	Version int               `json:"version"`
	Secrets map[string]stored `json:"secrets"`
}

type stored struct {
	Value    []byte    `json:"value"` // base64 in JSON: any bytes
	Modified time.Time `json:"modified"`
}

// Put implements cloud.Secrets. The secrets of one level are stored all or none.
func (s *Secrets) Put(ctx context.Context, secrets ...cloud.Secret) error {
	levels := map[cloud.Level]map[string]stored{}
	now := time.Now().UTC()
	for _, x := range secrets {
		if err := s.scope.CheckSecret(x.Level, x.Key); err != nil {
			return fmt.Errorf("put secrets: %w", err)
		}
		if levels[x.Level] == nil {
			levels[x.Level] = map[string]stored{}
		}
		levels[x.Level][x.Key] = stored{[]byte(x.Value.Reveal()), now}
	}
	for _, level := range slices.Sorted(maps.Keys(levels)) {
		err := s.change(ctx, level, func(v *vault) { maps.Copy(v.Secrets, levels[level]) })
		if err != nil {
			return fmt.Errorf("put secrets: %w", err)
		}
	}
	return nil
}

// Delete implements cloud.Secrets.
func (s *Secrets) Delete(ctx context.Context, level cloud.Level, keys ...string) error {
	for _, key := range keys {
		if err := s.scope.CheckSecret(level, key); err != nil {
			return fmt.Errorf("delete secrets: %w", err)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	err := s.change(ctx, level, func(v *vault) {
		for _, key := range keys {
			delete(v.Secrets, key)
		}
	})
	if err != nil {
		return fmt.Errorf("delete secrets: %w", err)
	}
	return nil
}

// All implements cloud.Secrets.
func (s *Secrets) All(ctx context.Context) ([]cloud.Secret, error) {
	all := map[string]cloud.Secret{}
	for _, level := range s.levels() {
		v, err := s.read(ctx, level)
		if err != nil {
			return nil, fmt.Errorf("get secrets: %w", err)
		}
		for key, x := range v.Secrets {
			all[key] = cloud.Secret{Key: key, Level: level, Value: secret.NewValue(string(x.Value))}
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b cloud.Secret) int { return strings.Compare(a.Key, b.Key) }), nil
}

// List implements cloud.Secrets.
func (s *Secrets) List(ctx context.Context) ([]cloud.SecretInfo, error) {
	var list []cloud.SecretInfo
	levels := s.levels()
	slices.Reverse(levels)
	for _, level := range levels {
		v, err := s.read(ctx, level)
		if err != nil {
			return nil, fmt.Errorf("list secrets: %w", err)
		}
		for key, x := range v.Secrets {
			list = append(list, cloud.SecretInfo{Key: key, Level: level, Modified: x.Modified})
		}
	}
	slices.SortStableFunc(list, func(a, b cloud.SecretInfo) int { return strings.Compare(a.Key, b.Key) })
	return list, nil
}

// levels returns those of the scope, the one that wins last.
func (s *Secrets) levels() []cloud.Level {
	if s.scope.Task == "" {
		return []cloud.Level{cloud.LevelGroup}
	}
	return []cloud.Level{cloud.LevelGroup, cloud.LevelTask}
}

func (s *Secrets) path(level cloud.Level) string {
	if level == cloud.LevelTask {
		return filepath.Join(s.home.clientDir("secrets", s.scope), "task-"+encodePart(s.scope.Task)+".age")
	}
	return filepath.Join(s.home.groupDir("secrets", s.scope), "group.age")
}

// read returns an empty vault where the file does not exist. A file and the keys are two reads: where Rotate has come in between,
// the file is another one now.
func (s *Secrets) read(ctx context.Context, level cloud.Level) (vault, error) {
	path := s.path(level)
	var before []byte
	for {
		if ctx.Err() != nil {
			return vault{}, context.Cause(ctx)
		}
		sealed, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return vault{Version: vaultVersion, Secrets: map[string]stored{}}, nil
		}
		if err != nil {
			return vault{}, kind(err)
		}
		keys, err := s.keys()
		if err != nil {
			return vault{}, err
		}
		v, err := open(sealed, keys, path)
		if err == nil || bytes.Equal(sealed, before) {
			return v, err
		}
		before = sealed
	}
}

// change reads, edits and replaces the file of a level, one process at a time.
func (s *Secrets) change(ctx context.Context, level cloud.Level, edit func(*vault)) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	dir := filepath.Dir(s.path(level))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return kind(err)
	}
	// One lock for the whole home: the first Put makes the key, and there must be one key only.
	held, err := lockFile(ctx, filepath.Join(s.root, "lock"), unix.LOCK_EX)
	if err != nil {
		return kind(err)
	}
	defer held.Close() // frees the lock
	v, err := s.read(ctx, level)
	if err != nil {
		return err
	}
	keys, err := s.keysOrNew()
	if err != nil {
		return err
	}
	edit(&v)
	sealed, err := seal(v, keys)
	if err != nil {
		return err
	}
	if err := atomicfile.WriteDurable(s.path(level), sealed, 0o600); err != nil {
		return kind(err)
	}
	return syncUp(dir, s.root)
}

// syncUp flushes the folders from dir up to root, which this call may have made.
func syncUp(dir, root string) error {
	for ; len(dir) > len(root); dir = filepath.Dir(dir) {
		if err := syncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	return nil
}
