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
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/state"
)

// lookForStates is how often the output of a target is searched for checkpoints.
const lookForStates = 2 * time.Second

// keeper is where a run has its states: a bucket, or its workspace.
type keeper interface {
	// prepareState puts the state from which a pipeline goes on into its file.
	prepareState(ctx context.Context, t *taskState) error
	// store makes states current while the run goes on, and keeps everything else as it is; one call at a time. A checkpoint comes
	// into its file, too: a further try goes on from it.
	store(ctx context.Context, versions []state.Version) error
}

// states follows the pipelines of a run that have a state: it finds what their targets print and stores it, for those in a foreach when
// their body has succeeded. It implements pipeline.States.
type states struct {
	keeper    keeper
	artifacts string
	mask      func(string) string
	log       *slog.Logger // from follow on
	rec       *ledger.Recorder

	tasks       map[string]*taskState // those outside of any foreach, by the path of the task
	any         bool                  // there is one, or one in a foreach
	checkpoints bool                  // there is one that stores its checkpoints

	backfill bool          // the run is one of a backfill
	stop     chan struct{} // nil: nobody looks for checkpoints
	done     chan struct{}

	storing   sync.Mutex // held while something is stored, however long that takes
	gathering gathering

	mu     sync.Mutex                        // held for moments
	bodies map[*pipeline.Stateful]*taskState // those in bodies that are at work
	later  map[string]lineState              // of lines that succeeded, by name, for the end of the run
	silent int                               // bodies that have printed no state
}

// taskState is one pipeline with a state, in a foreach that of one line.
type taskState struct {
	name       string // of the state
	task       string
	lines      []string
	path       []string // of the task
	file       string   // for the tap
	stdout     string   // name of the artifact that has what is printed
	checkpoint bool
	apart      bool // it begins empty, and is not stored

	// states.mu is held.
	anew    bool // the output is to be read from its start
	writing bool // the output is that of this try, not one of a try or run before

	reading sync.Mutex // held while what follows is used
	capture *state.Capture
	stored  json.RawMessage // the last checkpoint
	over    bool            // nothing of it is a checkpoint any more

	succeeded bool // outside of a foreach, when all tasks have ended

	ready bool // its file has the state from which it goes on; for Begin alone
}

// lineState is what a pipeline in a foreach has left for one line.
type lineState struct {
	state.Version
	path []string // of the task
}

// newStates returns the pipelines of p that have a state. backfill: those that do not take part in one are apart.
func newStates(p *plan.Plan, artifacts string, keeper keeper, mask func(string) string, backfill bool) *states {
	s := &states{
		keeper: keeper, artifacts: artifacts, mask: mask, backfill: backfill, tasks: map[string]*taskState{},
		bodies: map[*pipeline.Stateful]*taskState{}, later: map[string]lineState{},
	}
	s.add(p.Tasks, nil, false)
	return s
}

func (s *states) add(tasks []plan.Task, above []string, inLoop bool) {
	for i := range tasks {
		t := &tasks[i]
		path := append(slices.Clip(above), t.Name)
		if t.State != nil {
			s.any, s.checkpoints = true, s.checkpoints || t.State.Checkpoint
			if !inLoop {
				s.tasks[strings.Join(path, "/")] = s.newTask(t.State, path, nil, t.Name+"_stdout.log")
			}
		}
		s.add(t.Tasks, path, inLoop)
		for _, st := range t.Pipeline {
			s.add(st.Fork, path, inLoop)
			if st.Foreach != nil {
				s.add(st.Foreach.Tasks, path, true)
			}
		}
	}
}

func (s *states) newTask(of *plan.State, path, lines []string, stdout string) *taskState {
	task := path[len(path)-1]
	return &taskState{
		name: project.StateName(task, lines), task: task, lines: lines, path: path, file: of.FileOf(lines), stdout: stdout,
		checkpoint: of.Checkpoint, apart: s.backfill && !of.Backfill, capture: state.NewCapture(filepath.Join(s.artifacts, stdout)),
	}
}

