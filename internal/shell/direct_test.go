package shell

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"mvdan.cc/sh/v3/syntax"
)

func TestDirect(t *testing.T) {
	t.Parallel()
	for script, want := range map[string][]string{
		"tap-csv":                            {"tap-csv"},
		"tap-csv --config files/config.json": {"tap-csv", "--config", "files/config.json"},
		"  /bin/x  a\tb \n":                  {"/bin/x", "a", "b"},
		`x 'a b' "c 'd'" e'f'"g" '' ""`:      {"x", "a b", "c 'd'", "efg", "", ""},
		`x "a\$b\"c\\d\e" a\ b \#`:           {"x", `a$b"c\d\e`, "a b", "#"},
		"x 'a\nb' k=v 1=2 -- -a=b é'é'":      nil, // bytes beyond ASCII may be blanks in some locale
		"x 'é ü' \"日本\"":                     {"x", "é ü", "日本"},
		"x 'a\nb' k=v 1=2 -- -a=b @%+,:":     {"x", "a\nb", "k=v", "1=2", "--", "-a=b", "@%+,:"},
		"'x y' a":                            nil,
		"'./x y' a":                          nil,
		"x; y":                               nil, "x\ny": nil, "x | y": nil, "x &": nil, "x > y": nil, "x 2>&1": nil, "x <y": nil, "(x)": nil, "x # y": nil,
		"x $y": nil, `x "$y"`: nil, "x $(y)": nil, "x `y`": nil, "x \"`y`\"": nil, "x $'y'": nil,
		"x *": nil, "x a?": nil, "x [a]": nil, "x {a,b}": nil, "x ~": nil, "x ~/a": nil, "x !": nil, "x a^b": nil,
		"A=b x": nil, "A=b": nil, "'A=b'": nil, "a'='b": nil, "": nil, " \n": nil,
		"echo a": nil, "'echo' a": nil, `e\cho a`: nil, "if": nil, "{ x": nil, "! x": nil, "time x": nil, "[ a ]": nil, ". x": nil, "%1": nil, "-x": nil,
		"x 'a": nil, `x "a`: nil, `x a\`: nil, "x a\\\nb": nil, "x \"a\\\nb\"": nil, "x 'a\rb'": nil, "x 'a\x01'": nil, "x \"a\x7f\"": nil, "x\r": nil, "x \x00": nil,
	} {
		if diff := cmp.Diff(want, Direct("/bin/sh", script)); diff != "" {
			t.Errorf("%q: %s", script, diff)
		}
	}
	for shell, want := range map[string]bool{
		"/bin/sh": true, "/bin/bash": true, "/usr/bin/dash": true, "sh": false, "/opt/bin/sh": false, "/bin/zsh": false, "/usr/bin/python3": false, "": false,
	} {
		if got := Direct(shell, "x a") != nil; got != want {
			t.Errorf("shell %q: %v", shell, got)
		}
	}
}

// TestDirectIsWhatShellsDo compares thousands of made up commands with what /bin/sh and bash make of them: the names of builtins
// and reserved words are those of programs, too, so that a shell that does not start a program is seen.
func TestDirectIsWhatShellsDo(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	dir := t.TempDir()
	for _, name := range firstWords() {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\nfor a in \"${0##*/}\" \"$@\"; do printf '<%s>' \"$a\"; done; echo\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(1, 2)) // not for secrets
	var scripts []string
	for tries := 0; len(scripts) < 2000; tries++ {
		script := madeUp(random, dir)
		if words := Direct("/bin/sh", script); words != nil {
			scripts = append(scripts, script)
			sameWords(t, script, words)
		} else if tries > 1_000_000 {
			t.Fatal("hardly any command is direct")
		}
	}
	for _, sh := range []string{"sh", "bash"} {
		t.Run(sh, func(t *testing.T) {
			t.Parallel()
			for some := range slices.Chunk(scripts, 100) {
				compareRuns(t, sh, dir, some)
			}
		})
	}
}

func firstWords() []string {
	return append(strings.Fields(strings.ReplaceAll(builtins, " . ", " ")), "prog", "tap-csv", "x.sh", "_a", "123", "a@b", "a,b", "a:b", "a%b", "ab+")
}

// madeUp is a command of random pieces, many of them with something for a shell in it.
func madeUp(random *rand.Rand, dir string) string {
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	first := pick(firstWords())
	switch random.IntN(8) {
	case 0:
		first = dir + "/" + first
	case 1:
		first = pick([]string{"'" + first + "'", `"` + first + `"`, `\` + first, "A=" + first, "!", "./" + first, "-" + first})
	}
	pieces := []string{
		"a", "b-c", "--opt", "-n", "k=v", "=", "x_1", ".", "..", "/", ":", "@", "%", "+", ",", "#", "!", "~", "*", "?", "[a]", "{a,b}", "$x", "${x}", "$(y)", "`y`",
		"'a b'", "''", `""`, `"a  b"`, `'"'`, `"'"`, `'$x'`, `"\$x"`, `"a\b"`, `"\\"`, `"\""`, `'\'`, `\ `, `\'`, `\"`, `\\`, `\$`, `\n`, `\*`, `\~`, `\#`,
		"'é'", `"日本"`, "é", "'\n'", "\"\n\"", "'\t'", "'\xff'", "\"\x81\x88\"", "'\x80'", ";", "|", "&", ">", "<", "(", ")", "\n", "\\\n", "\r", "'*'", `"~"`, "'!'", `"!a"`, "'{a,b}'", "if", "then", "-e",
	}
	script := first
	for range random.IntN(5) {
		script += pick([]string{" ", " ", "  ", "\t"})
		for range 1 + random.IntN(3) {
			script += pick(pieces)
		}
	}
	return script
}

// sameWords asks the parser.
func sameWords(t *testing.T, script string, words []string) {
	t.Helper()
	if !utf8.ValidString(script) { // the parser refuses it
		return
	}
	for _, variant := range shellVariants("sh") {
		file, err := syntax.NewParser(syntax.Variant(variant)).Parse(strings.NewReader(script), "")
		if err != nil || len(file.Stmts) != 1 {
			t.Fatalf("%q, %v: %v", script, variant, err)
		}
		call, ok := file.Stmts[0].Cmd.(*syntax.CallExpr)
		if !ok || len(call.Assigns) > 0 || len(file.Stmts[0].Redirs) > 0 || len(call.Args) != len(words) {
			t.Fatalf("%q is not the command %q for %v", script, words, variant)
		}
	}
}

// compareRuns runs the scripts in one shell, or one by one to find those at fault.
func compareRuns(t *testing.T, sh, dir string, scripts []string) {
	t.Helper()
	var want bytes.Buffer
	for _, s := range scripts {
		words := Direct("/bin/sh", s)
		words[0] = filepath.Base(words[0])
		for _, w := range words {
			want.WriteString("<" + w + ">")
		}
		want.WriteString("\n")
	}
	cmd := exec.Command(sh, "-c", strings.Join(scripts, "\n"))
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + dir}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	got, err := cmd.Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	switch {
	case bytes.Equal(got, want.Bytes()):
	case len(scripts) == 1:
		t.Errorf("%s makes of %q: %q and %q, want %q", sh, scripts[0], got, errs.String(), want.String())
	default:
		for _, s := range scripts {
			compareRuns(t, sh, dir, []string{s})
		}
	}
}

func BenchmarkDirect(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Direct("/bin/sh", `curl -s 'https://x/AAPL; touch x?a=b' -o files/AAPL.json`)
	}
}
