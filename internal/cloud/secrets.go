package cloud

import (
	"context"
	"fmt"
	"time"

	"github.com/handoff-run/handoff/internal/secret"
)

// Secrets holds the secrets of one scope on two levels: those of its task, and those of its resource group, which all
// tasks of the group share, and all clients, who can only read them. Values are bytes of any kind. One of 64 KiB is taken
// everywhere, and their number is not limited: a provider pages and splits by itself.
type Secrets interface {
	// Put stores the secrets, replacing those with the same key and level. Values never show in an error.
	Put(ctx context.Context, secrets ...Secret) error

	// All returns the secrets that a run of the task gets, sorted by key: where a key has both levels, that of the task.
	All(ctx context.Context) ([]Secret, error)

	// List returns what is stored, on both levels, sorted by key and then with the task first; no values are fetched
	// where the provider can do without.
	List(ctx context.Context) ([]SecretInfo, error)

	// Delete removes the keys of one level. A key that does not exist is no error.
	Delete(ctx context.Context, level Level, keys ...string) error
}

// Level says for whom a secret is.
type Level string

// The levels of a secret. Their text is that of the file .secrets/secrets.yml.
const (
	LevelTask  Level = secret.LevelTask
	LevelGroup Level = secret.LevelResourceGroup
)

// Secret is one secret with its value.
type Secret struct {
	Key   string       `json:"key"`
	Level Level        `json:"level"`
	Value secret.Value `json:"value"`
}

// SecretInfo is a secret without its value.
type SecretInfo struct {
	Key      string    `json:"key"`
	Level    Level     `json:"level"`
	Modified time.Time `json:"modified"`
}

// Rotation is what became of the secrets when the key with which a provider encrypts them was replaced.
type Rotation struct {
	Secrets int    `json:"secrets"` // encrypted anew; 0: there are none, and the key is as it was
	Files   int    `json:"files"`   // in which they are
	Key     string `json:"key"`     // where it is
}

// maxSecretKey is the length of the longest key of a secret.
const maxSecretKey = 255

// CheckSecret is the package's CheckSecret, and returns an ErrInvalid where the scope cannot change secrets of that level. Every
// provider calls it first.
func (s Scope) CheckSecret(level Level, key string) error {
	switch {
	case level == LevelTask && s.Task == "":
		return fmt.Errorf("secret %q: %w: no task is named, so it cannot be on its level", key, ErrInvalid)
	case level == LevelGroup && s.Client != "":
		return WithHint(fmt.Errorf("secret %q: %w: a client cannot change what all of the resource group share", key, ErrInvalid),
			"name no client, or make it a secret of the task")
	}
	return CheckSecret(level, key)
}

// CheckSecret returns an ErrInvalid unless level is one of the two and key has 1 to 255 ASCII letters, digits, "_", "-"
// and ".".
func CheckSecret(level Level, key string) error {
	switch {
	case level != LevelTask && level != LevelGroup:
		return fmt.Errorf("secret %q: %w level %q: want %q or %q", key, ErrInvalid, level, LevelTask, LevelGroup)
	case key == "":
		return fmt.Errorf("secret: %w: no key", ErrInvalid)
	case len(key) > maxSecretKey:
		return fmt.Errorf("secret %.20q...: %w: the key is longer than %d characters", key, ErrInvalid, maxSecretKey)
	case !plain(key):
		return WithHint(fmt.Errorf("secret %q: %w key", key, ErrInvalid),
			"use letters, digits, \"_\", \"-\" and \".\" in the key of a secret")
	}
	return nil
}
