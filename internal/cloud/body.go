package cloud

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
)

// Body is the content of an object that is to be stored. It knows its length and can be read as often as needed, also at several
// places at a time: a request is sent again, a large object in parts. The zero Body is empty. It holds nothing that needs to be
// closed; what it was made from stays as it is until the Put has returned.
type Body struct {
	from  io.ReaderAt
	size  int64
	sum   string       // SHA-256 in hex; "": not known
	whole func() error // returns an ErrChanged where what was read need not be the content; nil: it is
}

// Bytes returns the Body that is b.
func Bytes(b []byte) Body { return Body{from: bytes.NewReader(b), size: int64(len(b))} }

// Text returns the Body that is s.
func Text(s string) Body { return Body{from: strings.NewReader(s), size: int64(len(s))} }

// From returns the Body that is the first size bytes of r. Where r has fewer, reading it is ErrChanged.
func From(r io.ReaderAt, size int64) Body { return Body{from: r, size: size} }

// FromFile returns the Body that is the file as it is now. Where it is changed until it has been read, reading it is ErrChanged.
func FromFile(f *os.File) (Body, error) {
	before, err := f.Stat()
	if err != nil {
		return Body{}, err
	}
	return Body{from: f, size: before.Size(), whole: func() error {
		now, err := f.Stat()
		if err == nil && (now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime())) {
			err = fmt.Errorf("%s: %w", f.Name(), ErrChanged)
		}
		return err
	}}, nil
}

// WithSHA256 returns b as one whose content is known to have the hash: 64 lower-case hex digits.
func (b Body) WithSHA256(sum string) Body {
	b.sum = sum
	return b
}

// Size is the length in bytes.
func (b Body) Size() int64 { return b.size }

// SHA256 is the hash that the content has to have, in hex; "" where it is not known.
func (b Body) SHA256() string { return b.sum }

// Open returns a new reader at the beginning. It returns Size bytes, the last of them when it is known that nothing has changed, and
// then io.EOF. It does not look at SHA256: who stores the content compares.
func (b Body) Open() io.ReadSeeker { return &bodyReader{Body: b} }

type bodyReader struct {
	Body
	at int64
}

// Read implements io.Reader.
func (r *bodyReader) Read(p []byte) (int, error) {
	left := r.size - r.at
	if left <= 0 {
		return 0, r.end()
	}
	p = p[:min(int64(len(p)), left)]
	n, err := r.from.ReadAt(p, r.at)
	switch {
	case n == len(p):
		err = nil
	case err == io.EOF:
		err = cmp.Or(r.unchanged(), fmt.Errorf("%w: it has become shorter", ErrChanged))
	}
	if err == nil && int64(n) == left {
		err = r.unchanged()
	}
	if err != nil {
		return 0, err
	}
	r.at += int64(n)
	return n, nil
}

// end is the error of a read behind the last byte. That of an empty file is its first one.
func (r *bodyReader) end() error {
	if r.size > 0 {
		return io.EOF
	}
	return cmp.Or(r.unchanged(), io.EOF)
}

func (r *bodyReader) unchanged() error {
	if r.whole == nil {
		return nil
	}
	return r.whole()
}

// Seek implements io.Seeker.
func (r *bodyReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return r.at, fmt.Errorf("seek: %w: to a place before the beginning", ErrInvalid)
	}
	r.at = offset
	return offset, nil
}

// inMemory is up to which size Spool keeps a stream in memory, in bytes.
const inMemory = 1 << 20

// Spool makes a Body of a stream, which it reads to its end: a larger one goes through a file without a name in the folder for
// temporary files. done gives back what that takes.
func Spool(r io.Reader) (b Body, done func(), err error) {
	var head bytes.Buffer
	n, err := io.CopyN(&head, r, inMemory)
	if err == io.EOF {
		return Bytes(head.Bytes()), func() {}, nil
	}
	if err != nil {
		return Body{}, nil, err
	}
	f, err := os.CreateTemp("", "handoff-*")
	if err != nil {
		return Body{}, nil, err
	}
	_ = os.Remove(f.Name())
	_, err = head.WriteTo(f)
	if err == nil {
		var more int64
		more, err = io.Copy(f, r)
		n += more
	}
	if err != nil {
		_ = f.Close()
		return Body{}, nil, err
	}
	return From(f, n), func() { _ = f.Close() }, nil
}
