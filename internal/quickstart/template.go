package quickstart

import (
	"embed"
	"io/fs"
	"path"
	"strings"
)

//go:embed all:templates
var templates embed.FS

// Templates returns the names of the templates of a new project.
func Templates() []string { return []string{"singer", "dbt", "script"} }

// Template returns the files of a new project, by their paths in its folder. In the text of project.yml DESCRIPTION stands for what the
// project does.
func Template(name string) (map[string]string, error) {
	files := map[string]string{}
	root := path.Join("templates", name)
	err := fs.WalkDir(templates, root, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := templates.ReadFile(name)
		files[strings.TrimPrefix(name, root+"/")] = string(text)
		return err
	})
	return files, err
}

// More is the end of a new project.yml: what else may stand in it, as comments.
func More() string {
	text, _ := templates.ReadFile("templates/more.yml") // it is part of the binary
	return string(text)
}
