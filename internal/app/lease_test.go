package app

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/lease"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/pipeline"
)

// A run that cannot renew its lease ends before another machine can take it, whether the calls fail or hang: its target is
// killed, and nothing that the next run goes on from is stored.
func TestRunThatCannotRenewItsLease(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for name, broken := range map[string]func(t *testing.T, files cloud.Files) (cloud.Files, func()){
		"fails": func(_ *testing.T, files cloud.Files) (cloud.Files, func()) {
			b := &brokenFiles{Files: files}
			return b, func() { b.part.Store("/lease.json") }
		},
		"hangs": func(t *testing.T, files cloud.Files) (cloud.Files, func()) {
			h := &hangingFiles{Files: files, end: make(chan struct{})}
			t.Cleanup(func() { close(h.end) })
			return h, func() { h.on.Store(true) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := pushed(t, "tasks:\n- name: load\n  state: true\n  kill_after: 600\n  pipeline:\n"+
				"  - command: \"echo begun; trap '' TERM; sleep 600; echo '{\\\"a\\\": 1}'\"\n  - command: \"trap 'echo {}; touch published' TERM; cat; touch published\"\n")
			b.Lease = lease.Times{TTL: 6 * time.Second}
			files, off := broken(t, b.cloud.Files)
			b.through(files)
			ws := filepath.Join(t.TempDir(), "ws")
			var died time.Time
			res, err := b.run(t.Context(), func(o *RunReleaseOptions) {
				o.WorkspaceDir = ws
				o.Events = func(e pipeline.Event) {
					switch e.Kind {
					case pipeline.StageStarted:
						off()
					case pipeline.StageEnded:
						died = time.Now()
					}
				}
			})
			if err != nil || res.ExitCode != ExitCloud || res.Status != "failed" || !strings.Contains(res.Reason, "lease") {
				t.Errorf("%+v, %v", res, err)
			}
			if _, err := os.Stat(filepath.Join(ws, "published")); err == nil {
				t.Error("the target published what it had")
			}
			if strings.HasPrefix(res.Pushed, "archives/") || died.IsZero() {
				t.Errorf("pushed %q, stages ended at %v", res.Pushed, died)
			}
		})
	}
}

// through sends all calls of files from now on through this one.
func (b *bucket) through(files cloud.Files) {
	open := b.OpenCloud
	b.OpenCloud = func(ctx context.Context, o CloudOptions) (*cloud.Cloud, error) {
		c, err := open(ctx, o)
		if err == nil {
			c.Files = files
		}
		return c, err
	}
}

// hangingFiles hangs in puts of leases, without regard to their context, as a disk does that stands still.
type hangingFiles struct {
	cloud.Files
	on  atomic.Bool
	end chan struct{}
}

func (h *hangingFiles) Put(ctx context.Context, key string, body cloud.Body, o cloud.PutOptions) (cloud.Object, error) {
	if h.on.Load() && strings.HasSuffix(key, "/lease.json") {
		<-h.end
	}
	return h.Files.Put(ctx, key, body, o)
}

