package process

import (
	"math"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const maxrssUnit = 1024 // bytes

func onMainThread() bool { return unix.Gettid() == os.Getpid() }

// nameProcess gives this process another name than that of its program, at most 15 bytes.
func nameProcess(name string) { _ = os.WriteFile("/proc/self/comm", []byte(name), 0) } // only a name

// childAttr makes a process die with handoff where there is no guardian. The guardian does it better: a process that dies
// alone shows those that it had started, and that read from it, the end of their input.
func childAttr(pidfd *int, guarded bool) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, PidFD: pidfd}
	if !guarded {
		attr.Pdeathsig = syscall.SIGKILL
	}
	return attr
}

// sealAll needs Linux 5.11.
func sealAll() bool {
	return unix.CloseRange(3, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) == nil
}

// adoptOrphans makes handoff the parent of every orphan among its descendants. It tells whether it was that before,
// and whether it is now.
func adoptOrphans() (was, is bool) {
	if adoptsOrphans() {
		return true, true
	}
	return false, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == nil
}

func adoptsOrphans() bool {
	var on int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&on)), 0, 0, 0)
	return err == nil && on != 0
}

// awaitExit blocks until the child pid has ended, and does not reap it. With a descriptor of the process, no thread
// is blocked; pidfd is -1 where the kernel has none, and is closed here.
func awaitExit(pid, pidfd int) {
	if pidfd < 0 || !pollExit(pid, pidfd) {
		for ended, err := hasEnded(pid, 0); !ended && err == nil; ended, err = hasEnded(pid, 0) {
		}
	}
}

func pollExit(pid, pidfd int) bool {
	_ = unix.SetNonblock(pidfd, true) // what os.NewFile takes as the wish to poll
	f := os.NewFile(uintptr(pidfd), "pidfd")
	defer f.Close()
	rc, err := f.SyscallConn()
	if err != nil {
		return false
	}
	return rc.Read(func(uintptr) bool {
		ended, err := hasEnded(pid, unix.WNOHANG)
		return ended || err != nil
	}) == nil
}

// hasEnded asks for the end of a child without reaping it.
func hasEnded(pid, options int) (bool, error) {
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT|options, nil)
		if err != unix.EINTR {
			return err == nil && info.Signo != 0, err
		}
	}
}

func groupEmpty(pgid int) bool { return syscall.Kill(-pgid, 0) == syscall.ESRCH }

// hasLiveMember reports whether a process of the group is alive.
func hasLiveMember(pgid int) bool {
	for _, p := range processTable() {
		if p.pgrp == pgid && p.alive() {
			return true
		}
	}
	return false
}
