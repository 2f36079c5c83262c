package workspace

import (
	"os"
	"path/filepath"
	"strings"
)

// defaultPath is what a shell would look through when PATH is not set.
const defaultPath = "/usr/local/bin:/usr/bin:/bin"

// ActivateEnv answers environ as the activate script of a virtual environment would leave it: its bin folder first in
// PATH, VIRTUAL_ENV set, PYTHONHOME gone. environ itself stays as it is.
func ActivateEnv(venvDir string, environ []string) []string {
	path := lookup(environ, "PATH")
	if path == "" {
		path = defaultPath
	}
	out := without(environ, "PATH", "VIRTUAL_ENV", "PYTHONHOME")
	return append(out, "PATH="+filepath.Join(venvDir, "bin")+":"+path, "VIRTUAL_ENV="+venvDir)
}

// lookup answers the value of a variable, "" if it is not set. The last one counts, as for exec.
func lookup(environ []string, name string) string {
	for i := len(environ) - 1; i >= 0; i-- {
		if key, value, ok := strings.Cut(environ[i], "="); ok && key == name {
			return value
		}
	}
	return ""
}

// without answers a copy of environ that lacks some variables.
func without(environ []string, names ...string) []string {
	out := make([]string, 0, len(environ)+len(names))
next:
	for _, kv := range environ {
		key, _, _ := strings.Cut(kv, "=")
		for _, name := range names {
			if key == name {
				continue next
			}
		}
		out = append(out, kv)
	}
	return out
}

// find answers the path of a program in the PATH of environ, "" if there is none. A name with a slash is its own path.
func find(environ []string, program string) string {
	if strings.Contains(program, "/") {
		return program
	}
	path := lookup(environ, "PATH")
	if path == "" {
		path = defaultPath
	}
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, program)
		if info, err := os.Stat(file); filepath.IsAbs(file) && err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file
		}
	}
	return ""
}
