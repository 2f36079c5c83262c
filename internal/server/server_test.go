package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/handoff-run/handoff/internal/cloud"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a provider in memory. It outlives schedulers, which are killed by letting every call fail from some point on.
type world struct {
	mu        sync.Mutex
	schedules map[Key]Entry
	journal   map[string]*FireState
	lines     []FireRecord
	tokens    []string                     // of jobs, in the order of their starts
	specs     map[string]cloud.Start       // by token
	refuse    func(spec cloud.Start) error // of a start; may be nil
	takes     time.Duration                // of each job
	ends      map[string]time.Time         // of jobs, by token
	fails     map[string]bool              // jobs that fail
	skips     map[string]bool              // jobs that end as skipped
	full      bool                         // the journal cannot be written
	calls     int                          // of all that changes something
	deadline  int                          // from that call on the scheduler is dead; 0: never
	told      map[Key]struct{}             // changes that the scheduler has not seen
	kill      context.CancelCauseFunc
	late      []time.Time // when somebody was to look for what is late
}

func (w *world) notice(_ context.Context, n Notice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n.Late {
		w.late = append(w.late, time.Now())
	}
}

var (
	errKilled = errors.New("killed")
	errFull   = errors.New("no space left on device")
)

func newWorld(list ...cloud.Schedule) *world {
	w := &world{
		schedules: map[Key]Entry{}, journal: map[string]*FireState{},
		specs: map[string]cloud.Start{}, ends: map[string]time.Time{}, skips: map[string]bool{}, fails: map[string]bool{}, told: map[Key]struct{}{},
	}
	for _, s := range list {
		w.put(s)
	}
	return w
}

func keyOf(target string) Key {
	return Key{Scope: cloud.Scope{Stage: "prod", ResourceGroup: "etl", Task: "rates"}, TargetID: target}
}

func (w *world) put(s cloud.Schedule) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.Enabled = true
	s.Since = time.Now().UTC()
	w.schedules[keyOf(s.TargetID)] = Entry{Key: keyOf(s.TargetID), Schedule: s}
	w.told[keyOf(s.TargetID)] = struct{}{}
}

func (w *world) delete(target string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.schedules[keyOf(target)] = Entry{Key: keyOf(target), Gone: true}
	w.told[keyOf(target)] = struct{}{}
}

// step counts a call that changes something; the scheduler is dead where it returns an error.
func (w *world) step() error {
	w.calls++
	if w.deadline > 0 && w.calls >= w.deadline {
		w.kill(errKilled)
		return errKilled
	}
	return nil
}

func (w *world) Changes(context.Context) ([]Entry, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []Entry
	for key := range w.told {
		e := w.schedules[key]
		if s := w.journal[key.String()]; s != nil {
			e.Fires = *s
			e.Fires.Pending = slices.Clone(s.Pending)
		}
		e.Fires.Forget(e.Schedule.Since)
		list = append(list, e)
	}
	clear(w.told)
	return list, nil
}

func (w *world) Record(_ bool, records ...FireRecord) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.step(); err != nil {
		return err
	}
	if w.full {
		return errFull
	}
	for _, r := range records {
		w.lines = append(w.lines, r)
		if w.journal[r.ID] == nil {
			w.journal[r.ID] = &FireState{}
		}
		w.journal[r.ID].Apply(r)
	}
	return nil
}

func (w *world) Fire(_ context.Context, e Entry, start func() error) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.schedules[e.Key]
	if now.Gone || !now.Schedule.Since.Equal(e.Schedule.Since) {
		return false, nil
	}
	if err := w.step(); err != nil {
		return true, err
	}
	return true, start()
}

// jobs is the part of cloud.Jobs that a scheduler uses; w is locked.
type jobs struct{ *world }

