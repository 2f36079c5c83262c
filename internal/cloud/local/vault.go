package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/handoff-run/handoff/internal/atomicfile"
	"github.com/handoff-run/handoff/internal/cloud"
)

const vaultVersion = 1

// notLost ends every message about secrets that cannot be read any more.
const notLost = "buckets, schedules, logs and run records are not encrypted and not touched by this"

// keys are those of the home: the first encrypts. There are more while Rotate is under way, or was when it was killed.
type keys []*age.X25519Identity

// keys reads the keys of the home.
func (s *Secrets) keys() (keys, error) {
	path := filepath.Join(s.root, "key.txt")
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, s.lostKey(path)
	}
	if err != nil {
		return nil, kind(err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, cloud.WithHint(fmt.Errorf("%w: the key file %s can be used by other users of this machine (mode %04o)", cloud.ErrDenied, path, mode),
			"if it was never read by anyone else: chmod 600 "+path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, kind(err)
	}
	var list keys
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		key, err := age.ParseX25519Identity(line)
		if err != nil {
			break
		}
		list = append(list, key)
	}
	if len(list) == 0 {
		return nil, cloud.WithHint(fmt.Errorf("the key file %s: %w: no key in it", path, cloud.ErrCorrupt), s.wayOut(path))
	}
	return list, nil
}

// text is the content of key.txt.
func (k keys) text() []byte {
	text := fmt.Sprintf("# The key of the secrets in this folder. Keep a copy in a safe place: without it they are lost.\n# public key: %s\n%s\n",
		k[0].Recipient(), k[0])
	for _, old := range k[1:] {
		text += fmt.Sprintf("# Of a rotation that has not ended: handoff secrets rotate.\n%s\n", old)
	}
	return []byte(text)
}

func (s *Secrets) lostKey(path string) error {
	return cloud.WithHint(fmt.Errorf("the key file %s is lost (%w): without it no secret of this home can be read", path, cloud.ErrCorrupt), s.wayOut(path))
}

// wayOut says what is lost with the key, and what is not.
func (s *Secrets) wayOut(path string) string {
	return fmt.Sprintf("restore %s from a backup; without one the values of all stored secrets are lost, and only they: %s; "+
		"to begin anew, move away %s and push the secrets of each project again: handoff secrets push", path, notLost, s.root)
}

// keysOrNew makes the key where nothing has been encrypted yet. The caller holds the lock.
func (s *Secrets) keysOrNew() (keys, error) {
	path := filepath.Join(s.root, "key.txt")
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return s.keys()
	}
	if used, err := s.vaults(); err != nil || len(used) > 0 {
		return nil, errors.Join(err, s.lostKey(path))
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	if err := atomicfile.WriteDurable(path, keys{key}.text(), 0o600); err != nil {
		return nil, kind(err)
	}
	return keys{key}, syncDir(filepath.Dir(s.root))
}

// vaults returns the paths of all files of the home that are encrypted.
func (s *Secrets) vaults() ([]string, error) {
	var all []string
	for _, below := range []string{"*", clientsDir + "/*/*"} { // of the folder of a resource group
		some, err := filepath.Glob(filepath.Join(escapeGlob(s.root), "*", "*", below+".age"))
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// escapeGlob makes a pattern that matches just path.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func seal(v vault, with keys) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, with[0].Recipient())
	if err != nil {
		return nil, err
	}
	_, err = w.Write(plain)
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return sealed.Bytes(), nil
}

// open is the inverse of seal; path is for messages.
func open(sealed []byte, with keys, path string) (vault, error) {
	r, err := with.decrypt(sealed)
	if _, other := errors.AsType[*age.NoIdentityMatchError](err); other {
		return vault{}, cloud.WithHint(fmt.Errorf("the secrets file %s: %w: the key in key.txt is not the one that it was encrypted with", path, cloud.ErrCorrupt),
			"put back the key.txt that belongs to it; without it the values in this file are lost, and only they: "+notLost+
				"; to begin anew, move the file away and run: handoff secrets push")
	}
	var v vault
	if err == nil {
		var plain []byte
		if plain, err = io.ReadAll(r); err == nil {
			err = json.Unmarshal(plain, &v)
		}
	}
	if err != nil || v.Secrets == nil {
		return vault{}, cloud.WithHint(fmt.Errorf("the secrets file %s: %w", path, cloud.ErrCorrupt),
			"restore it from a backup, or move it away and run: handoff secrets push; the values in this file are lost, and only they: "+
				notLost+", nor are the secrets in other files")
	}
	if v.Version > vaultVersion {
		return vault{}, cloud.WithHint(fmt.Errorf("the secrets file %s: format %d: %w", path, v.Version, cloud.ErrUnsupported), "use the newer handoff that wrote it")
	}
	return v, nil
}

func (k keys) decrypt(sealed []byte) (io.Reader, error) {
	var list []age.Identity
	for _, key := range k {
		list = append(list, key)
	}
	return age.Decrypt(bytes.NewReader(sealed), list...)
}
