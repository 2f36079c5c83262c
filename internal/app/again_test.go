package app

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/plan"
)

func TestLeaveOut(t *testing.T) {
	t.Parallel()
	leaf := func(name, outcome string, below ...*ledger.Task) *ledger.Task {
		return &ledger.Task{Name: name, Outcome: outcome, Tasks: below}
	}
	tree := func() *plan.Plan {
		return &plan.Plan{Tasks: []plan.Task{
			{Name: "a"}, {Name: "b", Tasks: []plan.Task{{Name: "a"}, {Name: "c"}}}, {Name: "s", State: &plan.State{}}, {Name: "off", Skip: true},
		}}
	}
	for _, tc := range []struct {
		name string
		run  ledger.Run
		want []string // nil: an error
	}{
		{"one has failed", ledger.Run{Tasks: []*ledger.Task{leaf("a", "success"), leaf("b", "failed", leaf("a", "success"), leaf("c", "failed"))}}, []string{"a", "b/a"}},
		{"one of two of the same name", ledger.Run{Tasks: []*ledger.Task{leaf("a", "failed"), leaf("b", "success", leaf("a", "success"), leaf("c", "success"))}}, []string{"b/a", "b/c"}},
		{"a state counts only with the run", ledger.Run{Tasks: []*ledger.Task{leaf("a", "failed"), leaf("s", "success")}}, []string{}},
		{"what was left out before", ledger.Run{LeftOut: []string{"a"}, Tasks: []*ledger.Task{leaf("a", "skipped"), leaf("b", "failed", leaf("a", "success"))}}, []string{"a", "b/a"}},
		{"what was skipped otherwise", ledger.Run{Tasks: []*ledger.Task{leaf("a", "skipped"), leaf("b", "terminated")}}, []string{}},
	} {
		p := tree()
		left, err := (&Again{Run: tc.run, FailedOnly: true}).leaveOut(p)
		if err != nil || strings.Join(left, " ") != strings.Join(tc.want, " ") {
			t.Errorf("%s: left out %q, %v; want %q", tc.name, left, err, tc.want)
		}
	}
	p := &plan.Plan{Tasks: []plan.Task{{Name: "a"}}}
	if _, err := (&Again{Run: ledger.Run{Tasks: []*ledger.Task{leaf("a", "success")}}, FailedOnly: true}).leaveOut(p); Code(err) != ExitUsage {
		t.Errorf("nothing has failed: err = %v", err)
	}
	p = tree()
	if left, err := (*Again)(nil).leaveOut(p); left != nil || err != nil || p.Tasks[0].Skip {
		t.Error("a new run leaves nothing out")
	}
}

func TestAskedKeepsNoSecret(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	mask := func(text string) string { return strings.ReplaceAll(text, "hunter2", "***") }
	start := cloud.Start{
		Zone: "Asia/Tokyo", Env: map[string]string{"A": "1", "B": "x hunter2"}, Written: map[string]string{cloud.EnvVars: "p=hunter2", "D": "$(date)"},
	}
	want := ledger.Asked{
		At: at, Zone: "Asia/Tokyo", Env: map[string]string{"A": "1", "B": "x ***"},
		Written: map[string]string{cloud.EnvVars: "p=***", "D": "$(date)"}, Hidden: []string{"B", cloud.EnvVars},
	}
	got := asked(start, at, mask)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	again := &Again{Run: ledger.Run{Asked: got}}
	for envs, refused := range map[string]bool{"": true, "B=1": true, "B=1 __VARS=p=2": false} {
		if err := again.check(target(t, envs, "")); (err != nil) != refused {
			t.Errorf("with %q: err = %v", envs, err)
		}
	}
}
