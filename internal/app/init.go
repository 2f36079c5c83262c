package app

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/quickstart"
)

// InitOptions describes a new project.
type InitOptions struct {
	Dir         string
	Description string
	Installs    []string // "venv: command", or a command alone
	Stages      []string // "command" or "venv: command"; joined to one pipeline
	Template    string   // one of quickstart.Templates, in the place of Installs and Stages
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
	files, err := newFiles(o)
	if err != nil {
		return InitResult{}, err
	}
	if _, _, err := project.Decode("project.yml", o.Dir, []byte(files[0].text)); err != nil {
		return InitResult{}, &UsageError{Message: "these answers do not make a valid project:\n" + err.Error()}
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

// newFile is a file of a new project.
type newFile struct{ name, text string }

// newFiles returns the files of a new project, project.yml first.
func newFiles(o InitOptions) ([]newFile, error) {
	ignored := newFile{".gitignore", ".secrets/\n/workspace/\n"}
	more := strings.ReplaceAll(quickstart.More(), "NAME", taskName(o.Dir))
	if o.Template == "" {
		return []newFile{{project.FileName, projectText(o) + more}, {filepath.Join("files", "README.md"), filesText}, ignored}, nil
	}
	if len(o.Stages)+len(o.Installs) > 0 {
		return nil, &UsageError{Message: "a template has its own commands", Hint: "leave out --template, or --command and --install"}
	}
	if known := quickstart.Templates(); !slices.Contains(known, o.Template) {
		return nil, &UsageError{Message: fmt.Sprintf("there is no template %q", o.Template), Hint: meant(o.Template, known, "there are: "+strings.Join(known, ", "))}
	}
	all, err := quickstart.Template(o.Template)
	if err != nil {
		return nil, err
	}
	files := []newFile{{project.FileName, strings.Replace(all[project.FileName], "DESCRIPTION", quote(o.Description), 1) + more}}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name != project.FileName {
			files = append(files, newFile{name, all[name]})
		}
	}
	return append(files, ignored), nil
}

// taskName makes a name for a task of that of a folder.
func taskName(dir string) string {
	full, err := filepath.Abs(dir)
	if err != nil {
		full = dir
	}
	name := strings.TrimLeft(strings.Map(func(r rune) rune {
		if scope := (cloud.Scope{Stage: "dev", ResourceGroup: "g", Task: "a" + string(r)}); scope.Check() != nil {
			return '-'
		}
		return r
	}, filepath.Base(full)), ".")
	return first(name, "my_task")
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
	if len(o.Installs) == 0 {
		b.WriteString("\n# `handoff workspace install` runs these; a venv is a Python virtual environment in the workspace.\n# installs:\n# - venv: tap\n#   command: pip install tap-csv\n")
	}
	b.WriteString("\n# Template variables: {{ name }} in commands and in files/. `-v name=value` wins.\nvars: []\n" +
		"# - {key: start, type: date, required: true, description: the first day}\n")
	b.WriteString("\ntasks:\n- name: main\n  # state: true                   # of Singer taps: --state {{ _state_file }} goes on from where the last good run has ended\n  pipeline:\n")
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

// Templates returns the names of the templates of a new project.
func Templates() []string { return quickstart.Templates() }
