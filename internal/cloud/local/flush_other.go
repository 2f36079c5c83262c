//go:build !linux

package local

// newSyncGroup returns a group that flushes file by file: there is no call for a whole file system.
func newSyncGroup(string) *syncGroup { return &syncGroup{} }
