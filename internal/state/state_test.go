package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
)

func store(files cloud.Files) *Store {
	return &Store{Files: files, Prefix: "t", Parallel: 2, Now: time.Now}
}

// chain puts versions one after the other, as commits do, and returns the last one.
func chain(t *testing.T, s *Store, before Version, versions ...Version) Version {
	t.Helper()
	for _, v := range versions {
		v.Task, v.By = "load", ByRun
		out, err := s.Put(t.Context(), v, before.Ref())
		if err == nil {
			err = s.Tidy(t.Context(), out, before.Ref())
		}
		if err != nil {
			t.Fatal(err)
		}
		before = out
	}
	return before
}

func seqs(t *testing.T, s *Store, now int64) []int64 {
	t.Helper()
	log, err := s.Log(t.Context(), "load", now, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []int64
	for _, v := range log {
		out = append(out, v.Seq)
	}
	return out
}

func TestPutAndLookBack(t *testing.T) {
	t.Parallel()
	s := store(&memory.Files{})
	now := chain(
		t, s, Version{},
		Version{RunID: "r1", State: json.RawMessage(`{"a": 1}`)},
		Version{RunID: "r2", State: json.RawMessage(`{"a": 2}`), Checkpoint: true},
		Version{RunID: "r2", State: json.RawMessage(`{"a": 3}`), Checkpoint: true},
		Version{RunID: "r2", State: json.RawMessage(`{"a": 4}`)},
	)
	if diff := cmp.Diff([]int64{4, 1}, seqs(t, s, now.Seq)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int64{4, 1}, seqs(t, s, 0)); diff != "" {
		t.Errorf("in the bucket: %s", diff)
	}
	old, err := s.Before(t.Context(), "load", now.Seq, 0)
	if err != nil || string(old.State) != `{"a":1}` {
		t.Errorf("before: %+v, %v", old, err)
	}
	if _, err := s.At(t.Context(), "load", 3); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("checkpoint that was replaced: %v", err)
	}
}

// What a run wrote that died before its commit is in no history, and in nobody's way.
func TestVersionThatNobodyCommitted(t *testing.T) {
	t.Parallel()
	s := store(&memory.Files{})
	first := chain(t, s, Version{}, Version{RunID: "r1", State: json.RawMessage(`{"a":1}`)})
	for range 3 {
		chain(t, s, first, Version{RunID: "dead", State: json.RawMessage(`{"a":9}`)})
	}
	now := chain(t, s, first, Version{RunID: "r2", State: json.RawMessage(`{"a":2}`)})
	if now.Seq != 5 || now.After != 1 {
		t.Errorf("version %+v", now)
	}
	if diff := cmp.Diff([]int64{5, 1}, seqs(t, s, now.Seq)); diff != "" {
		t.Error(diff)
	}
}

// Damage of one version hides no other one.
func TestDamagedVersion(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	s := store(files)
	var all []Version
	for i := range 4 {
		all = append(all, Version{RunID: fmt.Sprint(i), State: json.RawMessage(fmt.Sprintf(`{"a":%d}`, i))})
	}
	now := chain(t, s, Version{}, all...)
	if _, err := files.Put(t.Context(), s.logKey("load", 3), cloud.Text(`{"seq": 1,`), cloud.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{4, 2, 1}, seqs(t, s, now.Seq)); diff != "" {
		t.Error(diff)
	}
	if _, err := s.At(t.Context(), "load", 3); !errors.Is(err, cloud.ErrCorrupt) || cloud.Hint(err) == "" {
		t.Errorf("error %v", err)
	}
}

func TestLogIsTrimmed(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	s := store(files)
	var all []Version
	for i := range kept + trimEvery + 5 {
		all = append(all, Version{RunID: fmt.Sprint(i), State: json.RawMessage(`{}`)})
	}
	now := chain(t, s, Version{}, all...)
	if got := seqs(t, s, now.Seq); len(got) != kept || got[0] != now.Seq {
		t.Errorf("%d versions, the newest %d", len(got), got[0])
	}
	if n := len(files.Keys()); n > kept+trimEvery {
		t.Errorf("%d objects", n)
	}
}

