package local

import (
	"context"
	"os"
	"testing"

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
