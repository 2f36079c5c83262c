package project

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const many = `version: 1
vars: [{key: a, value: project}, {key: b, value: project}, {key: c, value: project}, {key: d, value: project, description: why}]
envs: [{key: A, value: project}, {key: B, value: project}]
secrets: [{key: S}]
deploy: {resource_group: g, task: t, cpu: 1, memory: 1, env: {X: project, Y: project}}
schedules:
- {target_id: 1, cron: one, timezone: Asia/Tokyo, envs: [{key: __VARS, value: v}, {key: E, value: e}]}
- {target_id: 2, cron: two}
tasks: [{commands: [{command: ls}]}]
stages:
  prod: {vars: [{key: b, value: stage}, {key: c, value: stage}, {key: d, value: stage}], deploy: {memory: 2, env: {Y: stage}}}
clients:
- name: acme
  vars: [{key: c, value: client}, {key: d, value: client}, {key: e, value: client}]
  envs: [{key: B, value: client}, {key: C}]
  secrets: [{key: T}]
  deploy: {cpu: 3}
  schedules: [{target_id: 1, cron: acme, envs: [{key: E, value: f}]}, {target_id: 9, cron: nine}]
  stages:
    prod: {vars: [{key: d, value: both}], deploy: {resource_group: h}}
- {name: globex, schedules: []}
`

// seen is what is left of a project for a client, on a few lines.
func seen(p *Project) string {
	var b strings.Builder
	for _, v := range p.Vars {
		fmt.Fprintf(&b, "%s=%v ", v.Key, v.Value)
	}
	b.WriteString("|")
	for _, e := range p.Envs {
		if e.Value != nil {
			fmt.Fprintf(&b, " %s=%s", e.Key, *e.Value)
		} else {
			fmt.Fprintf(&b, " %s", e.Key)
		}
	}
	b.WriteString(" |")
	for _, s := range p.Secrets {
		b.WriteString(" " + s.Key)
	}
	fmt.Fprintf(&b, " | %s %s %d %d %v |", p.Deploy.ResourceGroup, p.Deploy.Task, p.Deploy.CPU, p.Deploy.Memory, p.Deploy.Env)
	for _, s := range p.Schedules {
		fmt.Fprintf(&b, " %s %s %s %d", s.TargetID, s.Cron, s.Timezone, len(s.Envs))
	}
	return b.String()
}

func TestFor(t *testing.T) {
	t.Parallel()
	p, _, err := Decode(FileName, "/prj", []byte(many))
	if err != nil {
		t.Fatal(err)
	}
	before := seen(p)
	for _, tt := range []struct{ client, stage, want string }{
		{"", "dev", "a=project b=project c=project d=project | A=project B=project | S | g t 1 1 map[X:project Y:project] | 1 one Asia/Tokyo 2 2 two UTC 0"},
		{"", "prod", "a=project b=stage c=stage d=stage | A=project B=project | S | g t 1 2 map[X:project Y:stage] | 1 one Asia/Tokyo 2 2 two UTC 0"},
		{"acme", "dev", "a=project b=project c=client d=client e=client | A=project B=client C | S T | g t 3 1 map[X:project Y:project] | 1 acme Asia/Tokyo 2 2 two UTC 0 9 nine UTC 0"},
		{"acme", "prod", "a=project b=stage c=client d=both e=client | A=project B=client C | S T | h t 3 2 map[X:project Y:stage] | 1 acme Asia/Tokyo 2 2 two UTC 0 9 nine UTC 0"},
		{"globex", "prod", "a=project b=stage c=stage d=stage | A=project B=project | S | g t 1 2 map[X:project Y:stage] |"},
	} {
		got, ok := p.For(tt.client, tt.stage)
		if !ok {
			t.Fatalf("no client %q", tt.client)
		}
		if diff := cmp.Diff(tt.want, seen(got)); diff != "" {
			t.Errorf("%s in %s:\n%s", tt.client, tt.stage, diff)
		}
	}
	if at, _ := p.For("acme", "prod"); at.Vars[3].Description != "why" || at.Schedules[0].Envs[1].Key != "E" || *at.Schedules[0].Envs[1].Value != "f" {
		t.Errorf("what an overlay does not say is lost: %+v", at)
	}
	if _, ok := p.For("nobody", ""); ok {
		t.Error("there is nobody")
	}
	if seen(p) != before {
		t.Error("the project has changed")
	}
}

