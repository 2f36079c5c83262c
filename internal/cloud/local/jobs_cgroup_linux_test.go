package local

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
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
	for _, file := range []string{"cpu/handoff-job-j1/cpu.cfs_period_us", "cpu/handoff-job-j1/cpu.cfs_quota_us", "memory/handoff-job-j1/memory.limit_in_bytes", "memory/handoff-job-j1/memory.memsw.limit_in_bytes"} {
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
	for file, want := range map[string]string{
		"cpu/handoff-job-j1/cpu.cfs_period_us": "100000", "cpu/handoff-job-j1/cpu.cfs_quota_us": "200000",
		"memory/handoff-job-j1/memory.limit_in_bytes": "1048576", "memory/handoff-job-j1/memory.memsw.limit_in_bytes": "1048576",
	} {
		if got, err := os.ReadFile(filepath.Join(root, file)); err != nil || string(got) != want {
			t.Errorf("%s = %q, %v", file, got, err)
		}
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

// sleeper starts a process that ends only when it is killed; the result returns whether it was.
func sleeper(t *testing.T, env ...string) (pid int, killed func() bool) {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	cmd.Env = env
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd.Process.Pid, func() bool {
		_ = cmd.Wait()
		status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
		return ok && status.Signal() == syscall.SIGKILL
	}
}

// The guardian of a run goes last, and by itself if it can.
func TestGuardianIsKilledLast(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stage, stageKilled := sleeper(t)
	guardian, guardianKilled := sleeper(t, guardKey+"=r1")
	control(t, dir, "cgroup.procs", fmt.Sprintf("%d\n%d\n%d\n", guardian, stage, os.Getpid()))
	killIn(dir, false)
	if !stageKilled() {
		t.Error("the stage was not killed")
	}
	control(t, dir, "cgroup.procs", fmt.Sprintf("%d\n", guardian))
	killIn(dir, false)
	if state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", guardian)); err != nil || strings.Contains(string(state), ") T ") {
		t.Errorf("the guardian was stopped or killed: %s, %v", state, err)
	}
	killIn(dir, true)
	if !guardianKilled() {
		t.Error("the guardian was not killed")
	}
}

// A cgroup of the kernel of this machine is removed with all that is in it, where one can be made.
func TestCgroupsAreRemoved(t *testing.T) {
	t.Parallel()
	tree, err := readCgroupTree("/proc/self")
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range tree {
		if !h.unified && !slices.Contains(h.controllers, "cpu") && !slices.Contains(h.controllers, "memory") {
			continue
		}
		dir := filepath.Join(h.folder(h.own), fmt.Sprintf("handoff-job-test-%d", os.Getpid()))
		if os.Mkdir(dir, 0o755) != nil {
			t.Logf("no cgroup can be made for %q", h.controllers)
			continue
		}
		pid, killed := sleeper(t)
		if err := writeControl(dir, "cgroup.procs", strconv.Itoa(pid)); err != nil {
			t.Logf("no process can be put into %s: %v", dir, err)
			_ = os.Remove(dir)
			continue
		}
		removeCgroups([]string{dir})
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", dir, err)
		}
		if !killed() {
			t.Errorf("%s: not killed", dir)
		}
	}
}

// The limit of memory is that of the kernel of this machine, or there is a warning.
func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	base := ""
	if tree, err := readCgroupTree("/proc/self"); err == nil {
		if h, err := tree.find("memory"); err == nil && !h.unified { // to divide one of version 2, all in it would have to move
			base = strings.TrimPrefix(h.folder(h.own), h.mount)
		}
	}
	l := newLimits(fmt.Sprintf("test-memory-%d", os.Getpid()), base, 0, 32)
	defer removeCgroups(l.dirs())
	if len(l.warnings) > 0 {
		if len(l.warnings) != 1 || !strings.Contains(l.warnings[0], "the limit of 32 MiB is not enforced") {
			t.Errorf("%q", l.warnings)
		}
		return
	}
	cmd := exec.Command("sh", "-c", "read go && exec tail /dev/zero")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range l.dirs() {
		if err := writeControl(dir, "cgroup.procs", strconv.Itoa(cmd.Process.Pid)); err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		_ = cmd.Process.Kill()
	}
	_, _ = in.Write([]byte("go\n"))
	_ = cmd.Wait()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL || outOfMemory(l.dirs()) == 0 {
		t.Errorf("%v, out of memory: %d", cmd.ProcessState, outOfMemory(l.dirs()))
	}
}

// TestCgroupKillSparesItself: a job that could not leave its cgroup has yet to write down how it ended, so that not all in it are killed.
func TestCgroupKillSparesItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	control(t, dir, "cgroup.kill", "")
	control(t, dir, "cgroup.procs", strconv.Itoa(os.Getpid())+"\n")
	killIn(dir, true)
	if text, err := os.ReadFile(filepath.Join(dir, "cgroup.kill")); err != nil || len(text) > 0 {
		t.Errorf("it would have killed itself: %q, %v", text, err)
	}
	control(t, dir, "cgroup.procs", "")
	killIn(dir, true)
	if text, err := os.ReadFile(filepath.Join(dir, "cgroup.kill")); err != nil || string(text) != "1" {
		t.Errorf("cgroup.kill = %q, %v", text, err)
	}
}
