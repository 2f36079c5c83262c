package app

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/pipeline"
	"github.com/handoff-run/handoff/internal/release"
)

// objects returns the contents of a bucket by key.
func objects(t *testing.T, files cloud.Files) map[string]string {
	t.Helper()
	all := map[string]string{}
	for o, err := range files.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		text, _, err := cloud.Read(t.Context(), files, o.Key, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		all[o.Key] = string(text)
	}
	return all
}

const remembering = counting + `- name: load
  state: true
  pipeline: [{command: "! grep -s n {{ _state_file }} && echo '{\"n\":1}'"}]
`

// TestClientsNeverMeet: what the jobs of a client leave is in its folder of the bucket, whatever it is; the release is that of all.
// What runs for nobody in particular is one more client, in the folder of the task.
func TestClientsNeverMeet(t *testing.T) {
	t.Parallel()
	names := []string{"acme", "t", "ACME"}
	b := pushed(t, "clients: [{name: acme}, {name: t}, {name: ACME}]\nvars: [{key: then, value: 'true'}]\n"+remembering)
	start := func() {
		t.Helper()
		if res, err := b.job(t.Context(), cloud.Start{Trigger: cloud.TriggerManual}); err != nil || res.ExitCode != 0 {
			t.Fatalf("%+v, %v", res, err)
		}
	}
	start()
	before := objects(t, b.cloud.Files)
	list := b.PushClients(t.Context(), PushOptions{Target: b.target, Parts: release.All, Secrets: true}, names, nil)
	for _, r := range list {
		if res, ok := r.Result.(PushResult); !ok || res.Changed || res.Place.Client != r.Client || r.ExitCode != 0 {
			t.Errorf("push of what is current: %+v", r)
		}
	}
	for _, client := range names {
		b.target.Client = client
		var err error
		if b.cloud, _, err = b.openScope(t.Context(), b.target); err != nil {
			t.Fatal(err)
		}
		start()
		if got := b.next("n"); got != "1" {
			t.Errorf("the first run of %s found artifacts: n is %s", client, got)
		}
		runs, err := b.Runs(t.Context(), b.target, RunsQuery{})
		if err != nil || len(runs.Runs) != 1 {
			t.Errorf("runs of %s: %+v, %v", client, runs, err)
		}
		if res, err := b.ProjectDelete(t.Context(), DeleteOptions{Target: b.target}); err != nil || res.Pushes != 0 {
			t.Errorf("for a client %+v was deleted, %v", res, err)
		}
	}
	gone := *b
	gone.cloud = &cloud.Cloud{Scope: cloud.Scope{Stage: "dev", ResourceGroup: "g", Task: "t", Client: "gone"}}
	if _, err := gone.job(t.Context(), cloud.Start{}); err == nil || Code(err) != ExitUsage || !strings.Contains(err.Error(), `has no client "gone": push`) {
		t.Errorf("a job of a client that the release does not have: %v", err)
	}
	after := objects(t, b.cloud.Files)
	for key := range after {
		if strings.HasPrefix(key, ".clients/acme/t/") || strings.HasPrefix(key, ".clients/t/t/") || strings.HasPrefix(key, ".clients/ACME/t/") ||
			strings.HasPrefix(key, ".clients/gone/t/") { // the record of the run that could not start

			delete(after, key)
		}
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("what has no client has changed:\n%s", diff)
	}
}