func TestClientRules(t *testing.T) {
	t.Parallel()
	const tasks = "tasks: [{commands: [{command: ls}]}]\n"
	checkRules(t, []rule{
		{name: "twice", text: tasks + "clients: [{name: a}, {name: b}, {name: a}]\n",
			lenient: []string{`E 3:33: there is a client "a" already: project.yml:3:11`}},
		{name: "names", text: tasks + "clients: [{name: a/b}, {name: .a}]\nstages: {'a b': }\n",
			lenient: []string{
				`E 3:18: clients[0]: "a/b" is not a name (at most 100 letters, digits, "_", "-" and ".", with no dot in front)`,
				`E 3:31: clients[1]: ".a" is not a name (at most 100 letters, digits, "_", "-" and ".", with no dot in front)`,
				`E 4:10: stages["a b"]: "a b" is not a name (at most 100 letters, digits, "_", "-" and ".", with no dot in front)`,
			}},
		{name: "no cron", text: tasks + "clients: [{name: a, schedules: [{target_id: 7, timezone: UTC}]}, {name: b}]\nstages: {dev: }\n",
			lenient: []string{`E 3:33: no "cron", and the project has no schedule with the target_id "7"`}},
		{name: "what runs is the same for all", text: tasks + "clients: [{name: a, tasks: []}]\n",
			lenient: []string{`W 3:21: clients[0]: unknown key "tasks" (it is the same for all clients and env stages: a variable can make the difference)`},
			strict:  []string{`E 3:21: clients[0]: unknown key "tasks" (it is the same for all clients and env stages: a variable can make the difference)`}},
		{name: "a variable twice", text: tasks + "stages: {prod: {vars: [{key: a, value: 1}, {key: a, value: 2}]}}\n",
			lenient: []string{`W 3:44: vars[1]: "a" is given on line 3 already; the last one counts`},
			strict:  []string{`E 3:44: vars[1]: "a" is given on line 3 already; the last one counts`}},
	})
}

func TestClientFiles(t *testing.T) {
	t.Parallel()
	const text = "version: 1\ntasks: []\nclients: [{name: a}]\n"
	t.Run("of a project of 0.4.x", func(t *testing.T) {
		t.Parallel()
		files := []clientFile{{"clients/b.yml", "b", []byte("- a\n")}, {"clients/c d.yml", "c d", nil}, {"clients/e.yml", "e", nil}}
		p, warnings, err := decodeWith(FileName, "/prj", []byte("version: 0.4\ntasks: []\n"), files, nil)
		if err != nil || strings.Join(p.ClientNames(), " ") != "e" || len(warnings) != 5 {
			t.Errorf("%+v, %v, %v", p, warnings, err)
		}
	})
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string // clients, or the first lines of the error
	}{
		{"none", nil, "a"},
		{"beside the list", map[string]string{"c.yml": "vars: [{key: x, value: 1}]\n", "b.yml": "", "README.md": "", ".yml": "", "d.yaml": ""}, "a b c"},
		{"a folder", map[string]string{"b.yml/c.yml": ""}, "a"},
		{"name", map[string]string{"b.yml": "name: b\n"}, "a b"},
		{"another name", map[string]string{"b.yml": "name: c\n"}, `clients/b.yml:1:1: the client is called "c", and its file "b" (leave out the name)`},
		{"twice", map[string]string{"a.yml": "description: x\n"}, `clients/a.yml:1:1: there is a client "a" already: project.yml:3:11`},
		{"mistakes of all files", map[string]string{"b.yml": "varz: []\n", "c.yml": "- a\n"},
			"clients/b.yml:1:1: unknown key \"varz\" (did you mean \"vars\"?)\nvarz: []\n^\nclients/c.yml:1:1: a client (a map with a name) is needed here, not a list"},
		{"not a name", map[string]string{"b c.yml": ""}, `clients/b c.yml:1:1: "b c" is not a name`},
		{"not YAML", map[string]string{"b.yml": "a: [\n"}, `clients/b.yml:2:1: this bracket is never closed`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, filepath.Join(dir, FileName), text)
			if err := os.Mkdir(filepath.Join(dir, ClientsDir), 0o700); err != nil {
				t.Fatal(err)
			}
			for name, text := range tt.files {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, ClientsDir, name)), 0o700); err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(dir, ClientsDir, name), text)
			}
			p, warnings, err := LoadAs(dir, FileName)
			if err != nil {
				var all Errors
				if !errors.As(err, &all) || !strings.HasPrefix(err.Error(), tt.want) {
					t.Errorf("got %v\nwant %s", err, tt.want)
				}
				return
			}
			if got := strings.Join(p.ClientNames(), " "); got != tt.want {
				t.Errorf("clients %s, want %s", got, tt.want)
			}
			if _, there := tt.files["d.yaml"]; there != (len(warnings) > 1) { // one is of the empty list of tasks
				t.Errorf("warnings %v", warnings)
			}
		})
	}
}