// of returns what is known of p.
func (s *states) of(p *pipeline.Stateful) *taskState {
	if len(p.Lines) == 0 {
		return s.tasks[strings.Join(p.Task, "/")]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.bodies[p]
	if t == nil {
		t = s.newTask(p.State, p.Task, p.Lines, p.Stdout)
		s.bodies[p] = t
		delete(s.later, t.name) // the foreach is tried again
	}
	return t
}

// follow begins to look for checkpoints. It comes before the first task.
func (s *states) follow(ctx context.Context, log *slog.Logger, rec *ledger.Recorder) {
	s.log, s.rec = log, rec
	if !s.checkpoints {
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
				s.look(ctx)
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
		s.look(ctx)
	}
	if more := s.silent - mostSilent; more > 0 {
		s.warn(fmt.Sprintf("no state was printed for %s more: those of the runs before stay", Count(more, "line")))
		s.silent = 0
	}
}

// Begin implements pipeline.States. Before a further try the last checkpoint is stored, from which that goes on.
func (s *states) Begin(ctx context.Context, p *pipeline.Stateful) error {
	t := s.of(p)
	s.mu.Lock()
	further := t.writing
	s.mu.Unlock()
	if further {
		s.checkpoint(ctx, t)
	}
	s.mu.Lock()
	t.anew, t.writing = true, false
	s.mu.Unlock()
	if len(t.lines) == 0 || t.ready { // the others were prepared before the run
		return nil
	}
	if err := s.keeper.prepareState(ctx, t); err != nil {
		return err
	}
	t.ready = true
	return nil
}

// Emptied implements pipeline.States.
func (s *states) Emptied(p *pipeline.Stateful) {
	t := s.of(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	t.writing = true
}

// Ended implements pipeline.States. What a body has to store is stored when it returns; what is outside of any waits for the end of the run.
func (s *states) Ended(ctx context.Context, body []*pipeline.Stateful, success bool) error {
	var now []state.Version
	var errs []error
	for _, p := range body {
		t := s.of(p)
		if len(t.lines) == 0 {
			t.succeeded = p.Succeeded
			continue
		}
		v, err := s.endOfLine(ctx, t, success && p.Succeeded)
		errs = append(errs, err)
		s.mu.Lock()
		delete(s.bodies, p)
		if v.State != nil && !p.State.Body {
			s.later[t.name] = lineState{v, t.path}
		}
		s.mu.Unlock()
		if v.State != nil && p.State.Body {
			now = append(now, v)
		}
	}
	err := errors.Join(errs...)
	if err != nil || len(now) == 0 {
		return err
	}
	if err := s.gathering.store(now, func(all []state.Version) error { return s.storeLines(ctx, all) }); err != nil {
		return fmt.Errorf("its state is not stored: %w", err)
	}
	for range now {
		s.rec.StateOfLine(body[0].Task)
	}
	return nil
}

// endOfLine returns the state that a pipeline in a foreach leaves, one without a State where it leaves none.
func (s *states) endOfLine(ctx context.Context, t *taskState, success bool) (v state.Version, err error) {
	if !success {
		s.checkpoint(ctx, t)
	}
	t.reading.Lock()
	defer t.reading.Unlock()
	t.over = true
	if !success || t.apart {
		return v, nil
	}
	v, why, err := s.last(t)
	if v.State == nil && err == nil {
		s.tellSilent(t, why)
	}
	return v, err
}

// mostSilent is how many bodies without a state are told of, each.
const mostSilent = 3

func (s *states) tellSilent(t *taskState, why string) {
	s.mu.Lock()
	s.silent++
	n := s.silent
	s.mu.Unlock()
	if n <= mostSilent {
		s.warn(fmt.Sprintf("%s, line %s: %s: that of the run before stays", t.task, quotedLines(s.masked(t.lines)), why))
	}
}

// masked returns lines as they may be shown and stored.
func (s *states) masked(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = s.mask(l)
	}
	return out
}

func (s *states) storeLines(ctx context.Context, all []state.Version) error {
	s.storing.Lock()
	defer s.storing.Unlock()
	return s.keeper.store(ctx, all)
}

// look searches for checkpoints of all that is at work.
func (s *states) look(ctx context.Context) {
	s.mu.Lock()
	bodies := slices.Collect(maps.Values(s.bodies))
	s.mu.Unlock()
	for _, path := range slices.Sorted(maps.Keys(s.tasks)) {
		s.checkpoint(ctx, s.tasks[path])
	}
	for _, t := range bodies {
		s.checkpoint(ctx, t)
	}
}

// patience is how long a checkpoint may take: a further try waits for the one from which it is to go on.
const patience = 30 * time.Second

// checkpoint stores what the target has printed so far. What fails now is tried again at the next one, or at the end.
func (s *states) checkpoint(ctx context.Context, t *taskState) {
	if !t.checkpoint {
		return
	}
	s.storing.Lock()
	defer s.storing.Unlock()
	t.reading.Lock()
	defer t.reading.Unlock()
	if t.over || !s.refresh(t) {
		return
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), patience, errors.New("the bucket does not respond"))
	defer cancel()
	err := s.save(ctx, t)
	if err != nil && s.log != nil {
		s.log.Warn(fmt.Sprintf("%s: the state at this point is not stored: %v", t.name, err))
	}
}

