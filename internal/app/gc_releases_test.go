package app

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/release"
)

// TestWhichReleasesStay: of releases that are beyond the limit those stay that a record of any client names, that a task of any client
// is tied to, and that a job runs; and what is wrong with one task harms no other.
func TestWhichReleasesStay(t *testing.T) {
	t.Parallel()
	hold := filepath.Join(t.TempDir(), "hold")
	b, w := inWorld(t, `keep: {releases: 1}
clients: [{name: acme}]
tasks: [{name: a, commands: [{command: "while test -e {{ hold }}; do sleep 0.01; done"}]}]
vars: [{key: hold, value: none}]
`)
	acme := b.target
	acme.Client = "acme"
	var ids []string
	push := func(n int) {
		t.Helper()
		write(t, b.target.ProjectDir, map[string]string{"files/n": fmt.Sprint(n)})
		res, err := b.Push(t.Context(), PushOptions{Target: b.target, Parts: release.All})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, res.Release)
	}
	task := func(at Target, id string) {
		t.Helper()
		if _, err := b.Infra(t.Context(), InfraOptions{Target: at, Kind: cloud.KindTask, Release: id}); err != nil {
			t.Fatal(err)
		}
	}
	start := func(at Target) {
		t.Helper()
		if _, err := b.CloudRun(t.Context(), CloudRunOptions{Target: at, Release: ids[0]}); err != nil {
			t.Fatal(err)
		}
	}
	push(0)
	task(acme, "")
	start(acme) // a record names the first
	w.Wait()
	push(1)
	task(acme, ids[1])
	push(2) // nothing does
	push(3)
	at := b.target
	at.Vars = append(at.Vars, project.KeyValue{Key: "hold", Value: hold})
	write(t, filepath.Dir(hold), map[string]string{"hold": ""})
	if _, err := b.CloudRun(t.Context(), CloudRunOptions{Target: at, Release: ids[3]}); err != nil {
		t.Fatal(err)
	}
	push(4)
	other := b.target.at(cloud.Scope{Stage: "prod", ResourceGroup: "g", Task: "damaged"})
	other.ProjectDir = b.target.ProjectDir
	task(other, "")
	damaged, err := w.Cloud(cloud.Scope{Stage: "prod", ResourceGroup: "g", Task: "damaged"})
	if err == nil {
		_, err = damaged.Files.Put(t.Context(), "damaged/releases/current.json", cloud.Bytes([]byte("?")), cloud.PutOptions{})
	}
	if err == nil { // what it keeps is not known: nothing of it goes
		err = b.unreadable(w, "unreadable", other)
	}
	if err != nil {
		t.Fatal(err)
	}
	sweep := func() GCAllResult {
		t.Helper()
		res, err := b.GCAll(t.Context(), GCAllOptions{Target: Target{}.at(cloud.Scope{Stage: "prod", ResourceGroup: "g"}), AllStages: true})
		if err != nil || len(res.Tasks) != 4 || res.ExitCode != ExitCloud || !strings.Contains(res.Tasks[0].Error, "damaged") {
			t.Fatalf("%+v, %v", res, err)
		}
		if bad := res.Tasks[3]; bad.Status != "failed" || !strings.HasPrefix(bad.Error, "prod/g/unreadable: project.yml:") || len(bad.Removed) > 0 {
			t.Errorf("%+v", bad)
		}
		return res
	}
	sweep()
	w.Advance(25 * time.Hour)
	sweep()
	for i, id := range ids {
		_, err := release.Open(b.cloud).Manifest(t.Context(), id)
		if (err != nil) != (i == 2) {
			t.Errorf("release %d: %v", i, err)
		}
	}
	list, err := b.ReleaseList(t.Context(), b.target)
	if err != nil || !list.Releases[2].Removed {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := b.CloudRun(t.Context(), CloudRunOptions{Target: b.target, Release: "4"}); Code(err) != ExitUsage || !strings.Contains(err.Error(), "removed on") {
		t.Errorf("a job of one that was removed: %v", err)
	}
}

// unreadable registers a task whose current release has a project.yml that no handoff can read.
func (b *bucket) unreadable(w *memory.World, task string, at Target) error {
	at = at.with("task", task)
	if _, err := b.Infra(b.t.Context(), InfraOptions{Target: at, Kind: cloud.KindTask}); err != nil {
		return err
	}
	dir := write(b.t, b.t.TempDir(), map[string]string{"project.yml": "tasks: ["})
	tree, err := release.Scan(b.t.Context(), dir, release.All)
	if err != nil {
		return err
	}
	c, err := w.Cloud(cloud.Scope{Stage: "prod", ResourceGroup: "g", Task: task})
	if err == nil {
		_, err = release.Open(c).Push(b.t.Context(), release.PushOptions{Tree: tree, Parts: release.All})
	}
	return err
}
