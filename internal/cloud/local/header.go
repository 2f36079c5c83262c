package local

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
)

// The file of an object begins with a line of JSON, the header; the content follows. So one file, replaced by one rename,
// holds all that is known of the object. The fields before the key have a fixed width, so that the header can be
// written when the content has gone through, and read without a JSON decoder.
const (
	headSize     = `{"handoff_object":1,"size":`
	headModified = `,"modified":"`
	headETag     = `","etag":"`
	headSHA256   = `","sha256":"`
	headKey      = `","key":`
	headEnd      = "}\n"

	sizeWidth   = 20
	timeFormat  = "2006-01-02T15:04:05.000000000Z"
	etagWidth   = 32
	sha256Width = 64
	fixedHeader = len(headSize) + sizeWidth + len(headModified) + len(timeFormat) + len(headETag) + etagWidth +
		len(headSHA256) + sha256Width + len(headKey)
)

// maxHeader is the length of the longest header: JSON writes a byte of a key in up to six.
const maxHeader = fixedHeader + 6*cloud.MaxKey + 2 + len(headEnd)

// appendHeader appends the header of o, whose length depends on the key only.
func appendHeader(b []byte, o cloud.Object) []byte {
	b = append(b, headSize...)
	size := strconv.FormatInt(o.Size, 10)
	b = append(b, strings.Repeat(" ", sizeWidth-len(size))...)
	b = append(b, size...)
	b = append(b, headModified...)
	b = o.Modified.UTC().AppendFormat(b, timeFormat)
	b = append(b, headETag...)
	b = append(b, o.ETag...)
	b = append(b, headSHA256...)
	b = append(b, o.SHA256...)
	b = append(b, headKey...)
	key, _ := json.Marshal(o.Key) // a string can be marshalled
	b = append(b, key...)
	return append(b, headEnd...)
}

// blankHeader keeps the place of a header that is not known yet. No reader takes it for one.
func blankHeader(b []byte, key string) []byte {
	n := len(b)
	b = appendHeader(b, cloud.Object{
		Key: key, ETag: strings.Repeat("0", etagWidth), SHA256: strings.Repeat("0", sha256Width),
	})
	for i := n; i < len(b); i++ {
		b[i] = ' '
	}
	return b
}

// headerChunk is how much is read to find a header. Most headers, and small contents with them, come with one read.
const headerChunk = 2 << 10

// readHeader reads the header at the beginning of a file; rest is what it has read of the content. Any text that is not
// a header is cloud.ErrCorrupt.
func readHeader(f io.Reader) (o cloud.Object, rest []byte, err error) {
	buf := make([]byte, headerChunk)
	n, err := f.Read(buf)
	end := bytes.IndexByte(buf[:n], '\n')
	if end < 0 && n == len(buf) && err == nil {
		buf = append(buf, make([]byte, maxHeader-len(buf))...)
		var more int
		more, err = io.ReadFull(f, buf[n:])
		n += more
		end = bytes.IndexByte(buf[:n], '\n')
	}
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return cloud.Object{}, nil, err
	}
	o, ok := parseHeader(buf[:end+1])
	if !ok {
		return cloud.Object{}, nil, fmt.Errorf("%w: no header", cloud.ErrCorrupt)
	}
	return o, buf[end+1 : n], nil
}

// statHeader reads the header of the object at path.
func statHeader(path string) (cloud.Object, error) {
	f, err := openRaw(path)
	if err != nil {
		return cloud.Object{}, err
	}
	defer f.close()
	o, _, err := readHeader(f)
	return o, err
}

// openRaw opens a file to read it, without what os.Open does for files that stay open. The caller closes it.
func openRaw(path string) (rawFile, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	for err == unix.EINTR {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return rawFile(fd), nil
}

// readRaw is os.ReadFile for a small file.
func readRaw(path string) ([]byte, error) {
	f, err := openRaw(path)
	if err != nil {
		return nil, err
	}
	defer f.close()
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	return text, nil
}

// rawFile reads a file descriptor.
type rawFile int

func (f rawFile) Read(p []byte) (int, error) {
	n, err := unix.Read(int(f), p)
	for err == unix.EINTR {
		n, err = unix.Read(int(f), p)
	}
	if n == 0 && err == nil {
		return 0, io.EOF
	}
	return max(n, 0), err
}

func (f rawFile) close() { _ = unix.Close(int(f)) } // it is read only

// names returns the names in a folder.
func (f rawFile) names() (list []string, err error) {
	buf := make([]byte, 8<<10)
	for {
		n, err := unix.ReadDirent(int(f), buf)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, os.NewSyscallError("readdirent", err)
		case n == 0:
			return list, nil
		}
		_, _, list = unix.ParseDirent(buf[:n], -1, list)
	}
}

// parseHeader is the inverse of appendHeader.
func parseHeader(line []byte) (o cloud.Object, ok bool) {
	rest := string(line)
	take := func(before string, width int) string {
		if !strings.HasPrefix(rest, before) || len(rest) < len(before)+width {
			rest = ""
			return ""
		}
		field := rest[len(before) : len(before)+width]
		rest = rest[len(before)+width:]
		return field
	}
	size, err := strconv.ParseInt(strings.TrimLeft(take(headSize, sizeWidth), " "), 10, 64)
	if err != nil || size < 0 {
		return o, false
	}
	modified, err := time.Parse(timeFormat, take(headModified, len(timeFormat)))
	if err != nil {
		return o, false
	}
	o = cloud.Object{Size: size, Modified: modified, ETag: take(headETag, etagWidth), SHA256: take(headSHA256, sha256Width)}
	key, found := strings.CutPrefix(rest, headKey)
	key, ended := strings.CutSuffix(key, headEnd)
	if !found || !ended {
		return o, false
	}
	o.Key, ended = unquote(key)
	return o, ended
}

// unquote decodes a JSON string.
func unquote(text string) (s string, ok bool) {
	if n := len(text); n > 1 && text[0] == '"' && text[n-1] == '"' && isPlain(text[1:n-1]) {
		return text[1 : n-1], true
	}
	return s, json.Unmarshal([]byte(text), &s) == nil
}

// isPlain reports whether JSON writes a text as it is.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
