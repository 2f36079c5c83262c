// Package memory is a whole cloud that lives as long as its process. It keeps the contracts of package cloud, so that what is
// built on them is tested without a disk, without processes, and at any time: it has a clock of its own. It must not be used for
// anything that has to last.
package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Options say what a World does.
type Options struct {
	Start time.Time // of the clock; zero: now

	// Settle is how long a line of a log may be under way. Only those of AppendLate are.
	Settle time.Duration

	// Run is what jobs do, in the place of a process. Nil: they succeed at once.
	Run func(ctx context.Context, p *Process) cloud.LastWord
}

// World is an account with all that is in it. Its clock goes as that of the machine does, ahead of it by what Advance was told.
// Schedules fire in Advance, and only there.
type World struct {
	run     func(context.Context, *Process) cloud.LastWord
	settle  time.Duration  // Options.Settle
	running sync.WaitGroup // jobs
	passing sync.Mutex     // held while time passes

	mu     sync.Mutex // guards what follows, but for what has a lock of its own
	ahead  time.Duration
	count  int // of jobs
	groups map[cloud.Scope]*group
	tasks  map[cloud.Scope]*task
}

// group is what the tasks of a resource group share.
type group struct {
	files     *Files
	bucket    time.Time // when it was made; zero: it was not
	resources time.Time
	secrets   map[string]stored
	deleted   map[cloud.Kind]int // how often
}

// task is what belongs to one task, of one client.
type task struct {
	spec       *cloud.TaskSpec // nil: it is not registered
	version    int             // of spec; rises with each change
	registered time.Time       // when that was
	secrets    map[string]stored
	jobs       []*job // by their creation
	schedules  map[string]*scheduled
	logs       *Logs
}

// Open returns an empty account.
func Open(o Options) *World {
	w := &World{run: o.Run, settle: o.Settle, groups: map[cloud.Scope]*group{}, tasks: map[cloud.Scope]*task{}}
	if w.run == nil {
		w.run = func(context.Context, *Process) cloud.LastWord { return cloud.LastWord{} }
	}
	if !o.Start.IsZero() {
		w.ahead = time.Until(o.Start)
	}
	return w
}

// Cloud opens the account for a scope.
func (w *World) Cloud(s cloud.Scope) (*cloud.Cloud, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	in := room{w, s}
	w.mu.Lock()
	defer w.mu.Unlock()
	return cloud.Complete(cloud.Cloud{
		Provider: "memory", Platform: "goroutine", Scope: s, Parallel: 8,
		Account: account{w}, Files: in.group().files, Secrets: &Secrets{in}, Infra: &Infra{in}, Jobs: &Jobs{in},
		Schedules: &Schedules{in}, Logs: in.task().logs,
	}), nil
}

// Now returns what the clock says, UTC.
func (w *World) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now()
}

// now is for who holds mu.
func (w *World) now() time.Time { return time.Now().Add(w.ahead).UTC() }

// Wait waits until no job is active.
func (w *World) Wait() { w.running.Wait() }

// Close kills the jobs that are active, and waits for their end.
func (w *World) Close() {
	for _, j := range w.active() {
		w.kill(j)
	}
	w.running.Wait()
}

// room is one scope of a World.
type room struct {
	*World
	scope cloud.Scope
}

// group returns that of the scope; the caller holds mu, as for task.
func (r room) group() *group {
	key := cloud.Scope{Stage: r.scope.Stage, ResourceGroup: r.scope.ResourceGroup}
	g := r.groups[key]
	if g == nil {
		g = &group{files: &Files{now: r.World.Now}, secrets: map[string]stored{}, deleted: map[cloud.Kind]int{}}
		r.groups[key] = g
	}
	return g
}

func (r room) task() *task {
	t := r.tasks[r.scope]
	if t == nil {
		t = &task{secrets: map[string]stored{}, schedules: map[string]*scheduled{}, logs: &Logs{settle: r.settle}}
		r.tasks[r.scope] = t
	}
	return t
}

// neighbours returns the tasks of the group that have something, by name, those of no client first.
func (r room) neighbours() []room {
	var list []room
	for s := range r.tasks {
		if s.Stage == r.scope.Stage && s.ResourceGroup == r.scope.ResourceGroup && s.Task != "" {
			list = append(list, room{r.World, s})
		}
	}
	slices.SortFunc(list, func(a, b room) int {
		return cmp.Or(cmp.Compare(a.scope.Client, b.scope.Client), cmp.Compare(a.scope.Task, b.scope.Task))
	})
	return list
}

// enter locks the World for a call, unless its context has ended. needTask: the scope has to have one.
func (r room) enter(ctx context.Context, needTask bool) (leave func(), err error) {
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case needTask && r.scope.Task == "":
		return nil, fmt.Errorf("%w scope: no task", cloud.ErrInvalid)
	}
	r.mu.Lock()
	return r.mu.Unlock, nil
}

type account struct{ world *World }

// Check implements cloud.Account: whoever is here may do everything.
func (account) Check(ctx context.Context) (cloud.Identity, error) {
	if ctx.Err() != nil {
		return cloud.Identity{}, context.Cause(ctx)
	}
	return cloud.Identity{Provider: "memory", Account: "this process", User: "anybody"}, nil
}

// Groups implements cloud.Account.
func (a account) Groups(ctx context.Context) ([]cloud.Scope, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	a.world.mu.Lock()
	defer a.world.mu.Unlock()
	var list []cloud.Scope
	for s, t := range a.world.tasks {
		s.Task, s.Client = "", ""
		if t.spec != nil && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(x, y cloud.Scope) int {
		return cmp.Or(strings.Compare(x.Stage, y.Stage), strings.Compare(x.ResourceGroup, y.ResourceGroup))
	})
	return list, nil
}
