package memory

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Infra makes and removes what a scope needs around its jobs. There are no roles.
type Infra struct{ room }

var _ cloud.Infra = (*Infra)(nil)

// change is what one kind needs; apply makes it, while the World is locked.
type change struct {
	exists bool
	change cloud.Change // without an action: nothing is to be done
	token  string
	apply  func()
}

// Plan implements cloud.Infra.
func (i *Infra) Plan(ctx context.Context, want cloud.Want) (cloud.Plan, error) {
	leave, err := i.enter(ctx, false)
	if err != nil {
		return cloud.Plan{}, fmt.Errorf("plan %s: %w", want.Kind, err)
	}
	defer leave()
	c, err := i.plan(want)
	if err != nil {
		return cloud.Plan{}, fmt.Errorf("plan %s: %w", want.Kind, err)
	}
	return c.plan(i.scope, want), nil
}

func (c change) plan(s cloud.Scope, want cloud.Want) cloud.Plan {
	p := cloud.Plan{Scope: s, Want: want, Exists: c.exists, Token: c.token}
	if c.change.Action != "" {
		p.Changes = []cloud.Change{c.change}
	}
	return p
}

func (i *Infra) plan(want cloud.Want) (change, error) {
	switch want.Kind {
	case cloud.KindRole:
		return change{exists: true}, nil
	case cloud.KindBucket:
		return i.planBucket(want)
	case cloud.KindResources:
		return i.planResources(want)
	case cloud.KindTask:
		return i.planTask(want)
	}
	return change{}, fmt.Errorf("%w kind", cloud.ErrInvalid)
}

// Apply implements cloud.Infra.
func (i *Infra) Apply(ctx context.Context, p cloud.Plan, step func(cloud.Step)) error {
	if err := p.Check(i.scope); err != nil {
		return err
	}
	if step == nil {
		step = func(cloud.Step) {}
	}
	for _, c := range p.Changes {
		step(cloud.Step{Change: c})
	}
	if err := i.apply(ctx, p); err != nil {
		err = fmt.Errorf("apply %s: %w", p.Want.Kind, err)
		for _, c := range p.Changes {
			step(cloud.Step{Change: c, Done: true, Err: err})
		}
		return err
	}
	for _, c := range p.Changes {
		step(cloud.Step{Change: c, Done: true})
	}
	return nil
}

func (i *Infra) apply(ctx context.Context, p cloud.Plan) error {
	leave, err := i.enter(ctx, false)
	if err != nil {
		return err
	}
	defer leave()
	if len(p.Changes) == 0 {
		return nil
	}
	c, err := i.plan(p.Want)
	if err != nil {
		return err
	}
	if now := c.plan(i.scope, p.Want); now.Token != p.Token || !slices.Equal(now.Changes, p.Changes) {
		return cloud.WithHint(fmt.Errorf("%w: it has changed since the plan was made", cloud.ErrConflict), "make the plan anew")
	}
	c.apply()
	return nil
}

// groupName is unique in the account.
func (i *Infra) groupName() string { return i.scope.Stage + "/" + i.scope.ResourceGroup }

func (i *Infra) planBucket(want cloud.Want) (change, error) {
	g := i.group()
	objects := len(g.files.Keys())
	c := change{exists: !g.bucket.IsZero() || objects > 0}
	if c.exists != want.Absent {
		return c, nil
	}
	c.change = cloud.Change{Action: cloud.ActionCreate, Kind: cloud.KindBucket, Name: i.groupName()}
	c.apply = func() { g.bucket = i.now() }
	if !want.Absent {
		return c, nil
	}
	if objects > 0 && !want.Force {
		return c, cloud.WithHint(fmt.Errorf("%w: bucket %q is not empty", cloud.ErrConflict, i.groupName()), "add --force if everything in it is to be lost")
	}
	c.change.Action, c.token = cloud.ActionDelete, strconv.Itoa(g.deleted[want.Kind])
	c.apply = func() {
		g.files.clear()
		g.bucket = time.Time{}
		g.deleted[want.Kind]++
	}
	return c, i.idle(i.neighbours()...)
}

