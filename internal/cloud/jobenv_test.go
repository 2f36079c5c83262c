package cloud

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestJobEnvironment(t *testing.T) {
	t.Parallel()
	full := JobSpec{
		TaskSpec: TaskSpec{Release: "abc", Overlap: OverlapQueue}, Run: "r1", Trigger: TriggerSchedule, Schedule: "7",
		ScheduledAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), PushOnFail: true,
	}
	for _, tc := range []struct {
		name       string
		spec, want JobSpec
	}{
		{"full", full, full},
		{"bare", JobSpec{Run: "r2"}, JobSpec{Run: "r2", TaskSpec: TaskSpec{Overlap: OverlapSkip}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			env := tc.spec.Environ("j1")
			id, got, ok := JobFrom(func(key string) string {
				for _, kv := range env {
					if v, found := strings.CutPrefix(kv, key+"="); found {
						return v
					}
				}
				return ""
			})
			if !ok || id != "j1" {
				t.Errorf("id = %q, %v", id, ok)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, _, ok := JobFrom(func(string) string { return "" }); ok {
		t.Error("an empty environment is that of a job")
	}
}
