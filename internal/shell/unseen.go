package shell

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// UnseenFailure finds a pipe in a script whose earlier part can fail without the script failing: the exit code of a pipe
// is that of its last command. It returns the line (from 1) and the text of that part. A script that says
// `set -o pipefail`, one that no parser of ours understands, and a part that only prints a text have none.
func UnseenFailure(shell, script string) (line int, part string, found bool) {
	variants := shellVariants(shellName(shell))
	if len(variants) == 0 || !strings.Contains(script, "|") {
		return 0, "", false
	}
	file, err := syntax.NewParser(syntax.Variant(variants[len(variants)-1])).Parse(strings.NewReader(script), "")
	if err != nil {
		return 0, "", false
	}
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.BinaryCmd:
			if !found && (n.Op == syntax.Pipe || n.Op == syntax.PipeAll) && canFail(n.X) {
				line, part, found = int(n.X.Pos().Line()), script[n.X.Pos().Offset():n.X.End().Offset()], true
			}
		case *syntax.CallExpr:
			if setsPipefail(n) {
				part, found = "", true // whatever follows: nothing is unseen
			}
			if inner, at, ok := shellArgument(n); ok && !found {
				if line, part, found = UnseenFailure("bash", inner); found {
					line += at - 1
				}
			}
		}
		return !found
	})
	return line, part, part != ""
}

// canFail reports whether one of the commands of a pipe does more than to print a text.
func canFail(s *syntax.Stmt) bool {
	switch c := s.Cmd.(type) {
	case *syntax.BinaryCmd:
		return canFail(c.X) || canFail(c.Y)
	case *syntax.CallExpr:
		words := literals(c.Args)
		return len(words) == 0 || len(s.Redirs) > 0 || !slices.Contains([]string{"echo", "printf", "true", ":", "yes"}, words[0])
	}
	return true
}

// setsPipefail reports whether c is `set -o pipefail`, alone or with other options.
func setsPipefail(c *syntax.CallExpr) bool {
	words := literals(c.Args)
	return len(words) > 2 && words[0] == "set" && slices.Contains(words, "pipefail")
}

// shellArgument returns the script of `sh -c '...'` and the line on which it begins.
func shellArgument(c *syntax.CallExpr) (script string, line int, ok bool) {
	words := literals(c.Args)
	if len(words) < 3 || len(shellVariants(shellName(words[0]))) == 0 {
		return "", 0, false
	}
	for i, w := range words[1 : len(words)-1] {
		if strings.HasPrefix(w, "-") && strings.HasSuffix(w, "c") {
			pipefail := slices.Contains(words[1:i+2], "pipefail") // bash -o pipefail -c
			return words[i+2], int(c.Args[i+2].Pos().Line()), !pipefail
		}
	}
	return "", 0, false
}

// literals returns the texts of words, without their quotes; a word with more than text in it is "".
func literals(args []*syntax.Word) []string {
	words := make([]string, len(args))
	for i, w := range args {
		words[i] = textOf(w.Parts)
	}
	return words
}

// textOf is the text of the parts of a word, "" if there is more than text.
func textOf(parts []syntax.WordPart) string {
	var text strings.Builder
	for _, p := range parts {
		switch p := p.(type) {
		case *syntax.Lit:
			text.WriteString(p.Value)
		case *syntax.SglQuoted:
			text.WriteString(p.Value)
		case *syntax.DblQuoted:
			text.WriteString(textOf(p.Parts))
		default:
			return ""
		}
	}
	return text.String()
}