func (j jobs) Run(_ context.Context, spec cloud.Start) (cloud.Job, error) {
	if _, known := j.specs[spec.Token]; known {
		return cloud.Job{ID: spec.Token, RunID: spec.RunID}, nil
	}
	if j.refuse != nil {
		if err := j.refuse(spec); err != nil {
			return cloud.Job{}, err
		}
	}
	j.specs[spec.Token] = spec
	j.ends[spec.Token] = time.Now().Add(j.takes)
	j.tokens = append(j.tokens, spec.Token)
	return cloud.Job{ID: spec.Token, RunID: spec.RunID}, j.step() // killed here: the job is there, and nobody knows
}

// Status is called without the lock.
func (j jobs) Status(_ context.Context, id string) (cloud.Job, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	end, known := j.ends[id]
	switch {
	case !known:
		return cloud.Job{}, cloud.ErrNotFound
	case j.skips[id]:
		return cloud.Job{ID: id, State: cloud.JobSkipped, Reason: "run x goes on"}, nil
	case time.Now().Before(end):
		return cloud.Job{ID: id, State: cloud.JobRunning}, nil
	case j.fails[id]:
		return cloud.Job{ID: id, State: cloud.JobFailed, Reason: "no"}, nil
	}
	return cloud.Job{ID: id, State: cloud.JobSucceeded}, nil
}
func (jobs) List(context.Context, cloud.JobQuery) iter.Seq2[cloud.Job, error] {
	return func(func(cloud.Job, error) bool) {}
}
func (jobs) Stop(context.Context, string, cloud.StopOptions) (cloud.Job, error) {
	return cloud.Job{}, cloud.ErrNotFound
}

// serve runs a scheduler for d, or until it is killed.
func (w *world) serve(t *testing.T, d time.Duration) Summary {
	t.Helper()
	for key := range w.schedules { // a scheduler that starts sees all
		w.told[key] = struct{}{}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	w.kill = cancel
	timer := time.AfterFunc(d, func() { cancel(nil) })
	defer timer.Stop()
	sum, err := Run(ctx, Options{
		Store: w, Jobs: func(cloud.Scope) cloud.Jobs { return jobs{w} }, Now: time.Now,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Workers: 4, Notice: w.notice,
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// times returns when the jobs of a schedule were due, in the order of their starts, as HH:MM.
func (w *world) times(target string) []string {
	list := []string{}
	for _, token := range w.tokens {
		if s := w.specs[token]; s.ScheduleID == target {
			list = append(list, s.ScheduledAt.Format("15:04"))
		}
	}
	return list
}

// The bubble of synctest begins at midnight, UTC, of 1 January 2000.
const quarter = "*/15 * * * *"

// TestLooksForWhatIsLate: each task whose schedules have a freshness is looked at from time to time, once for all of them.
func TestLooksForWhatIsLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		yearly := "0 0 1 1 ? *"
		w := newWorld(
			cloud.Schedule{TargetID: "a", Cron: yearly, Freshness: time.Hour, Enabled: true},
			cloud.Schedule{TargetID: "b", Cron: yearly, Freshness: time.Hour, Enabled: true}, cloud.Schedule{TargetID: "c", Cron: yearly, Enabled: true},
		)
		w.serve(t, 59*time.Minute)
		if len(w.late) != 6 {
			t.Errorf("looked at %v", w.late)
		}
	})
}

func TestFiresInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(
			cloud.Schedule{TargetID: "q", Cron: quarter},
			cloud.Schedule{TargetID: "d", Cron: "30 1 * * ? *", Timezone: "Europe/Paris", Env: map[string]string{
				"__VARS": `day=$(date -I) text="it's $(date +%H:%M)"`, "AT": "$(date -d yesterday +%F)",
			}},
		)
		w.refuse = func(spec cloud.Start) error {
			if late := time.Since(spec.ScheduledAt); late < 0 || late > time.Second {
				t.Errorf("%s started %s late", spec.Token, late)
			}
			return nil
		}
		sum := w.serve(t, 59*time.Minute)
		if diff := cmp.Diff([]string{"00:15", "00:30", "00:45"}, w.times("q")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"00:30"}, w.times("d")); diff != "" {
			t.Error(diff)
		}
		spec := w.specs["prod/etl/rates/d@2000-01-01T00:30:00Z"]
		want := map[string]string{"__VARS": `day=$(date -I) text="it's $(date +%H:%M)"`, "AT": "$(date -d yesterday +%F)"}
		if diff := cmp.Diff(want, spec.Written); diff != "" {
			t.Error(diff)
		}
		if spec.Trigger != cloud.TriggerSchedule || spec.Zone != "Europe/Paris" {
			t.Errorf("spec %+v", spec)
		}
		if sum.Failed+sum.Missed+sum.Skipped != 0 || sum.Schedules != 2 {
			t.Errorf("summary %+v", sum)
		}
	})
}

