package secret

import (
	"encoding/binary"
	"slices"
	"strings"
)

// minLength is the length in bytes below which a value, or a line of it, cannot be masked: too much innocent text would
// look like it.
const minLength = 4

// matcher finds many patterns at once. It looks at four bytes a step, in a table that nearly every position of
// ordinary text fails; only the others are compared with the patterns that begin with those four bytes.
type matcher struct {
	table    [1 << 10]uint64     // bit set of hashed heads
	patterns map[uint32][]string // by head, longest first; each has minLength bytes or more
	starts   map[string]bool     // the first 1 to minLength-1 bytes of all patterns
	longest  int
}

// newMatcher returns nil when there is nothing to look for.
func newMatcher(patterns map[string]bool) *matcher {
	if len(patterns) == 0 {
		return nil
	}
	m := &matcher{patterns: map[uint32][]string{}, starts: map[string]bool{}}
	for p := range patterns {
		h := binary.LittleEndian.Uint32([]byte(p[:minLength]))
		m.patterns[h] = append(m.patterns[h], p)
		m.table[hash(h)>>6] |= 1 << (hash(h) & 63)
		m.longest = max(m.longest, len(p))
		for n := 1; n < minLength; n++ {
			m.starts[p[:n]] = true
		}
	}
	for _, ps := range m.patterns {
		slices.SortFunc(ps, func(a, b string) int { return len(b) - len(a) })
	}
	return m
}

// may reports whether a pattern may begin with head.
func (m *matcher) may(head uint32) bool {
	slot := hash(head)
	return m.table[slot>>6]>>(slot&63)&1 != 0
}

// hash returns 16 bits.
func hash(head uint32) uint32 { return head * 2654435769 >> 16 }

// skip returns the first place at or after i where a pattern may begin; beyond len(b)-minLength if there is none.
func (m *matcher) skip(b []byte, i int) int {
	// Four places for each load: this loop is where the time goes.
	for ; i+8 <= len(b); i += 4 {
		v := binary.LittleEndian.Uint64(b[i:])
		switch {
		case m.may(uint32(v)):
			return i
		case m.may(uint32(v >> 8)):
			return i + 1
		case m.may(uint32(v >> 16)):
			return i + 2
		case m.may(uint32(v >> 24)):
			return i + 3
		}
	}
	for i+minLength <= len(b) && !m.may(binary.LittleEndian.Uint32(b[i:])) {
		i++
	}
	return i
}

// next returns the first run of secret bytes at or after i; occurrences that overlap make one run.
func (m *matcher) next(b []byte, i int) (start, end int, ok bool) {
	for i = m.skip(b, i); i+minLength <= len(b) && (!ok || i < end); i = m.skip(b, i+1) {
		n := m.length(b[i:])
		if n > 0 && !ok {
			start, end, ok = i, i+n, true
		} else if n > 0 {
			end = max(end, i+n)
		}
	}
	return start, end, ok
}

// length returns the length of the longest pattern that b begins with.
func (m *matcher) length(b []byte) int {
	for _, p := range m.patterns[binary.LittleEndian.Uint32(b)] {
		if len(p) <= len(b) && p == string(b[:len(p)]) {
			return len(p)
		}
	}
	return 0
}

// tail returns where the longest end of b starts that may be the beginning of a pattern; len(b) if there is none.
func (m *matcher) tail(b []byte) int {
	for i := max(0, len(b)-m.longest+1); i < len(b); i++ {
		if m.begins(b[i:]) {
			return i
		}
	}
	return len(b)
}

// begins reports whether b is a proper prefix of a pattern.
func (m *matcher) begins(b []byte) bool {
	if len(b) < minLength {
		return m.starts[string(b)]
	}
	h := binary.LittleEndian.Uint32(b)
	if !m.may(h) {
		return false
	}
	return slices.ContainsFunc(m.patterns[h], func(p string) bool {
		return len(p) > len(b) && strings.HasPrefix(p, string(b))
	})
}
