package workspace

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

const (
	maxNamed     = 20_000    // files and folders in what a command names; with more than that nobody can tell whether it has changed
	maxNamedSize = 512 << 20 // bytes of them
	maxList      = 256 << 10 // bytes of a file that is searched for names of further ones
)

var errMuch = errors.New("too much to compare")

// named collects what the content of the files and folders says that a command names, and, as requirements.txt does, the
// files that it names. It takes too much for a name rather than too little: the price is an install that was not needed.
type named struct {
	i        *installer
	hash     hash.Hash
	bases    []string // folders from which names count
	seen     map[string]bool
	entries  map[string]map[string]bool // names by folder
	files    int
	size     int64
	sure     bool
	editable bool // an editable install: it goes on reading the place that it names
}

// volatile are variables that differ from call to call and say nothing of an install.
var volatile = []string{"PATH", "PWD", "OLDPWD", "SHLVL", "VIRTUAL_ENV", "HANDOFF_RUN", "_"}

var variable = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)`) })

func (i *installer) named(command string) *named {
	n := &named{i: i, hash: sha256.New(), bases: []string{i.w.dir}, seen: map[string]bool{}, entries: map[string]map[string]bool{}, sure: true}
	n.add(command)
	for _, m := range variable().FindAllStringSubmatch(command, -1) {
		if !slices.Contains(volatile, m[1]) {
			n.add(m[1], lookup(i.o.Environ, m[1]))
		}
	}
	n.text(i.expand(command), true)
	return n
}

func (n *named) sum() string { return hex.EncodeToString(n.hash.Sum(nil)) }

func (n *named) add(texts ...string) {
	for _, text := range texts {
		fmt.Fprintf(n.hash, "%d:%s", len(text), text)
	}
}

// expand puts in the values of variables, as far as a shell would find them in the environment.
func (i *installer) expand(command string) string {
	return os.Expand(strings.ReplaceAll(command, " ~/", " $HOME/"), func(name string) string { return lookup(i.o.Environ, name) })
}

var quoted = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`"([^"]*)"|'([^']*)'`) })

// text takes each word of a text that is the name of something. direct: the text is the command.
func (n *named) text(text string, direct bool) {
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n|&;<>()\"'`", r) })
	for _, m := range quoted().FindAllStringSubmatch(text, -1) { // a name with a blank in it
		words = append(words, m[1]+m[2])
	}
	for _, word := range words {
		if strings.HasPrefix(word, "-e") || strings.HasPrefix(word, "--editable") {
			n.editable = true
		}
		n.word(word, direct)
		for part := range strings.FieldsFuncSeq(word, func(r rune) bool { return strings.ContainsRune("=:@[]#,", r) }) {
			n.word(part, direct)
		}
		if len(word) > 2 && word[0] == '-' && word[1] != '-' { // -rrequirements.txt
			n.word(word[2:], direct)
		}
	}
}

func (n *named) word(word string, direct bool) {
	if filepath.IsAbs(word) {
		n.paths(word, direct)
		return
	}
	first, _, _ := strings.Cut(word, "/")
	for _, base := range slices.Clone(n.bases) {
		if first == "." || first == ".." || strings.ContainsAny(first, "*?[") || n.has(base, first) {
			n.paths(filepath.Join(base, word), direct)
		}
	}
}

// has reports whether a folder has an entry of a name; a list of packages has thousands of words that are no names of files.
func (n *named) has(dir, name string) bool {
	if n.entries[dir] == nil {
		n.entries[dir] = map[string]bool{}
		list, _ := os.ReadDir(dir) // nothing where it cannot be read
		for _, e := range list {
			n.entries[dir][e.Name()] = true
		}
	}
	return n.entries[dir][name]
}

func (n *named) paths(path string, direct bool) {
	n.path(path, direct)
	if strings.ContainsAny(path, "*?[") {
		found, _ := filepath.Glob(path) // nothing where it is no pattern
		for _, path := range found {
			n.path(path, direct)
		}
	}
}

// path takes a file or folder, if it is there.
func (n *named) path(path string, direct bool) {
	path = filepath.Clean(path)
	if n.seen[path] || n.own(path) {
		return
	}
	info, err := os.Stat(path)
	if err != nil {
		return
	}
	n.seen[path] = true
	switch {
	case info.Mode().IsRegular():
		n.file(path, info, direct)
	case info.IsDir():
		n.folder(path, direct)
	}
}

// own reports whether path is in a virtual environment or in handoff's own folder, which are what installs make.
func (n *named) own(path string) bool {
	rel, err := filepath.Rel(n.i.w.dir, path)
	if err != nil || rel == "." || rel == ".." || strings.HasPrefix(rel, "../") {
		return false
	}
	first, _, _ := strings.Cut(rel, "/")
	return first == stateName || exists(filepath.Join(n.i.w.dir, first, "pyvenv.cfg")) ||
		slices.ContainsFunc(n.i.o.Installs, func(in Install) bool { return in.Venv == first })
}

// system are folders of the machine, which a text may name in passing.
var system = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^/(bin|sbin|lib\w*|usr|etc|dev|proc|sys|tmp|var)?(/|$)`)
})

func (n *named) file(path string, info fs.FileInfo, direct bool) {
	if !direct && system().MatchString(path) && !inside(path, n.i.w.dir) {
		return
	}
	if err := n.content(path, n.name(path), info); err != nil {
		n.sure = false
		return
	}
	if info.Size() > maxList {
		return
	}
	text, err := os.ReadFile(path)
	if err != nil || !isText(text) {
		return
	}
	n.bases = append(n.bases, filepath.Dir(path))
	n.text(string(text), false)
	n.bases = n.bases[:len(n.bases)-1]
}

func (n *named) folder(path string, direct bool) {
	switch {
	case inside(n.i.w.dir, path): // all that the workspace has, or the whole machine
		if direct && len(n.bases) == 1 {
			n.sure = false
		}
		return
	case !direct && system().MatchString(path) && !inside(path, n.i.w.dir):
		return
	}
	if direct {
		n.bases = append(n.bases, path) // cd
	}
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case p != path && (left(d.Name()) || strings.HasSuffix(d.Name(), ".egg-info")), d.IsDir() && exists(filepath.Join(p, "pyvenv.cfg")):
			return skip(d)
		}
		return n.entry(p, d)
	})
	if err != nil && direct {
		n.sure = false
	}
}

func skip(d fs.DirEntry) error {
	if d.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func (n *named) entry(path string, d fs.DirEntry) error {
	if n.files++; n.files > maxNamed {
		return errMuch
	}
	info, err := d.Info()
	if err != nil {
		return err
	}
	switch {
	case info.Mode().IsRegular():
		return n.content(path, n.name(path), info)
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		n.add(n.name(path), "link", target)
		return err
	}
	n.add(n.name(path), "other")
	return nil
}

// name returns path as it is the same in every workspace.
func (n *named) name(path string) string {
	if rel, err := filepath.Rel(n.i.w.dir, path); err == nil && !strings.HasPrefix(rel, "../") {
		return rel
	}
	return path
}

func (n *named) content(path, name string, info fs.FileInfo) error {
	if n.size += info.Size(); n.size > maxNamedSize {
		return errMuch
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	n.add(name, fmt.Sprint(info.Mode().Perm()&0o111 != 0), hex.EncodeToString(h.Sum(nil)))
	return nil
}
