package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/plan"
	"github.com/handoff-run/handoff/internal/project"
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
	for _, body := range []bool{true, false} { // a state that waits for the run, in a foreach in a branch
		load := plan.Task{Name: "load", State: &plan.State{Body: body}}
		branch := plan.Task{Name: "branch", Pipeline: []plan.Stage{{Foreach: &plan.Foreach{Tasks: []plan.Task{load}}}}}
		p := &plan.Plan{Tasks: []plan.Task{{Name: "all", Pipeline: []plan.Stage{{Fork: []plan.Task{branch}}}}, {Name: "b"}}}
		run := ledger.Run{Tasks: []*ledger.Task{leaf("all", "success", leaf("branch", "success")), leaf("b", "failed")}}
		if left, err := (&Again{Run: run, FailedOnly: true}).leaveOut(p); err != nil || (len(left) == 1) != body {
			t.Errorf("committed with the body: %v: left out %q, %v", body, left, err)
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

// TestWhatIsHiddenIsAskedFor: a masked value is never taken for the value, and all that is missing is said at once.
func TestWhatIsHiddenIsAskedFor(t *testing.T) {
	t.Parallel()
	again := &Again{Run: ledger.Run{ID: "r", Asked: ledger.Asked{
		At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Env: map[string]string{"X": "[redacted]"},
		Written: map[string]string{cloud.EnvVars: "'pw=a [redacted]' day=$(date -I) 'n=1'"}, Hidden: []string{"X", cloud.EnvVars},
	}}}
	broken := &Again{Run: again.Run}
	broken.Run.Asked.Written = map[string]string{cloud.EnvVars: "'pw=[redacted] n=1"}
	give := func(list ...string) (kvs []project.KeyValue) {
		for _, text := range list {
			key, value, _ := strings.Cut(text, "=")
			kvs = append(kvs, project.KeyValue{Key: key, Value: value})
		}
		return kvs
	}
	for _, tc := range []struct {
		name       string
		again      *Again
		envs, vars []project.KeyValue
		want       string // of the hint; or the variables of the start
	}{
		{"nothing is given", again, nil, nil, "-e X=... -v pw=... ("},
		{"one of two", again, give("X=1"), nil, "again: -v pw=... ("},
		{"all", again, give("X=1"), give("pw=new"), "day=2026-01-02 n=1 pw=new"},
		{"all variables anew", again, give("X=1", "__VARS=pw=b"), nil, "pw=b"},
		{"by the name that 0.4.x takes, too", again, give("X=1", "vars=pw=b"), nil, "pw=b"},
		{"it cannot be told which", broken, give("X=1"), give("pw=new"), "again: -e __VARS=... ("},
		{"it is given as a whole", broken, give("X=1", "__VARS=pw=b"), give("n=2"), "pw=b n=2"},
	} {
		a := &App{Now: time.Now}
		s, err := a.start(CloudRunOptions{Target: Target{Envs: tc.envs, Vars: tc.vars}, Again: tc.again}, nil)
		got := HintOf(err)
		if err == nil {
			got = strings.ReplaceAll(s.Written[cloud.EnvVars], "'", "")
		}
		if !strings.Contains(got, tc.want) || strings.Contains(fmt.Sprint(s.Env, s.Written), "redacted") && err == nil {
			t.Errorf("%s: %q, env %v; want %q", tc.name, got, s.Env, tc.want)
		}
	}
}
