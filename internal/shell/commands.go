package shell

import (
	"path"
	"slices"
	"strings"
	"sync"

	"mvdan.cc/sh/v3/syntax"
)

// A command that a shell evaluates in itself, or that starts what its arguments say, has a row in the table: which of
// its arguments may be data. Any other command is a program to which data is an argument like others; what it does
// with it is its own affair.
type command struct {
	names string
	rule  rule
	takes string // an example with data that is let in
	bars  string // examples that are refused, one a line
}

// rule checks one call of a command.
type rule func(k *checker, c call)

// call is a command with what follows its name.
type call struct {
	name   string
	node   syntax.Node
	args   []*syntax.Word
	redirs []*syntax.Redirect
}

func commands() []command {
	return []command{
		// Commands of shells.
		{": true false echo pwd cd chdir type kill", lets, `cd {{ d }} && echo {{ d }}`, ""},
		{"cat ls grep egrep fgrep rg tr cut sort uniq head tail wc diff tee basename dirname mkdir rm cp mv ln touch", lets, // sh is no shell to them
			`grep -c sh -- {{ d }}`, ""},
		{"umask ulimit times jobs bg fg hash", fixed, "umask 077; echo {{ d }}", "umask {{ d }}"},
		{"break continue return exit shift", number, "for i in {{ d }}; do break 1; done; exit $?", "exit {{ d }}\nreturn $x"},
		{"wait", waits, "cat {{ d }} & wait $!", "wait {{ d }}\nwait -n -p x"},
		{"set", sets, "set -eu -o pipefail; set -o; set -- {{ d }}", "set {{ d }}\nset -k\nset -o $x\nset -o {{ d }}\nset -eo vi\nset -u $x"},
		{"printf", prints, `printf '%s\n' {{ d }}`, "printf {{ d }}\nprintf -v x %s {{ d }}\nprintf \"$x\"\nprintf '%n' {{ d }}"},
		{"test [", tests, `[ {{ d }} = "$x" ] && test -e {{ d }}`, "[ -v {{ d }} ]\n[ $x ]\ntest {{ d }} \"$x\" b\n[ -n a -a -v \"$x\" ]"},
		{"export readonly local declare typeset", declares, `export X={{ d }}`, "export {{ d }}\nexport \"$x\"\ndeclare -i x={{ d }}\nexport PS4={{ d }}"},
		{"unset", unsets, "unset x; echo {{ d }}", "unset {{ d }}\nunset \"$x\"\nunset 'a[b]'"},
		{"read", reads, `while IFS= read -r x; do echo "$x"; done < {{ d }}`, "read {{ d }}\nread \"$x\"\nread PS4\nread 'a[b]'\nread -a x"},
		{". source", sources, "", ". {{ d }}\n. ./file\n. ./{{ d }}\nsource \"$x\""},
		{"eval trap alias let fc", code, "", "eval {{ d }}\neval \"$x\"\ntrap \"$x\" EXIT\nalias x=y\nlet x=1"},
		{"bind caller compgen complete compopt coproc dirs disown enable function getopts help history logout mapfile nameref popd pushd " +
			"readarray select shopt suspend unalias", never, "", "mapfile x\nshopt -s extglob\ngetopts a x"},

		// Commands that start another one: what follows is checked as a command.
		{"command", startsCommand, "command -v jq && command cat {{ d }}", "command eval {{ d }}\ncommand {{ d }}"},
		{"exec builtin busybox nohup", starts(prefix{}), "exec cat {{ d }}", "exec {{ d }}\nexec sh -c {{ d }}\nexec -a {{ d }} sh"},
		{"env", startsEnv, `env -i X={{ d }} Y="$x" cat {{ d }}`, "env {{ d }} x\nenv -S {{ d }}\nenv $x ls\nenv PS4={{ d }} bash x"},
		{"nice", starts(prefix{values: "n"}), "nice -n 5 cat {{ d }}", "nice -n {{ d }} cat\nnice sh -c {{ d }}"},
		{"timeout", starts(prefix{flags: "v", values: "ks", operands: 1}), "timeout -k 1 10 cat {{ d }}", "timeout {{ d }} sh\ntimeout 10 eval {{ d }}"},
		{"setsid", starts(prefix{flags: "cfw"}), "setsid -w cat {{ d }}", "setsid sh -c {{ d }}"},
		{"stdbuf", starts(prefix{values: "ioe"}), "stdbuf -oL cat {{ d }}", "stdbuf -oL xargs {{ d }}"},
		{"ionice", starts(prefix{flags: "t", values: "cn"}), "ionice -c 3 cat {{ d }}", "ionice -c 3 bash"},
		{"flock", starts(prefix{flags: "nsxueo", values: "wE", operands: 1}), "flock -n lock cat {{ d }}", "flock lock -c {{ d }}\nflock {{ d }} sh"},
		{"sudo doas", starts(prefix{flags: "nEHkS", values: "ugC"}), "sudo -n -u nobody cat {{ d }}", "sudo -s {{ d }}\nsudo sh -c {{ d }}\nsudo -u {{ d }} sh"},
		{"time", starts(prefix{flags: "p"}), "time cat {{ d }}", "time eval {{ d }}"},

		// Programs that run programs. Data is let in where it is known to be data.
		{"sh bash dash ash rbash zsh ksh ksh93 mksh yash fish csh tcsh", shells, `sh -c 'echo "$1"' sh {{ d }}`,
			"sh -c {{ d }}\nsh -c \"echo $x\"\nsh\nbash -s {{ d }}\nsh -c 'eval \"$1\"' sh {{ d }}\nsh {{ d }}\nbash -c 'echo $(($1))' sh {{ d }}\nsh /dev/stdin\n" +
				"bash -c +x {{ d }}\nbash -c - {{ d }}\nsh -\nbash -c -- {{ d }}\nbash +x {{ d }}"},
		{"awk gawk mawk nawk", interprets(program{flags: "", text: "F", named: "v", file: "f", code: "e", first: true, exact: true}),
			`awk -v p={{ d }} '$0 ~ p' {{ d }}`, "awk {{ d }}\nawk \"/{{ d }}/\"\nawk -f {{ d }}\nawk \"$x\"\nawk -v {{ d }} x\nawk -f x {{ d }}{{ d }} -e \"$x\""},
		{"sed", interprets(program{flags: "nErsuzi", code: "e", file: "f", first: true}),
			"sed -n 1p -- {{ d }} | sed 1d {{ d }}", "sed {{ d }}\nsed s/a/{{ d }}/\nsed -e \"s/x/$x/\"\nsed -f {{ d }}\nsed 1p \"$x\"\nsed -f- {{ d }}\nsed -f - x"},
		{"jq", interprets(program{flags: "rcnseSRjaMC", pairs: []string{"arg", "argjson"}, file: "f", first: true}),
			`jq -n --arg x {{ d }} '$x'`, "jq {{ d }}\njq \".{{ d }}\" x\njq . \"$x\"\njq --arg {{ d }} a ."},
		{"python pypy", interprets(program{flags: "uEsSBOIqvb", value: "WX", code: "c", ends: "cm", module: "m", first: true, exact: true, stdin: true}),
			"python3 -c 'import sys; print(sys.argv[1])' {{ d }}; python3 -m base64 {{ d }}; python3 x.py {{ d }}; python3 - {{ d }} <<'END'\nprint(1)\nEND\n",
			"python3 -c {{ d }}\npython -c \"print('{{ d }}')\"\npython3 {{ d }}\npython3\npython3 -\npython3 -m {{ d }}\npython3 -m timeit {{ d }}\npython3 -cprint {{ d }}\npython3 -c \"$x\""},
		{"perl", interprets(program{flags: "wWlt", value: "MI", code: "eE", first: true, stdin: true}),
			`perl -we 'print $ARGV[0]' -- {{ d }}`, "perl -e {{ d }}\nperl -ne print {{ d }}\nperl -e print \"$x\"\nperl\nperl {{ d }}"},
		{"ruby node nodejs lua Rscript php julia osascript tclsh", interprets(program{flags: "w", value: "I", code: "epr", first: true, stdin: true}),
			`node -e 'console.log(process.argv[1])' -- {{ d }}; ruby x.rb {{ d }}`, "node -e {{ d }}\nnode -pe {{ d }}\nruby -pe {{ d }}\nnode -pe \"$x\"\nruby\nnode -\nphp -r \"$x\"\nlua {{ d }}"},
		{"find", finds, "find ./{{ d }} -name {{ d }} -type f", "find . -exec cat {} +\nfind $x\nfind \"$x\"\nfind . {{ d }} -okdir x"},
		{"ssh", remote, "ssh host 'cat > file' < {{ d }}", "ssh host cat {{ d }}\nssh {{ d }}\nssh host \"cat $x\"\nssh host\nssh -p 22 host"},
		{"deno bun make watch tmux screen crontab m4 gdb strace docker-entrypoint start-stop-daemon systemd-run", fixed, "make -C x all < {{ d }}", "make X={{ d }}\nwatch \"$x\""},
		{"xargs parallel", inserts, "", "xargs\nxargs -rI{} sh -c 'echo {}'\nxargs -i sh -c 'echo {}'\nxargs --replace sh -c 'echo {}'\nparallel"},
		{"su runuser", accounts, "", "su x\nsu x -c \"echo $x\"\nsu x -c {{ d }}"},
		{"script expect at batch ed ex vi vim nvim emacs dc entr unshare nsenter chroot", never, "",
			"chroot x\ndc"},
	}
}

