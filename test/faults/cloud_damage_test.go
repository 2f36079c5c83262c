package faults

import (
	"os"
	"path/filepath"
	"testing"
)

// kept is a project with everything that a bucket keeps: state, artifacts, records, a secret.
func kept(t *testing.T) *lab {
	t.Helper()
	l := newCloud(t, map[string]string{
		"project.yml": "version: 1\n" + place + `
secrets: [{key: token}]
tasks:
- name: load
  state: true
  pipeline: [{command: 'tr -cd 0-9 <{{ _state_file }}; echo'}, {command: 'read n; echo "{\"n\": $((n + 1))}"'}]
- name: use
  commands: [{command: 'test {{ token }} = hunter2hunter2; echo x >>artifacts/runs'}]
`,
		".secrets/secrets.yml": "[{key: token, value: hunter2hunter2}]\n",
	})
	l.onlyMine("prj/.secrets", "prj/.secrets/secrets.yml")
	l.deploy()
	for range 2 {
		l.handoff(0, "run", "-p", "prj", "-w", "ws", "-a")
	}
	return l
}

// A damaged file is named, with what is lost and a way out; it is never taken for empty, and what was reported as saved
// elsewhere is there.
func TestCloudDamage(t *testing.T) {
	t.Parallel()
	run := []string{"run", "-p", "prj", "-w", "ws", "-a"}
	tests := []struct {
		name, object string
		args         []string // the command that meets it
		want         []string // in its stderr
	}{
		{"lease", "load/lease.json", run, []string{`^error: .*lease.json.*damaged`, `^hint: when no run of the task is going on, delete .*the file /.*lease.json`}},
		{"index of artifacts", "load/artifacts/index.json", run, []string{`^error: .*index of artifacts.*damaged`, `^hint: the file /.*restore it from a backup, or delete`}},
		{"what to go on from", "load/current.json", run, []string{`^error: read what the next run goes on from.*damaged`, `^hint: .*handoff state rollback`}},
		{"state", "load/state/load/log/", run, []string{`^error: version 2 of the state of "load".*damaged`, `^hint: .*handoff state rollback`}},
		{"list of artifacts", "load/artifacts/manifests/archives/", run, []string{`^error: read list of artifacts.*damaged`, `^hint: the file /.*restore it`}},
		{"what release is current", "load/releases/current.json", run, []string{`^error: find release.*damaged`, `^hint: the file /.*restore it`}},
		{"record of the last run", "load/runs/", []string{"runs", "show", "-p", "prj"}, []string{`^error: run .*damaged`, `^hint: the file /.*other objects are not touched`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, text := range []string{"", "junk\n", string(make([]byte, 4000))} {
				l := kept(t)
				all := l.objects(tt.object)
				damaged := all[0]
				if tt.name == "list of artifacts" { // they are sorted by time
					damaged = all[len(all)-1]
				}
				restore := l.overwrite(damaged, text)
				res := l.handoff(3, tt.args...)
				l.says(res.Stderr, tt.want...)
				restore()
				l.handoff(0, run...)
				l.says(l.handoff(0, "state", "show", "-p", "prj", "-o", "text").Stdout, `"n":3`)
				if got := l.artifact("runs"); got != "x\nx\nx\n" {
					t.Errorf("artifact %q", got)
				}
			}
		})
	}
}

// One damaged record hides no other, and stops no run.
func TestCloudDamagedRecord(t *testing.T) {
	t.Parallel()
	l := kept(t)
	l.overwrite(l.objects("load/runs/")[1], "junk") // the first run
	l.handoff(0, "run", "-p", "prj", "-w", "ws", "-a")
	var got []string
	for _, r := range l.runs() {
		got = append(got, r.Outcome)
	}
	if len(got) != 3 || got[0] != "success" || got[1] != "success" || got[2] != "damaged" {
		t.Errorf("outcomes %q", got)
	}
	l.says(l.handoff(0, "runs", "list", "-p", "prj", "-o", "text").Stdout, `damaged +20\d\d-`)
}

// The way out of a damaged state is to go back to a version of its log; no version is lost by that.
func TestCloudDamagedStateRollback(t *testing.T) {
	t.Parallel()
	l := kept(t)
	l.overwrite(l.objects("load/current.json")[0], "junk")
	l.says(l.handoff(0, "state", "log", "-p", "prj", "-o", "text").Stdout, `2 .*{"n":2}$`, `1 .*{"n":1}$`)
	l.handoff(0, "state", "rollback", "-p", "prj", "-y")
	l.says(l.handoff(0, "state", "log", "-p", "prj", "-o", "text").Stdout, `^\* +3 .*{"n":2}$`, `2 .*{"n":2}$`, `1 .*{"n":1}$`)
	l.handoff(0, "run", "-p", "prj", "-w", "ws", "-a")
	l.says(l.handoff(0, "state", "show", "-p", "prj", "-o", "text").Stdout, `"n":3`)
}

