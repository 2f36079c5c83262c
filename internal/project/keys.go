package project

import (
	"slices"
	"time"
)

// catalog holds the shapes of every map in project.yml.
type catalog struct {
	project, install, variable, env, secret, files  *shape
	state, artifacts, keep, container               *shape
	task, retries, stage, command, deploy, schedule *shape
	setting, limits, fires, overlay, client         *shape // of clients and env stages
	expect, rules, rows                             *shape
	notify, mail                                    *shape
}

// newCatalog builds the description of project.yml. It is made anew for each use, so that nothing is done at start-up.
func newCatalog(providers []Provider) *catalog {
	c := &catalog{task: new(shape)}
	c.install, c.variable, c.env, c.secret = installShape(), variableShape(), envShape(), secretShape()
	c.files, c.retries, c.deploy = filesShape(), retriesShape(), deployShape(providers)
	c.state, c.artifacts, c.keep, c.container = stateShape(), artifactsShape(), keepShape(), containerShape()
	c.rows = rowsShape()
	c.rules = rulesShape(c)
	c.expect = expectShape(c)
	c.command, c.stage, c.schedule = commandShape(), stageShape(c), scheduleShape(c)
	*c.task = taskShape(c)
	c.setting, c.limits, c.fires = settingShape(), limitsShape(), firesShape(c)
	c.overlay = overlayShape(c)
	c.client = clientShape(c, false)
	c.mail = mailShape()
	c.notify = notifyShape(c)
	c.project = projectShape(c)
	return c
}

// all returns every shape once, the project first.
func (c *catalog) all() []*shape {
	return []*shape{
		c.project, c.install, c.variable, c.env, c.secret, c.task, c.stage, c.command, c.expect, c.rules, c.rows, c.retries, c.state, c.files, c.artifacts, c.keep, c.container, c.deploy, c.schedule,
		c.notify, c.mail, c.client, c.overlay, c.setting, c.limits, c.fires,
	}
}

func projectShape(c *catalog) *shape {
	type p = draft
	return &shape{
		name: "project", what: "a map with the keys of a project",
		doc:  "One project.yml. Keys that begin with `x-` are free: a place for anchors.",
		open: "^x-", extra: takeExtension, check: checkProject,
		keys: []key{
			{name: "version", field: field{kind: versionKind, set: setVersion}, example: "1",
				doc: "Version of the format. 0.3 and 0.4: unknown keys and undefined variables are warnings. 1: they are errors."},
			{name: "description", field: text(func(p *p) *string { return &p.Description }), example: "Loads the earthquakes of yesterday",
				doc: "What the project is for."},
			{name: "installs", field: list(c.install, func(p *p) *[]Install { return &p.Installs }),
				doc: "What `workspace install` runs, in order."},
			{name: "vars", field: list(c.variable, func(p *p) *[]Var { return &p.Vars }),
				doc: "Template variables. `-v key=value` on the command line wins."},
			{name: "envs", field: list(c.env, func(p *p) *[]Env { return &p.Envs }),
				doc: "Environment variables of every command."},
			{name: "secrets", field: list(c.secret, func(p *p) *[]Secret { return &p.Secrets }),
				doc: "Declares the secrets that the project needs. A missing one is an error before anything runs. The values live elsewhere."},
			{name: "tasks", field: taskList(c, func(p *p) *[]Task { return &p.Tasks }),
				doc: "What to run, in order."},
			{name: "files", field: object(c.files, func(p *p) *Files { return &p.Files }),
				doc: "How the folder files/ is treated."},
			{name: "artifacts", field: object(c.artifacts, func(p *p) *Artifacts { return &p.Artifacts }), example: "{keep: 10}",
				doc: "What becomes of the artifacts folder between runs."},
			{name: "keep", field: object(c.keep, func(p *p) *Keep { return &p.Keep }), example: "{runs: 1000, days: 90}",
				doc: "How long is kept what runs leave in the bucket."},
			{name: "container", field: object(c.container, func(p *p) *Container { return &p.Container }), example: "{base_image: \"python:3.12-slim-bookworm\"}",
				doc: "What the image of the project is made of: `handoff container build`."},
			{name: "deploy", field: object(c.deploy, func(p *p) *deployDraft { return &p.deploy }),
				doc: "Where the project runs when it does not run here."},
			{name: "schedules", field: list(c.schedule, func(p *p) *[]Schedule { return &p.schedules }),
				doc: "When the deployed task starts by itself."},
			{name: "schedule", insteadOf: "schedules", field: field{kind: listKind, of: c.schedule, single: true, set: setSchedule(c)},
				doc: "One schedule."},
			{name: "notify", field: list(c.notify, func(p *p) *[]Notify { return &p.Notify }), example: "[{on: failure, webhook: '{{ slack_url }}', form: slack}]",
				doc: "Who is told how runs of the deployed task end."},
			{name: "clients", field: list(c.client, func(p *p) *[]Client { return &p.Clients }), example: "[{name: acme, vars: [{key: account, value: '4711'}]}]",
				doc: "For whom the project runs, each with what it has of its own. A client may also be a file, `clients/acme.yml`."},
			{name: "stages", field: overlays(c.overlay, func(p *p) *[]Overlay { return &p.Stages }), example: "{prod: {deploy: {memory: 2048}}}",
				doc: "What is different in an env stage."},
			{name: "kill_downstream_on_fail", field: maybe(func(p *p) **bool { return &p.KillDownstreamOnFail }), standard: "true",
				doc: "Whether a failed task stops the tasks after it. Tasks may say otherwise."},
			{name: "kill_loop_on_fail", field: maybe(func(p *p) **bool { return &p.KillLoopOnFail }), standard: "true",
				doc: "Whether a failed line stops the lines after it in a foreach. Tasks may say otherwise."},
			{name: "timeout", field: duration(func(p *p) *time.Duration { return &p.Timeout }), standard: "0 (none)", example: "1h",
				doc: "How long the whole run may take."},
		},
	}
}

