// Package ledger keeps the record of a run: what ran, how it ended and why, as one JSON document that is
// written while the run goes on and finished at its end. It knows files and events; it starts nothing.
package ledger

import (
	"time"

	"github.com/handoff-run/handoff/internal/stream"
)

// SchemaVersion is the version of the document; it rises when a field changes its meaning.
const SchemaVersion = 1

// Outcomes of a run that no engine can return; the others are those of package pipeline.
const (
	Running = "running"
	Died    = "died" // handoff vanished (SIGKILL, out of memory, power) before it could finish the record
)

// Run is the record of one run. Times are UTC.
type Run struct {
	SchemaVersion int       `json:"schema_version"`
	ID            string    `json:"id"` // sorts by start time
	Project       string    `json:"project"`
	ResourceGroup string    `json:"resource_group,omitempty"`
	Task          string    `json:"task,omitempty"`   // deploy.task
	Client        string    `json:"client,omitempty"` // for whom it ran
	EnvStage      string    `json:"env_stage"`
	Trigger       string    `json:"trigger"`               // manual, schedule, retry, backfill
	JobID         string    `json:"job,omitempty"`         // id of the job at its provider
	ScheduleID    string    `json:"schedule,omitempty"`    // target id of the schedule that started it
	ScheduledAt   time.Time `json:"scheduled_at,omitzero"` // the time for which it was due
	Series        string    `json:"series,omitempty"`      // tells backfills with other variables apart: cloud.Start
	Again         string    `json:"again,omitempty"`       // id of the run that it was started again from
	LeftOut       []string  `json:"left_out,omitempty"`    // tasks ("a/b") that it did not run, since they had succeeded in Again
	Release       string    `json:"release,omitempty"`     // hash of project.yml and files/
	Version       string    `json:"handoff_version"`
	Local         bool      `json:"local,omitempty"` // a run of a project folder; else of what a bucket has
	Fence         int64     `json:"fence,omitempty"` // of the lease of the task; 0: the run has none
	Host          string    `json:"host"`
	Pid           int       `json:"pid"`
	Start         time.Time `json:"start"`
	End           time.Time `json:"end,omitzero"`
	Updated       time.Time `json:"updated"` // last write: a running record that is not updated any more is of a run that died
	Outcome       string    `json:"outcome"` // running, success, failed, timed_out, interrupted, died
	Reason        string    `json:"reason,omitempty"`
	ExitCode      int       `json:"exit_code"`      // of handoff; -1 while it runs
	Rows          *int64    `json:"rows,omitempty"` // records that its tasks have moved; nil: nobody has counted
	Warnings      []string  `json:"warnings,omitempty"`
	Asked         Asked     `json:"asked,omitzero"`
	Tasks         []*Task   `json:"tasks"`
}

// Asked is what the start of a run has asked for, so that it can be asked for again. Secrets are masked in it.
type Asked struct {
	At      time.Time         `json:"at,omitzero"`        // the time of _today and of $(date ...); zero: nothing of this is known
	Zone    string            `json:"timezone,omitempty"` // of At; "": that of the machine
	Env     map[string]string `json:"env,omitempty"`      // environment, as it is
	Written map[string]string `json:"written,omitempty"`  // the same with $(date ...) to be evaluated; __VARS are the variables
	Hidden  []string          `json:"hidden,omitempty"`   // keys of those in which a secret is masked: they cannot be asked for again
	Push    bool              `json:"push,omitempty"`     // its artifacts are stored
}

// Task is what became of one task, over all its tries.
type Task struct {
	Name       string    `json:"name"`
	Start      time.Time `json:"start,omitzero"`
	End        time.Time `json:"end,omitzero"`
	Outcome    string    `json:"outcome"` // running, success, failed, timed_out, interrupted, terminated, skipped
	Reason     string    `json:"reason,omitempty"`
	Failed     string    `json:"failed_stage,omitempty"` // first failing stage
	Tail       []string  `json:"stderr_tail,omitempty"`  // last lines of its stderr
	Tries      int       `json:"tries,omitempty"`
	Slowest    string    `json:"bottleneck,omitempty"`  // the stage that the others waited for
	Rows       *int64    `json:"rows,omitempty"`        // records, as its last stage tells that counts them, or its children in all
	Streams    Streams   `json:"streams,omitempty"`     // the same by stream
	StateLine  int64     `json:"state_line,omitempty"`  // of its stdout artifact: the line that was taken for its state
	LineStates int64     `json:"line_states,omitempty"` // of its foreach: states of lines that this run has stored
	Stages     []*Stage  `json:"stages,omitempty"`
	Tasks      []*Task   `json:"tasks,omitempty"`    // children, and the branches of a fork
	Lines      *Lines    `json:"lines,omitempty"`    // of its foreach
	Failures   []Failure `json:"failures,omitempty"` // failed lines of its foreach, the first 100
}

// Stage is what became of one command, foreach or fork.
type Stage struct {
	Name       string              `json:"name"`
	Start      time.Time           `json:"start,omitzero"`
	End        time.Time           `json:"end,omitzero"`
	Outcome    string              `json:"outcome"`
	ExitCode   int                 `json:"exit_code"`
	Signal     string              `json:"signal,omitempty"`
	Reason     string              `json:"reason,omitempty"`
	Pid        int                 `json:"pid,omitempty"`
	BytesIn    *int64              `json:"bytes_in,omitempty"`
	BytesOut   *int64              `json:"bytes_out,omitempty"`
	BytesExact bool                `json:"bytes_exact"` // false: all that its processes read and wrote, files included
	RecordsOut *int64              `json:"records_out,omitempty"`
	Rows       *int64              `json:"rows,omitempty"`    // records, as its log or its output says
	Streams    Streams             `json:"streams,omitempty"` // the same by stream
	Columns    map[string][]string `json:"columns,omitempty"` // by stream, where they are expected to stay
	Before     *stream.Before      `json:"before,omitempty"`  // with what its records were compared
	CPUSeconds float64             `json:"cpu_seconds"`
	PeakMemory int64               `json:"peak_memory"`           // bytes
	ErrorLines int64               `json:"error_lines,omitempty"` // of its stderr that say that they are at ERROR level or above
	BlockedIn  float64             `json:"blocked_in"`            // share of its time with an empty pipe before it
	BlockedOut float64             `json:"blocked_out"`           // share of its time with a full pipe behind it
}

// Streams are numbers of records by the name of a stream: a table, an endpoint.
type Streams map[string]int64

// Lines counts the lines of a foreach.
type Lines struct {
	Total     int64 `json:"total"`
	Succeeded int64 `json:"succeeded"`
	Failed    int64 `json:"failed"`
	Blank     int64 `json:"blank"`
}

// Failure is a line of a foreach whose body failed.
type Failure struct {
	Lines  []string `json:"lines"` // of the enclosing loops, outermost first
	Task   string   `json:"task"`
	Stage  string   `json:"stage,omitempty"`
	Reason string   `json:"reason"`
	Tail   []string `json:"stderr_tail,omitempty"`
}
