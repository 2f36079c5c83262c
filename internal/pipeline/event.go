package pipeline

import (
	"time"

	"github.com/handoff-run/handoff/internal/stream"
)

// Kind says what an Event tells.
type Kind string

// The kinds of events, in the order in which a reader may meet them.
const (
	RunStarted   Kind = "run_started"
	TaskStarted  Kind = "task_started"  // also for each further try (Try > 1)
	StageStarted Kind = "stage_started" // Pid is set for a command
	Output       Kind = "output"        // one line (Text, no newline) that a stage wrote to stderr, masked
	Progress     Kind = "progress"      // Stats of a live stage, about twice a second
	StageEnded   Kind = "stage_ended"   // Result, Stats
	TaskEnded    Kind = "task_ended"    // Result
	TaskSkipped  Kind = "task_skipped"  // Text says why
	TaskRetrying Kind = "task_retrying" // Result of the failed try, Wait until the next one
	Warning      Kind = "warning"       // Text, for a person to read
	RunEnded     Kind = "run_ended"     // Result
)

// Event is one thing that happened in a run. Events of one task arrive in order.
type Event struct {
	Time  time.Time
	Kind  Kind
	Task  []string // names from the root to the task; inside a foreach body one name per level, the line in Lines
	Lines []string // the lines of the enclosing foreach loops, outermost first
	Stage string   // name of the stage, empty for an event of a task or the run
	Index int      // position of the stage in its pipeline or commands, from 0
	Try   int      // from 1
	Pid   int
	Text  string
	Wait  time.Duration

	Result *Result
	Stats  *Stats
}

// Outcome is how a run, task or stage ended.
type Outcome string

// The outcomes.
const (
	Success     Outcome = "success"
	Failed      Outcome = "failed"
	TimedOut    Outcome = "timed_out"
	Interrupted Outcome = "interrupted" // by a signal to handoff
	Terminated  Outcome = "terminated"  // stopped because another stage failed
	Skipped     Outcome = "skipped"
)

// Result is the end of a run, task or stage.
type Result struct {
	Outcome Outcome
	Code    int           // exit code of the stage, or of the first failing stage
	Signal  string        // "SIGKILL", ... when it died by one
	Reason  string        // one sentence: `stage "tap" exited with code 3`, "timed out after 1s"
	Stage   string        // first failing stage (of a task or run)
	Task    []string      // task of the first failing stage (of a run)
	Tail    []string      // last lines of the failing stage's stderr, masked
	Elapsed time.Duration //
	Lines   *Lines        // of a foreach
	Inner   bool          // what failed is a task inside of a foreach or fork
	First   bool          // of a stage: the first to fail, of which the end of the task tells

	Rows       map[string]int64 // of a task or run: records by stream, as the last stage tells that counts them; nil: none does
	ErrorLines int64            // of a stage: lines of its stderr at ERROR level, in a foreach those of bodies that succeeded
}

// Lines counts what a foreach did.
type Lines struct {
	Total, Succeeded, Failed, Blank int64
}

// Stats is what the kernel knows of a stage.
type Stats struct {
	BytesIn, BytesOut int64               // -1: unknown
	Exact             bool                // false: BytesIn/Out are what the stage's processes read and wrote in all, files included
	RecordsOut        int64               // newline-ended records of the stage's stdout; -1: unknown
	Rows              map[string]int64    // records by Singer stream, as the stage logs them or writes them into its artifact; nil: unknown
	Columns           map[string][]string // by stream, where they are expected to stay
	Before            *stream.Before      // with what a stage that checks has compared; nil: with nothing
	CPU               time.Duration
	PeakMemory        int64   // bytes
	BlockedIn         float64 // share of samples, 0..1, in which its input pipe was empty: it waits for the stage before
	BlockedOut        float64 // share of samples in which its output pipe was full: it waits for the stage after
	Loop              *Loop   // of a foreach at work; nil: another stage, or its end (where the Result has the Lines)
}

// Loop is how far a foreach is.
type Loop struct {
	Lines
	All int64    // lines of its input that are not blank, once the end of it is in sight; 0: not yet
	Now []string // the first of the lines that are at work, masked and cut to a length for a message
}