// Whether a run lives does not depend on what its clock said.
func TestWhatIsKnownOfARunningRun(t *testing.T) {
	t.Parallel()
	b := pushed(t, "tasks: []\n")
	b.Lease = lease.Times{TTL: 2 * time.Second}
	bucket := b.ledger(b.cloud, 0)
	put := func(run ledger.Run) string {
		run.ID, run.Start, run.Outcome, run.Tasks = cloud.NewRunID(time.Now()), time.Now(), ledger.Running, []*ledger.Task{}
		run.Updated = time.Now().Add(-5 * time.Hour)
		if err := bucket.Put(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		return run.ID
	}
	look := func(id string) ledger.Run {
		t.Helper()
		run, err := b.RunShow(t.Context(), b.target, id)
		if err != nil {
			t.Fatal(err)
		}
		list, err := b.Runs(t.Context(), b.target, RunsQuery{})
		if err != nil || !slices.ContainsFunc(list.Runs, func(s RunSummary) bool { return s.ID == id && s.Outcome == run.Outcome }) {
			t.Errorf("list %+v, %v; shown %+v", list, err, run)
		}
		return run
	}
	elsewhere := func(id string) *lease.Lease {
		o := b.leaseOptions(b.cloud, id)
		o.Host, o.Times = "elsewhere", lease.Times{TTL: time.Hour}
		_, l, err := lease.Acquire(t.Context(), b.cloud.Files, o)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	give := func(l *lease.Lease) {
		t.Helper()
		if err := l.Release(t.Context()); err != nil {
			t.Error(err)
		}
	}

	id := put(ledger.Run{})
	l := elsewhere(id)
	if run := look(id); run.Outcome != ledger.Running || run.Reason != "" {
		t.Errorf("a holder elsewhere: %+v", run)
	}
	give(l)
	if run := look(id); run.Outcome != ledger.Died {
		t.Errorf("without a word at its end: %+v", run)
	}
	id = put(ledger.Run{Fence: l.Fence() + 1})
	l = elsewhere(cloud.NewRunID(time.Now()))
	if run := look(id); run.Outcome != ledger.Running {
		t.Errorf("the other one has no higher number: %+v", run)
	}
	give(l)
	l = elsewhere(cloud.NewRunID(time.Now()))
	defer give(l)
	if run := look(id); run.Outcome != ledger.Died {
		t.Errorf("another one has taken the task: %+v", run)
	}
	id = put(ledger.Run{}) // with overlap: allow
	if run := look(id); run.Outcome != ledger.Running || run.Reason != "" {
		t.Errorf("just heard of: %+v", run)
	}
}

// A run of which nothing is heard any more may be dead or cut off. A list says for how long that has been; who goes on to look
// knows in the end.
func TestSilentRun(t *testing.T) {
	t.Parallel()
	b := pushed(t, "tasks: []\n")
	b.Lease = lease.Times{TTL: time.Second}
	id := cloud.NewRunID(time.Now())
	run := ledger.Run{ID: id, Start: time.Now(), Updated: time.Now().Add(5 * time.Hour), Outcome: ledger.Running, Tasks: []*ledger.Task{}}
	if err := b.ledger(b.cloud, 0).Put(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	for {
		res, err := b.Runs(t.Context(), b.target, RunsQuery{})
		if err != nil || len(res.Runs) != 1 || res.Runs[0].Outcome != ledger.Running {
			t.Fatalf("%+v, %v", res, err)
		}
		if strings.Contains(res.Runs[0].Reason, "no sign of life for") {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if run, err := b.RunFollow(t.Context(), b.target, id, func(Step) {}); err != nil || run.Outcome != ledger.Died {
		t.Errorf("%+v, %v", run, err)
	}
}

// silentFiles does not answer any more, until the context of a call ends.
type silentFiles struct {
	cloud.Files
	from string // a part of the key of the put from which on it is silent
	nth  int32  // and which of these puts
	puts atomic.Int32
}

func (f *silentFiles) Put(ctx context.Context, key string, body cloud.Body, o cloud.PutOptions) (cloud.Object, error) {
	if strings.Contains(key, f.from) {
		f.puts.Add(1)
	}
	if f.puts.Load() >= f.nth {
		<-ctx.Done()
		return cloud.Object{}, context.Cause(ctx)
	}
	return f.Files.Put(ctx, key, body, o)
}

// A run ends although the bucket is silent when it stores what it has left: as soon as another one may begin.
func TestBucketThatIsSilentAtTheEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for name, silent := range map[string]*silentFiles{
		"at the artifacts": {from: "/artifacts/archives/", nth: 1},
		"at the commit":    {from: "/current.json", nth: 2}, // the first one is that of the start
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := pushed(t, "tasks:\n- name: load\n  state: true\n  pipeline: [{command: \"echo '{\\\"a\\\": 1}'\"}]\n")
			b.Lease = lease.Times{TTL: 3 * time.Second}
			silent.Files = b.cloud.Files
			b.through(silent)
			interrupted, interrupt := context.WithCancelCause(t.Context())
			defer interrupt(nil)
			res, err := b.run(interrupted, func(o *RunReleaseOptions) {
				o.Push = true
				o.Events = func(e pipeline.Event) {
					if e.Kind == pipeline.TaskEnded && name == "at the commit" {
						time.AfterFunc(100*time.Millisecond, func() { interrupt(pipeline.Interrupt{Signal: syscall.SIGTERM}) })
					}
				}
			})
			if err != nil || res.ExitCode != ExitCloud || !strings.Contains(res.Reason, "lease") {
				t.Errorf("%+v, %v", res, err)
			}
		})
	}
}
