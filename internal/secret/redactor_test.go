package secret

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func redactor(secrets ...string) *Redactor {
	r := NewRedactor()
	for _, s := range secrets {
		r.Add(NewValue(s))
	}
	return r
}

func TestRedactorString(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		secrets []string
		in      string
		want    string
	}{
		{"no secret", nil, "hunter22", "hunter22"},
		{"plain", []string{"hunter22"}, "a hunter22 b hunter22", "a [redacted] b [redacted]"},
		{"side by side", []string{"hunter22"}, "hunter22hunter22", "[redacted][redacted]"},
		{"longest first", []string{"hunter", "hunter22"}, "hunter22 hunter", "[redacted] [redacted]"},
		{"overlapping", []string{"abcdef", "defghi"}, "xabcdefghix", "x[redacted]x"},
		{"overlapping itself", []string{"abab"}, "abababx", "[redacted]x"},
		{"inside another", []string{"abcdefgh", "cdef"}, "abcdefgh cdef", "[redacted] [redacted]"},
		{"too short", []string{"abc"}, "abc", "abc"},
		{"four bytes", []string{"abcd"}, "abcd", "[redacted]"},
		{"file with final newline", []string{"hunter22\n"}, "x hunter22\ny", "x [redacted]\ny"},
		{"start of a secret", []string{"hunter22"}, "hunter2", "hunter2"},
		{"beyond ascii", []string{"pässwörd"}, "x pässwörd y", "x [redacted] y"},
		{"binary", []string{"\xff\xfe\x00\x01\x02"}, "x\xff\xfe\x00\x01\x02y", "x[redacted]y"},
		{"hex", []string{"hunter22"}, "68756e7465723232 68756E7465723232", "[redacted] [redacted]"},
		{"url query", []string{"a b/c+d&e"}, "?p=a+b%2Fc%2Bd%26e&", "?p=[redacted]&"},
		{"url lower case", []string{"a b/c+d&e"}, "?p=a+b%2fc%2bd%26e&", "?p=[redacted]&"},
		{"url path", []string{"a b/c+d&e"}, "/a%20b%2Fc+d&e/", "/[redacted]/"},
		{"url user", []string{"p@ss:w/rd"}, "pg://u:p%40ss%3Aw%2Frd@h", "pg://u:[redacted]@h"},
		{"json", []string{`a"b\c<d>`}, `{"p":"a\"b\\c<d>"} {"p":"a\"b\\c\u003cd\u003e"}`, `{"p":"[redacted]"} {"p":"[redacted]"}`},
		{"json in ascii", []string{"pässwörd😀"}, `"p\u00e4ssw\u00f6rd\ud83d\ude00"`, `"[redacted]"`},
		{"json with lines", []string{"ab\ncd"}, `"ab\ncd"`, `"[redacted]"`},
		{"shell single quotes", []string{"it's me"}, `'it'\''s me'`, `'[redacted]'`},
		{"shell double quotes", []string{`a"b$c`}, `"a\"b\$c"`, `"[redacted]"`},
		{"shell backslash", []string{"a b&c"}, `a\ b\&c`, `[redacted]`},
		{"shell ansi", []string{"a'b\nc"}, `$'a\'b\nc'`, `$'[redacted]'`},
		{"short lines", []string{"hunter2\nab12\n\nx9z\n"}, "hunter2 ab12 x9z", "[redacted] [redacted] x9z"},
		{"lines", []string{"first line\nab\r\nsecond line\n"}, "x first line\nab\nsecond line.", "x [redacted]\nab\n[redacted]."},
		{"escaped lines", []string{`{"k": "-----BEGIN\nMIIEvQIBADAN\n"}`}, "MIIEvQIBADAN", "[redacted]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, redactor(tt.secrets...).String(tt.in)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRedactorBase64(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"hunter22", "hunter223", "hunter2234", "\xfb\xff\xbf\xfb\xff\xbf\xfb"} {
		r := redactor(secret)
		for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
			if got := r.String("<" + enc.EncodeToString([]byte(secret)) + ">"); got != "<[redacted]>" {
				t.Errorf("alone: %q", got)
			}
			for shift := range 5 {
				in := enc.EncodeToString([]byte(strings.Repeat("u", shift) + secret + ": and more"))
				got := r.String(in)
				if !strings.Contains(got, Mask) {
					t.Errorf("shift %d: %q is not masked", shift, got)
				}
				// What remains may tell no more than the two characters at the borders.
				if left := len(got) - len(Mask); left > enc.EncodedLen(shift+len(": and more"))+4 {
					t.Errorf("shift %d: %q shows too much of %q", shift, got, in)
				}
			}
		}
	}
}

func TestRedactorWrappedBase64(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("0123456789 abcdefghijklmnopqrstuvwxyz", 10)
	all := base64.StdEncoding.EncodeToString([]byte(secret))
	for _, width := range []int{64, 76} {
		var in, want []string
		for s := all; s != ""; s = s[min(width, len(s)):] {
			in, want = append(in, s[:min(width, len(s))]), append(want, Mask)
		}
		if diff := cmp.Diff(want, strings.Split(redactor(secret).String(strings.Join(in, "\n")), "\n")); diff != "" {
			t.Error(diff)
		}
	}
}

func TestRedactorContains(t *testing.T) {
	t.Parallel()
	r := redactor("hunter22", "007", "", "\n")
	for in, want := range map[string]bool{"a hunter22": true, "x007": true, "hunter2": false, "": false, "\n": false} {
		if got := r.Contains(in); got != want {
			t.Errorf("Contains(%q) = %v", in, got)
		}
	}
}

func TestNilRedactor(t *testing.T) {
	t.Parallel()
	var r *Redactor
	if got := r.String("abc"); got != "abc" || r.Contains("abc") {
		t.Errorf("got %q", got)
	}
}

func TestUnmasked(t *testing.T) {
	t.Parallel()
	got := Unmasked([]Entry{
		{Key: "PIN", Value: NewValue("123")}, {Key: "LONG", Value: NewValue("1234")},
		{Key: "EMPTY", Value: NewValue("")}, {Key: "NEWLINE", Value: NewValue("12\n")},
		{Key: "CODES", Value: NewValue("1234\nab\r\n\nc\n")}, {Key: "JSON", Value: NewValue("{\n \"a\": 1\n}\n")},
	})
	if diff := cmp.Diff([]string{
		`secret "PIN" is too short to be masked in logs: it has less than 4 characters`,
		`secret "NEWLINE" is too short to be masked in logs: it has less than 4 characters`,
		`secret "CODES" has lines that are too short to be masked in logs: 2 of less than 4 characters`,
	}, got); diff != "" {
		t.Error(diff)
	}
}

func TestWriterProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.StringOfN(rapid.RuneFrom([]rune("ab \n")), 4, 12, -1)
		secrets := rapid.SliceOfN(letters, 0, 5).Draw(t, "secrets")
		r := redactor(secrets...)
		parts := rapid.SliceOf(rapid.OneOf(rapid.StringOfN(rapid.RuneFrom([]rune("abc \n")), 0, 9, -1), letters,
			rapid.SampledFrom(append(secrets, "")))).Draw(t, "parts")
		// The end mark is part of no secret, so that nothing is held back at Close.
		text := strings.Join(parts, "") + "\x00"

		var out bytes.Buffer
		w := r.Writer(&out)
		for rest := []byte(text); len(rest) > 0; {
			n := rapid.IntRange(0, len(rest)).Draw(t, "chunk")
			if _, err := w.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r.String(text), out.String()); diff != "" {
			t.Fatal(diff)
		}
	})
}
