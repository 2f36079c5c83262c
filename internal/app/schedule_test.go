package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/handoff-run/handoff/internal/cloud"
)

func TestManyLeftSchedulesAreOneWarning(t *testing.T) {
	var left []cloud.Schedule
	for i := range 100 {
		left = append(left, cloud.Schedule{TargetID: fmt.Sprint("s", i)})
	}
	got := leftWarning(left)
	if !strings.HasPrefix(got, `100 schedules are not in project.yml, and go on firing: "s0", "s1", "s2", "s3", "s4" and 95 more: `) {
		t.Error(got)
	}
	if got := leftWarning(left[:2]); !strings.Contains(got, `: "s0", "s1": `) {
		t.Error(got)
	}
	if got := leftWarning(left[:1]); !strings.Contains(got, "schedule delete --target-id s0`") {
		t.Error(got)
	}
}
