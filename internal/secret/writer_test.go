package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// feed passes parts to a Writer, one call each; "" is a Flush.
func feed(t *testing.T, w *Writer, parts []string) {
	t.Helper()
	for _, p := range parts {
		if p == "" {
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if n, err := w.Write([]byte(p)); n != len(p) || err != nil {
			t.Fatalf("write: %d, %v", n, err)
		}
	}
}

func TestWriter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		secrets []string
		parts   []string
		want    string // before Close
		closing string // what Close adds
	}{
		{"no secrets", nil, []string{"hun", "ter22"}, "hunter22", ""},
		{"split", []string{"hunter22"}, []string{"a hun", "ter", "22 b"}, "a [redacted] b", ""},
		{"byte by byte", []string{"hunter22"}, strings.Split("hunter22 hunter23 hhunter22.", ""), "[redacted] hunter23 h[redacted].", ""},
		{"holds back the start only", []string{"hunter22"}, []string{"go hunt"}, "go ", "[redacted]"},
		{"holds nothing else", []string{"hunter22"}, []string{"password: "}, "password: ", ""},
		{"short start at the end", []string{"hunter22"}, []string{"go hun"}, "go ", "hun"},
		{"not a secret after all", []string{"hunter22"}, []string{"hunter2", "3"}, "hunter23", ""},
		{"secret inside the start of another", []string{"aabcdcccc", "abcd"}, []string{"aabcd", "x"}, "a[redacted]x", ""},
		{"longer one follows", []string{"abcd", "abcdefgh"}, []string{"abcd", "efgh."}, "[redacted].", ""},
		{"longer one does not follow", []string{"abcd", "abcdefgh"}, []string{"abcd", "ef."}, "[redacted]ef.", ""},
		{"overlap over a border", []string{"abcdef", "defghi"}, []string{"abcdef", "ghi."}, "[redacted].", ""},
		{"flush of a long start", []string{"hunter22"}, []string{"go hunt", "", "er22."}, "go [redacted].", ""},
		{"flush of a long start that is none", []string{"hunter22"}, []string{"hunt", "", "ing"}, "[redacted]ing", ""},
		{"flush of a short start", []string{"hunter22"}, []string{"hu", "", "nter22."}, "hu[redacted].", ""},
		{"flush of a short start that is none", []string{"hunter22"}, []string{"hu", "", "man"}, "human", ""},
		{"flush twice", []string{"hunter22"}, []string{"hu", "", "", "nter", "", "22."}, "hu[redacted].", ""},
		{"encoded", []string{"hunter22"}, []string{"aHVud", "GVyMjI", "=."}, "[redacted].", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			w := redactor(tt.secrets...).Writer(&out)
			feed(t, w, tt.parts)
			if diff := cmp.Diff(tt.want, out.String()); diff != "" {
				t.Error(diff)
			}
			out.Reset()
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.closing, out.String()); diff != "" {
				t.Error("close:", diff)
			}
		})
	}
}

// However a stream is cut and flushed, and wherever it ends, no more than three bytes of a secret in a row may pass.
func TestWriterLeaksNoPrefix(t *testing.T) {
	t.Parallel()
	const secret = "Zq9!xW7#vB5"
	for length := range len(secret) + 1 {
		for cut := range length + 1 {
			for _, flush := range []bool{false, true} {
				var out bytes.Buffer
				w := redactor(secret).Writer(&out)
				feed(t, w, []string{"start " + secret[:cut]})
				if flush {
					feed(t, w, []string{""})
				}
				feed(t, w, []string{secret[cut:length], ""})
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				if strings.Contains(out.String(), secret[:minLength]) || strings.Contains(out.String(), secret[len(secret)-minLength:]) {
					t.Errorf("%d bytes, cut at %d, flush %v: %q", length, cut, flush, out.String())
				}
			}
		}
	}
}

func TestWriterSeesLaterSecrets(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := NewRedactor()
	w := r.Writer(&out)
	feed(t, w, []string{"hunter22 "})
	r.Add(NewValue("hunter22"))
	feed(t, w, []string{"hunter22 "})
	if diff := cmp.Diff("hunter22 [redacted] ", out.String()); diff != "" {
		t.Error(diff)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestWriterPassesErrors(t *testing.T) {
	t.Parallel()
	w := redactor("hunter22").Writer(failing{})
	if n, err := w.Write([]byte("text")); n != 0 || !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("got %d, %v", n, err)
	}
}

func TestRedactorConcurrent(t *testing.T) {
	t.Parallel()
	r := NewRedactor()
	var out bytes.Buffer
	w := r.Writer(&out)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			secret := fmt.Sprintf("secret-%d-secret", i)
			r.Add(NewValue(secret))
			for range 50 {
				if _, err := w.Write([]byte(secret + "\n")); err != nil {
					t.Error(err)
				}
				if r.String(secret) != Mask || !r.Contains(secret) {
					t.Errorf("%q is not known", secret)
				}
			}
		})
	}
	wg.Wait()
	if want := strings.Repeat(Mask+"\n", 400); out.String() != want {
		t.Errorf("got %q", out.String())
	}
}

func FuzzRedactor(f *testing.F) {
	f.Add("hunter22", "a hunter22 b", 3, 5)
	f.Add("abab", "abababab", 1, 2)
	f.Add("line one\nline two", "line one line two line one\nline two", 4, 9)
	f.Fuzz(func(t *testing.T, secret, text string, a, b int) {
		r := redactor(secret)
		text += "\x00\x01\x02\x03\x00"
		if strings.Contains(secret, "\x00") {
			return
		}
		want := r.String(text)
		if plain := strings.TrimSpace(secret); len(plain) >= minLength && !strings.Contains(Mask, plain) && strings.Contains(strings.ReplaceAll(want, Mask, "\x00"), plain) {
			t.Errorf("%q is in %q", plain, want)
		}
		cuts := []int{abs(a) % len(text), abs(b) % len(text)}
		if cuts[0] > cuts[1] {
			cuts[0], cuts[1] = cuts[1], cuts[0]
		}
		var out bytes.Buffer
		w := r.Writer(&out)
		for _, part := range []string{text[:cuts[0]], text[cuts[0]:cuts[1]], text[cuts[1]:]} {
			if _, err := w.Write([]byte(part)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("cut at %d: %q, whole: %q", cuts, out.String(), want)
		}
	})
}

func abs(n int) int { return max(n, -(n + 1)) }

func BenchmarkRedactor(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	word := func(n int) string {
		s := make([]byte, n)
		for i := range s {
			s[i] = byte('!' + rnd.IntN(94))
		}
		return string(s)
	}
	var log strings.Builder
	for log.Len() < 1<<20 {
		fmt.Fprintf(&log, "2026-01-02T03:04:05Z INFO extracted %d records of %s\n", rnd.IntN(1e6), word(12))
	}
	for _, count := range []int{0, 1, 10, 100} {
		r := NewRedactor()
		for range count {
			r.Add(NewValue(word(32)))
		}
		text := log.String()
		b.Run(fmt.Sprintf("string/%d", count), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				r.String(text)
			}
		})
		b.Run(fmt.Sprintf("writer/%d", count), func(b *testing.B) {
			w := r.Writer(io.Discard)
			data := []byte(text)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				for p := data; len(p) > 0; p = p[min(len(p), 32<<10):] {
					if _, err := w.Write(p[:min(len(p), 32<<10)]); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