func TestCatchup(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		catchup cloud.Catchup
		up      time.Duration // of the server, before it is
		down    time.Duration // and after it is there again
		rest    time.Duration
		want    []string
		missed  int
	}{
		{"a restart is no outage", "", 29*time.Minute + 50*time.Second, 30 * time.Second, time.Minute, []string{"00:15", "00:30"}, 0},
		{"none", cloud.CatchupNone, 16 * time.Minute, 40 * time.Minute, 5 * time.Minute, []string{"00:15", "01:00"}, 2},
		{"last", cloud.CatchupLast, 16 * time.Minute, 40 * time.Minute, 5 * time.Minute, []string{"00:15", "00:45", "01:00"}, 1},
		{"all", cloud.CatchupAll, 16 * time.Minute, 40 * time.Minute, 5 * time.Minute, []string{"00:15", "00:30", "00:45", "01:00"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(cloud.Schedule{TargetID: "q", Cron: quarter, Catchup: test.catchup})
				w.serve(t, test.up)
				time.Sleep(test.down)
				sum := w.serve(t, test.rest)
				if diff := cmp.Diff(test.want, w.times("q")); diff != "" {
					t.Error(diff)
				}
				if sum.Missed != test.missed {
					t.Errorf("%d missed, want %d", sum.Missed, test.missed)
				}
			})
		})
	}
}

// TestCatchupOneByOne: fires that are made up for do not fall victim to the policy that skips, and come in order, also over a
// restart: each waits for the job of the one before it.
func TestCatchupOneByOne(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(cloud.Schedule{TargetID: "q", Cron: quarter, Catchup: cloud.CatchupAll, Overlap: cloud.OverlapSkip})
			time.Sleep(62 * time.Minute)
			w.takes = time.Minute
			var free time.Time
			w.refuse = func(spec cloud.Start) error {
				if time.Now().Before(free) {
					t.Errorf("%s is started beside the one before it", spec.Token)
				}
				if spec.Overlap != cloud.OverlapQueue {
					t.Errorf("overlap %q of a fire that is made up for", spec.Overlap)
				}
				free = time.Now().Add(w.takes)
				return nil
			}
			started := 0
			for range 10 {
				if !restart {
					started = w.serve(t, 10*time.Minute).Started
					break
				}
				started += w.serve(t, 30*time.Second).Started
			}
			if diff := cmp.Diff([]string{"00:15", "00:30", "00:45", "01:00"}, w.times("q")); diff != "" {
				t.Error(diff)
			}
			if started != 4 {
				t.Errorf("%d started", started)
			}
		})
	}
}

// TestJobsFail: a fire has its job, and yet what that did is told and counted.
func TestJobsFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(cloud.Schedule{TargetID: "q", Cron: quarter})
		w.fails["prod/etl/rates/q@2000-01-01T00:30:00Z"] = true
		w.takes = time.Minute
		if diff := cmp.Diff(Summary{Schedules: 1, Started: 3, JobsFailed: 1}, w.serve(t, 59*time.Minute)); diff != "" {
			t.Error(diff)
		}
	})
}

