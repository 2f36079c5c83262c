package faults

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/handoff-run/handoff/test/binary"
)

// mounted runs a script in a mount namespace of its own, where a small file system can be mounted on ws without
// being root of the machine; what is mounted goes with the last process. $0 is the program.
func (l *lab) mounted(code int, script string) binary.Result {
	l.Helper()
	if err := os.Mkdir(l.path("ws"), 0o755); err != nil {
		l.Fatal(err)
	}
	cmd := l.shell("mount -t tmpfs -o size=512k none ws && " + script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return l.wait(code, cmd)
}

const runOnMount = `{ "$0" run local -p prj -w ws; code=$?; echo "--- record"; cat ws/artifacts/run.json; exit $code; }`

// A full disk fails the run with a reason; a short file is never a success.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		files  map[string]string
		before string
		code   int
		want   []string // in all that is said
	}{
		{
			"stdout artifact", map[string]string{"project.yml": yml("tasks:\n- name: a\n  pipeline:\n  - command: head -c 2000000 /dev/zero\n  - command: cat\n- name: b\n  commands: [{command: touch later}]\n")},
			"", 1, []string{"^status: failed$", `^failed_task: a$`, "(?i)no space left on device"},
		},
		{
			"stdout artifact of a stage that does not look", map[string]string{"project.yml": yml("tasks:\n- name: a\n  commands:\n  - command: " + block("head -c 2000000 /dev/zero 2>/dev/null; exit 0"))},
			"", 1, []string{"^status: failed$", `^failed_task: a$`, "no space left on device", "a_stdout.log"},
		},
		{
			"stderr log", map[string]string{"project.yml": yml("tasks:\n- name: a\n  commands: [{command: 'seq 100000 >&2'}]\n")},
			"", 1, []string{"^status: failed$", `a_stderr.log.*no space left on device`, `WRN the log of the run is not complete: .*run.log: no space left on device`},
		},
		{
			"run.json", map[string]string{"project.yml": yml("tasks:\n- name: a\n  stdout_to_file: false\n  stderr_to_file: false\n  commands: [{command: 'head -c 2000000 /dev/zero >ballast || true'}]\n")},
			"", 0, []string{"^status: success$", `"exit_code": 0`}, // room was kept for it
		},
		{
			"run.json whose folder is gone", map[string]string{"project.yml": yml("tasks:\n- name: a\n  stdout_to_file: false\n  stderr_to_file: false\n  commands: [{command: rm -rf artifacts}]\n")},
			"", 1, []string{"^status: failed$", `ERR run .*write run record: .*no such file`},
		},
		{
			"files", map[string]string{"project.yml": yml("tasks:\n- name: a\n  commands: [{command: touch ran}]\n"), "files/big": strings.Repeat("x", 1<<20)},
			"", 1, []string{`write files/big: no space left on device`},
		},
		{
			"files as a template", map[string]string{"project.yml": yml("tasks:\n- name: a\n  commands: [{command: touch ran}]\n"), "files/big": strings.Repeat("{{ 1 }}xxxxxxxxxxxx", 1<<16)},
			"", 1, []string{`write files/big: no space left on device`},
		},
		{
			"full before the run", map[string]string{"project.yml": yml("tasks:\n- name: a\n  commands: [{command: touch ran}]\n")},
			"head -c 2000000 /dev/zero >ws/ballast; ", 1, []string{`workspace.*no space left on device`},
		},
		{
			"foreach with concurrency", map[string]string{"project.yml": yml("tasks:\n- name: a\n  pipeline:\n  - command: seq 20\n  - foreach:\n    - name: b\n      commands: [{command: 'head -c 300000 /dev/zero'}]\n    concurrency: 4\n  - command: wc -c\n")},
			"", 1, []string{"^status: failed$", "(?i)no space left on device"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, tt.files)
			res := l.mounted(tt.code, tt.before+runOnMount)
			l.says(res.Stdout+res.Stderr, tt.want...)
			for _, claim := range []string{"\nstatus: success", "\n  \"outcome\": \"success\"", "\n  \"outcome\": \"running\""} {
				if tt.code != 0 && strings.Contains("\n"+res.Stdout, claim) {
					t.Errorf("%q is claimed: %s", claim, cut(res.String()))
				}
			}
		})
	}
}

// A workspace that cannot be written is refused before anything runs.
func TestReadOnlyWorkspace(t *testing.T) {
	t.Parallel()
	l := project(t, yml("tasks:\n- name: a\n  commands: [{command: echo never}]\n"))
	res := l.mounted(1, `mount -o remount,ro ws && "$0" run local -p prj -w ws`)
	l.says(res.Stderr, `^error: .*workspace.*ws.*read-only file system`)
}

// With room for nothing but itself a run works.
func TestAlmostFullDisk(t *testing.T) {
	t.Parallel()
	l := project(t, yml("tasks:\n- name: a\n  commands: [{command: echo fits}]\n"))
	l.says(l.mounted(0, runOnMount+"; cat ws/artifacts/a_stdout.log").Stdout, `"outcome": "success"`)
}