// A bucket of a handoff before there were commits has the current version as an object of its own, and a log whose versions
// have no links.
func TestBucketOfAnEarlierHandoff(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	s := store(files)
	put := func(key, text string) {
		t.Helper()
		if _, err := files.Put(t.Context(), key, cloud.Text(text), cloud.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for i, run := range []string{"r1", "r2", "r3"} { // r3 died after its first write
		put(s.logKey("load", int64(i+1)), fmt.Sprintf(`{"schema_version":1,"task":"load","seq":%d,"run":%q,"by":"run","fence":7,"state":{"a":%d}}`, i+1, run, i+1))
	}
	put("t/state/load/current.json", `{"schema_version":1,"task":"load","seq":2,"run":"r2","by":"run","fence":7,"state":{"a":2}}`)
	put("t/state/lost/current.json", `{"schema_version":1,"task":"lost","seq":5,"run":"r2","by":"run","fence":7,"state":{"b":5}}`)
	found, err := s.Found(t.Context())
	want := map[string]Ref{"load": {Seq: 2, RunID: "r2"}, "lost": {Seq: 5, RunID: "r2"}}
	if diff := cmp.Diff(want, found); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if diff := cmp.Diff([]int64{2, 1}, seqs(t, s, 2)); diff != "" {
		t.Error(diff)
	}
	if v, err := s.At(t.Context(), "lost", 5); err != nil || string(v.State) != `{"b":5}` {
		t.Errorf("version whose log is lost: %+v, %v", v, err)
	}
	now := chain(t, s, Version{Seq: 2}, Version{RunID: "r4", State: json.RawMessage(`{"a":4}`)})
	if diff := cmp.Diff([]int64{4, 2, 1}, seqs(t, s, now.Seq)); diff != "" {
		t.Error(diff)
	}
	if found, err = s.Found(t.Context()); err != nil || found["load"].Seq != 4 {
		t.Errorf("without what named it: %+v, %v", found, err)
	}
}

func TestPutRefusesWhatIsNoState(t *testing.T) {
	t.Parallel()
	s := store(&memory.Files{})
	for _, text := range []string{"", "[1]", "7", "{", `"x"`, "null"} {
		_, err := s.Put(t.Context(), Version{Task: "load", State: json.RawMessage(text)}, Ref{})
		if !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ line, want string }{
		"object":         {` {"bookmarks": {"a": "2026"}} `, `{"bookmarks": {"a": "2026"}}`},
		"message":        {`{"type": "STATE", "value": {"x": 1}}`, `{"x":1}`},
		"record":         {`{"type": "RECORD", "record": {"x": 1}}`, ""},
		"message of no":  {`{"type": "STATE", "value": 7}`, ""},
		"text":           {`loaded 7 rows`, ""},
		"list":           {`[1]`, ""},
		"cut":            {`{"a": `, ""},
		"empty":          {``, ""},
		"two on a line":  {`{} {}`, ""},
		"type of a user": {`{"type": 3}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := Parse([]byte(c.line))
			if string(got) != c.want || ok != (c.want != "") {
				t.Errorf("got %q, %v", got, ok)
			}
		})
	}
}

// printed writes lines into a file and returns what is taken for a state.
func printed(t *testing.T, text string) Captured {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out.log")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := NewCapture(path).Read(true)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// What targets print between their states, and beside them, is no state.
func TestLinesThatAreNoState(t *testing.T) {
	t.Parallel()
	const state = `{"bookmarks": {"users": {"replication_key_value": "2026-01-02"}}, "currently_syncing": null}`
	for name, line := range map[string]string{
		"json logger":         `{"level": "INFO", "message": "Loaded 7 rows"}`,
		"python-json-logger":  `{"asctime": "2026-01-02 03:04:05,678", "levelname": "WARNING", "name": "target", "message": "slow"}`,
		"structlog":           `{"event": "Target sink for 'users' initialized", "level": "info", "timestamp": "2026-01-02T03:04:05Z"}`,
		"pino":                `{"level":30,"time":1767323045678,"pid":7,"hostname":"h","msg":"done"}`,
		"zap":                 `{"level":"error","ts":1767323045.6,"caller":"main.go:1","msg":"no"}`,
		"Google Cloud":        `{"severity": "DEFAULT", "textPayload": "x"}`,
		"severity, message":   `{"severity": "ERROR", "message": "x", "time": "2026"}`,
		"elastic":             `{"@timestamp":"2026","log.level":"info","message":"x"}`,
		"elastic, nested":     `{"@timestamp":"2026","log":{"level":"info"},"message":"x"}`,
		"loguru":              `{"text": "x\n", "record": {"level": {"name": "INFO", "no": 20}, "message": "x"}}`,
		"dbt":                 `{"data": {"msg": "x"}, "info": {"level": "info", "msg": "x", "ts": "2026"}}`,
		"tracing":             `{"timestamp":"2026","level":"INFO","fields":{"message":"x"},"target":"t"}`,
		"serilog":             `{"@t":"2026","@mt":"Loaded {n}","n":7}`,
		"no level":            `{"time": "2026", "msg": "Loaded"}`,
		"metric message":      `{"type": "METRIC", "metric": "record_count", "value": 7}`,
		"metric of the SDK":   `{"type": "counter", "metric": "record_count", "value": 7, "tags": {"stream": "users"}}`,
		"metric without type": `{"metric": "http_request_duration", "value": 0.3, "tags": {}}`,
		"record":              `{"type": "RECORD", "stream": "users", "record": {"id": 1}}`,
		"schema":              `{"type": "SCHEMA", "stream": "users", "schema": {}, "key_properties": []}`,
		"version":             `{"type": "ACTIVATE_VERSION", "stream": "users", "version": 1}`,
		"batch":               `{"type": "BATCH", "stream": "users", "manifest": []}`,
		"text":                "INFO loaded 7 rows",
		"list":                `[1]`,
		"number":              `7`,
		"cut":                 `{"a": `,
		"two on a line":       `{"a":1} {"b":2}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := printed(t, state+"\n"+line+"\n"+line)
			if string(got.State) != state || got.Line != 1 || got.Empty != 0 {
				t.Errorf("taken for a state: %+v", got)
			}
		})
	}
}

// States in the forms in which targets print them: the value alone (target-csv, target-stitch, targets of pipelinewise and of
// the Meltano SDK), or the message.
func TestLinesThatAreStates(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`{"bookmarks": {"a": {"version": 1585593096034}}}`:             "",
		`{"bookmarks":{"a":{}},"currently_syncing":"dw_core-profile"}`: "",
		`{"users": "2026-01-02T03:04:05Z"}`:                            "",
		`{"message": "2026-01-02", "event": "2026-01-01"}`:             "", // streams with these names
		`{"value": 7}`: "",
		`{"n": 0}`:     "",
		`{"singer_state": {"bookmarks": {"a": {"x": 1}}}}`:                      "",
		`{"type": "STATE", "value": {"x": 1}}`:                                  `{"x":1}`,
		`{"type":"STATE","value":{"level":"info","message":"a state is mine"}}`: `{"level":"info","message":"a state is mine"}`,
	} {
		if want == "" {
			want = line
		}
		if got := printed(t, "noise\n"+line+"\n"); string(got.State) != want || got.Line != 2 {
			t.Errorf("%s: %+v", line, got)
		}
	}
}

// An empty state is no state, and does not hide the one before it.
func TestEmptyStates(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		`{}`, ` { } `, `null`, `{"type":"STATE","value":{}}`, `{"type": "STATE", "value": null}`, `{"type":"STATE"}`,
		`{"bookmarks": {}}`, `{"bookmarks": {"users": {}}, "currently_syncing": null}`, `{"currently_syncing": null}`,
	} {
		if got := printed(t, line+"\n"); got.State != nil || got.Empty != 1 {
			t.Errorf("%s: %+v", line, got)
		}
		if got := printed(t, "{\"a\":1}\n"+line); string(got.State) != `{"a":1}` || got.Line != 1 || got.Empty != 2 {
			t.Errorf("after one: %s: %+v", line, got)
		}
	}
	if got := printed(t, ""); got.State != nil || got.Empty != 0 {
		t.Errorf("nothing: %+v", got)
	}
}

func TestCaptureFollowsAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.log")
	c := NewCapture(path)
	read := func(final bool, want string, line int64) {
		t.Helper()
		got, err := c.Read(final)
		if err != nil || string(got.State) != want || got.Line != line {
			t.Fatalf("got %+v, %v; want %q in line %d", got, err, want, line)
		}
	}
	add := func(text string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	read(false, "", 0)
	add("hello\n{\"a\":1}\n{\"a\":")
	read(false, `{"a":1}`, 2)
	add("2}\nnoise\n")
	read(false, `{"a":2}`, 3)
	add(`{"a":3}`)
	read(false, `{"a":2}`, 3)
	read(true, `{"a":3}`, 5)
	c.Reset()
	add("\n" + strings.Repeat("x", maxState+1))
	read(false, `{"a":3}`, 5)
	add("{\n{\"a\":4}\n")
	read(false, `{"a":4}`, 7)
	c.Reset()
	if err := os.WriteFile(path, []byte("{\"b\":1}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	read(false, `{"b":1}`, 1)
}

// The states of one run are in their files all together, also where one of them cannot be written at first.
func TestFilesAllOrNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	states := func(n int) []Version {
		text := json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))
		return []Version{{Task: "a", State: text}, {Task: "b", State: text}, {Task: "c", State: text}}
	}
	all := func(want string) {
		t.Helper()
		for _, v := range states(0) {
			if got, err := ReadFile(filepath.Join(dir, v.Task+".json")); string(got) != want || err != nil {
				t.Errorf("%s: got %s, %v, want %s", v.Task, got, err, want)
			}
		}
	}
	if err := FinishFiles(dir); err != nil {
		t.Error(err)
	}
	if err := WriteFiles(dir, states(1)); err != nil {
		t.Fatal(err)
	}
	all(`{"n":1}`)
	blocked := filepath.Join(dir, ".pending") // the states cannot be stored
	if err := os.MkdirAll(filepath.Join(blocked, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFiles(dir, states(2)); err == nil {
		t.Error("no error")
	}
	all(`{"n":1}`)
	if err := os.RemoveAll(blocked); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(blocked, 0o600); err != nil { // which has no writer: nobody waits for one
		t.Fatal(err)
	}
	if err := FinishFiles(dir); err == nil {
		t.Error("no error")
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	inTheWay := filepath.Join(dir, "b.json")
	if err := errors.Join(os.Remove(inTheWay), os.MkdirAll(filepath.Join(inTheWay, "x"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := WriteFiles(dir, states(3)); err == nil {
		t.Error("no error")
	}
	if err := os.RemoveAll(inTheWay); err != nil {
		t.Fatal(err)
	}
	if err := FinishFiles(dir); err != nil {
		t.Error(err)
	}
	all(`{"n":3}`)
}

func TestFileForTheTap(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state", "load.json")
	if got, err := ReadFile(path); got != nil || err != nil {
		t.Errorf("before: %s, %v", got, err)
	}
	for _, want := range []string{"{}", `{"a":1}`} {
		var state json.RawMessage
		if want != "{}" {
			state = json.RawMessage(want)
		}
		if err := WriteFile(path, state); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadFile(path); err != nil || string(got) != want {
			t.Errorf("got %s, %v; want %s", got, err, want)
		}
	}
	if err := os.WriteFile(path, []byte("[]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path); err == nil {
		t.Error("a list was taken for a state")
	}
}