// TestSkipped: a job that did not run is told as such, also where the scheduler was killed before it knew.
func TestSkipped(t *testing.T) {
	t.Parallel()
	for _, killed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(cloud.Schedule{TargetID: "q", Cron: quarter})
			w.skips["prod/etl/rates/q@2000-01-01T00:15:00Z"] = true
			sum := w.serve(t, 15*time.Minute+100*time.Millisecond)
			if note := w.journal[keyOf("q").String()].Note; note != "" || sum.Started != 1 {
				t.Errorf("note %q, summary %+v", note, sum)
			}
			if killed {
				time.Sleep(10 * time.Second)
			}
			if sum = w.serve(t, time.Minute); sum.Skipped != 1 || sum.Started != 0 {
				t.Errorf("summary %+v", sum)
			}
			state := w.journal[keyOf("q").String()]
			if state.Note != "" || state.Job != "" {
				t.Errorf("state %+v", state)
			}
			w.serve(t, 15*time.Minute)
			if state.Note != "" || state.Last.Format("15:04") != "00:30" {
				t.Errorf("state %+v", state)
			}
		})
	}
}

// TestLongOutage: a year without a server does not keep the next one from its work.
func TestLongOutage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		catchup cloud.Catchup
		starts  int
	}{{cloud.CatchupNone, 0}, {cloud.CatchupLast, 1}, {cloud.CatchupAll, most}} {
		t.Run(string(test.catchup), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(cloud.Schedule{TargetID: "m", Cron: "* * * * *", Catchup: test.catchup})
				time.Sleep(20*24*time.Hour + 30*time.Second)
				sum := w.serve(t, time.Second)
				late := 0
				for _, r := range w.lines {
					if r.Op == FireDue && r.Late {
						late++
					}
				}
				if late != test.starts || sum.Missed < manyLost {
					t.Errorf("%d made up for, want %d; %+v", late, test.starts, sum)
				}
				if test.starts == 1 && w.times("m")[0] != "23:59" {
					t.Errorf("made up for %s", w.times("m"))
				}
			})
		})
	}
}

// TestKilledAnywhere kills the scheduler at each of its steps: the next one loses nothing and doubles nothing.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	var want []string
	for h := range 1 {
		for m := range 4 {
			want = append(want, fmt.Sprintf("%02d:%02d", h, 15*m))
		}
	}
	want = want[1:]
	for _, catchup := range []cloud.Catchup{cloud.CatchupNone, cloud.CatchupAll} {
		for deadline := 1; deadline <= 9; deadline++ {
			t.Run(fmt.Sprintf("%s, step %d", catchup, deadline), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(cloud.Schedule{TargetID: "q", Cron: quarter, Catchup: catchup})
					w.deadline = deadline
					end := time.Now().Add(59 * time.Minute)
					for time.Now().Before(end) {
						w.serve(t, time.Until(end))
						w.deadline = 0
						time.Sleep(5 * time.Second)
					}
					got := w.times("q")
					if diff := cmp.Diff(want, got); diff != "" {
						t.Error(diff)
					}
					if pending := w.journal[keyOf("q").String()].Pending; len(pending) > 0 {
						t.Errorf("still pending: %v", pending)
					}
				})
			})
		}
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		refuse func(n int) error
		want   []string
		note   string
		sum    Summary
	}{
		{"no task any more", func(int) error { return fmt.Errorf("task: %w", cloud.ErrNotFound) }, []string{},
			"the one of 2000-01-01T00:30:00Z failed: task: not found", Summary{Schedules: 1, Failed: 2}},
		{"a disk is full for a while", func(n int) error {
			if n < 5 {
				return errFull
			}
			return nil
		}, []string{"00:15", "00:30"}, "", Summary{Schedules: 1, Started: 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(cloud.Schedule{TargetID: "q", Cron: quarter})
				n := 0
				w.refuse = func(cloud.Start) error {
					n++
					return test.refuse(n)
				}
				sum := w.serve(t, 40*time.Minute)
				if diff := cmp.Diff(test.want, w.times("q")); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(test.sum, sum); diff != "" {
					t.Error(diff)
				}
				if got := w.journal[keyOf("q").String()].Note; got != test.note {
					t.Errorf("note %q, want %q", got, test.note)
				}
			})
		})
	}
}

