package pipeline

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/process"
)

// died says in words how a process ended that nobody here had stopped and that did not succeed.
func died(x process.Exit) string {
	if x.Signal != 0 {
		return "was killed by " + signalName(x.Signal) + meaning(x.Signal, x.Usage.PeakMemory)
	}
	text := fmt.Sprintf("exited with code %d", x.Code)
	switch x.Code { // in the words of every shell
	case 126:
		return text + ": a program in it may not be executed"
	case 127:
		return text + ": a program in it was not found"
	}
	sig := syscall.Signal(x.Code - 128) // what a shell exits with when its last program died by a signal
	if name := unix.SignalName(sig); x.Code > 128 && name != "" && sig != syscall.SIGPIPE {
		text += fmt.Sprintf(": a program in it was killed by %s%s", name, meaning(sig, x.Usage.PeakMemory))
	}
	return text
}

// meaning says who may have sent a signal, and why. peak is in bytes; 0: unknown.
func meaning(sig syscall.Signal, peak int64) string {
	switch sig {
	case syscall.SIGKILL:
		if peak > 0 {
			return "; no one here sent it: perhaps memory, peak was " + memory(peak)
		}
	case syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGILL, syscall.SIGFPE, syscall.SIGABRT, syscall.SIGTRAP, syscall.SIGSYS:
		return ": it crashed"
	case syscall.SIGXCPU:
		return ": it used more CPU time than its ulimit"
	case syscall.SIGXFSZ:
		return ": it wrote a larger file than its ulimit"
	case syscall.SIGPIPE:
		return ": it wrote to a pipe of its own that nobody read"
	}
	return "; no one here sent it"
}

func memory(peak int64) string {
	const mib = 1 << 20
	if limit := process.MemoryLimit(); limit > 0 {
		return fmt.Sprintf("%d MiB of %d", (peak+mib-1)/mib, limit/mib)
	}
	return fmt.Sprintf("%d MiB", (peak+mib-1)/mib)
}
