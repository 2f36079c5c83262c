package cloud

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Start is one start of a task: what its job is to do. It travels by environment only, to the constant command
// `handoff run --job`, whoever starts it: a person, `handoff server`, the scheduler of a vendor. What is written in
// Written is evaluated in the job, and nowhere else. The id of the job is no part of it: a job learns that inside.
type Start struct {
	Scope       Scope             `json:"scope"`                  // that of the Jobs
	RunID       string            `json:"run,omitempty"`          // id of the run: its name in ledger and logs; "": the job makes one
	Token       string            `json:"token,omitempty"`        // of this request, does not travel; "" takes RunID
	Release     string            `json:"release,omitempty"`      // "": that of the task, else the one that is current when the job begins
	Trigger     Trigger           `json:"trigger"`                // who asked for it
	ScheduleID  string            `json:"schedule,omitempty"`     // target id, where it is a fire of a schedule, or in the place of one
	ScheduledAt time.Time         `json:"scheduled_at,omitzero"`  // the time for which it was due, at which Written is evaluated; zero: now
	Zone        string            `json:"timezone,omitempty"`     // IANA name of the zone of Written and of _today; "": that of the machine
	Overlap     Overlap           `json:"overlap,omitempty"`      // "": that of the task
	PushOnFail  bool              `json:"push_on_fail,omitempty"` // keep the artifacts of a failed run, apart from the state
	Env         map[string]string `json:"env,omitempty"`          // of the job, as it is; no secrets: those come from Secrets
	Written     map[string]string `json:"written,omitempty"`      // as Env, with $(date ...) in it to be evaluated; and EnvVars
	Asked       []string          `json:"asked,omitempty"`        // keys of Env that the start itself has asked for, not its task; Of sets it
	Again       string            `json:"again,omitempty"`        // id of the run that it starts again; "": none
	FailedOnly  bool              `json:"failed_only,omitempty"`  // of that run only the tasks that have not succeeded
	Series      string            `json:"series,omitempty"`       // tells backfills with other variables apart; "": those of the schedule
}

// What the environment of a job says of it, at every provider.
const (
	EnvJob           = "HANDOFF_JOB_ID"         // the provider's id of the job
	EnvProvider      = "HANDOFF_CLOUD_PROVIDER" // Cloud.Provider
	EnvPlatform      = "HANDOFF_CLOUD_PLATFORM" // Cloud.Platform
	EnvWorkspace     = "HANDOFF_WORKSPACE"      // folder of the workspace; not set: "workspace", in the working directory
	EnvVenvs         = "HANDOFF_VENVS"          // folder of the virtual environments of the image of the job; not set: it has none
	EnvStage         = "HANDOFF_STAGE"          // Start.Scope, this one and the next three
	EnvResourceGroup = "HANDOFF_RESOURCE_GROUP"
	EnvTask          = "HANDOFF_TASK"
	EnvClient        = "HANDOFF_CLIENT"
	EnvRun           = "HANDOFF_JOB_RUN"      // Start.RunID
	EnvRelease       = "HANDOFF_RELEASE"      // Start.Release
	EnvTrigger       = "HANDOFF_TRIGGER"      // Start.Trigger
	EnvSchedule      = "HANDOFF_SCHEDULE"     // Start.ScheduleID
	EnvScheduledAt   = "HANDOFF_SCHEDULED_AT" // Start.ScheduledAt, RFC 3339
	EnvZone          = "HANDOFF_TIMEZONE"     // Start.Zone
	EnvOverlap       = "HANDOFF_OVERLAP"      // Start.Overlap
	EnvPushOnFail    = "HANDOFF_PUSH_ON_FAIL" // "true" where Start.PushOnFail
	EnvAsked         = "HANDOFF_ASKED"        // Start.Asked, with blanks in between
	EnvAgain         = "HANDOFF_AGAIN"        // Start.Again
	EnvFailedOnly    = "HANDOFF_FAILED_ONLY"  // "true" where Start.FailedOnly
	EnvSeries        = "HANDOFF_SERIES"       // Start.Series
	EnvEvaluate      = "HANDOFF_EVALUATE"     // the keys of Start.Written, with blanks in between; EnvVars need not be among them
	EnvVars          = "__VARS"               // its words become template variables, as in 0.4.x
)

// older are the names that 0.4.x has given to some of these.
func older() map[string]string {
	return map[string]string{EnvStage: "HO_STAGE", EnvResourceGroup: "HO_RESOURCE_GROUP", EnvTask: "HO_TASK"}
}

