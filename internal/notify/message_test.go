package notify

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/ledger"
)

func failedRun() ledger.Run {
	start := time.Date(2026, 11, 26, 2, 0, 0, 0, time.UTC)
	return ledger.Run{
		ID: "20261126T020000.000Z-abcdef", ResourceGroup: "etl", Task: "load", Client: "acme", EnvStage: "prod", Trigger: "schedule", JobID: "j1",
		ScheduleID: "1", ScheduledAt: start, Start: start, End: start.Add(90 * time.Second), Outcome: "failed", ExitCode: 1,
		Reason: `stage "target" exited with code 1`,
		Tasks: []*ledger.Task{{Name: "before", Outcome: "success"}, {Name: "all", Outcome: "failed", Tasks: []*ledger.Task{
			{Name: "users", Outcome: "failed", Failed: "target", Tail: []string{"a <@everyone> & b", "```end *of* it", "ERROR hunter2"}},
		}}},
	}
}

func hide(text string) string { return strings.ReplaceAll(text, "hunter2", "[redacted]") }

func TestText(t *testing.T) {
	t.Parallel()
	want := "load for client acme (prod/etl) failed\n\n" +
		"reason:   stage \"target\" exited with code 1\nfailed:   all/users, stage target\nrun:      20261126T020000.000Z-abcdef\njob:      j1\n" +
		"schedule: 1, due at 2026-11-26 02:00:00Z\nstarted:  2026-11-26 02:00:00Z, took 1m30s\n\n" +
		"last lines:\n  a <@everyone> & b\n  ```end *of* it\n  ERROR [redacted]\n\n" +
		"see: handoff runs show 20261126T020000.000Z-abcdef -s prod -e resource_group=etl task=load --client acme\n"
	if diff := cmp.Diff(want, New(Failure, failedRun(), hide).Text()); diff != "" {
		t.Error(diff)
	}
}

// TestForms reads what the services get: it is JSON, names task and client, has no secret, and calls nobody.
func TestForms(t *testing.T) {
	t.Parallel()
	run := failedRun()
	for range 200 {
		run.Tasks[1].Tasks[0].Tail = append(run.Tasks[1].Tasks[0].Tail, strings.Repeat("é`@here ", 100)+"hunter2")
	}
	run.Reason += strings.Repeat(" hunter2", 1000)
	m := New(Failure, run, hide)
	for form, most := range map[string]int{"": 20_000, "slack": 20_000, "teams": 28_000, "discord": 2100} {
		body, err := m.Body(form)
		var v map[string]any
		if err != nil || json.Unmarshal(body, &v) != nil {
			t.Fatalf("%s: %v\n%s", form, err, body)
		}
		if n := len([]rune(string(body))); n > most {
			t.Errorf("%s: %d signs", form, n)
		}
		for _, want := range []string{"load for client acme", run.ID, "runs show"} {
			if !strings.Contains(string(body), want) {
				t.Errorf("%s: no %q in\n%s", form, want, body)
			}
		}
		if strings.Contains(string(body), "hunter2") {
			t.Errorf("%s shows a secret", form)
		}
		switch form {
		case "discord":
			content := v["content"].(string)
			if len([]rune(content)) > 2000 || cmp.Diff(map[string]any{"parse": []any{}}, v["allowed_mentions"]) != "" || strings.Count(content, "```") != 2 {
				t.Errorf("%s", body)
			}
		case "slack":
			if s := v["text"].(string); strings.ContainsAny(s, "<>") || strings.Count(s, "```") != 2 {
				t.Errorf("%s", body)
			}
		case "teams":
			card := v["attachments"].([]any)[0].(map[string]any)
			if card["contentType"] != "application/vnd.microsoft.card.adaptive" || card["content"].(map[string]any)["type"] != "AdaptiveCard" {
				t.Errorf("%s", body)
			}
		}
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		outcome   string
		recovered bool
		on        string
		want      Kind
	}{
		{"success", false, "success recovery", Success},
		{"success", true, "success recovery", Recovery},
		{"success", true, "success", Success},
		{"success", false, "recovery failure", ""},
		{"failed", false, "failure", Failure},
		{"timed_out", false, "failure", Failure},
		{"interrupted", false, "failure", Failure},
		{"failed", false, "died", ""},
		{"died", false, "died failure", Died},
		{"skipped", false, "failure died success", ""},
		{"running", false, "failure died success", ""},
	} {
		if got := Wanted(Of(ledger.Run{Outcome: tt.outcome}), tt.recovered, strings.Fields(tt.on)); got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}

// TestMissed names an event of which there is no run by its time, in whatever zone that is.
func TestMissed(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 3, 0, 0, 0, time.FixedZone("", 3600))
	run := ledger.Run{Task: "load", EnvStage: "prod", ResourceGroup: "etl", ScheduleID: "1", ScheduledAt: at, Reason: "no server ran"}
	m := New(Missed, run, hide)
	if m.ID != "1@2026-11-26T02:00:00Z/missed" || m.Title != "load (prod/etl) was not started" || !strings.Contains(m.Text(), "see: handoff runs list -s prod") {
		t.Errorf("%+v", m)
	}
}
