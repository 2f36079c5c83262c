package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/quickstart"
)

// TestInitTemplates: a new project is valid as it is, and with all that its comments offer.
func TestInitTemplates(t *testing.T) {
	t.Parallel()
	for _, name := range append(quickstart.Templates(), "") {
		a, log := newApp(t)
		o := InitOptions{Dir: filepath.Join(t.TempDir(), "my prj"), Description: "a: b", Template: name}
		if name == "" {
			o.Stages = []string{"ls"}
		}
		if _, err := a.Init(t.Context(), o); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if res, err := a.Validate(t.Context(), Target{ProjectDir: o.Dir}); err != nil || res.Tasks == 0 {
			t.Errorf("%s: %+v, %v\n%s", name, res, err, log)
		}
		text, err := os.ReadFile(filepath.Join(o.Dir, project.FileName))
		if err != nil {
			t.Fatal(err)
		}
		head, more, ok := strings.Cut(string(text), "\n# What else there is")
		if !ok {
			t.Fatalf("%s says nothing of what else there is", name)
		}
		if strings.Contains(head, "\nenvs:") { // it has its own
			more = strings.Replace(more, "# envs:\n# - {key: TZ, value: UTC}\n# - {key: API_TOKEN}\n", "", 1)
		}
		more = strings.ReplaceAll(strings.ReplaceAll("# "+more, "\n# # ", "\n#"), "\n# ", "\n")
		_, expect, _ := strings.Cut(string(text), "\n# #   expect:")
		expect, _, _ = strings.Cut(expect, "\n")
		more = strings.Replace(more, "\n expect:"+expect, "", 1) // it belongs to a command
		one := "version: 1\ntasks:\n- pipeline:\n  - command: ls\n    expect:" + expect + "\n  - command: cat\n"
		if p, warnings, err := project.Decode(project.FileName, o.Dir, []byte(one)); err != nil || len(warnings) > 0 || p.Tasks[0].Pipeline[0].Expect == nil {
			t.Errorf("%s with expect: %v, %v\n%s", name, err, warnings, one)
		}
		p, warnings, err := project.Decode(project.FileName, o.Dir, []byte(head+"\n"+more))
		if err != nil || len(warnings) > 0 || len(p.Schedules) != 1 || p.Schedules[0].Freshness == 0 || len(p.Notify) != 1 || len(p.Clients) != 1 || p.Deploy.Task != "my-prj" || len(p.Stages) != 1 {
			t.Errorf("%s with all its comments: %v, %v\n%s", name, err, warnings, more)
		}
	}
}
