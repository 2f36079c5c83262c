package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// shared is from how many waiting calls on one flush of the file system is cheaper than a flush of each file: a flush
// costs about a write barrier of the disk, whatever it carries.
const shared = 3

// syncGroup makes files durable, many calls with one flush. Calls that come while a flush is under way share the next one.
type syncGroup struct {
	all func() error // flushes the whole file system; nil where the system cannot

	mu      sync.Mutex
	waiting []waiter
	running bool
}

type waiter struct {
	one  func() error // flushes what this call is about
	done chan<- error
}

// sync returns when what the caller wrote before is durable. one is how to flush just that; it may be called or not.
func (g *syncGroup) sync(one func() error) error {
	done := make(chan error, 1)
	g.mu.Lock()
	g.waiting = append(g.waiting, waiter{one, done})
	start := !g.running
	g.running = true
	g.mu.Unlock()
	if start {
		g.flush()
	}
	return <-done
}

// flush serves the calls that wait now, and leaves those that have come meanwhile to a goroutine.
func (g *syncGroup) flush() {
	g.mu.Lock()
	batch := g.waiting
	g.waiting = nil
	g.running = len(batch) > 0
	g.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	g.serve(batch)
	go g.flush()
}

func (g *syncGroup) serve(batch []waiter) {
	if g.all != nil && len(batch) >= shared {
		err := g.all()
		for _, w := range batch {
			w.done <- err
		}
		return
	}
	for _, w := range batch {
		w.done <- w.one()
	}
}

// syncDirs flushes folders. One that is gone counts as done when the folder that it was in is flushed.
func syncDirs(dirs ...string) error {
	for _, dir := range dirs {
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return syncDir(filepath.Dir(dir))
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