// rules are the rules of commands by their names. It is built on first use, to keep the start of the program short.
var rules = sync.OnceValue(func() map[string]rule {
	all := map[string]rule{}
	for _, c := range commands() {
		for name := range strings.FieldsSeq(c.names) {
			all[name] = c.rule
		}
	}
	return all
})

// rule returns the rule of a command, nil for a program that is not in the table. python3.12 is python.
func (k *checker) rule(name string) rule {
	name = path.Base(name)
	if r := k.rules[name]; r != nil {
		return r
	}
	return k.rules[strings.TrimRight(name, "0123456789.")]
}

// call checks a simple command.
func (k *checker) call(n *syntax.CallExpr, redirs []*syntax.Redirect) {
	for _, a := range n.Assigns {
		k.assign(a)
	}
	k.words(n.Args)
	if len(n.Args) > 0 {
		k.start(n, n.Args, redirs)
	}
}

// start checks a command whose name is the first of the words.
func (k *checker) start(n syntax.Node, words []*syntax.Word, redirs []*syntax.Redirect) {
	if len(words) == 0 {
		return
	}
	name, ok := literal(words[0])
	switch {
	case !ok || name == "" || name[0] == '-':
		k.refuse(n, "a command whose name is not written out", "")
		k.code(call{"sh", n, words[1:], redirs}, words[1:]) // $SHELL -c ...
		return
	case k.isWritten(name):
		k.refuse(n, "a program that the script itself writes", "")
	}
	c := call{name, n, words[1:], redirs}
	if r := k.rule(name); r != nil {
		r(k, c)
		return
	}
	k.shellsIn(c)
}

