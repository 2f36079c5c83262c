package shell

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/handoff-run/handoff/internal/jinja"
)

// writer makes scripts out of bytes: each byte is one choice.
type writer struct {
	choices []byte
	depth   int
	mild    bool // most of what is chosen is safe, so that most scripts are let in
}

func (w *writer) choose(n int) int {
	if len(w.choices) == 0 {
		return 0
	}
	c := int(w.choices[0])
	w.choices = w.choices[1:]
	return c % n
}

func (w *writer) of(all ...string) string { return all[w.choose(len(all))] }

// mostly chooses among all, or among the first n of them if the script is to be let in.
func (w *writer) mostly(n int, all ...string) string {
	if w.mild && w.choose(40) != 1 {
		all = all[:n]
	}
	return w.of(all...)
}

// text is a piece of a word: the data, what holds it, or what could become code with it.
func (w *writer) text() string {
	return w.mostly(15, "{{ d }}", "{{ d }}", "$x", "$1", "${x}", "$@", "$(cat f)", "$(echo {{ d }})", "a", "${x:-{{ d }}}", "${x#a}", "${y:=$x}",
		"${x%a*}", "*", "~", "-v", "-n", "-e", "${!x}", "${x@P}", "$((x))", "${a[x]}", "${x:x}", "`echo {{ d }}`", "PS4=", "x=", "a[", "]", "$0")
}

func (w *writer) word() string {
	switch w.choose(6) {
	case 0:
		return w.text()
	case 1, 2:
		return `"` + w.text() + `"`
	case 3:
		return "'" + w.mostly(3, "{{ d }}", "x", `echo "$1"`, `eval "$1"`, `echo $(($1))`, `$1`, `sh -c "$1"`) + "'"
	case 4:
		return w.text() + `"` + w.text() + `"`
	}
	return w.of("a", "b", "1", "-1", "--", "x", "f", "=", "!")
}

func (w *writer) words() string {
	all := make([]string, 1+w.choose(4))
	for i := range all {
		all[i] = w.word()
	}
	return strings.Join(all, " ")
}

func (w *writer) command() string {
	name := w.mostly(38, "echo", "cat", "printf '%s\\n'", "printf %d", "printf %q", "test -n", "test", "[", "[[", "export x=", "export y=a", "set --", "unset x", "read x",
		"read -r x", "exec", "command", "env x=1", "nice", "timeout 5", "nohup", `sh -c 'echo "$1"' sh`, `bash -c 'x=$1; cat "$x"' _`, "awk '1'", "awk -v x=a '1'",
		"sed -n 1p --", "perl -e 'print 1' --", "find .", "tee", "touch", "cd", "type", "x", "f", "time", "flock f", "stdbuf -o L", "setsid",
		"printf", "printf -v x", "printf '%n'", "export", "local", "declare", "declare -i", "set", "unset", "read", "eval", ".", "source", "trap", "alias", "let",
		"builtin", "env", "sh", "sh -c", "bash -c", "bash", "bash -s", "awk", "awk -v", "sed", "sed -n 1p", "sed -e", "perl -e", "perl -e 'print 1'",
		"find", "find . -name", "xargs", "xargs -I{}", "xargs sh -c", "shift", "exit", "return", "wait", "mapfile", "getopts", "hash -p",
		"$x", `"$x"`, "{{ d }}", "busybox", "sudo", "ssh h", "make", "kill", "echo a |", "umask", "declare -n")
	tail := ""
	if name == "[" {
		tail = " ]"
	} else if name == "[[" {
		tail = " " + w.mostly(4, "==", "=~", "-nt", "<", "-eq") + " " + w.word() + " ]]"
	}
	return name + " " + w.words() + tail + w.redirection()
}

func (w *writer) redirection() string {
	switch w.choose(12) {
	case 0:
		return " > f"
	case 1:
		return " < f"
	case 2:
		return " <<< " + w.word()
	case 3:
		return " < <(" + w.command() + ")"
	case 4:
		return " <<E\n" + w.text() + "\n" + w.of(w.text(), "x") + "\nE\n"
	case 5:
		return " <<'E'\n" + w.text() + "\nE\n"
	case 6:
		return w.mostly(3, " 2>&1", " 3<f", ` >> "{{ d }}"`, " >&$x")
	}
	return ""
}

