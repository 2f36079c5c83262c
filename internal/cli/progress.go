package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/handoff-run/handoff/internal/pipeline"
)

// progress keeps a few live lines under the log: one for each running stage. It is also the writer of the
// log, so that lines of the log scroll above them.
type progress struct {
	mu    sync.Mutex
	out   io.Writer
	term  *os.File // where out ends
	color bool
	rows  []*row
	drawn int // lines on the screen that are ours
}

// row is a running stage.
type row struct {
	key   string
	label string
	start time.Time
	bytes int64
	at    time.Time
	rate  float64 // bytes/s
	waits string
	tasks int64 // lines of a foreach done
}

const maxRows = 12 // more would push the log off the screen

func newProgress(out io.Writer, term *os.File, color bool) *progress {
	return &progress{out: out, term: term, color: color}
}

// Write prints log lines above the live ones.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	n, err := p.out.Write(b)
	p.draw()
	return n, err
}

func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	p.rows = nil
}

// event takes one event; bodies of a foreach show through their loop.
func (p *progress) event(e pipeline.Event) {
	if len(e.Lines) > 0 || e.Stage == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	key := strings.Join(e.Task, "/") + "/" + e.Stage
	switch e.Kind {
	case pipeline.StageStarted:
		p.rows = append(p.rows, &row{key: key, label: key, start: e.Time, at: e.Time})
	case pipeline.StageEnded:
		for i, r := range p.rows {
			if r.key == key {
				p.rows = append(p.rows[:i], p.rows[i+1:]...)
				break
			}
		}
	case pipeline.Progress:
		p.update(key, e)
	default:
		return
	}
	p.erase()
	p.draw()
}

func (p *progress) update(key string, e pipeline.Event) {
	for _, r := range p.rows {
		if r.key != key || e.Stats == nil {
			continue
		}
		now := max(e.Stats.BytesOut, e.Stats.BytesIn, 0)
		if d := e.Time.Sub(r.at).Seconds(); d > 0 {
			r.rate = float64(max(now-r.bytes, 0)) / d
		}
		r.bytes, r.at = now, e.Time
		r.tasks = max(e.Stats.RecordsOut, 0)
		r.waits = waits(e.Stats)
	}
}

// waits says which neighbour holds a stage up.
func waits(s *pipeline.Stats) string {
	switch {
	case s.BlockedOut > 0.5 && s.BlockedOut >= s.BlockedIn:
		return "waits for the next stage"
	case s.BlockedIn > 0.5:
		return "waits for input"
	}
	return ""
}

func (p *progress) erase() {
	if p.drawn > 0 {
		fmt.Fprintf(p.out, "\x1b[%dA\x1b[J", p.drawn)
		p.drawn = 0
	}
}

func (p *progress) draw() {
	width, _, err := term.GetSize(int(p.term.Fd()))
	if err != nil || width < 20 {
		width = 80
	}
	var b strings.Builder
	for i, r := range p.rows {
		if i == maxRows {
			fmt.Fprintf(&b, "  ... and %d more\n", len(p.rows)-maxRows)
			p.drawn++
			break
		}
		text := fmt.Sprintf("  %-32s %8s %10s/s %9s  %s", r.label, short(time.Since(r.start)), size(r.rate), size(float64(r.bytes)), r.waits)
		if len(text) >= width {
			text = text[:width-1]
		}
		if p.color {
			text = string(dim) + text + "\x1b[0m"
		}
		b.WriteString(text + "\n")
		p.drawn++
	}
	_, _ = io.WriteString(p.out, b.String())
}

func short(d time.Duration) string { return d.Round(time.Second).String() }

// size words a number of bytes: 12.3 MB.
func size(n float64) string {
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if n < 1000 {
			return fmt.Sprintf("%.4g %s", n, unit)
		}
		n /= 1000
	}
	return fmt.Sprintf("%.4g TB", n)
}
