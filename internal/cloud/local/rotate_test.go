package local

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/handoff-run/handoff/internal/atomicfile"
	"github.com/handoff-run/handoff/internal/cloud"
)

// rotated is a home with a secret of a resource group, of a task and of a client.
func rotated(t *testing.T) (*Home, []cloud.Scope) {
	t.Helper()
	h := openHome(t)
	client, other := scope, scope
	client.Client, other.Stage = "acme", "dev"
	err := errors.Join(hide(h.Secrets(scope), cloud.LevelGroup, "g", "of the group"), hide(h.Secrets(scope), cloud.LevelTask, "t", "of the task"),
		hide(h.Secrets(client), cloud.LevelTask, "c", "of the client"), hide(h.Secrets(other), cloud.LevelTask, "o", "elsewhere"))
	if err != nil {
		t.Fatal(err)
	}
	return h, []cloud.Scope{scope, client, other}
}

func allOf(t *testing.T, h *Home, scopes []cloud.Scope) (values []string) {
	t.Helper()
	for _, s := range scopes {
		all, err := h.Secrets(s).All(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range all {
			values = append(values, s.Prefix()+" "+x.Key+"="+x.Value.Reveal())
		}
	}
	return values
}

func keyText(t *testing.T, h *Home) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(h.Dir(), "secrets", "key.txt"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRotate(t *testing.T) {
	t.Parallel()
	h, scopes := rotated(t)
	want, before := allOf(t, h, scopes), keyText(t, h)
	r, err := h.RotateSecrets(t.Context())
	if err != nil || r.Files != 4 || r.Secrets != 4 {
		t.Errorf("%+v, %v", r, err)
	}
	if got := allOf(t, h, scopes); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	after := keyText(t, h)
	if after == before || strings.Count(after, "AGE-SECRET-KEY-") != 1 {
		t.Errorf("key.txt has %d keys", strings.Count(after, "AGE-SECRET-KEY-"))
	}
	if err := os.WriteFile(r.Key, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Secrets(scope).All(t.Context()); !errors.Is(err, cloud.ErrCorrupt) {
		t.Errorf("with the old key: %v, want ErrCorrupt", err)
	}
}

func TestRotateWithoutSecrets(t *testing.T) {
	t.Parallel()
	if r, err := openHome(t).RotateSecrets(t.Context()); err != nil || r.Files != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestRotateKilled ends a rotation before and after each of its writes: all can be read and written, and the next one ends it.
func TestRotateKilled(t *testing.T) {
	t.Parallel()
	killed := errors.New("killed")
	for n := range 12 { // 6 writes: the keys, 4 files, the key
		h, scopes := rotated(t)
		want := allOf(t, h, scopes)
		left := n
		_, err := h.Secrets(cloud.Scope{}).rotate(t.Context(), func(path string, content []byte) error {
			if left--; left < 0 {
				return killed
			}
			err := atomicfile.WriteDurable(path, content, 0o600)
			if left--; left < 0 {
				return killed
			}
			return err
		})
		if !errors.Is(err, killed) {
			t.Errorf("%d: %v", n, err)
		}
		if got := allOf(t, h, scopes); !slices.Equal(got, want) {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
		if err := hide(h.Secrets(scope), cloud.LevelTask, "t", "of the task"); err != nil {
			t.Errorf("%d: %v", n, err)
		}
		if _, err := h.RotateSecrets(t.Context()); err != nil || strings.Count(keyText(t, h), "AGE-SECRET-KEY-") != 1 {
			t.Errorf("%d: the next one: %v, key.txt %d keys", n, err, strings.Count(keyText(t, h), "AGE-SECRET-KEY-"))
		}
		if got := allOf(t, h, scopes); !slices.Equal(got, want) {
			t.Errorf("%d: after the next one %q, want %q", n, got, want)
		}
	}
}

// TestRotateDamaged: a file that cannot be read keeps the old key, since it may be restored.
func TestRotateDamaged(t *testing.T) {
	t.Parallel()
	h, scopes := rotated(t)
	want := allOf(t, h, scopes)
	path := h.Secrets(scope).path(cloud.LevelGroup)
	whole, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, whole[:len(whole)-9], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.RotateSecrets(t.Context()); !errors.Is(err, cloud.ErrCorrupt) || !strings.Contains(err.Error(), "old key is kept") || cloud.Hint(err) == "" {
		t.Errorf("%v (%s)", err, cloud.Hint(err))
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := allOf(t, h, scopes); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestRotateWhileRead: who reads and writes meanwhile never misses a secret.
func TestRotateWhileRead(t *testing.T) {
	t.Parallel()
	h, _ := rotated(t)
	done := make(chan error, 1)
	go func() {
		for range 10 {
			if _, err := h.RotateSecrets(context.Background()); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for n := 0; ; n++ {
		if all, err := h.Secrets(scope).All(t.Context()); err != nil || len(all) != 2 {
			t.Fatalf("%d: %d secrets, %v", n, len(all), err)
		}
		if n%8 == 0 {
			if err := hide(h.Secrets(scope), cloud.LevelTask, "t", "again"); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
}
