//go:build e2e

package faults

import "testing"

func TestSlowCloud50ConcurrentJobs(t *testing.T) {
	t.Parallel()
	checkConcurrent(t, 50)
}

func TestSlowCloudServerKilled20Times(t *testing.T) {
	t.Parallel()
	checkServerKilled(t, 60, 20)
}

func TestSlowCloudJobKilled(t *testing.T) {
	t.Parallel()
	checkJobKilled(t, 10)
}

func TestSlowCloudPushKilled(t *testing.T) {
	t.Parallel()
	checkPushKilled(t, 20)
}

func TestSlowCloudPowerCut(t *testing.T) {
	t.Parallel()
	checkPowerCut(t, 60, 15)
}

func TestSlowCloudKilledWhileItStores(t *testing.T) {
	t.Parallel()
	checkKilledWhileItStores(t, 30)
}
