package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/handoff-run/handoff/internal/server"
)

// BenchmarkTimetable opens a home with 10,000 schedules, as a server that starts does.
func BenchmarkTimetable(b *testing.B) {
	h, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	for task := range 100 {
		s := rates
		s.Task = fmt.Sprintf("t%d", task)
		for target := range 100 {
			file := scheduleFile{Format: 1, Schedule: daily(fmt.Sprint(target))}
			text, err := json.Marshal(file)
			if err = errors.Join(err, os.MkdirAll(h.Schedules(s).dir, 0o700), os.WriteFile(h.Schedules(s).path(file.TargetID), text, 0o600)); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		table, err := h.Timetable(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		var list []server.Entry
		if list, err = table.Changes(b.Context()); err != nil || len(list) != 10_000 {
			b.Fatal(len(list), err)
		}
		if err := table.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
