package ledger

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/pipeline"
)

func none(s string) string { return s }

func TestRecorderFollowsARun(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), FileName)
	rec, err := NewRecorder(path, Run{ID: "r1", Project: "p", Start: time.Now()}, none)
	if err != nil {
		t.Fatal(err)
	}
	if run, err := Read(path); err != nil || run.Outcome != Running || run.ExitCode != -1 {
		t.Fatalf("at start: %+v, %v", run, err)
	}
	at := []string{"load", "inner"}
	start := time.Now()
	for i, e := range []pipeline.Event{
		{Kind: pipeline.TaskStarted, Task: []string{"load"}, Try: 1},
		{Kind: pipeline.TaskStarted, Task: at, Try: 1},
		{Kind: pipeline.StageStarted, Task: at, Stage: "tap", Pid: 7},
		{Kind: pipeline.StageStarted, Task: at, Stage: "target", Pid: 8},
		{Kind: pipeline.StageEnded, Task: at, Stage: "tap", Result: &pipeline.Result{Outcome: pipeline.Failed, Code: 3, Reason: "exited with code 3"},
			Stats: &pipeline.Stats{BytesIn: -1, BytesOut: 10, RecordsOut: -1, CPU: time.Second, BlockedOut: 0.9}},
		{Kind: pipeline.StageEnded, Task: at, Stage: "target", Result: &pipeline.Result{Outcome: pipeline.Terminated, Signal: "SIGTERM"},
			Stats: &pipeline.Stats{BytesIn: 10, BytesOut: 0, RecordsOut: 0, Exact: true, Rows: map[string]int64{"users": 3, "orders": 4}}},
		{Kind: pipeline.Warning, Text: "careful"},
		{Kind: pipeline.TaskEnded, Task: at, Result: &pipeline.Result{Outcome: pipeline.Failed, Stage: "tap", Reason: "r", Tail: []string{"boom"}}},
		{Kind: pipeline.TaskEnded, Task: []string{"load"}, Result: &pipeline.Result{Outcome: pipeline.Failed, Rows: map[string]int64{"": 5}}},
		{Kind: pipeline.RunEnded, Result: &pipeline.Result{Outcome: pipeline.Failed, Rows: map[string]int64{"users": 3}}},
	} {
		e.Time = start.Add(time.Duration(i) * time.Second)
		rec.Event(e)
	}
	if _, err := rec.Finish("failed", "why", 1); err != nil {
		t.Fatal(err)
	}
	run, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	inner := run.Tasks[0].Tasks[0]
	if run.Outcome != "failed" || run.ExitCode != 1 || inner.Failed != "tap" || inner.Tail[0] != "boom" || len(run.Warnings) != 1 {
		t.Errorf("record: %+v, inner %+v", run, inner)
	}
	tap, target := inner.Stages[0], inner.Stages[1]
	if tap.ExitCode != 3 || tap.BytesIn != nil || *tap.BytesOut != 10 || tap.CPUSeconds != 1 || target.Signal != "SIGTERM" {
		t.Errorf("stages: %+v %+v", tap, target)
	}
	if diff := cmp.Diff(Streams{"users": 3, "orders": 4}, target.Streams); diff != "" || *target.Rows != 7 || tap.Rows != nil {
		t.Errorf("rows of stages: %s", diff)
	}
	if task := run.Tasks[0]; *task.Rows != 5 || task.Streams != nil || *run.Rows != 3 {
		t.Errorf("rows: %+v", run)
	}
	if inner.Slowest != "target" {
		t.Errorf("bottleneck is %q", inner.Slowest)
	}
}

