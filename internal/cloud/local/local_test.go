package local

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/cloudtest"
)

func TestMain(m *testing.M) {
	if role := os.Getenv("HANDOFF_LOCAL_HELPER"); role != "" {
		help(role, os.Args[1], os.Args[2])
		return
	}
	goleak.VerifyTestMain(m)
}

// world returns Clouds of a new home.
func world(t *testing.T) cloudtest.World {
	dir := t.TempDir()
	return func(s cloud.Scope) *cloud.Cloud {
		h, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		c, err := h.Cloud(s)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

// TestConformance runs first, and alone: it measures memory.
func TestConformance(t *testing.T) { cloudtest.Run(t, world) }

func TestLogsConformance(t *testing.T) {
	t.Parallel()
	cloudtest.Logs(t, func(t *testing.T) cloudtest.LogsBench {
		w := world(t)
		return cloudtest.LogsBench{World: w, Writer: func(s cloud.Scope) func(context.Context, ...cloud.Line) error {
			l := w(s).Logs.(*Logs)
			t.Cleanup(func() {
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			})
			return l.Append
		}}
	})
}

// whole returns all that a home has for a scope, with jobs that run $SCRIPT.
func whole(t *testing.T, h *Home, s cloud.Scope) *cloud.Cloud {
	t.Helper()
	c, err := h.Cloud(s)
	if err != nil {
		t.Fatal(err)
	}
	c.Account, c.Infra, c.Schedules, c.Scheduler = h.Account(), h.Infra(s), h.Schedules(s), h.Scheduler()
	c.Jobs = h.Jobs(s, scriptJobs())
	return cloud.Complete(*c)
}

func TestIsolation(t *testing.T) {
	cloudtest.Isolation(t, func(t *testing.T) cloudtest.LogsBench {
		h, err := Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { awaitJobs(t, h) })
		return cloudtest.LogsBench{
			World: func(s cloud.Scope) *cloud.Cloud { return whole(t, h, s) },
			Writer: func(s cloud.Scope) func(context.Context, ...cloud.Line) error {
				l := h.Logs(s)
				t.Cleanup(func() { _ = l.Close() })
				return l.Append
			},
		}
	})
}

// awaitJobs leaves no job behind.
func awaitJobs(t *testing.T, h *Home) {
	err := eachPart(filepath.Join(h.dir, "jobs"), func(stage, dir string) error {
		return eachPart(dir, func(group, _ string) error {
			return h.eachTask("jobs", cloud.Scope{Stage: stage, ResourceGroup: group}, func(s cloud.Scope, _ string) error {
				jobs := h.Jobs(s, JobOptions{})
				for range 3000 {
					if ids, err := jobs.ids(); err != nil || !slices.ContainsFunc(ids, jobs.busy) {
						return err
					}
					time.Sleep(10 * time.Millisecond)
				}
				return errors.New("jobs are still active")
			})
		})
	})
	if err != nil {
		t.Error(err)
	}
}

func TestInfraConformance(t *testing.T) {
	t.Parallel()
	cloudtest.Infra(t, func(t *testing.T) cloudtest.World {
		dir := t.TempDir()
		return func(s cloud.Scope) *cloud.Cloud {
			h, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			return whole(t, h, s)
		}
	})
}
