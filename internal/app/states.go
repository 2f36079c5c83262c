package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/state"
)

// lookForStates is how often the output of a target is searched for checkpoints.
const lookForStates = 2 * time.Second

// states follows the pipelines of a run that have a state: it finds what their targets print and stores it.
type states struct {
	store func(context.Context, state.Version) error // a checkpoint, also into the file for the tap: a further try goes on from it
	log   *slog.Logger                               // from follow on
	rec   *ledger.Recorder

	tasks map[string]*taskState // by the path of the task

	backfill bool          // the run is one of a backfill
	stop     chan struct{} // nil: nobody looks for checkpoints
	done     chan struct{}

	storing sync.Mutex // held while a checkpoint is stored, however long that takes
	mu      sync.Mutex // what events wait for
}

// taskState is one pipeline with a state.
type taskState struct {
	name       string
	path       []string // of the task
	file       string   // for the tap
	checkpoint bool
	apart      bool // it begins empty, and is not stored
	capture    *state.Capture
	stored     json.RawMessage // the last checkpoint

	// What events have told; states.mu is held.
	anew      bool // the file is to be read from its start
	writing   bool // the file is that of this try, not one of a run before
	succeeded bool
}

// newStates returns the pipelines of p that have a state. store is called with each checkpoint, with one at a time. backfill: those
// that do not take part in one are apart.
func newStates(p *plan.Plan, artifacts string, store func(context.Context, state.Version) error, backfill bool) *states {
	s := &states{store: store, tasks: map[string]*taskState{}, backfill: backfill}
	s.add(p.Tasks, "", artifacts)
	return s
}

func (s *states) add(tasks []plan.Task, above, artifacts string) {
	for i := range tasks {
		t := &tasks[i]
		path := above + t.Name
		if t.State != nil {
			s.tasks[path] = &taskState{
				name: t.Name, path: strings.Split(path, "/"), file: t.State.File, checkpoint: t.State.Checkpoint,
				apart:   s.backfill && !t.State.Backfill,
				capture: state.NewCapture(filepath.Join(artifacts, t.Name+"_stdout.log")),
			}
		}
		s.add(t.Tasks, path+"/", artifacts)
	}
}

// follow begins to look for checkpoints. It comes before the first event.
func (s *states) follow(ctx context.Context, log *slog.Logger, rec *ledger.Recorder) {
	s.log, s.rec = log, rec
	any := false
	for _, t := range s.tasks {
		any = any || t.checkpoint
	}
	if !any {
		return
	}
	s.stop, s.done = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(s.done)
		tick := time.NewTicker(lookForStates)
		defer tick.Stop()
		for {
			select {
			case <-s.stop:
				return
			case <-tick.C:
				s.checkpoints(ctx)
			}
		}
	}()
}

// close ends follow, and stores the last checkpoints.
func (s *states) close(ctx context.Context) {
	if s.stop != nil {
		close(s.stop)
		<-s.done
		s.stop = nil
		s.checkpoints(ctx)
	}
}

// patience is how long a checkpoint may take: a further try waits for the one from which it is to go on.
const patience = 30 * time.Second

// event notes how the tries of a pipeline begin and end. It waits for the bucket only before a further try.
func (s *states) event(ctx context.Context, e pipeline.Event) {
	if len(e.Lines) > 0 {
		return
	}
	t := s.tasks[strings.Join(e.Task, "/")]
	if t == nil {
		return
	}
	if e.Kind == pipeline.TaskRetrying {
		s.checkpoint(ctx, t)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e.Kind {
	case pipeline.TaskStarted:
		t.anew, t.writing, t.succeeded = true, false, false
	case pipeline.StageStarted:
		t.writing = true // its output file has been made
	case pipeline.TaskEnded:
		t.succeeded = e.Result != nil && e.Result.Outcome == pipeline.Success
	}
}

func (s *states) checkpoints(ctx context.Context) {
	for _, t := range s.tasks {
		s.checkpoint(ctx, t)
	}
}

// checkpoint stores what the target has printed so far. What fails now is tried again at the next one, or at the end.
func (s *states) checkpoint(ctx context.Context, t *taskState) {
	if !t.checkpoint {
		return
	}
	s.storing.Lock()
	defer s.storing.Unlock()
	if !s.ready(t) {
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("the bucket does not respond"))
	defer cancel()
	err := s.save(ctx, t)
	if err != nil && s.log != nil {
		s.log.Warn(fmt.Sprintf("%s: the state at this point is not stored: %v", t.name, err))
	}
}

// ready prepares the capture of a task. It returns false where its file may be of an earlier try, or run.
func (s *states) ready(t *taskState) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.anew {
		t.anew = false
		t.capture.Reset()
	}
	return t.writing
}

func (s *states) save(ctx context.Context, t *taskState) error {
	got, err := t.capture.Read(false)
	if err != nil || got.State == nil || bytes.Equal(got.State, t.stored) {
		return err
	}
	v := t.version(got)
	v.Checkpoint = true
	if t.apart { // a further try goes on from it
		err = state.WriteFile(t.file, v.State)
	} else {
		err = s.store(ctx, v)
	}
	if err != nil {
		return err
	}
	t.stored = bytes.Clone(got.State)
	return nil
}

func (t *taskState) version(got state.Captured) state.Version {
	return state.Version{Task: t.name, By: state.ByRun, Line: got.Line, State: got.State}
}

// ended returns the states of the pipelines that succeeded, after a run that did, and after close. It says of those that have none that the
// last state stays.
func (s *states) ended() ([]state.Version, error) {
	var out []state.Version
	for _, path := range slices.Sorted(maps.Keys(s.tasks)) {
		t := s.tasks[path]
		if t.apart || !s.ready(t) || !t.succeeded {
			continue
		}
		got, err := t.capture.Read(true)
		if err != nil {
			return nil, fmt.Errorf("state of %q: %w", t.name, err)
		}
		if got.State != nil {
			s.rec.State(t.path, got.Line)
			out = append(out, t.version(got))
			continue
		}
		text := "the last stage has printed no state"
		if got.Empty > 0 {
			text = fmt.Sprintf("the last stage has printed an empty state (line %d of %s_stdout.log)", got.Empty, t.name)
		}
		s.warn(fmt.Sprintf("%s: %s: that of the run before stays", t.name, text))
	}
	return out, nil
}

// warn tells a warning, and keeps it in the record.
func (s *states) warn(text string) {
	s.log.Warn(text)
	s.rec.Warn(text)
}