func installShape() *shape {
	return &shape{
		name: "install", what: "an install (a map with a command)", plural: "installs",
		doc:     "One command of `workspace install`.",
		prepare: func(d *decoder, into any, v value) { into.(*Install).Pos = d.pos(v.node) },
		keys: []key{
			{name: "command", required: true, filled: true, field: text(func(i *Install) *string { return &i.Command }), example: "pip install tap-csv",
				doc: "Shell command."},
			{name: "args", field: text(func(i *Install) *string { return &i.Args }), example: "--quiet",
				doc: "Added to the command after a blank."},
			{name: "venv", field: text(func(i *Install) *string { return &i.Venv }), example: "extractor",
				doc: "Name of the Python virtual environment to run in; made in the workspace on demand."},
			{name: "description", field: text(func(i *Install) *string { return &i.Description }), doc: "What it is for."},
		},
	}
}

func variableShape() *shape {
	return &shape{
		name: "var", what: "a variable (a map with key and value)", plural: "variables",
		doc:     "One template variable.",
		prepare: func(d *decoder, into any, v value) { into.(*Var).Pos = d.pos(v.node) },
		check:   checkVar,
		keys: []key{
			{name: "key", required: true, filled: true, field: text(func(v *Var) *string { return &v.Key }), example: "start_date",
				doc: "Name, as in `{{ start_date }}`."},
			{name: "value", field: field{kind: anyKind, set: setVarValue}, example: "2026-01-31",
				doc: "Value: text, number, true or false, list or map. Dates, times such as 12:30 and numbers with leading zeros stay text."},
			{name: "default", field: field{kind: anyKind, set: setVarValue}, example: "2026-01-31",
				doc: "The same as value, for a variable that others are meant to set."},
			{name: "type", field: choice(Types(), func(v *Var) *string { return &v.Type }), standard: "text where it is typed, else as it is written", example: "date",
				doc: "What a value has to be, whoever gives it; a wrong one is an error before anything runs. In templates an integer and a number are numbers, a boolean is true or false, a date is text such as 2026-01-31, and a timestamp text such as 2026-01-31T06:00:00Z."},
			{name: "required", field: boolean(func(v *Var) *bool { return &v.Required }), standard: "false",
				doc: "Whether it has to have a value that is not empty, from wherever: nothing runs without."},
			{name: "enum", field: texts(func(v *Var) *[]string { return &v.Enum }, func(*decoder, value, string) {}), example: "[daily, monthly]",
				doc: "The values that it may have."},
			{name: "description", field: text(func(v *Var) *string { return &v.Description }), doc: "What it is for."},
		},
	}
}

