package shell

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/jinja"
)

// hostile are lines that start the program pwn if anything evaluates them, and lines that lose their shape easily.
func hostile() []string {
	return []string{
		"a; pwn", "$(pwn)", "`pwn`", "a[$(pwn)]", "x=a[$(pwn)]", "pwn |", "|pwn",
		"pwn x", "\npwn\n", "'; pwn; '", `"; pwn; "`, "& pwn &", "a\nEND\npwn",
		"-v a[$(pwn)]", "-va[$(pwn)]", "-cpwn", "-c", "-e", "-esystem(\"pwn\")", "-e1e pwn",
		"--expression=1e pwn", "-exec pwn ;", "-f", "-", "--", "-n", "-p", "=", "a=b", "PATH=.", "BASH_ENV=x", "%n", "%s", "%",
		"{ system(\"pwn\") }", "__import__('os').system('pwn')", "require('child_process').execSync('pwn')",
		"x'+system('pwn')+'", "'", `"`, `\`, `\\`, "$", "*", "?", "[a-z]", "~", "!", "#", "(", ")", "{a,b}", "<(pwn)", ">pwn",
		"${x@P}", "\\$(pwn)", "$'\\x24(pwn)'", "a b", "\t", " ", "\n", "\r", "é", "日本", "\xff\xfe", "\x01", "\x7f",
		strings.Repeat("long ", 20000) + "; pwn",
	}
}

// tools makes a folder with the programs that scripts of the tests may start, and no others.
func tools(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name := range strings.FieldsSeq("cat cp mv rm ls tee grep head tail wc tr sort uniq seq sleep touch true false mkdir basename dirname " +
		"sh bash dash env nice nohup timeout setsid stdbuf flock time find awk gawk mawk sed jq perl python3 node xargs make dc ed test printf echo expr") {
		if path, err := exec.LookPath(name); err == nil {
			if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "pwn"), []byte("#!/bin/sh\n: > '"+canary(dir)+"'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// canary is the file that the program pwn makes, wherever it is started.
func canary(bin string) string { return filepath.Join(bin, "canary") }

// sandbox runs a script in an empty folder and fails if anything in it has run the data.
func sandbox(t testing.TB, bin, dir, shell, script string, env ...string) (stdout string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	file := filepath.Join(dir, "script")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(dir, "work")
	if err := os.MkdirAll(work, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, shell, file)
	cmd.Dir = work
	cmd.Env = []string{"PATH=" + bin, "HOME=/nonexistent", "LC_ALL=C.UTF-8", "FUNCNEST=50"} // bash follows no function that calls itself without end
	cmd.Env = append(cmd.Env, env...)
	cmd.WaitDelay = time.Second
	out, _ := cmd.Output() // many of the scripts fail: no file has such a name
	if _, err := os.Stat(canary(bin)); err == nil {
		t.Fatalf("%s has run the data:\n%s", shell, script)
	}
	if ctx.Err() != nil {
		t.Fatalf("%s hangs:\n%s", shell, script)
	}
	return string(out)
}

func shellsFor(t testing.TB, only string) (paths []string) {
	t.Helper()
	for _, name := range []string{"dash", "bash"} {
		if only != "" && only != name {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			paths = append(paths, path)
		}
	}
	return paths
}

// Every row of the table of contexts, with every hostile line: what the shell prints has the line byte for byte.
func TestContexts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	bin := tools(t)
	for _, c := range contexts() {
		t.Run(fmt.Sprintf("%s %s", c.where, c.quotes), func(t *testing.T) {
			t.Parallel()
			for _, shell := range shellsFor(t, c.shell) {
				var all, want strings.Builder
				for _, data := range append(hostile(), "word", "7", "-7") {
					script, ok := contextScript(t, c, shell, data)
					if !ok {
						continue
					}
					all.WriteString(script + "\n")
					want.WriteString(wanted(c, data))
				}
				if got := sandbox(t, bin, t.TempDir(), shell, all.String()); got != want.String() {
					t.Errorf("%s\ngot  %.5000q\nwant %.5000q", shell, got, want.String())
				}
			}
		})
	}
}

// contextScript is the example of a context with data; false: it is refused, as it has to be.
func contextScript(t *testing.T, c setting, shell, data string) (string, bool) {
	t.Helper()
	script, err := render(t, c.example, shell, jinja.Vars{"d": jinja.Data(data)})
	let := c.takes == anything || c.takes == plain && IsPlain(data) || isDigits(strings.TrimPrefix(data, "-"))
	// Two texts cannot stand in two of the places: see checkHeredocs and place.check.
	if c.where == document && strings.Contains(data, "\nEND\n") || c.where == element && strings.ContainsAny(data, "\x01\x7f") {
		let = false
	}
	if let != (err == nil) {
		t.Fatalf("%q: let in: %v, want %v (%v)", data, err == nil, let, err)
	}
	return script, err == nil
}

// wanted is what the example of a context prints.
func wanted(c setting, data string) string {
	switch c.where {
	case argument:
		return "a" + data + "\x00"
	case touching:
		return "a[]" + data + "\x00"
	case document:
		return data + "x\n\x00"
	case calculated:
		return map[string]string{"7": "8", "-7": "-6"}[data] + "\x00"
	case compared:
		return map[string]string{"7": "ok\x00"}[data]
	case name, redirected, remark:
		return "ok\x00"
	}
	return data + "\x00"
}

// Every row of the table of commands: its example takes any line and runs none; what it bars is refused.
func TestCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	bin := tools(t)
	for _, c := range commands() {
		t.Run(c.names, func(t *testing.T) {
			t.Parallel()
			for bad := range strings.SplitSeq(c.bars, "\n") {
				if bad != "" {
					refusesHostile(t, bad)
				}
			}
			if c.takes == "" {
				return
			}
			slow := strings.Contains("sed jq python perl ruby", strings.Fields(c.names)[0])
			only := ""
			if slow {
				only = "bash"
			}
			for _, shell := range shellsFor(t, only) {
				var all strings.Builder
				for i, data := range hostile() {
					if slow && i > 4 && data[0] != '-' {
						continue
					}
					script, err := render(t, c.takes, shell, jinja.Vars{"d": jinja.Data(data)})
					switch {
					case err == nil && len(data) < 1000:
						all.WriteString("(\n" + script + "\n) < /dev/null\n")
					case err != nil && !strings.Contains(err.Error(), "would be an option of"):
						t.Errorf("%s: %q: %v", c.takes, data, err)
					}
				}
				sandbox(t, bin, t.TempDir(), shell, all.String())
			}
		})
	}
}

// refusesHostile fails if a script takes a hostile line: there is data in it, or beside it.
func refusesHostile(t *testing.T, source string) {
	t.Helper()
	source += "\n: {{ d }}"
	for _, shell := range []string{"sh", "dash", "bash"} {
		if script, err := render(t, source, shell, jinja.Vars{"d": jinja.Data("a; pwn")}); err == nil {
			t.Errorf("%s takes a hostile line:\n%s", shell, script)
		}
	}
}

// The ways in which a line was evaluated later, when handoff followed data through a script.
func TestLaterEvaluation(t *testing.T) {
	t.Parallel()
	for _, source := range []string{
		// Arithmetic over a value that came by way of ...
		`x=$(echo {{ d }}); echo $((x))`, `x=$(cat <<< {{ d }}); ((x > 1))`, `echo {{ d }} | { read x; echo $((x)); }`,
		`read x <<< {{ d }}; [[ x -gt 1 ]]`, `x={{ d }}; y=$x; echo $((y + 1))`, `x={{ d }}; y="$x"; z=$y; let z+=1`,
		`f() { echo $(($1)); }; f {{ d }}`, `f() { local n=$1; (( n )); }; f {{ d }}`, `set -- {{ d }}; echo $(($1))`,
		`set -- {{ d }}; [[ $1 -eq 1 ]]`, `declare -i n; n={{ d }}`, `y={{ d }}; declare -i n=y`, `typeset -i n={{ d }}`,
		`printf -v x %s {{ d }}; echo $((x))`, `printf -v x {{ d }}; (( x ))`, `mapfile -t a <<< {{ d }}; echo $((a[0]))`,
		`readarray a <<< {{ d }}; echo "${b[a[0]]}"`, `x={{ d }}; echo "${x@P}"`, `x={{ d }}; echo ${y:x}`, `x={{ d }}; a[x]=1`,
		`x={{ d }}; for ((i=x; i<2; i++)); do :; done`, `x={{ d }}; echo $[x]`, `x={{ d }}; echo ${!x}`,
		`while read x; do echo $((x)); done <<< {{ d }}`, `x={{ d }}; unset "a[$x]"`, `a=({{ d }}); echo ${a[$x]}`,
		`x={{ d }}; RANDOM=$x`, `for RANDOM in {{ d }}; do :; done`, `: ${RANDOM:={{ d }}}`, `x={{ d }}; test -v "$x"`, `x={{ d }}; [ $x ]`,
		`x={{ d }}; export PS4="$x"; set -x; :`, `x={{ d }}; PS4=$x; set -x; :`, `printf '%n' {{ d }}`,
		// ... or given to a shell as text.
		`x={{ d }}; y=$x; eval "$y"`, `x={{ d }}; y=$x; sh -c "$y"`, `x={{ d }}; bash -c "echo $x"`, `alias x={{ d }}; x`,
		`y={{ d }}; alias x="$y"; x`, `echo {{ d }} | xargs -rI{} sh -c 'echo {}'`, `echo {{ d }} | xargs -i sh -c 'echo {}'`,
		`echo {{ d }} | xargs --replace sh -c 'echo {}'`, `echo {{ d }} | xargs --replace=% sh -c 'echo %'`,
		"while :; do sh; break; done <<E\n{{ d }}\nE\n", "if :; then bash; fi <<< {{ d }}", "{ sh; } <<E\n{{ d }}\nE\n",
		"(sh) <<E\n{{ d }}\nE\n", `echo {{ d }} | while :; do sh; break; done`, `echo {{ d }} | if :; then sh; fi`, `echo {{ d }} | (sh)`,
		`f() { sh; }; echo {{ d }} | f`, `f() { eval "$1"; }; f {{ d }}`, `case x in x) sh;; esac <<< {{ d }}`, `for i in 1; do bash -s; done <<< {{ d }}`,
		`trap {{ d }} EXIT`, `x={{ d }}; trap "$x" EXIT`, `find . -exec sh -c "echo {{ d }}" \;`, `touch {{ d }}; find . -exec sh -c 'echo {}' \;`,
		`env "$x" {{ d }}`, `x=sh; $x -c {{ d }}`, `x={{ d }}; $x`, `exec sh -c {{ d }}`, `command eval {{ d }}`, `builtin eval {{ d }}`,
		`command command eval {{ d }}`, `nice sh -c {{ d }}`, `timeout 5 env nice eval {{ d }}`, `nohup bash <<< {{ d }}`,
		`sudo -n sh -c {{ d }}`, `awk "BEGIN { {{ d }} }"`, `x={{ d }}; awk "/$x/"`, `sed "s/a/{{ d }}/"`, `x={{ d }}; sed "s/a/$x/"`,
		`perl -e {{ d }}`, `perl -ne print {{ d }}`, `python3 -c "print('{{ d }}')"`, `echo {{ d }} | python3`, `echo {{ d }} | perl`,
		"python3 <<E\n{{ d }}\nE\n", "x={{ d }}; python3 <<E\n$x\nE\n", `ssh host ls {{ d }}`, `x={{ d }}; ssh host "ls $x"`, `echo {{ d }} | ssh host`,
		`echo {{ d }} > f; sh f`, `echo {{ d }} > ./f; ./f`, `echo {{ d }} > f; . ./f`, `sh -c 'eval "$1"' sh {{ d }}`,
		`d=f; echo {{ d }} > "$d"; sh ./f`, `d=f; echo {{ d }} | tee ${d}; sh f`, `echo {{ d }} > "$PWD"/f; sh f`, `cd x; echo {{ d }} > "$y/f"; sh x/f`,
		`echo {{ d }} | bash /dev/../dev/stdin`, `echo {{ d }} | bash //dev/stdin`, `echo {{ d }} | awk -f /dev/./stdin`,
		`uv run python3 -c "print('{{ d }}')"`, `docker exec x python3.12 -c {{ d }}`, `echo {{ d }} | docker exec -i x python -`, `x={{ d }}; uv run python -uc "$x"`,
		`sh -c 'sh -c "$1"' sh {{ d }}`, `sh -c 'echo $(($1))' sh {{ d }}`, `env -S {{ d }}`, `watch {{ d }}`, `parallel echo ::: {{ d }}`,
		`docker exec x sh -c "echo {{ d }}"`, `echo {{ d }} | docker exec -i x sh`, `source /dev/stdin <<< {{ d }}`, `. /dev/fd/0 <<< {{ d }}`,
		`coproc bash; echo {{ d }} >&${COPROC[1]}`, `exec < <(echo {{ d }}); sh`, `complete -C {{ d }} x`, `mapfile -C {{ d }} -c 1 a < x`,
		`hash -p {{ d }} ls; ls`, `enable -f {{ d }} x`, `bind -x {{ d }}`, `shopt -s expand_aliases; : {{ d }}`, `set -k; : {{ d }}`,
		`exec 12< {{ d }}`, `make X={{ d }}`, `dc <<< {{ d }}`, `flock f -c {{ d }}`, `su x -c {{ d }}`, `echo {{ d }} | at now`,
		`[ {{ d }} ] ; [ -n "$a" -a -v "$b" ]`, `select x in {{ d }}; do :; done`, "echo `echo {{ d }}`", `echo $'x' {{ d }}`, `export $(echo {{ d }})`,
		`x={{ d }}; export $x`, `x={{ d }}; readonly "$x"`, `x={{ d }} ; cat /etc/hosts >& $x`, `wait -n -p {{ d }}`,
	} {
		refusesHostile(t, source)
	}
}

