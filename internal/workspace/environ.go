package workspace

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// defaultPath is what a shell would look through when PATH is not set.
const defaultPath = "/usr/local/bin:/usr/bin:/bin"

// ActivateEnv returns environ as the activate script of a virtual environment would leave it: its bin folder first in
// PATH, VIRTUAL_ENV set, PYTHONHOME gone. environ itself stays as it is.
func ActivateEnv(venvDir string, environ []string) []string {
	path := lookup(environ, "PATH")
	if path == "" {
		path = defaultPath
	}
	out := without(environ, "PATH", "VIRTUAL_ENV", "PYTHONHOME")
	return append(out, "PATH="+filepath.Join(venvDir, "bin")+":"+path, "VIRTUAL_ENV="+venvDir)
}

// kept are the variables by which people say how pip and uv reach packages. All others of theirs say what is installed,
// and where to: that is for project.yml to say.
var kept = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(PIP|UV)_(.*INDEX.*|FIND_LINKS|TRUSTED_HOST|INSECURE_HOST|.*PROXY|CERT|CLIENT_CERT|SSL_.*|NATIVE_TLS|SYSTEM_CERTS|` +
		`.*CACHE.*|.*TIMEOUT|.*RETRIES|KEYRING_PROVIDER|CONFIG_FILE|NO_CONFIG|OFFLINE|NO_INPUT|QUIET|VERBOSE|NO_COLOR|NO_PROGRESS|PROGRESS_BAR|LOG|` +
		`ONLY_BINARY|NO_BINARY|NO_BUILD|NO_BUILD_ISOLATION|PREFER_BINARY|BREAK_SYSTEM_PACKAGES|ROOT_USER_ACTION|DISABLE_PIP_VERSION_CHECK|` +
		`LINK_MODE|CONCURRENT_.*|HTTP_.*|PYTHON_INSTALL_DIR|PYTHON_INSTALL_MIRROR|PYTHON_DOWNLOADS|PYTHON_PREFERENCE|GITHUB_TOKEN)$`)
})

// venvEnviron returns environ without what would lead a Python, pip or uv of a virtual environment out of it.
func venvEnviron(environ []string) []string {
	out := make([]string, 0, len(environ)+1)
	for _, kv := range without(environ, "VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "PYTHONUSERBASE", "PYTHONSTARTUP", "PYTHONEXECUTABLE",
		"PYTHONPLATLIBDIR", "__PYVENV_LAUNCHER__", "CONDA_PREFIX") {
		key, _, _ := strings.Cut(kv, "=")
		if (strings.HasPrefix(key, "PIP_") || strings.HasPrefix(key, "UV_")) && !kept().MatchString(key) {
			continue
		}
		out = append(out, kv)
	}
	return append(out, "PIP_USER=0") // over what a pip.conf may say
}

// lookup returns the value of a variable, "" if it is not set. The last one counts, as for exec.
func lookup(environ []string, name string) string {
	for i := len(environ) - 1; i >= 0; i-- {
		if key, value, ok := strings.Cut(environ[i], "="); ok && key == name {
			return value
		}
	}
	return ""
}

// without returns a copy of environ that lacks some variables.
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

// find returns the path of a program in the PATH of environ, "" if there is none. A name with a slash is its own path.
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
