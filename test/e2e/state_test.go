//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	for name, text := range files {
		path := filepath.Join(project, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
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
