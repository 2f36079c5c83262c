package cloud

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
	"unicode/utf8"
)

// Files is one bucket: objects by key, each replaced as a whole. Keys are slash paths (CheckKey); an object "a" and an
// object "a/b" can exist side by side. What Put or Delete did is seen by every Get and List that begins after it
// returned, in any process. What can copy by itself is a Copier, too.
type Files interface {
	// Get opens the object, or the part of it that o asks for. The reader returns that one version to its end, also where the
	// object is replaced or deleted meanwhile. Where the content is not what was written, Get or the reader returns ErrCorrupt,
	// the reader at the latest in place of io.EOF; a part need not be compared with what was written. The Object is the whole
	// one. The caller closes the reader. ErrNotFound: there is no such object.
	Get(ctx context.Context, key string, o GetOptions) (io.ReadCloser, Object, error)

	// Put stores all of body under key. Readers see the old object or the new one, never a mix, and nothing of a Put that
	// failed, was cancelled or was killed. body is read in pieces, and again where a request is sent again; memory does not grow with
	// its size. Where body has a SHA256, the content has it, or nothing is stored. ErrChanged: body was changed while it was
	// read, or has another hash. The Object that is returned has its SHA256.
	// With IfAbsent or IfMatch, of any number of writers that saw the same state exactly one wins; the others get
	// ErrConflict and change nothing. IfMatch on a missing object is ErrConflict. Without an option the last writer wins.
	// After any error but ErrInvalid, ErrChanged and an error of body the object may be the old one or the new one. That holds for
	// ErrConflict, too: a request whose answer was lost is sent again and may meet what its first try has stored. A provider
	// cannot tell: others may want to store the same. A caller to whom it matters finds out (Write).
	Put(ctx context.Context, key string, body Body, o PutOptions) (Object, error)

	// List yields the objects below prefix, sorted by key (bytewise), with no limit on their number. A prefix is a folder:
	// "files" and "files/" both list "files/a", neither lists "files2/a" or an object "files"; "" lists all. An object that
	// is there during the whole listing is yielded once; one that comes or goes meanwhile may be yielded or not. No
	// objects is no error. It fetches as it goes: who leaves early has not paid for the rest.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]

	// Delete removes the objects. A key that does not exist is no error. Where it fails midway, some may be gone.
	Delete(ctx context.Context, keys ...string) error
}

// Object is what is known of an object without reading it.
type Object struct {
	Key      string    `json:"key"`
	Size     int64     `json:"size"` // bytes
	Modified time.Time `json:"modified"`
	ETag     string    `json:"etag"`             // changes when the content changes; its form is the provider's
	SHA256   string    `json:"sha256,omitempty"` // of the content, 64 lower-case hex digits; empty where a listing does not know it
}

// GetOptions says which part of an object is read. The zero GetOptions is all of it.
type GetOptions struct {
	Offset int64 // of the first byte; there may be none there: then the part is empty
	Length int64 // at most so many bytes; 0: to the end
}

// Check returns an ErrInvalid for a part that can be none.
func (o GetOptions) Check() error {
	if o.Offset < 0 || o.Length < 0 {
		return fmt.Errorf("%w: %d bytes from %d on", ErrInvalid, o.Length, o.Offset)
	}
	return nil
}

// Part returns the place and length of the part in an object of that size.
func (o GetOptions) Part(size int64) (offset, length int64) {
	offset = min(o.Offset, size)
	length = size - offset
	if o.Length > 0 {
		length = min(length, o.Length)
	}
	return offset, length
}

// PutOptions makes a Put conditional, by one of the first two, or cheap.
type PutOptions struct {
	IfAbsent bool   // store only where no such object exists
	IfMatch  string // store only where the object has this ETag

	// Fleeting is for signs of life: after a crash of the machine the object may be as it was before, since whoever put it
	// has died, too. It is never torn. A provider on other machines need not care.
	Fleeting bool
}

// Conditional reports whether the object that is there decides.
func (o PutOptions) Conditional() bool { return o.IfAbsent || o.IfMatch != "" }

// Check returns an ErrInvalid for options that contradict each other.
func (o PutOptions) Check() error {
	if o.IfAbsent && o.IfMatch != "" {
		return fmt.Errorf("%w: both IfAbsent and IfMatch", ErrInvalid)
	}
	return nil
}

// MaxKey is the length of the longest key, in bytes.
const MaxKey = 1024

// CheckKey returns an ErrInvalid unless key is 1 to MaxKey bytes of UTF-8 without NUL, in parts that are joined by single
// slashes, where no part is empty, "." or "..". Every provider calls it first.
func CheckKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("key: %w: empty", ErrInvalid)
	case len(key) > MaxKey:
		return fmt.Errorf("key %.40q...: %w: longer than %d bytes", key, ErrInvalid, MaxKey)
	case !utf8.ValidString(key):
		return fmt.Errorf("key %q: %w: not UTF-8", key, ErrInvalid)
	case strings.IndexByte(key, 0) >= 0:
		return fmt.Errorf("key %q: %w: has a NUL", key, ErrInvalid)
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("key %q: %w: a part is %q", key, ErrInvalid, part)
		}
	}
	return nil
}

// CheckPrefix returns prefix without a slash at its end, or an ErrInvalid. Every provider calls it first in List.
func CheckPrefix(prefix string) (string, error) {
	if prefix == "" {
		return "", nil
	}
	folder := strings.TrimSuffix(prefix, "/")
	if err := CheckKey(folder); err != nil {
		return "", fmt.Errorf("prefix: %w", err)
	}
	return folder, nil
}

// Below reports whether List(prefix) has key; prefix is one that CheckPrefix returned.
func Below(key, prefix string) bool {
	rest, ok := strings.CutPrefix(key, prefix)
	return ok && (prefix == "" || rest != "" && rest[0] == '/')
}
