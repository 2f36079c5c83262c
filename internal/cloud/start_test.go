package cloud

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// lookup finds variables in "K=V" texts.
func lookup(env []string) func(string) string {
	return func(key string) string {
		for _, kv := range env {
			if v, found := strings.CutPrefix(kv, key+"="); found {
				return v
			}
		}
		return ""
	}
}

// What starts a job and the job itself mean the same: nothing gets lost on the way through the environment.
func TestStartTravels(t *testing.T) {
	t.Parallel()
	scope := Scope{Stage: "dev", ResourceGroup: "etl", Task: "load"}
	full := Start{
		Scope: Scope{Stage: "dev", ResourceGroup: "etl", Task: "load", Client: "acme"}, RunID: "r1", Release: "abc", Trigger: TriggerSchedule, ScheduleID: "7", Zone: "Asia/Tokyo", Overlap: OverlapQueue,
		ScheduledAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), PushOnFail: true,
		Written: map[string]string{"DAY": "$(date -I)", EnvVars: "day=$(date -I) text='a b'"},
		Asked:   []string{"A"}, Env: map[string]string{"A": "$(date)"}, Again: "r0", FailedOnly: true, Series: "s1",
	}
	for name, s := range map[string]Start{
		"full": full,
		"bare": {Scope: scope, Asked: []string{}, Env: map[string]string{}, Written: map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent := s
			sent.Token, sent.Env = "token", map[string]string{"A": "$(date)", "DAY": "other"}
			env := sent.Environ()
			got, err := StartFrom(lookup(env))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s, got); diff != "" {
				t.Error(diff)
			}
			if lookup(env)("A") != "$(date)" {
				t.Errorf("environment %q", env)
			}
		})
	}
}

// What 0.4.x sets is enough.
func TestStartOfAnOlderTask(t *testing.T) {
	t.Parallel()
	got, err := StartFrom(lookup([]string{"HO_STAGE=prod", "HO_RESOURCE_GROUP=etl", "HO_TASK=load", "__VARS=day=$(date -I)"}))
	want := Start{
		Scope: Scope{Stage: "prod", ResourceGroup: "etl", Task: "load"},
		Asked: []string{}, Env: map[string]string{}, Written: map[string]string{EnvVars: "day=$(date -I)"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	const good = "HANDOFF_STAGE=dev HANDOFF_RESOURCE_GROUP=etl HANDOFF_TASK=load"
	for name, env := range map[string]string{
		"nothing":         "",
		"no task":         "HANDOFF_STAGE=dev HANDOFF_RESOURCE_GROUP=etl",
		"a path":          "HANDOFF_STAGE=dev HANDOFF_RESOURCE_GROUP=etl HANDOFF_TASK=../load",
		"a client's path": good + " HANDOFF_CLIENT=../acme",
		"a time":          good + " HANDOFF_SCHEDULED_AT=noon",
		"a policy":        good + " HANDOFF_OVERLAP=sometimes",
		"an id of runs":   good + " HANDOFF_JOB_RUN=../../x",
	} {
		if _, err := StartFrom(lookup(strings.Fields(env))); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: err = %v", name, err)
		}
	}
	if err := (Start{Scope: Scope{Stage: "dev", ResourceGroup: "etl", Task: "load"}, Env: map[string]string{"A B": "1"}}).Check(); !errors.Is(err, ErrInvalid) {
		t.Errorf("err = %v", err)
	}
}
