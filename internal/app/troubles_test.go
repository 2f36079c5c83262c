package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/ledger"
)

func TestTelling(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ tail, want []string }{
		"none":      {nil, nil},
		"plain":     {[]string{"1", "2", "3", "4", "5", "6"}, []string{"2", "3", "4", "5", "6"}},
		"traceback": {[]string{"INFO go", "Traceback (most recent call last):", `  File "x.py", line 1`, "psycopg2.errors.UndefinedTable: relation", "DETAIL: x", "psycopg2.OperationalError: no"}, []string{"psycopg2.OperationalError: no"}},
		"level":     {[]string{"2026-01-02 03:04:05,678 | ERROR | tap | no token", "2026-01-02 03:04:05,678 | INFO | tap | bye"}, []string{"2026-01-02 03:04:05,678 | ERROR | tap | no token", "2026-01-02 03:04:05,678 | INFO | tap | bye"}},
		"unix":      {[]string{"a", "psql: error: connection refused", "\tIs the server running?"}, []string{"psql: error: connection refused", "\tIs the server running?"}},
		"two":       {[]string{"ERROR one", "INFO", "ValueError: two"}, []string{"ERROR one", "ValueError: two"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, Telling(c.tail)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTroubles(t *testing.T) {
	t.Parallel()
	failed := &ledger.Task{Name: "load", Outcome: "failed", Reason: `stage "tap" exited with code 1`, Tail: []string{"ValueError: x"}}
	loop := &ledger.Task{Name: "each", Outcome: "failed", Reason: "failed for 9 of 10 lines", Lines: &ledger.Lines{Total: 10, Failed: 9}, Failures: []ledger.Failure{{Lines: []string{"a b"}, Task: "body", Reason: "r"}}}
	fine := &ledger.Task{Name: "fine", Outcome: "success"}
	for name, c := range map[string]struct {
		run  ledger.Run
		want []Trouble
	}{
		"success": {ledger.Run{Outcome: "success", Tasks: []*ledger.Task{fine}}, nil},
		"a task": {
			ledger.Run{Outcome: "failed", Reason: failed.Reason, Tasks: []*ledger.Task{fine, {Name: "up", Outcome: "failed", Tasks: []*ledger.Task{failed}}}},
			[]Trouble{{Place: "up/load", Reason: failed.Reason, Lines: []string{"ValueError: x"}}},
		},
		"a loop": {
			ledger.Run{Outcome: "failed", Reason: "failed for 9 of 10 lines", Tasks: []*ledger.Task{loop}},
			[]Trouble{{Place: "each[a b]/body", Reason: "r"}, {Place: "each", Reason: "9 of 10 lines failed in all"}},
		},
		"and more": {
			ledger.Run{Outcome: "failed", Reason: failed.Reason + "; store: disk full", Tasks: []*ledger.Task{failed}},
			[]Trouble{{Place: "load", Reason: failed.Reason, Lines: []string{"ValueError: x"}}, {Reason: "store: disk full"}},
		},
		"no task": {ledger.Run{Outcome: "died", Reason: "lost", Tasks: []*ledger.Task{fine}}, []Trouble{{Reason: "lost"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, Troubles(c.run)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
