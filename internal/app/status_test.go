package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
	"github.com/handoff-run/handoff/internal/ledger"
)

func TestStatusOfRuns(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 7, 0, 0, 0, time.UTC)
	run := func(outcome string, seconds, rows int64) ledger.Run {
		return ledger.Run{ID: outcome, Outcome: outcome, Start: now.Add(-time.Hour), End: now.Add(time.Duration(seconds)*time.Second - time.Hour), Rows: &rows, Reason: "why"}
	}
	going := run("running", 0, 0)
	going.End, going.Reason = time.Time{}, ""
	going.Tasks = []*ledger.Task{{Name: "a", Outcome: "success"}, {Name: "b", Outcome: "running", Lines: &ledger.Lines{Succeeded: 4, Failed: 1}}}
	for name, tt := range map[string]struct {
		runs []ledger.Run
		want string
	}{
		"nothing":                   {nil, "new red=false last=  0s"},
		"good":                      {[]ledger.Run{run("success", 9, 9), run("success", 1, 10), run("failed", 50, 1), run("success", 3, 30), run("success", 2, 20)}, "ok red=false last=success  2s 20 rows"},
		"failed":                    {[]ledger.Run{run("failed", 1, 1), run("success", 5, 7)}, "failed red=true last=failed why 5s 7 rows"},
		"timed out":                 {[]ledger.Run{run("timed_out", 1, 1)}, "failed red=true last=timed_out why 0s"},
		"died":                      {[]ledger.Run{run("died", 1, 1)}, "died red=true last=died why 0s"},
		"damaged":                   {[]ledger.Run{run("damaged", 1, 1)}, "died red=true last=damaged why 0s"},
		"refused says nothing":      {[]ledger.Run{run("skipped", 0, 0), run("success", 1, 1)}, "ok red=false last=success  0s"},
		"runs":                      {[]ledger.Run{going, run("failed", 1, 1)}, "running red=false last=failed  0s b (line 5); 1 task done"},
		"an older one goes on, too": {[]ledger.Run{run("success", 1, 1), going}, "ok red=false last=success  0s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := TaskStatus{State: StateNew}
			s.ofRuns(tt.runs, now)
			last := ""
			if s.Last != nil {
				last = s.Last.Outcome
			}
			got := fmt.Sprintf("%s red=%v last=%s %s %vs %s", s.State, s.Red(), last, s.Reason, s.UsualSeconds, s.Progress)
			if s.UsualRows != nil {
				got = fmt.Sprintf("%s%d rows", got, *s.UsualRows)
			}
			if strings.TrimSpace(got) != tt.want {
				t.Errorf("%q, want %q", strings.TrimSpace(got), tt.want)
			}
		})
	}
}

