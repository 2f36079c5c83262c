package process

import (
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// MemoryLimit returns how much memory, in bytes, handoff and its processes can have together: the lowest limit of the
// control groups around it, at most the memory of the machine; 0: unknown.
func MemoryLimit() int64 { return memoryLimit(os.DirFS("/")) }

func memoryLimit(root fs.FS) int64 {
	lowest := int64(math.MaxInt64)
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		lowest = int64(info.Totalram) * int64(info.Unit)
	}
	groups, _ := fs.ReadFile(root, "proc/self/cgroup")
	for line := range strings.Lines(string(groups)) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(part) < 3:
		case part[1] == "":
			lowest = min(lowest, lowestIn(root, "sys/fs/cgroup", part[2], "memory.max"))
		case part[1] == "memory":
			lowest = min(lowest, lowestIn(root, "sys/fs/cgroup/memory", part[2], "memory.limit_in_bytes"))
		}
	}
	if lowest == math.MaxInt64 {
		return 0
	}
	return lowest
}

// lowestIn returns the lowest limit of a group and those above it. In a container the group may be mounted at top.
func lowestIn(root fs.FS, top, group, file string) int64 {
	lowest := int64(math.MaxInt64)
	for group = path.Join("/", group); ; group = path.Dir(group) {
		text, _ := fs.ReadFile(root, path.Join(top, group, file))
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 {
			lowest = min(lowest, n)
		}
		if group == "/" {
			return lowest
		}
	}
}