// Environ returns the variables ("K=V") that tell a job what it is to do, sorted. What the start itself says is in no
// other: not in Env, nor in Written, whose variables win over those of Env.
func (s Start) Environ() []string {
	env := maps.Clone(s.Env)
	if env == nil {
		env = map[string]string{}
	}
	maps.Copy(env, s.Written)
	at := ""
	if !s.ScheduledAt.IsZero() {
		at = s.ScheduledAt.UTC().Format(time.RFC3339Nano)
	}
	for key, value := range map[string]string{
		EnvStage: s.Scope.Stage, EnvResourceGroup: s.Scope.ResourceGroup, EnvTask: s.Scope.Task,
		EnvClient: s.Scope.Client, EnvRun: s.RunID,
		EnvRelease: s.Release, EnvTrigger: string(s.Trigger), EnvSchedule: s.ScheduleID, EnvZone: s.Zone,
		EnvOverlap: string(s.Overlap), EnvScheduledAt: at, EnvPushOnFail: yes(s.PushOnFail), EnvEvaluate: strings.Join(slices.Sorted(maps.Keys(s.Written)), " "),
		EnvAsked: strings.Join(s.Asked, " "), EnvAgain: s.Again, EnvFailedOnly: yes(s.FailedOnly), EnvSeries: s.Series,
	} {
		if env[key] = value; value == "" { // one of Env would give it another client, say
			delete(env, key)
		}
	}
	list := make([]string, 0, len(env))
	for key, value := range env {
		list = append(list, key+"="+value)
	}
	slices.Sort(list)
	return list
}

func yes(is bool) string {
	if is {
		return "true"
	}
	return ""
}

// StartFrom is the inverse of Environ, for the program in the job; of Env it has what was asked for. getenv returns "" for what is not
// set. ErrInvalid: this is not the environment of a job. The Start is as good as can be even then.
func StartFrom(getenv func(string) string) (Start, error) {
	get := func(key string) string {
		if v := getenv(key); v != "" {
			return v
		}
		return getenv(older()[key])
	}
	s := Start{
		Scope: Scope{Stage: get(EnvStage), ResourceGroup: get(EnvResourceGroup), Task: get(EnvTask), Client: get(EnvClient)},
		RunID: get(EnvRun), Release: get(EnvRelease), Trigger: Trigger(get(EnvTrigger)), ScheduleID: get(EnvSchedule),
		Zone: get(EnvZone), Overlap: Overlap(get(EnvOverlap)), PushOnFail: get(EnvPushOnFail) == "true",
		Asked: strings.Fields(get(EnvAsked)), Again: get(EnvAgain), FailedOnly: get(EnvFailedOnly) == "true", Series: get(EnvSeries),
		Env: map[string]string{}, Written: map[string]string{},
	}
	for _, key := range s.Asked {
		s.Env[key] = getenv(key)
	}
	for _, key := range append(strings.Fields(get(EnvEvaluate)), EnvVars) {
		if text := getenv(key); text != "" {
			s.Written[key] = text
		}
	}
	var err error
	if at := get(EnvScheduledAt); at != "" {
		if s.ScheduledAt, err = time.Parse(time.RFC3339Nano, at); err != nil {
			err = fmt.Errorf("%s: %w time %q", EnvScheduledAt, ErrInvalid, at)
		}
	}
	if err == nil {
		err = s.Check()
	}
	return s, err
}

// Of returns the start as Jobs of a scope take it: with what is registered for the task in the place of what s does not say.
// ErrInvalid: it cannot be right, or has no id of a run. Every provider calls it first.
func (s Start) Of(scope Scope, task TaskSpec) (Start, error) {
	s.Scope = scope
	if err := s.Check(); err != nil {
		return Start{}, err
	}
	s.Token = cmp.Or(s.Token, s.RunID)
	if s.RunID == "" || s.Token == "" {
		return Start{}, fmt.Errorf("start: %w: no id of a run", ErrInvalid)
	}
	s.Trigger = cmp.Or(s.Trigger, TriggerManual)
	s.Release = cmp.Or(s.Release, task.Release)
	s.Overlap = cmp.Or(s.Overlap, task.Overlap, OverlapSkip)
	s.Asked = slices.Sorted(maps.Keys(s.Env))
	env := maps.Clone(task.Env)
	if env == nil {
		env = map[string]string{}
	}
	maps.Copy(env, s.Env)
	s.Env = env
	return s, nil
}

// Check returns an ErrInvalid unless the start can be right.
func (s Start) Check() error {
	for _, name := range []struct{ key, value string }{
		{EnvStage, s.Scope.Stage}, {EnvResourceGroup, s.Scope.ResourceGroup}, {EnvTask, s.Scope.Task},
	} {
		if name.value == "" {
			return WithHint(fmt.Errorf("start: %w: %s is not set", ErrInvalid, name.key), "what starts a job sets it: see docs/jobs.md")
		}
	}
	if err := s.Scope.Check(); err != nil {
		return err
	}
	for _, id := range []string{s.RunID, s.Again} {
		if id == "" {
			continue
		}
		if err := checkName("run", id); err != nil {
			return err
		}
	}
	for _, env := range []map[string]string{s.Env, s.Written} {
		for key := range env {
			if key == "" || strings.ContainsAny(key, "= \t\n\x00") {
				return fmt.Errorf("start: %w name of a variable: %q", ErrInvalid, key)
			}
		}
	}
	return s.Overlap.Check()
}