// shellsIn checks the shells among the arguments of a program, which may start them: docker exec x sh -c ... And the
// interpreters that are given options: uv run python -c ...
func (k *checker) shellsIn(c call) {
	for i, w := range c.args {
		t, ok := literal(w)
		if !ok {
			continue
		}
		if isShell(t) {
			shells(k, call{t, c.node, c.args[i+1:], c.redirs})
			return
		}
		if i+1 < len(c.args) && isInterpreter(t) && strings.HasPrefix(beginning(k.source(c.args[i+1])), "-") {
			k.rule(t)(k, call{t, c.node, c.args[i+1:], c.redirs})
			return
		}
	}
}

// isInterpreter reports whether a program takes its program as an option or from a file. python3.12 is python.
func isInterpreter(name string) bool {
	name = strings.TrimRight(path.Base(name), "0123456789.")
	return contains(strings.Fields("python pypy perl ruby node nodejs php lua Rscript julia"), name)
}

// barred refuses a call.
func (k *checker) barred(c call, hint string) { k.refuse(c.node, c.name, hint) }

// program checks a word that is a program, such as "the script of sh -c": data in it would be code whatever it is.
func (k *checker) program(c call, w *syntax.Word, what, hint string) (text string, ok bool) {
	if k.within == "" {
		k.c.refuseAll(w, "data in "+what+" would be code", hint)
	}
	if text, ok = literal(w); !ok {
		k.refuse(c.node, what+" that is not written out", hint)
	}
	return text, ok
}