func (i *Infra) planResources(want cloud.Want) (change, error) {
	g := i.group()
	c := change{exists: !g.resources.IsZero()}
	if c.exists != want.Absent {
		return c, nil
	}
	c.change = cloud.Change{Action: cloud.ActionCreate, Kind: cloud.KindResources, Name: i.groupName()}
	c.apply = func() { g.resources = i.now() }
	if !want.Absent {
		return c, nil
	}
	c.change.Action, c.token = cloud.ActionDelete, strconv.Itoa(g.deleted[want.Kind])
	c.apply = func() {
		g.resources = time.Time{}
		g.deleted[want.Kind]++
		for _, in := range i.neighbours() {
			t := in.task()
			t.jobs = nil
			t.logs.clear()
		}
	}
	for _, in := range i.neighbours() {
		if in.task().spec != nil {
			return c, cloud.WithHint(fmt.Errorf("%w: task %q is registered in it", cloud.ErrConflict, in.scope.Task), "delete it first: `handoff cloud task delete`")
		}
	}
	return c, i.idle(i.neighbours()...)
}

// idle returns a cloud.ErrConflict while a job is active.
func (i *Infra) idle(rooms ...room) error {
	for _, in := range rooms {
		for _, j := range in.task().jobs {
			if !j.State.Ended() {
				return cloud.WithHint(fmt.Errorf("%w: job %s of task %q is %s", cloud.ErrConflict, j.ID, j.Task, j.State),
					"stop it with `handoff cloud job stop`, or wait for its end")
			}
		}
	}
	return nil
}

func (i *Infra) planTask(want cloud.Want) (change, error) {
	if i.scope.Task == "" {
		return change{}, fmt.Errorf("%w scope: no task", cloud.ErrInvalid)
	}
	if err := want.Task.Check(); err != nil {
		return change{}, err
	}
	t := i.task()
	c := change{exists: t.spec != nil, token: strconv.Itoa(t.version)}
	c.change = cloud.Change{Kind: cloud.KindTask, Name: i.scope.Task}
	c.apply = func() {
		t.spec, t.registered = &want.Task, i.now()
		t.version++
	}
	switch {
	case want.Absent && c.exists:
		c.change.Action = cloud.ActionDelete
		c.apply = func() {
			t.spec = nil
			t.version++
		}
		return c, errors.Join(i.unscheduled(), i.idle(i.room))
	case !want.Absent && !c.exists:
		c.change.Action = cloud.ActionCreate
	case !want.Absent && !reflect.DeepEqual(*t.spec, want.Task):
		c.change.Action, c.change.Detail = cloud.ActionUpdate, "version "+c.token+" of the task is another one"
	}
	return c, nil
}

// unscheduled returns a cloud.ErrConflict while the task has schedules: they could only fail.
func (i *Infra) unscheduled() error {
	for target := range i.task().schedules {
		return cloud.WithHint(fmt.Errorf("%w: task %q has the schedule %q", cloud.ErrConflict, i.scope.Task, target),
			"delete its schedules first: `handoff cloud schedule delete`")
	}
	return nil
}

// Status implements cloud.Infra.
func (i *Infra) Status(ctx context.Context, kind cloud.Kind) ([]cloud.Resource, error) {
	leave, err := i.enter(ctx, false)
	if err != nil {
		return nil, fmt.Errorf("status of %s: %w", kind, err)
	}
	defer leave()
	g := i.group()
	switch kind {
	case cloud.KindRole:
	case cloud.KindBucket:
		if c, err := i.planBucket(cloud.Want{}); err == nil && c.exists {
			return []cloud.Resource{{Kind: kind, Name: i.groupName(), State: "available", Updated: g.bucket}}, nil
		}
	case cloud.KindResources:
		if !g.resources.IsZero() {
			return []cloud.Resource{{Kind: kind, Name: i.groupName(), State: "available", Updated: g.resources}}, nil
		}
	case cloud.KindTask:
		return i.registered(), nil
	default:
		return nil, fmt.Errorf("status: %w kind %q", cloud.ErrInvalid, kind)
	}
	return nil, nil
}

// registered returns the task of the scope, or those of the group.
func (i *Infra) registered() []cloud.Resource {
	var list []cloud.Resource
	for _, in := range i.neighbours() {
		t := in.task()
		if t.spec != nil && (i.scope.Task == "" || in.scope == i.scope) {
			r := cloud.Resource{Kind: cloud.KindTask, Name: in.scope.Task, Client: in.scope.Client, State: "registered", Updated: t.registered}
			if t.spec.Release != "" {
				r.Detail = map[string]string{"release": t.spec.Release}
			}
			list = append(list, r)
		}
	}
	return list
}
