package app

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
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

// TestClientsNeverMeet: what a client pushes, and what its jobs leave, is in its folder of the bucket, whatever it is. What
// runs for nobody in particular is one more client, in the folder of the task.
func TestClientsNeverMeet(t *testing.T) {
	t.Parallel()
	b := pushed(t, "vars: [{key: then, value: 'true'}]\n"+remembering)
	start := func() {
		t.Helper()
		if res, err := b.job(t.Context(), cloud.Start{Trigger: cloud.TriggerManual}); err != nil || res.ExitCode != 0 {
			t.Fatalf("%+v, %v", res, err)
		}
	}
	start()
	before := objects(t, b.cloud.Files)
	for _, client := range []string{"acme", "t", "ACME"} {
		b.target.Client = client
		var err error
		if b.cloud, _, err = b.openScope(t.Context(), b.target); err != nil {
			t.Fatal(err)
		}
		if _, err := b.job(t.Context(), cloud.Start{}); err == nil || !strings.Contains(err.Error(), "not found") {
			t.Errorf("%s has a release: %v", client, err)
		}
		if _, err := b.Push(t.Context(), PushOptions{Target: b.target, Parts: release.All}); err != nil {
			t.Fatal(err)
		}
		start()
		if got := b.next("n"); got != "1" {
			t.Errorf("the first run of %s found artifacts: n is %s", client, got)
		}
		runs, err := b.Runs(t.Context(), b.target, RunsQuery{})
		if err != nil || len(runs.Runs) != 2 {
			t.Errorf("runs of %s: %+v, %v", client, runs, err)
		}
	}
	after := objects(t, b.cloud.Files)
	for key := range after {
		if strings.HasPrefix(key, ".clients/acme/t/") || strings.HasPrefix(key, ".clients/t/t/") || strings.HasPrefix(key, ".clients/ACME/t/") {
			delete(after, key)
		}
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("what has no client has changed:\n%s", diff)
	}
}
