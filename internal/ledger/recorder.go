package ledger

import (
	"errors"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/pipeline"
)

const (
	writeEvery  = time.Second // at most, while a run goes on
	maxFailures = 100         // failed lines of a foreach that are kept, per task
)

// Recorder turns the events of a run into its record and keeps the file up to date. Safe for concurrent use.
type Recorder struct {
	path    string
	mask    func(string) string
	mu      sync.Mutex
	run     Run
	tasks   map[string]*Task
	changes int // how many events came in
	stop    chan struct{}
	done    chan struct{}
}

// NewRecorder writes run as running to path and refreshes it until Finish. mask is applied to every text
// that comes from the run.
func NewRecorder(path string, run Run, mask func(string) string) (*Recorder, error) {
	run.SchemaVersion, run.Outcome, run.ExitCode = SchemaVersion, Running, -1
	if run.Tasks == nil {
		run.Tasks = []*Task{}
	}
	r := &Recorder{
		path: path, mask: mask, run: run, tasks: map[string]*Task{},
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	if err := reserve(path); err != nil {
		return nil, err
	}
	if err := r.write(time.Now()); err != nil {
		return nil, errors.Join(err, release(path))
	}
	go r.refresh()
	return r, nil
}

// ID answers the id of the run.
func (r *Recorder) ID() string { return r.run.ID }

// Finish writes the last version, which is the one that counts: an error of an earlier write is forgotten.
func (r *Recorder) Finish(outcome, reason string, exitCode int) (Run, error) {
	close(r.stop)
	<-r.done
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now().UTC()
	r.run.End, r.run.Outcome, r.run.Reason, r.run.ExitCode = now, outcome, r.mask(reason), exitCode
	return r.run, errors.Join(release(r.path), r.write(now))
}

// Warn adds a warning to the record.
func (r *Recorder) Warn(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.warn(text)
}

func (r *Recorder) warn(text string) {
	if len(r.run.Warnings) < maxFailures {
		r.run.Warnings = append(r.run.Warnings, r.mask(text))
	}
}

// refresh writes what has changed, and a sign of life every few seconds.
func (r *Recorder) refresh() {
	defer close(r.done)
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.stop:
			return
		case now := <-tick.C:
			r.mu.Lock()
			_ = r.write(now) // the next one may succeed; Finish tells
			r.mu.Unlock()
		}
	}
}

// write replaces the file; r.mu is held, or nobody else knows r yet.
func (r *Recorder) write(now time.Time) error {
	r.run.Updated = now.UTC()
	return write(r.path, &r.run)
}

// Event takes one event of the engine into the record.
func (r *Recorder) Event(e pipeline.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Kind != pipeline.Output && e.Kind != pipeline.Progress && !inBody(e) {
		r.changes++
	}
	switch e.Kind {
	case pipeline.Warning:
		r.warn(at(e) + e.Text)
	case pipeline.TaskStarted:
		r.taskStarted(e)
	case pipeline.TaskEnded, pipeline.TaskSkipped:
		r.taskEnded(e)
	case pipeline.StageStarted, pipeline.StageEnded:
		r.stage(e)
	}
}
