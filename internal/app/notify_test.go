package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/internal/notify"
	"github.com/handoff-run/handoff/internal/release"
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

// TestNotifyOfWhatCannotBeLoaded: a job that cannot load its release or its secrets has nobody to tell; who looks does, by what is left,
// the server as well as status.
func TestNotifyOfWhatCannotBeLoaded(t *testing.T) {
	t.Parallel()
	ways := map[string]func(*bucket, cloud.Job) ([]Told, error){
		"server": func(b *bucket, job cloud.Job) ([]Told, error) { return b.TellOfJob(b.t.Context(), b.target, job) },
		"status": func(b *bucket, _ cloud.Job) ([]Told, error) {
			res, err := b.StatusAll(b.t.Context(), StatusOptions{Target: b.target, Notify: true})
			return res.Told, err
		},
	}
	for name, tt := range map[string]struct {
		breaks func(*bucket) error
		reason string
		secret string // what has become of the entry that needs the secret
	}{
		"a secret was deleted": {
			func(b *bucket) error { return b.cloud.Secrets.Delete(b.t.Context(), cloud.LevelTask, "password") },
			`secret "password" has no value`, "failed",
		},
		"the secrets cannot be read": {(*bucket).loseSecrets, errBroken.Error(), "failed"},
		"the release is damaged": {func(b *bucket) error {
			blob := func(m *release.Manifest) string {
				return "/" + m.Entries[slices.IndexFunc(m.Entries, func(e release.Entry) bool { return e.Path == "files/x" })].Blob
			}
			return b.ofCurrent(blob, func(key string) error {
				_, err := b.cloud.Files.Put(b.t.Context(), key, cloud.Text("junk"), cloud.PutOptions{})
				return err
			})
		}, "damaged", "sent"},
		"the release is missing": {func(b *bucket) error {
			return b.ofCurrent(func(m *release.Manifest) string { return strings.TrimPrefix(m.Release, "sha256:") + ".json" },
				func(key string) error { return b.cloud.Files.Delete(b.t.Context(), key) })
		}, "not found", "sent"},
	} {
		for way, tell := range ways {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				told := filepath.Join(t.TempDir(), "told")
				b, w := inWorld(t, `secrets: [{key: password}]
tasks: [{name: load, commands: [{command: "echo {{ password }}"}]}]
notify:
- {name: plain, command: "echo $HANDOFF_EVENT >>`+told+`"}
- {name: secret, command: "test {{ password }} = hunter2hunter2"}
`)
				write(t, b.target.ProjectDir, map[string]string{"files/x": "x", ".secrets/secrets.yml": "- {key: password, value: hunter2hunter2}\n"})
				_, err := b.Push(t.Context(), PushOptions{Target: b.target, Parts: release.All, Secrets: true})
				if err == nil {
					err = tt.breaks(b)
				}
				if err != nil {
					t.Fatal(err)
				}
				job, err := b.cloud.Jobs.Run(t.Context(), cloud.Start{RunID: cloud.NewRunID(w.Now())})
				if err != nil {
					t.Fatal(err)
				}
				w.Wait()
				run, err := b.RunShow(t.Context(), b.target, job.RunID)
				if err != nil || run.Outcome != "failed" || !strings.Contains(run.Reason, tt.reason) {
					t.Errorf("%+v, %v", run, err)
				}
				list, err := tell(b, job)
				i := slices.IndexFunc(list, func(d Told) bool { return d.Name == "secret" })
				if err != nil || i < 0 || list[i].Done != tt.secret {
					t.Errorf("told %+v, %v", list, err)
				}
				if _, err := tell(b, job); err != nil {
					t.Error(err)
				}
				if text, err := os.ReadFile(told); err != nil || string(text) != "failure\n" {
					t.Errorf("told %q, %v", text, err)
				}
			})
		}
	}
}

// lostSecrets are secrets of which nobody has the key any more.
type lostSecrets struct{ cloud.Secrets }

// All implements cloud.Secrets.
func (lostSecrets) All(context.Context) ([]cloud.Secret, error) { return nil, errBroken }

func (b *bucket) loseSecrets() error {
	open := b.OpenCloud
	b.OpenCloud = func(ctx context.Context, o CloudOptions) (*cloud.Cloud, error) {
		c, err := open(ctx, o)
		if err == nil {
			c.Secrets = lostSecrets{c.Secrets}
		}
		return c, err
	}
	return nil
}

// ofCurrent calls do for the object of the current release whose key ends in what name returns.
func (b *bucket) ofCurrent(name func(*release.Manifest) string, do func(key string) error) error {
	m, err := release.Open(b.cloud).Manifest(b.t.Context(), "")
	if err != nil {
		return err
	}
	for o, err := range b.cloud.Files.List(b.t.Context(), "t/releases") {
		if err != nil || strings.HasSuffix(o.Key, name(m)) {
			return errors.Join(err, do(o.Key))
		}
	}
	return errors.New("no object has " + name(m))
}
