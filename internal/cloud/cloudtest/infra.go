package cloudtest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
)

// kinds are all of them, in the order in which they need each other.
var kinds = []cloud.Kind{cloud.KindRole, cloud.KindBucket, cloud.KindResources, cloud.KindTask}

// Infra runs the tests of cloud.Infra. The Clouds of open also have Files, Jobs and Schedules; their jobs need not do anything.
func Infra(t *testing.T, open func(t *testing.T) World) {
	for name, test := range map[string]func(*testing.T, World){
		"made, changed and removed":   testInfraLife,
		"a plan that was stored":      testStoredPlan,
		"a plan that is stale":        testStalePlan,
		"a plan of another scope":     testForeignPlan,
		"cancelled and repeated":      testCancelledApply,
		"what others need":            testNeededInfra,
		"steps":                       testInfraSteps,
		"what nobody can want":        testBadWant,
		"a cancelled call":            testCancelInfra,
		"what is there in two scopes": testInfraScopes,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func mustPlan(t *testing.T, i cloud.Infra, want cloud.Want) cloud.Plan {
	t.Helper()
	p, err := i.Plan(t.Context(), want)
	if err != nil {
		t.Fatalf("plan %+v: %v", want, err)
	}
	if p.Scope.Stage == "" {
		t.Errorf("a plan of no scope: %+v", p)
	}
	if diff := cmp.Diff(want, p.Want); diff != "" {
		t.Errorf("the plan is for another want (-want +got):\n%s", diff)
	}
	return p
}

// mustApply makes the world so, looks whether it is, and returns the plan that it carried out.
func mustApply(t *testing.T, i cloud.Infra, want cloud.Want) cloud.Plan {
	t.Helper()
	p := mustPlan(t, i, want)
	if err := i.Apply(t.Context(), p, nil); err != nil {
		t.Fatalf("apply %+v: %v", p, err)
	}
	again := mustPlan(t, i, want)
	if len(again.Changes) > 0 || again.Exists == want.Absent && want.Kind != cloud.KindRole {
		t.Errorf("after it was applied the plan is %+v", again)
	}
	if err := i.Apply(t.Context(), again, nil); err != nil {
		t.Errorf("apply a plan without changes: %v", err)
	}
	return p
}

// there returns whether Status has something of the kind.
func there(t *testing.T, i cloud.Infra, k cloud.Kind) bool {
	t.Helper()
	list, err := i.Status(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if r.Kind != k || r.Name == "" {
			t.Errorf("status of %s: %+v", k, r)
		}
	}
	return len(list) > 0
}

// spec is a task of which each provider knows all.
func spec(cpu int) cloud.TaskSpec {
	return cloud.TaskSpec{CPU: cpu, Memory: 2 * cpu, Env: map[string]string{"A": "1"}, Timeout: time.Hour, Overlap: cloud.OverlapQueue}
}

func task(cpu int) cloud.Want { return cloud.Want{Kind: cloud.KindTask, Task: spec(cpu)} }

// checkTied ties the task to a release, which its status has to name, and unties it.
func checkTied(t *testing.T, i cloud.Infra) {
	t.Helper()
	tied := cloud.Want{Kind: cloud.KindTask, Task: cloud.TaskSpec{Release: "sha256:" + strings.Repeat("12345678", 8)}}
	mustApply(t, i, tied)
	if list, err := i.Status(t.Context(), cloud.KindTask); err != nil || len(list) != 1 || list[0].Detail["release"] != tied.Task.Release {
		t.Errorf("a task that is tied to a release: %+v, %v", list, err)
	}
	mustApply(t, i, cloud.Want{Kind: cloud.KindTask})
}

func testInfraLife(t *testing.T, w World) {
	i := w(scope).Infra
	for _, k := range kinds {
		if k != cloud.KindRole && there(t, i, k) {
			t.Errorf("there is a %s from the start", k)
		}
		mustApply(t, i, cloud.Want{Kind: k, Absent: true})
	}
	for _, k := range kinds {
		p := mustApply(t, i, cloud.Want{Kind: k})
		if k == cloud.KindRole {
			continue
		}
		if len(p.Changes) == 0 || p.Changes[0].Action != cloud.ActionCreate || p.Changes[0].Kind != k || p.Exists {
			t.Errorf("the plan to make a %s: %+v", k, p)
		}
		if !there(t, w(scope).Infra, k) {
			t.Errorf("there is no %s", k)
		}
	}
	checkTied(t, i)
	p := mustApply(t, i, task(512))
	if len(p.Changes) == 0 || p.Changes[0].Action == cloud.ActionCreate || !p.Exists || p.Changes[0].Detail == "" {
		t.Errorf("the plan to change a task: %+v", p)
	}
	for n := range kinds {
		k := kinds[len(kinds)-1-n]
		for range 2 {
			mustApply(t, i, cloud.Want{Kind: k, Absent: true})
		}
		if there(t, i, k) && k != cloud.KindRole {
			t.Errorf("the %s is still there", k)
		}
	}
}

// stored is what another process reads that a plan was stored for.
func stored(t *testing.T, p cloud.Plan) cloud.Plan {
	t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back cloud.Plan
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p, back); diff != "" {
		t.Errorf("a plan that was stored (-before +after):\n%s", diff)
	}
	return back
}

func testStoredPlan(t *testing.T, w World) {
	for _, want := range []cloud.Want{
		{Kind: cloud.KindRole}, {Kind: cloud.KindBucket}, {Kind: cloud.KindResources}, task(256), task(512), {Kind: cloud.KindTask, Absent: true},
	} {
		p := stored(t, mustPlan(t, w(scope).Infra, want))
		if err := w(scope).Infra.Apply(t.Context(), p, nil); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
		if now := mustPlan(t, w(scope).Infra, want); len(now.Changes) > 0 {
			t.Errorf("afterwards the plan is %+v", now)
		}
	}
}

func testStalePlan(t *testing.T, w World) {
	i := w(scope).Infra
	stale := func(what string, p cloud.Plan) {
		t.Helper()
		if err := w(scope).Infra.Apply(t.Context(), stored(t, p), nil); !errors.Is(err, cloud.ErrConflict) {
			t.Errorf("%s: %v, want ErrConflict", what, err)
		}
	}
	for _, k := range []cloud.Kind{cloud.KindBucket, cloud.KindResources} {
		p := mustPlan(t, i, cloud.Want{Kind: k})
		mustApply(t, i, p.Want)
		stale("made meanwhile: "+string(k), p)
	}
	create := mustPlan(t, i, task(256))
	mustApply(t, i, task(512))
	stale("made otherwise meanwhile", create)
	update, remove := mustPlan(t, i, task(256)), mustPlan(t, i, cloud.Want{Kind: cloud.KindTask, Absent: true})
	mustApply(t, i, task(1024))
	stale("changed meanwhile", update)
	stale("changed before it was deleted", remove)
	if p := mustPlan(t, i, task(1024)); len(p.Changes) > 0 {
		t.Errorf("a stale plan has changed something: %+v", p)
	}
	mustApply(t, i, cloud.Want{Kind: cloud.KindTask, Absent: true})
	stale("deleted meanwhile", remove)
	for _, k := range []cloud.Kind{cloud.KindResources, cloud.KindBucket} {
		p := mustApply(t, i, cloud.Want{Kind: k, Absent: true, Force: true})
		mustApply(t, i, cloud.Want{Kind: k})
		stale("deleted and made again: "+string(k), p)
	}
}

func testForeignPlan(t *testing.T, w World) {
	mustApply(t, w(scope).Infra, cloud.Want{Kind: cloud.KindResources})
	p := mustPlan(t, w(scope).Infra, task(256))
	other := scope
	other.Stage = "dev"
	if err := w(other).Infra.Apply(t.Context(), p, nil); !errors.Is(err, cloud.ErrInvalid) {
		t.Errorf("applied in %+v: %v, want ErrInvalid", other, err)
	}
	if there(t, w(other).Infra, cloud.KindTask) || there(t, w(scope).Infra, cloud.KindTask) {
		t.Error("it was applied")
	}
}

// Whenever a call is cut, the next one brings the world to what is wanted.
func testCancelledApply(t *testing.T, w World) {
	i := w(scope).Infra
	for _, want := range []cloud.Want{
		{Kind: cloud.KindRole}, {Kind: cloud.KindBucket}, {Kind: cloud.KindResources}, task(256), task(512), {Kind: cloud.KindTask, Absent: true},
		{Kind: cloud.KindResources, Absent: true}, {Kind: cloud.KindBucket, Absent: true},
	} {
		for _, done := range []bool{false, true} { // as a change begins, as one has ended
			p := mustPlan(t, i, want)
			ctx, stop := context.WithCancel(t.Context())
			err := i.Apply(ctx, p, func(s cloud.Step) {
				if s.Done == done {
					stop()
				}
			})
			stop()
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("%+v, cancelled: %v", want, err)
			}
		}
		mustApply(t, i, want)
	}
}

