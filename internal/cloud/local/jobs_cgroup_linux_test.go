package local

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// cgroupTrees writes /proc/self of a machine whose cgroups are mounted at root.
func cgroupTrees(t *testing.T, mountinfo, cgroup string) (proc, root string) {
	t.Helper()
	proc, root = t.TempDir(), t.TempDir()
	for name, text := range map[string]string{"mountinfo": mountinfo, "cgroup": cgroup} {
		if err := os.WriteFile(filepath.Join(proc, name), []byte(strings.ReplaceAll(text, "ROOT", root)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return proc, root
}

func control(t *testing.T, root, path, text string) {
	t.Helper()
	file := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const (
	unifiedMount = "30 20 0:26 / ROOT rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	legacyMount  = "31 20 0:27 / ROOT/memory rw - cgroup cgroup rw,memory\n32 20 0:28 / ROOT/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
)

func TestCgroupUnified(t *testing.T) {
	t.Parallel()
	proc, root := cgroupTrees(t, "1 1 0:1 / / rw - ext4 /dev/sda rw\n"+unifiedMount, "0::/app.slice/handoff.service\n")
	own := "app.slice/handoff.service/"
	control(t, root, own+"cgroup.controllers", "cpu memory pids\n")
	control(t, root, own+"cgroup.subtree_control", "cpu memory\n")
	job := own + "handoff-job-j1/"
	for _, file := range []string{"cpu.max", "memory.max", "memory.swap.max"} {
		control(t, root, job+file, "")
	}
	control(t, root, job+"memory.events", "low 0\noom 3\noom_kill 2\n")
	tree, err := readCgroupTree(proc)
	if err != nil {
		t.Fatal(err)
	}
	base := "/app.slice/handoff.service"
	l := &limits{origin: map[string]string{}}
	err = errors.Join(l.set(tree, "cpu", base, "handoff-job-j1", 256), l.set(tree, "memory", base, "handoff-job-j1", 512))
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"cpu.max": "25000 100000", "memory.max": "536870912", "memory.swap.max": "0"} {
		if got, err := os.ReadFile(filepath.Join(root, job, file)); err != nil || string(got) != want {
			t.Errorf("%s = %q, %v", file, got, err)
		}
	}
	if n := outOfMemory(l.dirs()); n != 2 {
		t.Errorf("out of memory: %d", n)
	}
	if dirs := l.dirs(); len(dirs) != 1 || dirs[0] != filepath.Join(root, job) {
		t.Errorf("dirs = %q", dirs)
	}
}

func TestCgroupLegacy(t *testing.T) {
	t.Parallel()
	proc, root := cgroupTrees(t, legacyMount+unifiedMount, "4:memory:/\n2:cpu,cpuacct:/\n0::/\n")
	control(t, root, "cgroup.controllers", "hugetlb\n")
	for _, file := range []string{"cpu/handoff-job-j1/cpu.cfs_period_us", "cpu/handoff-job-j1/cpu.cfs_quota_us", "memory/handoff-job-j1/memory.limit_in_bytes"} {
		control(t, root, file, "")
	}
	control(t, root, "memory/handoff-job-j1/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
	tree, err := readCgroupTree(proc)
	if err != nil {
		t.Fatal(err)
	}
	l := &limits{origin: map[string]string{}}
	if err := errors.Join(l.set(tree, "cpu", "", "handoff-job-j1", 2048), l.set(tree, "memory", "", "handoff-job-j1", 1)); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, "cpu/handoff-job-j1/cpu.cfs_quota_us"))
	if err != nil || string(got) != "200000" {
		t.Errorf("quota = %q, %v", got, err)
	}
	if n := outOfMemory(l.dirs()); n != 1 {
		t.Errorf("out of memory: %d", n)
	}
	if err := l.set(tree, "io", "", "x", 1); err == nil {
		t.Error("a controller that is not there can be set")
	}
}

// A cgroup that another program manages is left alone.
func TestCgroupNotGiven(t *testing.T) {
	t.Parallel()
	proc, root := cgroupTrees(t, legacyMount, "4:memory:/user.slice\n2:cpu,cpuacct:/\n")
	control(t, root, "memory/user.slice/tasks", "")
	tree, err := readCgroupTree(proc)
	if err != nil {
		t.Fatal(err)
	}
	h, err := tree.find("memory")
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.parent("")
	if given := os.Geteuid() != 0; (err == nil) != given {
		t.Errorf("err = %v", err)
	}
	if _, err := h.parent("../nothing"); err == nil {
		t.Error("a cgroup that does not exist is taken")
	}
	if dir, err := h.parent("user.slice"); err != nil || dir != filepath.Join(root, "memory/user.slice") {
		t.Errorf("dir = %q, %v", dir, err)
	}
}

func TestCgroupEvacuates(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	control(t, root, "cgroup.subtree_control", "memory\n")
	control(t, root, "cgroup.procs", "12\n13\n")
	control(t, root, leaf+"/cgroup.procs", "")
	if err := evacuate(root); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(root, leaf, "cgroup.procs")); err != nil || !strings.HasSuffix(string(got), "13") {
		t.Errorf("procs = %q, %v", got, err)
	}
	if err := enable(root, "memory"); err != nil {
		t.Error(err)
	}
	if err := enable(filepath.Join(root, "nothing"), "cpu"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("err = %v", err)
	}
}
