package faults

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ofStage are the files below home that belong to an env stage, with their contents.
func (l *lab) ofStage(stage string) map[string]string {
	l.Helper()
	all := l.tree("home")
	maps.DeleteFunc(all, func(path, _ string) bool { return !slices.Contains(strings.Split(path, "/"), stage) })
	return all
}

// Whatever is done in dev: prod is not seen, changed or deleted.
func TestCloudStagesAreApart(t *testing.T) {
	t.Parallel()
	l := newCloud(t, map[string]string{
		"project.yml": "version: 1\n" + place + `
secrets: [{key: token}]
vars: [{key: a, value: c}]
schedules: [{target_id: 1, cron: '0 0 1 1 *'}]
tasks:
- name: load
  state: true
  pipeline: [{command: echo}, {command: 'echo "{\"of\": \"{{ token }}\"}" | tr -d "*"'}]
- name: use
  commands: [{command: 'cat files/which >artifacts/which'}]
`,
		"files/which":               "prod",
		".secrets/dev_secrets.yml":  "[{key: token, value: secret-of-dev}]\n",
		".secrets/prod_secrets.yml": "[{key: token, value: secret-of-prod}]\n",
	})
	l.onlyMine("prj/.secrets", "prj/.secrets/dev_secrets.yml", "prj/.secrets/prod_secrets.yml")
	l.deploy("-s", "prod")
	l.handoff(0, "cloud", "schedule", "create", "-p", "prj", "-s", "prod")
	l.handoff(0, "cloud", "run", "-p", "prj", "-s", "prod", "--wait")
	before := l.ofStage("prod")
	if len(before) < 20 {
		t.Fatalf("prod has only %d files", len(before))
	}

	// Nothing of it is seen.
	for _, args := range [][]string{
		{"runs", "list"}, {"cloud", "job", "status"}, {"cloud", "schedule", "list"}, {"release", "list"}, {"secrets", "print", "--show"},
		{"artifacts", "list"}, {"state", "show"}, {"cloud", "logs"}, {"cloud", "task", "status"}, {"cloud", "bucket", "status"},
	} {
		res := l.handoff(0, append(args, "-p", "prj", "-o", "text")...)
		if out := strings.TrimSpace(res.Stdout); out != "" && out != "{}" && !strings.Contains(out, "absent") && !strings.Contains(out, "not there") {
			t.Errorf("%q in dev shows %q", args, out)
		}
	}
	l.handoff(3, "run", "-p", "prj", "-w", "ws")
	l.handoff(3, "cloud", "run", "-p", "prj")

	// The same task in dev is one of its own.
	l.write("prj/files/which", "dev")
	l.deploy()
	l.handoff(0, "cloud", "schedule", "create", "-p", "prj", "-e", "vars=a=b")
	l.handoff(0, "cloud", "run", "-p", "prj", "--wait")
	l.says(l.handoff(0, "secrets", "print", "-p", "prj", "--show", "-o", "text").Stdout, "secret-of-dev")
	l.handoff(0, "artifacts", "get", "-p", "prj", "-w", "got")
	if got := l.read("got/artifacts/which"); got != "dev" {
		t.Errorf("dev has %q", got)
	}

	// All of it is deleted again.
	for _, args := range [][]string{
		{"cloud", "schedule", "delete", "-v", "target_id=1"}, {"artifacts", "delete"}, {"secrets", "delete"}, {"config", "delete"}, {"files", "delete"},
		{"project", "delete"}, {"cloud", "task", "delete"}, {"cloud", "resources", "delete"}, {"cloud", "bucket", "delete", "--force"},
	} {
		l.handoff(0, append(args, "-p", "prj", "-y")...)
	}
	if diff := cmp.Diff(before, l.ofStage("prod")); diff != "" {
		t.Errorf("prod has changed: %s", diff)
	}
	l.handoff(0, "cloud", "run", "-p", "prj", "-s", "prod", "--wait")
	l.handoff(0, "artifacts", "get", "-p", "prj", "-s", "prod", "-w", "prod")
	if got := l.read("prod/artifacts/which"); got != "prod" {
		t.Errorf("prod has %q", got)
	}
}

// A name that leads to another place is refused; one that only looks like it is a place of its own.
func TestCloudOddNames(t *testing.T) {
	t.Parallel()
	l := deployed(t, map[string]string{"project.yml": yml(place + "tasks:\n- name: a\n  commands: [{command: echo done}]\n")})
	before := l.tree("home")
	for _, bad := range [][]string{
		{"-s", "../dev"}, {"-s", "dev/etl"}, {"-s", ".."}, {"-e", "resource_group=../etl"}, {"-e", "resource_group=."}, {"-e", "task=a/../load"}, {"-e", "task=.."},
	} {
		res := l.command(append([]string{"project", "delete", "-p", "prj", "-y"}, bad...)...)
		out, err := res.CombinedOutput()
		l.sane(string(out))
		if err == nil {
			t.Errorf("%q is taken: %s", bad, out)
		}
		l.says(string(out), "^error: .*")
	}
	if diff := cmp.Diff(before, l.tree("home")); diff != "" {
		t.Errorf("the home has changed: %s", diff)
	}
	for _, stage := range []string{"Dev", "DEV"} {
		l.handoff(3, "run", "-p", "prj", "-w", "ws", "-s", stage)
	}
}
