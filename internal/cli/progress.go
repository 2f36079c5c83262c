package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

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
	loop  *pipeline.Loop // of a foreach
	moved string         // records, where that is known
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
		p.rows = append(p.rows, &row{key: key, label: oneLine(key), start: e.Time, at: e.Time})
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
		r.loop = e.Stats.Loop
		if r.waits = waits(e.Stats); r.loop != nil && len(r.loop.Now) > 0 {
			r.waits = "" // it has read what its bodies work on
		}
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
	width, height := screen(p.term)
	most := max(1, min(maxRows, height-3)) // what has left the screen cannot be erased
	var b strings.Builder
	texts := layOut(p.rows, most, width-1, time.Now())
	if p.note != "" {
		texts = append(texts, shorten("  "+p.note, width-1))
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
		room = max(room, columns(r.label))
	}
	room = min(room, max(width/2-4, width-60))
	var lines []string
	for _, r := range shown {
		text := fmt.Sprintf("  %s %5s", padded(clipLeft(r.label, room), room), short(now.Sub(r.start)))
		for i, part := range r.done(now) {
			if i > 0 && columns(text)+columns(part) > width {
				break // half of it says nothing
			}
			text += part
		}
		lines = append(lines, clipRight(r.withNow(text, width), width))
	}
	if more := len(rows) - len(shown); more > 0 {
		lines = append(lines, fmt.Sprintf("  and %d more", more))
	}
	return lines
}

// done says how much a stage has done, the most important first: a narrow terminal shows no more.
func (r *row) done(now time.Time) (parts []string) {
	if r.loop != nil {
		parts = loopDone(r.loop, now.Sub(r.start))
	} else {
		parts = []string{fmt.Sprintf("  %9s", size(float64(r.bytes))), fmt.Sprintf("  %10s", size(r.rate)+"/s")}
	}
	for _, part := range []string{r.moved, r.waits} {
		if part != "" {
			parts = append(parts, "  "+part)
		}
	}
	return parts
}

// loopDone says how far a foreach is: how many lines of all, where that is known.
func loopDone(l *pipeline.Loop, in time.Duration) (parts []string) {
	done := l.Succeeded + l.Failed
	text := app.Count(int(done), "line")
	if l.All > 0 {
		text = fmt.Sprintf("%d/%d", done, l.All)
	}
	parts = append(parts, fmt.Sprintf("  %9s", text))
	if l.Failed > 0 {
		parts = append(parts, fmt.Sprintf(", %d failed", l.Failed))
	}
	if going := l.Total - done; going > 0 {
		parts = append(parts, fmt.Sprintf(", %d running", going))
	}
	if done > 0 && in >= time.Second {
		parts = append(parts, "  "+pace(float64(done)/in.Seconds()))
	}
	return parts
}

// withNow adds the lines that are at work to what is said of a loop, as many of them as have room.
func (r *row) withNow(text string, width int) string {
	const least = 8 // columns of a line by which one knows it
	if r.loop == nil {
		return text
	}
	sep := "  "
	for _, line := range r.loop.Now {
		room := width - columns(text) - columns(sep)
		if room < least && room < columns(line) {
			break
		}
		text += sep + shorten(oneLine(line), room)
		sep = ", "
	}
	return text
}

// pace words what is done per second in the unit in which one can count it.
func pace(perSecond float64) string {
	switch {
	case perSecond >= 100:
		return fmt.Sprintf("%.0f/s", perSecond)
	case perSecond >= 1:
		return fmt.Sprintf("%.2g/s", perSecond)
	case perSecond*60 >= 1:
		return fmt.Sprintf("%.2g/min", perSecond*60)
	}
	return fmt.Sprintf("%.2g/h", perSecond*3600)
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
