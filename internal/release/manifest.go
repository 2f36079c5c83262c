package release

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/handoff-run/handoff/internal/cloud"
)

// formatVersion is that of every document in the bucket.
const formatVersion = 1

// The parts of a release, and what is never one.
const (
	configName  = "project.yml"
	filesName   = "files"
	clientsName = "clients"
	secretsName = ".secrets"
)

// Entry is one file, symbolic link or empty folder of a release.
type Entry struct {
	Path   string `json:"path"`             // "project.yml", "clients/....yml" or "files/..."
	Mode   string `json:"mode,omitempty"`   // of a file: 0644, 0755, or 0600, 0700 where it is private
	Size   int64  `json:"size,omitempty"`   // bytes
	SHA256 string `json:"sha256,omitempty"` // of a file: of its content
	Blob   string `json:"blob,omitempty"`   // of a file that is not empty: name of the blob that holds its content
	Offset int64  `json:"offset,omitempty"` // where in the blob
	Link   string `json:"link,omitempty"`   // of a link: where it leads to, relative
	Dir    bool   `json:"folder,omitempty"` // an empty folder
}

func (e *Entry) executable() bool { return e.Mode == "0755" || e.Mode == "0700" }

func (e *Entry) isFile() bool { return !e.Dir && e.Link == "" }

// permissions returns those of a fetched file.
func (e *Entry) permissions() fs.FileMode {
	switch e.Mode {
	case "0755":
		return 0o755
	case "0700":
		return 0o700
	case "0644":
		return 0o644
	}
	return 0o600
}

// mode returns the one of the four modes that a release keeps: whatever the umask was, the same project gets the same.
func mode(m fs.FileMode) string {
	switch exec, private := m&0o111 != 0, m&0o077 == 0; {
	case exec && private:
		return "0700"
	case exec:
		return "0755"
	case private:
		return "0600"
	}
	return "0644"
}

// Manifest says what a release consists of.
type Manifest struct {
	Format  int     `json:"format"`
	Release string  `json:"release"` // the id
	Entries []Entry `json:"entries"` // sorted by path

	Nonce   string    `json:"nonce,omitempty"`  // no two writes of a manifest are the same
	Removed time.Time `json:"removed,omitzero"` // the release is kept no longer: there are no entries

	etag string // as it was read
}

// errRemoved is a kind of cloud.ErrNotFound.
var errRemoved = fmt.Errorf("%w any more", cloud.ErrNotFound)

func newManifest(entries []Entry) *Manifest {
	return &Manifest{Format: formatVersion, Release: ID(entries), Entries: entries}
}

// Config returns whether the release has a project.yml: only then it can run.
func (m *Manifest) Config() bool {
	return slices.ContainsFunc(m.Entries, func(e Entry) bool { return e.Path == configName })
}

// Count returns the number of files and links, and the bytes in them.
func (m *Manifest) Count() (files int, size int64) {
	for i := range m.Entries {
		if !m.Entries[i].Dir {
			files++
		}
		size += m.Entries[i].Size
	}
	return files, size
}

// decodeManifest returns ErrCorrupt for a text that no push has written under this id.
func decodeManifest(text []byte, want string) (*Manifest, error) {
	m := new(Manifest)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("%w: %w", cloud.ErrCorrupt, err)
	}
	if err := checkFormat(m.Format); err != nil {
		return nil, err
	}
	if !m.Removed.IsZero() && m.Release == want {
		return nil, fmt.Errorf("%w: newer ones are kept, and it was removed on %s", errRemoved, m.Removed.UTC().Format("2006-01-02"))
	}
	for i := range m.Entries {
		if err := m.Entries[i].check(); err != nil {
			return nil, fmt.Errorf("%w: %w", cloud.ErrCorrupt, err)
		}
	}
	if got := ID(m.Entries); m.Release != want || got != want {
		return nil, fmt.Errorf("%w: its entries make %s", cloud.ErrCorrupt, Short(got))
	}
	return m, nil
}

func checkFormat(got int) error {
	switch {
	case got < 1:
		return fmt.Errorf("%w: it does not say its format", cloud.ErrCorrupt)
	case got > formatVersion:
		return cloud.WithHint(fmt.Errorf("format %d: %w by this handoff", got, cloud.ErrUnsupported), "use the newer handoff that wrote it")
	}
	return nil
}

// check refuses what could be written outside of the folder of a release, or read outside of its bucket.
func (e *Entry) check() error {
	if err := checkPath(e.Path); err != nil {
		return err
	}
	if !e.isFile() {
		return nil
	}
	if len(e.SHA256) != 64 || !isHex(e.SHA256) || e.Size < 0 || e.Offset < 0 || !isHex(e.Blob) || (e.Size > 0) != (e.Blob != "") {
		return fmt.Errorf("%q: impossible values", e.Path)
	}
	return nil
}

func checkPath(path string) error {
	if !utf8.ValidString(path) || strings.IndexByte(path, 0) >= 0 {
		return fmt.Errorf("%q: the name is not UTF-8", path)
	}
	if path != configName && !strings.HasPrefix(path, filesName+"/") && !isClient(path) || !fs.ValidPath(path) {
		return fmt.Errorf("%q is not a valid path in a release", path)
	}
	return nil
}
