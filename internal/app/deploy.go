package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/release"
)

// DeployOptions says what to put in place.
type DeployOptions struct {
	Target
	Clients  []string                 // for whom; "" is nobody in particular; at least one
	AtOnce   int                      // for so many of them at a time; 0: AtOnce
	Force    bool                     // as in PushOptions
	Prune    bool                     // as in ScheduleOptions
	DryRun   bool                     // only say what would change
	Confirm  func(DeployResult) error // asked with what would change before anything does; an error stops it; nil: nobody is asked
	Step     func(DeployStep)         // told of each step that changes something, as it ends; calls do not overlap; may be nil
	Progress func(release.Uploads)    // as in PushOptions
}

// What became of a step of a deployment.
const (
	DeployUnchanged = "unchanged"
	DeployPlanned   = "planned"
	DeployDone      = "done"
	DeployFailed    = "failed"
)

// DeployStep is one step of a deployment: the command of its name does it alone.
type DeployStep struct {
	Step    string   `json:"step"` // bucket, resources, push, role, task, schedules
	Client  string   `json:"client,omitempty"`
	Status  string   `json:"status"` // unchanged, planned, done, failed
	Changes []string `json:"changes,omitempty"`
	Error   string   `json:"error,omitempty"`
	Hint    string   `json:"hint,omitempty"`
}

// DeployResult is what a deployment has changed, or would change, in the order in which it does so.
type DeployResult struct {
	Status   string       `json:"status"` // unchanged, planned, success, failed
	Steps    []DeployStep `json:"steps"`
	ToDo     []string     `json:"left_to_do,omitempty"` // by hand
	ExitCode int          `json:"-"`
}

// Deploy puts all in place that the project needs to run at its times: the bucket, what the jobs of its resource group share, the
// release with its secrets, and for each client the role, the task and the schedules. It looks first at all of it, and does then
// what differs. What is done stays done: after an error the same call goes on. What fails for one client alone changes nothing
// for the others.
func (a *App) Deploy(ctx context.Context, o DeployOptions) (DeployResult, error) {
	a = a.Once()
	if err := a.checkNobody(ctx, o); err != nil {
		return DeployResult{}, err
	}
	planned, err := (&deployment{app: a.remembering(), options: o, dry: true}).run(ctx)
	if err != nil || o.DryRun || planned.Status != DeployPlanned {
		return planned, err
	}
	if o.Confirm != nil {
		if err := o.Confirm(planned); err != nil {
			return planned, err
		}
	}
	return (&deployment{app: a.remembering(), options: o}).run(ctx)
}

// deployment is one walk over all steps.
type deployment struct {
	app     *App
	options DeployOptions
	dry     bool
	mu      sync.Mutex // one step is told at a time
}

func (d *deployment) run(ctx context.Context) (DeployResult, error) {
	groups, served, err := d.groups(ctx)
	if err != nil {
		return DeployResult{}, err
	}
	var steps []DeployStep
	for _, client := range groups {
		own, code := d.take(ctx, client, nobody, d.kind(cloud.KindBucket), d.kind(cloud.KindResources))
		if steps = append(steps, own...); code != 0 {
			return d.result(steps, code), nil
		}
	}
	pushed, code := d.push(ctx)
	if steps = append(steps, pushed...); code != 0 {
		return d.result(steps, code), nil
	}
	own, code := d.each(ctx, d.options.Clients, d.kind(cloud.KindRole), d.kind(cloud.KindTask), step{"schedules", d.schedules})
	res := d.result(append(steps, own...), code)
	res.ToDo = toDo(ctx, served)
	return res, context.Cause(ctx)
}

// groups returns a client of each resource group, and what fires schedules at this provider by a process of ours.
func (d *deployment) groups(ctx context.Context) (clients []string, served cloud.Scheduler, err error) {
	seen := map[Place]bool{}
	for _, client := range d.options.Clients {
		c, _, err := d.app.openTask(ctx, d.target(client))
		if err != nil {
			return nil, nil, err
		}
		place := placeOf(c)
		place.Task, place.Client = "", ""
		if served = c.Scheduler; !seen[place] {
			seen[place] = true
			clients = append(clients, client)
		}
	}
	return clients, served, nil
}

func (d *deployment) target(client string) Target {
	t := d.options.Target
	t.Client = client
	return t
}

// step is something to do for a client; it returns what it has changed, or, where nothing shall be done, would change.
type step struct {
	name string
	do   func(ctx context.Context, client string) ([]string, error)
}

// each takes the steps for each of the clients, side by side, and returns them in their order, with the worst exit code.
func (d *deployment) each(ctx context.Context, clients []string, steps ...step) (taken []DeployStep, code int) {
	list := EachClient(ctx, clients, d.options.AtOnce, func(ctx context.Context, client string) (any, int, error) {
		own, code := d.take(ctx, client, client, steps...)
		return own, code, nil
	}, nil)
	for _, r := range list {
		own, _ := r.Result.([]DeployStep)
		taken = append(taken, own...)
	}
	return taken, Worst(list)
}

