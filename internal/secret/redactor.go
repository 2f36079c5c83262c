package secret

import (
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Redactor masks secrets in text: as they are, and base64, hex, URL, JSON and shell encoded; of a secret with several
// lines also each line. Values and lines shorter than 4 bytes are not masked: see Unmasked. What templates have made of
// secrets is masked from 6 bytes on: see Learn. It is safe for concurrent use; a nil Redactor masks nothing.
type Redactor struct {
	mu     sync.Mutex
	known  map[string]bool // texts that are in forms
	forms  map[string]bool
	recent []string // texts that are masked for a while, the oldest first
	state  atomic.Pointer[lookup]
}

// lookup is never changed once it is in use.
type lookup struct {
	raw     []string
	matcher *matcher // nil: nothing to mask
}

// NewRedactor returns a Redactor of these values.
func NewRedactor(values ...Value) *Redactor {
	r := &Redactor{known: map[string]bool{}, forms: map[string]bool{}}
	r.Add(values...)
	return r
}

// Add masks further values from now on, also in Writers that exist.
func (r *Redactor) Add(values ...Value) {
	r.mu.Lock()
	defer r.mu.Unlock()
	raw := slices.Clone(r.lookup().raw)
	for _, v := range values {
		text := strings.TrimSpace(v.Reveal())
		if text == "" || slices.Contains(raw, text) {
			continue
		}
		raw = append(raw, text)
		r.known[text] = true
		addForms(r.forms, v.Reveal(), minLength)
	}
	r.update(raw)
}

// update makes the forms those that are masked; the caller holds r.mu.
func (r *Redactor) update(raw []string) {
	forms := r.forms
	if len(r.recent) > 0 {
		forms = maps.Clone(forms)
		for _, text := range r.recent {
			addForms(forms, text, minDerived)
		}
	}
	r.state.Store(&lookup{raw: raw, matcher: newMatcher(forms)})
}

func (r *Redactor) lookup() *lookup {
	if r == nil {
		return &lookup{}
	}
	if l := r.state.Load(); l != nil {
		return l
	}
	return &lookup{}
}

// String returns s with every secret replaced by Mask. Secrets that overlap are replaced by one Mask.
func (r *Redactor) String(s string) string {
	m := r.lookup().matcher
	if m == nil {
		return s
	}
	b := []byte(s)
	start, end, ok := m.next(b, 0)
	if !ok {
		return s
	}
	var out strings.Builder
	done := 0
	for ; ok; start, end, ok = m.next(b, end) {
		out.WriteString(s[done:start])
		out.WriteString(Mask)
		done = end
	}
	out.WriteString(s[done:])
	return out.String()
}

// Contains reports whether s holds a secret as it is, not encoded. Secrets of any length count, but for blank ones.
func (r *Redactor) Contains(s string) bool {
	return slices.ContainsFunc(r.lookup().raw, func(raw string) bool { return strings.Contains(s, raw) })
}

// Writer returns a Writer that masks what passes to w.
func (r *Redactor) Writer(w io.Writer) *Writer { return &Writer{redactor: r, w: w} }

// Writer masks a stream, also where a secret is split over several writes. It holds back only what may be the
// beginning of a secret; Flush or Close let that go. It is safe for concurrent use.
type Writer struct {
	redactor *Redactor
	w        io.Writer

	mu      sync.Mutex
	held    []byte // the end of the stream, which may be the beginning of a secret
	covered int    // so many bytes of held have been written, or are part of a Mask that has been
	bare    bool   // the last covered bytes were written as text
	out     []byte
}

// Write implements io.Writer. It returns len(p), or 0 and the error of the writer below.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.redactor.lookup().matcher
	if m == nil {
		return w.w.Write(p)
	}
	b := p
	if len(w.held) > 0 {
		b = append(w.held, p...)
	}
	w.out = w.out[:0]
	w.advance(m, b)
	if err := w.emit(); err != nil {
		return 0, err
	}
	return len(p), nil
}

// advance takes b, which begins with what was held, to the output as far as it is decided, and holds the rest.
func (w *Writer) advance(m *matcher, b []byte) {
	hold := m.tail(b)
	done := w.covered // b[:done] is out
	for i := 0; ; {
		start, end, ok := m.next(b, i)
		if !ok || start >= hold {
			break
		}
		// A run that begins in what a Mask stands for makes that Mask longer.
		if start >= done {
			w.out = append(w.out, b[done:start]...)
			w.out = append(w.out, Mask...)
		} else if w.bare {
			w.out = append(w.out, Mask...)
		}
		w.bare = false
		done, i = max(done, end), end
	}
	if done < hold {
		w.out = append(w.out, b[done:hold]...)
		done, w.bare = hold, false
	}
	w.held = append(w.held[:0], b[hold:]...)
	w.covered = done - hold
}

func (w *Writer) emit() error {
	if len(w.out) == 0 {
		return nil
	}
	_, err := w.w.Write(w.out)
	return err
}

// Flush writes what is held back: as it is when it is shorter than 4 bytes, else as Mask, since it is the beginning of
// a secret. Should the rest of that secret follow, it is masked.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	rest := w.held[w.covered:]
	if len(rest) == 0 {
		return nil
	}
	w.bare = len(w.held) < minLength
	w.out = w.out[:0]
	if w.bare {
		w.out = append(w.out, rest...)
	} else {
		w.out = append(w.out, Mask...)
	}
	w.covered = len(w.held)
	return w.emit()
}

// Close flushes; it does not close the writer below, and the Writer can be used again.
func (w *Writer) Close() error {
	err := w.Flush()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held, w.covered, w.bare = nil, 0, false
	return err
}
