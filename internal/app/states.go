package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/state"
)

// lookForStates is how often the output of a target is searched for checkpoints.
const lookForStates = 2 * time.Second

// states follows the pipelines of a run that have a state: it finds what their targets print and stores it.
type states struct {
	store func(ctx context.Context, task string, s json.RawMessage, checkpoint bool) error
	log   *slog.Logger

	mu    sync.Mutex
	tasks map[string]*taskState // by the path of the task
	stop  chan struct{}         // nil: nobody looks for checkpoints
	done  chan struct{}
}

// taskState is one pipeline with a state.
type taskState struct {
	name       string
	file       string // for the tap
	checkpoint bool
	capture    *state.Capture
	stored     json.RawMessage // the last one
	writing    bool            // the file is that of this try, not one of a run before
	succeeded  bool
}

// newStates answers the pipelines of p that have a state.
func newStates(p *plan.Plan, artifacts string) *states {
	s := &states{tasks: map[string]*taskState{}}
	s.add(p.Tasks, "", artifacts)
	return s
}

func (s *states) add(tasks []plan.Task, above, artifacts string) {
	for i := range tasks {
		t := &tasks[i]
		path := above + t.Name
		if t.State != nil {
			s.tasks[path] = &taskState{
				name: t.Name, file: t.State.File, checkpoint: t.State.Checkpoint,
				capture: state.NewCapture(filepath.Join(artifacts, t.Name+"_stdout.log")),
			}
		}
		s.add(t.Tasks, path+"/", artifacts)
	}
}

// follow begins to look for checkpoints.
func (s *states) follow(ctx context.Context) {
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

// close ends follow.
func (s *states) close() {
	if s.stop != nil {
		close(s.stop)
		<-s.done
		s.stop = nil
	}
}

// event notes how the tries of a pipeline begin and end.
func (s *states) event(ctx context.Context, e pipeline.Event) {
	if len(e.Lines) > 0 {
		return
	}
	t := s.tasks[strings.Join(e.Task, "/")]
	if t == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e.Kind {
	case pipeline.TaskStarted:
		t.capture.Reset()
		t.writing, t.succeeded = false, false
	case pipeline.StageStarted:
		t.writing = true // its output file has been made
	case pipeline.TaskRetrying:
		s.checkpoint(ctx, t)
	case pipeline.TaskEnded:
		t.succeeded = e.Result != nil && e.Result.Outcome == pipeline.Success
		s.checkpoint(ctx, t)
	}
}

func (s *states) checkpoints(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tasks {
		s.checkpoint(ctx, t)
	}
}

// checkpoint stores what the target has printed so far. What fails now is tried again at the next one, or at the end.
func (s *states) checkpoint(ctx context.Context, t *taskState) {
	if !t.checkpoint || !t.writing {
		return
	}
	if err := s.save(ctx, t, false, true); err != nil && s.log != nil {
		s.log.Warn(fmt.Sprintf("%s: the state at this point is not stored: %v", t.name, err))
	}
}

// save stores the last state that the target has printed, if there is a new one.
func (s *states) save(ctx context.Context, t *taskState, final, checkpoint bool) error {
	got, err := t.capture.Read(final)
	if err != nil || got == nil || checkpoint && bytes.Equal(got, t.stored) {
		return err
	}
	if err := s.store(ctx, t.name, got, checkpoint); err != nil {
		return err
	}
	t.stored = bytes.Clone(got)
	if checkpoint { // a further try goes on from here
		return state.WriteFile(t.file, got)
	}
	return nil
}

// commit stores the states of the pipelines that succeeded, after a run that did.
func (s *states) commit(ctx context.Context) error {
	s.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, t := range s.tasks {
		if !t.succeeded {
			continue
		}
		if err := s.save(ctx, t, true, false); err != nil {
			errs = append(errs, fmt.Errorf("store state of %q: %w", t.name, err))
		} else if t.stored == nil && s.log != nil {
			s.log.Warn(fmt.Sprintf("%s: the last stage has printed no state: that of the run before stays", t.name))
		}
	}
	return errors.Join(errs...)
}
