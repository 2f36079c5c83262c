package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/atomicfile"
	"github.com/handoff-run/handoff/internal/cloud"
)

func (i *Infra) planTask(ctx context.Context, want cloud.Want) (plan, error) {
	if i.scope.Task == "" {
		return plan{}, fmt.Errorf("%w scope: no task", cloud.ErrInvalid)
	}
	if err := want.Task.Check(); err != nil {
		return plan{}, err
	}
	old, hash, err := i.home.task(i.scope)
	missing := errors.Is(err, cloud.ErrNotFound)
	damaged := errors.Is(err, cloud.ErrCorrupt)
	if err != nil && !missing && !(damaged && want.Absent) {
		return plan{}, err
	}
	p := plan{exists: !missing, token: hash}
	c := cloud.Change{Kind: cloud.KindTask, Name: i.scope.Task}
	if want.Absent {
		if missing {
			return p, nil
		}
		if err := errors.Join(i.unscheduled(ctx), i.idle(ctx)); err != nil {
			return plan{}, err
		}
		c.Action = cloud.ActionDelete
		p.change, p.apply = &c, func(context.Context) error { return removeFile(i.home.taskFile(i.scope)) }
		return p, nil
	}
	now := time.Now().UTC()
	r := registration{Format: 1, Name: i.scope.Task, Spec: want.Task, Created: now, Updated: now}
	c.Action, c.Detail = cloud.ActionCreate, strings.Join(differences(cloud.TaskSpec{}, want.Task), ", ")
	if !missing {
		diff := differences(old.Spec, want.Task)
		if len(diff) == 0 {
			return p, nil
		}
		c.Action, c.Detail, r.Created = cloud.ActionUpdate, strings.Join(diff, ", "), old.Created
	}
	p.change, p.apply = &c, func(context.Context) error { return writeJSON(i.home.taskFile(i.scope), r) }
	return p, nil
}

// unscheduled returns a cloud.ErrConflict while the task has schedules: they could only fail.
func (i *Infra) unscheduled(ctx context.Context) error {
	list, err := i.home.Schedules(i.scope).List(ctx)
	if err != nil || len(list) == 0 {
		return err
	}
	return cloud.WithHint(fmt.Errorf("%w: task %q has the schedule %q", cloud.ErrConflict, i.scope.Task, list[0].TargetID),
		"delete its schedules first: `handoff cloud schedule delete`")
}

// idle returns a cloud.ErrConflict while a job of the task is active.
func (i *Infra) idle(ctx context.Context) error {
	return cloud.NeedIdle(ctx, i.home.Jobs(i.scope, JobOptions{}))
}

// differences says, for a person, what is different in b.
func differences(a, b cloud.TaskSpec) []string {
	var list []string
	add := func(key, old, now string) {
		switch {
		case old == now:
		case old == "":
			list = append(list, key+" "+now)
		case now == "":
			list = append(list, key+" "+old+" -> default")
		default:
			list = append(list, key+" "+old+" -> "+now)
		}
	}
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	add("release", short(a.Release), short(b.Release))
	add("image", a.Image, b.Image)
	add("cpu", number(a.CPU), number(b.CPU))
	add("memory", number(a.Memory), number(b.Memory))
	add("storage", number(a.Storage), number(b.Storage))
	add("timeout", number(int(a.Timeout/time.Second)), number(int(b.Timeout/time.Second)))
	add("overlap", string(a.Overlap), string(b.Overlap))
	if !maps.Equal(a.Env, b.Env) {
		list = append(list, "env "+strings.Join(changedKeys(a.Env, b.Env), " "))
	}
	return list
}

// short cuts a hash.
func short(hash string) string { return hash[:min(len(hash), 12)] }

// changedKeys shows no values: an environment may hold more than it should.
func changedKeys(a, b map[string]string) []string {
	keys := map[string]bool{}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			keys[k] = true
		}
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			keys[k] = true
		}
	}
	return slices.Sorted(maps.Keys(keys))
}

func (i *Infra) taskStatus() ([]cloud.Resource, error) {
	scopes := []cloud.Scope{i.scope}
	if i.scope.Task == "" {
		var err error
		if scopes, err = i.registered(); err != nil {
			return nil, err
		}
	}
	var list []cloud.Resource
	for _, s := range scopes {
		r, _, err := i.home.task(s)
		if errors.Is(err, cloud.ErrNotFound) {
			continue
		}
		res := cloud.Resource{
			Kind: cloud.KindTask, Name: s.Task, Client: s.Client, State: "registered", Updated: r.Updated, Detail: describe(r.Spec),
		}
		if err != nil {
			res.State, res.Detail = "damaged", map[string]string{"error": err.Error()}
		}
		list = append(list, res)
	}
	return list, nil
}

// registered returns the tasks of the group, with those of its clients last.
func (i *Infra) registered() ([]cloud.Scope, error) {
	group := i.home.groupDir("tasks", i.scope)
	var list []cloud.Scope
	look := func(client, dir string) error {
		tasks, err := fileNames(dir)
		for _, task := range tasks {
			list = append(list, cloud.Scope{Stage: i.scope.Stage, ResourceGroup: i.scope.ResourceGroup, Client: client, Task: task})
		}
		return err
	}
	err := errors.Join(look("", group), eachPart(filepath.Join(group, clientsDir), look))
	return list, err
}

func describe(s cloud.TaskSpec) map[string]string {
	detail := map[string]string{}
	for _, d := range differences(cloud.TaskSpec{}, s) {
		key, value, _ := strings.Cut(d, " ")
		detail[key] = value
	}
	if s.Release != "" {
		detail["release"] = s.Release
	}
	return detail
}

// writeJSON replaces a small file; the caller holds a lock.
func writeJSON(path string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return atomicfile.WriteDurable(path, append(text, '\n'), 0o600)
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !notThere(err) {
		return err
	}
	return syncDir(filepath.Dir(path))
}