func (w *writer) assignment() string {
	return w.mostly(3, "x", "y", "a", "PATH", "PS4", "RANDOM", "IFS", "BASH_ENV", "a[x]", "SECONDS", "LD_PRELOAD") + w.of("=", "+=") + w.of(w.word(), "("+w.words()+")")
}

func (w *writer) statement() string {
	w.depth++
	defer func() { w.depth-- }()
	if w.depth > 4 {
		return w.command()
	}
	switch w.choose(18) {
	case 0, 1, 2:
		return w.assignment()
	case 3:
		return w.statement() + " | " + w.statement()
	case 4:
		return w.statement() + w.of(" && ", " || ", "; ", "\n") + w.statement()
	case 5:
		return "( " + w.statement() + "\n)" + w.redirection()
	case 6:
		return "{ " + w.statement() + "\n}" + w.redirection()
	case 7:
		return "if " + w.statement() + "\nthen " + w.statement() + "\nfi" + w.redirection()
	case 8:
		return "for x in " + w.words() + "\ndo " + w.statement() + "\ndone" + w.redirection()
	case 9:
		return "f() {\n" + w.statement() + "\n}\nf " + w.words()
	case 10:
		return "case " + w.word() + " in " + w.word() + ") " + w.statement() + "\n;; *) " + w.statement() + "\n;; esac"
	case 11:
		return "x=$(" + w.statement() + "\n)"
	case 12:
		return w.assignment() + " " + w.command()
	}
	return w.command()
}

// checkScript runs a script with a line under both shells, if the line is let in.
func checkScript(t testing.TB, bin, dir string, choices []byte, line string) {
	w := &writer{choices: choices}
	w.mild = w.choose(3) > 0
	source := "x={{ d }}\n" + w.statement() + "\n" + w.statement() + "\n"
	line = strings.ReplaceAll(line, "\x00", "")
	if IsPlain(line) || strings.Contains(line, "/") || strings.Contains(source, "kill") {
		return // nothing beyond the sandbox
	}
	for _, shell := range shellsFor(t, "") {
		script, err := render(t, source, shell, jinja.Vars{"d": jinja.Data(line)})
		if err != nil {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, "work")); err != nil {
			t.Fatal(err)
		}
		sandbox(t, bin, dir, shell, script)
	}
}

// Any script, any line: what is let in runs nothing of the line.
func TestScripts(t *testing.T) {
	t.Parallel()
	bin, dir := tools(t), t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		choices := rapid.SliceOfN(rapid.Byte(), 10, 80).Draw(r, "choices")
		checkScript(t, bin, dir, choices, rapid.SampledFrom(hostile()[:len(hostile())-1]).Draw(r, "line"))
	})
}

func FuzzScripts(f *testing.F) {
	for i, line := range hostile() {
		if len(line) < 1000 {
			f.Add([]byte{byte(i), byte(3 * i), byte(5 * i), byte(7 * i), byte(11 * i), byte(13 * i), byte(17 * i), byte(19 * i)}, line)
		}
	}
	bin := tools(f)
	f.Fuzz(func(t *testing.T, choices []byte, line string) {
		if len(choices) < 200 && len(line) < 1000 {
			checkScript(t, bin, t.TempDir(), choices, line)
		}
	})
}

// FuzzCheck gives any text to the parser and the checker, which must not panic. Nothing is run.
func FuzzCheck(f *testing.F) {
	for _, c := range commands() {
		f.Add(c.takes + "\n" + c.bars)
		for bad := range strings.SplitSeq(c.bars, "\n") {
			f.Add(bad)
		}
	}
	for _, c := range contexts() {
		f.Add(c.example)
	}
	f.Fuzz(func(_ *testing.T, source string) {
		const mark = "{{ d }}"
		var pieces []Piece
		text := ""
		for i, part := range strings.Split(source, mark) {
			if i > 0 {
				pieces = append(pieces, Piece{len(text), len(text) + 4, 1})
				text += "a; b"
			}
			text += part
		}
		for _, shell := range []string{"sh", "bash", "zsh", "python3"} {
			_, _ = For(shell).Script(text, pieces)
		}
	})
}
