package workspace

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/handoff-run/handoff/internal/atomicfile"
)

// stamp is what is known of the installs of one virtual environment, or of all that have none. That of a virtual
// environment lies in its folder, so that it is gone when the folder is.
type stamp struct {
	Place   string `json:"place"`            // the folder, absolute: scripts in it hold its path
	Python  python `json:"python,omitzero"`  // what it was made of
	Binary  binary `json:"binary,omitzero"`  // its bin/python at that time
	Adopted bool   `json:"adopted,omitzero"` // somebody else has made it: more may be in it, and it is not handoff's to remove
	Open    bool   `json:"open,omitzero"`    // an install has begun, or must follow, and has not succeeded
	Done    []done `json:"done,omitempty"`   // what has succeeded, in order
}

// done is an install that has succeeded.
type done struct {
	Command string `json:"command"`
	Hash    string `json:"hash"`            // of the command and what it named, before it ran
	After   string `json:"after,omitempty"` // the same when all installs had ended: some make or change what they name
}

// is reports whether the install would find what it found then.
func (d done) is(l link) bool { return l.sure && (l.hash == d.Hash || l.hash == d.After) }

// link is an install as it would run now.
type link struct {
	command string
	hash    string
	sure    bool // false: nobody can tell whether what it names has changed
}

// keeps returns how many of the installs in links need not run again, and why that is not all of them. clean is false
// if what was installed has to go first: it is another beginning, or more, than what links says.
func (s *stamp) keeps(links []link) (n int, clean bool, why string) {
	for n < len(s.Done) && n < len(links) && s.Done[n].is(links[n]) {
		n++
	}
	switch {
	case n < len(s.Done) && (n == len(links) || s.Done[n].Command != links[n].command):
		return n, false, fmt.Sprintf("it was installed with %q, which project.yml does not say any more", s.Done[n].Command)
	case n < len(links) && !links[n].sure:
		return n, true, ""
	case n < len(s.Done):
		return n, false, fmt.Sprintf("a file or variable that %q names has changed since", links[n].command)
	case n < len(links):
		return n, true, fmt.Sprintf("%q has not been run", links[n].command)
	}
	return n, true, ""
}

// readStamp returns nil where there is no stamp, or a damaged one.
func readStamp(path string) *stamp {
	text, err := os.ReadFile(path)
	s := &stamp{}
	if err != nil || json.Unmarshal(text, s) != nil || s.Place == "" {
		return nil
	}
	return s
}

func (s *stamp) write(path string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("record installs: %w", err)
	}
	if err := atomicfile.Write(path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("record installs: %w", err)
	}
	return nil
}

// stampFile is where the stamp of a venv is, or that of the installs without one.
func (i *installer) stampFile(venv string) string {
	if venv == "" {
		return filepath.Join(i.w.state(), "installs.json")
	}
	return filepath.Join(i.dir(venv), ".handoff-installs.json")
}

// links returns the installs of a venv as they would run now.
func (i *installer) links(venv string) []link {
	var links []link
	for _, in := range i.o.Installs {
		if in.Venv == venv {
			links = append(links, i.link(in.Command))
		}
	}
	return links
}

func (i *installer) link(command string) link {
	in := i.named(command)
	return link{command: command, hash: in.sum(), sure: in.sure}
}

// hashOf hashes texts so that none can pass for two.
func hashOf(texts ...string) string {
	h := sha256.New()
	for _, text := range texts {
		fmt.Fprintf(h, "%d:%s", len(text), text)
	}
	return hex.EncodeToString(h.Sum(nil))
}
