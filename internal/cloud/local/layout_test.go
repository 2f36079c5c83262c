package local

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/secret"
	"github.com/handoff-run/handoff/internal/server"
)

// TestLayout: homes are there for years. What has no client stays where it has always been, and clients are beside it.
func TestLayout(t *testing.T) {
	t.Parallel()
	h, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := cloud.Scope{Stage: "prod", ResourceGroup: "Etl", Task: "load-1"}
	group := cloud.Secret{Key: "k", Level: cloud.LevelGroup, Value: secret.NewValue("v")}
	if err := h.Secrets(s).Put(t.Context(), group); err != nil {
		t.Fatal(err)
	}
	one := leaveAll(t, h, s)
	s.Client = "Acme"
	two := leaveAll(t, h, s)
	awaitJobs(t, h)
	want := strings.NewReplacer("JOB1", one, "JOB2", two).Replace(`buckets/prod/+etl/objects/.clients/+acme/load-1/key@
buckets/prod/+etl/objects/load-1/key@
jobs/prod/+etl/@clients/+acme/load-1/JOB2/job.json
jobs/prod/+etl/load-1/JOB1/job.json
logs/prod/+etl/@clients/+acme/load-1/j/r/00000001.log
logs/prod/+etl/load-1/j/r/00000001.log
schedules/@changes
schedules/prod/+etl/@clients/+acme/load-1/1.json
schedules/prod/+etl/load-1/1.json
secrets/key.txt
secrets/prod/+etl/@clients/+acme/task-load-1.age
secrets/prod/+etl/group.age
secrets/prod/+etl/task-load-1.age
tasks/prod/+etl/@clients/+acme/load-1.json
tasks/prod/+etl/load-1.json
version`)
	if diff := cmp.Diff(want, strings.Join(kept(t, h), "\n")); diff != "" {
		t.Error(diff)
	}
	changed, err := h.scheduleKeys()
	if err != nil || len(changed) != 2 || changed[1] != (server.Key{Scope: s, TargetID: "1"}) {
		t.Errorf("schedules %v, %v", changed, err)
	}
	for _, key := range changed {
		if got, ok := parseKey(key.String()); !ok || got != key {
			t.Errorf("%s is read as %+v", key, got)
		}
	}
}

// leaveAll leaves something in each room, and returns the id of the job.
func leaveAll(t *testing.T, h *Home, s cloud.Scope) string {
	t.Helper()
	register(t, h, s)
	c := whole(t, h, s)
	logs := h.Logs(s)
	_, err := c.Files.Put(t.Context(), s.Prefix()+"/key", cloud.Text("x"), cloud.PutOptions{})
	job, jobErr := c.Jobs.Run(t.Context(), cloud.Start{RunID: "r", Env: map[string]string{"SCRIPT": ":"}})
	err = errors.Join(err, jobErr,
		c.Secrets.Put(t.Context(), cloud.Secret{Key: "k", Level: cloud.LevelTask, Value: secret.NewValue("v")}),
		c.Schedules.Put(t.Context(), daily("1")),
		logs.Append(t.Context(), cloud.Line{Time: time.Now(), JobID: "j", RunID: "r", Text: "text"}), logs.Close())
	if err != nil {
		t.Fatal(err)
	}
	return job.ID
}

// kept returns the files of a home that hold something for later, sorted.
func kept(t *testing.T, h *Home) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(h.dir, path)
		lock := strings.HasSuffix(rel, "lock") || d.Name() == busyFile || d.Name() == crashFile
		if err == nil && !d.IsDir() && !lock && !strings.Contains(rel, "/workspaces/") && !strings.Contains(rel, "/locks/") && !strings.HasPrefix(rel, "turns/") {
			list = append(list, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