// nobody is whose a step is that is for all clients.
const nobody = ""

// take takes the steps with the target of a client until one fails, and returns them with the exit code of that one.
func (d *deployment) take(ctx context.Context, client, whose string, steps ...step) (taken []DeployStep, code int) {
	for _, s := range steps {
		changes, err := s.do(ctx, client)
		taken = append(taken, d.ended(s.name, whose, changes, err))
		if err != nil {
			return taken, Code(err)
		}
	}
	return taken, 0
}

// ended tells what became of a step.
func (d *deployment) ended(name, client string, changes []string, err error) DeployStep {
	s := DeployStep{Step: name, Client: client, Changes: changes, Status: DeployDone}
	switch {
	case err != nil:
		s.Status, s.Error, s.Hint = DeployFailed, err.Error(), HintOf(err)
	case len(changes) == 0:
		s.Status = DeployUnchanged
	case d.dry:
		s.Status = DeployPlanned
	}
	if d.options.Step != nil && !d.dry && s.Status != DeployUnchanged {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.options.Step(s)
	}
	return s
}

// kind is the step for a kind of infrastructure.
func (d *deployment) kind(kind cloud.Kind) step {
	return step{string(kind), func(ctx context.Context, client string) ([]string, error) {
		return d.change(ctx, client, InfraOptions{Kind: kind, DryRun: d.dry})
	}}
}

func (d *deployment) change(ctx context.Context, client string, o InfraOptions) (changes []string, err error) {
	o.Target, o.Anew = d.target(client), true
	res, err := d.app.Infra(ctx, o)
	for _, c := range res.Changes {
		changes = append(changes, ChangeText(c))
	}
	return changes, err
}

// push pushes the secrets of each client that differ from what is there, and the release.
func (d *deployment) push(ctx context.Context) (steps []DeployStep, code int) {
	o := PushOptions{
		Target: d.options.Target, Parts: release.All, Secrets: true, OnlyNew: true, Force: d.options.Force, DryRun: d.dry, Progress: d.options.Progress,
	}
	list := d.app.PushClients(ctx, o, d.options.Clients, nil)
	released := map[Place]bool{}
	var shared []string
	for _, r := range list {
		res, _ := r.Result.(PushResult)
		changes := secretChanges(res)
		place := res.Place
		place.Client = nobody
		switch {
		case !res.Changed || released[place]:
		case r.Client == nobody:
			changes = append(changes, releaseChange(res))
		default:
			shared = append(shared, releaseChange(res))
		}
		released[place] = true
		var err error
		if r.Error != "" {
			err = cloud.WithHint(errors.New(r.Error), r.Hint)
		}
		steps = append(steps, d.ended("push", r.Client, changes, err))
	}
	for _, change := range shared {
		steps = append(steps, d.ended("push", nobody, []string{change}, nil))
	}
	return steps, Worst(list)
}

func releaseChange(res PushResult) string {
	return fmt.Sprintf("push release %s: %s, %s", release.Short(res.Release), Count(res.Files, "file"), Bytes(res.Size))
}

func secretChanges(res PushResult) (changes []string) {
	for _, s := range res.Secrets {
		if s.Done == "to push" || s.Done == "pushed" {
			changes = append(changes, fmt.Sprintf("push secret %s (%s)", s.Key, s.Level))
		}
	}
	return changes
}

func (d *deployment) schedules(ctx context.Context, client string) (changes []string, err error) {
	t := d.target(client)
	p, err := d.app.load(t)
	if err != nil || len(p.Schedules) == 0 && !d.options.Prune {
		return nil, err
	}
	res, err := d.app.ScheduleCreate(ctx, ScheduleOptions{Target: t, DryRun: d.dry, Prune: d.options.Prune, Served: true})
	for _, s := range res.Schedules {
		verb := map[string]string{"created": "create", "updated": "change", "deleted": "delete"}[s.Status]
		if verb != "" {
			changes = append(changes, strings.TrimSpace(fmt.Sprintf("%s schedule %s: %s %s", verb, s.TargetID, s.Cron, s.Timezone)))
		}
	}
	return changes, err
}

func (d *deployment) result(steps []DeployStep, code int) DeployResult {
	res := DeployResult{Status: DeployUnchanged, Steps: steps, ExitCode: code}
	for _, s := range steps {
		switch {
		case code != 0:
			res.Status = DeployFailed
		case s.Status == DeployDone:
			res.Status = "success"
		case s.Status == DeployPlanned:
			res.Status = DeployPlanned
		}
	}
	return res
}

// toDo says what nobody but a person can do.
func toDo(ctx context.Context, served cloud.Scheduler) []string {
	serves, idle := unserved(ctx, served)
	if !idle {
		return nil
	}
	return []string{fmt.Sprintf("start `handoff server`, best by the init system: nothing else fires the schedules of %s", serves)}
}
