package faults

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// stateful is a project with 40 pipelines that have a state. All of them, and the artifact n, count the runs that have stored what
// they left; a pipeline fails with code 9 where its state and the artifact do not agree.
func stateful() string {
	var b strings.Builder
	b.WriteString("version: 1\n" + place + "vars: [{key: last, value: 'true'}]\ntasks:\n")
	for i := range 40 {
		fmt.Fprintf(&b, `- name: p%02d
  state: true
  stderr_to_file: false
  pipeline: [{command: 'n=$(tr -cd 0-9 <{{ _state_file }}); test "$n" = "$(cat artifacts/n 2>/dev/null)" || exit 9; echo "{\"n\": $((n + 1))}"'}]
`, i)
	}
	b.WriteString(`- name: count
  stdout_to_file: false
  stderr_to_file: false
  commands: [{command: 'n=$(cat artifacts/n 2>/dev/null); echo $((n + 1)) >artifacts/n; {{ last }}'}]
`)
	return b.String()
}

// Handoff is killed while it stores what a run left: the next run finds all of it or nothing, and the record says which.
func TestCloudKilledWhileItStores(t *testing.T) {
	t.Parallel()
	checkKilledWhileItStores(t, 4)
}

func checkKilledWhileItStores(t *testing.T, rounds int) {
	t.Helper()
	l := newCloud(t, map[string]string{"project.yml": stateful()})
	l.deploy()
	run := []string{"run", "-p", "prj", "-w", "ws", "-a"}
	l.handoff(0, run...)
	for range rounds {
		before := len(l.objects("load/state/p00/"))
		s := l.start(l.command(run...))
		l.eventually("the first state of the run is stored", func() bool {
			select {
			case <-s.done:
				l.Fatalf("the run has ended: %s", s.stderr())
			default:
			}
			all, _ := filepath.Glob(filepath.Join(l.home, "buckets/dev/etl/objects/load/state/p00/log/*"))
			return len(all) > before
		})
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
		_ = s.cmd.Process.Kill() // it may have ended
		s.end()
	}
	l.handoff(0, run...)
	l.handoff(0, run...) // nothing is a mixture after a good run either
	good := 0
	for _, r := range l.runs() {
		switch r.Outcome {
		case "success":
			good++
		case "died":
		default:
			t.Errorf("record %+v", r)
		}
	}
	if got := strings.TrimSpace(l.artifact("n")); got != fmt.Sprint(good) {
		t.Errorf("%d runs are said to have succeeded, %s have stored what they left", good, got)
	}
	l.nothingLeft()
}

// The disk has room for some of what a run left: the next run finds all of it or nothing.
func TestCloudDiskFullWhileItStores(t *testing.T) {
	t.Parallel()
	l := newLab(t, map[string]string{"project.yml": stateful(), "files/fill.sh": `free=$(df -k --output=avail "$HANDOFF_HOME" | tail -n 1)
head -c $(((free - $1) * 1024)) /dev/zero >"$HANDOFF_HOME/ballast"
`})
	res := l.mounted(0, `mount -o remount,size=8m ws && export HANDOFF_HOME=$PWD/ws && "$0" project push -p prj -y >/dev/null || exit
"$0" run -p prj -w run -a -o text || exit
for room in 0 60 130 200 260; do
  code=0; "$0" run -p prj -w run -a -o text -v last="sh files/fill.sh $room" || code=$?
  echo "room $room: code $code"
  rm ws/ballast
  case $code in 0|3) ;; *) exit 7;; esac
done 2>&1
"$0" run -p prj -w run -a -o text && "$0" run -p prj -w run -a -o text
`)
	l.says(res.Stdout, "^room 0: code 3$", "^room 60: code 3$", "^room 130: code 3$", "no space left on device")
}
