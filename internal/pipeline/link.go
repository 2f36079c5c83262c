package pipeline

import (
	"fmt"
	"os"
	"sync/atomic"

	"github.com/handoff-run/handoff/internal/pipe"
)

// A link is the pipe between two stages. Its write end stays open in handoff: as long as it does, the stage after
// cannot see end-of-file, whatever happened to the stage before. Its read end must never stay open in handoff:
// the stage before would get no SIGPIPE when the stage after has gone.
type link struct {
	r, w    *os.File
	partial atomic.Bool // set before end-of-file is passed on after a failure
	closed  atomic.Bool
	e       *Engine
	kept    ticket

	samples, empty, full atomic.Int64
}

func (e *Engine) newLink() (*link, error) {
	r, w, err := pipe.New()
	if err != nil {
		return nil, fmt.Errorf("create pipe: %w", err)
	}
	return &link{r: r, w: w, e: e, kept: e.keep(w)}, nil
}

func (l *link) input() *input { return &input{f: l.r, owned: true, partial: &l.partial} }

// finish lets the stage after see end-of-file.
func (l *link) finish() {
	if l != nil && !l.closed.Swap(true) {
		l.e.dropKept(l.kept)
		_ = l.w.Close()
	}
}

// drop closes the write end without showing end-of-file to anyone: where a process is left that could read it
// (one that left its group), the end stays open until the run has ended that process too.
func (l *link) drop() {
	_ = l.r.Close()
	if pipe.ReaderGone(l.w) {
		l.finish()
	}
	if !l.closed.Swap(true) {
		l.e.hold(l.w)
	}
}

// sample looks once at how full the pipe is.
func (l *link) sample() {
	if l.closed.Load() {
		return
	}
	used, size, err := pipe.Level(l.w)
	if err != nil {
		return
	}
	l.samples.Add(1)
	switch {
	case used == 0:
		l.empty.Add(1)
	case used >= size-size/16:
		l.full.Add(1)
	}
}

// isEmpty reports whether the stage after waits for the one before.
func (l *link) isEmpty() bool {
	used, _, err := pipe.Level(l.w)
	return err == nil && used == 0
}

func share(part, whole *atomic.Int64) float64 {
	if n := whole.Load(); n > 0 {
		return float64(part.Load()) / float64(n)
	}
	return 0
}
