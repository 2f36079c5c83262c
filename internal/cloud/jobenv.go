package cloud

import "time"

// What the environment of a job says of it, at every provider: `handoff run` takes it into the run record.
const (
	EnvJob         = "HANDOFF_JOB_ID"       // the provider's id of the job; not set: this is no job
	EnvJobRun      = "HANDOFF_JOB_RUN"      // JobSpec.Run: the id that the run has to take
	EnvTrigger     = "HANDOFF_TRIGGER"      // JobSpec.Trigger
	EnvSchedule    = "HANDOFF_SCHEDULE"     // JobSpec.Schedule
	EnvScheduledAt = "HANDOFF_SCHEDULED_AT" // JobSpec.ScheduledAt, RFC 3339
	EnvRelease     = "HANDOFF_RELEASE"      // TaskSpec.Release: the release to fetch; not set: the current one
	EnvOverlap     = "HANDOFF_OVERLAP"      // TaskSpec.Overlap, never empty
	EnvPushOnFail  = "HANDOFF_PUSH_ON_FAIL" // "true" where JobSpec.PushOnFail
)

// Environ answers the variables ("K=V") that tell a job with the given id what it is. What Env has is not among them.
func (s JobSpec) Environ(id string) []string {
	env := []string{EnvJob + "=" + id, EnvJobRun + "=" + s.Run, EnvOverlap + "=" + string(s.policy())}
	add := func(key, value string) {
		if value != "" {
			env = append(env, key+"="+value)
		}
	}
	add(EnvTrigger, string(s.Trigger))
	add(EnvSchedule, s.Schedule)
	add(EnvRelease, s.Release)
	if !s.ScheduledAt.IsZero() {
		add(EnvScheduledAt, s.ScheduledAt.UTC().Format(time.RFC3339Nano))
	}
	if s.PushOnFail {
		add(EnvPushOnFail, "true")
	}
	return env
}

func (s JobSpec) policy() Overlap {
	if s.Overlap == "" {
		return OverlapSkip
	}
	return s.Overlap
}

// JobFrom is the inverse of Environ, for the program in the job. ok is false where this is no job.
func JobFrom(getenv func(string) string) (id string, s JobSpec, ok bool) {
	if id = getenv(EnvJob); id == "" {
		return "", JobSpec{}, false
	}
	s = JobSpec{Run: getenv(EnvJobRun), Trigger: Trigger(getenv(EnvTrigger)), Schedule: getenv(EnvSchedule)}
	s.Release, s.Overlap = getenv(EnvRelease), Overlap(getenv(EnvOverlap))
	s.ScheduledAt, _ = time.Parse(time.RFC3339Nano, getenv(EnvScheduledAt))
	s.PushOnFail = getenv(EnvPushOnFail) == "true"
	return id, s, true
}
