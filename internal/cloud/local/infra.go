package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Infra makes and removes the folders of one scope, and registers its task in <home>/tasks/<env stage>/<group>/<task>.json.
// There are no roles: a job is the user who runs handoff.
type Infra struct {
	home  *Home
	scope cloud.Scope
}

var _ cloud.Infra = (*Infra)(nil)

// Infra returns what a scope needs around its jobs.
func (h *Home) Infra(s cloud.Scope) *Infra { return &Infra{home: h, scope: s} }

// plan is what one kind needs; apply makes its change.
type plan struct {
	exists bool
	change *cloud.Change // nil: nothing to do
	token  string        // the state that the change is made for, as far as the change does not say it
	apply  func(ctx context.Context) error
}

// Plan implements cloud.Infra.
func (i *Infra) Plan(ctx context.Context, want cloud.Want) (cloud.Plan, error) {
	p, err := i.plan(ctx, want)
	if err != nil {
		return cloud.Plan{}, fmt.Errorf("plan %s: %w", want.Kind, err)
	}
	made := cloud.Plan{Scope: i.scope, Want: want, Exists: p.exists, Token: p.token}
	if p.change != nil {
		made.Changes = []cloud.Change{*p.change}
	}
	return made, nil
}

func (i *Infra) plan(ctx context.Context, want cloud.Want) (plan, error) {
	if ctx.Err() != nil {
		return plan{}, context.Cause(ctx)
	}
	switch want.Kind {
	case cloud.KindRole: // the user, who is there whatever is wanted
		return plan{exists: true}, nil
	case cloud.KindBucket:
		return i.planBucket(ctx, want)
	case cloud.KindResources:
		return i.planResources(ctx, want)
	case cloud.KindTask:
		return i.planTask(ctx, want)
	}
	return plan{}, fmt.Errorf("%w kind", cloud.ErrInvalid)
}

// Apply implements cloud.Infra. Two calls for one resource group come one after the other.
func (i *Infra) Apply(ctx context.Context, made cloud.Plan, step func(cloud.Step)) error {
	if err := made.Check(i.scope); err != nil || len(made.Changes) == 0 {
		return err
	}
	unlock, err := i.lock(ctx)
	if err != nil {
		return fmt.Errorf("apply %s: %w", made.Want.Kind, kind(err))
	}
	defer unlock()
	p, err := i.plan(ctx, made.Want)
	if err != nil {
		return fmt.Errorf("apply %s: %w", made.Want.Kind, err)
	}
	if p.change == nil || p.token != made.Token || !slices.Equal(made.Changes, []cloud.Change{*p.change}) {
		return cloud.WithHint(fmt.Errorf("apply %s: %w: it has changed since the plan was made", made.Want.Kind, cloud.ErrConflict),
			"make the plan anew")
	}
	if step == nil {
		step = func(cloud.Step) {}
	}
	step(cloud.Step{Change: *p.change})
	if err = p.apply(ctx); err != nil {
		err = fmt.Errorf("%s %s %q: %w", p.change.Action, made.Want.Kind, p.change.Name, kind(err))
	}
	step(cloud.Step{Change: *p.change, Done: true, Err: err})
	return err
}

func (i *Infra) lock(ctx context.Context) (unlock func(), err error) {
	dir := i.home.groupDir("tasks", i.scope)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := lockFile(ctx, filepath.Join(dir, ".lock"), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}

// Status implements cloud.Infra.
func (i *Infra) Status(ctx context.Context, k cloud.Kind) ([]cloud.Resource, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var list []cloud.Resource
	var err error
	switch k {
	case cloud.KindRole:
	case cloud.KindBucket:
		list, err = i.bucketStatus(ctx)
	case cloud.KindResources:
		list, err = i.resourcesStatus(ctx)
	case cloud.KindTask:
		list, err = i.taskStatus()
	default:
		err = fmt.Errorf("%w kind", cloud.ErrInvalid)
	}
	if err != nil {
		return nil, fmt.Errorf("status of %s: %w", k, kind(err))
	}
	return list, nil
}

// registration is the file of a task.
type registration struct {
	Format  int            `json:"handoff_task"` // 1
	Name    string         `json:"task"`
	Spec    cloud.TaskSpec `json:"spec"`
	Created time.Time      `json:"created"`
	Updated time.Time      `json:"updated"`
}

func (h *Home) taskFile(s cloud.Scope) string {
	return h.taskDir("tasks", s) + ".json"
}

// task returns the registration of the task of a scope, cloud.ErrNotFound where there is none, and a hash of the file.
func (h *Home) task(s cloud.Scope) (r registration, hash string, err error) {
	text, err := os.ReadFile(h.taskFile(s))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("task %q is not registered: %w", s.Task, cloud.ErrNotFound)
		return r, "", cloud.WithHint(err, "register it with `handoff cloud task create`")
	}
	if err != nil {
		return r, "", err
	}
	sum := sha256.Sum256(text)
	hash = hex.EncodeToString(sum[:8])
	if err := json.Unmarshal(text, &r); err != nil || r.Format != 1 {
		err := fmt.Errorf("task %q: %w registration %s", s.Task, cloud.ErrCorrupt, h.taskFile(s))
		return r, hash, cloud.WithHint(err, "register it anew: `handoff cloud task delete`, then `handoff cloud task create`")
	}
	return r, hash, nil
}
