package lease

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
)

// badNet is a way to a bucket on which anything may happen to a call: it fails, its answer is lost, it hangs with or
// without regard to its context, it arrives after its caller has gone.
type badNet struct {
	*memory.Files
	mu   sync.Mutex
	rand *rand.Rand
	bad  float64 // share of calls to which something happens
	late *sync.WaitGroup
}

func (n *badNet) fate() (what int, d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.rand.Float64() >= n.bad {
		return -1, 0
	}
	return n.rand.IntN(6), time.Duration(n.rand.ExpFloat64() * float64(12*time.Second))
}

var errNet = errors.New("bad network")

// travel does call, or not.
func travel[T any](ctx context.Context, n *badNet, call func(context.Context) (T, error)) (none T, err error) {
	what, d := n.fate()
	switch what {
	case 0: // does not arrive
		return none, errNet
	case 1: // its answer does not
		_, _ = call(ctx)
		return none, errNet
	case 2: // slow, and deaf to its context
		time.Sleep(d)
		return call(context.WithoutCancel(ctx))
	case 3: // slow
		if err := cloud.Sleep(ctx, d); err != nil {
			return none, err
		}
	case 4: // arrives when nobody waits for it any more
		n.late.Go(func() {
			time.Sleep(d)
			_, _ = call(context.WithoutCancel(ctx))
		})
		return none, errNet
	case 5: // the answer is slow
		defer time.Sleep(d)
	}
	return call(ctx)
}

type got struct {
	body io.ReadCloser
	cloud.Object
}

func (n *badNet) Get(ctx context.Context, key string, part cloud.GetOptions) (io.ReadCloser, cloud.Object, error) {
	g, err := travel(ctx, n, func(ctx context.Context) (got, error) {
		body, o, err := n.Files.Get(ctx, key, part)
		return got{body, o}, err
	})
	return g.body, g.Object, err
}

func (n *badNet) Put(ctx context.Context, key string, body cloud.Body, o cloud.PutOptions) (cloud.Object, error) {
	return travel(ctx, n, func(ctx context.Context) (cloud.Object, error) { return n.Files.Put(ctx, key, body, o) })
}

// world is what can be seen from above: until when the stages of each run may live.
type world struct {
	mu      sync.Mutex
	alive   map[string]time.Time // zero: they have ended
	begun   int
	trouble []string
}

// starts notes that the stages of a run begin to live. Those of all others have to be dead.
func (w *world) starts(run string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun++
	for other, until := range w.alive {
		if other != run && time.Now().Before(until) {
			w.trouble = append(w.trouble, fmt.Sprintf("%s begins, and the stages of %s may live for another %v", run, other, time.Until(until)))
		}
	}
}

// lives notes the time at which the guardian of a run would end it.
func (w *world) lives(run string, until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if was, known := w.alive[run]; !known || !was.IsZero() {
		w.alive[run] = until
	}
}

func (w *world) ended(run string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.alive[run] = time.Time{}
}

// host starts runs of the task, one after another, over its own bad network and with its own wrong clock.
func (w *world) host(ctx context.Context, name string, files *badNet, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	skew := time.Duration(rnd.IntN(10*3600)-5*3600) * time.Second
	for n := 0; ctx.Err() == nil; n++ {
		run := fmt.Sprintf("%s-%03d", name, n)
		o := Options{Key: key, Holder: Holder{RunID: run, Host: name, Pid: n}, Now: func() time.Time { return time.Now().Add(skew) }}
		take := []func(context.Context, cloud.Files, Options) (context.Context, *Lease, error){Acquire, Wait, Replace}[rnd.IntN(3)]
		held, l, err := take(ctx, files, o)
		if err != nil {
			_ = cloud.Sleep(ctx, time.Duration(rnd.IntN(20))*time.Second)
			continue
		}
		w.starts(run)
		l.OnRenew(func(proven time.Time) { w.lives(run, proven.Add(o.Kill())) })
		_ = cloud.Sleep(held, time.Duration(rnd.IntN(200))*time.Second)
		if lost, ok := errors.AsType[*LostError](context.Cause(held)); ok && !lost.Asks && rnd.IntN(2) == 0 {
			_ = cloud.Sleep(ctx, time.Minute) // handoff is slow to end: its guardian does that
		}
		if rnd.IntN(4) == 0 { // killed: the stages live until the guardian has ended them
			l.stop()
			<-l.done
			l.lose(nil)
			continue
		}
		w.ended(run)
		_ = l.Release(context.WithoutCancel(ctx))
	}
}

// Whatever happens on the way to the bucket, and whatever the clocks say: the stages of two runs never live at one time.
func TestOneHolderWhateverHappens(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	begun := 0
	for range 40 {
		seed := rand.Uint64()
		rnd := rand.New(rand.NewPCG(seed, 0))
		w := &world{alive: map[string]time.Time{}}
		bad, hosts := rnd.Float64()/2, 2+rnd.IntN(3)
		synctest.Test(t, func(t *testing.T) { w.run(t.Context(), seed, bad, hosts) })
		begun += w.begun
		if len(w.trouble) > 0 {
			t.Errorf("seed %d, %d hosts, %.0f%% of the calls go wrong: %d times, such as: %s", seed, hosts, 100*bad, len(w.trouble), w.trouble[0])
		}
	}
	if begun < 100 { // else nothing was shown
		t.Errorf("only %d runs began", begun)
	}
}

func (w *world) run(ctx context.Context, seed uint64, bad float64, hosts int) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	files, late := &memory.Files{}, &sync.WaitGroup{}
	var all sync.WaitGroup
	for i := range hosts {
		net := &badNet{Files: files, rand: rand.New(rand.NewPCG(seed, uint64(i))), bad: bad, late: late}
		all.Go(func() { w.host(ctx, string(rune('a'+i)), net, seed+uint64(i)) })
	}
	all.Wait()
	late.Wait()
	time.Sleep(10 * time.Minute) // for renewals that hang
}
