package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/secret"
)

// Secrets are those of one scope.
type Secrets struct{ room }

type stored struct {
	value    secret.Value
	modified time.Time
}

var _ cloud.Secrets = (*Secrets)(nil)

// level returns the secrets of a level; the caller holds the lock.
func (s *Secrets) level(l cloud.Level) map[string]stored {
	if l == cloud.LevelTask {
		return s.task().secrets
	}
	return s.group().secrets
}

// Put implements cloud.Secrets.
func (s *Secrets) Put(ctx context.Context, secrets ...cloud.Secret) error {
	for _, x := range secrets {
		if err := s.scope.CheckSecret(x.Level, x.Key); err != nil {
			return fmt.Errorf("put secrets: %w", err)
		}
	}
	leave, err := s.enter(ctx, false)
	if err != nil {
		return fmt.Errorf("put secrets: %w", err)
	}
	defer leave()
	for _, x := range secrets {
		s.level(x.Level)[x.Key] = stored{x.Value, s.now()}
	}
	return nil
}

// All implements cloud.Secrets.
func (s *Secrets) All(ctx context.Context) ([]cloud.Secret, error) {
	leave, err := s.enter(ctx, false)
	if err != nil {
		return nil, fmt.Errorf("get secrets: %w", err)
	}
	defer leave()
	var all []cloud.Secret
	for _, x := range s.list() {
		if len(all) == 0 || all[len(all)-1].Key != x.Key {
			all = append(all, cloud.Secret{Key: x.Key, Level: x.Level, Value: s.level(x.Level)[x.Key].value})
		}
	}
	return all, nil
}

// List implements cloud.Secrets.
func (s *Secrets) List(ctx context.Context) ([]cloud.SecretInfo, error) {
	leave, err := s.enter(ctx, false)
	if err != nil {
		return nil, fmt.Errorf("list secrets: %w", err)
	}
	defer leave()
	return s.list(), nil
}

func (s *Secrets) list() []cloud.SecretInfo {
	var list []cloud.SecretInfo
	for _, level := range []cloud.Level{cloud.LevelTask, cloud.LevelGroup} {
		for key, x := range s.level(level) {
			list = append(list, cloud.SecretInfo{Key: key, Level: level, Modified: x.modified})
		}
	}
	slices.SortFunc(list, func(a, b cloud.SecretInfo) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), -cmp.Compare(a.Level, b.Level)) // the task is in front
	})
	return list
}

// Delete implements cloud.Secrets.
func (s *Secrets) Delete(ctx context.Context, level cloud.Level, keys ...string) error {
	for _, key := range keys {
		if err := s.scope.CheckSecret(level, key); err != nil {
			return fmt.Errorf("delete secrets: %w", err)
		}
	}
	leave, err := s.enter(ctx, false)
	if err != nil {
		return fmt.Errorf("delete secrets: %w", err)
	}
	defer leave()
	for _, key := range keys {
		delete(s.level(level), key)
	}
	return nil
}
