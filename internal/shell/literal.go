package shell

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// literal returns the text of a word that is the same whatever the data is: no expansion, no data, no pattern.
func literal(w *syntax.Word) (string, bool) {
	var b strings.Builder
	for i, part := range w.Parts {
		switch p := part.(type) {
		case *syntax.Lit:
			if len(w.Parts) == 1 && (p.Value == "[" || p.Value == "[[") {
				return p.Value, true
			}
			if strings.ContainsAny(p.Value, "*?[{") || i == 0 && strings.HasPrefix(p.Value, "~") ||
				strings.Contains(strings.ReplaceAll(p.Value, `\$`, ""), "$") {
				return "", false
			}
			b.WriteString(unescape(p.Value, ""))
		case *syntax.SglQuoted:
			if p.Dollar {
				return "", false
			}
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			for _, inner := range p.Parts {
				l, ok := inner.(*syntax.Lit)
				if !ok || p.Dollar {
					return "", false
				}
				b.WriteString(unescape(l.Value, "$`\"\\\n"))
			}
		default:
			return "", false
		}
	}
	t := b.String()
	return t, !strings.Contains(t, placeholder)
}

// unescape takes the backslashes away that quote a character of the set, or any character where there is no set.
func unescape(t, set string) string {
	var b strings.Builder
	for i := 0; i < len(t); i++ {
		if t[i] == '\\' && i+1 < len(t) && (set == "" || strings.IndexByte(set, t[i+1]) >= 0) {
			i++
			if t[i] == '\n' {
				continue
			}
		}
		b.WriteByte(t[i])
	}
	return b.String()
}

// isStatic reports whether a word holds no data and no expansion. A pattern of file names is static.
func isStatic(w *syntax.Word) bool {
	static := true
	syntax.Walk(w, func(n syntax.Node) bool {
		switch n := n.(type) {
		case nil, *syntax.Word, *syntax.DblQuoted, *syntax.ExtGlob:
		case *syntax.Lit:
			static = static && !strings.Contains(n.Value, placeholder)
		case *syntax.SglQuoted:
			static = static && !strings.Contains(n.Value, placeholder)
		default:
			static = false
		}
		return static
	})
	return static
}

// isOneField reports whether a word is one argument whatever the data is: expansions stand in double quotes.
func isOneField(w *syntax.Word) bool {
	for _, part := range w.Parts {
		switch p := part.(type) {
		case *syntax.Lit:
			if strings.ContainsAny(p.Value, "*?[{") {
				return false
			}
		case *syntax.SglQuoted:
		case *syntax.DblQuoted:
			if slices.ContainsFunc(p.Parts, isMany) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// isMany reports whether a part in double quotes is any number of arguments: "$@", "${a[@]}".
func isMany(part syntax.WordPart) bool {
	p, ok := part.(*syntax.ParamExp)
	if !ok || p.Length {
		return false
	}
	many := p.Param == nil || p.Param.Value == "@" || p.Index != nil || p.Excl
	if p.Exp != nil && p.Exp.Word != nil {
		many = many || slices.ContainsFunc(p.Exp.Word.Parts, isMany)
	}
	return many
}

// beginning is the literal text that a word begins with, after a quote.
func beginning(source string) string {
	source = strings.TrimLeft(source, `"'`)
	if i := strings.IndexAny(source, "$`\"'\\*?[{~<>"); i >= 0 {
		source = source[:i]
	}
	text, _, _ := strings.Cut(source, placeholder)
	return text
}

// assignedName is the name in a word like name=value or "name=value".
func assignedName(source string) (string, bool) {
	name, _, ok := strings.Cut(beginning(source), "=")
	return name, ok && syntax.ValidName(name)
}

func isShell(name string) bool {
	switch path.Base(name) {
	case "sh", "bash", "dash", "ash", "zsh", "ksh", "ksh93", "mksh", "rbash", "yash", "fish", "csh", "tcsh":
		return true
	}
	return false
}

// isStdin reports whether a file name stands for what a program reads from its input.
func isStdin(file string) bool {
	if file != "" {
		file = path.Clean(file)
	}
	return file == "-" || strings.HasPrefix(file, "/dev/stdin") || strings.HasPrefix(file, "/dev/fd/") || strings.HasPrefix(file, "/proc/")
}
