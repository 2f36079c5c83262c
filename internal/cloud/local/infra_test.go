package local

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
)

func TestInfraTask(t *testing.T) {
	t.Parallel()
	home, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	i := home.Infra(cloud.Scope{Stage: "dev", ResourceGroup: "g", Task: "Load"})
	spec := cloud.TaskSpec{CPU: 256, Memory: 512, Env: map[string]string{"A": "1"}}
	for _, step := range []struct {
		name string
		want cloud.Want
		got  []cloud.Change
	}{
		{"delete nothing", cloud.Want{Absent: true}, nil},
		{"create", cloud.Want{Task: spec}, []cloud.Change{{Action: cloud.ActionCreate, Name: "Load", Detail: "cpu 256, memory 512, env A"}}},
		{"again", cloud.Want{Task: spec}, nil},
		{
			"update", cloud.Want{Task: cloud.TaskSpec{CPU: 512, Timeout: time.Minute, Env: map[string]string{"B": "2"}}},
			[]cloud.Change{{Action: cloud.ActionUpdate, Name: "Load", Detail: "cpu 256 -> 512, memory 512 -> default, timeout 60, env A B"}},
		},
		{"delete", cloud.Want{Absent: true}, []cloud.Change{{Action: cloud.ActionDelete, Name: "Load"}}},
		{"delete again", cloud.Want{Absent: true}, nil},
	} {
		step.want.Kind = cloud.KindTask
		got := apply(t, i, step.want)
		for n := range got {
			got[n].Kind = ""
		}
		if diff := cmp.Diff(step.got, got); diff != "" {
			t.Errorf("%s: %s", step.name, diff)
		}
		list, err := i.Status(t.Context(), cloud.KindTask)
		there := !step.want.Absent
		if err != nil || (len(list) == 1) != there {
			t.Errorf("%s: status = %+v, %v", step.name, list, err)
		}
	}
}

func TestInfraTaskWithSchedule(t *testing.T) {
	t.Parallel()
	home, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	scope := cloud.Scope{Stage: "dev", ResourceGroup: "g", Task: "t"}
	i, gone := home.Infra(scope), cloud.Want{Kind: cloud.KindTask, Absent: true}
	apply(t, i, cloud.Want{Kind: cloud.KindTask})
	if err := home.Schedules(scope).Put(t.Context(), cloud.Schedule{TargetID: "1", Cron: "0 0 * * *", Enabled: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Plan(t.Context(), gone); !errors.Is(err, cloud.ErrConflict) || !strings.Contains(cloud.Hint(err), "schedule delete") {
		t.Errorf("err = %v", err)
	}
	if err := home.Schedules(scope).Delete(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	apply(t, i, gone)
}

// A registration that cannot be read can be removed, if it is the one that the plan saw.
func TestInfraDamagedTask(t *testing.T) {
	t.Parallel()
	home, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	i := home.Infra(cloud.Scope{Stage: "dev", ResourceGroup: "g", Task: "t"})
	apply(t, i, cloud.Want{Kind: cloud.KindTask})
	if err := os.WriteFile(home.taskFile(i.scope), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Plan(t.Context(), cloud.Want{Kind: cloud.KindTask}); !errors.Is(err, cloud.ErrCorrupt) || cloud.Hint(err) == "" {
		t.Errorf("err = %v", err)
	}
	p, err := i.Plan(t.Context(), cloud.Want{Kind: cloud.KindTask, Absent: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(home.taskFile(i.scope), []byte("[}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := i.Apply(t.Context(), p, nil); !errors.Is(err, cloud.ErrConflict) {
		t.Errorf("err = %v", err)
	}
	apply(t, i, p.Want)
}

func TestInfraBucket(t *testing.T) {
	t.Parallel()
	home, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dev := cloud.Scope{Stage: "dev", ResourceGroup: "g", Task: "t"}
	prod := cloud.Scope{Stage: "prod", ResourceGroup: "g", Task: "t"}
	i := home.Infra(dev)
	make1 := cloud.Want{Kind: cloud.KindBucket}
	if got := apply(t, i, make1); len(got) != 1 || got[0].Action != cloud.ActionCreate {
		t.Errorf("changes = %+v", got)
	}
	if got := apply(t, i, make1); got != nil {
		t.Errorf("changes = %+v", got)
	}
	for _, s := range []cloud.Scope{dev, prod} {
		if _, err := home.Files(s).Put(t.Context(), "a/b", cloud.Text("x"), cloud.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	list, err := i.Status(t.Context(), cloud.KindBucket)
	if err != nil || len(list) != 1 || list[0].Detail["objects"] != "1" || list[0].Name != "dev/g" {
		t.Errorf("status = %+v, %v", list, err)
	}
	remove := cloud.Want{Kind: cloud.KindBucket, Absent: true}
	if _, err := i.Plan(t.Context(), remove); !errors.Is(err, cloud.ErrConflict) {
		t.Errorf("a bucket with objects can be deleted: %v", err)
	}
	remove.Force = true
	apply(t, i, remove)
	if list, err := i.Status(t.Context(), cloud.KindBucket); err != nil || len(list) != 0 {
		t.Errorf("status = %+v, %v", list, err)
	}
	if _, _, err := home.Files(prod).Get(t.Context(), "a/b", cloud.GetOptions{}); err != nil {
		t.Errorf("another env stage was harmed: %v", err)
	}
}

func TestInfraResources(t *testing.T) {
	t.Parallel()
	b := newBench(t, cloud.TaskSpec{})
	i := b.home.Infra(cloud.Scope{Stage: "dev", ResourceGroup: "Group"})
	remove := cloud.Want{Kind: cloud.KindResources, Absent: true}
	apply(t, i, cloud.Want{Kind: cloud.KindResources})
	if _, err := i.Plan(t.Context(), remove); !errors.Is(err, cloud.ErrConflict) {
		t.Errorf("resources with a task can be deleted: %v", err)
	}
	job := b.run(b.spec("exec sleep 60"))
	list, err := i.Status(t.Context(), cloud.KindResources)
	if err != nil || len(list) != 1 || list[0].Detail["active_jobs"] != "1" {
		t.Errorf("status = %+v, %v", list, err)
	}
	task := b.home.Infra(b.jobs.scope)
	gone := cloud.Want{Kind: cloud.KindTask, Absent: true}
	if _, err := task.Plan(t.Context(), gone); !errors.Is(err, cloud.ErrConflict) {
		t.Errorf("a task with an active job can be deleted: %v", err)
	}
	if _, err := b.jobs.Stop(t.Context(), job.ID, cloud.StopOptions{}); err != nil {
		t.Fatal(err)
	}
	b.end(job.ID)
	b.stopAll()
	apply(t, task, gone)
	if _, err := b.jobs.Run(t.Context(), b.spec("true")); !errors.Is(err, cloud.ErrNotFound) || cloud.Hint(err) == "" {
		t.Errorf("a task that is not registered runs: %v", err)
	}
	apply(t, i, remove)
	if list, err := i.Status(t.Context(), cloud.KindResources); err != nil || len(list) != 0 {
		t.Errorf("status = %+v, %v", list, err)
	}
}
