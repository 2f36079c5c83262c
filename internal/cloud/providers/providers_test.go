package providers

import (
	"context"
	"errors"
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

// TestJobEnviron lets a job learn its id, where nobody has told it.
func TestJobEnviron(t *testing.T) {
	t.Parallel()
	asked := func(id string, err error) func(context.Context, Setup) (string, error) {
		return func(context.Context, Setup) (string, error) { return id, err }
	}
	for name, tt := range map[string]struct {
		p    Provider
		told string
		want []string
		err  string
	}{
		"the environment says it":  {Provider{JobID: asked("other", nil)}, "j1", []string{"A=1"}, ""},
		"it always does":           {Provider{}, "", []string{"A=1"}, ""},
		"the machine says it":      {Provider{JobID: asked("j2", nil)}, "", []string{"A=1", cloud.EnvJob + "=j2"}, ""},
		"the machine is silent":    {Provider{JobID: asked("", errors.New("no route"))}, "", []string{"A=1"}, "no route"},
		"the machine knows nobody": {Provider{JobID: asked("", nil)}, "", []string{"A=1"}, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := []string{"A=1"}
			got, err := tt.p.JobEnviron(t.Context(), Setup{Getenv: func(string) string { return tt.told }}, env)
			if !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%v, want %q", err, tt.err)
			}
		})
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

// TestRotateKey: a provider that keeps its keys itself says so.
func TestRotateKey(t *testing.T) {
	t.Parallel()
	if _, err := (Provider{Name: "nimbus"}).RotateKey(t.Context(), Setup{}); !errors.Is(err, cloud.ErrUnsupported) || cloud.Hint(err) == "" {
		t.Errorf("%v (%s)", err, cloud.Hint(err))
	}
	dir := t.TempDir()
	s := Setup{Home: func() (string, error) { return dir, nil }}
	if p, err := Find(""); err != nil {
		t.Error(err)
	} else if r, err := p.RotateKey(t.Context(), s); err != nil || r.Files != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
