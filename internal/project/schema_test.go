package project

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// compiled returns the schema ready for use.
func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema(known()...)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("project.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("project.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance returns a document as the schema sees it: null where a value is absent, numbers as numbers.
func instance(t *testing.T, text string) any {
	t.Helper()
	src := newSource(FileName, []byte(text))
	root, problem := parse(src)
	if problem != nil {
		t.Fatal(problem)
	}
	got, _ := (&decoder{src: src}).anything(value{node: root})
	out, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestSchemaAgreesWithDecoder(t *testing.T) {
	t.Parallel()
	const tasks = "tasks: [{commands: [{command: ls}]}]\n"
	pipeline := func(stages string) string { return "tasks: [{pipeline: [{command: ls}, " + stages + "]}]\n" }
	good := map[string]string{
		"example":        strings.TrimPrefix(example, "version: 1\n"),
		"nulls":          tasks + "description:\ninstalls:\nvars:\nenvs:\nsecrets:\nfiles:\ndeploy:\nschedules:\ntimeout:\n",
		"extension":      tasks + "x-a: {b: [1]}\n",
		"typed text":     tasks + "description: 5\nenvs: [{key: A, value: 1.5}, {key: B, value: yes}, {key: C, value: }]\n",
		"any value":      tasks + "vars: [{key: a, value: {b: [1, yes, ~]}}, {key: b}]\n",
		"quoted number":  tasks + "deploy: {cpu: '256', memory: 512}\ntimeout: '1.5'\n",
		"one schedule":   tasks + "schedule: {target_id: 1, cron: x}\n",
		"old list":       tasks + "schedule: [{target_id: 1, cron: x}]\n",
		"old spellings":  tasks + "deploy: {provider: aws, platform: fargate}\n",
		"deploy maps":    tasks + "deploy: {env: {A: 1, B: }, platform_config: {a: [1]}}\n",
		"secrets":        tasks + "secrets: [{key: a, value: , level: resource group}]\n",
		"foreach":        pipeline("{foreach: [{commands: [{command: ls}], name: x}], concurrency: 2}, {command: wc}"),
		"fork, nulldev":  pipeline("{fork: [{pipeline: [{command: wc}, {nulldev: }], name: x}]}"),
		"nested tasks":   "tasks: [{name: a, tasks: [{name: b, " + strings.TrimPrefix(tasks, "tasks: [{")[:len("commands: [{command: ls}]}]")] + "}]\n",
		"command keys":   "tasks: [{commands: [{command: ls, args: 5, venv: a, timeout: 0.5, shell: bash, name: n, description: d, active: no}]}]\n",
		"retries":        "tasks: [{retries: {max: 1, delay: 0.5, backoff: 1}, commands: [{command: ls}]}]\n",
		"short retries":  "tasks: [{retries: 3, commands: [{command: ls}]}, {retries: '3', commands: [{command: ls}]}]\n",
		"durations":      "tasks: [{retries: {max: 1, delay: 500ms}, timeout: 10m, kill_after: PT1M30S, commands: [{command: ls, timeout: 1h30m}]}]\ntimeout: P1DT2H\n",
		"null retries":   "tasks: [{retries: , on_upstream_failure: , commands: [{command: ls}]}]\n",
		"zero timeout":   tasks + "timeout: 0\n",
		"expect":         pipeline("{command: ls, expect: {rows: {min: 1, max: '5', change: 50%}, columns: [a], unique: [a, b], schema: fixed, errors: none, format: ndjson}}, {command: wc}"),
		"streams":        pipeline("{command: ls, expect: {streams: {users: {rows: {change: 12.5}, columns: [a]}}}}, {command: wc}"),
		"a state":        "tasks: [{pipeline: [{command: ls}], state: yes}]\n",
		"a state as map": "tasks: [{pipeline: [{command: ls}], state: {checkpoint: true}}, {pipeline: [{command: ls}], state: }]\n",
		"notify":         tasks + "notify: [{webhook: '{{ u }}', form: teams, on: [failure, late], name: n}, {command: x, on: success}, {mail: {host: h, port: 25, tls: none, from: f, to: [a, b]}}]\n",
		"artifacts":      tasks + "artifacts: {keep: 3, on_failure: discard}\ndeploy: {overlap: queue}\n",
		"keep":           tasks + "keep: {runs: 100, days: 7}\n",
		"raw files":      tasks + "files: {raw: [a, 1]}\n",
		"stages":         tasks + "stages: {prod: {vars: [{key: a, value: 1}], deploy: {memory: 512, env: {A: 1}}, schedules: []}, dev: }\n",
		"clients":        tasks + "clients: [{name: a.B-1_c}, {name: b, envs: [{key: A}], secrets: [{key: S}], schedules: [{target_id: 1, cron: x}], stages: {prod: {}}}]\n",
		"not a boolean?": "tasks: [{active: off, commands: [{command: ls}]}]\n",
	}
	bad := map[string]string{
		"typo at top":         tasks + "taks: []\n",
		"typo in a task":      "tasks: [{pipelin: [], commands: [{command: ls}]}]\n",
		"typo in a stage":     pipeline("{command: wc, arg: x}"),
		"typo in a command":   "tasks: [{commands: [{command: ls, venvv: x}]}]\n",
		"typo in deploy":      tasks + "deploy: {memmory: 5}\n",
		"typo in a schedule":  tasks + "schedules: [{target_id: 1, cron: x, time_zone: UTC}]\n",
		"typo in retries":     "tasks: [{retries: {maxx: 1}, commands: [{command: ls}]}]\n",
		"typo in a variable":  tasks + "vars: [{key: a, valeu: 1}]\n",
		"typo in files":       tasks + "files: {rawr: []}\n",
		"typo of a provider":  tasks + "deploy: {cloud_provider: awz}\n",
		"typo of a level":     tasks + "secrets: [{key: a, level: group}]\n",
		"no body":             "tasks: [{name: a}]\n",
		"two bodies":          "tasks: [{pipeline: [{command: ls}], commands: [{command: ls}]}]\n",
		"empty pipeline":      "tasks: [{pipeline: []}]\n",
		"two in a stage":      pipeline("{command: wc, nulldev: }"),
		"nothing in a stage":  pipeline("{name: x}"),
		"args alone":          pipeline("{args: x}"),
		"venv beside foreach": pipeline("{foreach: [{commands: [{command: ls}], name: x}], venv: a}"),
		"concurrency alone":   pipeline("{command: wc, concurrency: 2}"),
		"concurrency of none": pipeline("{foreach: [{commands: [{command: ls}], name: x}], concurrency: 0}"),
		"branch of commands":  pipeline("{fork: [{commands: [{command: ls}], name: x}]}"),
		"foreach in commands": "tasks: [{commands: [{foreach: [{commands: [{command: ls}]}]}]}]\n",
		"text for a command":  "tasks: [{commands: [ls]}]\n",
		"list for args":       "tasks: [{commands: [{command: ls, args: [a]}]}]\n",
		"blank command":       "tasks: [{commands: [{command: ' '}]}]\n",
		"negative timeout":    tasks + "timeout: -1\n",
		"timeout in words":    tasks + "timeout: soon\n",
		"days in Go form":     tasks + "timeout: 1d\n",
		"a month":             tasks + "timeout: P1M\n",
		"an empty period":     tasks + "timeout: PT\n",
		"negative duration":   tasks + "timeout: -10m\n",
		"minutes and seconds": tasks + "timeout: 10:30\n",
		"expect of a loop":    pipeline("{command: ls}, {foreach: [{commands: [{command: ls}]}], expect: {rows: {min: 1}}}"),
		"change in words":     pipeline("{command: ls, expect: {rows: {change: half}}}"),
		"other format":        pipeline("{command: ls, expect: {format: xml}}"),
		"rules of a stream":   pipeline("{command: ls, expect: {streams: {a: {schema: fixed}}}}"),
		"retries in words":    "tasks: [{retries: often, commands: [{command: ls}]}]\n",
		"negative retries":    "tasks: [{retries: -1, commands: [{command: ls}]}]\n",
		"retries by halves":   "tasks: [{retries: 1.5, commands: [{command: ls}]}]\n",
		"huge timeout":        tasks + "timeout: 10000000000\n",
		"backoff below one":   "tasks: [{retries: {backoff: 0.5}, commands: [{command: ls}]}]\n",
		"half a try":          "tasks: [{retries: {max: 0.5}, commands: [{command: ls}]}]\n",
		"var without key":     tasks + "vars: [{value: 1}]\n",
		"null key":            tasks + "vars: [{key: }]\n",
		"value of a secret":   tasks + "secrets: [{key: a, value: b}]\n",
		"typo in state":       "tasks: [{pipeline: [{command: ls}], state: {checkpiont: true}}]\n",
		"state in words":      "tasks: [{pipeline: [{command: ls}], state: sure}]\n",
		"keep nothing":        tasks + "artifacts: {keep: 0}\n",
		"keep no day":         tasks + "keep: {days: 0}\n",
		"typo of an overlap":  tasks + "deploy: {overlap: skp}\n",
		"no cron":             tasks + "schedules: [{target_id: 1}]\n",
		"no target":           tasks + "schedules: [{cron: x}]\n",
		"on_upstream_failure": "tasks: [{on_upstream_failure: ignore, commands: [{command: ls}]}]\n",
		"null boolean":        "tasks: [{active: , commands: [{command: ls}]}]\n",
		"text for a boolean":  "tasks: [{active: 'no', commands: [{command: ls}]}]\n",
		"nulldev with value":  pipeline("{nulldev: 3}"),
		"empty element":       tasks + "vars: [~]\n",
		"typo in a client":    tasks + "clients: [{name: a, deploy: {cpus: 1}}]\n",
		"tasks of a client":   tasks + "clients: [{name: a, tasks: []}]\n",
		"type in a client":    tasks + "clients: [{name: a, vars: [{key: a, type: date}]}]\n",
		"client, no name":     tasks + "clients: [{vars: []}]\n",
		"list of stages":      tasks + "stages: [{name: prod}]\n",
		"fires of nothing":    tasks + "clients: [{name: a, schedules: [{cron: x}]}]\n",
		"list of lists":       tasks + "files: {raw: [[a]]}\n",
		"map for a list":      tasks + "vars: {a: 1}\n",
	}
	schema := compiled(t)
	check := func(name, text string, want bool) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text = "version: 1\n" + text
			_, _, decoded := Decode(FileName, "/prj", []byte(text), known()...)
			validated := schema.Validate(instance(t, text))
			if (decoded == nil) != want {
				t.Errorf("the decoder says %v", decoded)
			}
			if (validated == nil) != want {
				t.Errorf("the schema says %v", validated)
			}
		})
	}
	for name, text := range good {
		check("good/"+name, text, true)
	}
	for name, text := range bad {
		check("bad/"+name, text, false)
	}
}

func TestSchemaVersions(t *testing.T) {
	t.Parallel()
	schema := compiled(t)
	for text, want := range map[string]bool{
		"0.3": true, "0.3.0": true, "0.4": true, "0.4.1": true, "1": true, "'1'": true, "1.0": true,
		"2": false, "abc": false, "0.2": false, "0.40": true, "'0.40'": false, "1.5": false, "[1]": false,
	} {
		err := schema.Validate(instance(t, "version: "+text+"\n"))
		if (err == nil) != want {
			t.Errorf("version %s: %v", text, err)
		}
	}
}

func TestSchemaDescribesEveryKey(t *testing.T) {
	t.Parallel()
	for _, s := range newCatalog(known()).all() {
		if s.doc == "" || s.what == "" || s.name == "" {
			t.Errorf("%q is not described", s.name)
		}
		for _, k := range s.keys {
			if k.doc == "" || !strings.HasSuffix(k.doc, ".") {
				t.Errorf("%s.%s: description %q", s.name, k.name, k.doc)
			}
			if k.field.set == nil {
				t.Errorf("%s.%s is not read", s.name, k.name)
			}
		}
	}
}
