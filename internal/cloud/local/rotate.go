package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/atomicfile"
	"github.com/handoff-run/handoff/internal/cloud"
)

// RotateSecrets gives the home a new key, and encrypts all secrets with it. Until all of them are, key.txt has the old key, too: at
// any moment whoever reads finds the key of what he reads, also after a kill, and the next call ends what was begun. Writers wait.
// Without secrets nothing is done.
func (h *Home) RotateSecrets(ctx context.Context) (cloud.Rotation, error) {
	r, err := h.Secrets(cloud.Scope{}).rotate(ctx, func(path string, content []byte) error {
		return atomicfile.WriteDurable(path, content, 0o600)
	})
	if err != nil {
		return r, fmt.Errorf("rotate the key of secrets: %w", err)
	}
	return r, nil
}

func (s *Secrets) rotate(ctx context.Context, write func(string, []byte) error) (cloud.Rotation, error) {
	r := cloud.Rotation{Key: filepath.Join(s.root, "key.txt")}
	if _, err := os.Stat(s.root); errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	held, err := lockFile(ctx, filepath.Join(s.root, "lock"), unix.LOCK_EX)
	if err != nil {
		return r, kind(err)
	}
	defer held.Close() //nolint:errcheck // frees the lock
	paths, err := s.vaults()
	if err != nil || len(paths) == 0 {
		return r, err
	}
	old, err := s.keys()
	if err != nil {
		return r, err
	}
	fresh, err := age.GenerateX25519Identity()
	if err != nil {
		return r, fmt.Errorf("make a key: %w", err)
	}
	all := append(keys{fresh}, old...)
	if err := write(r.Key, all.text()); err != nil {
		return r, kind(err)
	}
	for _, path := range paths {
		n, err := reseal(ctx, path, all, write)
		if err != nil {
			return r, cloud.WithHint(fmt.Errorf("%w; the old key is kept, and every secret can be read as before", err), cloud.Hint(err))
		}
		r.Files, r.Secrets = r.Files+1, r.Secrets+n
	}
	return r, kind(write(r.Key, all[:1].text()))
}

// reseal encrypts a file anew, and returns how many secrets it has.
func reseal(ctx context.Context, path string, with keys, write func(string, []byte) error) (int, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	sealed, err := os.ReadFile(path)
	if err != nil {
		return 0, kind(err)
	}
	v, err := open(sealed, with, path)
	if err != nil {
		return 0, err
	}
	if sealed, err = seal(v, with); err != nil {
		return 0, err
	}
	return len(v.Secrets), kind(write(path, sealed))
}
