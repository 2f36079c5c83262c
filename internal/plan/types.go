// Package plan turns a project, its variables and its secrets into a Plan: every command with its text,
// environment and folder resolved. It is pure: no file, process, clock or environment is touched.
package plan

import (
	"encoding/json"
	"math"
	"time"

	"github.com/handoff-run/handoff/internal/stream"
)

// Plan is what will run. `handoff plan` prints it, the engine runs it.
type Plan struct {
	Project     string   `json:"project"`               // name of the project folder
	Description string   `json:"description,omitempty"` //
	EnvStage    string   `json:"env_stage"`             // dev, prod, ...
	Client      string   `json:"client,omitempty"`      // for whom it runs
	RunID       string   `json:"run_id,omitempty"`
	Dir         string   `json:"dir"`               // working folder of every command: the workspace
	Timeout     Duration `json:"timeout,omitempty"` // of the whole run; 0: none
	Vars        []Var    `json:"vars,omitempty"`    // that the project declares, where it says more of them than a value
	Env         []string `json:"env"`               // "K=V" of every command, for show: the value of a secret is masked
	Tasks       []Task   `json:"tasks"`
}

// Var is a template variable, and who gives it its value.
type Var struct {
	Key         string `json:"key"`
	Type        string `json:"type,omitempty"`
	Value       string `json:"value"`          // as text; lists and maps as JSON
	From        string `json:"from,omitempty"` // "-v", or the file and the line
	Description string `json:"description,omitempty"`
}

// Task is one node of the tree: exactly one of Pipeline, Commands and Tasks is set, unless Skip is.
type Task struct {
	Name                 string   `json:"name"`
	Description          string   `json:"description,omitempty"`
	Skip                 bool     `json:"skip,omitempty"` // active: false, or Why
	Why                  string   `json:"why,omitempty"`  // it is left out of this run; "": it is inactive
	Pipeline             []Stage  `json:"pipeline,omitempty"`
	Commands             []Stage  `json:"commands,omitempty"` // Command stages only
	Tasks                []Task   `json:"tasks,omitempty"`
	Timeout              Duration `json:"timeout,omitempty"` // 0: none
	Retries              Retries  `json:"retries,omitzero"`
	KillAfter            Duration `json:"kill_after"`          // grace between SIGTERM and SIGKILL
	Drain                bool     `json:"drain,omitempty"`     // on_upstream_failure: drain
	Terminate            bool     `json:"terminate,omitempty"` // on_upstream_failure: terminate; unless this or Drain is set, a stage that reads from another is killed, never asked to end
	AllowFailure         bool     `json:"allow_failure,omitempty"`
	KillDownstreamOnFail bool     `json:"kill_downstream_on_fail"`
	KillLoopOnFail       bool     `json:"kill_loop_on_fail"`
	StdoutToFile         bool     `json:"stdout_to_file"`
	StderrToFile         bool     `json:"stderr_to_file"`
	State                *State   `json:"state,omitempty"`
}

// State says that a pipeline goes on from where its last good run has ended.
type State struct {
	File       string `json:"file"` // for the first stage to read; {{ _state_file }} in its commands. In a foreach there is one for each line: "*" stands for what differs
	Checkpoint bool   `json:"checkpoint,omitempty"`
	Backfill   bool   `json:"backfill,omitempty"` // backfills use it, too
	Body       bool   `json:"body,omitempty"`     // it is committed when the body of its foreach has succeeded, not with the run

	// FileOf returns the file for the lines of the enclosing foreach loops, outermost first.
	FileOf func(lines []string) string `json:"-"`
}

// Retries says how often a failed task is tried again; the zero value means never.
type Retries struct {
	Max     int      `json:"max"`
	Delay   Duration `json:"delay,omitempty"`
	Backoff float64  `json:"backoff,omitempty"` // factor on Delay from try to try; >= 1
}

// Stage is one element of a pipeline: exactly one of Command, Check, Foreach, Fork and Null is set.
// Inactive stages are not in the plan.
type Stage struct {
	Name    string   `json:"name"` // unique within its pipeline
	Command *Command `json:"command,omitempty"`
	Check   *Check   `json:"expect,omitempty"`
	Foreach *Foreach `json:"foreach,omitempty"`
	Fork    []Task   `json:"fork,omitempty"` // every task has a Pipeline
	Null    bool     `json:"nulldev,omitempty"`
}

// Check passes on what the stage before it writes, and fails where that is not what is expected.
type Check struct {
	stream.Contract
}

// Foreach runs Tasks once for each input line that is not blank.
type Foreach struct {
	Concurrency int    `json:"concurrency"` // >= 1
	Tasks       []Task `json:"tasks"`
}

// Command is one process: Shell -c Script, or the program itself where the script has nothing for a shell to do.
type Command struct {
	Shell   string   `json:"shell"`            // path or name of the shell
	Script  string   `json:"script"`           // for show: secrets are masked, and in a foreach body the parts that need the line are still templates
	Direct  bool     `json:"direct,omitempty"` // for show: started without the shell; in a foreach body for a line that is a plain word
	Venv    string   `json:"venv,omitempty"`
	Env     []string `json:"-"` // "K=V", on top of the environment of handoff; holds secrets
	Timeout Duration `json:"timeout,omitempty"`

	NoErrors        bool `json:"no_errors,omitempty"`         // it fails where it logs a line at ERROR level
	WaitForChildren bool `json:"wait_for_children,omitempty"` // it ends with the last process that it has started

	// Text returns the script for the lines of the enclosing foreach loops, outermost first (empty outside of one).
	// Data from a line is quoted for its place in the script. Safe for concurrent use. nil: Script is all there is.
	Text func(lines []string) (Script, error) `json:"-"`
}

// Script is what a shell is to run.
type Script struct {
	Text    string
	Private bool // it contains a secret, or what a template made of one: it must be no argument of a process

	// Words are what the shell would make of the script, where it has nothing else to do but to start a program with them;
	// nil: it has, or the script is private.
	Words []string
}

// Duration prints as seconds, the unit of project.yml.
type Duration time.Duration

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).Seconds())
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(text []byte) error {
	var seconds float64
	if err := json.Unmarshal(text, &seconds); err != nil {
		return err
	}
	*d = Duration(math.Round(seconds * float64(time.Second)))
	return nil
}