func TestMissedFires(t *testing.T) {
	t.Parallel()
	at := func(clock string) time.Time {
		tm, err := time.Parse("15:04", clock)
		if err != nil {
			t.Fatal(err)
		}
		return tm.AddDate(2026, 0, 0)
	}
	w := memory.Open(memory.Options{})
	t.Cleanup(w.Close)
	c, err := w.Cloud(cloud.Scope{Stage: "dev", ResourceGroup: "g", Task: "t"})
	if err != nil {
		t.Fatal(err)
	}
	hourly := cloud.Schedule{TargetID: "1", Cron: "0 * * * *", Enabled: true, Since: at("01:30")}
	paused, over := hourly, hourly
	paused.Enabled, over.Until = false, at("03:30")
	for _, tt := range []struct {
		name      string
		s         cloud.Schedule
		last, now string
		want      string
	}{
		{"not due yet", hourly, "", "01:59", ""},
		{"about to begin", hourly, "", "02:04", ""},
		{"the first", hourly, "", "02:06", "02:00"},
		{"the last of many", hourly, "", "05:30", "05:00"},
		{"all have run", hourly, "05:00", "05:30", ""},
		{"none since", hourly, "03:00", "05:30", "05:00"},
		{"a run of before it was changed", hourly, "01:00", "01:50", ""},
		{"paused", paused, "", "05:30", ""},
		{"over", over, "03:00", "05:30", ""},
		{"over, and its last one missed", over, "02:00", "05:30", "03:00"},
	} {
		a := &App{Now: func() time.Time { return at(tt.now) }}
		var last ledger.Run
		if tt.last != "" {
			last.ScheduledAt = at(tt.last)
		}
		got := ""
		if found := a.missed(c, tt.s, last); !found.IsZero() {
			got = found.Format("15:04")
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestStatus looks at tasks of two env stages, of clients and of another group, from wherever one stands; what is red is told once.
func TestStatus(t *testing.T) {
	t.Parallel()
	told, fail := filepath.Join(t.TempDir(), "told"), filepath.Join(t.TempDir(), "fail")
	b, w := inWorld(t, `tasks: [{name: load, commands: [{command: "test ! -e `+fail+`"}]}]
clients: [{name: acme}, {name: globex}]
schedules: [{target_id: 1, cron: "0 3 1 1 ? *", freshness: 26h}]
notify: [{on: [late, failure, died], command: "echo $HANDOFF_EVENT $HANDOFF_CLIENT >> `+told+`"}]
`)
	for _, s := range []cloud.Scope{{Stage: "dev", ResourceGroup: "g", Task: "t"}, {Stage: "prod", ResourceGroup: "other", Task: "x"}} {
		c, err := w.Cloud(s)
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Infra.Plan(t.Context(), cloud.Want{Kind: cloud.KindTask})
		if err == nil {
			err = c.Infra.Apply(t.Context(), p, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, client := range []string{"acme", "globex"} {
		own := b.target
		own.Client = client
		if _, err := b.Infra(t.Context(), InfraOptions{Target: own, Kind: cloud.KindTask}); err != nil {
			t.Fatal(err)
		}
		if client == "globex" {
			if err := os.WriteFile(fail, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c, _, err := b.openScope(t.Context(), own)
		if err == nil {
			_, err = c.Jobs.Run(t.Context(), cloud.Start{RunID: cloud.NewRunID(w.Now())})
		}
		if err != nil {
			t.Fatal(err)
		}
		w.Wait()
	}
	want := func(o StatusOptions, code int, lines ...string) {
		t.Helper()
		res, err := b.StatusAll(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range res.Tasks {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s/%s/%s %s", s.State, s.EnvStage, s.ResourceGroup, s.Task, s.Client)))
		}
		if diff := cmp.Diff(lines, got); diff != "" || res.ExitCode != code {
			t.Errorf("exit code %d; %s", res.ExitCode, diff)
		}
	}
	project := StatusOptions{Target: b.target}
	want(project, 1, "failed prod/g/t globex", "ok prod/g/t acme", "new prod/g/t")
	want(StatusOptions{Target: b.target, AllStages: true}, 1, "failed prod/g/t globex", "ok prod/g/t acme", "new dev/g/t", "new prod/g/t")
	want(StatusOptions{AllStages: true}, 1, "failed prod/g/t globex", "ok prod/g/t acme", "new dev/g/t", "new prod/g/t", "new prod/other/x")
	want(StatusOptions{Target: Target{Envs: words(t, "resource_group=other")}, AllStages: true}, 0, "new prod/other/x")

	own := b.target
	own.Client = "acme"
	if _, err := b.ScheduleCreate(t.Context(), ScheduleOptions{Target: own}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second one has nothing new to tell
		project.Notify = true
		want(project, 1, "failed prod/g/t globex", "ok prod/g/t acme", "new prod/g/t")
	}
	text, err := os.ReadFile(told)
	if err != nil || string(text) != "failure globex\n" {
		t.Errorf("told %q, %v", text, err)
	}

	// What is late is told by whoever looks first, and once.
	w.Advance(27 * time.Hour)
	own.ProjectDir = ""
	own.Envs = words(t, "resource_group=g task=t")
	for _, want := range []int{1, 0} {
		if list, err := b.TellOfLate(t.Context(), own); err != nil || len(list) != want {
			t.Errorf("told late: %+v, %v; want %d", list, err, want)
		}
	}
	want(project, 1, "failed prod/g/t globex", "late prod/g/t acme", "new prod/g/t")
	text, err = os.ReadFile(told)
	if err != nil || string(text) != "failure globex\nlate acme\n" {
		t.Errorf("told %q, %v", text, err)
	}
}
