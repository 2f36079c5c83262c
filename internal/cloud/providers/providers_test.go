package providers

import (
	"slices"
	"strings"
	"testing"

	"github.com/handoff-run/handoff/internal/cloud"
)

func TestList(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range List() {
		if seen[p.Name] {
			t.Errorf("%s is there twice", p.Name)
		}
		seen[p.Name] = true
		if (len(p.Platforms) > 0) != (p.Open != nil) {
			t.Errorf("%s has platforms %q; can it be opened: %v", p.Name, p.Platforms, p.Open != nil)
		}
		if len(p.Platforms) > 0 && p.About == "" {
			t.Errorf("%s does not say what it is", p.Name)
		}
		if len(p.Platforms)+len(p.Planned) == 0 {
			t.Errorf("%s has no platform", p.Name)
		}
	}
	if len(ServedNames()) == 0 {
		t.Error("nobody needs the server")
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, platform, want string }{
		{"", "", ""},
		{"local", "process", ""},
		{"local", "docker", `has no platform "docker"`},
		{"nimbus", "", `cloud provider "nimbus" is not part of this handoff`},
		{"kubernetes", "", `cloud provider "kubernetes" is not part of this handoff yet`},
	} {
		p, err := Find(tt.name)
		if err == nil {
			_, err = p.Platform(tt.platform)
		}
		if tt.want == "" {
			if err != nil {
				t.Errorf("%+v: %v", tt, err)
			}
			continue
		}
		if err == nil || !strings.HasSuffix(err.Error(), tt.want) || cloud.Hint(err) == "" {
			t.Errorf("%+v: %v (%s)", tt, err, cloud.Hint(err))
		}
	}
	if _, err := Served("nimbus"); err == nil {
		t.Error("a server for a provider that is not there")
	}
	if p, err := Served(""); err != nil || !slices.Contains(ServedNames(), p.Name) {
		t.Errorf("served: %s, %v", p.Name, err)
	}
}

// TestCloud opens a provider and looks for its words in what is opened.
func TestCloud(t *testing.T) {
	t.Parallel()
	p, err := Find("")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := Setup{Getenv: func(string) string { return "" }, Home: func() (string, error) { return dir, nil }}
	scope := cloud.Scope{Stage: "dev", ResourceGroup: "g", Task: "t"}
	c, err := p.Cloud(t.Context(), s, Options{Platform: p.Platforms[0], Scope: scope})
	if err != nil {
		t.Fatal(err)
	}
	if c.Provider != p.Name || c.Platform != p.Platforms[0] || c.Scope != scope || c.Notes[cloud.KindRole] == "" || c.Scheduler == nil || !c.Here {
		t.Errorf("%+v", c)
	}
	if in, err := p.Inside(s); in != nil || err != nil {
		t.Errorf("this process is no job: %v, %v", in, err)
	}
	home, err := p.Serve(s)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := home.AllSchedules(); err != nil || len(list) > 0 {
		t.Errorf("%v, %v", list, err)
	}
}
