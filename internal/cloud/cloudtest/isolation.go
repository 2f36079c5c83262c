package cloudtest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
)

// neighbours are scopes that a careless name would take for each other.
func neighbours() []cloud.Scope {
	return []cloud.Scope{
		{Stage: "prod", ResourceGroup: "a", Task: "c"},
		{Stage: "prod", ResourceGroup: "a-b", Task: "c"},
		{Stage: "prod", ResourceGroup: "a", Task: "b-c"},
		{Stage: "prod", ResourceGroup: "a", Task: "C"},
		{Stage: "prod", ResourceGroup: "A", Task: "c"},
		{Stage: "prod", ResourceGroup: "dev-a", Task: "c"},
		{Stage: "dev", ResourceGroup: "a", Task: "c"},
		{Stage: "prod", ResourceGroup: "a", Task: "c", Client: "x"},
		{Stage: "prod", ResourceGroup: "a", Task: "c", Client: "X"},
		{Stage: "prod", ResourceGroup: "a", Task: "c", Client: "c"},
		{Stage: "prod", ResourceGroup: "a", Task: "c", Client: "x-c"},
		{Stage: "prod", ResourceGroup: "a", Task: "c-c", Client: "x"},
		{Stage: "prod", ResourceGroup: "a", Task: "x", Client: "c"},
		{Stage: "prod", ResourceGroup: "a", Task: "x"},
		{Stage: "prod", ResourceGroup: "a", Task: "x-c"},
		{Stage: "prod", ResourceGroup: "a", Task: "clients"},
		{Stage: "prod", ResourceGroup: "a", Task: "c.x"},
		{Stage: "dev", ResourceGroup: "a", Task: "c", Client: "x"},
		{Stage: "prod", ResourceGroup: "x", Task: "c", Client: "a"},
	}
}

// Isolation runs the tests of what a scope sees of another: nothing of its task or client. The Clouds of open have every
// ability; their jobs are as those of JobsBench.
func Isolation(t *testing.T, open func(t *testing.T) LogsBench) {
	t.Parallel()
	bench := open(t)
	world := bench.World
	for _, s := range neighbours() {
		bench.leave(t, s)
	}
	jobs := map[string]cloud.Scope{}
	for _, s := range neighbours() {
		id := onlyOwn(t, world(s))
		if id != "" {
			jobs[s.String()+" "+id] = s
		}
	}
	for _, s := range neighbours() {
		for job, owner := range jobs {
			if owner != s {
				foreignJob(t, world(s), job[len(owner.String())+1:])
			}
		}
	}
	for i, s := range neighbours() {
		if i%2 == 0 {
			remove(t, world(s))
		}
	}
	for i, s := range neighbours() {
		if i%2 == 1 {
			onlyOwn(t, world(s))
		}
	}
}

// leave leaves something of the scope in each ability, under names that the others use, too.
func (b LogsBench) leave(t *testing.T, s cloud.Scope) {
	t.Helper()
	register(t, b.World, s)
	c := b.World(s)
	put(t, c.Files, s.Prefix()+"/key", s.String())
	mustSecret(t, c.Secrets, cloud.LevelTask, "key", s.String())
	schedule := daily("1")
	schedule.Description = s.String()
	mustPut(t, c.Schedules, schedule)
	if err := b.Writer(s)(t.Context(), cloud.Line{Time: noon(0), JobID: "job", RunID: "run-1", Text: s.String()}); err != nil {
		t.Fatal(err)
	}
	start := cloud.Start{RunID: "run-1", Trigger: cloud.TriggerManual, Env: map[string]string{"SCRIPT": ":"}}
	if _, err := c.Jobs.Run(t.Context(), start); err != nil {
		t.Fatalf("%s: %v", s, err)
	}
}

// onlyOwn checks that the scope sees what leave has left for it and nothing else, and returns the id of its job.
func onlyOwn(t *testing.T, c *cloud.Cloud) string {
	t.Helper()
	s := c.Scope
	got := map[string]string{}
	for _, key := range keys(t, c.Files.List(t.Context(), s.Prefix())) {
		got["file "+key] = get(t, c.Files, key)
	}
	for key, value := range revealed(t, c.Secrets) {
		got["secret "+key] = value
	}
	for _, sch := range schedules(t, c.Schedules) {
		got["schedule "+sch.TargetID] = sch.Description
	}
	for n, line := range readLines(t, c.Logs, cloud.Query{JobID: "job"}) {
		got[fmt.Sprintf("line %d", n)] = line.Text
	}
	tasks, err := c.Infra.Status(t.Context(), cloud.KindTask)
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		got["task"] += s.Stage + "/" + s.ResourceGroup + "/" + cloud.Scope{Task: task.Name, Client: task.Client}.Prefix()
	}
	id := ""
	for job, err := range c.Jobs.List(t.Context(), cloud.JobQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		id = job.ID
		got["job "+job.RunID] += cloud.Scope{Stage: job.Stage, ResourceGroup: s.ResourceGroup, Task: job.Task, Client: job.Client}.String()
	}
	own := s.String()
	want := map[string]string{
		"file " + s.Prefix() + "/key": own, "secret key": "task:" + own, "schedule 1": own, "line 0": own, "task": own, "job run-1": own,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s sees (-want +got):\n%s", s, diff)
	}
	return id
}

func foreignJob(t *testing.T, c *cloud.Cloud, id string) {
	t.Helper()
	own, err := c.Jobs.Status(t.Context(), id)
	if err == nil && own.Task == c.Scope.Task && own.Client == c.Scope.Client && own.Stage == c.Scope.Stage {
		return // ids are unique in a scope
	}
	if !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("%s sees job %s: %+v, %v", c.Scope, id, own, err)
	}
	if _, err := c.Jobs.Stop(t.Context(), id, cloud.StopOptions{}); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("%s stops job %s: %v", c.Scope, id, err)
	}
}

// remove removes what leave has left, but for what nobody can remove.
func remove(t *testing.T, c *cloud.Cloud) {
	t.Helper()
	ctx := t.Context()
	err := errors.Join(
		c.Files.Delete(ctx, c.Scope.Prefix()+"/key"),
		c.Secrets.Delete(ctx, cloud.LevelTask, "key"),
		c.Schedules.Delete(ctx, "1"),
	)
	if err != nil {
		t.Errorf("%s: %v", c.Scope, err)
	}
}
