package secret

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"
	"golang.org/x/sys/unix"
)

// The levels of a secret.
const (
	LevelTask          = "task"
	LevelResourceGroup = "resource group"
)

const defaultFile = "secrets.yml"

// Entry is one secret of a secrets file.
type Entry struct {
	Key    string
	Value  Value
	Level  string // LevelTask or LevelResourceGroup
	Push   bool   // false: `secrets push` leaves it out
	Source string // where it was declared: "secrets.yml:3"
}

// Load reads <dir>/<envStage>_secrets.yml, or <dir>/secrets.yml where that is missing or envStage is "". Without a
// folder or a file there are no secrets and no error. All errors of the file are returned at once, each with its
// position; warnings are sentences for a person. Neither ever shows a value.
func Load(dir, envStage string) ([]Entry, []string, error) {
	if strings.ContainsAny(envStage, "/\\\x00") {
		return nil, nil, fmt.Errorf("load secrets: env stage %q cannot be part of a file name", envStage)
	}
	folder, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err == nil && !folder.IsDir() {
		err = fmt.Errorf("%s is not a folder", dir)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("load secrets: %w", err)
	}
	name, err := pick(dir, envStage)
	if name == "" || err != nil {
		return nil, nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return nil, nil, fmt.Errorf("load secrets: %w", err)
	}
	l := &loader{dir: dir, name: name, keys: map[string]int{}}
	l.warnOpen(dir, folder)
	if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
		l.warnOpen(filepath.Join(dir, name), info)
	}
	l.file(text)
	return l.done()
}

// pick returns the name of the file to read, "" where there is none.
func pick(dir, envStage string) (string, error) {
	names := []string{defaultFile}
	if envStage != "" {
		names = []string{envStage + "_" + defaultFile, defaultFile}
	}
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return "", fmt.Errorf("load secrets: %w", err)
		case !info.Mode().IsRegular():
			return "", fmt.Errorf("load secrets: %s is not a regular file", filepath.Join(dir, name))
		}
		return name, nil
	}
	return "", nil
}

// ClientsDir is the folder in a folder of secrets that has a folder of secrets for each client.
const ClientsDir = "clients"

// LoadFor is Load for a client; "" is nobody in particular. A client has what is in <dir>/clients/<client>, and of <dir> only
// what is on the level of the resource group: all share that, nobody pushes it for one client, and no other secret of one is
// ever taken for that of another.
func LoadFor(dir, client, envStage string) ([]Entry, []string, error) {
	shared, warnings, err := Load(dir, envStage)
	if client == "" || err != nil {
		return shared, warnings, err
	}
	if strings.ContainsAny(client, "/\\\x00") {
		return nil, warnings, fmt.Errorf("load secrets: client %q cannot be part of a file name", client)
	}
	own, more, err := Load(filepath.Join(dir, ClientsDir, client), envStage)
	warnings = append(warnings, more...)
	if err != nil {
		return nil, warnings, err
	}
	has := map[string]bool{}
	for _, e := range own {
		if e.Level != LevelTask {
			return nil, warnings, fmt.Errorf("%s: secret %q: a client has none on the level of the resource group: move it to %s",
				filepath.Join(dir, ClientsDir, client, e.Source), e.Key, filepath.Join(dir, defaultFile))
		}
		has[e.Key] = true
	}
	for _, e := range shared {
		if e.Level == LevelResourceGroup && !has[e.Key] {
			e.Push = false
			own = append(own, e)
		}
	}
	return own, warnings, nil
}

type loader struct {
	dir      string
	name     string         // of the secrets file
	keys     map[string]int // key -> line of its entry
	open     []string       // what others can read
	entries  []Entry
	warnings []string
	errs     []error
}

func (l *loader) done() ([]Entry, []string, error) {
	if len(l.open) > 0 {
		l.warnings = append(l.warnings, fmt.Sprintf("%s can be read by other users of this machine: chmod -R go= %s",
			strings.Join(l.open, ", "), l.dir))
	}
	if err := errors.Join(l.errs...); err != nil {
		return nil, l.warnings, err
	}
	return l.entries, l.warnings, nil
}

func (l *loader) warnOpen(path string, info fs.FileInfo) {
	if info.Mode().Perm()&0o077 != 0 {
		l.open = append(l.open, fmt.Sprintf("%s (mode %04o)", path, info.Mode().Perm()))
	}
}

func (l *loader) at(line, column int) string {
	return fmt.Sprintf("%s:%d:%d", filepath.Join(l.dir, l.name), line, column)
}

func (l *loader) failf(n *yaml.Node, format string, args ...any) {
	l.errs = append(l.errs, fmt.Errorf("%s: %w", l.at(n.Line, n.Column), fmt.Errorf(format, args...)))
}

func (l *loader) warnf(n *yaml.Node, format string, args ...any) {
	l.warnings = append(l.warnings, l.at(n.Line, n.Column)+": "+fmt.Sprintf(format, args...))
}

func (l *loader) file(text []byte) {
	list, second, err := parse(text)
	switch {
	case err != nil:
		l.errs = append(l.errs, l.syntax(err))
	case list == nil || absent(list):
	case second != nil:
		l.failf(second, "a second YAML document: put all secrets in one list")
	case list.Kind != yaml.SequenceNode:
		l.failf(list, "want a list of {key, value} or {key, file}")
	default:
		for _, n := range list.Content {
			l.entry(resolve(n))
		}
	}
}

// parse returns the content of the first document, and the second document; nil where there is none.
func parse(text []byte) (first, second *yaml.Node, err error) {
	loader, err := yaml.NewLoader(bytes.NewReader(text))
	if err != nil {
		return nil, nil, err
	}
	docs := make([]yaml.Node, 2)
	for i := range docs {
		if err := loader.Load(&docs[i]); err == io.EOF {
			break
		} else if err != nil {
			return nil, nil, err
		}
	}
	if len(docs[0].Content) > 0 {
		first = resolve(docs[0].Content[0])
	}
	if docs[1].Kind != 0 {
		second = &docs[1]
	}
	return first, second, nil
}

