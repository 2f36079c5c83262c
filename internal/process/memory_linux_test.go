package process

import (
	"testing"
	"testing/fstest"
)

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"version 2": {map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "1048576\n"}, 1 << 20},
		"version 1": {map[string]string{
			"proc/self/cgroup": "4:memory:/a\n0::/\n", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "2097152\n"}, 2 << 20},
		"mounted at the top": {map[string]string{
			"proc/self/cgroup": "0::/docker/x\n", "sys/fs/cgroup/memory.max": "3145728\n"}, 3 << 20},
	} {
		root := fstest.MapFS{}
		for file, text := range tt.files {
			root[file] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := memoryLimit(root); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
	if got := memoryLimit(fstest.MapFS{}); got < 1<<20 {
		t.Errorf("the machine has %d bytes", got)
	}
}
