package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/schedule"
)

// serverText is what the lock of a server says.
const serverText = "process %d\nsince %s\n"

// Scheduler returns what is known of the server of the home.
func (h *Home) Scheduler() cloud.Scheduler { return scheduler{h} }

type scheduler struct{ home *Home }

// overdueAfter is how long a server may take for a fire.
const overdueAfter = 5 * time.Second

// Running implements cloud.Scheduler.
func (s scheduler) Running(context.Context) (cloud.SchedulerStatus, error) {
	st := cloud.SchedulerStatus{Serves: s.home.dir}
	if err := s.look(&st); err != nil {
		return st, fmt.Errorf("find the server: %w", kind(err))
	}
	return st, nil
}

// Status implements cloud.Scheduler.
func (s scheduler) Status(ctx context.Context) (cloud.SchedulerStatus, error) {
	st, err := s.Running(ctx)
	if err != nil {
		return st, err
	}
	list, err := s.home.AllSchedules()
	if err != nil {
		return st, err
	}
	now := time.Now()
	for _, e := range list {
		if e.Err != nil || !e.Schedule.Enabled {
			continue
		}
		st.Schedules++
		if e.Schedule.Last.After(st.Last) {
			st.Last = e.Schedule.Last
		}
		if next := e.Schedule.Next; !next.IsZero() && (st.Next.IsZero() || next.Before(st.Next)) {
			st.Next = next
		}
		if due := undecided(e, now); !due.IsZero() && (st.Overdue.IsZero() || due.Before(st.Overdue)) {
			st.Overdue = due
		}
	}
	return st, nil
}

// look reads the lock of the server.
func (s scheduler) look(st *cloud.SchedulerStatus) error {
	f, err := os.Open(filepath.Join(s.home.dir, serverLock))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // frees the lock
	if !errors.Is(flock(f, unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK) {
		return nil
	}
	st.Running = true
	var since string
	if _, err := fmt.Fscanf(f, serverText, &st.Pid, &since); err == nil {
		st.Since, _ = time.Parse(time.RFC3339, since)
	}
	return nil
}

// undecided returns the oldest fire that a server should have started by now, zero where there is none.
func undecided(e cloud.ScheduleEntry, now time.Time) time.Time {
	late := now.Add(-overdueAfter)
	if len(e.Fires.Pending) > 0 {
		if at := e.Fires.Pending[0].At; at.Before(late) {
			return at
		}
	}
	cron, err := schedule.Parse(e.Schedule.Cron)
	zone, zoneErr := schedule.Zone(e.Schedule.Timezone)
	if err != nil || zoneErr != nil {
		return time.Time{}
	}
	if next, ok := cron.From(e.Since).Next(e.Fires.Through, zone); ok && next.Before(late) {
		return next.UTC()
	}
	return time.Time{}
}
