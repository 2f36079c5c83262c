package cloud_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestScopeCheck(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		scope cloud.Scope
		ok    bool
	}{
		"whole":           {cloud.Scope{Stage: "prod", ResourceGroup: "handoff-etl", Task: "usgs-earthquakes"}, true},
		"without a task":  {cloud.Scope{Stage: "dev", ResourceGroup: "g"}, true},
		"all signs":       {cloud.Scope{Stage: "a_b.c-1", ResourceGroup: "A", Task: "9"}, true},
		"of a client":     {cloud.Scope{Stage: "dev", ResourceGroup: "g", Task: "t", Client: "acme"}, true},
		"of no task":      {cloud.Scope{Stage: "dev", ResourceGroup: "g", Client: "acme"}, false},
		"hidden client":   {cloud.Scope{Stage: "dev", ResourceGroup: "g", Task: "t", Client: ".acme"}, false},
		"no stage":        {cloud.Scope{ResourceGroup: "g"}, false},
		"no group":        {cloud.Scope{Stage: "prod", Task: "t"}, false},
		"slash":           {cloud.Scope{Stage: "prod", ResourceGroup: "a/b"}, false},
		"up":              {cloud.Scope{Stage: "..", ResourceGroup: "g"}, false},
		"hidden":          {cloud.Scope{Stage: "prod", ResourceGroup: "g", Task: ".t"}, false},
		"blank":           {cloud.Scope{Stage: "prod", ResourceGroup: "g", Task: "a b"}, false},
		"unicode":         {cloud.Scope{Stage: "prod", ResourceGroup: "größe"}, false},
		"101 characters":  {cloud.Scope{Stage: "prod", ResourceGroup: strings.Repeat("g", 101)}, false},
		"100 characters":  {cloud.Scope{Stage: "prod", ResourceGroup: strings.Repeat("g", 100)}, true},
		"nul in the task": {cloud.Scope{Stage: "prod", ResourceGroup: "g", Task: "a\x00"}, false},
	} {
		err := test.scope.Check()
		if (err == nil) != test.ok || err != nil && !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckPrefix(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{"": "", "a": "a", "a/": "a", "a/b/": "a/b"} {
		if got, err := cloud.CheckPrefix(prefix); err != nil || got != want {
			t.Errorf("%q: %q, %v", prefix, got, err)
		}
	}
	for _, prefix := range []string{"/", "//", "a//", "/a", "..", "a/../b"} {
		if _, err := cloud.CheckPrefix(prefix); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("%q: %v, want ErrInvalid", prefix, err)
		}
	}
}

func TestBelow(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		key, prefix string
		want        bool
	}{
		{"files/a", "files", true}, {"files/a/b", "files", true}, {"files/a", "", true}, {"a", "", true},
		{"files2/a", "files", false}, {"files", "files", false}, {"file", "files", false}, {"x/files/a", "files", false},
	} {
		if got := cloud.Below(test.key, test.prefix); got != test.want {
			t.Errorf("Below(%q, %q) = %t", test.key, test.prefix, got)
		}
	}
}

