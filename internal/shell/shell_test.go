package shell

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/jinja"
)

func shellOf(t *testing.T, source, shell string, data string) (string, error) {
	t.Helper()
	return render(t, source, shell, jinja.Vars{"_line": jinja.Data(data), "name": "plain; text"})
}

// render makes a script as handoff does: the engine says what is data, and this room quotes it.
func render(t reporter, source, shell string, vars jinja.Vars) (string, error) {
	t.Helper()
	tpl, err := jinja.Parse("cmd", source)
	if err != nil {
		t.Fatalf("%v", err)
	}
	r, err := tpl.RenderMarked(vars)
	if err != nil {
		return "", err
	}
	return For(shell).Script(r.Text, convert(r.Data))
}

func convert(pieces []jinja.Piece) []Piece {
	out := make([]Piece, len(pieces))
	for i, p := range pieces {
		out[i] = Piece(p)
	}
	return out
}

func TestRenderShell(t *testing.T) {
	t.Parallel()
	const evil = `a; $(b) "c" 'd'`
	for _, c := range []struct{ name, source, data, want string }{
		{"plain word stays", `curl files/{{ _line }}.csv`, "AAPL_2024-01", `curl files/AAPL_2024-01.csv`},
		{"words are quoted", `echo {{ _line }}`, "a b", `echo 'a b'`},
		{"part of a word", `curl files/{{ _line }}.csv`, "a;b", `curl files/'a;b'.csv`},
		{"quote in bare", `echo {{ _line }}`, "it's", `echo 'it'\''s'`},
		{"project text is not touched", `echo {{ name }} {{ _line }}`, "x", `echo plain; text x`},
		{"raw", `{{ _line | raw }}`, evil, evil},
		{"no data", `echo {{ name }}`, evil, `echo plain; text`},
		{"empty", `echo {{ _line }}`, "", `echo ''`},
		{"double", `echo "x {{ _line }} y"`, evil, `echo "x a; \$(b) \"c\" 'd' y"`},
		{"double backslash", `echo "{{ _line }}"`, "a\\`b", "echo \"a\\\\\\`b\""},
		{"single", `echo 'x {{ _line }} y'`, "it's", `echo 'x it'\''s y'`},
		{"substitution in double", `echo "$(cat {{ _line }})"`, "a b", `echo "$(cat 'a b')"`},
		{"double in substitution", `echo $(cat "{{ _line }}")`, "$a", `echo $(cat "\$a")`},
		{"default", `echo ${X:-{{ _line }}}`, "a}b", `echo ${X:-'a}b'}`},
		{"default in double", `echo "${X:-{{ _line }}}"`, `a}"b`, `echo "${X:-a\}\"b}"`},
		{"comment", "echo 1 # {{ _line }}\necho 2", "x\nrm", "echo 1 # x_rm\necho 2"},
		{"here-document", "cat <<EOF\n{{ _line }} \"q\"\nEOF\n", "a $b `c`\\", "cat <<EOF\na \\$b \\`c\\`\\\\ \"q\"\nEOF"},
		{"quoted here-document", "cat <<'EOF'\n{{ _line }}\nEOF\n", "a $b", "cat <<'EOF'\na $b\nEOF"},
		{"arithmetic", `echo $(( {{ _line }} + 1 ))`, "007", `echo $(( 7 + 1 ))`},
		{"negative", `echo $((3-{{ _line }}))`, "-4", `echo $((3-(-4)))`},
		{"numeric test", `[ "{{ _line }}" -gt 5 ]`, "12", `[ "12" -gt 5 ]`},
		{"command position", `{{ _line }} x`, "if", `'if' x`},
		{"assignment", `X={{ _line }} env`, "a b", `X='a b' env`},
		{"plain assignment", `X={{ _line }} env`, "a=b", `X=a=b env`},
		{"redirection", `cat > {{ _line }}`, "out", `cat > 'out'`},
		{"digit before redirection", `echo {{ _line }}>f`, "2", `echo '2'>f`},
		{"tilde", `ls ~{{ _line }}`, "root", `ls ~'root'`},
		{"brace", `ls {a,{{ _line }}}`, "x,y", `ls {a,'x,y'}`},
		{"leading equals sign", `echo {{ _line }}`, "=ls", `echo '=ls'`},
		{"two pieces", `echo {{ _line }}{{ _line }}`, "a b", `echo 'a ba b'`},
		{"placeholder in script", `echo QdataQ {{ _line }} QdataQQ`, "a b", `echo QdataQ 'a b' QdataQQ`},
		{"placeholder in data", `echo {{ _line }} "{{ _line }}"`, "QdataQ $", `echo 'QdataQ $' "QdataQ \$"`},
		{"filter keeps taint", `echo {{ _line | upper | replace('X', 'y') }}`, "x z", `echo 'y Z'`},
		{"concat keeps taint", `echo {{ 'p/' ~ _line }}`, "x z", `echo 'p/x z'`},
		{"slice and item", `echo {{ _line[:3] }} {{ _line[0] }}`, "a;bc", `echo 'a;b' a`},
		{"split", `echo {{ _line.split(',')[1] }}`, "x,y z", `echo 'y z'`},
		{"loop", `echo{% for c in _line.split(',') %} {{ c }}{% endfor %}`, "a b,c", `echo 'a b' c`},
		{"format", `echo {{ '%s-%s' % (1, _line) }} {{ '{}'.format(_line) }}`, "a b", `echo '1-a b' 'a b'`},
		{"join", `echo {{ [1, _line] | join('+') }} {{ ','.join([_line]) }}`, "a b", `echo '1+a b' 'a b'`},
		{"macro", `{% macro m(x) %}-v {{ x }}{% endmacro %}echo {{ m(_line) }}`, "a", `echo '-v a'`},
		{"set block", `{% set b %}{{ _line }}{% endset %}echo {{ b }}`, "a b", `echo 'a b'`},
		{"set", `{% set b = _line %}echo {{ b }}`, "a b", `echo 'a b'`},
		{"default filter", `echo {{ nope | default(_line) }} {{ name | default(_line) }}`, "a b", `echo 'a b' plain; text`},
		{"list prints as data", `echo {{ [_line] }}`, "a", `echo '['\''a'\'']'`},
		{"json is data", `echo {{ {'k': _line} | tojson }}`, "a", `echo '{"k": "a"}'`},
		{"length is not data", `echo $({{ _line | length }})`, "a b", `echo $(3)`},
		{"int is not data", `echo {{ _line | int }}`, "3; x", `echo 0`},
		{"comparison is not data", `echo {{ 'a;b' if _line == 'x' else 'c;d' }}`, "x", `echo a;b`},
		{"argument of sh -c", `sh -c 'echo "$1"' _ {{ _line }}`, "a b", `sh -c 'echo "$1"' _ 'a b'`},
		{"input of a script file", "sh ./load.sh -c <<E\n{{ _line }}\nE\n", "a $b", "sh ./load.sh -c <<E\na \\$b\nE"},
		{"argument of a script file", `sh ./load.sh {{ _line }}`, "a b", `sh ./load.sh 'a b'`},
		{"case word", `case {{ _line }} in a) ;; esac`, "esac", `case 'esac' in a) ;; esac`},
		{"for items", `for i in {{ _line }}; do echo "$i"; done`, "do", `for i in 'do'; do echo "$i"; done`},
		{"substitution within a test", `[ "$(wc -l < {{ _line }})" -gt 5 ]`, "a b", `[ "$(wc -l < 'a b')" -gt 5 ]`},
		{"export", `export X={{ _line }}`, "a b", `export X='a b'`},
		{"export in quotes", `export "X={{ _line }}"`, "a b", `export "X=a b"`},
		{"variable in arithmetic", `m={{ _line }}; echo $((${m#0} + 1)) f-$m`, "08", `m=08; echo $((${m#0} + 1)) f-$m`},
		{"file in a pipeline", `cat {{ _line }} | grep a`, "a b", `cat 'a b' | grep a`},
		{"the word sh to a tool", `echo {{ _line }} | grep -c sh`, "a b", `echo 'a b' | grep -c sh`},
		{"double beyond ASCII", `echo "{{ _line }}" "é{{ _line }}\"{{ _line }}\n"`, "$\x81\"\x81", `echo "\$` + "\x81" + `"'"'"` + "\x81" + `" "é"'$'"` + "\x81" + `"'"'"` + "\x81" + `""\"\$` + "\x81" + `"'"'"` + "\x81" + `""\n"`},
		{"here-document beyond ASCII", "cat <<E\n{{ _line }}\\x\nE\n", "\x81$\x81", "cat <<E\n\x81$(printf '\\044')\x81$()\\x\nE"},
		{"default beyond ASCII", `echo "${X:-{{ _line }}}"`, "\x81$'\x81", `echo "${X:-` + "\x81$(printf '\\044')$(printf '\\047')\x81" + `$()}"`},
		{"newline", `echo {{ _line }}`, "a\nb", "echo 'a\nb'"},
		{"invalid UTF-8", `echo {{ _line }} {{ _line | upper }}`, "a\xffb", "echo 'a\xffb' 'A\xffB'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := shellOf(t, c.source, "/bin/sh", c.data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", c.source, diff)
			}
		})
	}
}

func TestRenderShellRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, source, shell, data, want string }{
		{"sh -c", `sh -c "echo {{ _line }}"`, "sh", "x", "data in the script of sh -c would be code"},
		{"bash -c in single quotes", `env A=1 /bin/bash -ec 'echo {{ _line }}'`, "sh", "x", "bash -c would be code"},
		{"xargs sh -c", `ls | xargs -n1 sh -c 'echo {{ _line }}'`, "sh", "x", "sh -c would be code"},
		{"bare script", `sh -c {{ _line }}`, "sh", "x", "sh -c would be code"},
		{"eval", `eval "echo {{ _line }}"`, "sh", "x", "data in eval would be code"},
		{"command eval", `command eval echo {{ _line }}`, "sh", "x", "data in eval would be code"},
		{"eval of a substitution", `eval "$(echo {{ _line }})"`, "sh", "x", "data in eval would be code"},
		{"trap", `trap 'rm {{ _line }}' EXIT`, "sh", "x", "data in trap would be code"},
		{"script on standard input", "bash <<EOF\necho {{ _line }}\nEOF\n", "sh", "x", "data would be code"},
		{"su", `su user -c "echo {{ _line }}"`, "sh", "x", "su -c would be code"},
		{"options before -c", `bash --rcfile f -o pipefail -c "echo {{ _line }}"`, "sh", "x", "bash -c would be code"},
		{"here-string", `bash -s x <<< "echo {{ _line }}"`, "bash", "x", "data would be code"},
		{"source", "source /dev/stdin <<E\necho {{ _line }}\nE\n", "bash", "x", "data would be code"},
		{"piped to a shell", `echo "ls {{ _line }}" | ssh host bash -s`, "sh", "x", "data would be code"},
		{"here-document piped to a shell", "cat <<E | sh\n{{ _line }}\nE\n", "sh", "x", "data would be code"},
		{"group piped to a shell", `{ echo {{ _line }}; } | sh`, "sh", "x", "data would be code"},
		{"piped to a shell through others", `echo {{ _line }} | tee f | sh`, "sh", "x", "data would be code"},
		{"piped to a group with a shell", `echo {{ _line }} | (cd x; bash -s)`, "sh", "x", "data would be code"},
		{"xargs -I", `echo {{ _line }} | xargs -I{} sh -c 'echo {}'`, "sh", "x", "data would be code"},
		{"printed script", `bash -e <(echo {{ _line }})`, "bash", "x", "data would be code"},
		{"printed source", `. <(echo {{ _line }})`, "bash", "x", "data would be code"},
		{"printed input", `sh < <(echo {{ _line }})`, "bash", "x", "data would be code"},
		{"descriptor 0", "sh /dev/fd/0 <<E\n{{ _line }}\nE\n", "sh", "x", "data would be code"},
		{"shell in a variable", `"$SHELL" -c {{ _line }}`, "sh", "x", "would be code"},
		{"env -S", `env -S "sh -c '{{ _line }}'"`, "sh", "x", "env -S"},
		{"printf -v", `printf -v{{ _line }} x`, "bash", "a[$(b)]", "could be code"},
		{"variable in arithmetic", `x={{ _line }}; echo $((x + 1))`, "sh", "a[$(touch x)]", "could be code"},
		{"quoted variable in arithmetic", `x="{{ _line }}"; echo $(( $x + 1 ))`, "bash", "a[$(touch x)]", "could be code"},
		{"variable in a numeric test", `x='{{ _line }}'; [[ $x -eq 1 ]]`, "bash", "a[$(touch x)]", "could be code"},
		{"indirect variable", `x={{ _line }}; echo ${!x}`, "bash", "a[$(touch x)]", "could be code"},
		{"loop variable in arithmetic", `for x in {{ _line }}; do (( x++ )); done`, "bash", "a[$(touch x)]", "could be code"},
		{"array in arithmetic", `x=({{ _line }}); echo $((x[0]))`, "bash", "a[$(touch x)]", "could be code"},
		{"variable in eval", `x={{ _line }}; eval "ls $x"`, "sh", "a; b", "could be code"},
		{"variable in sh -c", `x={{ _line }}; sh -c "ls $x"`, "sh", "a; b", "could be code"},
		{"variable as a name", `x={{ _line }}; printf -v "$x" 1`, "bash", "a[$(b)]", "could be code"},
		{"variable in test -v", `x={{ _line }}; [[ -v $x ]]`, "bash", "a[$(b)]", "could be code"},
		{"prompt", `export PS4={{ _line }}; set -x; ls`, "bash", "$(b)", ""},
		{"assigned prompt", `PS4={{ _line }}; set -x; ls`, "bash", "$(b)", "could be code"},
		{"start file", `BASH_ENV={{ _line }} bash x`, "bash", "$(b)", "could be code"},
		{"assignment in arithmetic", `x={{ _line }}; echo $((x))`, "bash", "PATH=1", "could be code"},
		{"name of an argument", `{% macro m() %}{{ kwargs }}{% endmacro %}{{ m(**{_line: 1}) }}`, "sh", "x", "name of an argument"},
		{"backquotes", "echo `cat {{ _line }}`", "sh", "x", "inside backquotes"},
		{"dollar quotes", `echo $'{{ _line }}'`, "bash", "x", "inside $'...'"},
		{"dollar quotes to sh", `echo $'{{ _line }}'`, "sh", "x", "inside $'...'"},
		{"after backslash", `echo \{{ _line }}`, "sh", "x", "after a backslash"},
		{"after backslash in quotes", `echo "\{{ _line }}"`, "sh", "x", "after a backslash"},
		{"after dollar", `echo ${{ _line }}`, "sh", "x", "data cannot be a name"},
		{"end of a variable", `echo $x{{ _line }}`, "sh", "x", "data cannot be a name"},
		{"variable name", `echo ${ {{- _line }}}`, "sh", "x", "data cannot be a name"},
		{"assigned name", `{{ _line }}=1`, "sh", "x", "data cannot be a name"},
		{"loop name", `for {{ _line }} in a; do :; done`, "sh", "x", "data cannot be a name"},
		{"function name", `{{ _line }}() { :; }`, "sh", "x", "data cannot be a name"},
		{"export name", `export {{ _line }}`, "bash", "x", "data cannot be"},
		{"pattern", `echo ${x#{{ _line }}}`, "sh", "x", "inside ${ }"},
		{"pattern in quotes", `echo "${x%%{{ _line }}}"`, "sh", "x", "inside ${ }"},
		{"replacement", `echo "${x/a/{{ _line }}}"`, "bash", "x", "inside ${ }"},
		{"arithmetic", `echo $(( {{ _line }} ))`, "sh", "a[$(touch x)]", "only an integer is allowed"},
		{"part of a number", `echo $(( 1{{ _line }} ))`, "sh", "1", "must stand alone"},
		{"numeric test", `[[ {{ _line }} -eq 1 ]]`, "bash", "a[$(x)]", "only an integer is allowed"},
		{"numeric test in a larger one", `[[ -n a && ( ! {{ _line }} -eq 1 ) ]]`, "bash", "a[$(x)]", "only an integer is allowed"},
		{"variable test in a larger one", `[[ -n a && -v {{ _line }} ]]`, "bash", "x", "name of a variable"},
		{"offset", `echo "${x:{{ _line }}}"`, "bash", "a[$(x)]", "only an integer is allowed"},
		{"index", `echo "${x[{{ _line }}]}"`, "bash", "a[$(x)]", "only an integer is allowed"},
		{"assigned index", `x[{{ _line }}]=1`, "bash", "a[$(x)]", "only an integer is allowed"},
		{"element index", `x=([{{ _line }}]=1)`, "bash", "a[$(x)]", "only an integer is allowed"},
		{"loop arithmetic", `for ((i=0; i<{{ _line }}; i++)); do :; done`, "bash", "a[$(x)]", "only an integer is allowed"},
		{"let", `let x={{ _line }}`, "bash", "a[$(x)]", ""},
		{"nested defaults", `echo "${x:-${y:-{{ _line }}}}"`, "bash", "x", ""},
		{"quotes in quotes", `echo "${x:-"{{ _line }}"}"`, "sh", "x", ""},
		{"single in double", `echo "${x:-'{{ _line }}'}"`, "sh", "it's", ""},
		{"default in a here-document", "cat <<E\n${x:-{{ _line }}}\nE\n", "sh", "x", ""},
		{"coprocess name", `coproc {{ _line }} { cat; }`, "bash", "x", ""},
		{"zsh flags", `echo ${(e){{ _line }}}`, "zsh", "a b", "cannot quote it for zsh"},
		{"arithmetic command", `(( {{ _line }} > 1 ))`, "sh", "a[$(x)]", "shells understand differently"},
		{"test -v", `[ -v {{ _line }} ]`, "bash", "x", "name of a variable"},
		{"read", `read {{ _line }}`, "bash", "x", "name of a variable"},
		{"declare -i", `declare -i x={{ _line }}`, "bash", "a[$(b)]", "could be code"},
		{"cannot be quoted in this place", `echo >&{{ _line }}`, "sh", "x", "cannot be quoted in this place"},
		{"here-document ends", "cat <<EOF\n{{ _line }}\nEOF\n", "sh", "a\nEOF\ntouch x", "would end the here-document"},
		{"here-document line", "cat <<'EOF'\n{{ _line }}\nEOF\n", "sh", "EOF", "would end the here-document"},
		{"here-document with tabs", "cat <<-EOF\n\t{{ _line }}\n\tEOF\n", "sh", "EOF", "would end the here-document"},
		{"here-document strips", "cat <<-EOF\n{{ _line }}\n\tEOF\n", "sh", "\tx", "would strip a tab"},
		{"here-document word", "cat <<{{ _line }}\nx\nEOF\n", "sh", "EOF", "line 1: the script is not valid"},
		{"NUL", `echo {{ _line }}`, "sh", "a\x00b", "NUL byte"},
		{"shell", `echo {{ _line }}`, "/usr/bin/fish", "a b", `handoff cannot quote it for fish`},
		{"syntax", `echo "{{ _line }}`, "sh", "x", "the script is not valid for sh"},
		{"other variable in arithmetic", `m={{ _line }}; echo $((n + 1)) "$m"`, "sh", "a b", "line 1 of the script: arithmetic ($((n + 1)))"},
		{"file piped to a shell", `cat {{ _line }} | sh`, "sh", "a b", "sh that runs what it reads"},
		{"extended glob", `ls @({{ _line }})`, "bash", "x", "pattern like @( )"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := shellOf(t, c.source, c.shell, c.data)
			if err == nil {
				t.Fatalf("%q: no error, got %q", c.source, got)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q: error %q, want %q in it", c.source, err, c.want)
			}
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	q := For("bash")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for j := range 200 {
				extra := strings.Repeat("x", j)
				got, err := q.Script("echo a b "+extra, []Piece{{5, 8, 1}})
				if want := "echo 'a b' " + extra; err != nil || got != want {
					t.Errorf("got %q, %v, want %q", got, err, want)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := len(q.plans.plans); n > maxPlans {
		t.Errorf("the cache holds %d plans", n)
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"a.b": "a.b", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "=x": "'=x'", "é": "'é'"} {
		if got := Quote(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
