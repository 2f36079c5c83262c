package container

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Venvs makes the virtual environments of an image, each as a layer of its own, in a box with the files of the base.
type Venvs struct {
	Base    Image
	Scratch string            // folder for what is there while they are made
	Cache   string            // folder for what was made before
	Enter   []string          // as Box.Enter
	Program string            // the path of handoff on this machine
	Fill    []string          // arguments of Program that make the virtual environment; they find the workspace in BuildDir
	Files   string            // the workspace on this machine, in which files/ is rendered
	Environ []string          // "K=V" of this machine: what says how packages are reached is handed on
	Output  func(line string) // of the installs; may be nil
}

// BuildDir is where the installs of a box find the workspace. The image does not have it.
const BuildDir = Folder + "/build"

// Layer returns the layer with a virtual environment. key says what it is made of, beside the base: with the same one it is not made
// again; "" makes it each time.
func (b Venvs) Layer(ctx context.Context, venv, key string, input io.Reader) (layer Layer, cached bool, err error) {
	id, err := b.Base.ConfigName()
	if err != nil {
		return nil, false, err
	}
	if key == "" {
		key = "once-" + rand.Text()
	}
	file := filepath.Join(b.Cache, "layers", id.Hex[:32]+"-"+key+".tar.gz")
	if layer, err := keptLayer(file); err == nil {
		return layer, true, nil
	}
	root, err := Rootfs(ctx, b.Base, b.Cache)
	if err != nil {
		return nil, false, err
	}
	if err := hasPython(root); err != nil {
		return nil, false, err
	}
	tmp, err := os.MkdirTemp(b.Scratch, "venv-")
	if err != nil {
		return nil, false, err
	}
	defer os.RemoveAll(tmp) // only takes room
	if err := b.fill(ctx, root, tmp, input); err != nil {
		return nil, false, err
	}
	made, err := folder(tmp, "opt", "venvs", venv)
	if err != nil {
		return nil, false, err
	}
	layer, err = layerFile(file, made, path.Join(VenvDir, venv))
	return layer, false, err
}

// folder returns the folder at a path below dir. An install may have put links there, which lead elsewhere when they are seen from here.
func folder(dir string, names ...string) (string, error) {
	for _, name := range names {
		dir = filepath.Join(dir, name)
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
			return "", fmt.Errorf("an install has put something else in the place of %s", dir)
		}
	}
	return dir, nil
}

// fill runs the installs in a box, which leave what they make in tmp/opt/venvs.
func (b Venvs) fill(ctx context.Context, root, tmp string, input io.Reader) error {
	for _, dir := range []string{"opt/bin", "opt/venvs", "opt/build", "tmp", "home"} {
		if err := os.MkdirAll(filepath.Join(tmp, dir), 0o700); err != nil {
			return err
		}
	}
	config, err := b.Base.ConfigFile()
	if err != nil {
		return err
	}
	binds := []Bind{
		{From: filepath.Join(tmp, "opt"), To: Folder},
		{From: filepath.Join(tmp, "tmp"), To: "/tmp"},
		{From: b.Program, To: Program, Keep: true},
		{From: b.Files, To: BuildDir},
	}
	network, env := reach(b.Environ)
	out := &lines{each: b.Output}
	err = Box{
		Enter: b.Enter, Root: root, Binds: append(binds, network...), Args: append([]string{Program}, b.Fill...),
		Env: append(slices.Clone(config.Config.Env), env...), Stdin: input, Output: out,
	}.Run(ctx)
	out.end()
	return err
}

// ErrNoPython says that the base image lacks what an install needs.
var ErrNoPython = errors.New("the base image has no python3")

func hasPython(root string) error {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer dir.Close()
	for _, name := range []string{"usr/local/bin/python3", "usr/bin/python3", "bin/python3"} {
		if _, err := dir.Lstat(name); err == nil {
			return nil
		}
	}
	return ErrNoPython
}

// fixed makes what Python writes the same each time: 1980 is the first year that a zip file knows.
func fixed() []string {
	return []string{
		"SOURCE_DATE_EPOCH=315532800", "PYTHONHASHSEED=0", "HOME=/tmp", "LANG=C.UTF-8", "PIP_ROOT_USER_ACTION=ignore", "PIP_NO_CACHE_DIR=1", "PIP_NO_INPUT=1",
	}
}

// reach returns what an install needs of this machine to reach packages: names of hosts, settings of pip and uv, proxies, certificates.
func reach(environ []string) (binds []Bind, env []string) {
	env = fixed()
	home := ""
	for _, kv := range environ {
		key, value, _ := strings.Cut(kv, "=")
		switch upper := strings.ToUpper(key); {
		case key == "HOME":
			home = value
		case slices.Contains([]string{"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "PIP_CONFIG_FILE"}, key) && filepath.IsAbs(value):
			binds = append(binds, Bind{From: value, To: "/tmp/" + strings.ToLower(key), Keep: true})
			env = append(env, key+"=/tmp/"+strings.ToLower(key))
		case strings.HasPrefix(key, "PIP_"), strings.HasPrefix(key, "UV_"), slices.Contains([]string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"}, upper):
			env = append(env, kv)
		}
	}
	for _, b := range []Bind{
		{From: "/etc/resolv.conf", To: "/etc/resolv.conf"}, {From: "/etc/hosts", To: "/etc/hosts"}, {From: "/etc/pip.conf", To: "/etc/pip.conf"},
		{From: filepath.Join(home, ".config/pip/pip.conf"), To: "/tmp/.config/pip/pip.conf"}, {From: filepath.Join(home, ".pip/pip.conf"), To: "/tmp/.pip/pip.conf"},
		{From: filepath.Join(home, ".netrc"), To: "/tmp/.netrc"},
	} {
		if info, err := os.Stat(b.From); err == nil && info.Mode().IsRegular() && filepath.IsAbs(b.From) {
			b.Keep = true
			binds = append(binds, b)
		}
	}
	return binds, env
}

// lines parts what is written into lines.
type lines struct {
	each func(string)
	rest []byte
}

// maxRest is up to which length a line is kept together, in bytes.
const maxRest = 64 << 10

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found && len(l.rest) < maxRest {
			return len(p), nil
		}
		l.tell(line)
		l.rest = rest
	}
}

func (l *lines) tell(line []byte) {
	if l.each != nil {
		l.each(strings.TrimRight(string(line), "\r"))
	}
}

// end tells the last line, where it has no end.
func (l *lines) end() {
	if len(l.rest) > 0 {
		l.tell(l.rest)
	}
}
