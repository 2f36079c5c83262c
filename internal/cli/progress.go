package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/handoff-run/handoff/internal/app"
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
	note  string // a line of its own, below the others; "": none
	drawn int    // lines on the screen that are ours
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
	lines *pipeline.Lines // of a foreach
	moved string          // records, where that is known
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
	p.rows, p.note = nil, ""
}

// say shows a line below the rows, in the place of the one before.
func (p *progress) say(note string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	p.note = note
	p.draw()
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
		now := e.Stats.BytesOut // what a process reads includes its program and libraries
		if now <= 0 {
			now = max(e.Stats.BytesIn, 0)
		}
		if d := e.Time.Sub(r.at).Seconds(); d > 0 {
			r.rate = float64(max(now-r.bytes, 0)) / d
		}
		r.bytes, r.at = now, e.Time
		r.lines = e.Stats.Lines
		r.waits = waits(e.Stats)
		r.moved = moved(e.Stats.Rows)
	}
}

// moved says how many records a stage has told of so far.
func moved(rows map[string]int64) string {
	if rows == nil {
		return ""
	}
	var all int64
	for _, n := range rows {
		all += n
	}
	return app.Rows(all)
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
	width, height, err := term.GetSize(int(p.term.Fd()))
	if err != nil || width < 20 {
		width, height = 80, 24
	}
	most := max(1, min(maxRows, height-3)) // what has left the screen cannot be erased
	var b strings.Builder
	texts := layOut(p.rows, most, width-1, time.Now())
	if p.note != "" {
		texts = append(texts, clipRight("  "+p.note, width-1))
	}
	for _, text := range texts {
		if p.color {
			text = string(dim) + text + "\x1b[0m"
		}
		b.WriteString(text + "\n")
		p.drawn++
	}
	_, _ = io.WriteString(p.out, b.String())
}

// layOut lays out the rows, each within width: one that wraps could not be erased.
func layOut(rows []*row, most, width int, now time.Time) []string {
	shown := rows[:min(len(rows), most)]
	room := 0
	for _, r := range shown {
		room = max(room, utf8.RuneCountInString(r.label))
	}
	room = min(room, max(width/2, width-60))
	var lines []string
	for _, r := range shown {
		label := clipLeft(r.label, room)
		pad := strings.Repeat(" ", room-utf8.RuneCountInString(label))
		text := fmt.Sprintf("  %s%s %5s  %s", label, pad, short(now.Sub(r.start)), r.done())
		if r.waits != "" && utf8.RuneCountInString(text) > width {
			text = strings.TrimSuffix(text, r.waits) // half of it says nothing
		}
		lines = append(lines, strings.TrimRight(clipRight(text, width), " ,"))
	}
	if more := len(rows) - len(shown); more > 0 {
		lines = append(lines, fmt.Sprintf("  and %d more", more))
	}
	return lines
}

// done says how much a stage has done, the most important first: a narrow terminal shows no more.
func (r *row) done() string {
	text := fmt.Sprintf("%9s", size(float64(r.bytes)))
	if r.lines != nil {
		done := r.lines.Succeeded + r.lines.Failed
		text = fmt.Sprintf("%9s", app.Count(int(done), "line"))
		if r.lines.Failed > 0 {
			text += fmt.Sprintf(", %d failed", r.lines.Failed)
		}
		if going := r.lines.Total - done; going > 0 {
			text += fmt.Sprintf(", %d running", going)
		}
	} else {
		text += fmt.Sprintf(" %11s", size(r.rate)+"/s")
	}
	if r.moved != "" {
		text += "  " + r.moved
	}
	if r.waits != "" {
		text += "  " + r.waits
	}
	return text
}

func clipRight(s string, n int) string {
	r := []rune(s)
	return string(r[:min(len(r), n)])
}

// clipLeft keeps the end of a label, where the stage is.
func clipLeft(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return "…" + string(r[len(r)-max(n-1, 0):])
	}
	return s
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
