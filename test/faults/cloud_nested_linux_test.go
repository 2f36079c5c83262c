package faults

import (
	"syscall"
	"testing"
)

// A run that starts a job leaves no work behind: the job is a run of its own, and goes on whatever becomes of the first one.
func TestLeftJobGoesOn(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]bool{"its starter ends": false, "its starter is killed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := deployed(t, map[string]string{"project.yml": "version: 1\n" + place + "vars: [{key: dir, value: none}]\n" +
				"tasks:\n- name: a\n  commands:\n  - command: " + block("touch {{ dir }}/begun; while [ ! -e {{ dir }}/go ]; do sleep 0.05; done")})
			l.write("starter/project.yml", yml("tasks:\n- name: start\n  commands:\n  - command: "+
				block(`"$PROGRAM" cloud run -p "$LAB/prj" -v dir="$LAB"; [ -z "$STAY" ] || exec sleep 1000`)))
			cmd := l.command("run", "local", "-p", "starter", "-w", "ws")
			cmd.Env = append(cmd.Env, "PROGRAM="+program, "LAB="+l.dir)
			if kill {
				cmd.Env = append(cmd.Env, "STAY=yes")
			}
			s := l.start(cmd)
			l.eventually("the job is at work", func() bool { return l.exists("begun") })
			if kill {
				s.signal(syscall.SIGKILL)
			}
			if code := s.end(); !kill && code != 0 {
				t.Errorf("exit code %d: %s%s", code, s.stdout(), s.stderr())
			}
			l.eventually("the end of the starter's run", func() bool { return l.record().Outcome != "running" })
			l.write("go", "")
			if j := l.ended()[0]; j.State != "succeeded" {
				t.Errorf("%+v", j)
			}
			l.nothingLeft()
		})
	}
}
