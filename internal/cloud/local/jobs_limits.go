package local

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// storageWarnings says where the disk has less room than the job was promised: a folder cannot be limited.
func storageWarnings(dir string, gib int) []string {
	var st unix.Statfs_t
	if gib == 0 || unix.Statfs(dir, &st) != nil {
		return nil
	}
	free := uint64(st.Bavail) * uint64(st.Bsize) // the types differ between systems
	if free >= uint64(gib)<<30 {
		return nil
	}
	return []string{fmt.Sprintf("storage: %d GiB are asked for, the disk has %.1f GiB left", gib, float64(free)/(1<<30))}
}