func testNeededInfra(t *testing.T, w World) {
	c := w(scope)
	refused := func(what string, want cloud.Want) {
		t.Helper()
		p, err := c.Infra.Plan(t.Context(), want)
		if err == nil {
			err = c.Infra.Apply(t.Context(), p, nil)
		}
		if !errors.Is(err, cloud.ErrConflict) || cloud.Hint(err) == "" {
			t.Errorf("%s: %v, hint %q; want ErrConflict with a way out", what, err, cloud.Hint(err))
		}
		if !there(t, c.Infra, want.Kind) {
			t.Errorf("%s: it is gone", what)
		}
	}
	for _, k := range kinds {
		mustApply(t, c.Infra, cloud.Want{Kind: k})
	}
	put(t, c.Files, "a", "text")
	noBucket, noTask := cloud.Want{Kind: cloud.KindBucket, Absent: true}, cloud.Want{Kind: cloud.KindTask, Absent: true}
	noResources := cloud.Want{Kind: cloud.KindResources, Absent: true}
	refused("a bucket with objects", noBucket)
	refused("resources with a task", noResources)
	mustPut(t, c.Schedules, daily("1"))
	refused("a task with a schedule", noTask)
	if err := c.Schedules.Delete(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	mustApply(t, c.Infra, noTask)
	mustApply(t, c.Infra, noResources)
	noBucket.Force = true
	mustApply(t, c.Infra, noBucket)
	mustApply(t, c.Infra, cloud.Want{Kind: cloud.KindBucket})
	if got := keys(t, c.Files.List(t.Context(), "")); len(got) > 0 {
		t.Errorf("a new bucket has %q", got)
	}
}

// Steps come in order, from the begin of a change to its end.
func testInfraSteps(t *testing.T, w World) {
	i := w(scope).Infra
	for _, k := range kinds {
		p := mustPlan(t, i, cloud.Want{Kind: k})
		var got, want []cloud.Step
		for _, c := range p.Changes {
			want = append(want, cloud.Step{Change: c}, cloud.Step{Change: c, Done: true})
		}
		if err := i.Apply(t.Context(), p, func(s cloud.Step) { got = append(got, s) }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", k, diff)
		}
	}
}

func testBadWant(t *testing.T, w World) {
	group := scope
	group.Task = ""
	bad := task(256)
	bad.Task.CPU = -1
	for _, test := range []struct {
		name  string
		scope cloud.Scope
		want  cloud.Want
	}{
		{"no kind", scope, cloud.Want{}},
		{"another kind", scope, cloud.Want{Kind: "moon"}},
		{"a task of no name", group, task(256)},
		{"a task that cannot be", scope, bad},
	} {
		i := w(test.scope).Infra
		if p, err := i.Plan(t.Context(), test.want); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("%s: %+v, %v; want ErrInvalid", test.name, p, err)
		}
	}
	if _, err := w(scope).Infra.Status(t.Context(), "moon"); !errors.Is(err, cloud.ErrInvalid) {
		t.Errorf("status: %v, want ErrInvalid", err)
	}
}

