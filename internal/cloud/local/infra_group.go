package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/handoff-run/handoff/internal/atomicfile"
	"github.com/handoff-run/handoff/internal/cloud"
)

// planBucket makes or removes the folder of the bucket. Files would make it, too, but a person wants to see it made.
func (i *Infra) planBucket(ctx context.Context, want cloud.Want) (plan, error) {
	dir := i.home.BucketDir(i.scope)
	there, err := isDir(dir)
	p := plan{exists: there}
	if err != nil || there != want.Absent {
		return p, err
	}
	c := cloud.Change{Action: cloud.ActionCreate, Kind: cloud.KindBucket, Name: i.groupName(), Detail: dir}
	if !want.Absent {
		p.change, p.apply = &c, func(context.Context) error { return makeDirs(dir) }
		return p, nil
	}
	some, err := i.hasObjects(ctx)
	if err != nil {
		return plan{}, err
	}
	if some && !want.Force {
		return plan{}, cloud.WithHint(fmt.Errorf("%w: bucket %q is not empty", cloud.ErrConflict, i.groupName()),
			"everything in it would be lost: releases, artifacts, state and run records of all tasks of the group; add --force if that is meant")
	}
	if err := i.allIdle(ctx); err != nil {
		return plan{}, err
	}
	c.Action = cloud.ActionDelete
	p.change = &c
	return i.deletion(p, func() error { return i.home.discard(dir) })
}

// deletion completes a plan to delete something that is made anew under its old name: its token is the mark that the last deletion has
// left, and do comes after a new one. So no plan deletes what was made after another deletion.
func (i *Infra) deletion(p plan, do func() error) (plan, error) {
	path := filepath.Join(i.home.groupDir("tasks", i.scope), "."+string(p.change.Kind))
	mark, err := atomicfile.Read(path)
	if err != nil && !notThere(err) {
		return plan{}, err
	}
	p.token = string(mark)
	p.apply = func(context.Context) error {
		if err := atomicfile.WriteDurable(path, []byte(rand.Text()), 0o600); err != nil {
			return err
		}
		return do()
	}
	return p, nil
}

func (i *Infra) hasObjects(ctx context.Context) (bool, error) {
	for _, err := range i.home.Files(i.scope).List(ctx, "") {
		return err == nil, err
	}
	return false, nil
}

// planResources makes the folders of jobs and logs, or removes them with all that they hold.
func (i *Infra) planResources(ctx context.Context, want cloud.Want) (plan, error) {
	there, err := isDir(i.home.groupDir("jobs", i.scope))
	p := plan{exists: there}
	if err != nil || there != want.Absent {
		return p, err
	}
	c := cloud.Change{Action: cloud.ActionCreate, Kind: cloud.KindResources, Name: i.groupName(), Detail: "job and log store"}
	if !want.Absent {
		p.change, p.apply = &c, func(context.Context) error { return i.eachRoom(makeDirs) }
		return p, nil
	}
	if err := i.unused(ctx); err != nil {
		return plan{}, err
	}
	c.Action, c.Detail = cloud.ActionDelete, "job records and logs of the resource group"
	p.change = &c
	return i.deletion(p, func() error { return i.eachRoom(i.home.discard) })
}

func (i *Infra) eachRoom(do func(dir string) error) error {
	for _, room := range []string{"jobs", "logs"} {
		if err := do(i.home.groupDir(room, i.scope)); err != nil {
			return err
		}
	}
	return nil
}

// unused returns a cloud.ErrConflict while a task is registered or a job is active.
func (i *Infra) unused(ctx context.Context) error {
	group := *i
	group.scope.Task, group.scope.Client = "", ""
	tasks, err := group.taskStatus()
	if err != nil {
		return err
	}
	if len(tasks) > 0 {
		return cloud.WithHint(fmt.Errorf("%w: task %q is registered in it", cloud.ErrConflict, tasks[0].Name),
			"delete it first: `handoff cloud task delete`")
	}
	return i.allIdle(ctx)
}

// allIdle returns a cloud.ErrConflict while a job of a task of the group is active.
func (i *Infra) allIdle(ctx context.Context) error {
	return i.home.eachTask("jobs", i.scope, func(s cloud.Scope, _ string) error { return i.home.Infra(s).idle(ctx) })
}

func (i *Infra) bucketStatus(ctx context.Context) ([]cloud.Resource, error) {
	dir := i.home.BucketDir(i.scope)
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	objects, size := 0, int64(0)
	for o, err := range i.home.Files(i.scope).List(ctx, "") {
		if err != nil {
			return nil, err
		}
		objects++
		size += o.Size
	}
	return []cloud.Resource{{
		Kind: cloud.KindBucket, Name: i.groupName(), State: "available", Updated: info.ModTime().UTC(),
		Detail: map[string]string{"folder": dir, "objects": strconv.Itoa(objects), "bytes": strconv.FormatInt(size, 10)},
	}}, nil
}

func (i *Infra) resourcesStatus(ctx context.Context) ([]cloud.Resource, error) {
	dir := i.home.groupDir("jobs", i.scope)
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	active := 0
	err = i.home.eachTask("jobs", i.scope, func(s cloud.Scope, _ string) error {
		for _, err := range i.home.Jobs(s, JobOptions{}).List(ctx, cloud.JobQuery{Active: true}) {
			if err != nil {
				return err
			}
			active++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return []cloud.Resource{{
		Kind: cloud.KindResources, Name: i.groupName(), State: "available", Updated: info.ModTime().UTC(),
		Detail: map[string]string{"jobs": dir, "logs": i.home.groupDir("logs", i.scope), "active_jobs": strconv.Itoa(active)},
	}}, nil
}

// groupName is unique in the home.
func (i *Infra) groupName() string { return i.scope.Stage + "/" + i.scope.ResourceGroup }

func isDir(path string) (bool, error) {
	info, err := os.Stat(path)
	if notThere(err) {
		return false, nil
	}
	return err == nil && info.IsDir(), kind(err)
}

// makeDirs makes a folder durable, with those around it.
func makeDirs(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDirs(dir, filepath.Dir(dir), filepath.Dir(filepath.Dir(dir)))
}

// discard removes a folder: at one stroke from its place, then its content.
func (h *Home) discard(dir string) error {
	if err := h.emptyTrash(); err != nil {
		return err
	}
	rel, err := filepath.Rel(h.dir, dir)
	if err != nil {
		return err
	}
	gone := filepath.Join(h.dir, "trash", strings.ReplaceAll(rel, string(filepath.Separator), "@"))
	if err := os.Rename(dir, gone); err != nil && !notThere(err) {
		return err
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	return os.RemoveAll(gone)
}

// emptyTrash removes what a killed process has left there, and makes the folder.
func (h *Home) emptyTrash() error {
	trash := filepath.Join(h.dir, "trash")
	if err := os.MkdirAll(trash, 0o700); err != nil {
		return err
	}
	left, err := names(trash)
	for _, name := range left {
		err = errors.Join(err, os.RemoveAll(filepath.Join(trash, name)))
	}
	return err
}
