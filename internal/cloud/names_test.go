package cloud_test

import (
	"regexp"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/handoff-run/handoff/internal/cloud"
)

type vendor struct {
	naming cloud.Naming
	legal  *regexp.Regexp // by its own words
}

// vendors are names as vendors want them.
var vendors = sync.OnceValue(func() map[string]vendor {
	dashed := func(limit int) cloud.Naming { return cloud.Naming{Start: "handoff-", Sep: '-', Max: limit} }
	label := regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)
	vault, secret, stack, family := dashed(24), dashed(127), dashed(128), dashed(255)
	vault.Start, vault.Shared = "ho-", true
	stack.Upper, family.Upper, family.Also = true, true, "_"
	bucket := dashed(63)
	bucket.Shared = true
	rule := dashed(64)
	rule.Upper, rule.Also = true, "_."
	return map[string]vendor{
		"S3 bucket":            {bucket, regexp.MustCompile(`^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$`)},
		"SSM path":             {cloud.Naming{Start: "/handoff/", Sep: '/', Max: 1011, Upper: true, Also: "_."}, regexp.MustCompile(`^(/[A-Za-z0-9_.-]+){2,15}$`)},
		"ECS family":           {family, regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)},
		"EventBridge rule":     {rule, regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)},
		"CloudFormation stack": {stack, regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,127}$`)},
		"target group":         {dashed(32), label},
		"DNS label":            {dashed(63), label},
		"CronJob":              {dashed(52), label},
		"Cloud Run":            {dashed(49), label},
		"Key Vault":            {vault, regexp.MustCompile(`^[a-z]([a-z0-9]|-[a-z0-9]){2,23}$`)},
		"Key Vault secret":     {secret, regexp.MustCompile(`^[a-z0-9-]{1,127}$`)},
	}
})

func checkNames(t interface{ Errorf(string, ...any) }, seen map[string]map[string]string, s cloud.Scope, thing []string) {
	id := s.String() + "\x00" + strings.Join(thing, "\x00")
	for vendor, v := range vendors() {
		name := v.naming.Name(s, thing...)
		if len(name) > v.naming.Max || !v.legal.MatchString(name) || !strings.HasPrefix(name, v.naming.Start) {
			t.Errorf("%s: %q (%d bytes) for %q is not legal", vendor, name, len(name), id)
		}
		folded := name
		if !v.naming.Upper {
			folded = strings.ToLower(name)
		}
		if seen[vendor] == nil {
			seen[vendor] = map[string]string{}
		}
		if other, taken := seen[vendor][folded]; taken && other != id {
			t.Errorf("%s: %q is both %q and %q", vendor, name, other, id)
		}
		seen[vendor][folded] = id
	}
}

// TestNamesOfNeighbours: what is nearly the same has other names.
func TestNamesOfNeighbours(t *testing.T) {
	t.Parallel()
	seen := map[string]map[string]string{}
	long := strings.Repeat("earthquakes-", 8)
	for _, s := range []cloud.Scope{
		{Stage: "prod", ResourceGroup: "a-b", Task: "c"},
		{Stage: "prod", ResourceGroup: "a", Task: "b-c"},
		{Stage: "prod", ResourceGroup: "a-b-c"},
		{Stage: "a", ResourceGroup: "b", Task: "c"},
		{Stage: "A", ResourceGroup: "b", Task: "c"},
		{Stage: "a", ResourceGroup: "b", Task: "c.d"},
		{Stage: "a", ResourceGroup: "b", Task: "c_d"},
		{Stage: "a", ResourceGroup: "b", Task: "c-d"},
		{Stage: "a", ResourceGroup: "b", Task: "c", Client: "d"},
		{Stage: "a", ResourceGroup: "b", Task: "d", Client: "c"},
		{Stage: "a", ResourceGroup: "b", Task: "c-d", Client: "e"},
		{Stage: "a", ResourceGroup: "b", Task: "c", Client: "d-e"},
		{Stage: "a", ResourceGroup: "b", Task: "clients", Client: "c"},
		{Stage: "a", ResourceGroup: "clients", Task: "b"},
		{Stage: "prod", ResourceGroup: long, Task: "a"},
		{Stage: "prod", ResourceGroup: long, Task: "b"},
		{Stage: "prod", ResourceGroup: long + "x", Task: "a"},
		{Stage: "prod", ResourceGroup: "a", Task: long, Client: long},
		{Stage: "_", ResourceGroup: "_", Task: "_"},
		{Stage: "_", ResourceGroup: "_", Task: "-"},
		{Stage: "_", ResourceGroup: "_", Task: "_", Client: "_"},
	} {
		for _, thing := range [][]string{
			nil, {""}, {"", ""}, {"1"}, {"c"}, {"c", "1"}, {"c-1"}, {"c/1"}, {"C"}, {"größe"}, {"\x00"}, {long + long + long}, {long + long + long + "1"},
		} {
			checkNames(t, seen, s, thing)
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringMatching(`[abAB19_-][abAB19_.-]{0,4}|[a-z]{40,60}|[2-9][a-z2-7]{11}`)
		optional := rapid.OneOf(rapid.Just(""), part)
		seen := map[string]map[string]string{}
		for range rapid.IntRange(2, 12).Draw(t, "n") {
			s := cloud.Scope{Stage: part.Draw(t, "stage"), ResourceGroup: part.Draw(t, "group"), Task: optional.Draw(t, "task")}
			if s.Task != "" {
				s.Client = optional.Draw(t, "client")
			}
			if err := s.Check(); err != nil {
				t.Fatal(err)
			}
			thing := rapid.SliceOfN(rapid.OneOf(part, rapid.String()), 0, 2).Draw(t, "thing")
			checkNames(t, seen, s, thing)
			// Its neighbour: the same text, parted elsewhere.
			if text := s.ResourceGroup + "-" + s.Task; s.Task != "" && strings.Trim(text, "-") == text {
				at := rapid.SampledFrom(dashes(text)).Draw(t, "at")
				moved := s
				moved.ResourceGroup, moved.Task = text[:at], text[at+1:]
				if moved.Check() == nil {
					checkNames(t, seen, moved, thing)
				}
			}
		}
	})
}

func dashes(text string) []int {
	var at []int
	for i := range len(text) {
		if text[i] == '-' {
			at = append(at, i)
		}
	}
	return at
}

// TestHashIsNoPart: a part that looks like the end of another name does not make that name.
func TestHashIsNoPart(t *testing.T) {
	t.Parallel()
	n := cloud.Naming{Start: "handoff-", Sep: '-', Max: 63}
	name := n.Name(cloud.Scope{Stage: "Dev", ResourceGroup: "etl", Task: "rates"})
	parts := strings.Split(name, "-")
	if got := n.Name(cloud.Scope{Stage: parts[1], ResourceGroup: parts[2], Task: parts[3]}, parts[4]); got == name {
		t.Errorf("%q twice", got)
	}
}

// TestNamesStay: names are in clouds for years. No line of this table may change.
func TestNamesStay(t *testing.T) {
	t.Parallel()
	plain := cloud.Scope{Stage: "prod", ResourceGroup: "etl", Task: "rates"}
	usual := cloud.Scope{Stage: "dev", ResourceGroup: "handoff-etl", Task: "usgs-earthquakes"}
	client := usual
	client.Client = "Acme.Inc"
	group := cloud.Scope{Stage: "prod", ResourceGroup: "etl"}
	for _, test := range []struct {
		vendor string
		scope  cloud.Scope
		thing  []string
		want   string
	}{
		{"S3 bucket", group, []string{"bucket", "123456789012"}, "handoff-prod-etl-bucket-123456789012-2z4ot7drjrcc"},
		{"SSM path", group, []string{"KEY"}, "/handoff/prod/etl/.group/KEY"},
		{"SSM path", usual, []string{"API_KEY"}, "/handoff/dev/handoff-etl/usgs-earthquakes/API_KEY"},
		{"SSM path", client, []string{"API_KEY"}, "/handoff/dev/handoff-etl/.clients/Acme.Inc/usgs-earthquakes/API_KEY"},
		{"ECS family", plain, nil, "handoff-prod-etl-rates"},
		{"ECS family", usual, nil, "handoff-dev-handoff-etl-usgs-earthquakes-4xvomgap6hs3"},
		{"ECS family", client, nil, "handoff-dev-handoff-etl-acme-inc-usgs-earthquakes-8jregwhjb7ko"},
		{"EventBridge rule", plain, []string{"1"}, "handoff-prod-etl-rates-1"},
		{"EventBridge rule", client, []string{"1"}, "handoff-dev-handoff-etl-acme-inc-usgs-earthquakes-1-6o3o2v3uiw5j"},
		{"CloudFormation stack", group, []string{"resources"}, "handoff-prod-etl-resources-83rcyh3fzbtm"},
		{"CloudFormation stack", usual, nil, "handoff-dev-handoff-etl-usgs-earthquakes-4xvomgap6hs3"},
		{"target group", usual, []string{"lb"}, "handoff-de-ha-us-lb-5cdtutxgqzup"},
		{"DNS label", plain, nil, "handoff-prod-etl-rates"},
		{"DNS label", client, nil, "handoff-dev-handoff-etl-acme-inc-usgs-earthquakes-8jregwhjb7ko"},
		{"CronJob", usual, []string{"1"}, "handoff-dev-handoff-etl-usgs-earthqua-1-8qw3eofm7qik"},
		{"CronJob", client, []string{"1"}, "handoff-dev-handoff-acme-inc-usgs-ear-1-6o3o2v3uiw5j"},
		{"Cloud Run", usual, nil, "handoff-dev-handoff-etl-usgs-earthqu-4xvomgap6hs3"},
		{"Cloud Run", client, nil, "handoff-dev-handoff-acme-in-usgs-ear-8jregwhjb7ko"},
		{"Key Vault", group, nil, "ho-prod-etl-25yzxy6hwbb6"},
		{"Key Vault secret", plain, []string{"key"}, "handoff-prod-etl-rates-key"},
		{"Key Vault secret", client, []string{"API_KEY"}, "handoff-dev-handoff-etl-acme-inc-usgs-earthquakes-api-key-3e7yls3ddvm2"},
	} {
		if got := vendors()[test.vendor].naming.Name(test.scope, test.thing...); got != test.want {
			t.Errorf("{%q, %v, %q, %q},", test.vendor, test.scope, test.thing, got)
		}
	}
}

// TestOlderNames: those of 0.4.x.
func TestOlderNames(t *testing.T) {
	t.Parallel()
	s := cloud.Scope{Stage: "dev", ResourceGroup: "etl", Task: "rates"}
	prod := s
	prod.Stage = "prod"
	for want, got := range map[string]string{
		"handoff-dev-etl-bucket":  cloud.Older("-", s, "", "bucket"),
		"handoff-dev-etl-rates":   cloud.Older("-", s, "rates"),
		"handoff-etl-rates":       cloud.Older("-", prod, "rates"),
		"handoff-dev-etl-rates-1": cloud.Older("-", s, "rates", "1"),
		"handoff/dev-etl/rates":   cloud.Older("/", s, "rates"),
		"handoff/etl/rates/key":   cloud.Older("/", prod, "rates", "key"),
		"handoff-dev-etl":         cloud.Older("-", s, ""),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