func testCancelInfra(t *testing.T, w World) {
	i := w(scope).Infra
	p := mustPlan(t, i, cloud.Want{Kind: cloud.KindBucket})
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err := i.Plan(ctx, p.Want)
	wantStopped(t, "plan", err, context.Canceled)
	wantStopped(t, "apply", i.Apply(ctx, p, nil), context.Canceled)
	_, err = i.Status(ctx, cloud.KindBucket)
	wantStopped(t, "status", err, context.Canceled)
	if there(t, i, cloud.KindBucket) {
		t.Error("a cancelled call has made it")
	}
}

func testInfraScopes(t *testing.T, w World) {
	other := scope
	other.Stage = "dev"
	for _, k := range kinds {
		mustApply(t, w(scope).Infra, cloud.Want{Kind: k})
	}
	for _, k := range kinds {
		if k != cloud.KindRole && there(t, w(other).Infra, k) {
			t.Errorf("another env stage sees the %s", k)
		}
		mustApply(t, w(other).Infra, cloud.Want{Kind: k})
	}
	for n := range kinds {
		mustApply(t, w(other).Infra, cloud.Want{Kind: kinds[len(kinds)-1-n], Absent: true})
	}
	for _, k := range kinds {
		if k != cloud.KindRole && !there(t, w(scope).Infra, k) {
			t.Errorf("the %s went with that of another env stage", k)
		}
	}
}
