package memory_test

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/cloudtest"
	"github.com/handoff-run/handoff/internal/cloud/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shell runs $SCRIPT, as cloudtest.JobsBench wants it.
func shell(t *testing.T) func(context.Context, *memory.Process) cloud.LastWord {
	dir := t.TempDir()
	return func(ctx context.Context, p *memory.Process) cloud.LastWord {
		cmd := exec.Command("/bin/sh", "-c", p.Env["SCRIPT"]+p.Written["SCRIPT"])
		cmd.Env = append(append(os.Environ(), p.Environ()...), cloud.EnvJob+"="+p.ID, cloud.EnvProvider+"=memory", cloud.EnvWorkspace+"="+dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		out, in := io.Pipe()
		cmd.Stdout = in
		var said sync.WaitGroup
		said.Go(func() {
			for lines := bufio.NewScanner(out); lines.Scan(); {
				p.Say(lines.Text())
			}
		})
		if err := cmd.Start(); err != nil {
			return cloud.LastWord{Code: 1, Reason: err.Error()}
		}
		ended := make(chan struct{})
		said.Go(func() {
			select {
			case <-ctx.Done():
				_ = cmd.Process.Signal(syscall.SIGTERM)
			case <-ended:
			}
			select {
			case <-p.Gone:
				_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			case <-ended:
			}
		})
		_ = cmd.Wait()
		close(ended)
		_ = in.Close()
		said.Wait()
		code := cmd.ProcessState.ExitCode()
		return cloud.LastWord{Code: code, Skipped: code == cloud.ExitSkipped}
	}
}

func open(t *testing.T) *memory.World {
	t.Helper()
	w := memory.Open(memory.Options{Run: shell(t)})
	t.Cleanup(w.Close)
	return w
}

func clouds(t *testing.T, w *memory.World) cloudtest.World {
	return func(s cloud.Scope) *cloud.Cloud {
		c, err := w.Cloud(s)
		if err != nil {
			t.Error(err)
		}
		return c
	}
}

func world(t *testing.T) cloudtest.World { return clouds(t, open(t)) }

func logs(t *testing.T) cloudtest.LogsBench {
	account := memory.Open(memory.Options{Settle: 50 * time.Millisecond})
	t.Cleanup(account.Close)
	w := clouds(t, account)
	of := func(s cloud.Scope) *memory.Logs { return w(s).Logs.(*memory.Logs) }
	return cloudtest.LogsBench{
		World:  w,
		Writer: func(s cloud.Scope) func(context.Context, ...cloud.Line) error { return of(s).Append },
		Late:   func(s cloud.Scope) func(context.Context, ...cloud.Line) error { return of(s).AppendLate },
	}
}

func TestConformance(t *testing.T) {
	cloudtest.Run(t, cloudtest.Provider{World: world, Logs: logs, Jobs: jobs, Schedules: schedules})
}

func schedules(t *testing.T) cloudtest.SchedulesBench {
	w := open(t)
	return cloudtest.SchedulesBench{
		World: clouds(t, w), Now: w.Now,
		Pass:   func(_ *testing.T, d time.Duration) { w.Advance(d) },
		Outage: func(_ *testing.T, d time.Duration) { w.Outage(d) },
	}
}

func jobs(t *testing.T) cloudtest.JobsBench {
	w := open(t)
	c, err := w.Cloud(cloud.Scope{Stage: "dev", ResourceGroup: "Group", Task: "Load"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Infra.Plan(t.Context(), cloud.Want{Kind: cloud.KindTask})
	if err == nil {
		err = c.Infra.Apply(t.Context(), p, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return cloudtest.JobsBench{
		Jobs: c.Jobs,
		Says: func(t *testing.T, id string) {
			t.Helper()
			for line, err := range c.Logs.Read(t.Context(), cloud.Query{JobID: id, Follow: true}) {
				if err != nil || line.Text != "" {
					return
				}
			}
		},
		Kill: func(_ *testing.T, job cloud.Job) { w.Lose(job.ID) },
	}
}
