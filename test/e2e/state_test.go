//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/handoff-run/handoff/test/binary"
)

const statefulProject = `version: 1
installs:
- venv: target
  command: pip install meltanolabs-target-csv==0.5.0
tasks:
- name: load
  state: true
  pipeline:
  - command: cat {{ _state_file }} >&2; cat files/{{ messages }}
  - command: target-csv --config files/target.json
    venv: target
`

// statesOfTheTarget runs the real target behind taps that send the states that taps send: what it prints becomes the state, but
// nothing empty ever takes the place of one.
func statesOfTheTarget(t *testing.T, ws string) {
	project := t.TempDir()
	const start = `{"type":"SCHEMA","stream":"users","schema":{"type":"object","properties":{"id":{"type":"integer"}}},"key_properties":["id"]}
{"type":"RECORD","stream":"users","record":{"id":1}}
`
	files := map[string]string{
		"project.yml":       statefulProject,
		"files/target.json": `{"output_path": "artifacts/csv"}`,
		"files/full":        `{"type":"STATE","value":{"bookmarks":{}}}` + "\n" + start + `{"type":"STATE","value":{"bookmarks":{"users":{"id":1}}}}` + "\n",
		"files/begins":      `{"type":"STATE","value":{}}` + "\n" + start,
		"files/empty":       start + `{"type":"STATE","value":{}}` + "\n",
		"files/null":        start + `{"type":"STATE","value":null}` + "\n",
		"files/none":        start,
	}
	writeFiles(t, project, files)
	for _, messages := range []string{"full", "begins", "empty", "none", "null"} {
		res := handoff(t, "run", "local", "-p", project, "-w", ws, "-v", "messages="+messages)
		if res.Code != 0 && messages != "null" { // this target refuses a null; another one prints it
			t.Fatalf("%s: %s", messages, res)
		}
		var state struct {
			Bookmarks struct{ Users struct{ ID int } }
		}
		if err := json.Unmarshal([]byte(readFile(t, ws, "state", "load.json")), &state); err != nil || state.Bookmarks.Users.ID != 1 {
			t.Errorf("%s: the state is %+v, %v; the target has printed %q", messages, state, err, readFile(t, ws, "artifacts", "load_stdout.log"))
		}
		if stays := strings.Contains(res.Stderr, "that of the run before stays"); res.Code == 0 && stays == (messages == "full") {
			t.Errorf("%s: %s", messages, res)
		}
	}
}

// The target is that of a workspace: that a run installs it is tested elsewhere.
const tablesProject = `version: 1
deploy: {resource_group: e2e, task: tables}
vars: [{key: missing, value: none}, {key: target}]
tasks:
- name: tables
  kill_loop_on_fail: false
  pipeline:
  - command: printf 'orders\nusers\n'
  - concurrency: 2
    foreach:
    - name: load
      state: true
      pipeline:
      - command: sh files/tap.sh {{ _line }} {{ _state_file }} {{ missing }}
      - command: "{{ target }} --config files/target.json"
`

// tapOfTables has one row more of each table each time, and fails at the end of the one that is missing.
const tapOfTables = `id=$(tr -cd 0-9 <"$2")
echo "from $((id + 0))" >&2
id=$((id + 1))
echo "{\"type\":\"SCHEMA\",\"stream\":\"$1\",\"schema\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"integer\"}}},\"key_properties\":[\"id\"]}"
echo "{\"type\":\"RECORD\",\"stream\":\"$1\",\"record\":{\"id\":$id}}"
echo "{\"type\":\"STATE\",\"value\":{\"id\":$id}}"
[ "$1" != "$3" ]
`

// statesOfLines loads two tables with the real target in the body of a foreach: each goes on from where it was. One whose tap fails when the
// target has all that it has sent keeps its state, and keeps no other one from going on.
func statesOfLines(t *testing.T, ws string) {
	project, home := t.TempDir(), t.TempDir()
	verb := func(args ...string) binary.Result {
		t.Helper()
		result, err := binary.Run(binary.Command(t.Context(), home, programs.handoff, append(args, "-p", project)...))
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	writeFiles(t, project, map[string]string{
		"project.yml": tablesProject, "files/tap.sh": tapOfTables, "files/target.json": fmt.Sprintf(`{"output_path": %q}`, home),
	})
	if res := verb("project", "push", "-l", "error"); res.Code != 0 {
		t.Fatal(res)
	}
	for _, tc := range []struct {
		missing            string
		code               int
		fromOrders, orders int // what its tap has read, and its state after the run
		fromUsers, users   int
	}{
		{"none", 0, 0, 1, 0, 1},
		{"users", 1, 1, 2, 1, 1},
		{"none", 0, 2, 3, 1, 2},
	} {
		res := verb("run", "-w", filepath.Join(home, "ws"), "-v", "missing="+tc.missing, "target="+filepath.Join(ws, "target", "bin", "target-csv"))
		for _, want := range []string{fmt.Sprintf("load[orders]/sh: from %d\n", tc.fromOrders), fmt.Sprintf("load[users]/sh: from %d\n", tc.fromUsers)} {
			if res.Code != tc.code || !strings.Contains(res.Stderr, want) {
				t.Errorf("%s is missing: no %q with exit code %d: %s", tc.missing, want, tc.code, res)
			}
		}
		for line, id := range map[string]int{"orders": tc.orders, "users": tc.users} {
			if res := verb("state", "show", "--line", line, "-o", "text"); res.Stdout != fmt.Sprintf("{\"id\":%d}\n", id) {
				t.Errorf("%s is missing: the state of %s, want %d: %s", tc.missing, line, id, res)
			}
		}
	}
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