// What can be made anew is made anew after it is deleted: the next runs go on, and can commit.
func TestCloudLostObjects(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"load/lease.json", "load/artifacts/index.json", "load/current.json"} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			l := kept(t)
			if err := os.Remove(l.objects(name)[0]); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				l.handoff(0, "run", "-p", "prj", "-w", "ws", "-a")
			}
			want := `3|4` // all versions of the log are there, whatever state they have
			l.says(l.handoff(0, "state", "log", "-p", "prj", "-o", "text").Stdout, `^\* +(`+want+`) `, `^ +2 .*{"n":2}$`, `^ +1 .*{"n":1}$`)
		})
	}
}

// Secrets that cannot be read stop what needs them, with words on what is lost and what is not, and are not written over.
func TestCloudSecretsLost(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file string
		damage     func(path string) error
		want       []string
	}{
		{"corrupt file", "dev/etl/task-load.age", truncated(10), []string{`^error: .*task-load.age: damaged`, `^hint: .*restore it from a backup.*the values in this file are lost, and only they`}},
		{"torn file", "dev/etl/task-load.age", truncated(-5), []string{`^error: .*task-load.age: damaged`}},
		{"lost key", "key.txt", os.Remove, []string{`^error: .*key.txt is lost`, `^hint: restore .*key.txt from a backup; .*buckets, schedules, logs and run records are not encrypted`}},
		{"empty key", "key.txt", truncated(0), []string{`^error: .*key.txt: damaged: no key in it`, `^hint: restore .*key.txt`}},
		{"key that all can read", "key.txt", func(path string) error { return os.Chmod(path, 0o644) }, []string{`^error: .*key.txt can be used by other users`, `^hint: .*chmod 600`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := kept(t)
			path := filepath.Join(l.home, "secrets", tt.file)
			backup, err := os.ReadFile(path)
			if err == nil {
				err = tt.damage(path)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{
				{"run", "-p", "prj", "-w", "ws", "-a"}, {"secrets", "push", "-p", "prj", "-y"},
				{"secrets", "print", "-p", "prj", "--show"}, {"cloud", "run", "-p", "prj", "--wait"},
			} {
				res := l.handoff(3, args...)
				if args[0] != "cloud" {
					l.says(res.Stderr, tt.want...)
				} else {
					l.says(res.Stdout, "^state: failed", "^reason: .*secrets")
				}
			}
			if err := os.WriteFile(path, backup, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, 0o600); err != nil {
				t.Fatal(err)
			}
			l.handoff(0, "run", "-p", "prj", "-w", "ws", "-a")
			l.says(l.handoff(0, "state", "show", "-p", "prj", "-o", "text").Stdout, `"n":3`)
		})
	}
}

// truncated cuts a file to n bytes, or by -n bytes.
func truncated(n int64) func(string) error {
	return func(path string) error {
		if n >= 0 {
			return os.Truncate(path, n)
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		return os.Truncate(path, info.Size()+n)
	}
}

// A new start without the key, as the hint has it, works.
func TestCloudSecretsAnew(t *testing.T) {
	t.Parallel()
	l := kept(t)
	if err := os.Remove(filepath.Join(l.home, "secrets", "key.txt")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(l.home, "secrets"), l.path("old")); err != nil {
		t.Fatal(err)
	}
	l.handoff(0, "secrets", "push", "-p", "prj", "-y")
	l.handoff(0, "run", "-p", "prj", "-w", "ws", "-a")
}

// A job, a task that cannot be read: named, and the others work.
func TestCloudDamagedJobs(t *testing.T) {
	t.Parallel()
	l := kept(t)
	first := l.startJob()
	l.ended()
	l.overwrite(filepath.Join(l.home, "jobs", "dev", "etl", "load", first.ID, "job.json"), "junk")
	l.handoff(0, "cloud", "run", "-p", "prj", "--wait")
	all := l.jobs()
	if len(all) != 2 || all[0].State != "succeeded" || all[1].State != "lost" {
		t.Errorf("jobs %+v", all)
	}
	l.says(all[1].Reason, "damaged")
	l.overwrite(filepath.Join(l.home, "tasks", "dev", "etl", "load.json"), "junk")
	res := l.handoff(3, "cloud", "run", "-p", "prj")
	l.says(res.Stderr, `^error: .*task "load": damaged registration`, `^hint: register it anew`)
	l.handoff(0, "cloud", "task", "delete", "-p", "prj", "-y")
	l.handoff(0, "cloud", "task", "create", "-p", "prj")
	l.handoff(0, "cloud", "run", "-p", "prj", "--wait")
}

// A project that does not validate where it runs, though it did where it was pushed: the job says what is wrong.
func TestCloudInvalidProject(t *testing.T) {
	t.Parallel()
	l := deployed(t, map[string]string{"project.yml": yml(place + "tasks:\n- name: a\n  commands: [{command: 'echo {{ day }}'}]\n")})
	res := l.handoff(2, "cloud", "run", "-p", "prj", "--wait", "--logs")
	l.says(res.Stdout, "^state: failed", `^reason: .*project.yml:5:.*variable "day" is not`)
	l.says(res.Stderr, `project.yml:5:\d+: .*variable "day" is not defined`)
	if r := l.runs(); len(r) != 1 || r[0].Outcome != "failed" {
		t.Errorf("runs %+v", r)
	}
	l.handoff(0, "cloud", "run", "-p", "prj", "--wait", "-v", "day=monday")
}