// What people write with a line must stay possible.
func TestLetIn(t *testing.T) {
	t.Parallel()
	for _, source := range []string{
		`curl -fsS "https://x/{{ d }}.csv" -o files/{{ d }}.csv`, `sh -c 'echo "$1" | tr a b' sh {{ d }}`, `bash -euo pipefail -c 'for f in "$@"; do cat "$f"; done' _ {{ d }}`,
		`n=$(wc -l < {{ d }}); [ "$n" -gt 5 ] && echo "$n"`, `if ! [ -e {{ d }} ]; then mkdir -p {{ d }}; fi; cd {{ d }} && ls`,
		`python3 files/load.py --name={{ d }} | gzip > out/{{ d }}.gz`, `LINE={{ d }} python3 -c 'import os; print(os.environ["LINE"])'`,
		`env LINE={{ d }} ./load`, "python3 - {{ d }} <<'END'\nimport sys\nprint(sys.argv[1])\nEND\n", `awk -F, -v p={{ d }} '$0 ~ p { print $1 }' file.csv`,
		`jq -n --arg name {{ d }} '{name: $name}'`, `psql -v ON_ERROR_STOP=1 -v name={{ d }} -f load.sql`, `cp -- {{ d }} out`,
		`while read -r x; do echo "$x"; done < {{ d }}`, `set -euo pipefail; cat {{ d }} | sort`, `f() { echo "$1"; }; f {{ d }}; f "$@"`,
		`case {{ d }} in *.csv) echo csv;; *) echo other;; esac`, `tap --config c.json --state s.json {{ d }} | target > {{ d }}.out 2>> log`,
		`name={{ d }}; base=${name##*/}; echo "${base%.csv}"`, "cat <<END | jq -R .\n{{ d }}\nEND\n", `timeout 60 nice -n 10 ./load {{ d }}`,
		`PATH=$PATH:/opt/bin; LC_ALL=C sort {{ d }}`, `command -v jq >/dev/null || exit 1; echo {{ d }}`, `echo $((1 + 2)) {{ d }}`,
		`cat {{ d }} & wait; sleep 1 & wait $!`, `docker run --rm image ./load {{ d }}`, `docker run --rm image sh -c 'echo "$1"' sh {{ d }}`,
		`uv run python load.py {{ d }}`, `docker exec x python3 -c 'import sys; print(sys.argv[1])' {{ d }}`, `d=out/x.csv; ./load {{ d }} > "$d"; python3 check.py "$d"`,
		`ssh host 'cat > file' < {{ d }}`, `sed -n 1p ./{{ d }}`, `sed -e 's/a/b/' -- {{ d }} "$x"`, `find ./{{ d }} -name '*.csv' | head`,
	} {
		for _, shell := range []string{"sh", "bash", "dash"} {
			if _, err := render(t, source, shell, jinja.Vars{"d": jinja.Data("a; pwn")}); err != nil {
				t.Errorf("%s: %s: %v", shell, source, err)
			}
		}
	}
	if _, err := render(t, `f() { local x=$1; }; f {{ d }}`, "sh", jinja.Vars{"d": jinja.Data("a PS4=$(b)")}); err == nil {
		t.Error("dash would make two variables of local x=$1")
	}
	for _, source := range []string{`[[ {{ d }} == *.csv ]] && echo "${x:0:3}"`, `a=({{ d }} b); ls "${a[@]}"`, `diff <(sort {{ d }}) <(sort b) &> log`} {
		if _, err := render(t, source, "bash", jinja.Vars{"d": jinja.Data("a; b")}); err != nil {
			t.Errorf("%s: %v", source, err)
		}
	}
}

