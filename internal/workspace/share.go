package workspace

import (
	"context"
	"slices"
	"strings"
)

// ShareKey names what the installs would make, so that workspaces can share the virtual environments of one key: it
// knows interpreter, commands and the content of all that they name. It is "" where they cannot be shared: only a plain
// `pip install` into a virtual environment depends on nothing else, and leaves nothing elsewhere. An editable one goes
// on reading the workspace.
func (w *Workspace) ShareKey(ctx context.Context, o InstallOptions) (string, error) {
	i := w.installer(o)
	parts := []string{"1"}
	for _, in := range o.Installs {
		n := i.named(in.Command)
		if in.Venv == "" || !plainPip(in.Command) || !n.sure || n.editable {
			return "", nil
		}
		parts = append(parts, in.Venv, in.Command, n.sum())
	}
	py, err := i.wanted(ctx)
	if err != nil {
		return "", err
	}
	return hashOf(append(parts, py.Path, py.Version)...)[:32], nil
}

// plainPip reports whether command is one `pip install` with nothing in it that is for a shell but quotes, and only options
// that uv understands too.
func plainPip(command string) bool {
	words, ok := plainWords(command)
	if !ok || len(words) < 3 || words[0] != "pip" || words[1] != "install" {
		return false
	}
	known := []string{"-r", "--requirement", "-c", "--constraint", "-e", "--editable", "-U", "--upgrade", "-q", "--quiet",
		"--no-deps", "--pre", "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index", "--no-cache-dir", "--no-build-isolation"}
	return !slices.ContainsFunc(words[2:], func(word string) bool {
		option, _, _ := strings.Cut(word, "=")
		return strings.HasPrefix(word, "-") && !slices.Contains(known, option)
	})
}

// plainWords parts a command at its blanks, with quotes taken off. It returns false where a shell would do more than that.
func plainWords(command string) ([]string, bool) {
	var words []string
	word, open, quote := "", false, rune(0)
	for _, r := range strings.TrimSpace(command) {
		switch {
		case r == quote:
			quote = 0
		case quote == '\'', quote == '"' && !strings.ContainsRune("$`\\!", r):
			word += string(r)
		case quote != 0, strings.ContainsRune("|&;<>()$`\\*?{}\n", r), !open && strings.ContainsRune("~#!", r):
			return nil, false
		case r == '\'' || r == '"':
			quote, open = r, true
		case r == ' ' || r == '\t':
			if open {
				words = append(words, word)
			}
			word, open = "", false
		default:
			word, open = word+string(r), true
		}
	}
	if open {
		words = append(words, word)
	}
	return words, quote == 0
}
