package faults

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// place is where the projects of these tests are deployed.
const place = "deploy: {cloud_provider: local, resource_group: etl, task: load}\n"

// newCloud makes a lab with a home of the provider local.
func newCloud(t *testing.T, files map[string]string) *lab {
	t.Helper()
	l := newLab(t, files)
	l.home = l.path("home")
	return l
}

// deployed is a lab with a project that is pushed and whose task is registered.
func deployed(t *testing.T, files map[string]string) *lab {
	t.Helper()
	l := newCloud(t, files)
	l.deploy()
	return l
}

func (l *lab) deploy(args ...string) {
	l.Helper()
	l.handoff(0, append([]string{"project", "push", "-p", "prj", "-y"}, args...)...)
	l.handoff(0, append([]string{"cloud", "task", "create", "-p", "prj"}, args...)...)
}

// job is what these tests look at of a job.
type job struct {
	ID, Run, State, Reason, Schedule string
	ScheduledAt                      time.Time `json:"scheduled_at"`
}

func (j job) ended() bool {
	switch j.State {
	case "queued", "starting", "running", "stopping":
		return false
	}
	return true
}

// jobs are those of the task, the last one first.
func (l *lab) jobs(args ...string) []job {
	l.Helper()
	var res struct{ Jobs []job }
	l.result(&res, append([]string{"cloud", "job", "status", "-p", "prj", "-v", "limit=0"}, args...)...)
	return res.Jobs
}

// runs are the records of the task, the newest first.
func (l *lab) runs(args ...string) []record {
	l.Helper()
	var res struct{ Runs []record }
	l.result(&res, append([]string{"runs", "list", "-p", "prj", "--limit", "0"}, args...)...)
	return res.Runs
}

// result decodes what a command that succeeds prints.
func (l *lab) result(into any, args ...string) {
	l.Helper()
	res := l.handoff(0, append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(res.Stdout), into); err != nil {
		l.Fatalf("%q prints %v: %s", args, err, res)
	}
}

// startJob starts a job and returns it.
func (l *lab) startJob(args ...string) job {
	l.Helper()
	var j job
	l.result(&j, append([]string{"cloud", "run", "-p", "prj"}, args...)...)
	return j
}

// ended waits for the end of all jobs of the task.
func (l *lab) ended() []job {
	l.Helper()
	var all []job
	l.eventually("the end of all jobs", func() bool {
		all = l.jobs()
		for _, j := range all {
			if !j.ended() {
				time.Sleep(100 * time.Millisecond)
				return false
			}
		}
		return true
	})
	return all
}

// objects are the files of the bucket whose keys begin with key, in the order of their names.
func (l *lab) objects(key string) []string {
	l.Helper()
	var found []string
	err := filepath.WalkDir(filepath.Join(l.home, "buckets", "dev", "etl", "objects"), func(path string, e os.DirEntry, err error) error {
		_, rel, _ := strings.Cut(path, "/objects/")
		if err == nil && e.Type().IsRegular() && strings.HasPrefix(rel, key) {
			found = append(found, path)
		}
		return err
	})
	if err != nil || len(found) == 0 {
		l.Fatalf("no object %q: %v", key, err)
	}
	return found
}

// overwrite damages a file and returns how to put it back.
func (l *lab) overwrite(path, text string) (restore func()) {
	l.Helper()
	old, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o600)
	}
	if err != nil {
		l.Fatal(err)
	}
	return func() {
		if err := os.WriteFile(path, old, 0o600); err != nil {
			l.Fatal(err)
		}
	}
}

// onlyMine takes from others what handoff does not take from those whom others can read or write.
func (l *lab) onlyMine(dir string, files ...string) {
	l.Helper()
	if err := os.Chmod(l.path(dir), 0o700); err != nil {
		l.Fatal(err)
	}
	for _, name := range files {
		if err := os.Chmod(l.path(name), 0o600); err != nil {
			l.Fatal(err)
		}
	}
}
