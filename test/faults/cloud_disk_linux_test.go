package faults

import (
	"fmt"
	"strings"
	"testing"
)

// fullHome mounts a small home, deploys to it and defines `full`, which leaves no room; `room` makes it again.
const fullHome = `
export HANDOFF_HOME=$PWD/ws
full() { head -c 2000000 /dev/zero >ws/ballast 2>/dev/null || true; }
room() { rm ws/ballast; }
set -e
"$0" project push -p prj -y >/dev/null
"$0" cloud task create -p prj >/dev/null
"$0" run -p prj -w run -a >/dev/null
`

// The disk of the home is full: what fails says so, and what was stored before is there afterwards.
func TestCloudDiskFull(t *testing.T) {
	t.Parallel()
	works := `room; "$0" run -p prj -w run -a >/dev/null; cat run/artifacts/runs; "$0" cloud run -p prj --wait -o text; "$0" cloud job status -p prj -v running=true -o text`
	tests := []struct {
		name, script string
		want         []string
	}{
		{"push", `head -c 2000000 /dev/urandom >prj/files/big; code=0; "$0" project push -p prj -y || code=$?; echo code $code; rm prj/files/big; ` +
			`"$0" release list -p prj -o text; touch ws/ballast`, []string{`^code 3$`, `^error: push: .*no space left on device`, `^\* +1 `}},
		{"secrets push", `full; code=0; "$0" secrets push -p prj -y || code=$?; echo code $code; "$0" secrets print -p prj --show -o text`,
			[]string{`^code 3$`, `^error: put secrets: .*no space left on device`, `token .*hunter2hunter2`}},
		{"run", `full; code=0; "$0" run -p prj -w run -a -o text || code=$?; echo code $code; "$0" state show -p prj -o text`,
			[]string{`^code 3$`, `^error: .*no space left on device`, `^{"n":1}$`}},
		{"start of a job", `full; code=0; "$0" cloud run -p prj || code=$?; echo code $code`, []string{`^code 3$`, `^error: run job .*no space left on device`}},
		{"full at the end of a run", `code=0; "$0" run -p prj -w run -a -o text -v last=fill || code=$?; ` +
			`echo code $code; "$0" state show -p prj -o text`, []string{`^code 3$`, `ERR run .*no space left on device`, `^{"n":1}$`}},
		{"full at the end of a job", `code=0; "$0" cloud run -p prj --wait -o text -v last=fill || code=$?; ` +
			`echo code $code; "$0" cloud job status -p prj -o text; "$0" state show -p prj -o text`,
			[]string{`^code [13]$`, `load failed .*no space left on device`, `^{"n":1}$`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, map[string]string{
				"project.yml": "version: 1\n" + place + `
secrets: [{key: token}]
vars: [{key: last, value: "no"}]
tasks:
- name: load
  state: true
  pipeline: [{command: 'tr -cd 0-9 <{{ _state_file }}; echo'}, {command: 'read n; echo "{\"n\": $((n + 1))}"'}]
- name: use
  commands: [{command: 'echo {{ token }} | wc -l; echo x >>artifacts/runs'}]
- name: last
  stdout_to_file: false
  stderr_to_file: false
  commands: [{command: 'sh files/last.sh {{ last }}'}]
`,
				"files/last.sh":        `[ "$1" = no ] || head -c 9000000 /dev/zero >"$HANDOFF_HOME/ballast" || true`,
				".secrets/secrets.yml": "[{key: token, value: hunter2hunter2}]\n",
			})
			l.onlyMine("prj/.secrets", "prj/.secrets/secrets.yml")
			res := l.mounted(0, fmt.Sprintf("{ %s %s; %s; } 2>&1", fullHome, tt.script, works))
			l.says(res.Stdout, append(tt.want, `^x\nx$`, ` load succeeded`)...)
		})
	}
}

// The disk of the home gets full somewhere in a deployment: it fails, and the same command, said again when there is room, goes on to what
// one comes to that was not cut.
func TestCloudDiskFullDeploy(t *testing.T) {
	t.Parallel()
	l := newLab(t, map[string]string{
		"project.yml": "version: 1\n" + place + `
secrets: [{key: token}]
tasks: [{name: use, commands: [{command: 'test {{ token }} = hunter2hunter2; cat files/a'}]}]
schedules: [{target_id: 1, cron: "0 2 * * ? *"}]
clients: [{name: acme, schedules: [{target_id: 2, cron: "0 3 * * ? *"}]}]
`,
		"files/a":                           strings.Repeat("a", 10000),
		".secrets/secrets.yml":              "[{key: token, value: hunter2hunter2}]\n",
		".secrets/clients/acme/secrets.yml": "[{key: token, value: hunter2hunter2}]\n",
	})
	l.onlyMine("prj/.secrets", "prj/.secrets/secrets.yml", "prj/.secrets/clients/acme/secrets.yml")
	res := l.mounted(0, `export HANDOFF_HOME=$PWD/ws/home
deploy() { "$0" deploy -p prj --all-clients -y 2>>said >out; code=$?; grep ^status out; return $code; }
for pages in 0 4 7 9 20; do
  rm -rf ws/*; head -c $((pages * 4096)) /dev/zero >ws/room; head -c 2000000 /dev/zero >ws/ballast 2>/dev/null; rm ws/room
  deploy && echo cut nowhere || echo cut; rm ws/ballast; deploy; deploy
  "$0" cloud schedule list -p prj --all-clients -o json | grep -c '"target_id"'
  "$0" cloud run -p prj --all-clients --wait -o json | grep -c '"state": "succeeded"'
done`)
	cuts := strings.Count(res.Stdout, "cut\n")
	if full := strings.Count(l.read("said"), "no space left on device"); cuts < 3 || full != cuts {
		t.Errorf("%d deployments were cut, %d errors say why", cuts, full)
	}
	if n := strings.Count(res.Stdout, "cut\nstatus: success\nstatus: unchanged\n2\n1\n"); n != cuts || !strings.Contains(res.Stdout, "cut nowhere\nstatus: unchanged\nstatus: unchanged\n2\n1\n") {
		t.Errorf("not all ended as one that was not cut: %s", res.Stdout)
	}
}
