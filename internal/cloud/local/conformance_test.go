package local

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/cloudtest"
	"github.com/handoff-run/handoff/internal/server"
)

// TestStreams is not parallel to any other: it measures memory.
func TestStreams(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	cloudtest.Streams(t, home(t).Files(scope))
}

func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	cloudtest.Run(t, cloudtest.Provider{
		World: func(t *testing.T) cloudtest.World { return clouds(t, home(t)) },
		Logs:  logsBench, Jobs: jobsBench, Schedules: schedulesBench,
	})
}

// home is a new home, whose jobs have ended when the test has.
func home(t *testing.T) *Home {
	t.Helper()
	h, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { awaitJobs(t, h) })
	return h
}

// clouds opens the home anew for each Cloud, as another process would.
func clouds(t *testing.T, h *Home) cloudtest.World {
	return func(s cloud.Scope) *cloud.Cloud {
		again, err := Open(h.dir)
		if err != nil {
			t.Fatal(err)
		}
		return whole(t, again, s)
	}
}

// whole returns all that a home has for a scope, with jobs that run $SCRIPT.
func whole(t *testing.T, h *Home, s cloud.Scope) *cloud.Cloud {
	t.Helper()
	c, err := h.Cloud(s)
	if err != nil {
		t.Fatal(err)
	}
	c.Account, c.Infra, c.Schedules, c.Scheduler = h.Account(), h.Infra(s), h.Schedules(s), h.Scheduler()
	c.Jobs = h.Jobs(s, scriptJobs())
	return cloud.Complete(*c)
}

func logsBench(t *testing.T) cloudtest.LogsBench {
	h := home(t)
	return cloudtest.LogsBench{World: clouds(t, h), Writer: func(s cloud.Scope) func(context.Context, ...cloud.Line) error {
		l := h.Logs(s)
		t.Cleanup(func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
		return l.Append
	}}
}

func jobsBench(t *testing.T) cloudtest.JobsBench {
	b := newBench(t, cloud.TaskSpec{})
	return cloudtest.JobsBench{
		Jobs: b.jobs,
		Says: func(t *testing.T, id string) {
			t.Helper()
			b.says(id)
		},
		Kill: func(t *testing.T, job cloud.Job) {
			t.Helper()
			r, err := b.jobs.read(job.ID)
			if err == nil {
				err = syscall.Kill(r.Pid, syscall.SIGKILL)
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	}
}

// served is a home with a server whose clock a test can set.
type served struct {
	home  *Home
	ahead atomic.Int64 // of that of the machine
	stop  func()
}

func schedulesBench(t *testing.T) cloudtest.SchedulesBench {
	s := &served{home: home(t)}
	s.serve(t)
	t.Cleanup(func() { s.stop() })
	return cloudtest.SchedulesBench{World: clouds(t, s.home), Now: s.now, Pass: s.pass, Outage: func(t *testing.T, d time.Duration) {
		s.stop()
		s.ahead.Add(int64(d))
		s.serve(t)
		s.settle(t)
	}}
}

func (s *served) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

func (s *served) serve(t *testing.T) {
	t.Helper()
	table, err := s.home.Timetable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var over sync.WaitGroup
	over.Go(func() {
		_, err := server.Run(ctx, server.Options{
			Store: table, Jobs: func(scope cloud.Scope) cloud.Jobs { return s.home.Jobs(scope, scriptJobs()) },
			Now: s.now, Log: slog.New(slog.DiscardHandler),
		})
		if err = errors.Join(err, table.Close()); err != nil {
			t.Error(err)
		}
	})
	s.stop = func() {
		cancel()
		over.Wait()
	}
}

// pass goes in steps: what is more than a minute late counts as missed.
func (s *served) pass(t *testing.T, d time.Duration) {
	t.Helper()
	for d > 0 {
		step := min(d, 40*time.Second)
		s.ahead.Add(int64(step))
		d -= step
		s.until(t, func(e server.Entry) bool {
			e.Fires.Pending = nil // it is decided, and may take as long as it does
			return s.decided(e)
		})
	}
	s.settle(t)
}

// decided reports whether nothing of e is due that is not started.
func (s *served) decided(e server.Entry) bool {
	return server.Survey([]server.Entry{e}, s.now().Add(5*time.Second)).Overdue.IsZero()
}

// settle waits until all that is due has been started.
func (s *served) settle(t *testing.T) {
	t.Helper()
	s.until(t, func(e server.Entry) bool {
		return s.decided(e) && len(e.Fires.Pending) == 0
	})
}

// until waits until it is so for every schedule that is enabled.
func (s *served) until(t *testing.T, ok func(server.Entry) bool) {
	t.Helper()
	for {
		list, err := s.home.AllSchedules()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(list, func(e server.Entry) bool { return e.Schedule.Enabled && !ok(e) }) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// awaitJobs leaves no job behind.
func awaitJobs(t *testing.T, h *Home) {
	err := eachPart(filepath.Join(h.dir, "jobs"), func(stage, dir string) error {
		return eachPart(dir, func(group, _ string) error {
			return h.eachTask("jobs", cloud.Scope{Stage: stage, ResourceGroup: group}, func(s cloud.Scope, _ string) error {
				jobs := h.Jobs(s, JobOptions{})
				for range 3000 {
					if ids, err := jobs.ids(); err != nil || !slices.ContainsFunc(ids, jobs.busy) {
						return err
					}
					time.Sleep(10 * time.Millisecond)
				}
				return errors.New("jobs are still active")
			})
		})
	})
	if err != nil {
		t.Error(err)
	}
}
