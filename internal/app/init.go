package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/handoff-run/handoff/internal/project"
)

// InitOptions describes a new project.
type InitOptions struct {
	Dir         string
	Description string
	Installs    []string // "venv: command", or a command alone
	Stages      []string // "command" or "venv: command"; joined to one pipeline
	DryRun      bool
}

// InitResult names the files of a new project.
type InitResult struct {
	Status  string   `json:"status"`
	Project string   `json:"project"`
	Files   []string `json:"files"`
}

// Init writes a new project. It never replaces a file.
func (a *App) Init(_ context.Context, o InitOptions) (InitResult, error) {
	text := projectText(o)
	if _, _, err := project.Decode("project.yml", o.Dir, []byte(text)); err != nil {
		return InitResult{}, &UsageError{Message: "these answers do not make a valid project:\n" + err.Error()}
	}
	files := []struct{ name, text string }{
		{"project.yml", text},
		{filepath.Join("files", "README.md"), filesText},
		{".gitignore", ".secrets/\n/workspace/\n"},
	}
	out := InitResult{Status: "success", Project: o.Dir}
	for _, f := range files {
		if path := filepath.Join(o.Dir, f.name); exists(path) && f.name == "project.yml" {
			return InitResult{}, &UsageError{Message: fmt.Sprintf("%s exists already", path), Hint: "name another folder: handoff init FOLDER"}
		}
	}
	for _, f := range files {
		path := filepath.Join(o.Dir, f.name)
		if exists(path) {
			continue
		}
		out.Files = append(out.Files, path)
		if o.DryRun {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return InitResult{}, fmt.Errorf("create project: %w", err)
		}
		if err := os.WriteFile(path, []byte(f.text), 0o644); err != nil {
			return InitResult{}, fmt.Errorf("create project: %w", err)
		}
	}
	return out, nil
}

const filesText = `Files in this folder are copied to the workspace before each run. Text files are templates: names in double braces are
filled in, as in the commands of project.yml.
`

func projectText(o InitOptions) string {
	var b strings.Builder
	b.WriteString("version: 1\n")
	fmt.Fprintf(&b, "description: %s\n", quote(o.Description))
	if len(o.Installs) > 0 {
		b.WriteString("\ninstalls:\n")
		for _, in := range o.Installs {
			venv, command := splitVenv(in)
			if venv != "" {
				fmt.Fprintf(&b, "- venv: %s\n  command: %s\n", quote(venv), quote(command))
			} else {
				fmt.Fprintf(&b, "- command: %s\n", quote(command))
			}
		}
	}
	b.WriteString("\n# Template variables: {{ name }} in commands and in files/. `-v name=value` wins.\nvars: []\n")
	b.WriteString("\ntasks:\n- name: main\n  pipeline:\n")
	for _, st := range o.Stages {
		venv, command := splitVenv(st)
		fmt.Fprintf(&b, "  - command: %s\n", quote(command))
		if venv != "" {
			fmt.Fprintf(&b, "    venv: %s\n", quote(venv))
		}
	}
	return b.String()
}

// quote writes s as a YAML scalar; a JSON-like quoted text is valid YAML.
func quote(s string) string {
	if s != "" && !strings.ContainsAny(s, "\"'\\:#{}[]&*!|>%@`,\n\t") && strings.TrimSpace(s) == s &&
		!strings.HasPrefix(s, "-") && !strings.HasPrefix(s, "?") && !looksTyped(s) {
		return s
	}
	return strconv.Quote(s)
}

// looksTyped says that YAML would not read s as text.
func looksTyped(s string) bool {
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return true
	}
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null", "~":
		return true
	}
	return false
}

// splitVenv parts "venv: command"; the name of a venv has no blank.
func splitVenv(s string) (venv, command string) {
	name, rest, ok := strings.Cut(s, ": ")
	if !ok || strings.ContainsAny(name, " \t/\"'$") {
		return "", strings.TrimSpace(s)
	}
	return name, strings.TrimSpace(rest)
}
