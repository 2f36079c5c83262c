package ledger

import (
	"math"
	"strings"

	"github.com/handoff-run/handoff/internal/pipeline"
)

// task returns the record of the task at path, made on demand with those above it.
func (r *Recorder) task(path []string) *Task {
	key := strings.Join(path, "\x00")
	if t := r.tasks[key]; t != nil {
		return t
	}
	t := &Task{Name: path[len(path)-1], Outcome: Running}
	r.tasks[key] = t
	if len(path) == 1 {
		r.run.Tasks = append(r.run.Tasks, t)
		return t
	}
	parent := r.task(path[:len(path)-1])
	parent.Tasks = append(parent.Tasks, t)
	return t
}

// inBody says that an event is of one line of a foreach: those are counted, not kept, since there may be
// hundreds of thousands.
func inBody(e pipeline.Event) bool { return len(e.Lines) > 0 }

// at names the place of an event for a text.
func at(e pipeline.Event) string {
	place := strings.Join(e.Task, "/")
	if e.Stage != "" {
		place += "/" + e.Stage
	}
	if place == "" {
		return ""
	}
	return place + ": "
}

func (r *Recorder) taskStarted(e pipeline.Event) {
	if inBody(e) || len(e.Task) == 0 {
		return
	}
	t := r.task(e.Task)
	t.Tries = max(e.Try, 1)
	t.Outcome, t.Reason, t.Failed, t.Tail, t.Stages = Running, "", "", nil, nil
	t.Rows, t.Streams = nil, nil
	if t.Start.IsZero() {
		t.Start = e.Time.UTC()
	}
}

func (r *Recorder) taskEnded(e pipeline.Event) {
	if len(e.Task) == 0 {
		return
	}
	if inBody(e) {
		r.bodyEnded(e)
		return
	}
	t := r.task(e.Task)
	if e.Kind == pipeline.TaskSkipped {
		t.Outcome, t.Reason = string(pipeline.Skipped), r.mask(e.Text)
		return
	}
	t.End = e.Time.UTC()
	t.Slowest = bottleneck(t.Stages)
	if e.Result == nil {
		return
	}
	t.Outcome, t.Reason, t.Failed = string(e.Result.Outcome), r.mask(e.Result.Reason), e.Result.Stage
	t.Tail = r.maskAll(e.Result.Tail)
	t.Rows, t.Streams = rowsOf(e.Result.Rows, r.mask)
}

// bodyEnded keeps a failed line with the task that holds the loop.
func (r *Recorder) bodyEnded(e pipeline.Event) {
	if e.Result == nil || e.Result.Outcome == pipeline.Success || e.Result.Outcome == pipeline.Terminated {
		return
	}
	depth := max(len(e.Task)-len(e.Lines), 1)
	t := r.task(e.Task[:depth])
	if len(t.Failures) >= maxFailures {
		return
	}
	t.Failures = append(t.Failures, Failure{
		Lines: r.maskAll(e.Lines), Task: e.Task[len(e.Task)-1], Stage: e.Result.Stage,
		Reason: r.mask(e.Result.Reason), Tail: r.maskAll(e.Result.Tail),
	})
	r.changes++
}

func (r *Recorder) stage(e pipeline.Event) {
	if inBody(e) || len(e.Task) == 0 {
		return
	}
	t := r.task(e.Task)
	s := find(t, e)
	if e.Kind == pipeline.StageStarted {
		s.Start, s.Pid, s.Outcome = e.Time.UTC(), e.Pid, Running
		return
	}
	s.End = e.Time.UTC()
	if e.Result != nil {
		s.Outcome, s.ExitCode, s.Signal = string(e.Result.Outcome), e.Result.Code, e.Result.Signal
		s.Reason, s.ErrorLines = r.mask(e.Result.Reason), e.Result.ErrorLines
		if l := e.Result.Lines; l != nil {
			t.Lines = &Lines{Total: l.Total, Succeeded: l.Succeeded, Failed: l.Failed, Blank: l.Blank}
		}
	}
	if e.Stats != nil {
		s.setStats(e.Stats, r.mask)
	}
}

func (s *Stage) setStats(st *pipeline.Stats, mask func(string) string) {
	s.Rows, s.Streams = rowsOf(st.Rows, mask)
	s.Columns, s.Before = st.Columns, st.Before
	s.BytesIn, s.BytesOut, s.RecordsOut = known(st.BytesIn), known(st.BytesOut), known(st.RecordsOut)
	s.BytesExact = st.Exact
	s.CPUSeconds, s.PeakMemory = milli(st.CPU.Seconds()), st.PeakMemory
	s.BlockedIn, s.BlockedOut = milli(st.BlockedIn), milli(st.BlockedOut)
}

// rowsOf returns what is known of records: how many, and of which streams where these have names.
func rowsOf(rows map[string]int64, mask func(string) string) (*int64, Streams) {
	if rows == nil {
		return nil, nil
	}
	var all int64
	streams := Streams{}
	for name, n := range rows {
		all += n
		if name != "" {
			streams[mask(name)] += n
		}
	}
	return &all, streams
}

// milli rounds to three digits: more is noise.
func milli(x float64) float64 { return math.Round(x*1000) / 1000 }

func known(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}

func find(t *Task, e pipeline.Event) *Stage {
	for _, s := range t.Stages {
		if s.Name == e.Stage {
			return s
		}
	}
	s := &Stage{Name: e.Stage, ExitCode: -1}
	t.Stages = append(t.Stages, s)
	return s
}

// bottleneck names the stage that worked longest while its neighbours waited; none when no one waited.
func bottleneck(stages []*Stage) string {
	var name string
	var most, waited float64
	for _, s := range stages {
		wait := min(s.BlockedIn+s.BlockedOut, 1)
		waited = max(waited, wait)
		if busy := s.End.Sub(s.Start).Seconds() * (1 - wait); busy > most {
			name, most = s.Name, busy
		}
	}
	if len(stages) < 2 || waited < 0.1 {
		return ""
	}
	return name
}

func (r *Recorder) maskAll(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = r.mask(l)
	}
	return out
}