// Plain words go in wherever a line went in before.
func TestPlainWords(t *testing.T) {
	t.Parallel()
	for _, source := range []string{
		`x={{ d }}; echo $((n + 1)) "$x"`, `x={{ d }}; eval "echo $x"`, `echo a | xargs -n1 echo {{ d }}`, `find . -name {{ d }} -exec cat {} +`,
		`trap 'rm -f x' EXIT; echo {{ d }}`, `{{ d }} x`, `shopt -s extglob; ls {{ d }}`, `ssh host ls {{ d }}`, `$TOOL {{ d }}`, `. ./env.sh; echo {{ d }}`,
	} {
		for _, word := range []string{"AAPL_2024-01", "a.b/c:d@e%f+g,h", "2024-01-31", "7"} {
			if _, err := render(t, source, "bash", jinja.Vars{"d": jinja.Data(word)}); err != nil {
				t.Errorf("%s: %v", source, err)
			}
		}
		refusesHostile(t, source)
	}
}

// In the locales of GBK, Big5 and Shift_JIS a byte of the data can make one character with a backslash.
func TestOtherEncodings(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	bin, locales := tools(t), t.TempDir()
	var env []string
	for name, charmap := range map[string]string{"zh_CN": "GBK", "ja_JP": "SHIFT_JIS"} {
		// Not everywhere are these charmaps installed.
		_ = exec.Command("localedef", "-c", "-i", name, "-f", charmap, filepath.Join(locales, name+"."+charmap)).Run()
		env = append(env, "LC_ALL="+name+"."+charmap)
	}
	for _, c := range contexts() {
		if c.kind != asDouble && c.kind != asDoubleFallback && c.kind != asDocument {
			continue // no backslash is written there
		}
		for _, data := range []string{"\x81\"; pwn; \"", "\x81$(pwn)", "\x81", "\x81\\", "\xe6\x97\xa5`pwn`", "\x81'; pwn; '", "日本$(pwn)", "\x81} ; pwn; {", "\xa5\\$(pwn)"} {
			for _, source := range []string{c.example, strings.ReplaceAll(c.example, "{{ d }}", "é{{ d }}"), strings.ReplaceAll(c.example, "{{ d }}", `{{ d }}\\{{ d }}`)} {
				script, err := render(t, source, "bash", jinja.Vars{"d": jinja.Data(data)})
				if err != nil {
					continue
				}
				for _, locale := range env {
					sandbox(t, bin, t.TempDir(), "bash", script, locale, "LOCPATH="+locales)
				}
			}
		}
	}
}

