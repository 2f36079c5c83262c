package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/release"
)

// InfraOptions says what to make, change or remove around the jobs of a project.
type InfraOptions struct {
	Target
	Kind    cloud.Kind
	Update  bool   // it has to exist already
	Absent  bool   // it shall not exist
	Force   bool   // with Absent: whatever it holds
	Release string // of KindTask: what its jobs run; "": the current one
	DryRun  bool
	Anew    bool                       // where somebody else changes it at the same time, look again and go on; else that is cloud.ErrConflict
	Confirm func([]cloud.Change) error // asked before anything is deleted or replaced; an error stops it; nil: nobody is asked
	Step    func(cloud.Step)           // may be nil
}

// InfraResult tells what was changed, or would be.
type InfraResult struct {
	Status  string         `json:"status"` // success; planned
	Kind    cloud.Kind     `json:"kind"`
	Changes []cloud.Change `json:"changes"`
	Message string         `json:"message,omitempty"`
}

// Infra makes the world as the project wants it.
func (a *App) Infra(ctx context.Context, o InfraOptions) (res InfraResult, err error) {
	c, p, err := a.openKind(ctx, o.Target, o.Kind)
	if err != nil {
		return InfraResult{}, err
	}
	want := cloud.Want{Kind: o.Kind, Absent: o.Absent, Force: o.Force}
	if o.Kind == cloud.KindTask {
		if err := needTask(c); err != nil {
			return InfraResult{}, err
		}
		if want.Task, err = taskSpec(p, o); err != nil {
			return InfraResult{}, err
		}
	}
	err = cloud.Compete(ctx, func() (again bool, err error) {
		res, again, err = o.change(ctx, c, want)
		return again, err
	})
	if err != nil {
		return InfraResult{}, err
	}
	if o.Kind == cloud.KindTask && !o.Absent && !o.DryRun && len(res.Changes) > 0 {
		a.warnUnpushed(ctx, c)
	}
	return res, nil
}

// change plans what has to change, and does it. again: somebody else has changed it meanwhile, and o wants to go on.
func (o InfraOptions) change(ctx context.Context, c *cloud.Cloud, want cloud.Want) (res InfraResult, again bool, err error) {
	plan, err := c.Infra.Plan(ctx, want)
	if err == nil {
		err = o.check(plan)
	}
	if err != nil {
		return InfraResult{}, false, err
	}
	res = InfraResult{Status: status(o.DryRun), Kind: o.Kind, Changes: plan.Changes, Message: infraMessage(c, o.Kind, plan.Changes)}
	if len(plan.Changes) == 0 {
		res.Changes = []cloud.Change{}
		return res, false, nil
	}
	if o.DryRun {
		return res, false, nil
	}
	if o.Confirm != nil && destroys(plan.Changes) {
		if err := o.Confirm(plan.Changes); err != nil {
			return InfraResult{}, false, err
		}
	}
	err = c.Infra.Apply(ctx, plan, o.Step)
	return res, o.Anew && errors.Is(err, cloud.ErrConflict), err
}

// openKind is openScope for a kind of infrastructure: clients have a role and a task of their own; all else is that of the resource
// group, of which a client may have another one.
func (a *App) openKind(ctx context.Context, t Target, k cloud.Kind) (*cloud.Cloud, *project.Project, error) {
	if k == cloud.KindRole || k == cloud.KindTask || t.Client == "" {
		return a.openScope(ctx, t)
	}
	var p *project.Project
	if t.ProjectDir != "" {
		var err error
		if p, err = a.load(t); err != nil {
			return nil, nil, err
		}
	}
	t.Client = ""
	c, err := a.openCloud(ctx, t, p)
	return c, p, err
}

// check refuses to update what is not there.
func (o InfraOptions) check(p cloud.Plan) error {
	if !o.Update || p.Exists || len(p.Changes) == 0 {
		return nil
	}
	return &UsageError{
		Message: fmt.Sprintf("there is no %s %q to update", o.Kind, p.Changes[0].Name),
		Hint:    fmt.Sprintf("make it with `handoff cloud %s create`", o.Kind),
	}
}

func destroys(changes []cloud.Change) bool {
	for _, c := range changes {
		if c.Action == cloud.ActionDelete || c.Action == cloud.ActionReplace {
			return true
		}
	}
	return false
}

func infraMessage(c *cloud.Cloud, k cloud.Kind, changes []cloud.Change) string {
	switch {
	case len(changes) > 0:
		return ""
	case k == cloud.KindRole && c.Notes[k] != "":
		return "nothing to do: with this provider " + c.Notes[k]
	}
	return "nothing to do: it is up to date"
}

// warnUnpushed says that jobs of the task would find nothing to run.
func (a *App) warnUnpushed(ctx context.Context, c *cloud.Cloud) {
	if list, err := release.Open(c).List(ctx); err == nil && len(list) == 0 {
		a.Log.Warn("nothing has been pushed for this task yet: its jobs fail until you run `handoff project push`")
	}
}

// taskSpec is what deploy says of the task.
func taskSpec(p *project.Project, o InfraOptions) (cloud.TaskSpec, error) {
	if o.Absent {
		return cloud.TaskSpec{}, nil
	}
	if p == nil {
		return cloud.TaskSpec{}, &UsageError{
			Message: "no project given, and there is no project.yml in this folder", Hint: "add -p FOLDER: cpu, memory and env of a task are those of its project",
		}
	}
	d := p.Deploy
	return cloud.TaskSpec{
		Release: o.Release, Image: d.ContainerImage, CPU: d.CPU, Memory: d.Memory, Storage: d.Storage, Overlap: cloud.Overlap(d.Overlap), Env: d.Env,
	}, nil
}

// InfraStatusResult tells what exists.
type InfraStatusResult struct {
	Status    string           `json:"status"`
	Kind      cloud.Kind       `json:"kind"`
	Resources []cloud.Resource `json:"resources"`
}

// InfraStatus returns what exists of a kind.
func (a *App) InfraStatus(ctx context.Context, t Target, k cloud.Kind) (res InfraStatusResult, err error) {
	c, _, err := a.openKind(ctx, t, k)
	if err != nil {
		return InfraStatusResult{}, err
	}
	list, err := c.Infra.Status(ctx, k)
	if list == nil {
		list = []cloud.Resource{}
	}
	return InfraStatusResult{Status: "success", Kind: k, Resources: list}, err
}

// ChangeText is a change as a line for a person.
func ChangeText(c cloud.Change) string {
	text := fmt.Sprintf("%s %s %s", c.Action, c.Kind, c.Name)
	if c.Detail != "" {
		text += ": " + c.Detail
	}
	return strings.TrimSpace(text)
}
