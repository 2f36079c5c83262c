package pipeline

import (
	"crypto/rand"
	"fmt"
	"hash/maphash"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/handoff-run/handoff/internal/plan"
)

const (
	maxName   = 200                         // bytes of the name of an artifact
	maxLine   = 100                         // bytes that one line gives to it
	tailroom  = len("_stdout.log~12345678") // what follows task and lines
	minSuffix = 16
)

func stdoutName(t *plan.Task, sc scope) string { return t.Name + sc.suffix + "_stdout.log" }
func stderrName(t *plan.Task, sc scope) string { return t.Name + sc.suffix + "_stderr.log" }

func (e *Engine) create(name string) (*os.File, error) { return CreateArtifact(e.root, name) }

// CreateArtifact makes an empty file in the folder of artifacts, or empties the one that is there. What is no regular file
// is left as it is: to open a named pipe could take for ever, a link leads to a file that is not this artifact.
func CreateArtifact(root *os.Root, name string) (*os.File, error) {
	info, err := root.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		return nil, inTheWay(name, info)
	}
	// It may have got another file since: with O_NONBLOCK that fails, or is seen now.
	f, err := root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|syscall.O_NONBLOCK, 0o644)
	if err != nil {
		return nil, fmt.Errorf("create artifact %q: %w", name, err)
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = inTheWay(name, info)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func inTheWay(name string, info os.FileInfo) error {
	kind := "special file"
	switch mode := info.Mode(); {
	case mode.IsDir():
		kind = "folder"
	case mode&os.ModeSymlink != 0:
		kind = "symbolic link"
	case mode&os.ModeNamedPipe != 0:
		kind = "named pipe"
	case mode&os.ModeSocket != 0:
		kind = "socket"
	case mode&os.ModeDevice != 0:
		kind = "device"
	}
	return fmt.Errorf("create artifact %q: a %s is in its place: remove it", name, kind)
}

// createTemp makes a file in the artifacts folder (which has room for data; /tmp may be memory) for the caller to unlink.
func (e *Engine) createTemp() (*os.File, string, error) {
	name := ".spool-" + rand.Text()
	f, err := e.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, "", fmt.Errorf("create spool file: %w", err)
	}
	return f, name, nil
}

// safe is the part of an artifact's name that a line becomes.
func safe(line string) string {
	var b strings.Builder
	gap := false
	for i := 0; i < len(line) && b.Len() < maxLine; i++ {
		c := line[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
			b.WriteByte(c)
			gap = false
		case !gap:
			b.WriteByte('_')
			gap = true
		}
	}
	return b.String()
}

// suffixFor is the suffix of a body's artifacts, before it is made unique, cut to what the longest task name leaves.
func suffixFor(outer, line string, tasks []string) string {
	longest := 0
	for _, t := range tasks {
		longest = max(longest, len(t))
	}
	s := outer + "_" + safe(line)
	return s[:min(len(s), max(maxName-tailroom-longest, minSuffix))]
}

// leaves are the names of the tasks that write artifacts of the same body, without those of a further foreach.
func leaves(tasks []plan.Task) []string {
	var names []string
	for i := range tasks {
		t := &tasks[i]
		if len(t.Tasks) == 0 {
			names = append(names, t.Name)
		}
		names = append(names, leaves(t.Tasks)...)
		for _, s := range t.Pipeline {
			names = append(names, leaves(s.Fork)...)
		}
	}
	return names
}

// A registry gives every body of every foreach of a run artifact names of its own. It keeps hashes only:
// 100,000 lines cost a few megabytes. Two names with one hash would cost one of them a needless "~2".
type registry struct {
	mu      sync.Mutex
	seed    maphash.Seed
	owner   map[uint64]uint64 // name -> body
	given   map[uint64]int    // body -> number, where that is not 1
	counter map[uint64]int    // suffix -> last number given
}

func newRegistry() *registry {
	return &registry{
		seed: maphash.MakeSeed(), owner: map[uint64]uint64{}, given: map[uint64]int{}, counter: map[uint64]int{},
	}
}

// reserve takes the names of the tasks that are in no foreach: no body may overwrite their artifacts.
func (g *registry) reserve(tasks []plan.Task) {
	g.tryOwn(g.hash("", ""), leaves(tasks), "")
}

// claim returns suffix, or suffix with the first free number. key names the body: a further try of the task around
// its foreach is given the same names again.
func (g *registry) claim(key string, tasks []string, suffix string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	body := g.hash("body", key)
	if n := g.given[body]; n > 1 {
		return numbered(suffix, n)
	}
	if g.tryOwn(body, tasks, suffix) {
		return suffix
	}
	base := g.hash("suffix", suffix)
	for n := max(g.counter[base]+1, 2); ; n++ {
		if g.tryOwn(body, tasks, numbered(suffix, n)) {
			g.counter[base], g.given[body] = n, n
			return numbered(suffix, n)
		}
	}
}

// tryOwn makes body the owner of the names, unless one of them is taken.
func (g *registry) tryOwn(body uint64, tasks []string, suffix string) bool {
	for _, t := range tasks {
		if o, ok := g.owner[g.hash("name", t+suffix)]; ok && o != body {
			return false
		}
	}
	for _, t := range tasks {
		g.owner[g.hash("name", t+suffix)] = body
	}
	return true
}

func (g *registry) hash(kind, s string) uint64 { return maphash.String(g.seed, kind+"\x00"+s) }

func numbered(suffix string, n int) string { return suffix + "~" + strconv.Itoa(n) }
