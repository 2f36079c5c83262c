package faults

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"os"
)

// elsewhere makes cmd run as on a machine with another name: it cannot know what the processes here do.
func elsewhere(cmd *exec.Cmd) *exec.Cmd {
	cmd.Args = append([]string{"sh", "-c", `hostname elsewhere && exec "$@"`, "sh", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUTS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return cmd
}

// handoff is stopped for longer than its lease lasts, and its stages are not. Here nobody takes the task, since it is
// there. Another machine does, and finds no stage of it alive. When handoff goes on, it says what happened, and stores nothing.
func TestStoppedHolder(t *testing.T) {
	t.Parallel()
	l := newCloud(t, map[string]string{"project.yml": yml(place + "vars: [{key: who, value: nobody}]\ntasks:\n- name: a\n  state: true\n  pipeline:\n  - command: " +
		block(`[ {{ who }} = first ] || { ls -l "$LAB/beats"; sleep 1; ls -l "$LAB/beats"; exit 0; }
trap '' TERM
while :; do echo x >>"$LAB/beats"; sleep 0.05; done`) + "  - command: " + block(`tee "$LAB/seen.{{ who }}"; echo '{"day": "{{ who }}"}'`))})
	l.limit = 3 * time.Minute
	l.handoff(0, "project", "push", "-p", "prj", "-y")
	command := func(args ...string) *exec.Cmd {
		cmd := l.marked(append([]string{"run", "-p", "prj", "-a"}, args...)...)
		cmd.Env = append(cmd.Env, "LAB="+l.dir)
		return cmd
	}
	first := l.start(command("-w", "ws", "-v", "who=first"))
	l.eventually("the first run is at work", func() bool { return l.exists("beats") })
	if err := first.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	l.says(l.wait(4, command("-w", "ws2", "-v", "who=here")).Stderr, "is going on")

	l.wait(0, elsewhere(command("-w", "ws3", "-v", "who=elsewhere")))
	sizes := strings.Split(strings.TrimSpace(l.read("seen.elsewhere")), "\n")
	if len(sizes) < 2 || sizes[0] != sizes[1] {
		t.Errorf("the stages of the first run were alive: %q", sizes)
	}
	if r := l.record(); r.Outcome != "died" || !strings.Contains(r.Reason, "lease") {
		t.Errorf("the guardian has left the record %+v", r)
	}

	if err := first.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if code := first.end(); code != 3 {
		t.Errorf("exit code %d: %s", code, first.stderr())
	}
	l.says(first.stderr(), "lease of the task")
	if r := l.record(); r.Outcome != "failed" || !strings.Contains(r.Reason, "lease") {
		t.Errorf("record %+v", r)
	}
	l.says(l.handoff(0, "state", "show", "-p", "prj").Stdout, `day: elsewhere`)
	l.nothingLeft()
}

// A holder that lives is not followed, on whatever machine it is and whatever the clock there says, and refuses soon.
func TestLivingHolderElsewhere(t *testing.T) {
	t.Parallel()
	l := newCloud(t, map[string]string{"project.yml": yml(place + "tasks:\n- name: a\n  commands: [{command: touch going; sleep 600}]\n")})
	l.handoff(0, "project", "push", "-p", "prj", "-y")
	first := l.start(l.command("run", "-p", "prj", "-w", "ws"))
	l.appears("going")
	l.says(l.wait(4, elsewhere(l.command("run", "-p", "prj", "-w", "ws2"))).Stderr, "to see whether it is still alive", "is going on")
	_ = first.cmd.Process.Signal(os.Interrupt)
	first.end()
}