// TestGivesUp: what cannot be started for an hour has failed, and the next fire has its turn.
func TestGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(cloud.Schedule{TargetID: "d", Cron: "0 1 * * *"})
		w.refuse = func(cloud.Start) error { return errFull }
		if sum := w.serve(t, 3*time.Hour); sum.Failed != 1 {
			t.Errorf("summary %+v", sum)
		}
	})
}

func TestFullJournal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(cloud.Schedule{TargetID: "q", Cron: quarter})
		w.full = true
		time.AfterFunc(15*time.Minute+20*time.Second, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			if len(w.tokens) > 0 {
				t.Error("a job was started that is in no journal")
			}
			w.full = false
		})
		w.serve(t, 20*time.Minute)
		if diff := cmp.Diff([]string{"00:15"}, w.times("q")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(cloud.Schedule{TargetID: "a", Cron: quarter}, cloud.Schedule{TargetID: "b", Cron: quarter}, cloud.Schedule{TargetID: "c", Cron: "61 * * * *"})
		time.AfterFunc(20*time.Minute, func() {
			w.delete("a")
			w.put(cloud.Schedule{TargetID: "b", Cron: "40 * * * *"})
			w.put(cloud.Schedule{TargetID: "new", Cron: "50 * * * *"})
		})
		w.serve(t, 59*time.Minute)
		for target, want := range map[string][]string{"a": {"00:15"}, "b": {"00:15", "00:40"}, "c": {}, "new": {"00:50"}} {
			if diff := cmp.Diff(want, w.times(target)); diff != "" {
				t.Error(target, diff)
			}
		}
	})
}

// TestDeletedMeanwhile: what was decided, but not started, does not start once the schedule is gone.
func TestDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(cloud.Schedule{TargetID: "q", Cron: quarter})
		w.refuse = func(cloud.Start) error { return errFull }
		time.AfterFunc(15*time.Minute+10*time.Second, func() {
			w.delete("q")
			w.mu.Lock()
			defer w.mu.Unlock()
			w.refuse = nil
		})
		w.serve(t, time.Hour)
		if len(w.tokens) > 0 {
			t.Errorf("started %v", w.tokens)
		}
	})
}

// serveBy runs a scheduler for d by another clock.
func (w *world) serveBy(t *testing.T, d time.Duration, clock func() time.Time) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	_, err := Run(ctx, Options{
		Store: w, Jobs: func(cloud.Scope) cloud.Jobs { return jobs{w} }, Now: clock, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestClock sets the clock while a scheduler runs.
func TestClock(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, test := range []struct {
		name          string
		before, after time.Duration // how wrong the clock is, before and after 00:20
		want          []string
	}{
		{"back an hour: no fire twice", 0, -time.Hour, []string{"00:15", "00:30"}},
		{"forth an hour: those between are missed", 0, time.Hour, []string{"00:15", "01:30", "01:45", "02:00", "02:15", "02:30"}},
		{"back after days in the future", 10 * day, 0, []string{"00:00", "00:15", "00:30", "00:45", "01:00", "01:15", "01:30"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(cloud.Schedule{TargetID: "q", Cron: quarter})
				set := time.Now().Add(20 * time.Minute)
				w.serveBy(t, 95*time.Minute+30*time.Second, func() time.Time {
					if now := time.Now(); now.Before(set) {
						return now.Add(test.before)
					}
					return time.Now().Add(test.after)
				})
				if diff := cmp.Diff(test.want, w.times("q")); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// TestClockBeforeStart: a journal from the future does not keep a scheduler from its work, nor the one after it.
func TestClockBeforeStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(cloud.Schedule{TargetID: "q", Cron: quarter})
		w.journal[keyOf("q").String()] = &FireState{Through: time.Now().Add(365 * 24 * time.Hour)}
		w.serve(t, 29*time.Minute+50*time.Second)
		time.Sleep(30 * time.Second)
		w.serve(t, time.Minute)
		if diff := cmp.Diff([]string{"00:15", "00:30"}, w.times("q")); diff != "" {
			t.Error(diff)
		}
	})
}
