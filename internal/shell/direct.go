package shell

import (
	"slices"
	"strings"
)

// Direct returns the words of a script that starts one program and has nothing else in it for a shell to do, so that
// handoff can start the program itself; nil where the shell is needed, or is none of the known ones in their usual places.
//
// It reads the script byte by byte, and knows only what every one of these shells reads in the same way: words of harmless
// characters, and quotes around plain text. It takes the time of a few memory accesses, for it is asked for every line of a foreach.
func Direct(shell, script string) []string {
	if !slices.Contains([]string{"/bin/sh", "/bin/dash", "/bin/bash", "/usr/bin/sh", "/usr/bin/dash", "/usr/bin/bash"}, shell) {
		return nil
	}
	var words []string
	for rest := strings.Trim(script, " \t\n"); rest != ""; rest = strings.TrimLeft(rest, " \t") {
		word, after, ok := cutWord(rest)
		if !ok {
			return nil
		}
		words, rest = append(words, word), after
	}
	if len(words) == 0 || !isProgram(words[0]) {
		return nil
	}
	return words
}

// cutWord cuts the first word off, without its quotes. Not ok: there is something in it for a shell.
func cutWord(t string) (word, rest string, ok bool) {
	var b strings.Builder
	for t != "" && t[0] != ' ' && t[0] != '\t' {
		var part string
		switch t[0] {
		case '\'':
			part, t, ok = cutSingle(t[1:])
		case '"':
			part, t, ok = cutDouble(t[1:])
		case '\\':
			part, t, ok = cutEscaped(t[1:])
		default:
			n := 0
			for n < len(t) && isBare(t[n]) {
				n++
			}
			part, t, ok = t[:n], t[n:], n > 0
		}
		if !ok {
			return "", "", false
		}
		b.WriteString(part)
	}
	return b.String(), t, true
}

func cutEscaped(t string) (text, rest string, ok bool) {
	if t == "" || !isText(t[0]) || t[0] == '\n' {
		return "", "", false
	}
	return t[:1], t[1:], true
}

// cutSingle cuts off what stands before the closing quote.
func cutSingle(t string) (text, rest string, ok bool) {
	text, rest, ok = strings.Cut(t, "'")
	return text, rest, ok && !strings.ContainsFunc(text, func(r rune) bool { return r < 0x80 && !isText(byte(r)) })
}

func cutDouble(t string) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(t); i++ {
		switch c := t[i]; {
		case c == '"':
			return b.String(), t[i+1:], true
		case c == '$' || c == '`' || !isText(c):
			return "", "", false
		case c == '\\':
			if i++; i == len(t) || !isText(t[i]) || t[i] == '\n' {
				return "", "", false
			}
			if strings.IndexByte("$`\"\\", t[i]) < 0 {
				b.WriteByte('\\')
			}
			b.WriteByte(t[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}

// isBare reports whether a byte means itself to every shell, wherever in a word it stands; "=" in the first one is looked at by isProgram.
func isBare(c byte) bool { return isAlnum(c) || strings.IndexByte("_./:=@%+,-", c) >= 0 }

// isText reports whether a byte means itself in quotes. bash and dash use some control characters for their own purposes.
func isText(c byte) bool { return c >= ' ' && c != 0x7f || c == '\t' || c == '\n' }

// isProgram reports whether the first word of a command can be nothing but the name of a program.
func isProgram(name string) bool {
	return name != "" && (isAlnum(name[0]) || name[0] == '/' || name[0] == '.' || name[0] == '_') &&
		!strings.ContainsAny(name, "= \t\n") && !isBuiltin(name)
}
