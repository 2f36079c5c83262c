package app

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/plan"
)

func TestForShow(t *testing.T) {
	t.Parallel()
	command := func(script string, env []string) *plan.Plan {
		return &plan.Plan{Project: script, Env: []string{script}, Tasks: []plan.Task{{
			State:    &plan.State{File: script},
			Pipeline: []plan.Stage{{Foreach: &plan.Foreach{Tasks: []plan.Task{{Commands: []plan.Stage{{Command: &plan.Command{Script: script, Env: env}}}}}}}},
		}}}
	}
	got := forShow(command("a token b", []string{"T=token"}), func(s string) string { return strings.ReplaceAll(s, "token", "***") })
	if diff := cmp.Diff(command("a *** b", nil), got); diff != "" {
		t.Error(diff)
	}
}
