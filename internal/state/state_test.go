package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
)

func store(files cloud.Files) *Store { return &Store{Files: files, Task: "t", Now: time.Now} }

func commit(t *testing.T, s *Store, v Version) Version {
	t.Helper()
	if v.Task == "" {
		v.Task = "load"
	}
	if v.By == "" {
		v.By = ByRun
	}
	out, err := s.Commit(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func seqs(t *testing.T, s *Store) []int64 {
	t.Helper()
	log, err := s.Log(t.Context(), "load", 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []int64
	for _, v := range log {
		out = append(out, v.Seq)
	}
	return out
}

func TestCommitAndLookBack(t *testing.T) {
	t.Parallel()
	s := store(&memory.Files{})
	if _, err := s.Current(t.Context(), "load"); !errors.Is(err, cloud.ErrNotFound) {
		t.Fatalf("before: %v", err)
	}
	commit(t, s, Version{Run: "r1", Fence: 1, State: json.RawMessage(`{"a": 1}`)})
	commit(t, s, Version{Run: "r2", Fence: 2, State: json.RawMessage(`{"a": 2}`), Checkpoint: true})
	commit(t, s, Version{Run: "r2", Fence: 2, State: json.RawMessage(`{"a": 3}`)})
	now, err := s.Current(t.Context(), "load")
	if err != nil || string(now.State) != `{"a":3}` || now.Seq != 2 || now.Checkpoint {
		t.Errorf("current %+v, %v", now, err)
	}
	if diff := cmp.Diff([]int64{2, 1}, seqs(t, s)); diff != "" {
		t.Error(diff)
	}
	old, err := s.At(t.Context(), "load", 1)
	if err != nil || string(old.State) != `{"a":1}` {
		t.Errorf("version 1: %+v, %v", old, err)
	}
	names, err := s.Names(t.Context())
	if err != nil || len(names) != 1 || names[0] != "load" {
		t.Errorf("names %v, %v", names, err)
	}
}

func TestFenceKeepsAStaleRunOut(t *testing.T) {
	t.Parallel()
	s := store(&memory.Files{})
	commit(t, s, Version{Run: "r2", Fence: 2, State: json.RawMessage(`{"a":2}`)})
	_, err := s.Commit(t.Context(), Version{Task: "load", Run: "r1", Fence: 1, State: json.RawMessage(`{"a":1}`)})
	if !errors.Is(err, cloud.ErrConflict) || !strings.Contains(err.Error(), "r2") {
		t.Errorf("error %v", err)
	}
	if now, _ := s.Current(t.Context(), "load"); now.Run != "r2" {
		t.Errorf("current %+v", now)
	}
}

func TestConcurrentCommitsAreAllInTheLog(t *testing.T) {
	t.Parallel()
	s := store(&memory.Files{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			_, err := s.Commit(t.Context(), Version{Task: "load", Run: fmt.Sprint(i), Fence: 1, State: json.RawMessage(`{}`)})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if diff := cmp.Diff([]int64{4, 3, 2, 1}, seqs(t, s)); diff != "" {
		t.Error(diff)
	}
}

// A commit that fails between its two writes leaves the old version current, and the next one works.
func TestCommitCutInTheMiddle(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	s := store(files)
	commit(t, s, Version{Run: "r1", Fence: 1, State: json.RawMessage(`{"a":1}`)})
	broken := errors.New("power")
	files.Before = func(call, key string) error {
		if call == "put" && strings.HasSuffix(key, "current.json") {
			return broken
		}
		return nil
	}
	if _, err := s.Commit(t.Context(), Version{Task: "load", Run: "r2", Fence: 2, State: json.RawMessage(`{"a":2}`)}); !errors.Is(err, broken) {
		t.Fatalf("error %v", err)
	}
	if now, err := s.Current(t.Context(), "load"); err != nil || now.Run != "r1" {
		t.Errorf("current %+v, %v", now, err)
	}
	files.Before = nil
	if v := commit(t, s, Version{Run: "r3", Fence: 3, State: json.RawMessage(`{"a":3}`)}); v.Seq != 2 {
		t.Errorf("seq %d", v.Seq)
	}
	if diff := cmp.Diff([]int64{2, 1}, seqs(t, s)); diff != "" {
		t.Error(diff)
	}
}

func TestLogIsTrimmed(t *testing.T) {
	t.Parallel()
	s := store(&memory.Files{})
	for i := range kept + 5 {
		commit(t, s, Version{Run: fmt.Sprint(i), Fence: int64(i), State: json.RawMessage(`{}`)})
	}
	if got := seqs(t, s); len(got) != kept || got[0] != kept+5 {
		t.Errorf("%d versions, the newest %d", len(got), got[0])
	}
}

func TestCommitRefusesWhatIsNoState(t *testing.T) {
	t.Parallel()
	s := store(&memory.Files{})
	for _, text := range []string{"", "[1]", "7", "{", `"x"`, "null"} {
		_, err := s.Commit(t.Context(), Version{Task: "load", State: json.RawMessage(text)})
		if !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestDamagedVersionSaysSo(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	s := store(files)
	if _, err := files.Put(t.Context(), s.currentKey("load"), strings.NewReader(`{"seq": 1,`), cloud.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := s.Current(t.Context(), "load")
	if !errors.Is(err, cloud.ErrCorrupt) || cloud.Hint(err) == "" {
		t.Errorf("error %v", err)
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

func TestCaptureFollowsAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "out.log")
	c := NewCapture(path)
	read := func(final bool, want string) {
		t.Helper()
		got, err := c.Read(final)
		if err != nil || string(got) != want {
			t.Fatalf("got %q, %v; want %q", got, err, want)
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
	read(false, "")
	add("hello\n{\"a\":1}\n{\"a\":")
	read(false, `{"a":1}`)
	add("2}\nnoise\n")
	read(false, `{"a":2}`)
	add(`{"a":3}`)
	read(false, `{"a":2}`)
	read(true, `{"a":3}`)
	add("\n" + strings.Repeat("x", maxState+1))
	read(false, `{"a":3}`)
	add("{\n{\"a\":4}\n")
	read(false, `{"a":4}`)
	c.Reset()
	if err := os.WriteFile(path, []byte("{\"b\":1}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	read(false, `{"b":1}`)
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
