package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
)

// limits are the cgroups of one job: one of version 2, or one of version 1 for each controller, or none, with a warning.
type limits struct {
	warnings []string
	unified  string            // folder of a cgroup of version 2; "": none
	legacy   []string          // folders of version 1
	origin   map[string]string // by folder: the one of the cgroup in which the process was before
}

// newLimits makes cgroups for what is limited: cpu in 1/1024 of a core, memory in MiB; 0 is no limit.
func newLimits(job, base string, cpu, memory int) *limits {
	l := &limits{origin: map[string]string{}}
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
	if l.origin[dir] = h.folder(h.own); l.origin[dir] == parent && h.unified { // it may not go back there: see enable
		l.origin[dir] = filepath.Join(parent, leaf)
	}
	if controller == "memory" {
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

// enter moves this process into the cgroups, and so all that it will start.
func (l *limits) enter() {
	for _, dir := range l.dirs() {
		if err := writeControl(dir, "cgroup.procs", self); err != nil {
			l.warnings = append(l.warnings, fmt.Sprintf("the limits of the job are not enforced: enter cgroup: %v", err))
		}
	}
}

// self is how a process names itself to the kernel.
const self = "0"

// leave moves it back, so that they can be removed.
func (l *limits) leave() {
	for _, dir := range l.dirs() {
		if to := l.origin[dir]; writeControl(to, "cgroup.procs", self) != nil && os.Mkdir(to, 0o755) == nil {
			_ = writeControl(to, "cgroup.procs", self) // else they go with the machine
		}
	}
}

// outOfMemory returns how many processes the kernel has killed in the cgroups because the limit was reached.
func outOfMemory(cgroups []string) int {
	most := 0
	for _, dir := range cgroups {
		for _, file := range []string{"memory.events", "memory.oom_control"} {
			text, _ := os.ReadFile(filepath.Join(dir, file))
			for line := range strings.Lines(string(text)) {
				if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
					count, _ := strconv.Atoi(strings.TrimSpace(n))
					most = max(most, count)
				}
			}
		}
	}
	return most
}

// isProcessOf reports whether pid is the process of a job, and not one that has got its number since.
func isProcessOf(pid int, job string) bool {
	environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return slices.Contains(strings.Split(string(environ), "\x00"), cloud.EnvJob+"="+job)
}

const (
	removals = 300                   // tries to remove a cgroup, of which each ends what is in it
	patient  = 200                   // of them, for the guardian of a run
	between  = 10 * time.Millisecond // them
)

// removeCgroups ends what is left in the cgroups of a job, and removes them.
func removeCgroups(dirs []string) {
	for _, dir := range dirs {
		if !strings.HasPrefix(filepath.Base(dir), "handoff-job-") {
			continue
		}
		for try := range removals {
			if err := os.Remove(dir); err == nil || errors.Is(err, os.ErrNotExist) {
				break
			}
			killIn(dir, try > patient)
			time.Sleep(between)
		}
	}
}

// killIn kills the processes in a cgroup but this one, all at once where the kernel can (version 2). The guardian of a run keeps the
// end of a pipe from its reader until the stages are gone, and then finishes the record of the run: it is left to end by itself,
// unless hasty.
func killIn(dir string, hasty bool) {
	pids, inside := processesIn(dir)
	others := slices.DeleteFunc(slices.Clone(pids), isGuardian)
	if len(others) < len(pids) && !hasty {
		killEach(others)
		return
	}
	if inside || writeControl(dir, "cgroup.kill", "1") != nil {
		killEach(pids)
	}
}

// killEach stops all processes before it kills them: none sees the end of another one.
func killEach(pids []int) {
	for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		for _, pid := range pids {
			_ = syscall.Kill(pid, sig)
		}
	}
}

// processesIn returns the processes in a cgroup but this one, and whether this one is in it.
func processesIn(dir string) (pids []int, inside bool) {
	text, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	for line := range strings.Lines(string(text)) {
		switch pid, err := strconv.Atoi(strings.TrimSpace(line)); {
		case err != nil:
		case pid == os.Getpid():
			inside = true
		case pid > 1:
			pids = append(pids, pid)
		}
	}
	return pids, inside
}

func isGuardian(pid int) bool {
	environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return slices.ContainsFunc(strings.Split(string(environ), "\x00"), func(kv string) bool { return strings.HasPrefix(kv, guardKey+"=") })
}
