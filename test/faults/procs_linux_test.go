package faults

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// mark is a text that every process started by a marked handoff carries in its environment.
const mark = "FAULTS_MARK"

// marked prepares a handoff whose processes can be found again.
func (l *lab) marked(args ...string) *exec.Cmd {
	l.Helper()
	cmd := l.command(args...)
	cmd.Env = append(cmd.Env, mark+"="+l.dir)
	return cmd
}

// processes are those alive whose environment or command line names the lab: what handoff has started, and what that
// has started, also where it has cleared its environment but was given a path in the lab.
func (l *lab) processes() map[int]string {
	found := map[int]string{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if pid == os.Getpid() || dead(dir) {
			continue
		}
		line, _ := os.ReadFile(dir + "/cmdline")
		env, _ := os.ReadFile(dir + "/environ")
		if bytes.Contains(env, []byte(mark+"="+l.dir+"\x00")) ||
			bytes.Contains(env, []byte("HANDOFF_HOME="+l.dir+"/")) || bytes.Contains(line, []byte(l.dir+"/")) {
			found[pid] = strings.ReplaceAll(string(line), "\x00", " ")
		}
	}
	return found
}

func dead(dir string) bool {
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return true
	}
	rest := stat[bytes.LastIndexByte(stat, ')')+1:]
	return len(rest) < 2 || rest[1] == 'Z' || rest[1] == 'X'
}

// nothingLeft waits until no process of the lab is alive.
func (l *lab) nothingLeft() {
	l.Helper()
	begin := time.Now()
	for len(l.processes()) > 0 {
		if time.Since(begin) > 20*time.Second {
			l.Fatalf("left behind: %v", l.processes())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// guardian is the process id of the guardian of the run in ws.
func (l *lab) guardian() int {
	l.Helper()
	id := l.record().ID
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		env, _ := os.ReadFile(dir + "/environ")
		if bytes.Contains(env, []byte("HANDOFF_GUARD="+id+"\x00")) {
			pid, _ := strconv.Atoi(filepath.Base(dir))
			return pid
		}
	}
	return 0
}

// status is a number of /proc/PID/status, in its own unit.
func status(pid int, key string) (n int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			n, _ = strconv.Atoi(strings.Fields(rest)[0])
		}
	}
	return n
}

func descriptors(pid int) int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(entries)
}
