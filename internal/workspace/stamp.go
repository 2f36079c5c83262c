package workspace

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// stamps are the installs that have succeeded: for each venv a hash for each command, in order.
type stamps map[string][]string

func (w *Workspace) stampFile() string { return filepath.Join(w.state(), "installs.json") }

// readStamps answers no stamps when the file is missing or damaged: then everything is installed again.
func (w *Workspace) readStamps() stamps {
	s := stamps{}
	text, err := os.ReadFile(w.stampFile())
	if err != nil || json.Unmarshal(text, &s) != nil || s == nil {
		return stamps{}
	}
	return s
}

func (w *Workspace) writeStamps(s stamps) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("record installs: %w", err)
	}
	tmp := w.stampFile() + ".new"
	if err := os.WriteFile(tmp, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("record installs: %w", err)
	}
	if err := os.Rename(tmp, w.stampFile()); err != nil {
		return fmt.Errorf("record installs: %w", err)
	}
	return nil
}

// chain hashes the commands of one venv; each hash covers all that came before it, since order matters.
type chain struct {
	last  string
	count int
	loose bool // a command was added whose inputs cannot be hashed
}

// link is one command in a chain.
type link struct {
	index  int
	hash   string
	stable bool // false: no telling whether it changed
}

func (c *chain) add(command string, inputs []string, hashable bool) link {
	h := sha256.New()
	for _, part := range append([]string{c.last, command}, inputs...) {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	c.last = hex.EncodeToString(h.Sum(nil))
	c.loose = c.loose || !hashable
	c.count++
	return link{index: c.count - 1, hash: c.last, stable: !c.loose}
}

// chain answers the chain of a venv. The first time that makes the venv, and starts the chain with the version of its
// interpreter.
func (i *installer) chain(ctx context.Context, venv string) (*chain, error) {
	if c := i.chains[venv]; c != nil {
		return c, nil
	}
	c := &chain{}
	if venv != "" {
		if err := i.makeVenv(ctx, venv); err != nil {
			return nil, err
		}
		c.last = i.version(ctx, venv)
	}
	i.chains[venv] = c
	return c, nil
}

// version answers what the interpreter of a venv says that it is, "" if it does not.
func (i *installer) version(ctx context.Context, venv string) string {
	c := &child{args: []string{filepath.Join(i.w.Venv(venv), "bin", "python"), "--version"}, dir: i.w.dir,
		environ: i.o.Environ, killAfter: i.killAfter}
	if err := c.run(ctx); err != nil {
		return ""
	}
	return strings.Join(c.tail, "\n")
}

// inputs answers the hashes of the files that a command names, such as requirements.txt. The second answer is false when
// it names a folder, or a file that cannot be read: then no hash tells whether it has changed. As for pip, a word without
// a slash is the name of a package and not of a folder.
func (w *Workspace) inputs(command string) ([]string, bool) {
	var hashes []string
	for _, word := range strings.Fields(command) {
		path := w.path(word)
		info, err := os.Stat(path)
		switch {
		case err != nil:
		case info.Mode().IsRegular():
			hash, err := hashFile(path)
			if err != nil {
				return nil, false
			}
			hashes = append(hashes, hash)
		case info.IsDir() && (word == "." || strings.Contains(word, "/")):
			return nil, false
		}
	}
	return hashes, true
}

// path answers the file that a word of a command would mean: a, "a" or --option=a.
func (w *Workspace) path(word string) string {
	if option, value, ok := strings.Cut(word, "="); ok && strings.HasPrefix(option, "-") {
		word = value
	}
	word = strings.Trim(word, "\"'")
	if filepath.IsAbs(word) {
		return word
	}
	return filepath.Join(w.dir, word)
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