// syntax turns an error of the YAML reader, which may quote the text of the file, into one that does not.
func (l *loader) syntax(err error) error {
	e, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		return fmt.Errorf("%s: not a YAML file", filepath.Join(l.dir, l.name))
	}
	why := "not a valid YAML file"
	switch e.Stage {
	case yaml.ScannerStage, yaml.ParserStage:
		if !strings.Contains(e.Message, "character '") {
			why = e.Message
		}
	case yaml.ComposerStage:
		why = "unknown anchor (a value that begins with * needs quotes)"
	}
	return fmt.Errorf("%s: %s", l.at(max(e.Mark.Line, 1), max(e.Mark.Column, 1)), why)
}

func (l *loader) entry(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		l.failf(n, "want {key, value} or {key, file}")
		return
	}
	f, ok := l.fields(n)
	if !ok {
		return
	}
	if f.key == nil || f.key.Kind != yaml.ScalarNode || f.key.Value == "" {
		l.failf(n, "a secret needs a key")
		return
	}
	e := Entry{Key: f.key.Value, Source: fmt.Sprintf("%s:%d", l.name, f.key.Line)}
	if line, twice := l.keys[e.Key]; twice {
		l.failf(f.key, "secret %q is already in line %d", e.Key, line)
		return
	}
	l.keys[e.Key] = f.key.Line
	e.Level, e.Push = l.level(f.level), l.push(f.push)
	var found bool
	if e.Value, found = l.value(n, f, e); found {
		l.entries = append(l.entries, e)
	}
}

// fields are the known keys of an entry; nil where absent or null.
type fields struct{ key, value, file, level, push *yaml.Node }

func (l *loader) fields(n *yaml.Node) (fields, bool) {
	var f fields
	known := map[string]**yaml.Node{"key": &f.key, "value": &f.value, "file": &f.file, "level": &f.level, "push": &f.push}
	seen := map[string]bool{}
	ok := true
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], resolve(n.Content[i+1])
		field, isKnown := known[k.Value]
		switch {
		case !isKnown:
			l.unknown(k, v)
		case seen[k.Value]:
			l.failf(k, "%q twice in one entry", k.Value)
			ok = false
		case !absent(v):
			*field = v
		}
		seen[k.Value] = true
	}
	return f, ok
}

func (l *loader) unknown(k, v *yaml.Node) {
	if k.Value == "description" {
		return
	}
	// A lone word such as {hunter2} is more likely a value than a key.
	if absent(v) {
		l.warnf(k, "unknown key (known: key, value, file, level, push)")
		return
	}
	l.warnf(k, "unknown key %q (known: key, value, file, level, push)", k.Value)
}

func (l *loader) level(n *yaml.Node) string {
	if n == nil {
		return LevelTask
	}
	switch strings.ToLower(strings.TrimSpace(n.Value)) {
	case LevelResourceGroup:
		return LevelResourceGroup
	case LevelTask:
	default:
		l.failf(n, "unknown level (known: %s, %s)", LevelTask, LevelResourceGroup)
	}
	return LevelTask
}

func (l *loader) push(n *yaml.Node) bool {
	if n == nil {
		return true
	}
	switch strings.ToLower(n.Value) {
	case "true", "yes", "on":
	case "false", "no", "off":
		return false
	default:
		l.failf(n, "push is true or false")
	}
	return true
}

func (l *loader) value(n *yaml.Node, f fields, e Entry) (Value, bool) {
	switch {
	case f.value != nil && f.value.Kind != yaml.ScalarNode:
		l.failf(f.value, "the value of secret %q is a list or a map: put it in quotes, or in a file", e.Key)
	case f.value != nil:
		if f.file != nil {
			l.warnf(f.file, "secret %q has a value and a file: the value is used", e.Key)
		}
		return NewValue(f.value.Value), true
	case f.file != nil:
		return l.contents(f.file, e.Key)
	case e.Level == LevelResourceGroup:
		l.warnf(n, "secret %q of the resource group has no value here", e.Key)
	default:
		l.failf(n, "secret %q has neither value nor file", e.Key)
	}
	return Value{}, false
}

func (l *loader) contents(n *yaml.Node, key string) (Value, bool) {
	text, err := l.read(n.Value)
	if err != nil {
		l.failf(n, "secret %q: %w", key, err)
		return Value{}, false
	}
	return NewValue(WithoutLineEnd(text)), true
}

// WithoutLineEnd drops the one line end that an editor puts at the end of a file; it would end a command too soon.
func WithoutLineEnd(text string) string {
	if line, ok := strings.CutSuffix(text, "\n"); ok {
		return strings.TrimSuffix(line, "\r")
	}
	return text
}

// maxFile is the largest secret that is read from a file, in bytes.
const maxFile = 1 << 20

// read returns a whole file. A name is relative to the secrets folder; it may lead out of it, since one key file for
// several projects is usual.
func (l *loader) read(name string) (string, error) {
	path := name
	if !filepath.IsAbs(path) {
		path = l.dir + "/" + name // not cleaned: ".." after a link is for the kernel to follow
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a named pipe has no writer yet
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("file %q is not a regular file", name)
	case info.Size() > maxFile:
		return "", fmt.Errorf("file %q is larger than %d MiB", name, maxFile>>20)
	}
	l.warnOpen(path, info)
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	return string(text), err
}

// resolve follows aliases.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// absent reports a null: `value:` and `value: ~`, but not `value: ""`.
func absent(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }
