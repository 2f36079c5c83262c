package lease

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/cloudtest"
	"github.com/handoff-run/handoff/internal/cloud/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "task/lease.json"

func options(run string) Options {
	return Options{Key: key, Holder: Holder{RunID: run, Host: "h", Pid: 1}}
}

func take(t *testing.T, files cloud.Files, run string) (context.Context, *Lease) {
	t.Helper()
	ctx, l, err := Acquire(t.Context(), files, options(run))
	if err != nil {
		t.Fatalf("acquire %s: %v", run, err)
	}
	return ctx, l
}

func release(t *testing.T, l *Lease) {
	t.Helper()
	if err := l.Release(t.Context()); err != nil {
		t.Errorf("release: %v", err)
	}
}

func TestOneOfManyWins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, oneOfMany)
}

func oneOfMany(t *testing.T) {
	files := &memory.Files{}
	var mu sync.Mutex
	var won []*Lease
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			_, l, err := Acquire(t.Context(), files, options(fmt.Sprintf("r%02d", i)))
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				won = append(won, l)
				return
			}
			if held, ok := errors.AsType[*HeldError](err); !ok || held.Record.RunID == "" || !errors.Is(err, cloud.ErrConflict) {
				t.Errorf("loser %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d won", len(won))
	}
	release(t, won[0])
}

func TestFenceRisesOverRelease(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	last := int64(0)
	for i := range 6 {
		if i == 3 { // it was damaged, and deleted by hand
			if err := files.Delete(t.Context(), options("").Key); err != nil {
				t.Fatal(err)
			}
		}
		_, l := take(t, files, fmt.Sprintf("r%d", i))
		if l.Fence() <= last {
			t.Errorf("fence %d after %d", l.Fence(), last)
		}
		last = l.Fence()
		release(t, l)
		time.Sleep(2 * time.Millisecond) // a lease made anew is told from the one before by its time
	}
}

// A lease that was deleted is made anew by a machine whose clock is behind that of the first holder.
func TestFenceRisesWhereTheClockWasAhead(t *testing.T) {
	t.Parallel()
	remembered := time.Now().Add(24 * time.Hour).UnixMilli()
	o := options("r1")
	o.Above = func(context.Context) int64 { return remembered }
	_, l, err := Acquire(t.Context(), &memory.Files{}, o)
	if err != nil {
		t.Fatal(err)
	}
	defer release(t, l)
	if l.Fence() <= remembered {
		t.Errorf("fence %d after %d", l.Fence(), remembered)
	}
}

func TestHolderKeepsItWhileItLives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		files := &memory.Files{}
		ctx, l := take(t, files, "r1")
		time.Sleep(time.Hour)
		if _, _, err := Acquire(t.Context(), files, options("r2")); !errors.Is(err, cloud.ErrConflict) {
			t.Errorf("after an hour: %v", err)
		}
		if ctx.Err() != nil || l.Check(t.Context()) != nil {
			t.Errorf("holder: %v, %v", context.Cause(ctx), l.Check(t.Context()))
		}
		release(t, l)
	})
}

// A holder that cannot reach the bucket gives up before another one can begin, and may commit nothing after that.
func TestLostAfterSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var cut sync.Map
		files := &memory.Files{}
		gate := gated{files, func() error {
			if _, off := cut.Load("off"); off {
				return errors.New("no network")
			}
			return nil
		}}
		ctx, l, err := Acquire(t.Context(), gate, options("r1"))
		if err != nil {
			t.Fatal(err)
		}
		cut.Store("off", true)
		began := time.Now()
		context.AfterFunc(ctx, func() {
			if d := time.Since(began); d > (Times{}).Kill()-5*time.Second {
				t.Errorf("gave up after %v", d)
			}
		})
		_, second := take(t, files, "r2")
		if d := time.Since(began); d < time.Minute {
			t.Errorf("taken after %v", d)
		}
		if second.Fence() != l.Fence()+1 {
			t.Errorf("fence %d after %d", second.Fence(), l.Fence())
		}
		lost, ok := errors.AsType[*LostError](context.Cause(ctx))
		if !ok || lost.Silent != (Times{}).Stop() || !strings.Contains(lost.Error(), "no network") {
			t.Errorf("cause %v", context.Cause(ctx))
		}
		cut.Delete("off")
		time.Sleep(time.Minute)
		if err := l.Check(t.Context()); err == nil {
			t.Error("the first holder may still commit")
		}
		release(t, l)
		if err := second.Check(t.Context()); err != nil {
			t.Errorf("the release of the first took the lease of the second: %v", err)
		}
		release(t, second)
	})
}

// Nothing is decided by a clock that says what time it is.
func TestClocksAreNotCompared(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{-5 * time.Hour, -40 * time.Second, 40 * time.Second, 5 * time.Hour} {
		t.Run(skew.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				files := &memory.Files{}
				_, l := take(t, files, "r1")
				time.Sleep(time.Second)
				other := options("r2")
				other.Now = func() time.Time { return time.Now().Add(skew) }
				began := time.Now()
				if _, _, err := Acquire(t.Context(), files, other); !errors.Is(err, cloud.ErrConflict) {
					t.Fatalf("a living holder: %v", err)
				}
				if took := time.Since(began); took > 6*time.Second {
					t.Errorf("refused after %v", took)
				}
				l.stop() // as if killed
				<-l.done
				began = time.Now()
				_, second, err := Acquire(t.Context(), files, other)
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took < 55*time.Second || took > 61*time.Second {
					t.Errorf("waited %v for a dead holder", took)
				}
				release(t, second)
				l.lose(nil)
			})
		})
	}
}

// Who waits writes into the lease: that is no sign of life of its holder.
func TestAskingIsNoSignOfLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		files := &memory.Files{}
		_, l := take(t, files, "r0")
		l.stop()
		<-l.done
		began := time.Now()
		var wg sync.WaitGroup
		for _, run := range []string{"r1", "r2"} {
			wg.Go(func() {
				_, next, err := Replace(t.Context(), files, options(run))
				if err != nil {
					t.Error(err)
					return
				}
				if took := time.Since(began); run == "r1" && took > 90*time.Second {
					t.Errorf("%s began after %v", run, took)
				}
				release(t, next)
			})
		}
		wg.Wait()
		l.lose(nil)
	})
}

// The calls that renew can hang, without an end even of their context, as on a disk that stands still.
func TestRenewalThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		files := &memory.Files{}
		var hang sync.Map
		release := make(chan struct{})
		gate := gated{files, func() error {
			if _, on := hang.Load("on"); on {
				<-release
			}
			return nil
		}}
		ctx, l, err := Acquire(t.Context(), gate, options("r1"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * time.Second)
		hang.Store("on", true)
		began := time.Now()
		<-ctx.Done()
		if took := time.Since(began); took > (Times{}).Stop() {
			t.Errorf("gave up after %v", took)
		}
		if lost, ok := errors.AsType[*LostError](context.Cause(ctx)); !ok || lost.Silent == 0 {
			t.Errorf("cause %v", context.Cause(ctx))
		}
		_, second := take(t, files, "r2")
		close(release) // the renewal arrives after all
		synctest.Wait()
		if err := second.Check(t.Context()); err != nil {
			t.Error(err)
		}
		if err := l.Release(t.Context()); err != nil {
			t.Error(err)
		}
		if err := second.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A write whose answer got lost has arrived.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		files := &memory.Files{}
		n := 0
		deaf := deafFiles{files, func() bool { n++; return n%2 == 1 }} // the first one, too
		ctx, l, err := Acquire(t.Context(), deaf, options("r1"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if ctx.Err() != nil {
			t.Errorf("lost: %v", context.Cause(ctx))
		}
		release(t, l)
		if r, _, err := Read(t.Context(), files, key); err != nil || !r.Released {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestLeaseThatIsSentTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, l, err := Acquire(t.Context(), cloudtest.Twice(&memory.Files{}), options("r1"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if err := errors.Join(context.Cause(ctx), l.Check(ctx)); err != nil {
			t.Error(err)
		}
		release(t, l)
	})
}

// deafFiles stores, and does not tell.
type deafFiles struct {
	*memory.Files
	deaf func() bool
}

func (d deafFiles) Put(ctx context.Context, key string, body cloud.Body, o cloud.PutOptions) (cloud.Object, error) {
	got, err := d.Files.Put(ctx, key, body, o)
	if err == nil && d.deaf() {
		return cloud.Object{}, errors.New("connection reset")
	}
	return got, err
}

// gated is a way to a bucket that can be cut.
type gated struct {
	*memory.Files
	open func() error
}

func (g gated) Put(ctx context.Context, key string, body cloud.Body, o cloud.PutOptions) (cloud.Object, error) {
	if err := g.open(); err != nil {
		return cloud.Object{}, err
	}
	return g.Files.Put(ctx, key, body, o)
}

func TestDeadHolderIsFollowedAtOnce(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	_, l := take(t, files, "r1")
	o := options("r2")
	o.Sight = func(r Record) Sight {
		if r.RunID == "r1" && r.Host == "h" && r.Pid == 1 {
			return Gone
		}
		return Alive
	}
	_, second, err := Acquire(t.Context(), files, o)
	if err != nil {
		t.Fatal(err)
	}
	release(t, l)
	release(t, second)
}

func TestWaitKeepsTheOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		files := &memory.Files{}
		_, first := take(t, files, "r0")
		var mu sync.Mutex
		var order []string
		var wg sync.WaitGroup
		for _, run := range []string{"r3", "r1", "r2"} {
			wg.Go(func() {
				var told []string
				o := options(run)
				o.Waiting = func(r Record) { told = append(told, r.RunID) }
				_, l, err := Wait(t.Context(), files, o)
				if err != nil {
					t.Errorf("%s: %v", run, err)
					return
				}
				mu.Lock()
				order = append(order, run)
				mu.Unlock()
				if len(told) > 1 {
					t.Errorf("%s was told %v", run, told)
				}
				time.Sleep(time.Minute)
				release(t, l)
			})
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		release(t, first)
		wg.Wait()
		if got := strings.Join(order, " "); got != "r1 r2 r3" {
			t.Errorf("order %s", got)
		}
		if keys := files.Keys(); len(keys) != 1 {
			t.Errorf("left behind: %v", keys)
		}
	})
}

func TestWaitPassesADeadTicket(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		files := &memory.Files{}
		if _, err := files.Put(t.Context(), "task/lease/queue/r0", cloud.Text("r0"), cloud.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		_, l, err := Wait(t.Context(), files, options("r1"))
		if err != nil {
			t.Fatal(err)
		}
		release(t, l)
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	_, l := take(t, files, "r0")
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
	if _, _, err := Wait(ctx, files, options("r1")); !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
	release(t, l)
	if keys := files.Keys(); len(keys) != 1 {
		t.Errorf("left behind: %v", keys)
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		files := &memory.Files{}
		ctx, first := take(t, files, "r1")
		go func() {
			<-ctx.Done()
			time.Sleep(40 * time.Second) // its processes take their time; meanwhile it keeps the lease
			release(t, first)
		}()
		began := time.Now()
		_, second, err := Replace(t.Context(), files, options("r2"))
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 40*time.Second || took > time.Minute {
			t.Errorf("replaced after %v", took)
		}
		if lost, ok := errors.AsType[*LostError](context.Cause(ctx)); !ok || !lost.Asks || lost.To != "r2" {
			t.Errorf("cause %v", context.Cause(ctx))
		}
		release(t, second)
	})
}

func TestDamagedLeaseSaysSo(t *testing.T) {
	t.Parallel()
	files := &memory.Files{}
	if _, err := files.Put(t.Context(), key, cloud.Text("{"), cloud.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	_, _, err := Acquire(t.Context(), files, options("r1"))
	if !errors.Is(err, cloud.ErrCorrupt) || cloud.Hint(err) == "" {
		t.Errorf("error %v, hint %q", err, cloud.Hint(err))
	}
}
