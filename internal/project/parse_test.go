package project

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSyntax(t *testing.T) {
	t.Parallel()
	const empty = `E 1:1: the file is empty (a project needs at least tasks; ` + "`handoff init`" + ` makes one)`
	tests := []struct{ name, text, want string }{
		{"empty", "", empty},
		{"comments only", "# nothing\n", empty},
		{"null", "---\n", empty},
		{"byte order mark only", "\ufeff", empty},
		{"list", "- a\n", "E 1:1: a map with the keys of a project is needed here, not a list"},
		{"text", "just text\n", `E 1:1: a map with the keys of a project is needed here, not "just text"`},
		{"two documents", "version: 1\n---\nversion: 1\n", "E 2:1: a second document starts here (a project is one document: remove the ---)"},
		{"broken second document", "version: 1\n---\n'x\n", "E 3:1: this quote is never closed"},
		{"tab first", "tasks:\n\t- a\n", "E 2:1: a tab is used as indentation (YAML takes only blanks there)"},
		{"tab later", "tasks:\n  a: 1\n\tb: 2\n", "E 3:1: a tab is used as indentation (YAML takes only blanks there)"},
		{"tab after blanks", "tasks:\n- name: a\n  \tcommands: x\n", "E 3:3: a tab is used as indentation (YAML takes only blanks there)"},
		{"NUL", "version: 1\nta\x00sks:\n", "E 2:3: byte 3 of the line: a NUL byte is not text"},
		{"bell", "é: \a\n", "E 1:4: byte 5 of the line: the control character U+0007 is not allowed"},
		{"not UTF-8", "version: 1\n# \xe9t\xe9\n", "E 2:3: byte 3 of the line: 0xE9 is not UTF-8 text"},
		{"UTF-16", "\xff\xfea\x00", "E 1:1: byte 1 of the line: 0xFF is not UTF-8 text"},
		{"quote", "a: 1\nb: 'x\nc: 1\n", "E 2:4: this quote is never closed"},
		{"bracket", "a: [1\nb: 1\n", "E 1:4: this bracket is never closed, or a comma is missing after it"},
		{"brace", "a: {b: 1\nc: 1\n", "E 1:4: this bracket is never closed, or a comma is missing after it"},
		{"colon in a text", "a: b: c\n", `E 1:5: a second ": " on this line, or an indentation that does not fit the line above (a text that contains ": " needs quotes)`},
		{"indentation", "a: 1\n b: 2\n", `E 2:3: a second ": " on this line, or an indentation that does not fit the line above (a text that contains ": " needs quotes)`},
		{"at sign", "a: @x\n", "E 1:4: a text cannot begin with '@' (put the whole text in quotes: a: '@x')"},
		{"per cent", "a: %x\n", "E 1:4: a text cannot begin with '%' (put the whole text in quotes: a: '%x')"},
		{"unknown anchor", "a: *x\n", `E 1:4: no anchor for the alias "*x" above it (put the whole text in quotes: a: '*x')`},
		{"alias of itself", "a: &x [*x]\n", `E 1:8: the alias "*x" leads into itself`},
		{"merge of itself", "a: &x\n  <<: *x\n", `E 2:7: the alias "*x" leads into itself`},
		{"newer YAML", "%YAML 9.1\n---\na: 1\n", "E 1:1: not YAML: found incompatible YAML document"},
		{"deep", strings.Repeat("[", 300) + strings.Repeat("]", 300), "E 1:252: more than 250 levels of lists and maps"},
		{"very deep", strings.Repeat("[", 100_000), "E 1:10001: more than 250 levels of lists and maps"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := problems(t, tt.text)
			if diff := cmp.Diff(tt.want, got[0]); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// bomb is a list of nine lists of nine lists and so on.
func bomb(levels int) string {
	text := "version: 1\nx-0: &a0 [x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < levels; i++ {
		alias := fmt.Sprintf("*a%d, ", i-1)
		text += fmt.Sprintf("x-%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(alias, 9), ", "))
	}
	return text
}

func TestLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	deep := "version: 1\nx-0: &a0 [x]\n"
	for i := 1; i < 300; i++ {
		deep += fmt.Sprintf("x-%d: &a%d [*a%d]\n", i, i, i-1)
	}
	tests := []struct{ name, text, want string }{
		{"aliases that multiply", bomb(40), "aliases multiply into more than 100000 values"},
		{"aliases into the depth", deep, "more than 250 levels of lists and maps"},
		{"too large", strings.Repeat("a", 10<<20), "the file has more than the 4194304 bytes that are read"},
		{"many unknown keys", "version: 1\n" + numbered("k%d: 1\n", 50_000), "unknown key"},
		{"the same key again and again", "version: 1\n" + strings.Repeat("k: 1\n", 50_000), "already; the last"},
		{"one long line", "version: 1\nx: [" + strings.Repeat("a, ", 50_000) + "]\nb: " + strings.Repeat("c", 1<<20), "unknown key"},
		{"a large map merged", "version: 1\nx: &x {" + numbered("k%d: 1, ", 40_000) + "}\ny: {<<: *x}\n", "unknown key"},
		{"a long key", "version: 1\n? " + strings.Repeat("c", 1<<20) + "\n: 1\n", "unknown key"},
		{"many wrong stages", "version: 1\ntasks:\n- pipeline:\n" + strings.Repeat("  - {comand: x}\n", 20_000), "needs exactly one"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			_, _, err := Decode(FileName, "/prj", []byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %.300v", err)
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("took %v", took)
			}
			if n := len(err.Error()); n > 100_000 {
				t.Errorf("a message of %d bytes", n)
			}
		})
	}
}

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		example, bomb(3), "version: 0.3\ntasks:\n- pipeline:\n  - command: {{ x }}\n  - foreach: [{tasks: []}]\n",
		"a: &x [*x]\n", "? [x]\n: y\n", "x: !!binary a\n", "<<: [{a: 1}, *b]\n", "version: 1\ndeploy: {env: {a: ~}}\nschedule: {cron: x}\n",
		"tasks: [{name: \"a\\0\"}]\r\u2028b: 1\u0085", "\t", "--- |\n a\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, warnings, err := Decode(FileName, "/prj", text)
		again, warningsAgain, errAgain := Decode(FileName, "/prj", text)
		if fmt.Sprint(err) != fmt.Sprint(errAgain) || fmt.Sprint(warnings) != fmt.Sprint(warningsAgain) || (p == nil) != (again == nil) {
			t.Error("the second answer differs from the first")
		}
		if (p == nil) == (err == nil) {
			t.Errorf("project %v, error %v", p, err)
		}
		if err != nil && err.Error() == "" {
			t.Error("an error without a word")
		}
	})
}
