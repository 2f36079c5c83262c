package app

import (
	"context"
	"fmt"
	"slices"

	"github.com/handoff-run/handoff/internal/cloud"
)

// DestroyOptions says what of a deployment to take away.
type DestroyOptions struct {
	Target
	Clients []string // for whom; "" is nobody in particular; at least one
	AtOnce  int      // as in DeployOptions
	Data    bool     // also the secrets and, of nobody in particular, the releases
	Bucket  bool     // also what the jobs of the resource group share, and its bucket, which has to be empty
	Force   bool     // with Bucket: whatever the bucket holds
	DryRun  bool
	Confirm func(DeployResult) error // as in DeployOptions
	Step    func(DeployStep)         // as in DeployOptions
}

// Destroy takes away what Deploy puts in place, from the last to the first: for each client the schedules, the task and the role.
// Nothing that was loaded or stored goes, unless Data or Bucket say so. After an error the same call goes on.
func (a *App) Destroy(ctx context.Context, o DestroyOptions) (DeployResult, error) {
	d := &deployment{app: a.Once().remembering(), dry: true, options: DeployOptions{
		Target: o.Target, Clients: o.Clients, AtOnce: o.AtOnce, Force: o.Force, Step: o.Step,
	}}
	planned, err := d.destroy(ctx, o)
	if err != nil || o.DryRun || planned.Status != DeployPlanned {
		return planned, err
	}
	if o.Confirm != nil {
		if err := o.Confirm(planned); err != nil {
			return planned, err
		}
	}
	d.dry = false
	return d.destroy(ctx, o)
}

func (d *deployment) destroy(ctx context.Context, o DestroyOptions) (DeployResult, error) {
	groups, _, err := d.groups(ctx)
	if err != nil {
		return DeployResult{}, err
	}
	taken, code := d.each(ctx, d.options.Clients, step{"schedules", d.unschedule}, d.without(cloud.KindTask), d.without(cloud.KindRole))
	if o.Data {
		data, dataCode := d.each(ctx, forgettable(d.options.Clients, taken), step{"data", d.forget})
		if taken = append(taken, data...); rank(dataCode) > rank(code) {
			code = dataCode
		}
	}
	for _, client := range groups {
		if !o.Bucket || code != 0 {
			break
		}
		var shared []DeployStep
		shared, code = d.take(ctx, client, nobody, d.without(cloud.KindResources), d.without(cloud.KindBucket))
		taken = append(taken, shared...)
	}
	return d.result(taken, code), context.Cause(ctx)
}

// forgettable returns the clients whose data nothing needs any more: what nobody in particular has, such as the releases, all of them need.
func forgettable(clients []string, taken []DeployStep) []string {
	failed := map[string]bool{}
	for _, s := range taken {
		if s.Error != "" {
			failed[s.Client] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(clients), func(c string) bool { return failed[c] || c == nobody && len(failed) > 0 })
}

// without is the step that deletes a kind of infrastructure. Before it is done it says what is there: a provider plans to delete
// only what holds nothing any more.
func (d *deployment) without(kind cloud.Kind) step {
	return step{string(kind), func(ctx context.Context, client string) (changes []string, err error) {
		if d.dry {
			there, err := d.app.InfraStatus(ctx, d.target(client), kind)
			for _, r := range there.Resources {
				changes = append(changes, ChangeText(cloud.Change{Action: cloud.ActionDelete, Kind: r.Kind, Name: r.Name}))
			}
			return changes, err
		}
		return d.change(ctx, client, InfraOptions{Kind: kind, Absent: true, Force: d.options.Force})
	}}
}

// unschedule removes all schedules of a client.
func (d *deployment) unschedule(ctx context.Context, client string) (changes []string, err error) {
	c, _, err := d.app.openTask(ctx, d.target(client))
	if err != nil {
		return nil, err
	}
	list, err := c.Schedules.List(ctx)
	for _, s := range list {
		changes = append(changes, fmt.Sprintf("delete schedule %s: %s", s.TargetID, s.Cron))
	}
	if err != nil || d.dry {
		return changes, err
	}
	return changes, deleteSchedules(ctx, c, ScheduleOptions{}, list)
}

// forget removes the secrets of a client, and of nobody in particular the releases that all run.
func (d *deployment) forget(ctx context.Context, client string) (changes []string, err error) {
	res, err := d.app.ProjectDelete(ctx, DeleteOptions{Target: d.target(client), DryRun: d.dry})
	for _, key := range res.Secrets {
		changes = append(changes, "delete secret "+key)
	}
	if res.Pushes > 0 {
		changes = append(changes, "delete the releases (pushed "+Count(res.Pushes, "time")+")")
	}
	return changes, err
}