// Other languages take plain words as they are and nothing else.
func TestOtherLanguages(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"python3", "/usr/bin/perl", "fish", "zsh", "ksh"} {
		if got, err := render(t, "print('{{ d }}')", shell, jinja.Vars{"d": jinja.Data("a-1.b")}); err != nil || got != "print('a-1.b')" {
			t.Errorf("%s: %q, %v", shell, got, err)
		}
		_, err := render(t, "print('{{ d }}')", shell, jinja.Vars{"d": jinja.Data("'+x+'")})
		if err == nil || !strings.Contains(err.Error(), "cannot quote it for "+filepath.Base(shell)) {
			t.Errorf("%s: %v", shell, err)
		}
	}
}

// Every command that a shell has in itself has a row in the table, and every variable that it sets has a rule.
func TestTablesAreWhole(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(bash, "--norc", "-c", "compgen -b").Output()
	if err != nil {
		t.Fatal(err)
	}
	dash := ". : [ alias bg break cd chdir command continue echo eval exec exit export false fc fg getopts hash jobs kill local printf pwd read " +
		"readonly return set shift test times trap true type ulimit umask unalias unset wait"
	for name := range strings.FieldsSeq(string(out) + dash) {
		if rules()[name] == nil {
			t.Errorf("no row for the command %s", name)
		}
	}
	cmd := exec.Command(bash, "--norc", "-c", "compgen -v")
	cmd.Env = []string{}
	if out, err = cmd.Output(); err != nil {
		t.Fatal(err)
	}
	harmless := " HOSTNAME HOSTTYPE MACHTYPE OSTYPE "
	for name := range strings.FieldsSeq(string(out)) {
		if !isEvaluated(name) && !isPath(name) && !strings.Contains(harmless, " "+name+" ") {
			t.Errorf("no rule for the variable %s", name)
		}
	}
}
