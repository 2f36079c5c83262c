// Package release keeps what runs: immutable snapshots of project.yml and files/, named by their content, in a bucket.
// The same project has the same name anywhere. Secrets are no part of a release. docs/releases.md says how it is stored.
// The package knows the Files of a cloud, no provider, no flag and no task.
package release

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// idPrefix says what the digits of an id are.
const idPrefix = "sha256:"

// Hash returns the id of the project in dir: "sha256:..." over project.yml and the tree of files/ (names, exec bits and
// contents).
func Hash(dir string) (string, error) {
	t, err := Scan(context.Background(), dir, All)
	if err != nil {
		return "", fmt.Errorf("hash release: %w", err)
	}
	return t.ID(), nil
}

// ID returns the name of a release with these entries, which are sorted by path. It covers what a run can see of them.
func ID(entries []Entry) string {
	h := sha256.New()
	var line []byte
	for i := range entries {
		e := &entries[i]
		line = line[:0]
		switch {
		case e.Dir:
			line = append(line, "folder "...)
		case e.Link != "":
			line = append(line, "link "...)
			line = strconv.AppendQuote(line, e.Link)
			line = append(line, ' ')
		default:
			line = append(line, "file "...)
			if e.executable() {
				line = append(line, "executable "...)
			}
			line = append(line, e.SHA256...)
			line = append(line, ' ')
		}
		line = strconv.AppendQuote(line, e.Path)
		h.Write(append(line, '\n'))
	}
	return idPrefix + hex.EncodeToString(h.Sum(nil))
}

// digits returns the 64 hex digits of an id; false for what is no id.
func digits(id string) (string, bool) {
	d, ok := strings.CutPrefix(id, idPrefix)
	return d, ok && len(d) == 2*sha256.Size && isHex(d)
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Short returns the id as people write it: the first 12 digits.
func Short(id string) string {
	d := strings.TrimPrefix(id, idPrefix)
	return d[:min(12, len(d))]
}
