package project

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// FileName is the name of the project file in the folder of a project.
const FileName = "project.yml"

// Provider is a cloud that a project may name.
type Provider struct {
	Name      string
	Platforms []string
}

// Load reads the project.yml of a folder. The diagnostics are warnings. The error is Errors, with everything that
// is wrong with the file, or says why the file cannot be read; fs.ErrNotExist is in its chain if there is none. Names of other
// clouds than the providers are found wrong; where none is given, any name is right.
func Load(dir string, providers ...Provider) (*Project, []Diagnostic, error) {
	return LoadAs(dir, filepath.Join(dir, FileName), providers...)
}

// LoadAs is Load for a folder whose path tells nobody anything: messages call the file shown.
func LoadAs(dir, shown string, providers ...Provider) (*Project, []Diagnostic, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("project folder %q: %w", dir, err)
	}
	name := filepath.Join(dir, FileName)
	text, err := readLimited(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, missing(full, err)
	case errors.Is(err, unix.ENOTDIR):
		return nil, nil, notFolder(dir)
	case err != nil:
		return nil, nil, fmt.Errorf("read the project: %w", err)
	}
	files, warnings, err := readClients(dir, filepath.Dir(shown))
	if err != nil {
		return nil, nil, err
	}
	p, more, err := decodeWith(shown, full, text, files, providers)
	return p, append(warnings, more...), err
}

// readClients reads the folder of clients, if there is one. Messages call it a folder in shown.
func readClients(dir, shown string) (files []clientFile, warnings []Diagnostic, err error) {
	list, err := os.ReadDir(filepath.Join(dir, ClientsDir))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return nil, nil, nil
	case err != nil:
		return nil, nil, fmt.Errorf("read the clients: %w", err)
	}
	for _, entry := range list {
		at := filepath.Join(shown, ClientsDir, entry.Name())
		name, ok := strings.CutSuffix(entry.Name(), clientSuffix)
		switch {
		case strings.HasSuffix(entry.Name(), ".yaml"):
			warnings = append(warnings, Diagnostic{Pos: Pos{File: at}, Message: "not read: a client is a file that ends with .yml", Hint: "rename it"})
			continue
		case !ok || name == "" || entry.IsDir():
			continue
		}
		text, err := readLimited(filepath.Join(dir, ClientsDir, entry.Name()))
		if err != nil {
			return nil, nil, fmt.Errorf("read the client %q: %w", name, err)
		}
		files = append(files, clientFile{at, name, text})
	}
	return files, warnings, nil
}

// clientSuffix ends the name of the file of a client.
const clientSuffix = ".yml"

// readLimited reads no more than it takes to see that a file is too large. It does not wait for somebody to write to
// a named pipe.
func readLimited(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	return io.ReadAll(io.LimitReader(f, maxSize+1))
}

// missing says what was looked for, and what to do.
func missing(dir string, err error) error {
	if _, bad := os.Stat(dir); bad != nil {
		return fmt.Errorf("no project folder %q: %w", dir, err)
	}
	if _, bad := os.Stat(filepath.Join(dir, "project.yaml")); bad == nil {
		return fmt.Errorf("no %s in %q, but a project.yaml: rename it: %w", FileName, dir, err)
	}
	return fmt.Errorf("no %s in %q: name another folder with -p, or make a project with `handoff init`: %w", FileName, dir, err)
}

// notFolder says what to name instead of a file.
func notFolder(name string) error {
	if filepath.Base(name) == FileName {
		return fmt.Errorf("%q is a file, the project is its folder: -p %s", name, filepath.Dir(name))
	}
	return fmt.Errorf("%q is not a folder: name the one that has %s", name, FileName)
}

// Decode reads the text of a project.yml. file is its name in messages, dir the folder of the project.
// The diagnostics are warnings. The error is always Errors.
func Decode(file, dir string, text []byte, providers ...Provider) (*Project, []Diagnostic, error) {
	return decodeWith(file, dir, text, nil, providers)
}

// decodeWith is Decode for a project some clients of which are files of their own.
func decodeWith(file, dir string, text []byte, clients []clientFile, providers []Provider) (*Project, []Diagnostic, error) {
	src := newSource(file, trimBOM(text))
	root, problem := parse(src)
	if problem != nil {
		return nil, nil, Errors{*problem}
	}
	if root == nil || isNull(root) {
		return nil, nil, Errors{src.at(1, 1, "the file is empty", "a project needs at least tasks; `handoff init` makes one")}
	}
	d := &decoder{src: src}
	d.strict = d.wantsStrict(root)
	p := draft{Project: Project{File: file, Dir: dir, Strict: d.strict}}
	c := newCatalog(providers)
	d.object(value{node: root}, c.project, &p)
	errs, more, sources := d.clientsOf(&p.Project, clients, c)
	warnings := append(d.finish(d.warnings, d.moreWarnings), more...)
	errs = append(d.finish(d.errors, d.moreErrors), errs...)
	if len(errs) == 0 {
		errs = checkClients(&p.Project, append(sources, src))
		sortByPosition(errs)
	}
	if len(errs) > 0 {
		return nil, warnings, Errors(errs)
	}
	return &p.Project, warnings, nil
}

// finish sorts, hides private lines and says how many there were beyond those kept.
func (d *decoder) finish(list []Diagnostic, more int) []Diagnostic {
	sortByPosition(list)
	for i := range list {
		if slices.Contains(d.private, list[i].Pos.Line) {
			list[i].Source = ""
		}
	}
	if more > 0 {
		list = append(list, Diagnostic{Pos: Pos{File: d.src.file}, Message: fmt.Sprintf("and %d more of this kind", more)})
	}
	return list
}

func trimBOM(text []byte) []byte {
	const bom = "\ufeff"
	if len(text) >= len(bom) && string(text[:len(bom)]) == bom {
		return text[len(bom):]
	}
	return text
}
