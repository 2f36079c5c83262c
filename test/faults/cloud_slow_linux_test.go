//go:build e2e

package faults

import "testing"

func TestSlowCloud50ConcurrentJobs(t *testing.T) {
	t.Parallel()
	checkConcurrent(t, 50)
}
