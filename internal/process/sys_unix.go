package process

import (
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// Seal keeps the descriptors that handoff was started with, from 3 up, from all that it starts: a lock that the caller
// has open would stay locked as long as they live.
func Seal() {
	if sealAll() {
		return
	}
	names, _ := os.ReadDir("/dev/fd")
	for _, name := range names {
		if fd, err := strconv.Atoi(name.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// wait4 reaps pid, which has ended or soon will.
func wait4(pid int, ru *syscall.Rusage) (syscall.WaitStatus, error) {
	var ws syscall.WaitStatus
	for {
		_, err := syscall.Wait4(pid, &ws, 0, ru)
		if err != syscall.EINTR {
			return ws, err
		}
	}
}

// reapLeader takes the exit status of a child that has ended.
func reapLeader(pid int) Exit {
	var ru syscall.Rusage
	ws, err := wait4(pid, &ru)
	if err != nil { // somebody else took it: what is not known is no success
		return Exit{Code: -1}
	}
	e := Exit{Usage: Usage{
		CPU:        time.Duration(ru.Utime.Nano() + ru.Stime.Nano()),
		PeakMemory: ru.Maxrss * maxrssUnit,
	}}
	if ws.Signaled() {
		e.Signal = ws.Signal()
	} else {
		e.Code = ws.ExitStatus()
	}
	return e
}

// reapGroup reaps the children of handoff in the group that have ended.
func reapGroup(pgid int) {
	for {
		pid, err := syscall.Wait4(-pgid, nil, syscall.WNOHANG, nil)
		if err != syscall.EINTR && (err != nil || pid <= 0) {
			return
		}
	}
}

// ownPeak returns the peak memory of handoff itself in bytes.
func ownPeak() int64 {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return 0
	}
	return ru.Maxrss * maxrssUnit
}

// defaultSignals makes handoff catch, and do nothing about, the signals that it was told to ignore: ignoring is
// inherited by a child, where it would make SIGINT useless (a shell starts background jobs that way) or SIGPIPE
// (many a service manager), and a caught one is back at its default there. SIGHUP stays ignored: nohup means the
// children too. The result undoes it.
func defaultSignals() func() {
	var caught []os.Signal
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGPIPE} {
		if signal.Ignored(sig) {
			caught = append(caught, sig)
		}
	}
	if len(caught) == 0 {
		return func() {}
	}
	c := make(chan os.Signal, 1)
	signal.Notify(c, caught...)
	return func() { signal.Stop(c) }
}