// variable checks a word that is the name of a variable.
func (k *checker) variable(c call, w *syntax.Word) {
	if k.within == "" {
		k.c.refuseAll(w, "data cannot be the name of a variable", "")
	}
	t, ok := literal(w)
	if !ok || !syntax.ValidName(t) {
		k.refuse(c.node, c.name+" with a variable that is not named", "")
		return
	}
	k.assignable(c.node, t, false)
}

func lets(*checker, call) {}

func never(k *checker, c call) {
	k.barred(c, "")
	k.shellsIn(c)
}

// accounts is the rule of su, which gives its arguments to a shell.
func accounts(k *checker, c call) {
	for _, w := range c.args {
		if !isStatic(w) {
			k.program(c, w, "the script of "+c.name+" -c", "")
		}
	}
	k.barred(c, "")
}

// inserts is the rule of xargs and parallel, which put what they read into a script: xargs -I{} sh -c 'echo {}'.
func inserts(k *checker, c call) {
	at := slices.IndexFunc(c.args, func(w *syntax.Word) bool { t, ok := literal(w); return ok && isShell(t) })
	for i := range max(at, 0) {
		if t := beginning(k.source(c.args[i])); c.name == "parallel" || strings.HasPrefix(t, "-I") || strings.HasPrefix(t, "-i") || strings.HasPrefix(t, "--replace") {
			k.note(c.node, c.name+" that puts what it reads into a script", argumentHint, true)
		}
	}
	never(k, c)
}

func code(k *checker, c call) {
	for _, w := range c.args {
		k.program(c, w, c.name, argumentHint)
	}
	k.barred(c, "")
}

// sources is the rule of the commands that read a part of the script from a file.
func sources(k *checker, c call) {
	k.barred(c, "")
	if len(c.args) == 0 {
		return
	}
	if t, ok := literal(c.args[0]); ok && isStdin(t) || isPrinted(c.args[0]) {
		k.readsProgram(c, t)
	}
}

// fixed lets in what the author has written, and no data.
func fixed(k *checker, c call) {
	if !c.isStatic() {
		k.barred(c, "")
	}
}

func (c call) isStatic() bool {
	return !slices.ContainsFunc(c.args, func(w *syntax.Word) bool { return !isStatic(w) })
}

func number(k *checker, c call) {
	for _, w := range c.args {
		if t, ok := literal(w); k.source(w) != "$?" && !(ok && isDigits(t)) {
			k.barred(c, "")
		}
	}
}

func waits(k *checker, c call) {
	for _, w := range c.args {
		if t, ok := literal(w); k.source(w) != "$!" && !(ok && isDigits(t)) {
			k.barred(c, "")
		}
	}
}

// sets lets in options that change neither how a script is read nor what is evaluated; after -- stand arguments.
func sets(k *checker, c call) {
	for args := c.args; len(args) > 0; args = args[1:] {
		t, ok := literal(args[0])
		switch {
		case ok && t == "--":
			return
		case !ok || len(t) < 2 || t[0] != '-' && t[0] != '+' || strings.Trim(t[1:len(t)-1], "eufxC") != "" || strings.IndexByte("eufxCo", t[len(t)-1]) < 0:
			k.barred(c, "write -- before the arguments")
			return
		case strings.HasSuffix(t, "o"): // -o pipefail, -euo pipefail
			if len(args) == 1 {
				return // prints the options
			}
			args = args[1:]
			if o, ok := literal(args[0]); !ok || !contains(strings.Fields("pipefail errexit nounset noglob xtrace noclobber"), o) {
				k.barred(c, "")
				return
			}
		}
	}
}

