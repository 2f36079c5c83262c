package cloud

import (
	"context"
	"fmt"
	"time"
)

// Account says who handoff is for the provider.
type Account interface {
	// Check makes the smallest call that proves the credentials. ErrDenied: there are none, or they are not taken.
	Check(ctx context.Context) (Identity, error)

	// Groups returns the resource groups in which a task is registered, for any client: scopes without a Task, sorted by Stage and
	// ResourceGroup. Infra.Status of one lists its tasks.
	Groups(ctx context.Context) ([]Scope, error)
}

// Identity is who the provider takes the caller for.
type Identity struct {
	Provider string `json:"provider"`          // its name in the list of providers; Check need not know it
	Account  string `json:"account,omitempty"` // AWS account, Google project, subscription, cluster; a folder for local
	User     string `json:"user,omitempty"`
	Region   string `json:"region,omitempty"`
}

// Infra makes, changes and removes what jobs need around them.
type Infra interface {
	// Plan returns what has to change so that the world is as want says; no change where it is up to date. It changes nothing
	// but what it notes at the provider (a change set), which a later Plan of the same removes. ErrConflict, with a hint: it
	// cannot be made absent, since something needs it.
	Plan(ctx context.Context, want Want) (Plan, error)

	// Apply makes the changes of a plan in their order, waits until they are done, and calls step (which may be nil) from one
	// goroutine as they begin and end. The plan may have been made by another process, and been stored since. Cancelled or
	// failed midway it leaves a world from which Plan and Apply go on. ErrConflict: the world has changed since the Plan, and
	// Apply has changed nothing; so it is, too, where the plan has been applied. ErrInvalid: it is one of another scope.
	Apply(ctx context.Context, plan Plan, step func(Step)) error

	// Status returns what exists of the kind; of tasks only that of the scope, or, without one, those of the group, and of its
	// clients. Nothing is no error.
	Status(ctx context.Context, kind Kind) ([]Resource, error)
}

// Kind is a group of resources that handoff makes as one.
type Kind string

// The kinds, in the order in which they need each other.
const (
	KindRole      Kind = "role"      // who jobs are
	KindBucket    Kind = "bucket"    // of the resource group
	KindResources Kind = "resources" // network, cluster and log store of the resource group
	KindTask      Kind = "task"      // the task of the scope, registered so that Jobs and Schedules can start it
)

// Want is the state that is asked for.
type Want struct {
	Kind   Kind     `json:"kind"`
	Absent bool     `json:"absent,omitempty"` // it shall not exist
	Force  bool     `json:"force,omitempty"`  // with Absent: also where it is not empty (a bucket with objects); else that is ErrConflict
	Task   TaskSpec `json:"task,omitzero"`    // for KindTask
}

// Plan is what Apply would do. It is plain data: it can be stored as JSON, shown, and applied later.
type Plan struct {
	Scope   Scope    `json:"scope"` // that of the Infra
	Want    Want     `json:"want"`
	Exists  bool     `json:"exists"`          // what is wanted, or not wanted, is there, be it as wanted or not
	Changes []Change `json:"changes"`         // in their order; none: nothing is to be done
	Token   string   `json:"token,omitempty"` // the provider's own, by which Apply knows what the plan has seen
}

// Check returns an ErrInvalid for a plan of another scope. Every provider calls it first in Apply.
func (p Plan) Check(s Scope) error {
	if p.Scope != s {
		return fmt.Errorf("apply %s: %w: the plan is for %+v, this is %+v", p.Want.Kind, ErrInvalid, p.Scope, s)
	}
	return nil
}

// Action is what a Change does.
type Action string

// The actions.
const (
	ActionCreate  Action = "create"
	ActionUpdate  Action = "update"  // in place
	ActionReplace Action = "replace" // deleted and made anew: what it holds is lost
	ActionDelete  Action = "delete"
)

// Change is one step towards what is wanted.
type Change struct {
	Action Action `json:"action"`
	Kind   Kind   `json:"kind"`
	Name   string `json:"name"`             // of the thing, at the provider
	Detail string `json:"detail,omitempty"` // for a person: what is different ("memory 512 -> 1024")
}

// Step tells how far Apply is.
type Step struct {
	Change Change
	Done   bool  // false: it begins
	Err    error // of a change that is done; nil: it worked
}

// Resource is one thing that exists.
type Resource struct {
	Kind    Kind              `json:"kind"`
	Name    string            `json:"name"`
	Client  string            `json:"client,omitempty"` // of a task
	State   string            `json:"state"`            // the provider's word for it
	Updated time.Time         `json:"updated,omitzero"`
	Detail  map[string]string `json:"detail,omitempty"` // of a task that is tied to a release: "release" is its id
}
