package shell

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/handoff-run/handoff/internal/jinja"
)

// execCase is a script that prints what the shell makes of the data, ended by a NUL.
type execCase struct {
	source string
	want   func(data string) string
}

func same(d string) string { return d + "\x00" }

func posixCases() []execCase {
	return []execCase{
		{`printf '%s\0' {{ d }}`, same},
		{`printf '%s\0' "{{ d }}"`, same},
		{`printf '%s\0' '{{ d }}'`, same},
		{`printf '%s\0' pre{{ d }}post`, func(d string) string { return "pre" + d + "post\x00" }},
		{`printf '%s\0' a{{ d }}"b{{ d }}c"'d{{ d }}'`, func(d string) string { return "a" + d + "b" + d + "cd" + d + "\x00" }},
		{`printf '%s\0' {{ d }}{{ d }}`, func(d string) string { return d + d + "\x00" }},
		{`printf '%s\0' "$(printf %sx {{ d }})"`, func(d string) string { return d + "x\x00" }},
		{`printf '%s\0' "$(printf %sx "{{ d }}")"`, func(d string) string { return d + "x\x00" }},
		{`printf '%s\0' "$(printf %sx '{{ d }}')"`, func(d string) string { return d + "x\x00" }},
		{`printf '%s\0' "$(printf %s "$(printf %sx {{ d }})")"`, func(d string) string { return d + "x\x00" }},
		{`printf '%s\0' ${UNSET:-{{ d }}}`, same},
		{`printf '%s\0' ${UNSET-"{{ d }}"}`, same},
		{`printf '%s\0' ${UNSET-'{{ d }}'}`, same},
		{`printf '%s\0' "${UNSET:-{{ d }}}"`, same},
		{`printf '%s\0' "a${UNSET:-b{{ d }}c}d"`, func(d string) string { return "ab" + d + "cd\x00" }},
		{`printf '%s\0' "${UNSET:-$(printf %sx {{ d }})}"`, func(d string) string { return d + "x\x00" }},
		{"cat <<E_F\n{{ d }}\nE_F\nprintf '\\0'", func(d string) string { return d + "\n\x00" }},
		{"cat <<E_F\na{{ d }}b $HOME_UNSET\"\nE_F\nprintf '\\0'", func(d string) string { return "a" + d + "b \"\n\x00" }},
		{"cat <<'E_F'\n{{ d }}\nE_F\nprintf '\\0'", func(d string) string { return d + "\n\x00" }},
		{"cat <<-E_F\n\t{{ d }}\n\tE_F\nprintf '\\0'", func(d string) string { return d + "\n\x00" }},
		{"cat <<E_F\n$(printf %sx {{ d }})\nE_F\nprintf '\\0'", func(d string) string { return d + "x\n\x00" }},
		{"cat <<E_F {{ d }}\nbody\nE_F\nprintf '\\0'", nil},
		{"printf '%s\\0' \"$(cat <<E_F\n{{ d }}x\nE_F\n)\"", func(d string) string { return d + "x\x00" }},
		{"printf '%s\\0' ok # {{ d }}\n# {{ d }}", func(string) string { return "ok\x00" }},
		{"x=$(printf ok # {{ d }}\n)\nprintf '%s\\0' \"$x\"", func(string) string { return "ok\x00" }},
		{`x={{ d }}; printf '%s\0' "$x"`, same},
		{`x="{{ d }}"; y='{{ d }}'; printf '%s\0' "$x$y"`, func(d string) string { return d + d + "\x00" }},
		{`x={{ d }} sh -c 'printf "%s\0" "$x"'`, same},
		{`export "X={{ d }}"; printf '%s\0' "$X"`, same},
		{`for i in {{ d }}; do printf '%s\0' "$i"; done`, same},
		{`case {{ d }} in {{ d }}) printf '%s\0' {{ d }};; esac`, same},
		{`case "{{ d }}" in "{{ d }}") printf '%s\0' '{{ d }}';; esac`, same},
		{`sh -c 'printf "%s\0" "$1"' _ {{ d }}`, same},
		{`f() { printf '%s\0' "$1"; }; f {{ d }}`, same},
		{`( printf '%s\0' {{ d }} ) | cat && :`, same},
		{`if [ x{{ d }} = "x{{ d }}" ]; then printf '%s\0' {{ d }}; fi`, same},
		{`set -- {{ d }} b; printf '%s\0' "$1"`, same},
		{`printf '%s\0' {{ d }}>&1`, same},
		{`printf '%s\0' ~{{ d }}`, func(d string) string { return "~" + d + "\x00" }},
		{`printf '%s\0' \\{{ d }}`, func(d string) string { return `\` + d + "\x00" }},
		{`echo {{ d }} >/dev/null & wait; printf '%s\0' ok`, func(string) string { return "ok\x00" }},
	}
}

func bashCases() []execCase {
	return []execCase{
		{`[[ x{{ d }} == "x{{ d }}" ]] && printf '%s\0' {{ d }}`, same},
		{`cat <<< {{ d }}; printf '\0'`, func(d string) string { return d + "\n\x00" }},
		{`cat <<< "{{ d }}"; printf '\0'`, func(d string) string { return d + "\n\x00" }},
		{`a=({{ d }} x); printf '%s\0' "${a[0]}"`, same},
		{`a=(x "{{ d }}"); printf '%s\0' "${a[1]}"`, same},
		{`cat <(printf '%s\0' {{ d }})`, same},
		{`printf '%s\0' {{ d }}{,}`, func(d string) string { return d + "\x00" + d + "\x00" }},
		{`declare x={{ d }}; printf '%s\0' "$x"`, same},
		{`local_f() { local x="{{ d }}"; printf '%s\0' "$x"; }; local_f`, same},
		{`printf '%s\0' ${UNSET:-{{ d }}} |& cat`, same},
		{`if [[ -n x{{ d }} && ! -e {{ d }}/nope/nope ]]; then printf '%s\0' "{{ d }}"; fi`, same},
	}
}

// nasty are pieces of data that have a meaning to some shell.
func nasty() []string {
	return []string{
		"; touch x", "$(touch x)", "`touch x`", "| touch x", "& touch x ", "\ntouch x\n", "'; touch x; '", `"; touch x; "`,
		"'", `"`, `\`, `\\`, "$", "${IFS}", "$HOME", "$((1+1))", "a[$(touch x)]", "}", "{a,b}", "{", ")", "(", "<(touch x)",
		">x", "<x", "*", "?", "[a-z]", "!", "!!", "~", "~root", "#", " # ", "-n", "--", "-", "=", "=ls", "a=b", "%s", "%", "\t",
		" ", "\n", "\r", "\nE_F\n", "E_F", "QdataQ", "QdataQQ", "é", "日本", "\xff", "\x81", "\x88", "\x01", "\x7f", "\x1b[0m",
		"if", "then", "done", "in", "esac", "a", "b1", "/", ".", ",", ":", "@", "+", "^", "\u2028", "\ufeff", "$'", `$"`, "\\\n",
	}
}

func dataGen() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(nasty()), rapid.StringN(0, 3, 6)), 0, 6).Draw(t, "parts")
		return strings.ReplaceAll(strings.Join(parts, ""), "\x00", "")
	})
}