func envShape() *shape {
	return &shape{
		name: "env", what: "an environment variable (a map with key and value)", plural: "environment variables",
		doc:     "One environment variable.",
		prepare: func(d *decoder, into any, v value) { into.(*Env).Pos = d.pos(v.node) },
		check:   func(d *decoder, into any, m *mapping) { checkEnv(d, m, into.(*Env)) },
		keys: []key{
			{name: "key", required: true, filled: true, field: text(func(e *Env) *string { return &e.Key }), example: "GOOGLE_APPLICATION_CREDENTIALS",
				doc: "Name of the variable."},
			{name: "value", field: field{kind: textKind, set: setEnvValue}, example: "files/google.json", standard: "the secret of the same key",
				doc: "Value, as typed."},
			{name: "description", field: text(func(e *Env) *string { return &e.Description }), doc: "What it is for."},
		},
	}
}

func secretShape() *shape {
	return &shape{
		name: "secret", what: "a secret (a map with a key)", plural: "secrets",
		doc:     "Declares one secret.",
		prepare: func(d *decoder, into any, v value) { *into.(*Secret) = Secret{Pos: d.pos(v.node), Level: "task"} },
		check:   func(d *decoder, into any, m *mapping) { checkEnvKey(d, m, into.(*Secret).Key) },
		keys: []key{
			{name: "key", required: true, filled: true, field: text(func(s *Secret) *string { return &s.Key }), example: "password",
				doc: "Name of the secret."},
			{name: "level", field: field{kind: textKind, enum: levels(), set: setLevel}, standard: "task",
				doc: "Whether the secret belongs to the task or is shared by its resource group."},
			{name: "value", field: field{kind: nothingKind, set: refuseSecretValue},
				doc: "Always empty: values live in .secrets/ or in the cloud, never in this file."},
			{name: "description", field: text(func(s *Secret) *string { return &s.Description }), doc: "What it is for."},
		},
	}
}

func filesShape() *shape {
	return &shape{
		name: "files", what: "a map with raw",
		doc: "How the folder files/ is treated. Text files in it are templates unless they are listed here.",
		keys: []key{
			{name: "raw", field: texts(func(f *Files) *[]string { return &f.Raw }, checkGlob), example: `["dbt/**"]`,
				doc: "Globs, relative to files/, of the files that are copied verbatim. `**` crosses folders."},
		},
	}
}

func artifactsShape() *shape {
	return &shape{
		name: "artifacts", what: "a map with keep, on_failure and backfill",
		doc: "What becomes of the artifacts folder between runs that take it from a bucket: `handoff run`.",
		keys: []key{
			{name: "keep", field: integer(1, func(a *Artifacts) *int { return &a.Keep }), standard: "30", example: "10",
				doc: "How many archives of good runs are kept, and as many of what failed runs have left."},
			{name: "on_failure", field: choice([]string{"keep", "discard", "commit"}, func(a *Artifacts) *string { return &a.OnFailure }), standard: "keep; discard where deploy.push_artifacts_on_fail is false",
				doc: "What becomes of the artifacts of a failed run: keep stores them apart, discard does not store them, commit makes them what the next run finds."},
			{name: "backfill", field: choice([]string{"skip", "use"}, func(a *Artifacts) *string { return &a.Backfill }), standard: "skip",
				doc: "Whether a backfill uses the artifacts. skip: each of its runs begins with none, and what it leaves is not stored unless it fails. use: its runs go on one after the other, each with what the one before it has left."},
		},
	}
}