// prints lets in a written format that only prints.
func prints(k *checker, c call) {
	args := c.args
	if len(args) > 0 && k.source(args[0]) == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return
	}
	format, ok := literal(args[0])
	if !ok || strings.HasPrefix(format, "-") || !isPrintFormat(format) {
		k.barred(c, `write the format out: printf '%s\n' {{ ... }}`)
	}
}

// isPrintFormat reports whether every % in a format prints its argument: %n would set a variable.
func isPrintFormat(format string) bool {
	for {
		_, rest, ok := strings.Cut(format, "%")
		if !ok {
			return true
		}
		rest = strings.TrimLeft(rest, "0123456789.-+# '")
		if rest == "" || strings.IndexByte("%sbqcdiouxXeEfFgG", rest[0]) < 0 {
			return false
		}
		format = rest[1:]
	}
}

// tests lets in the forms of test that POSIX defines for up to three operands: one word; an operator and a word; two
// words with an operator between them; ! before them.
func tests(k *checker, c call) {
	args := c.args
	if c.name == "[" && len(args) > 0 {
		args = args[:len(args)-1]
	}
	k.operands(c, args)
	if len(args) > 1 && k.source(args[0]) == "!" {
		args = args[1:]
	}
	known := len(args) <= 1
	if len(args) == 2 || len(args) == 3 {
		op, _ := literal(args[len(args)-2])
		known = op != "" && contains(strings.Fields([]string{
			"-n -z -e -f -d -r -w -x -s -L -h -p -S -b -c -u -g -k",
			"= == != -eq -ne -lt -le -gt -ge -nt -ot -ef",
		}[len(args)-2]), op)
	}
	if !known {
		k.barred(c, `write one comparison each: [ -n "$x" ] && [ "$y" = a ]`)
	}
}

// operands checks the words of a test one by one: each must be one argument, a number where one is compared.
func (k *checker) operands(c call, args []*syntax.Word) {
	for i, w := range args {
		if !isOneField(w) {
			k.barred(c, `put what is tested in double quotes: [ -n "$x" ]`)
		}
		t, ok := literal(w)
		if !ok || i+1 == len(args) || k.within != "" {
			continue
		}
		switch t {
		case "-v", "-R":
			k.c.refuseAll(args[i+1], "data cannot be the name of a variable", "")
		case "-eq", "-ne", "-lt", "-le", "-gt", "-ge":
			if i > 0 {
				k.numbers(args[i-1], args[i+1])
			}
		}
	}
}

// numbers makes the operands of a numeric test numbers.
func (k *checker) numbers(operands ...*syntax.Word) {
	for _, w := range operands {
		if isOneField(w) && !hasSubstitution(w) {
			k.c.mark(w, func() place { return k.c.numeric(w) })
		}
	}
}

func hasSubstitution(w *syntax.Word) (found bool) {
	syntax.Walk(w, func(n syntax.Node) bool {
		if _, ok := n.(*syntax.CmdSubst); ok {
			found = true
		}
		return !found
	})
	return found
}

func declares(k *checker, c call) { k.declared(c.args) }

// declared lets in name and name=value: one word each, since a shell may split an unquoted value into more names.
func (k *checker) declared(args []*syntax.Word) {
	for _, w := range args {
		c := call{"a declaration", w, nil, nil}
		name, ok := assignedName(k.source(w))
		switch {
		case ok && isOneField(w):
			k.assignable(w, name, isOwn(w))
		case ok:
			k.refuse(w, "a declaration whose value is not in double quotes", `write export x="$y"`)
		default:
			k.variable(c, w)
		}
	}
}

func unsets(k *checker, c call) {
	for _, w := range c.args {
		if t, ok := literal(w); ok && (t == "-v" || t == "-f") {
			continue
		}
		k.variable(c, w)
	}
}

func reads(k *checker, c call) {
	for _, w := range c.args {
		if t, ok := literal(w); ok && t == "-r" {
			continue
		}
		k.variable(c, w)
	}
}
