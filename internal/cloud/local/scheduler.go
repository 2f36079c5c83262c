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
	"github.com/handoff-run/handoff/internal/server"
)

// serverText is what the lock of a server says.
const serverText = "process %d\nsince %s\n"

// Scheduler returns what is known of the server of the home.
func (h *Home) Scheduler() cloud.Scheduler { return scheduler{h} }

type scheduler struct{ home *Home }

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
	all := server.Survey(list, time.Now())
	all.Running, all.Serves, all.Pid, all.Since = st.Running, st.Serves, st.Pid, st.Since
	return all, nil
}

// Unstarted implements cloud.Scheduler.
func (s scheduler) Unstarted(_ context.Context, scope cloud.Scope) (map[string]string, error) {
	fires, err := readJournal(s.home.journalPath(), server.Key{Scope: scope}.String())
	if err != nil {
		return nil, fmt.Errorf("read what has become of fires: %w", kind(err))
	}
	why := map[string]string{}
	for id, state := range fires {
		key, ok := parseKey(id)
		if e := s.home.entry(key); ok && state.Note != "" && !e.Gone && state.Through.After(e.Schedule.Since) {
			why[key.TargetID] = state.Note
		}
	}
	return why, nil
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
	defer f.Close() // frees the lock
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