func containerShape() *shape {
	return &shape{
		name: "container", what: "a map with base_image and labels",
		doc: "What the image is made of that `handoff container build` makes of the project. Beside this it has handoff and the virtual environments; files/ and secrets are not in it.",
		keys: []key{
			{name: "base_image", field: text(func(c *Container) *string { return &c.BaseImage }), standard: "docker.io/library/python:3.13-slim-trixie", example: "registry.example/base/python:3.12",
				doc: "On which image it is built. Where the project installs Python tools, it has to have python3 with its module venv."},
			{name: "labels", field: textMap(func(c *Container) *map[string]string { return &c.Labels }), example: "{org.opencontainers.image.licenses: MIT}",
				doc: "Further labels of the image."},
		},
	}
}

func keepShape() *shape {
	return &shape{
		name: "keep", what: "a map with runs, days and releases",
		doc: "How long is kept what runs and pushes leave in the bucket: each of them looks once a day, `handoff gc` at once. " +
			"What the next run goes on from always is.",
		keys: []key{
			{name: "runs", field: integer(1, func(k *Keep) *int { return &k.Runs }), standard: "10000", example: "1000",
				doc: "The records of how many runs are kept. Those of the last day always are."},
			{name: "days", field: integer(1, func(k *Keep) *int { return &k.Days }), standard: "400", example: "90",
				doc: "After how many days records, archives of artifacts and what failed runs have left are removed."},
			{name: "releases", field: integer(1, func(k *Keep) *int { return &k.Releases }), standard: "20", example: "50",
				doc: "How many releases are kept, of those that were current last. One that a record names, a job runs or a task is tied to always is."},
		},
	}
}

func deployShape(list []Provider) *shape {
	providers, platforms := providerNames(list)
	return &shape{
		name: "deploy", what: "a map with the keys of a deployment",
		doc:     "Where the project runs when it does not run here.",
		prepare: func(d *decoder, into any, v value) { into.(*deployDraft).Pos = d.pos(v.node) },
		extra:   takeDeployExtra, check: checkDeploy,
		keys: []key{
			{name: "cloud_provider", field: named(providers, func(d *deployDraft) *string { return &d.CloudProvider }), example: "aws",
				doc: "Whose machines run the task."},
			{name: "provider", insteadOf: "cloud_provider", field: named(providers, func(d *deployDraft) *string { return &d.provider }),
				doc: "Whose machines run the task."},
			{name: "cloud_platform", field: named(platforms, func(d *deployDraft) *string { return &d.CloudPlatform }), example: "fargate",
				doc: "Which service of the provider runs the task."},
			{name: "platform", insteadOf: "cloud_platform", field: named(platforms, func(d *deployDraft) *string { return &d.platform }),
				doc: "Which service of the provider runs the task."},
			{name: "platform_config", field: freeMap(func(d *deployDraft) *map[string]any { return &d.PlatformConfig }),
				doc: "Further settings, passed on to the platform."},
			{name: "resource_group", field: text(func(d *deployDraft) *string { return &d.ResourceGroup }), example: "handoff-etl",
				doc: "Name of the bucket, network and cluster that the tasks of a group share."},
			{name: "task", field: text(func(d *deployDraft) *string { return &d.Task }), example: "usgs-earthquakes",
				doc: "Name of the deployed task, unique in its resource group."},
			{name: "container_image", field: text(func(d *deployDraft) *string { return &d.ContainerImage }), example: "tap-rest-api-target-bigquery",
				doc: "Name of the image."},
			{name: "image_version", field: text(func(d *deployDraft) *string { return &d.ImageVersion }), standard: "the newest pushed", example: "0.2",
				doc: "Tag of the image."},
			{name: "cpu", field: integer(1, func(d *deployDraft) *int { return &d.CPU }), unit: "1/1024 of a core", example: "256",
				doc: "Processor share of the container."},
			{name: "memory", field: integer(1, func(d *deployDraft) *int { return &d.Memory }), unit: "MiB", example: "512",
				doc: "Memory of the container."},
			{name: "storage", field: integer(1, func(d *deployDraft) *int { return &d.Storage }), unit: "GiB", example: "21",
				doc: "Ephemeral storage of the container."},
			{name: "env", field: envMap(func(d *deployDraft) *map[string]string { return &d.Env }), example: "{TZ: Europe/Paris}",
				doc: "Further environment of the container."},
			{name: "overlap", field: choice([]string{"skip", "queue", "replace", "allow"}, func(d *deployDraft) *string { return &d.Overlap }), standard: "skip",
				doc: "What happens to a run that starts while another one of the task goes on: skip refuses it, queue lets it wait, replace stops the other one, allow lets both run at their own risk."},
			{name: "push_artifacts_on_fail", field: maybe(func(d *deployDraft) **bool { return &d.PushOnFail }), standard: "true",
				doc: "Whether a failed run pushes its artifacts too."},
		},
	}
}

