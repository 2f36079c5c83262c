package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/pipeline"
)

const (
	writeEvery  = time.Second // at most, while a run goes on
	writeLeast  = time.Minute // at least, while something happens
	writeRate   = 128 << 10   // bytes a second, at most
	writeShare  = 100         // of the time, the most that is taken for it: one part of so many
	maxFailures = 100         // failed lines of a foreach that are kept, per task
)

// Recorder turns the events of a run into its record and keeps the file up to date. Events do not wait for the disk. Safe for
// concurrent use.
type Recorder struct {
	path    string
	mask    func(string) string
	mu      sync.Mutex
	run     Run
	tasks   map[string]*Task
	changes int // rises when there is something new to write
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
	text, seen, err := r.snapshot(time.Now())
	if err == nil {
		err = write(path, text)
	}
	if err != nil {
		return nil, errors.Join(err, release(path))
	}
	go r.refresh(seen)
	return r, nil
}

// ID returns the id of the run.
func (r *Recorder) ID() string { return r.run.ID }

// Finish writes the last version, which is the one that counts: an error of an earlier write is forgotten.
func (r *Recorder) Finish(outcome, reason string, exitCode int) (Run, error) {
	close(r.stop)
	<-r.done
	r.mu.Lock()
	now := time.Now().UTC()
	r.run.End, r.run.Outcome, r.run.Reason, r.run.ExitCode = now, outcome, r.mask(reason), exitCode
	run := r.run // the mirror may still put it
	r.mu.Unlock()
	text, _, err := r.snapshot(now)
	if err != nil {
		return run, err
	}
	return run, errors.Join(release(r.path), write(r.path, text))
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
		r.changes++
	}
}

// State notes from which line of its output the state of the task at path was taken.
func (r *Recorder) State(path []string, line int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.task(path).StateLine = line
	r.changes++
}

// StateOfLine notes that the state of one line of a foreach was stored, for a task in it.
func (r *Recorder) StateOfLine(path []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := len(path) - 1; n > 0; n-- { // the tasks of a body are counted, not kept
		if t := r.tasks[strings.Join(path[:n], "\x00")]; t != nil {
			t.LineStates++
			r.changes++
			return
		}
	}
}

// refresh writes what has changed.
func (r *Recorder) refresh(seen int) {
	defer close(r.done)
	wait := writeEvery
	for {
		select {
		case <-r.stop:
			return
		case <-time.After(wait):
		}
		if r.unchanged(seen) {
			wait = writeEvery
			continue
		}
		began := time.Now()
		text, now, err := r.snapshot(began)
		if err == nil {
			err = write(r.path, text)
		}
		if err == nil { // else the next one may succeed; Finish tells
			seen = now
		}
		wait = pause(len(text), time.Since(began))
	}
}

// pause is how long not to write after a write of size bytes that took so long: the larger a record, the more seldom it is
// written.
func pause(size int, took time.Duration) time.Duration {
	rest := max(writeShare*took, time.Duration(size)*time.Second/writeRate, writeEvery)
	return min(rest, writeLeast)
}

func (r *Recorder) unchanged(seen int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changes == seen
}

// snapshot returns the record as it is now, and a number that changes when something happens.
func (r *Recorder) snapshot(now time.Time) ([]byte, int, error) {
	text, seen, err := r.encode(now)
	if err != nil {
		return nil, 0, fmt.Errorf("encode run record: %w", err)
	}
	var out bytes.Buffer
	err = json.Indent(&out, text, "", "  ")
	return append(out.Bytes(), '\n'), seen, err
}

// encode is all that events wait for.
func (r *Recorder) encode(now time.Time) ([]byte, int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.run.Updated = now.UTC()
	text, err := json.Marshal(r.run)
	return text, r.changes, err
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
	case pipeline.RunEnded:
		if e.Result != nil {
			r.run.Rows, _ = rowsOf(e.Result.Rows, r.mask)
		}
	}
}