func TestChecks(t *testing.T) {
	t.Parallel()
	whole := cloud.Schedule{TargetID: "1", Cron: "0 0 * * ? *"}
	if err := whole.Check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*cloud.Schedule){
		"no target": func(s *cloud.Schedule) { s.TargetID = "" }, "no cron": func(s *cloud.Schedule) { s.Cron = "" },
		"overlap": func(s *cloud.Schedule) { s.Overlap = "sometimes" }, "catchup": func(s *cloud.Schedule) { s.Catchup = "first" },
	} {
		s := whole
		change(&s)
		if err := s.Check(); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("schedule, %s: %v, want ErrInvalid", name, err)
		}
	}
	for name, s := range map[string]cloud.TaskSpec{"memory": {Memory: -1}, "overlap": {Overlap: "x"}} {
		if err := s.Check(); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("task, %s: %v, want ErrInvalid", name, err)
		}
	}
	if cloud.JobStopping.Ended() || !cloud.JobLost.Ended() {
		t.Error("a job that is stopping has not ended; a lost one has")
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	if cloud.WithHint(nil, "x") != nil || cloud.Temporary(nil) != nil || cloud.Hint(nil) != "" || cloud.IsTemporary(nil) {
		t.Error("nil does not stay nil")
	}
	inner := cloud.WithHint(fmt.Errorf("put rule: %w", cloud.ErrDenied), "ask for the right")
	err := fmt.Errorf("create schedule %q: %w", "1", cloud.Temporary(inner))
	if err.Error() != `create schedule "1": put rule: access denied` {
		t.Errorf("text: %v", err)
	}
	if !errors.Is(err, cloud.ErrDenied) || !cloud.IsTemporary(err) || cloud.IsTemporary(inner) {
		t.Error("wrapping loses what the error is")
	}
	if got := cloud.Hint(err); got != "ask for the right" {
		t.Errorf("hint: %q", got)
	}
	if got := cloud.Hint(cloud.WithHint(err, "outer")); got != "outer" {
		t.Errorf("outer hint: %q", got)
	}
	for _, err := range []error{cloud.ErrDenied, cloud.ErrConflict} {
		if cloud.Hint(err) == "" {
			t.Errorf("%v has no hint", err)
		}
	}
}

func TestComplete(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := cloud.Complete(cloud.Cloud{Provider: "moon"})
	errs := map[string]error{
		"secrets put": c.Secrets.Put(ctx), "secrets delete": c.Secrets.Delete(ctx, cloud.LevelTask), "files delete": c.Files.Delete(ctx, "a"),
		"schedules put": c.Schedules.Put(ctx, cloud.Schedule{}), "schedules delete": c.Schedules.Delete(ctx),
		"infra apply": c.Infra.Apply(ctx, cloud.Plan{}, nil),
	}
	_, errs["account check"] = c.Account.Check(ctx)
	_, errs["files put"] = c.Files.Put(ctx, "a", cloud.Body{}, cloud.PutOptions{})
	_, _, errs["files get"] = c.Files.Get(ctx, "a", cloud.GetOptions{})
	_, errs["secrets all"] = c.Secrets.All(ctx)
	_, errs["secrets list"] = c.Secrets.List(ctx)
	_, errs["infra plan"] = c.Infra.Plan(ctx, cloud.Want{})
	_, errs["infra status"] = c.Infra.Status(ctx, cloud.KindBucket)
	_, errs["jobs run"] = c.Jobs.Run(ctx, cloud.Start{})
	_, errs["jobs status"] = c.Jobs.Status(ctx, "1")
	_, errs["jobs stop"] = c.Jobs.Stop(ctx, "1", cloud.StopOptions{})
	_, errs["schedules list"] = c.Schedules.List(ctx)
	for _, errs["files list"] = range c.Files.List(ctx, "") {
	}
	for _, errs["jobs list"] = range c.Jobs.List(ctx, cloud.JobQuery{}) {
	}
	for _, errs["logs read"] = range c.Logs.Read(ctx, cloud.Query{}) {
	}
	if len(errs) != 20 || c.Parallel != 1 {
		t.Errorf("%d methods, parallel %d", len(errs), c.Parallel)
	}
	for name, err := range errs {
		if !errors.Is(err, cloud.ErrUnsupported) || cloud.Hint(err) == "" || !strings.Contains(fmt.Sprint(err), "moon") {
			t.Errorf("%s: %v, hint %q", name, err, cloud.Hint(err))
		}
	}
	kept := &memory.Files{}
	if got := cloud.Complete(cloud.Cloud{Files: kept, Parallel: 7}); got.Files != cloud.Files(kept) || got.Parallel != 7 {
		t.Error("what was there is replaced")
	}
}