func TestBodiesAreCountedNotKept(t *testing.T) {
	t.Parallel()
	rec, err := NewRecorder(filepath.Join(t.TempDir(), FileName), Run{}, none)
	if err != nil {
		t.Fatal(err)
	}
	rec.Event(pipeline.Event{Kind: pipeline.TaskStarted, Task: []string{"loop"}})
	for range 3 * maxFailures {
		for _, o := range []pipeline.Outcome{pipeline.Success, pipeline.Failed} {
			rec.Event(pipeline.Event{Kind: pipeline.TaskEnded, Task: []string{"loop", "body"}, Lines: []string{"x"}, Result: &pipeline.Result{Outcome: o, Reason: "r"}})
		}
	}
	run, err := rec.Finish("failed", "", 1)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(run.Tasks[0].Failures); n != maxFailures || len(run.Tasks) != 1 || len(run.Tasks[0].Tasks) != 0 {
		t.Errorf("kept %d failures in %+v", n, run.Tasks)
	}
}

func TestSecretsAreMasked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), FileName)
	mask := func(s string) string { return strings.ReplaceAll(s, "hunter2", "[redacted]") }
	rec, err := NewRecorder(path, Run{}, mask)
	if err != nil {
		t.Fatal(err)
	}
	rec.Warn("hunter2")
	rec.Event(pipeline.Event{Kind: pipeline.TaskEnded, Task: []string{"a"}, Result: &pipeline.Result{Outcome: pipeline.Failed, Reason: "hunter2", Tail: []string{"hunter2"}}})
	rec.Event(pipeline.Event{Kind: pipeline.TaskEnded, Task: []string{"a", "b"}, Lines: []string{"hunter2"}, Result: &pipeline.Result{Outcome: pipeline.Failed, Reason: "hunter2"}})
	if _, err := rec.Finish("failed", "hunter2", 1); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "hunter2") || strings.Count(string(text), "[redacted]") < 6 {
		t.Errorf("record shows a secret:\n%s", text)
	}
}

func writeRun(path string, run Run) error {
	text, err := encode(run)
	if err != nil {
		return err
	}
	return write(path, text)
}

func TestMarkDied(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), FileName)
	if _, died, err := MarkDied(path, time.Now()); died || err != nil {
		t.Fatalf("no record: %v %v", died, err)
	}
	run := Run{ID: "r1", Pid: 42, Outcome: Running, Tasks: []*Task{{Name: "a", Outcome: Running, Stages: []*Stage{{Outcome: Running}}}}}
	if err := writeRun(path, run); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} { // the second look finds it finished
		got, died, err := MarkDied(path, time.Now())
		if died != want || err != nil {
			t.Fatalf("died=%v, %v", died, err)
		}
		if got.Outcome != Died || got.Tasks[0].Outcome != Died || got.Tasks[0].Stages[0].Outcome != Died || got.End.IsZero() {
			t.Errorf("record %+v", got)
		}
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := MarkDied(path, time.Now()); err == nil {
		t.Error("a broken record is not an error")
	}
}

func TestReservedRoom(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), FileName)
	kept := func() bool { _, err := os.Stat(reserveOf(path)); return err == nil }
	rec, err := NewRecorder(path, Run{}, none)
	if err != nil {
		t.Fatal(err)
	}
	if !kept() {
		t.Error("no room is kept while the run goes on")
	}
	if _, err := rec.Finish("failed", "", 1); err != nil || kept() {
		t.Errorf("the room is kept after the run; %v", err)
	}
	if err := reserve(path); err != nil {
		t.Fatal(err)
	}
	if err := writeRun(path, Run{Outcome: Running}); err != nil {
		t.Fatal(err)
	}
	if _, died, err := MarkDied(path, time.Now()); !died || err != nil || kept() {
		t.Errorf("died=%v, %v: the room of a dead run is kept", died, err)
	}
}

func TestReadMissing(t *testing.T) {
	t.Parallel()
	if _, err := Read(filepath.Join(t.TempDir(), "x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestRecordIsStableJSON(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(Run{})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"schema_version", "id", "project", "env_stage", "trigger", "start", "outcome", "tasks", "exit_code"} {
		if !strings.Contains(string(text), `"`+key+`"`) {
			t.Errorf("no key %q in %s", key, text)
		}
	}
}
