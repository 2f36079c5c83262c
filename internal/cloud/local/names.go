package local

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"
)

// objectMark ends the name of the file of an object, so that a folder "a" and an object "a" can be in one folder. In all names of
// files a-z, 0-9, ".", "_" and "-" stand for themselves, "+a" for "A", "%xx" for any other byte: so names differ also on a file
// system that ignores case, folds Unicode or forbids some characters.
const objectMark = "@"

const (
	maxPart = 200 // bytes of one encoded part: 255 is what file systems take
	maxPath = 600 // bytes of an encoded key: 1,024 is what macOS takes for all of a path
)

const hexDigits = "0123456789abcdef"

func encodePart(part string) string {
	var b strings.Builder
	for i := range len(part) {
		switch c := part[i]; {
		case verbatim(c):
			b.WriteByte(c)
		case 'A' <= c && c <= 'Z':
			b.WriteByte('+')
			b.WriteByte(c - 'A' + 'a')
		default:
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

// encodeOr returns mark for an empty part.
func encodeOr(part, mark string) string {
	if part == "" {
		return mark
	}
	return encodePart(part)
}

func verbatim(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}

// decodePart returns false for a name that encodePart does not make.
func decodePart(name string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case verbatim(c):
			b.WriteByte(c)
		case c == '+' && i+1 < len(name):
			i++
			b.WriteByte(name[i] - 'a' + 'A')
		case c == '%' && i+2 < len(name):
			hi, lo := strings.IndexByte(hexDigits, name[i+1]), strings.IndexByte(hexDigits, name[i+2])
			if hi < 0 || lo < 0 {
				return "", false
			}
			b.WriteByte(byte(hi<<4 | lo))
			i += 2
		default:
			return "", false
		}
	}
	part := b.String()
	return part, encodePart(part) == name
}

// encodeKey returns the path of a key or prefix below "objects", without the mark, and false for one that is too long:
// such an object is in "long".
func encodeKey(key string) (string, bool) {
	parts := strings.Split(key, "/")
	total := 0
	for i, part := range parts {
		parts[i] = encodePart(part)
		total += len(parts[i]) + 1
		if len(parts[i]) > maxPart || total > maxPath {
			return "", false
		}
	}
	return filepath.Join(parts...), true
}

// objectPath returns where in a bucket the object is.
func objectPath(key string) string {
	if path, ok := encodeKey(key); ok {
		return filepath.Join("objects", path+objectMark)
	}
	sum := sha256.Sum256([]byte(key))
	return filepath.Join("long", hex.EncodeToString(sum[:])+objectMark)
}
