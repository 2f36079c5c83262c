package faults

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// version makes the project n: each of its files says so.
func version(l *lab, folder string, n int) {
	l.Helper()
	l.write(folder+"/project.yml", yml(place+"tasks:\n- name: a\n  commands:\n  - command: "+
		block(fmt.Sprintf(`echo %d; cat files/*/* | sort -u`, n))))
	for i := range 60 {
		l.write(fmt.Sprintf("%s/files/d%d/f%d", folder, i%6, i), fmt.Sprintf("%d\n", n))
	}
	l.write(folder+"/files/big/one", strings.Repeat(fmt.Sprintf("%d\n", n), 2<<20))
}

// whole runs what is current and wants it to be one version, which it returns.
func (l *lab) whole() string {
	l.Helper()
	l.handoff(0, "run", "-e", "resource_group=etl", "task=load", "-w", "ws")
	got := strings.Fields(l.artifact("a_stdout.log"))
	if len(got) != 2 || got[0] != got[1] {
		l.Fatalf("a mix of releases: %q", got)
	}
	return got[0]
}

// A push that is killed has taken place or has not; what was current stays whole, and the next push works.
func TestCloudPushKilled(t *testing.T) {
	t.Parallel()
	checkPushKilled(t, 4)
}

func checkPushKilled(t *testing.T, rounds int) {
	t.Helper()
	l := newCloud(t, nil)
	version(l, "prj", 0)
	l.handoff(0, "project", "push", "-p", "prj")
	current := "0"
	for n := 1; n <= rounds; n++ {
		version(l, "prj", n)
		s := l.start(l.command("project", "push", "-p", "prj"))
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
		_ = s.cmd.Process.Kill() // it may have ended
		ended := s.end() == 0
		got := l.whole()
		if next := fmt.Sprint(n); got != current && got != next || ended && got != next {
			t.Fatalf("push %d: version %s is current, before it was %s; the push has ended: %v", n, got, current, ended)
		}
		current = got
	}
	l.handoff(0, "project", "push", "-p", "prj")
	if got := l.whole(); got != fmt.Sprint(rounds) {
		t.Errorf("version %s is current", got)
	}
}

// Two pushes at once both take place, one after the other.
func TestCloudTwoPushesAtOnce(t *testing.T) {
	t.Parallel()
	l := newCloud(t, nil)
	for n := 1; n <= 4; n += 2 {
		version(l, "prj", n)
		version(l, "other", n+1)
		var both sync.WaitGroup
		for _, folder := range []string{"prj", "other"} {
			both.Go(func() { l.handoff(0, "project", "push", "-p", folder) })
		}
		both.Wait()
		if got := l.whole(); got != fmt.Sprint(n) && got != fmt.Sprint(n+1) {
			t.Errorf("version %s is current, not %d or %d", got, n, n+1)
		}
	}
	var list struct {
		Releases []struct {
			Number int `json:"number"`
		} `json:"releases"`
	}
	l.result(&list, "release", "list", "-p", "prj")
	if len(list.Releases) != 4 || list.Releases[0].Number != 4 {
		t.Errorf("releases %+v", list.Releases)
	}
}
