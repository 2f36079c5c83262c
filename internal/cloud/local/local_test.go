package local

import (
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

// TestConformance runs first, and alone: it measures memory.
func TestConformance(t *testing.T) {
	cloudtest.Run(t, func(t *testing.T) cloudtest.World {
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
			t.Cleanup(func() {
				if err := c.Logs.(*Logs).Close(); err != nil {
					t.Error(err)
				}
			})
			return c
		}
	})
}
