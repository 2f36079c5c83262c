package app

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPlain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "a\tb\nc é 😀", "a\tb\nc é 😀"},
		{"colour", "\x1b[1;31mred\x1b[0m", "red"},
		{"cursor", "a\x1b[2K\x1b[1A\x1b[Gb", "ab"},
		{"private mode", "\x1b[?25lx\x1b[?2004h", "x"},
		{"colour with colons", "\x1b[38:2::1:2:3mx", "x"},
		{"title", "\x1b]0;evil title\x07x", "x"},
		{"title, other end", "\x1b]2;t\x1b\\x", "x"},
		{"link", "\x1b]8;;http://h/\x1b\\text\x1b]8;;\x1b\\.", "text."},
		{"clipboard", "\x1b]52;c;cm0gLXJm\x07", ""},
		{"text without an end", "\x1b]0;all of this is shown", "0;all of this is shown"},
		{"device control", "\x1bP1$q\"p\x1b\\x", "x"},
		{"charset, save, reset", "\x1b(B\x1b7a\x1bc", "a"},
		{"eight bits", "\u009b31mred\u009b0m \u009d0;t\u009cx\u0085y", "red xy"},
		{"a byte of eight bits", "\x9b31m", `\x9b31m`},
		{"latin 1", "caf\xe9", "caf\xe9"},
		{"bell and backspace", "a\x07b\bc\x7f\x00", "a^Gb^Hc^?^@"},
		{"carriage returns", "10%\r20%\r\nend\r", "10%^M20%\nend^M"},
		{"cut off", "a\x1b[31", "a"},
		{"escape at the end", "a\x1b", "a"},
		{"two escapes", "\x1b\x1b[31mx", "x"},
		{"escape before a letter beyond ASCII", "\x1bé", "é"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := Plain(tt.in); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// Whatever is left out, nothing that is left may be a control character, and nothing joins to one.
func TestPlainProperty(t *testing.T) {
	t.Parallel()
	part := rapid.SampledFrom([]string{
		"\x1b", "[", "]", "0", ";", "m", "\x07", "\\", "P", "\u009b", "\u009c", "\u009d", "\x9b", "\xc2", "a", "é", "\n", "\r", "\t", " ", "\x00",
	})
	rapid.Check(t, func(t *rapid.T) {
		in := strings.Join(rapid.SliceOfN(part, 0, 12).Draw(t, "parts"), "")
		if got := Plain(in); hasControl(strings.ToValidUTF8(got, "")) && strings.ContainsFunc(got, func(r rune) bool {
			return r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0
		}) {
			t.Fatalf("Plain(%q) = %q", in, got)
		} else if again := Plain(got); again != got {
			t.Fatalf("Plain(%q) = %q, and again %q", in, got, again)
		}
	})
}
