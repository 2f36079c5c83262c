package notify

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
)

func bucket(t *testing.T) cloud.Files {
	t.Helper()
	world := memory.Open(memory.Options{})
	t.Cleanup(world.Close)
	c, err := world.Cloud(cloud.Scope{Stage: "dev", ResourceGroup: "g", Task: "t"})
	if err != nil {
		t.Fatal(err)
	}
	return c.Files
}

func TestNotes(t *testing.T) {
	t.Parallel()
	files, now := bucket(t), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	of := func(by string, at time.Time) Notes {
		return Notes{Files: files, Key: "t/notify.json", By: by, Now: func() time.Time { return at }}
	}
	claim := func(n Notes, gone, want string) {
		t.Helper()
		got, err := n.Claim(t.Context(), gone, "a", "b", "c")
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s has claimed %q, %v; want %q", n.By, got, err, want)
		}
	}
	run, look := of("run", now), of("look", now.Add(time.Minute))
	claim(run, "", "a b c")
	claim(look, "", "")
	if err := run.Settle(t.Context(), []string{"a"}, []string{"b"}); err != nil { // and it dies before it says what became of c
		t.Fatal(err)
	}
	claim(look, "", "b")
	claim(look, "run", "b c")
	claim(of("early", now.Add(-time.Hour)), "", "b c") // a clock that is wrong by an hour tells twice, not never
	if err := look.Settle(t.Context(), []string{"b", "c"}, nil); err != nil {
		t.Fatal(err)
	}
	claim(of("late", now.Add(24*time.Hour)), "look", "")
}

// TestNotesOfWhoHasEnded: a claim counts until its process is known to have ended, and of several who know it one gets it.
func TestNotesOfWhoHasEnded(t *testing.T) {
	t.Parallel()
	files := bucket(t)
	ended := map[Process]bool{}
	claim := func(by string, in Process, want string) {
		t.Helper()
		n := Notes{Files: files, Key: "t/notify.json", By: by, Where: in, Now: time.Now, Ended: func(p Process) bool { return ended[p] }}
		if got, err := n.Claim(t.Context(), "", "a"); err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s has claimed %q, %v; want %q", by, got, err, want)
		}
	}
	first := Process{Host: "here", Pid: 7, Born: 1}
	claim("first", first, "a")
	claim("second", Process{Host: "here", Pid: 8}, "")
	ended[Process{Host: "here", Pid: 7, Born: 2}] = true // a later one with the same id
	claim("second", Process{Host: "here", Pid: 8}, "")
	ended[first] = true
	claim("second", Process{Host: "here", Pid: 8}, "a")
	claim("third", Process{Host: "here", Pid: 9}, "")
}

// TestNotesOfMany lets many claim the same at a time: one gets it.
func TestNotesOfMany(t *testing.T) {
	t.Parallel()
	files := bucket(t)
	var mu sync.Mutex
	var got []string
	who := make([]int, 16)
	for i := range who {
		who[i] = i
	}
	err := cloud.Each(t.Context(), len(who), who, func(ctx context.Context, i int) error {
		n := Notes{Files: files, Key: "t/notify.json", By: "look-" + string(rune('a'+i)), Now: time.Now}
		mine, err := n.Claim(ctx, "", "x", "y")
		if err == nil {
			err = n.Settle(ctx, mine, nil)
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, mine...)
		return err
	})
	slices.Sort(got)
	if err != nil || strings.Join(got, " ") != "x y" {
		t.Errorf("%q, %v", got, err)
	}
}
