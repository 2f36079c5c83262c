package local

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if role := os.Getenv("HANDOFF_LOCAL_HELPER"); role != "" {
		help(role, os.Args[1], os.Args[2])
		return
	}
	goleak.VerifyTestMain(m)
}
