package cli

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/app"
)

const (
	consoleRoom = 256 << 10       // bytes that wait to be written
	patience    = 5 * time.Second // for a reader that does not read
)

// console is stderr for the messages of handoff. A reader that does not read (a full pipe, a stopped terminal) may
// hold a run up for a moment, never for ever: what it does not take is dropped and counted, and run.log has all of it.
// Safe for concurrent use.
type console struct {
	f    io.Writer
	wake chan struct{} // there is something to write
	room chan struct{} // something was written
	done chan struct{} // the writer has ended

	mu      sync.Mutex
	waiting []byte
	writing bool // what was taken is not yet written
	stuck   bool // nothing was taken for the whole of patience
	dropped int
	closed  bool
}

func newConsole(f io.Writer) *console {
	c := &console{f: f, wake: make(chan struct{}, 1), room: make(chan struct{}, 1), done: make(chan struct{})}
	go c.run()
	return c
}

// Write never fails, and never waits longer than patience.
func (c *console) Write(b []byte) (int, error) {
	deadline := time.After(patience)
	for !c.put(b) {
		select {
		case <-c.room:
		case <-deadline:
			c.mu.Lock()
			c.stuck = true
			c.mu.Unlock()
		}
	}
	poke(c.wake)
	return len(b), nil
}

// put takes b, or drops it where nobody reads; false: there is no room yet.
func (c *console) put(b []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.waiting) == 0 || len(c.waiting)+len(b) <= consoleRoom:
		c.waiting = append(c.waiting, b...)
	case c.stuck || c.closed:
		c.dropped++
	default:
		return false
	}
	return true
}

// run writes until close.
func (c *console) run() {
	defer close(c.done)
	for {
		b, more := c.take()
		if len(b) > 0 {
			_, _ = c.f.Write(b)
			c.mu.Lock()
			c.stuck, c.writing = false, false
			c.mu.Unlock()
			poke(c.room)
			continue
		}
		if !more {
			return
		}
		<-c.wake
	}
}

// take returns what waits, and whether there may be more.
func (c *console) take() (b []byte, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, c.waiting = c.waiting, nil
	if c.dropped > 0 {
		b = fmt.Appendf(b, "handoff: %s not shown here, because nobody read them: see run.log\n", app.Count(c.dropped, "message"))
		c.dropped = 0
	}
	c.writing = len(b) > 0
	return b, !c.closed
}

// flush waits until everything is written, so that what is then written elsewhere comes after it, or until patience
// is over.
func (c *console) flush() {
	deadline := time.After(patience)
	for c.busy() {
		select {
		case <-c.room:
		case <-deadline:
			c.mu.Lock()
			c.stuck = true
			c.mu.Unlock()
		}
	}
}

func (c *console) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.stuck && (c.writing || len(c.waiting) > 0)
}

// close waits until everything is written, or patience is over. Who had it tried before is given a moment.
func (c *console) close() {
	c.mu.Lock()
	c.closed = true
	limit := patience
	if c.stuck {
		limit = patience / 50
	}
	c.mu.Unlock()
	poke(c.wake)
	select {
	case <-c.done:
	case <-time.After(limit):
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
