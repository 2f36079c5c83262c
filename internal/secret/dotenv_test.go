package secret

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestDotenv(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		want string // key=value, quoted
		left string
		err  string
	}{
		"nothing":         {"", "", "", ""},
		"comments":        {"# a\n\n  # b\nA=1 # c\nB=x#y\nC= # empty\nD=#d", `A="1" B="x#y" D="#d"`, "C: line 6 has no value", ""},
		"export, blanks":  {"export A=1\n  export\tB = two words \nexport_me=3", `A="1" B="two words" export_me="3"`, "", ""},
		"single quotes":   {`A='${B} \n "x" # y' # z`, `A="${B} \\n \"x\" # y"`, "", ""},
		"double quotes":   {`A="a\nb \"c\" \\n \$x ' #"`, `A="a\nb \"c\" \\n $x ' #"`, "", ""},
		"several lines":   {"K='-----BEGIN-----\nab=\n-----END-----\n'\nA=\"1\n2\"\nB=3", `K="-----BEGIN-----\nab=\n-----END-----\n" A="1\n2" B="3"`, "", ""},
		"empty in quotes": {"A=''\nB=\"\"", "", "A: line 1 has no value;B: line 2 has no value", ""},
		"dollars":         {"A=pa$$w0rd\nB=\"$x\"", `A="pa$$w0rd" B="$x"`, "", ""},
		"CR LF and BOM":   {"\ufeffA=1\r\nB=2\r\n", `A="1" B="2"`, "", ""},
		"no UTF-8":        {"A=1\nB=\xff\xfe\nC=3", "", "", "line 2: it is not UTF-8"},
		"twice":           {"A=1\nB=2\nA=3", `A="3" B="2"`, "A: line 1 is followed by line 3", ""},
		"URL":             {"DB=postgres://u:p@h/d?a=b&c=d", `DB="postgres://u:p@h/d?a=b&c=d"`, "", ""},
		"looked up":       {"A=x${B}\nC=\"$(date)\"\nD=1", `D="1"`, "", "line 1: A: ${...}|line 2: C: ${...}"},
		"no line of it":   {"A=1\nhunter2\n-----BEGIN x=\n1A=2", `A="1"`, "", "line 2: want KEY=value|line 3: want KEY=value|line 4: want KEY=value"},
		"open quote":      {"A='hunter2\nB=1", "", "", "line 1: A: the quote at its beginning has no end"},
		"open after \\":   {`A="hunter2\`, "", "", "line 1: A: the quote"},
		"behind a quote":  {"A='hun'ter2\nB=1", `B="1"`, "", "line 1: A: there is text behind"},
		"binary":          {"A=\x00", "", "", "NUL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entries, left, err := Dotenv(tt.text)
			var got, skipped []string
			for _, e := range entries {
				got = append(got, fmt.Sprintf("%s=%q", e.Key, e.Value.Reveal()))
			}
			for _, l := range left {
				skipped = append(skipped, l.Key+": "+l.Why)
			}
			if diff := cmp.Diff([]string{tt.want, tt.left}, []string{strings.Join(got, " "), strings.Join(skipped, ";")}); diff != "" {
				t.Error(diff)
			}
			if (err == nil) != (tt.err == "") {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			for _, part := range strings.Split(tt.err, "|") {
				if err != nil && (!strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "hunter2")) {
					t.Errorf("error %v, want %q", err, part)
				}
			}
		})
	}
}

// FuzzDotenv wants of any text: no error shows it, keys are keys, once each, and what is taken is what was written in single quotes.
func FuzzDotenv(f *testing.F) {
	for _, s := range []string{"A=1", "export A='x\ny' # c", "A=\"\\\"\\\\\"", "A='", "#\nA = b #c", "A=${B}", "\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		entries, _, err := Dotenv(text)
		if again, _, err2 := Dotenv(text + "\n"); (err == nil) != (err2 == nil) || len(again) != len(entries) {
			t.Errorf("a line end at the end changes %v (%d) to %v (%d)", err, len(entries), err2, len(again))
		}
		if strings.ContainsAny(text, "'\x00") || !utf8.ValidString(text) {
			return
		}
		plain := strings.ReplaceAll(text, "\r\n", "\n")
		entries, left, err := Dotenv("FIRST=x\nKEY='" + text + "'\nLAST=y")
		want := []string{"FIRST=x", "KEY=" + plain, "LAST=y"}
		if plain == "" {
			want = []string{"FIRST=x", "LAST=y"}
		}
		var got []string
		for _, e := range entries {
			got = append(got, e.Key+"="+e.Value.Reveal())
		}
		if err != nil || !cmp.Equal(got, want) || len(left) != 3-len(want) {
			t.Errorf("%q, %v, %v; want %q", got, left, err, want)
		}
	})
}
