package app

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/notify"
)

// TestNotify follows a task through a bad night: each event is told once to who wants to know of it, also where several notice it,
// and no secret of it. A receiver that refuses is a warning of the record, and told by who looks next.
func TestNotify(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var refused []string
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		if refused = append(refused, string(body)); len(refused) == 1 {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	t.Cleanup(hook.Close)
	told := filepath.Join(t.TempDir(), "told")
	fail := filepath.Join(t.TempDir(), "fail")
	b, w := inWorld(t, `secrets: [{key: password}, {key: hook}]
tasks:
- name: load
  pipeline: [{name: tap, command: "echo {{ password }} >&2; test ! -e `+fail+`"}]
notify:
- {name: some, command: "echo $HANDOFF_EVENT >> `+told+`; cat > `+told+`.json"}
- {name: each, command: "echo all $HANDOFF_EVENT >> `+told+`", on: [success, recovery]}
- {name: refuses, webhook: "{{ hook }}", on: failure}
`)
	write(t, b.target.ProjectDir, map[string]string{".secrets/secrets.yml": "- {key: password, value: hunter2hunter2}\n- {key: hook, value: " + hook.URL + "/T0/TOKEN}\n"})
	if _, err := b.SecretsPush(t.Context(), SecretsOptions{Target: b.target}); err != nil {
		t.Fatal(err)
	}
	want := func(lines string) {
		t.Helper()
		got, err := os.ReadFile(told)
		order := cmpopts.SortSlices(func(a, b string) bool { return a < b }) // they are told at the same time
		if diff := cmp.Diff(strings.Fields(lines), strings.Fields(string(got)), order); diff != "" || err != nil {
			t.Errorf("%s%v", diff, err)
		}
		_ = os.Remove(told)
	}
	trigger := cloud.TriggerManual
	run := func() cloud.Job {
		t.Helper()
		job, err := b.cloud.Jobs.Run(t.Context(), cloud.Start{RunID: cloud.NewRunID(w.Now()), Trigger: trigger})
		if err != nil {
			t.Fatal(err)
		}
		w.Wait()
		w.Advance(time.Second)
		return job
	}
	run()
	want("all success")
	if err := os.WriteFile(fail, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	bad := run()
	want("failure")
	text, err := os.ReadFile(told + ".json")
	var record ledger.Run
	if err != nil || json.Unmarshal(text, &record) != nil || record.ID != bad.RunID || strings.Contains(string(text), "hunter2") {
		t.Errorf("a command gets %s, %v", text, err)
	}
	kept, err := b.RunShow(t.Context(), b.target, bad.RunID)
	if err != nil || kept.ExitCode != 1 || len(kept.Warnings) != 1 || kept.Warnings[0] != "notify refuses (webhook) of failure: the webhook returned 403 Forbidden" {
		t.Errorf("the record has the warnings %q, %v", kept.Warnings, err)
	}

	again, err := b.TellOfJob(t.Context(), b.target, bad)
	if err != nil || len(again) != 1 || again[0].Name != "refuses" || again[0].Done != "sent" || len(refused) != 2 {
		t.Errorf("who looks tells %+v, %v", again, err)
	}
	if len(refused) > 0 && strings.Contains(strings.Join(refused, ""), "hunter2") {
		t.Error("a message has a secret")
	}
	if again, err = b.TellOfJob(t.Context(), b.target, bad); err != nil || len(again) != 0 {
		t.Errorf("the second who looks tells %+v, %v", again, err)
	}
	_ = os.Remove(fail)
	trigger = cloud.TriggerBackfill // an old day that is made up for is no recovery of last night
	run()
	want("all success")
	if res, err := b.StatusAll(t.Context(), StatusOptions{Target: b.target}); err != nil || res.Tasks[0].State != StateFailed {
		t.Errorf("after a backfill: %+v, %v", res.Tasks, err)
	}
	trigger = cloud.TriggerManual
	run()
	want("recovery all recovery")
	if res, err := b.StatusAll(t.Context(), StatusOptions{Target: b.target}); err != nil || res.Tasks[0].State != StateOK {
		t.Errorf("after the recovery: %+v, %v", res.Tasks, err)
	}
	run()
	want("all success")

	silent := cloud.Job{ID: "j", RunID: cloud.NewRunID(w.Now()), State: cloud.JobLost, Reason: "its machine is gone"}
	for range 2 {
		if _, err := b.TellOfJob(t.Context(), b.target, silent); err != nil {
			t.Error(err)
		}
		if _, err := b.TellOfMissed(t.Context(), b.target, "1", time.Unix(1e9, 0), "no server ran"); err != nil {
			t.Error(err)
		}
	}
	want("died missed")
}

// TestNotifyOfWhatHasNotStarted tells of a run that ended before its first task.
func TestNotifyOfWhatHasNotStarted(t *testing.T) {
	t.Parallel()
	told := filepath.Join(t.TempDir(), "told")
	b, w := inWorld(t, `secrets: [{key: password}]
tasks: [{name: load, commands: [{command: "echo {{ password }}"}]}]
notify: [{command: "cat > `+told+`"}]
`)
	if _, err := b.cloud.Jobs.Run(t.Context(), cloud.Start{RunID: cloud.NewRunID(w.Now())}); err != nil {
		t.Fatal(err)
	}
	w.Wait()
	text, err := os.ReadFile(told)
	var run ledger.Run
	if err != nil || json.Unmarshal(text, &run) != nil || notify.Of(run) != notify.Failure || !strings.Contains(run.Reason, `secret "password" has no value`) {
		t.Errorf("told %s, %v", text, err)
	}
}
