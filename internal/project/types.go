// Package project reads project.yml into typed values that remember where they stand in the file.
// It reads bytes and returns values and errors; it runs nothing and renders no template.
package project

import "time"

// Pos is a place in a file; Line and Column start at 1. The zero Pos means "unknown".
type Pos struct {
	File   string
	Line   int
	Column int
}

// Project is one project.yml, decoded. Values are as written: defaults that depend on a parent
// (kill_downstream_on_fail, kill_loop_on_fail) stay nil and are resolved by package plan.
type Project struct {
	File                 string // as shown in messages
	Dir                  string // absolute folder of the project
	Version              string // "0.3", "0.4" or "1"
	Strict               bool   // version 1 and later: unknown keys and undefined variables are errors
	Description          string
	Installs             []Install
	Vars                 []Var
	Envs                 []Env
	Secrets              []Secret
	Tasks                []Task
	Files                Files
	Artifacts            Artifacts
	Container            Container
	Keep                 Keep
	Deploy               Deploy
	Schedules            []Schedule
	Notify               []Notify
	Clients              []Client  // those of the folder behind those of the file
	Stages               []Overlay // of env stages
	KillDownstreamOnFail *bool
	KillLoopOnFail       *bool
	Timeout              time.Duration // 0: none
}

// Install is one command of `workspace install`, run in Venv if that is set.
type Install struct {
	Pos         Pos
	Description string
	Venv        string
	Command     string
	Args        string
}

// Var is a template variable. Value is nil, bool, int64, float64, string, []any or map[string]any; of one with a type it is what Parse
// makes of Text.
type Var struct {
	Pos         Pos // of what gives the value
	Key         string
	Value       any
	Text        string // the value as it was typed; "" of lists and maps
	Type        string // one of Types; "": text where somebody types it, else as it is written
	Required    bool   // it has to have a value, from wherever
	Enum        []string
	Description string
}

// Env is an environment variable of every command. A nil Value takes the secret of the same key.
type Env struct {
	Pos         Pos
	Key         string
	Value       *string
	Description string
}

// Secret declares a secret whose value lives elsewhere.
type Secret struct {
	Pos         Pos
	Key         string
	Level       string // "task" (default) or "resource group"
	Description string
}

// Files says how files/ is treated.
type Files struct {
	Raw []string // globs, relative to files/, that are copied verbatim; ** crosses folders
}

// Task has exactly one of Pipeline, Commands and Tasks.
type Task struct {
	Pos                  Pos
	Name                 string // "task-N" (1-based among siblings) when absent
	Description          string
	Active               bool
	Pipeline             []Stage
	Commands             []Stage // only Command stages
	Tasks                []Task
	Timeout              time.Duration // 0: none
	Retries              Retries
	OnUpstreamFailure    string        // "" (not set), "kill", "terminate" or "drain"
	KillAfter            time.Duration // 0: inherit, at last 10 s
	AllowFailure         bool
	KillDownstreamOnFail *bool
	KillLoopOnFail       *bool
	StdoutToFile         bool // default true
	StderrToFile         bool // default true
	State                State
}

// State says whether a pipeline goes on from where its last successful run has ended, as Singer taps and targets do.
type State struct {
	On         bool
	Checkpoint bool   // what the target prints on its way counts too, not only what it has printed at the end of a good run
	Backfill   string // "" (skip) or "use": whether backfills go on from it, and advance it
	Commit     string // in a foreach: "" or "body" (when its body has succeeded), or "run" (with the run and its artifacts)
}

// Artifacts says what becomes of the artifacts folder between runs that get it from a bucket.
type Artifacts struct {
	Keep      int    // archives; 0: DefaultKeep
	OnFailure string // "" (keep apart), "discard" or "commit"
	Backfill  string // "" (skip) or "use": whether backfills find them, and leave theirs to the next run
}

// Keep says how long is kept what runs leave in the bucket.
type Keep struct {
	Runs int // records of so many runs; 0: DefaultKeepRuns
	Days int // nothing that is older, in days; 0: DefaultKeepDays

	Releases int // so many of those that were current last; 0: DefaultKeepReleases
}

// The limits where the project does not say.
const (
	DefaultKeepRuns = 10_000
	DefaultKeepDays = 400

	DefaultKeepReleases = 20
)

// DefaultKeep is how many archives of artifacts are kept where the project does not say.
const DefaultKeep = 30

// Retries says how often a failed task is tried again.
type Retries struct {
	Max     int           // further tries after the first
	Delay   time.Duration // before the first further try
	Backoff float64       // factor on Delay from try to try; default 1
}

// Stage is one element of a pipeline: exactly one of Command, Foreach, Fork, Null.
type Stage struct {
	Pos         Pos
	Name        string // as written; may be empty
	Active      bool
	Command     *Command
	Expect      *Expect // of what Command writes; nil: nothing
	Foreach     []Task
	Concurrency int // of Foreach; default 1
	Fork        []Task
	Null        bool // nulldev
}

// Command is a shell command. Text is command and args joined by a blank: one template.
type Command struct {
	Pos     Pos // of the `command` value: where Text begins
	Text    string
	Venv    string
	Timeout time.Duration
	Shell   string // default /bin/sh

	AllowPipe       bool // a pipe inside of Text may hide a failure
	WaitForChildren bool // what it has started belongs to it: it ends with the last of them
}

// Deploy says where the project runs when it does not run here.
type Deploy struct {
	Pos            Pos
	CloudProvider  string
	CloudPlatform  string
	PlatformConfig map[string]any
	ResourceGroup  string
	Task           string
	ContainerImage string
	ImageVersion   string
	CPU            int
	Memory         int // MiB
	Storage        int // GiB, ephemeral
	Env            map[string]string
	Overlap        string         // "" (skip), "queue", "replace" or "allow"
	PushOnFail     *bool          // push_artifacts_on_fail of 0.4.x
	Extra          map[string]any // further keys of a 0.4.x project, as Var.Value; it reads them as HO_<KEY>
}

// Container says what the image of the project is made of.
type Container struct {
	BaseImage string            // on which it is built; "": a current slim Debian with Python
	Labels    map[string]string // of the image
}

// Schedule starts the task at the times that Cron names.
type Schedule struct {
	Pos         Pos
	Name        string
	TargetID    string
	Description string
	Cron        string
	Timezone    string        // IANA name; default UTC
	Catchup     string        // "" (none), "last" or "all"
	Overlap     string        // "": that of the task; "skip", "queue", "replace" or "allow"
	From, Until string        // the first and the last day or time, in Timezone; "": any
	Jitter      time.Duration // by up to this much each fire starts later
	Freshness   time.Duration // the task is late when its last good run is longer ago; 0: never
	Envs        []Env
}
