package local

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/secret"
)

func hide(s *Secrets, level cloud.Level, key, value string) error {
	return s.Put(context.Background(), cloud.Secret{Key: key, Level: level, Value: secret.NewValue(value)})
}

func TestSecretsAreEncrypted(t *testing.T) {
	t.Parallel()
	h := openHome(t)
	if err := hide(h.Secrets(scope), cloud.LevelTask, "name_of_key", "planted-value"); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(h.Dir(), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		for _, plain := range []string{"planted-value", "cGxhbnRlZC12YWx1ZQ", "name_of_key"} {
			if bytes.Contains(text, []byte(plain)) {
				t.Errorf("%s holds %q", path, plain)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestAgeReadsSecrets does what age -d -i key.txt task-rates.age does.
func TestAgeReadsSecrets(t *testing.T) {
	t.Parallel()
	h := openHome(t)
	if err := hide(h.Secrets(scope), cloud.LevelTask, "k", "value"); err != nil {
		t.Fatal(err)
	}
	keys, err := os.Open(filepath.Join(h.Dir(), "secrets", "key.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	ids, err := age.ParseIdentities(keys)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := os.ReadFile(filepath.Join(h.Dir(), "secrets", "prod", "etl", "task-rates.age"))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := age.Decrypt(bytes.NewReader(sealed), ids...)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(plain); err != nil || !strings.HasPrefix(string(text), `{"version":1,"secrets":{"k":{"value":"dmFsdWU=","modified":"`) {
		t.Errorf("%s, %v", text, err)
	}
}

func TestSecretsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		spoil func(root string) error
		want  error
		words []string // in error and hint
	}{
		"the key is lost": {
			func(root string) error { return os.Remove(filepath.Join(root, "key.txt")) },
			cloud.ErrCorrupt, []string{"key.txt is lost", "backup", "only they", "buckets", "secrets push"},
		},
		"the key is empty": {
			func(root string) error { return os.WriteFile(filepath.Join(root, "key.txt"), nil, 0o600) },
			cloud.ErrCorrupt, []string{"no key in it", "backup", "only they"},
		},
		"another key": {
			func(root string) error {
				return os.WriteFile(filepath.Join(root, "key.txt"), []byte(other.String()+"\n"), 0o600)
			},
			cloud.ErrCorrupt, []string{"not the one", "put back", "only they"},
		},
		"others can read the key": {
			func(root string) error { return os.Chmod(filepath.Join(root, "key.txt"), 0o640) },
			cloud.ErrDenied, []string{"mode 0640", "chmod 600"},
		},
		"the file is cut": {
			func(root string) error { return os.Truncate(filepath.Join(root, "prod", "etl", "task-rates.age"), 210) },
			cloud.ErrCorrupt, []string{"task-rates.age", "backup", "only they", "other files"},
		},
		"the file is empty": {
			func(root string) error { return os.Truncate(filepath.Join(root, "prod", "etl", "task-rates.age"), 0) },
			cloud.ErrCorrupt, []string{"task-rates.age", "backup"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := openHome(t)
			s := h.Secrets(scope)
			if err := hide(s, cloud.LevelTask, "k", "planted"); err != nil {
				t.Fatal(err)
			}
			if err := test.spoil(filepath.Join(h.Dir(), "secrets")); err != nil {
				t.Fatal(err)
			}
			_, all := s.All(t.Context())
			_, list := s.List(t.Context())
			put := hide(s, cloud.LevelTask, "other", "planted")
			removed := s.Delete(t.Context(), cloud.LevelTask, "k")
			for what, err := range map[string]error{"all": all, "list": list, "put": put, "delete": removed} {
				if !errors.Is(err, test.want) {
					t.Errorf("%s: %v, want %v", what, err, test.want)
					continue
				}
				for _, word := range test.words {
					if !strings.Contains(err.Error()+cloud.Hint(err), word) {
						t.Errorf("%s says nothing of %q: %v (%s)", what, word, err, cloud.Hint(err))
					}
				}
			}
		})
	}
}

// TestLostKeyIsNotReplaced: a new key beside old files, wherever they are, would look as if nothing had happened.
func TestLostKeyIsNotReplaced(t *testing.T) {
	t.Parallel()
	client := scope
	client.Client = "acme"
	for name, test := range map[string]struct {
		scope cloud.Scope
		level cloud.Level
	}{"a group": {scope, cloud.LevelGroup}, "a task": {scope, cloud.LevelTask}, "a client": {client, cloud.LevelTask}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := openHome(t)
			if err := hide(h.Secrets(test.scope), test.level, "k", "v"); err != nil {
				t.Fatal(err)
			}
			key := filepath.Join(h.Dir(), "secrets", "key.txt")
			if err := os.Rename(key, key+".away"); err != nil {
				t.Fatal(err)
			}
			elsewhere := cloud.Scope{Stage: "dev", ResourceGroup: "new", Task: "t"}
			if err := hide(h.Secrets(elsewhere), cloud.LevelTask, "k", "v"); !errors.Is(err, cloud.ErrCorrupt) {
				t.Errorf("put into another scope: %v, want ErrCorrupt", err)
			}
			if err := os.Rename(key+".away", key); err != nil {
				t.Fatal(err)
			}
			if all, err := h.Secrets(test.scope).All(t.Context()); err != nil || len(all) != 1 {
				t.Errorf("with the key back: %v, %v", all, err)
			}
		})
	}
}

func TestDamagedGroupLeavesOtherFiles(t *testing.T) {
	t.Parallel()
	h := openHome(t)
	if err := errors.Join(hide(h.Secrets(scope), cloud.LevelGroup, "k", "v"), hide(h.Secrets(scope), cloud.LevelTask, "k", "v")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(h.Dir(), "secrets", "prod", "etl", "group.age")
	if err := os.WriteFile(path, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := hide(h.Secrets(scope), cloud.LevelTask, "more", "v"); err != nil {
		t.Errorf("put on the level that is whole: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if all, err := h.Secrets(scope).All(t.Context()); err != nil || len(all) != 2 {
		t.Errorf("after the damaged file was moved away: %v, %v", all, err)
	}
}
