//go:build e2e

package faults

import "testing"

func TestSlowForeachOf100000Lines(t *testing.T) {
	t.Parallel()
	checkForeach(t, 100_000, 4)
}

func TestSlow200MBOfStderr(t *testing.T) {
	t.Parallel()
	peak, log := noisyRun(t, "200")
	if peak == 0 || peak > 40<<10 || log < 200_000_000 {
		t.Errorf("peak memory %d kB, log of %d bytes", peak, log)
	}
}
