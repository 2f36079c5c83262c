package process

import (
	"bytes"
	"os"
	"strings"
)

// Machine names this machine since it came up, and the space in which ids of processes mean something; "": not known.
func Machine() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	space, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + " " + space
}

// Born returns when a live process started, in a unit of this machine: with it, an id tells a process from a later one
// that has the same. 0: not known.
func Born(pid int) uint64 {
	s, ok := readStat(pid)
	if !ok || !s.alive() {
		return 0
	}
	return s.start
}

// Remains reports whether a process of the run with this cookie is left on this machine, its guardian included.
func Remains(cookie string) bool {
	run, guard := []byte(cookieKey+"="+cookie), []byte(guardKey+"="+cookie)
	for _, p := range processTable() {
		if !p.alive() {
			continue
		}
		var buf [4096]byte
		env, _ := readProc(p.pid, "/environ", buf[:])
		for kv := range bytes.SplitSeq(env, []byte{0}) {
			if bytes.Equal(kv, run) || bytes.Equal(kv, guard) {
				return true
			}
		}
	}
	return false
}
