package project

import (
	"strings"
	"testing"
)

// The names of states are readable, differ where pipelines or lines do, and are names of files everywhere.
func TestStateName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100)
	seen := map[string][]string{}
	for _, tc := range []struct {
		want  string // how it begins
		task  string
		lines []string
	}{
		{"load", "load", nil},
		{"load@orders-", "load", []string{"orders"}},
		{"load@Orders-", "load", []string{"Orders"}},
		{"load@a_b-", "load", []string{"a/b"}},
		{"load@a_b-", "load", []string{"a b"}},
		{"load@a_b-", "load", []string{"a  b"}},
		{"load@_-", "load", []string{"表"}},
		{"load@_-", "load", []string{"顧客"}},
		{"load@caf_-", "load", []string{"caf\u00e9"}},
		{"load@cafe_-", "load", []string{"cafe\u0301"}},
		{"load@..-", "load", []string{".."}},
		{"load@b-", "load", []string{"a", "b"}},
		{"load@b-", "load", []string{"a", "a", "b"}},
		{"load@a_b-", "load", []string{"a,b"}},
		{"load@" + long[:40] + "-", "load", []string{long}},
		{"load@" + long[:40] + "-", "load", []string{long + "x"}},
		{long + "@xx-", long, []string{long}},
		{"a@b@c-", "a@b", []string{"c"}},
		{"a@b_c-", "a", []string{"b@c"}},
	} {
		name := StateName(tc.task, tc.lines)
		if !strings.HasPrefix(name, tc.want) || len(name) > maxStateName || strings.ContainsAny(name, "/\x00") {
			t.Errorf("%q %q: %q; want %q...", tc.task, tc.lines, name, tc.want)
		}
		if task, line := PipelineOf(name); task != tc.task || line != (tc.lines != nil) {
			t.Errorf("%q is of %q, %v", name, task, line)
		}
		folded := strings.ToLower(name)
		if other, twice := seen[folded]; twice {
			t.Errorf("%q and %q both are %q", tc.lines, other, name)
		}
		seen[folded] = tc.lines
	}
}
