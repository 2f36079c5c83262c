package pipeline

import (
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/handoff-run/handoff/internal/stream"
)

const (
	sampleEvery = 100 * time.Millisecond
	maxCounted  = 256 << 20 // bytes of stdout that are read again to count records
)

// meter looks at the pipes of the run at fixed times and tells how the stages are doing.
type meter struct {
	mu     sync.Mutex
	links  map[*link]struct{}
	stages map[*stage]struct{}
	quit   chan struct{}
	done   chan struct{}
}

func (m *meter) start(e *Engine, progress time.Duration) {
	m.links, m.stages = map[*link]struct{}{}, map[*stage]struct{}{}
	m.quit, m.done = make(chan struct{}), make(chan struct{})
	go m.run(e, progress)
}

func (m *meter) stop() {
	close(m.quit)
	<-m.done
}

func (m *meter) run(e *Engine, progress time.Duration) {
	defer close(m.done)
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	var tell <-chan time.Time
	if progress > 0 {
		t := time.NewTicker(progress)
		defer t.Stop()
		tell = t.C
	}
	for {
		select {
		case <-m.quit:
			return
		case <-tick.C:
			m.sample()
		case <-tell:
			m.tell(e)
		}
	}
}

func (m *meter) sample() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for l := range m.links {
		l.sample()
	}
}

// tell works on a copy: a listener may be slow and must not hold up the stages.
func (m *meter) tell(e *Engine) {
	for _, st := range m.atWork() {
		s := st.liveStats()
		st.eventIf(func() bool { return m.has(st) }, Event{Kind: Progress, Stats: &s})
	}
}

// atWork are the stages that have started and not ended.
func (m *meter) atWork() []*stage {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.stages))
}

func (m *meter) has(st *stage) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.stages[st]
	return ok
}

func (m *meter) addLink(l *link) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.links[l] = struct{}{}
}

func (m *meter) removeLink(l *link) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.links, l)
}

func (m *meter) addStage(st *stage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stages[st] = struct{}{}
}

func (m *meter) removeStage(st *stage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.stages, st)
}

// unknown are the Stats of a stage of which nothing is known yet.
func unknown() Stats { return Stats{BytesIn: -1, BytesOut: -1, RecordsOut: -1} }

// blocked adds what the samples of the pipes around st tell.
func (st *stage) blocked(s Stats) Stats {
	if st.prev != nil {
		s.BlockedIn = share(&st.prev.empty, &st.prev.samples)
	}
	if st.next != nil {
		s.BlockedOut = share(&st.next.full, &st.next.samples)
	}
	return s
}

// countRecords counts the newlines of the named artifact between two offsets, and its Singer records by stream; -1 when that would
// take too long.
func (e *Engine) countRecords(name string, from, to int64) (lines int64, rows map[string]int64) {
	if to-from > maxCounted {
		return -1, nil
	}
	if to <= from {
		return 0, nil
	}
	f, err := e.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // the stage may have put a named pipe in its place
	if err != nil {
		return -1, nil
	}
	defer f.Close()
	var c stream.Counter
	if _, err := io.CopyBuffer(&c, io.NewSectionReader(f, from, to-from), make([]byte, 64<<10)); err != nil {
		return -1, nil
	}
	c.Close()
	return c.Lines, c.Rows()
}

func sizeOf(f *os.File) int64 {
	info, err := f.Stat()
	if err != nil {
		return -1
	}
	return info.Size()
}
