package pipeline

import (
	"bytes"
	"fmt"
	"sync/atomic"
)

const (
	maxStderr  = 1 << 30 // bytes of all *_stderr.log of a run: from then on each keeps only the end of what follows
	stderrTail = 1 << 20 // bytes of that end
)

// A budget is what may still be written by many; it may be passed by one write of each.
type budget struct {
	most int64 // bytes
	used atomic.Int64
}

// take reports whether n more bytes may be written.
func (b *budget) take(n int) bool {
	if b.used.Load() >= b.most {
		return false
	}
	b.used.Add(int64(n))
	return true
}

// A tail keeps the end of what is written to it, in memory, and counts the rest.
type tail struct {
	most int // bytes
	kept []byte
	lost int64
}

func (t *tail) add(b []byte) {
	t.kept = append(t.kept, b...)
	if len(t.kept) > 2*t.most { // so seldom that each byte is moved once
		t.trim()
	}
}

// trim forgets what is in front of the end, to the end of a line where there is one.
func (t *tail) trim() {
	gone := len(t.kept) - t.most
	if gone <= 0 {
		return
	}
	if end := bytes.IndexByte(t.kept[gone:], '\n'); end >= 0 && gone+end+1 < len(t.kept) {
		gone += end + 1
	}
	t.lost += int64(gone)
	t.kept = append(t.kept[:0], t.kept[gone:]...)
}

// text is what belongs behind the head: how much is left out, and the end.
func (t *tail) text() []byte {
	if len(t.kept) == 0 {
		return nil
	}
	t.trim()
	if t.lost == 0 {
		return t.kept
	}
	return append(fmt.Appendf(nil, "handoff: %d bytes are left out here: the run has written more than is kept\n", t.lost), t.kept...)
}
