package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/server"
)

// Timetable is what the one server of a home works with: the schedules of every scope, and the journal of their fires.
// Only Fire may be called by several goroutines.
type Timetable struct {
	home    *Home
	changes *os.File // read up to offset
	offset  int64
	all     []server.Entry // until the first call of Changes
	journal *journal
}

// serverLock is the file in the home that the one server keeps locked. It says who that is.
const serverLock = "server.lock"

// LockServer makes this process the one server of the home, until release is called or it dies. Where there is one
// already it is an ErrConflict, or, with wait, waits for its end.
func (h *Home) LockServer(ctx context.Context, wait bool) (release func(), err error) {
	path := filepath.Join(h.dir, serverLock)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the home: %w", kind(err))
	}
	for range 5 { // a look at the status has it for a moment
		if err = flock(f, unix.LOCK_EX|unix.LOCK_NB); err == nil || wait {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if wait && errors.Is(err, unix.EWOULDBLOCK) {
		err = lock(ctx, f, unix.LOCK_EX)
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		text, _ := io.ReadAll(io.LimitReader(f, 100))
		who, _, _ := bytes.Cut(text, []byte("\n"))
		err = cloud.WithHint(fmt.Errorf("%w: the home %s has a server already (%s)", cloud.ErrConflict, h.dir, bytes.TrimSpace(who)),
			"one is enough for all schedules; with --standby this one takes over when that one ends")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	text := fmt.Sprintf(serverText, os.Getpid(), time.Now().UTC().Format(time.RFC3339))
	_, _ = f.WriteAt([]byte(text), 0) // for people, and Status: without it the lock is the same
	_ = f.Truncate(int64(len(text)))
	return func() { _ = f.Close() }, nil
}

// Timetable opens the schedules of all scopes. The caller holds the lock of LockServer.
func (h *Home) Timetable(ctx context.Context) (*Timetable, error) {
	t, err := h.timetable(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the schedules: %w", kind(err))
	}
	return t, nil
}

func (h *Home) timetable(ctx context.Context) (*Timetable, error) {
	root := filepath.Join(h.dir, schedulesRoom)
	if err := makeDirs(root); err != nil {
		return nil, err
	}
	changes, err := os.OpenFile(filepath.Join(root, changesFile), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	// From here on a change is in that file, or was there before and is seen now.
	t := &Timetable{home: h, changes: changes}
	if err := t.load(ctx); err != nil {
		return nil, errors.Join(err, changes.Close())
	}
	return t, nil
}

func (t *Timetable) load(ctx context.Context) error {
	there := map[string]bool{}
	keys, err := t.home.scheduleKeys()
	if err != nil {
		return err
	}
	for _, key := range keys {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		there[key.String()] = true
		t.all = append(t.all, t.home.entry(key))
	}
	t.journal, err = openJournal(t.home.journalPath(), func(id string) bool { return there[id] })
	return err
}

// scheduleKeys walks <env stage>/<group>/<task>/<target>.json, and the clients of each group.
func (h *Home) scheduleKeys() ([]server.Key, error) {
	var keys []server.Key
	err := eachPart(filepath.Join(h.dir, schedulesRoom), func(stage, dir string) error {
		return eachPart(dir, func(group, _ string) error {
			return h.eachTask(schedulesRoom, cloud.Scope{Stage: stage, ResourceGroup: group}, func(s cloud.Scope, dir string) error {
				targets, err := fileNames(dir)
				slices.Sort(targets)
				for _, target := range targets {
					keys = append(keys, server.Key{Scope: s, TargetID: target})
				}
				return err
			})
		})
	})
	return keys, err
}

// AllSchedules returns the schedules of every scope, with what the journal says of them.
func (h *Home) AllSchedules() ([]server.Entry, error) {
	keys, err := h.scheduleKeys()
	if err != nil {
		return nil, fmt.Errorf("list schedules: %w", kind(err))
	}
	fires, err := readJournal(h.journalPath(), "")
	if err != nil {
		return nil, fmt.Errorf("list schedules: %w", kind(err))
	}
	var list []server.Entry
	for _, key := range keys {
		e := h.entry(key)
		if e.Gone { // meanwhile
			continue
		}
		if state := fires[key.String()]; state != nil {
			e.Fires = *state
		}
		e.Fires.Forget(e.Schedule.Since)
		list = append(list, e)
	}
	return list, nil
}

// eachTask calls do for each folder of a task of the group in a room, those of its clients last.
func (h *Home) eachTask(room string, group cloud.Scope, do func(s cloud.Scope, dir string) error) error {
	tasks := func(client, dir string) error {
		return eachPart(dir, func(task, dir string) error {
			s := group
			s.Client, s.Task = client, task
			return do(s, dir)
		})
	}
	dir := h.groupDir(room, group)
	return errors.Join(tasks("", dir), eachPart(filepath.Join(dir, clientsDir), tasks))
}

// eachPart calls do for each folder in dir whose name is an encoded one.
func eachPart(dir string, do func(name, dir string) error) error {
	parts, err := names(dir)
	if err != nil {
		return err
	}
	slices.Sort(parts)
	for _, part := range parts {
		if name, ok := decodePart(part); ok {
			if err := do(name, filepath.Join(dir, part)); err != nil {
				return err
			}
		}
	}
	return nil
}

// entry reads one schedule, without its fires.
func (h *Home) entry(key server.Key) server.Entry {
	file, err := readSchedule(h.Schedules(key.Scope).path(key.TargetID))
	switch {
	case errors.Is(err, cloud.ErrNotFound):
		return server.Entry{Key: key, Gone: true}
	case err != nil:
		return server.Entry{Key: key, Err: kind(err)}
	}
	return server.Entry{Key: key, Schedule: file.Schedule}
}

// Changes returns every schedule at the first call, and later those that may have changed since the last call.
func (t *Timetable) Changes(_ context.Context) ([]server.Entry, error) {
	list := t.all
	t.all = nil
	lines, err := t.announced()
	if err != nil {
		return list, fmt.Errorf("changes of schedules: %w", kind(err))
	}
	for _, line := range lines {
		if key, ok := parseKey(line); ok {
			list = append(list, t.home.entry(key))
		}
	}
	for i, e := range list {
		if s := t.journal.states[e.Key.String()]; s != nil && !e.Gone {
			list[i].Fires = *s
			list[i].Fires.Pending = slices.Clone(s.Pending)
		}
		list[i].Fires.Forget(e.Schedule.Since)
	}
	return list, nil
}

// announced returns the new lines of the file of changes, each once.
func (t *Timetable) announced() ([]string, error) {
	info, err := t.changes.Stat()
	if err != nil || info.Size() <= t.offset {
		return nil, err
	}
	text := make([]byte, info.Size()-t.offset)
	n, err := t.changes.ReadAt(text, t.offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	end := bytes.LastIndexByte(text[:n], '\n') + 1
	t.offset += int64(end)
	lines := strings.Fields(string(text[:end]))
	slices.Sort(lines)
	return slices.Compact(lines), nil
}

func parseKey(text string) (server.Key, bool) {
	p := strings.Split(text, "/")
	key := server.Key{Scope: cloud.Scope{Stage: p[0]}, TargetID: p[len(p)-1]}
	switch {
	case len(p) == 4:
		key.Scope.ResourceGroup, key.Scope.Task = p[1], p[2]
	case len(p) == 6 && p[2] == cloud.ClientsFolder:
		key.Scope.ResourceGroup, key.Scope.Client, key.Scope.Task = p[1], p[3], p[4]
	default:
		return key, false
	}
	return key, true
}

// Record writes down what is decided, or has happened to fires. durable: it outlives a crash of the machine. After an error
// none of it counts.
func (t *Timetable) Record(durable bool, records ...server.FireRecord) error {
	if err := t.journal.write(records, durable); err != nil {
		return kind(err)
	}
	return nil
}

// Fire calls start, unless the schedule e has been deleted or changed: then it returns false. While start runs, such a
// change waits.
func (t *Timetable) Fire(ctx context.Context, e server.Entry, start func() error) (there bool, err error) {
	s := t.home.Schedules(e.Key.Scope)
	unlock, err := s.lock(ctx, unix.LOCK_SH)
	if err != nil {
		return true, fmt.Errorf("lock schedule %s: %w", e.Key, kind(err))
	}
	defer unlock()
	now := t.home.entry(e.Key)
	if now.Gone || now.Err == nil && !now.Schedule.Since.Equal(e.Schedule.Since) {
		return false, nil
	}
	if now.Err != nil {
		return true, now.Err
	}
	return true, start()
}

// Close ends the work with the schedules.
func (t *Timetable) Close() error { return errors.Join(t.changes.Close(), t.journal.close()) }
