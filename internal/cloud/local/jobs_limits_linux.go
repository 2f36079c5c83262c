package local

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// limits are the cgroups of one job: one of version 2, or one of version 1 for each controller, or none, with a warning.
type limits struct {
	warnings []string
	unified  string   // folder of a cgroup of version 2; "": none
	legacy   []string // folders of version 1
	memory   string   // the one of them that limits memory
}

// newLimits makes cgroups for what is limited: cpu in 1/1024 of a core, memory in MiB; 0 is no limit.
func newLimits(job, base string, cpu, memory int) *limits {
	l := &limits{}
	if cpu == 0 && memory == 0 {
		return l
	}
	tree, err := readCgroupTree("/proc/self")
	for _, want := range []struct {
		controller, limit string
		value             int
	}{
		{"cpu", fmt.Sprintf("%d/1024 of a core", cpu), cpu},
		{"memory", fmt.Sprintf("%d MiB", memory), memory},
	} {
		if want.value == 0 {
			continue
		}
		failed := err
		if failed == nil {
			failed = l.set(tree, want.controller, base, "handoff-job-"+job, want.value)
		}
		if failed != nil {
			l.warnings = append(l.warnings, fmt.Sprintf("%s: the limit of %s is not enforced: %v (see docs/jobs.md)",
				want.controller, want.limit, failed))
		}
	}
	return l
}

// set limits one controller.
func (l *limits) set(tree cgroupTree, controller, base, name string, value int) error {
	h, err := tree.find(controller)
	if err != nil {
		return err
	}
	parent, err := h.parent(base)
	if err != nil {
		return err
	}
	if h.unified {
		if err := enable(parent, controller); err != nil {
			return err
		}
	}
	dir := filepath.Join(parent, name)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if h.unified {
		l.unified = dir
	} else {
		l.legacy = append(l.legacy, dir)
	}
	if controller == "memory" {
		l.memory = dir
		return limitMemory(dir, h.unified, int64(value)<<20)
	}
	return limitCPU(dir, h.unified, value)
}

// cpuPeriod is the time in which the share of a core may be used, in microseconds.
const cpuPeriod = 100_000

func limitCPU(dir string, unified bool, share int) error {
	quota := strconv.Itoa(max(share*cpuPeriod/1024, 1000)) // 1000 is the kernel's least
	if unified {
		return writeControl(dir, "cpu.max", quota+" "+strconv.Itoa(cpuPeriod))
	}
	return errors.Join(writeControl(dir, "cpu.cfs_period_us", strconv.Itoa(cpuPeriod)), writeControl(dir, "cpu.cfs_quota_us", quota))
}

// limitMemory also keeps the job from using swap in place of memory, where the kernel can.
func limitMemory(dir string, unified bool, bytes int64) error {
	text := strconv.FormatInt(bytes, 10)
	if unified {
		_ = writeControl(dir, "memory.swap.max", "0")
		return writeControl(dir, "memory.max", text)
	}
	err := writeControl(dir, "memory.limit_in_bytes", text)
	_ = writeControl(dir, "memory.memsw.limit_in_bytes", text)
	return err
}

func writeControl(dir, file, text string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func (l *limits) dirs() []string {
	if l.unified == "" {
		return l.legacy
	}
	return append([]string{l.unified}, l.legacy...)
}

// start starts cmd inside of the cgroups, so that nothing that it starts is outside: one of version 1 by way of the thread
// that starts it.
func (l *limits) start(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if l.unified != "" {
		dir, err := os.Open(l.unified)
		if err != nil {
			return err
		}
		defer dir.Close() //nolint:errcheck // read only
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	}
	tid := strconv.Itoa(unix.Gettid())
	for _, dir := range l.legacy {
		if err := writeControl(dir, "tasks", tid); err != nil {
			return fmt.Errorf("enter cgroup: %w", err)
		}
		defer writeControl(filepath.Dir(dir), "tasks", tid) //nolint:errcheck // else it goes when the runner does
	}
	return cmd.Start()
}

// outOfMemory answers how many processes of the job the kernel has killed because the limit was reached.
func (l *limits) outOfMemory() int {
	if l.memory == "" {
		return 0
	}
	file := "memory.oom_control"
	if l.unified == l.memory {
		file = "memory.events"
	}
	text, _ := os.ReadFile(filepath.Join(l.memory, file))
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			count, _ := strconv.Atoi(strings.TrimSpace(n))
			return count
		}
	}
	return 0
}

// removeCgroups ends what is left in the cgroups of a job, and removes them.
func removeCgroups(dirs []string) {
	for _, dir := range dirs {
		if !strings.HasPrefix(filepath.Base(dir), "handoff-job-") {
			continue
		}
		for range 100 {
			if err := os.Remove(dir); err == nil || errors.Is(err, os.ErrNotExist) {
				break
			}
			killAll(dir)
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func killAll(dir string) {
	text, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	for line := range strings.Lines(string(text)) {
		if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && pid > 1 && pid != os.Getpid() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
