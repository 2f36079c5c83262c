package workspace

import "testing"

// A process that leaves the group cannot be found, but must not keep an install from ending.
func TestInstallDoesNotWaitForDaemons(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.want(t, "done", ": setsid sleep 7 & sleep 0.1; echo started")
	if len(b.output) != 1 || b.output[0] != "started" {
		t.Errorf("output: %q", b.output)
	}
}
