package app

import (
	"os"
	"runtime"
	"testing"
)

func TestMain(m *testing.M) {
	runtime.LockOSThread() // no test starts a process on the main thread, where a run that another test makes would take it for an orphan
	os.Exit(m.Run())
}
