package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/server"
)

// scheduleHome is a home in which the task of rates is registered.
func scheduleHome(t *testing.T) *Home {
	t.Helper()
	h, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	register(t, h, rates)
	return h
}

var rates = cloud.Scope{Stage: "prod", ResourceGroup: "Etl", Task: "rates"}

func register(t *testing.T, h *Home, s cloud.Scope) {
	t.Helper()
	p, err := h.Infra(s).Plan(t.Context(), cloud.Want{Kind: cloud.KindTask})
	if err == nil {
		err = h.Infra(s).Apply(t.Context(), p, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func daily(target string) cloud.Schedule {
	return cloud.Schedule{
		TargetID: target, Cron: "0 9 * * ? *", Timezone: "Europe/Paris", Enabled: true, Catchup: cloud.CatchupLast,
		Env: map[string]string{"__VARS": "day=$(date -I)"},
	}
}

func putSchedule(t *testing.T, h *Home, s cloud.Schedule) {
	t.Helper()
	if err := h.Schedules(rates).Put(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

func listSchedules(t *testing.T, h *Home, s cloud.Scope) []cloud.Schedule {
	t.Helper()
	list, err := h.Schedules(s).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func timetable(t *testing.T, h *Home) *Timetable {
	t.Helper()
	table, err := h.Timetable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = table.Close() })
	return table
}

func changes(t *testing.T, table *Timetable) []server.Entry {
	t.Helper()
	list, err := table.Changes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestTimetableChanges(t *testing.T) {
	t.Parallel()
	h := scheduleHome(t)
	putSchedule(t, h, daily("1"))
	table := timetable(t, h)
	first := changes(t, table)
	if len(first) != 1 || first[0].Key != (server.Key{Scope: rates, TargetID: "1"}) || first[0].Schedule.Since.IsZero() {
		t.Fatalf("first: %+v", first)
	}
	if got := changes(t, table); len(got) > 0 {
		t.Errorf("nothing has changed: %+v", got)
	}
	putSchedule(t, h, daily("1")) // as it is
	putSchedule(t, h, daily("2"))
	got := changes(t, table)
	if len(got) != 2 || !got[0].Schedule.Since.Equal(first[0].Schedule.Since) || got[1].Key.TargetID != "2" {
		t.Errorf("after two puts: %+v", got)
	}
	if err := h.Schedules(rates).Delete(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	if got := changes(t, table); len(got) != 1 || !got[0].Gone {
		t.Errorf("after delete: %+v", got)
	}
}

// TestFireOrDelete: once Delete has returned, nothing starts any more; and it waits for a start that is under way.
func TestFireOrDelete(t *testing.T) {
	t.Parallel()
	h := scheduleHome(t)
	putSchedule(t, h, daily("1"))
	table := timetable(t, h)
	e := changes(t, table)[0]
	started := false
	there, err := table.Fire(t.Context(), e, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := h.Schedules(rates).Delete(ctx, "1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("deleted in the middle of a start: %v", err)
		}
		started = true
		return nil
	})
	if !there || err != nil || !started {
		t.Fatalf("there %t, %v", there, err)
	}
	changed := daily("1")
	changed.Cron = "0 10 * * ? *"
	putSchedule(t, h, changed)
	never := func() error { t.Error("started"); return nil }
	if there, err := table.Fire(t.Context(), e, never); there || err != nil {
		t.Errorf("a schedule that has changed: %t, %v", there, err)
	}
	if err := h.Schedules(rates).Delete(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	if there, err := table.Fire(t.Context(), e, never); there || err != nil {
		t.Errorf("a schedule that is gone: %t, %v", there, err)
	}
}

func recordFires(t *testing.T, table *Timetable, records ...server.FireRecord) {
	t.Helper()
	if err := table.Record(true, records...); err != nil {
		t.Fatal(err)
	}
}

func TestJournal(t *testing.T) {
	t.Parallel()
	h := scheduleHome(t)
	putSchedule(t, h, daily("1"))
	id := server.Key{Scope: rates, TargetID: "1"}.String()
	at := time.Now().UTC().Truncate(time.Second)
	minute := func(n int) time.Time { return at.Add(time.Duration(n) * time.Minute) }
	table := timetable(t, h)
	changes(t, table)
	recordFires(t, table, server.FireRecord{Op: server.FireDue, ID: id, At: minute(1)}, server.FireRecord{Op: server.FireDue, ID: id, At: minute(2), Late: true})
	recordFires(t, table, server.FireRecord{Op: server.FireStarted, ID: id, At: minute(1), Job: "j"})
	recordFires(t, table, server.FireRecord{Op: server.FireDue, ID: "prod/Etl/rates/gone", At: minute(1)})
	path := filepath.Join(h.Dir(), "schedules", "@journal")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		_, err = f.WriteString("\x00\x00 damaged\n" + `{"op":"started","id":"` + id) // and torn
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	want := server.FireState{Through: minute(2), Last: minute(1), Job: "j", Pending: []server.PendingFire{{At: minute(2), Late: true}}}
	for n := range 2 { // the second one reads what the first one has written anew
		table := timetable(t, h)
		if diff := cmp.Diff(want, changes(t, table)[0].Fires); diff != "" {
			t.Error(n, diff)
		}
		text, err := os.ReadFile(path)
		if err != nil || strings.Count(string(text), "\n") != 1 {
			t.Errorf("journal %q, %v", text, err)
		}
	}
	recordFires(t, timetable(t, h), server.FireRecord{Op: server.FireFailed, ID: id, At: minute(2), Reason: "no task"})
	why, err := h.Scheduler().Unstarted(t.Context(), rates)
	if err != nil || !strings.HasSuffix(why["1"], "failed: no task") || len(why) != 1 {
		t.Errorf("unstarted %q, %v", why, err)
	}
}

// TestJournalStaysSmall: what is settled does not add up.
func TestJournalStaysSmall(t *testing.T) {
	t.Parallel()
	h := scheduleHome(t)
	table := timetable(t, h)
	at := time.Now().UTC()
	for n := range 300 {
		at = at.Add(time.Minute)
		table.journal.limit = min(table.journal.limit, 10_000)
		r := server.FireRecord{Op: server.FireDue, ID: fmt.Sprintf("prod/etl/rates/%d", n%3), At: at}
		recordFires(t, table, r)
		r.Op = server.FireStarted
		if err := table.Record(false, r); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(h.journalPath())
	if err != nil || info.Size() > 11_000 {
		t.Errorf("%v, %v", info.Size(), err)
	}
	states, err := readJournal(h.journalPath(), "")
	if err != nil || len(states) != 3 || !states["prod/etl/rates/2"].Last.Equal(at) {
		t.Errorf("%v, %v", states, err)
	}
}

func TestDamagedSchedule(t *testing.T) {
	t.Parallel()
	h := scheduleHome(t)
	putSchedule(t, h, daily("1"))
	putSchedule(t, h, daily("2"))
	if err := os.WriteFile(h.Schedules(rates).path("1"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	list := listSchedules(t, h, rates)
	if len(list) != 2 || !strings.Contains(list[0].Damage, "damaged") || list[1].Damage != "" {
		t.Errorf("list %+v", list)
	}
	got := changes(t, timetable(t, h))
	if len(got) != 2 || !errors.Is(got[0].Err, cloud.ErrCorrupt) || got[1].Err != nil {
		t.Errorf("timetable %+v", got)
	}
	putSchedule(t, h, daily("1"))
	if list := listSchedules(t, h, rates); list[0].Damage != "" || list[0].Cron == "" {
		t.Errorf("created anew: %+v", list[0])
	}
}

func TestOneServer(t *testing.T) {
	t.Parallel()
	h := scheduleHome(t)
	release, err := h.LockServer(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.LockServer(t.Context(), false); !errors.Is(err, cloud.ErrConflict) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("a second one: %v", err)
	}
	over := make(chan error)
	go func() {
		release, err := h.LockServer(t.Context(), true)
		if err == nil {
			release()
		}
		over <- err
	}()
	release()
	if err := <-over; err != nil {
		t.Errorf("standby: %v", err)
	}
}

// TestJournalLosesItsFile: what is written while the journal cannot be opened under its name is not lost, or not said to be written.
func TestJournalLosesItsFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j, err := openJournal(path, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	write := func(n int) error {
		return j.write([]server.FireRecord{{Op: server.FireDue, ID: "dev/g/t/1", At: at.Add(time.Duration(n) * time.Hour)}}, true)
	}
	written := 0
	count := func(err error) {
		if err == nil {
			written++
		}
	}
	count(write(0))
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	j.limit = 0 // it is to be written anew, and cannot be
	count(write(1))
	count(write(2))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := write(3); err != nil {
		t.Fatal(err)
	}
	written++
	states, err := readJournal(path, "")
	if err != nil || states["dev/g/t/1"] == nil || len(states["dev/g/t/1"].Pending) != written {
		t.Errorf("%+v, %v, want %d fires", states["dev/g/t/1"], err, written)
	}
	if err := j.close(); err != nil {
		t.Error(err)
	}
}