// refresh prepares the capture of a task. It returns false where its file may be of an earlier try, or run.
func (s *states) refresh(t *taskState) bool {
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
	v := s.version(t, got)
	v.Checkpoint = true
	if t.apart { // a further try goes on from it
		err = state.WriteFile(t.file, v.State)
	} else {
		err = s.keeper.store(ctx, []state.Version{v})
	}
	if err != nil {
		return err
	}
	t.stored = bytes.Clone(got.State)
	return nil
}

func (s *states) version(t *taskState, got state.Captured) state.Version {
	v := state.Version{Task: t.task, By: state.ByRun, Line: got.Line, State: got.State}
	if len(t.lines) > 0 {
		v.Name, v.Lines = t.name, s.masked(t.lines)
	}
	return v
}

// last returns what a pipeline that has succeeded has printed last; a version without a State, and why, where that is none.
func (s *states) last(t *taskState) (v state.Version, why string, err error) {
	s.refresh(t)
	got, err := t.capture.Read(true)
	switch {
	case err != nil:
		return v, "", fmt.Errorf("state of %q: %w", t.name, err)
	case got.State != nil:
		return s.version(t, got), "", nil
	case got.Empty > 0:
		return v, fmt.Sprintf("the last stage has printed an empty state (line %d of %s)", got.Empty, t.stdout), nil
	}
	return v, "the last stage has printed no state", nil
}

// ended returns the states of the pipelines that succeeded and wait for the run, after a run that did, and after close. It says of those
// that have none that the last state stays.
func (s *states) ended() ([]state.Version, error) {
	var out []state.Version
	for _, path := range slices.Sorted(maps.Keys(s.tasks)) {
		t := s.tasks[path]
		if t.apart || !t.succeeded {
			continue
		}
		v, why, err := s.last(t)
		if err != nil {
			return nil, err
		}
		if v.State == nil {
			s.warn(fmt.Sprintf("%s: %s: that of the run before stays", t.name, why))
			continue
		}
		s.rec.State(t.path, v.Line)
		out = append(out, v)
	}
	for _, name := range slices.Sorted(maps.Keys(s.later)) {
		out = append(out, s.later[name].Version)
		s.rec.StateOfLine(s.later[name].path)
	}
	return out, nil
}

// warn tells a warning, and keeps it in the record.
func (s *states) warn(text string) {
	s.log.Warn(text)
	s.rec.Warn(text)
}

// quotedLines shows the lines of one body.
func quotedLines(lines []string) string {
	var out []string
	for _, l := range lines {
		out = append(out, fmt.Sprintf("%q", l))
	}
	return strings.Join(out, ", ")
}

// gathering lets those who come while something is being stored store theirs together.
type gathering struct {
	turn sync.Mutex // of who stores
	mu   sync.Mutex
	next *batch // nil: nobody waits
}

type batch struct {
	versions []state.Version
	done     chan struct{}
	err      error
}

// store stores versions, with those of others; the error is that of all of them.
func (g *gathering) store(versions []state.Version, do func([]state.Version) error) error {
	g.mu.Lock()
	first := g.next == nil
	if first {
		g.next = &batch{done: make(chan struct{})}
	}
	b := g.next
	b.versions = append(b.versions, versions...)
	g.mu.Unlock()
	if !first {
		<-b.done
		return b.err
	}
	g.turn.Lock()
	defer g.turn.Unlock()
	g.mu.Lock()
	g.next = nil
	g.mu.Unlock()
	defer close(b.done)
	b.err = do(b.versions)
	return b.err
}

var _ pipeline.States = (*states)(nil)