func TestShellGivesDataBack(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for _, shell := range []string{"/bin/sh", "dash", "bash"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue // a platform without it; /bin/sh is everywhere
		}
		cases := posixCases()
		if shell == "bash" {
			cases = append(cases, bashCases()...)
		}
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			for _, c := range cases {
				checkAll(t, path, c)
			}
		})
		t.Run(shell+" random", func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(r *rapid.T) {
				c := rapid.SampledFrom(cases).Draw(r, "case")
				checkExec(r, t.TempDir, path, c, dataGen().Draw(r, "data"))
			})
		})
	}
}

// checkAll runs the script with all nasty data in one process, and one by one if that fails.
func checkAll(t *testing.T, shell string, c execCase) {
	t.Helper()
	var script, want strings.Builder
	for _, data := range nasty() {
		one, err := render(t, c.source, shell, jinja.Vars{"d": jinja.Data(data)})
		if err != nil {
			continue
		}
		script.WriteString(one + "\n")
		if c.want != nil {
			want.WriteString(c.want(data))
		}
	}
	dir := t.TempDir()
	got, err := runShell(shell, dir, script.String())
	made, _ := filepath.Glob(dir + "/*")
	if len(made) == 0 && (c.want == nil || err == nil && got == want.String()) {
		return
	}
	for _, data := range nasty() {
		checkExec(t, t.TempDir, shell, c, data)
	}
	t.Fatalf("%s: %v\nwant %q\ngot  %q\nmade %q", c.source, err, want.String(), got, made)
}

func runShell(shell, dir, script string) (string, error) {
	cmd := exec.Command(shell, "-c", script)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C.UTF-8"}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%w: %s", err, stderr.String())
	}
	return stdout.String(), nil
}

type reporter interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkExec runs the script with the data in an empty folder: it must print the data and do nothing else.
func checkExec(t reporter, tempDir func() string, shell string, c execCase, data string) {
	t.Helper()
	script, err := render(t, c.source, shell, jinja.Vars{"d": jinja.Data(data)})
	if err != nil {
		if !strings.Contains(err.Error(), "here-document") && !strings.Contains(err.Error(), "in an array") {
			t.Fatalf("%s with %q: %v", c.source, data, err)
		}
		return
	}
	dir := tempDir()
	got, err := runShell(shell, dir, script)
	if c.want != nil && (err != nil || got != c.want(data)) {
		t.Fatalf("%s\ndata   %q\nscript %q\nwant   %q\ngot    %q\n%v", c.source, data, script, c.want(data), got, err)
	}
	if made, _ := filepath.Glob(dir + "/*"); len(made) > 0 {
		t.Fatalf("%s\ndata   %q\nscript %q\nmade files: %q", c.source, data, script, made)
	}
}

func TestShellArithmetic(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(-1000, 1000).Draw(r, "n")
		data := fmt.Sprintf("%s%d", rapid.SampledFrom([]string{"", "0", "00"}).Draw(r, "zeros"), n)
		if n < 0 {
			data = fmt.Sprintf("%d", n)
		}
		c := execCase{`printf '%s\0' $(({{ d }}-1-{{ d }}*2))`, func(string) string { return fmt.Sprintf("%d\x00", n-1-n*2) }}
		checkExec(r, t.TempDir, "/bin/sh", c, data)
		c = execCase{`[ {{ d }} -le "{{ d }}" ] && printf '%s\0' ok`, func(string) string { return "ok\x00" }}
		checkExec(r, t.TempDir, "/bin/sh", c, data)
	})
}

// FuzzShellQuote gives data in any kind of place to a real shell, which must print it and do nothing else.
func FuzzShellQuote(f *testing.F) {
	cases := posixCases()
	for i := range cases {
		f.Add(uint8(i), "a b")
	}
	for i, data := range nasty() {
		f.Add(uint8(i), data)
	}
	f.Fuzz(func(t *testing.T, which uint8, data string) {
		data = strings.ReplaceAll(data, "\x00", "")
		checkExec(t, t.TempDir, "/bin/sh", cases[int(which)%len(cases)], data)
	})
}