const hourly = `vars: [{key: fails, value: 0}]
clients:
- {name: acme, deploy: {memory: 111}, schedules: [{target_id: a, cron: "*/10 * * * *"}], secrets: [{key: TOKEN}], envs: [{key: TOKEN}]}
- {name: globex, deploy: {memory: 222, cpu: 7}, schedules: [{target_id: 1, cron: "*/15 * * * *"}], secrets: [{key: TOKEN}], envs: [{key: TOKEN}]}
- {name: initech, vars: [{key: fails, value: 1}], schedules: [{target_id: 1, cron: "*/20 * * * *"}], secrets: [{key: TOKEN}], envs: [{key: TOKEN}]}
- {name: umbrella, schedules: []}
tasks:
- name: load
  state: true
  pipeline:
  - command: cat {{ _state_file }}; echo {{ _client }}:$TOKEN
  - command: tee -a artifacts/seen | sed -n 's/{"n":"\(.*\)"}/\1/p' | { read n; echo "{\"n\":\"$n.{{ _client }}\"}"; }
- name: end
  commands: [{command: 'exit {{ fails }}'}]
`

// TestClientsSideBySide: three clients with other limits, secrets, schedules and states run for an hour, one of them fails each time,
// and none sees another.
func TestClientsSideBySide(t *testing.T) {
	t.Parallel()
	b, w := inWorld(t, hourly)
	for _, client := range []string{"acme", "globex", "initech"} {
		write(t, b.target.ProjectDir, map[string]string{
			".secrets/clients/" + client + "/secrets.yml": "- {key: TOKEN, value: token-of-" + client + "}\n",
		})
	}
	names := []string{"acme", "globex", "initech", "umbrella"}
	wantAll := func(list []ClientResult) {
		t.Helper()
		if code := Worst(list); code != 0 {
			t.Fatalf("%+v", list)
		}
	}
	wantAll(b.PushClients(t.Context(), PushOptions{Target: b.target, Parts: release.All, Secrets: true}, names, nil))
	wantAll(EachClient(t.Context(), names, 0, func(ctx context.Context, client string) (any, int, error) {
		at := b.target
		at.Client = client
		res, err := b.Infra(ctx, InfraOptions{Target: at, Kind: cloud.KindTask})
		if err == nil {
			_, err = b.ScheduleCreate(ctx, ScheduleOptions{Target: at})
		}
		return res, 0, err
	}, nil))
	for range 60 {
		w.Advance(time.Minute)
		w.Wait()
	}
	for _, want := range []struct {
		client    string
		runs      int
		outcome   string
		state     string
		seen      string // in the artifacts of the last good run
		schedules string
		spec      cloud.TaskSpec
	}{
		{"", 0, "", "", "", "", cloud.TaskSpec{}},
		{"acme", 6, "success", strings.Repeat(".acme", 6), "acme:token-of-acme", "a", cloud.TaskSpec{Memory: 111}},
		{"globex", 4, "success", strings.Repeat(".globex", 4), "globex:token-of-globex", "1", cloud.TaskSpec{Memory: 222, CPU: 7}},
		{"initech", 3, "failed", "", "", "1", cloud.TaskSpec{}},
		{"umbrella", 0, "", "", "", "", cloud.TaskSpec{}},
	} {
		at := b.target
		at.Client = want.client
		runs, err := b.Runs(t.Context(), at, RunsQuery{})
		if err != nil || len(runs.Runs) != want.runs {
			t.Errorf("%q: %d runs, want %d, %v", want.client, len(runs.Runs), want.runs, err)
		}
		for _, r := range runs.Runs {
			if run, err := b.RunShow(t.Context(), at, r.ID); err != nil || run.Client != want.client || r.Outcome != want.outcome || run.Trigger != "schedule" {
				t.Errorf("%q: %+v, %v", want.client, run, err)
			}
		}
		st, err := b.StateShow(t.Context(), StateOptions{Target: at, Name: "load"})
		if got := stateText(st); err != nil || got != want.state {
			t.Errorf("%q: state %s, want %s, %v", want.client, got, want.state, err)
		}
		list, err := b.ScheduleList(t.Context(), ScheduleListOptions{Target: at})
		if err != nil || len(list.Schedules) != len(want.schedules) || len(want.schedules) > 0 && list.Schedules[0].TargetID != want.schedules {
			t.Errorf("%q: schedules %+v, %v", want.client, list, err)
		}
		if b.cloud, _, err = b.openScope(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(b.next("seen"), "\n") {
			if !strings.HasPrefix(line, "{") && line != want.seen {
				t.Errorf("%q has seen %q", want.client, line)
			}
		}
		plan, err := b.cloud.Infra.Plan(t.Context(), cloud.Want{Kind: cloud.KindTask, Task: want.spec})
		if err != nil || len(plan.Changes) != 0 {
			t.Errorf("%q has other limits: %+v, %v", want.client, plan.Changes, err)
		}
	}
}

// stateText is what the state of a run of TestClientsSideBySide says.
func stateText(res StateResult) string {
	if res.State == nil {
		return ""
	}
	_, text, _ := strings.Cut(string(res.State.State), `:"`)
	return strings.TrimSuffix(text, `"}`)
}

func TestEachClient(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	var told []string
	list := EachClient(ctx, []string{"good", "bad", "refused", "ends", "late"}, 1, func(_ context.Context, client string) (any, int, error) {
		switch client {
		case "bad":
			return nil, 0, &UsageError{Message: "no", Hint: "yes"}
		case "refused":
			return "held", ExitRefused, nil
		case "ends":
			cancel(pipeline.Interrupt{Signal: syscall.SIGTERM})
		}
		return "done", 0, nil
	}, func(r ClientResult) { told = append(told, r.Client) })
	for i := range list {
		list[i].Seconds = 0
	}
	want := []ClientResult{
		{Client: "good", Status: "success", Result: "done"},
		{Client: "bad", Status: "error", ExitCode: 2, Error: "no", Hint: "yes"},
		{Client: "refused", Status: "failed", ExitCode: 4, Result: "held"},
		{Client: "ends", Status: "success", Result: "done"},
		{Client: "late", Status: "not started", ExitCode: 143},
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Error(diff)
	}
	if len(told) != len(want) {
		t.Errorf("told of %v", told)
	}
	for _, tt := range []struct{ codes, want []int }{{[]int{0, 4, 0}, []int{4}}, {[]int{4, 1, 2}, []int{2}}, {[]int{1, 130, 3}, []int{130}}, {nil, []int{0}}} {
		var list []ClientResult
		for _, code := range tt.codes {
			list = append(list, ClientResult{ExitCode: code})
		}
		if got := Worst(list); got != tt.want[0] {
			t.Errorf("worst of %v: %d", tt.codes, got)
		}
	}
}

// TestPushClientsTogether: a release with which one client could not run becomes current for none.
func TestPushClientsTogether(t *testing.T) {
	t.Parallel()
	b := pushed(t, "clients: [{name: a}, {name: b, secrets: [{key: S}]}]\ntasks: [{commands: [{command: 'true'}]}]\n")
	before := objects(t, b.cloud.Files)
	write(t, b.target.ProjectDir, map[string]string{
		"files/new": "x", ".secrets/clients/a/secrets.yml": "- {key: S, value: of-a-alone}\n", ".secrets/secrets.yml": "- {key: S, value: of-nobody}\n",
	})
	push := func() []ClientResult {
		return b.PushClients(t.Context(), PushOptions{Target: b.target, Parts: release.All, Secrets: true}, []string{"a", "b"}, nil)
	}
	list := push()
	if list[0].Status != "not pushed" || !strings.Contains(list[1].Error, `secret "S" has no value`) || Worst(list) != ExitUsage {
		t.Errorf("%+v", list)
	}
	if diff := cmp.Diff(before, objects(t, b.cloud.Files)); diff != "" {
		t.Error(diff)
	}
	write(t, b.target.ProjectDir, map[string]string{".secrets/clients/b/secrets.yml": "- {key: S, value: of-b-alone}\n"})
	if list = push(); Worst(list) != 0 {
		t.Errorf("%+v", list)
	}
	if list, err := b.ReleaseList(t.Context(), b.target); err != nil || len(list.Releases) != 2 {
		t.Errorf("releases %+v, %v", list, err)
	}
}
