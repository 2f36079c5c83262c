package local

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/schedule"
	"github.com/handoff-run/handoff/internal/server"
)

// Schedules keeps the schedules of one task, each in the file <home>/schedules/<env stage>/<group>/<task>/<target>.json (taskDir).
// It starts nothing: that is for a server, which reads them through Timetable.
type Schedules struct {
	home  *Home
	scope cloud.Scope
	dir   string
}

var _ cloud.Schedules = (*Schedules)(nil)

// Schedules returns the schedules of a scope.
func (h *Home) Schedules(s cloud.Scope) *Schedules {
	return &Schedules{home: h, scope: s, dir: h.taskDir(schedulesRoom, s)}
}

// The names of what is below schedulesRoom; no encoded name has an "@" in front.
const (
	schedulesRoom = "schedules"
	scheduleLock  = "@lock"    // in the folder of a task: held while a schedule of it changes, shared while one fires
	changesFile   = "@changes" // a line for each change, for a server that is running
	journalFile   = "@journal" // what became of fires
)

// scheduleFile is the file of a schedule.
type scheduleFile struct {
	Format int `json:"handoff_schedule"` // 1
	cloud.Schedule
	Created time.Time `json:"created"`
}

// Put implements cloud.Schedules. A schedule that is there already as it is stays as it is.
func (s *Schedules) Put(ctx context.Context, sch cloud.Schedule) error {
	if err := s.put(ctx, sch); err != nil {
		return fmt.Errorf("put schedule %q: %w", sch.TargetID, kind(err))
	}
	return nil
}

func (s *Schedules) put(ctx context.Context, sch cloud.Schedule) error {
	if err := s.check(ctx, sch); err != nil {
		return err
	}
	if _, _, err := s.home.task(s.scope); err != nil {
		return err
	}
	unlock, err := s.lock(ctx, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlock()
	now := time.Now().UTC()
	sch.Since, sch.Damage = now, ""
	file := scheduleFile{Format: 1, Schedule: sch, Created: now}
	old, err := readSchedule(s.path(sch.TargetID))
	if err == nil {
		file.Created = old.Created
	}
	if err != nil || !old.Same(sch) {
		if err := writeJSON(s.path(sch.TargetID), file); err != nil {
			return err
		}
	}
	return s.announce(sch.TargetID)
}

func (s *Schedules) check(ctx context.Context, sch cloud.Schedule) error {
	if s.scope.Task == "" {
		return fmt.Errorf("%w scope: no task", cloud.ErrInvalid)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := sch.Check(); err != nil {
		return err
	}
	if _, err := schedule.Parse(sch.Cron); err != nil {
		return fmt.Errorf("%w cron: %w", cloud.ErrInvalid, err)
	}
	if _, err := schedule.Zone(sch.Timezone); err != nil {
		return fmt.Errorf("%w timezone: %w", cloud.ErrInvalid, err)
	}
	return nil
}

// List implements cloud.Schedules.
func (s *Schedules) List(ctx context.Context) ([]cloud.Schedule, error) {
	list, err := s.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("list schedules: %w", kind(err))
	}
	return list, nil
}

func (s *Schedules) list(ctx context.Context) ([]cloud.Schedule, error) {
	if s.scope.Task == "" {
		return nil, fmt.Errorf("%w scope: no task", cloud.ErrInvalid)
	}
	targets, err := fileNames(s.dir)
	if err != nil {
		return nil, err
	}
	var list []cloud.Schedule
	for _, target := range targets {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		file, err := readSchedule(s.path(target))
		switch {
		case errors.Is(err, cloud.ErrNotFound): // deleted meanwhile
			continue
		case errors.Is(err, cloud.ErrCorrupt):
			list = append(list, cloud.Schedule{TargetID: target, Damage: err.Error()})
			continue
		case err != nil:
			return nil, err
		}
		list = append(list, file.Schedule)
	}
	slices.SortFunc(list, func(a, b cloud.Schedule) int { return cmp.Compare(a.TargetID, b.TargetID) })
	return list, nil
}

// Delete implements cloud.Schedules.
func (s *Schedules) Delete(ctx context.Context, targets ...string) error {
	if err := s.delete(ctx, targets); err != nil {
		return fmt.Errorf("delete schedules: %w", kind(err))
	}
	return nil
}

func (s *Schedules) delete(ctx context.Context, ids []string) error {
	if s.scope.Task == "" {
		return fmt.Errorf("%w scope: no task", cloud.ErrInvalid)
	}
	if there, err := isDir(s.dir); err != nil || !there {
		return err
	}
	unlock, err := s.lock(ctx, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlock()
	for _, id := range ids {
		if err := removeFile(s.path(id)); err != nil {
			return err
		}
		if err := s.announce(id); err != nil {
			return err
		}
	}
	return nil
}

func (s *Schedules) path(id string) string {
	return filepath.Join(s.dir, encodePart(id)+".json")
}

func (s *Schedules) lock(ctx context.Context, how int) (unlock func(), err error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	f, err := lockFile(ctx, filepath.Join(s.dir, scheduleLock), how)
	if err != nil {
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// announce tells a server that is running which schedule to look at. A server that starts looks at all of them.
func (s *Schedules) announce(id string) error {
	f, err := os.OpenFile(filepath.Join(s.home.dir, schedulesRoom, changesFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(server.Key{Scope: s.scope, TargetID: id}.String() + "\n")
	return errors.Join(err, f.Close())
}

// fileNames returns what the files <name>.json in dir are named for.
func fileNames(dir string) ([]string, error) {
	files, err := names(dir)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, file := range files {
		part, ok := strings.CutSuffix(file, ".json")
		if target, plain := decodePart(part); ok && plain {
			list = append(list, target)
		}
	}
	return list, nil
}

func readSchedule(path string) (*scheduleFile, error) {
	text, err := readRaw(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("schedule: %w", cloud.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	var f scheduleFile
	if err := json.Unmarshal(text, &f); err != nil || f.Format != 1 || f.Check() != nil || filepath.Base(path) != encodePart(f.TargetID)+".json" {
		return nil, cloud.WithHint(fmt.Errorf("schedule: %w file %s", cloud.ErrCorrupt, path),
			"create it anew with `handoff cloud schedule create`, or delete it")
	}
	return &f, nil
}