func scheduleShape(c *catalog) *shape {
	type s = Schedule
	return &shape{
		name: "schedule", what: "a schedule (a map with target_id and cron)", plural: "schedules",
		doc:     "When the deployed task starts by itself.",
		prepare: func(d *decoder, into any, v value) { into.(*s).Pos = d.pos(v.node) },
		check:   checkSchedule,
		keys: []key{
			{name: "target_id", wanted: true, filled: true, standard: "its place in the list", field: text(func(s *s) *string { return &s.TargetID }), example: "1",
				doc: "Number or name of the schedule, unique in the project."},
			{name: "name", field: text(func(s *s) *string { return &s.Name }), doc: "Name for people."},
			{name: "description", field: text(func(s *s) *string { return &s.Description }), example: "Every day at 00:00Z", doc: "What it is for."},
			{name: "cron", required: true, filled: true, field: text(func(s *s) *string { return &s.Cron }), example: "'0 0 * * ? *'",
				doc: "When to start: five fields as in cron, or six fields as in AWS EventBridge."},
			{name: "timezone", filled: true, field: text(func(s *s) *string { return &s.Timezone }), standard: "UTC", example: "Europe/Paris",
				doc: "IANA name of the time zone in which cron is meant."},
			{name: "catchup", field: choice([]string{"none", "last", "all"}, func(s *s) *string { return &s.Catchup }), standard: "none",
				doc: "What happens to starts that were missed because no scheduler ran: none loses them, last makes up for the last one, all for each one, in order."},
			{name: "overlap", field: choice([]string{"skip", "queue", "replace", "allow"}, func(s *s) *string { return &s.Overlap }), standard: "that of deploy",
				doc: "What happens to a start while a run of the task goes on."},
			{name: "from", field: text(func(s *s) *string { return &s.From }), standard: "any", example: "2026-12-01",
				doc: "The first day, or time (2026-12-01T07:00), at which it may start, in timezone."},
			{name: "until", field: text(func(s *s) *string { return &s.Until }), standard: "any", example: "2026-12-31",
				doc: "The last day, which belongs to it, or time."},
			{name: "jitter", field: duration(func(s *s) *time.Duration { return &s.Jitter }), standard: "0", example: "15m",
				doc: "Each start is later by up to this much, always by the same for the same task, client and target_id, so that many do not start at once. The time for which it is due stays as it is."},
			{name: "freshness", field: duration(func(s *s) *time.Duration { return &s.Freshness }), standard: "0 (never)", example: "26h",
				doc: "The task is late when its last run that succeeded is longer ago."},
			{name: "envs", field: list(c.env, func(s *s) *[]Env { return &s.Envs }),
				doc: "Environment of the started task. `__VARS` holds words for -v."},
		},
	}
}

// providerNames returns the names of providers and platforms.
func providerNames(list []Provider) (names, platforms []string) {
	for _, p := range list {
		names = append(names, p.Name)
		for _, platform := range p.Platforms {
			if !slices.Contains(platforms, platform) {
				platforms = append(platforms, platform)
			}
		}
	}
	return names, platforms
}

func levels() []string { return []string{"task", "resource group"} }
