package shell

import (
	"path"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// prefix is a command that starts another one, which is named after its options.
type prefix struct {
	flags, values string // options of one letter without and with a value
	operands      int    // words between the options and the command
}

func starts(p prefix) rule {
	return func(k *checker, c call) {
		args := c.args
		for len(args) > 0 {
			t, ok := literal(args[0])
			if !ok || len(t) < 2 || t[0] != '-' {
				break
			}
			args = args[1:]
			if t == "--" {
				break
			}
			letter := t[len(t)-1:]
			switch {
			case strings.Trim(t[1:], p.flags) == "" && p.flags != "":
			case strings.Contains(p.values, letter) && len(t) == 2 && len(args) > 0 && isStatic(args[0]):
				args = args[1:]
			case strings.Contains(p.values, t[1:2]) && len(t) > 2:
			default:
				k.barred(c, "")
				return
			}
		}
		for range p.operands {
			if len(args) == 0 {
				return
			}
			if _, ok := literal(args[0]); !ok {
				k.barred(c, "")
			}
			args = args[1:]
		}
		k.start(c.node, args, c.redirs)
	}
}

// startsCommand is the rule of command, which also tells where a program is.
func startsCommand(k *checker, c call) {
	if len(c.args) > 0 {
		if t, _ := literal(c.args[0]); t == "-v" || t == "-V" {
			return
		}
	}
	starts(prefix{flags: "p"})(k, c)
}

// startsEnv is the rule of env: variables, then a command.
func startsEnv(k *checker, c call) {
	args := c.args
	for len(args) > 0 {
		t, ok := literal(args[0])
		if !ok || len(t) == 0 || t[0] != '-' {
			break
		}
		if t == "-u" && len(args) > 1 && isStatic(args[1]) {
			args = args[1:]
		} else if t != "-i" && t != "-" && t != "--" {
			for _, w := range args {
				k.program(c, w, "env "+t, "")
			}
			k.barred(c, "")
			return
		}
		args = args[1:]
	}
	for len(args) > 0 {
		if _, ok := assignedName(k.source(args[0])); !ok {
			break
		}
		k.declared(args[:1])
		args = args[1:]
	}
	k.start(c.node, args, c.redirs)
}

// shells is the rule of shells: a program in single quotes, held to the same list with its arguments as data, or a
// file. A shell that reads its program from its input is refused.
func shells(k *checker, c call) {
	args, hasCode, known := shellOptions(k, c.args)
	switch {
	case !known:
		k.barred(c, argumentHint)
		k.code(c, args)
	case len(args) == 0:
		k.readsProgram(c, "")
	case hasCode:
		if text, ok := k.program(c, args[0], "the script of "+path.Base(c.name)+" -c", argumentHint); ok {
			k.inner(c, args[0], text)
		}
	default:
		k.shellFile(c, args[0])
	}
}

// shellOptions skips the options of a shell; code: one of them is -c. It does not know all of them: -s is as if there
// were no file, and others may have a meaning that changes what follows.
func shellOptions(k *checker, args []*syntax.Word) (rest []*syntax.Word, code, known bool) {
	for len(args) > 0 {
		t, ok := literal(args[0])
		if begin := beginning(k.source(args[0])); !strings.HasPrefix(begin, "-") && !strings.HasPrefix(begin, "+") {
			return args, code, true
		}
		if contains([]string{"--norc", "--noprofile", "--posix", "--login"}, t) {
			args = args[1:]
			continue
		}
		if ok && len(t) > 1 && t[1] != '-' && strings.Contains(t, "s") && !code {
			return nil, false, true
		}
		if !ok || len(t) < 2 || t[0] == '+' || strings.Trim(t[1:], "ceuxlfo") != "" {
			return args, code, false
		}
		code = code || strings.Contains(t, "c")
		args = args[1:]
		if strings.Contains(t, "o") {
			if len(args) == 0 || !isStatic(args[0]) {
				return args, code, false
			}
			args = args[1:]
		}
	}
	return nil, code, true
}

// shellFile checks the file that a shell runs.
func (k *checker) shellFile(c call, w *syntax.Word) {
	t, ok := literal(w)
	switch {
	case ok && !isStdin(t) && !k.isWritten(t):
	case ok || isPrinted(w):
		k.readsProgram(c, t)
	default:
		k.refuse(c.node, c.name+" with a file that is not named", "name the file, and give the data as its argument")
	}
}

// readsProgram refuses a program that runs what it reads. Plain words are let in where that is a file, or text of the
// script.
func (k *checker) readsProgram(c call, file string) {
	always := file == "" || isStdin(file)
	for _, r := range c.redirs {
		fromFile := r.Op == syntax.RdrIn && r.Word != nil && isStatic(r.Word)
		if fromFile || r.Hdoc != nil && isStatic(r.Hdoc) {
			always = false
		}
	}
	k.note(c.node, c.name+" that runs what it reads", "let it run a file, with the data as its argument", always)
}

// isPrinted reports whether a word is a file that a command prints: <( ).
func isPrinted(w *syntax.Word) bool {
	_, ok := w.Parts[0].(*syntax.ProcSubst)
	return ok
}

// code refuses data in what may be a program: the options before it are not known.
func (k *checker) code(c call, words []*syntax.Word) {
	for _, w := range words {
		if t, ok := literal(w); ok && strings.HasPrefix(t, "-") && !strings.HasPrefix(t, "--") && strings.Contains(t, "c") {
			for _, w := range words {
				k.program(c, w, "the script of "+path.Base(c.name)+" -c", argumentHint)
			}
		}
	}
}

// inner checks the script of an inner shell.
func (k *checker) inner(c call, at *syntax.Word, script string) {
	if !canQuote(shellName(c.name)) {
		k.refuse(c.node, c.name+", of which handoff knows no list of safe constructs", "use sh or bash")
	}
	read := false
	for _, variant := range shellVariants(shellName(c.name)) {
		file, err := syntax.NewParser(syntax.Variant(variant)).Parse(strings.NewReader(script), "")
		if err != nil {
			continue
		}
		read = true
		in := &checker{rules: k.rules, text: script, within: c.name + " -c", line: k.line + int(at.Pos().Line()) - 1}
		in.file(file)
		if in.found != nil && (k.found == nil || in.found.always) {
			k.found = in.found
		}
	}
	if !read {
		k.refuse(c.node, c.name+" with a script that is not valid", "")
	}
}

// program is how an interpreter takes its program and its data. The letters are options.
type program struct {
	flags  string   // without a value
	value  string   // with a value that the author writes
	text   string   // with a value that may be data
	named  string   // with a value name=data
	pairs  []string // long ones, with a name and a value that may be data
	code   string   // with a program as value
	file   string   // with the file of a program as value
	module string   // with the name of a program as value
	ends   string   // after which all is data
	first  bool     // the first operand is the program, or its file, where no option gave one
	exact  bool     // no options after the program
	stdin  bool     // the first operand is a file, with no options after it; without any it reads its program
}

func interprets(p program) rule {
	return func(k *checker, c call) {
		s := &scan{k: k, c: c, p: p, rest: c.args}
		s.options()
		if !s.done {
			s.operands()
		}
	}
}

// scan is the way through the arguments of an interpreter.
type scan struct {
	k       *checker
	c       call
	p       program
	rest    []*syntax.Word
	program bool // has been given
	ended   bool // by --
	done    bool
}

func (s *scan) take() (w *syntax.Word) {
	if len(s.rest) == 0 {
		s.bar("")
		s.done = true
		return nil
	}
	w, s.rest = s.rest[0], s.rest[1:]
	return w
}

// bar refuses the call if there is data in it.
func (s *scan) bar(hint string) {
	if !s.c.isStatic() {
		s.k.barred(s.c, hint)
	}
}

func (s *scan) options() {
	for len(s.rest) > 0 && !s.done {
		t, ok := literal(s.rest[0])
		if !ok || len(t) < 2 || t[0] != '-' {
			return
		}
		s.rest = s.rest[1:]
		switch {
		case t == "--":
			s.ended = true
			return
		case contains(s.p.pairs, strings.TrimPrefix(t, "--")):
			if name := s.take(); name != nil && !isStatic(name) {
				s.bar("")
			}
			s.data(s.take())
		case strings.HasPrefix(t, "--"):
			s.bar("")
		default:
			s.letters(t[1:])
		}
	}
}

// letters reads a group of one-letter options, the last of which may have a value.
func (s *scan) letters(group string) {
	for i := range len(group) {
		letter := group[i : i+1]
		if strings.Contains(s.p.flags, letter) {
			continue
		}
		attached := group[i+1:]
		if !strings.Contains(s.p.value+s.p.text+s.p.named+s.p.code+s.p.file+s.p.module, letter) {
			s.bar("handoff does not know what the option -" + letter + " does; put the program in a file of its own")
			return
		}
		switch {
		case attached == "":
			s.valueOf(letter, s.take())
		case strings.Contains(s.p.code+s.p.module, letter): // node -pe is not the program "e"
			s.bar("write what runs in a word of its own")
			s.program = true
		case strings.Contains(s.p.file, letter):
			s.programText(attached)
		}
		if strings.Contains(s.p.ends, letter) {
			s.done = true
		}
		return
	}
}

func (s *scan) valueOf(letter string, w *syntax.Word) {
	switch {
	case w == nil:
	case strings.Contains(s.p.text, letter):
		s.data(w)
	case strings.Contains(s.p.named, letter):
		if _, ok := assignedName(s.k.source(w)); !ok {
			s.bar("")
		}
		s.data(w)
	case strings.Contains(s.p.code, letter):
		s.k.program(s.c, w, "the program of "+s.c.name, "pass it as an argument of the program")
		s.program = true
	case strings.Contains(s.p.file+s.p.module, letter):
		s.programFile(w)
	default:
		if !isStatic(w) {
			s.bar("")
		}
	}
}

// data is a word that may be data, and must be one argument.
func (s *scan) data(w *syntax.Word) {
	if w != nil && !isStatic(w) && !isOneField(w) {
		s.k.barred(s.c, `put the value in double quotes`)
	}
}

// programFile is a word that names the file of a program.
func (s *scan) programFile(w *syntax.Word) {
	s.program = true
	if t, ok := s.k.program(s.c, w, "the name of a program of "+s.c.name, "write it out"); ok {
		s.programText(t)
	}
}

// programText checks the name of a program: neither what is read nor what the script writes, nor a module that takes
// programs.
func (s *scan) programText(name string) {
	s.program = true
	switch {
	case isStdin(name) || s.k.isWritten(name):
		s.readsProgram()
	case s.p.module != "" && contains([]string{"timeit", "pdb", "code", "cProfile", "profile", "trace", "runpy"}, name):
		s.bar("")
	}
}

// readsProgram refuses a program that is read, unless it stands there, in a here-document without data.
func (s *scan) readsProgram() {
	written := false
	for _, r := range s.c.redirs {
		written = r.Hdoc != nil && isQuoted(r.Word) && isStatic(r.Hdoc)
	}
	if !written {
		s.k.readsProgram(s.c, "")
	}
}

func (s *scan) operands() {
	if !s.program && s.p.first {
		if len(s.rest) == 0 {
			if s.p.stdin {
				s.readsProgram()
			}
			return
		}
		w := s.take()
		if s.p.stdin {
			s.programFile(w)
		} else {
			s.k.program(s.c, w, "the program of "+s.c.name, "pass the data as a variable or an argument of the program")
		}
		if s.p.exact || s.p.stdin {
			return
		}
	}
	for _, w := range s.rest {
		if t, ok := literal(w); ok && t == "--" {
			return
		}
		if !s.ended {
			s.k.noOption(s.c, w, "-")
		}
	}
}

// noOption lets in a word only where it cannot be an option: it begins with a letter, or is a piece of data, which is
// looked at when it comes.
func (k *checker) noOption(c call, w *syntax.Word, chars string) {
	begin := beginning(k.source(w))
	switch {
	case isStatic(w):
	case !isOneField(w):
		k.refuse(c.node, c.name+" with an argument that may be several", "put it in double quotes, and -- before it")
	case begin != "" && strings.IndexByte(chars, begin[0]) >= 0:
		k.barred(c, "")
	case begin != "":
	case !strings.HasPrefix(strings.TrimLeft(k.source(w), `"'`), placeholder) || k.within != "":
		k.refuse(c.node, c.name+" with an argument that may be an option", "write -- before it, or ./ where it is the name of a file")
	default:
		lo, hi := k.c.pieces(w)
		for i := lo; i < hi; i++ {
			k.c.guards[i] = guard{chars, c.name}
		}
	}
}

// guard says what a piece of data must not begin with.
type guard struct{ chars, program string }

// finds is the rule of find: data is the name of a folder, or what an option compares with. It starts nothing.
func finds(k *checker, c call) {
	compares := strings.Fields("-name -iname -path -ipath -type -newer -mtime -mmin -size -maxdepth -mindepth -user -group -regex -perm -printf")
	var before string
	for _, w := range c.args {
		t, ok := literal(w)
		switch {
		case ok && contains(strings.Fields("-exec -execdir -ok -okdir -fprintf -fprint -fls -fprint0 -files0-from"), t):
			k.barred(c, "let find print the names, and foreach run the command")
		case isStatic(w):
		case contains(compares, before) && isOneField(w):
		default:
			k.noOption(c, w, "-(!,)")
		}
		before = t
	}
}

// remote is the rule of ssh: a shell at the other end runs what it is given, so that is written out. Without a
// command it would run what it reads.
func remote(k *checker, c call) {
	fixed(k, c)
	operands := 0
	for i := 0; i < len(c.args); i++ {
		t, _ := literal(c.args[i])
		switch {
		case operands == 0 && len(t) == 2 && t[0] == '-' && strings.Contains("BbcDEeFIiJLlmOopQRSWw", t[1:]):
			i++
		case operands == 0 && strings.HasPrefix(t, "-"):
		case operands > 0 && isShell(t):
			shells(k, call{t, c.node, c.args[i+1:], c.redirs})
			return
		default:
			operands++
		}
	}
	if operands < 2 {
		k.readsProgram(c, "")
	}
}
