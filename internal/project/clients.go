package project

import (
	"fmt"
	"slices"
	"strings"
)

// ClientsDir is the folder of a project in which each file is a client: clients/acme.yml is acme.
const ClientsDir = "clients"

// Client is one for whom the project runs, with what it has of its own.
type Client struct {
	Overlay
	Stages []Overlay // of env stages
}

// Overlay is what an env stage or a client has of its own. It lies over the project: see Project.For.
type Overlay struct {
	Pos         Pos
	Name        string // of the env stage or the client
	Description string
	Vars        []Var
	Envs        []Env
	Secrets     []Secret
	Deploy      Deploy // ResourceGroup, CPU, Memory, Storage, Overlap and Env
	Schedules   []Schedule
	NoSchedules bool // the list is there, and empty: none of those below it
}

// clientShape is a client in a list of them; infile one that is a file, and has its name from that.
func clientShape(c *catalog, infile bool) *shape {
	type t = Client
	named := key{name: "name", required: true, filled: true, example: "acme", field: text(func(c *t) *string { return &c.Name }),
		doc: "Name of the client, as in `--client acme`: letters, digits, `_`, `-` and `.`."}
	if infile {
		named.required, named.doc = false, "Name of the client: that of the file."
	}
	return &shape{
		name: "client", what: "a client (a map with a name)", plural: "clients",
		doc: "Somebody for whom the project runs. What it says lies over the project: docs/clients.md. " +
			"In a file of its own, `clients/acme.yml`, a client needs no name.",
		prepare: func(d *decoder, into any, v value) { into.(*t).Pos = d.pos(v.node) },
		check: func(d *decoder, into any, m *mapping) {
			checkScopeName(d, m.place("name"), into.(*t).Name)
			checkOverlay(d, m, &into.(*t).Overlay)
		},
		elsewhere: overlayElsewhere(),
		keys: slices.Concat([]key{named}, overlayKeys(c, func(c *t) *Overlay { return &c.Overlay }), []key{{
			name: "stages", field: overlays(c.overlay, func(c *t) *[]Overlay { return &c.Stages }), example: "{prod: {deploy: {memory: 4096}}}",
			doc: "What the client has of its own in an env stage; it wins over all else in project.yml."}}),
	}
}

func overlayShape(c *catalog) *shape {
	return &shape{
		name: "overlay", what: "a map with vars, envs, secrets, deploy and schedules",
		doc:       "What is different in an env stage. It lies over what stands below it: docs/clients.md.",
		prepare:   func(d *decoder, into any, v value) { into.(*Overlay).Pos = d.pos(v.node) },
		check:     func(d *decoder, into any, m *mapping) { checkOverlay(d, m, into.(*Overlay)) },
		elsewhere: overlayElsewhere(),
		keys:      overlayKeys(c, func(o *Overlay) *Overlay { return o }),
	}
}

// overlayElsewhere says that what runs is the same for all.
func overlayElsewhere() map[string]string {
	const same = "it is the same for all clients and env stages: a variable can make the difference"
	return map[string]string{"tasks": same, "installs": same, "files": same, "artifacts": same}
}

func overlayKeys[T any](c *catalog, at func(*T) *Overlay) []key {
	return []key{
		{name: "description", field: text(func(t *T) *string { return &at(t).Description }), doc: "For people."},
		{name: "vars", field: list(c.setting, func(t *T) *[]Var { return &at(t).Vars }), example: "[{key: account, value: '4711'}]",
			doc: "Template variables: one of the same key is replaced, others are added."},
		{name: "envs", field: list(c.env, func(t *T) *[]Env { return &at(t).Envs }),
			doc: "Environment variables of every command: one of the same key is replaced, others are added."},
		{name: "secrets", field: list(c.secret, func(t *T) *[]Secret { return &at(t).Secrets }),
			doc: "Further secrets that are needed."},
		{name: "deploy", field: object(c.limits, func(t *T) *Deploy { return &at(t).Deploy }), example: "{memory: 2048}",
			doc: "Limits and place: each key that is there wins."},
		{name: "schedules", field: schedulesOver(c.fires, at),
			doc: "Schedules: of one with the same target_id each key that is there wins, others are added. An empty list, `[]`, means none."},
	}
}

// settingShape is a variable that has its type from project.yml.
func settingShape() *shape {
	s := *variableShape()
	s.check = func(d *decoder, into any, m *mapping) { checkVarKey(d, m, into.(*Var).Key) }
	s.name, s.doc = "setting", "The value of one template variable. Its type and all else about it is what `vars` of the project says."
	s.keys = slices.DeleteFunc(s.keys, func(k key) bool { return !slices.Contains([]string{"key", "value", "description"}, k.name) })
	return &s
}

// firesShape is a schedule of which only what differs needs to be said.
func firesShape(c *catalog) *shape {
	s := *c.schedule
	s.name, s.doc, s.check = "schedule change", "What is different of a schedule of the project, or a further one.", nil
	s.keys = slices.Clone(s.keys)
	for i := range s.keys {
		k := &s.keys[i]
		k.required, k.wanted, k.standard = k.name == "target_id", false, "that of the project"
		if k.required {
			k.standard = ""
		}
	}
	return &s
}

func limitsShape() *shape {
	return &shape{
		name: "limits", what: "a map with cpu, memory and the like",
		doc:     "What a client or an env stage has of its own of `deploy`.",
		prepare: func(d *decoder, into any, v value) { into.(*Deploy).Pos = d.pos(v.node) },
		keys: []key{
			{name: "cpu", field: integer(1, func(d *Deploy) *int { return &d.CPU }), unit: "1/1024 of a core", example: "1024", doc: "Processor share of a job."},
			{name: "memory", field: integer(1, func(d *Deploy) *int { return &d.Memory }), unit: "MiB", example: "2048", doc: "Memory of a job."},
			{name: "storage", field: integer(1, func(d *Deploy) *int { return &d.Storage }), unit: "GiB", example: "50", doc: "Ephemeral storage of a job."},
			{name: "resource_group", field: text(func(d *Deploy) *string { return &d.ResourceGroup }), example: "handoff-etl-eu",
				doc: "Another resource group: a bucket, and releases, of its own."},
			{name: "overlap", field: choice([]string{"skip", "queue", "replace", "allow"}, func(d *Deploy) *string { return &d.Overlap }), example: "queue",
				doc: "What happens to a run that starts while another one goes on."},
			{name: "env", field: envMap(func(d *Deploy) *map[string]string { return &d.Env }), example: "{TZ: Europe/Paris}",
				doc: "Further environment of jobs: one of the same name is replaced, others are added."},
		},
	}
}

// schedulesOver takes a list of schedules, and notes one that is empty.
func schedulesOver[T any](of *shape, at func(*T) *Overlay) field {
	f := list(of, func(t *T) *[]Schedule { return &at(t).Schedules })
	read := f.set
	f.set = func(d *decoder, into any, v value) {
		read(d, into, v)
		at(into.(*T)).NoSchedules = !isNull(v.node) && len(v.node.Content) == 0
	}
	return f
}

// overlays takes a map from env stages to what they have of their own.
func overlays[T any](of *shape, at func(*T) *[]Overlay) field {
	return field{kind: objectMapKind, by: "env stages", of: of, set: func(d *decoder, into any, v value) {
		m, ok := d.mapping(v, "a map from env stages, such as prod, to what they have of their own,")
		if !ok {
			return
		}
		for _, e := range m.entries {
			var o Overlay
			checkScopeName(d, value{e.at.node, e.what.path}, e.key)
			d.object(e.what, of, &o)
			o.Name = e.key
			*at(into.(*T)) = append(*at(into.(*T)), o)
		}
	}}
}

// checkScopeName refuses what cannot be part of the names that clouds give to things.
func checkScopeName(d *decoder, at value, name string) {
	const most = 100
	letter := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-.", r)
	}
	if name != "" && (strings.HasPrefix(name, ".") || len(name) > most || strings.ContainsFunc(name, func(r rune) bool { return !letter(r) })) {
		d.fail(at, fmt.Sprintf("%s is not a name", quote(name)), fmt.Sprintf("at most %d letters, digits, \"_\", \"-\" and \".\", with no dot in front", most))
	}
}

func checkOverlay(d *decoder, m *mapping, o *Overlay) {
	checkTwice(d, m, "vars", o.Vars, func(v Var) (string, Pos) { return v.Key, v.Pos })
	checkTwice(d, m, "envs", o.Envs, func(v Env) (string, Pos) { return v.Key, v.Pos })
	checkTwice(d, m, "secrets", o.Secrets, func(v Secret) (string, Pos) { return v.Key, v.Pos })
	checkTwice(d, m, "schedules", o.Schedules, func(s Schedule) (string, Pos) { return s.TargetID, s.Pos })
}

// clientFile is the text of a file in the folder of clients.
type clientFile struct {
	shown, name string // name: of the client
	text        []byte
}

// clientsOf reads clients that are files of their own, and returns what is wrong with each.
func (d *decoder) clientsOf(p *Project, files []clientFile, c *catalog) (errs, warnings []Diagnostic, sources []*source) {
	of := clientShape(c, true)
	for _, f := range files {
		src := newSource(f.shown, trimBOM(f.text))
		sources = append(sources, src)
		one := &decoder{src: src, strict: d.strict}
		client := Client{Overlay: Overlay{Pos: Pos{f.shown, 1, 1}}}
		root, problem := parse(src)
		switch {
		case problem != nil:
			one.errors = append(one.errors, *problem)
		case root != nil:
			one.object(value{node: root}, of, &client)
		}
		if client.Name != "" && client.Name != f.name {
			one.errors = append(one.errors, src.at(client.Pos.Line, 1, fmt.Sprintf("the client is called %q, and its file %q", client.Name, f.name),
				"leave out the name"))
		}
		client.Name = f.name
		checkScopeName(one, value{node: lineOne()}, f.name)
		warnings = append(warnings, one.finish(one.warnings, one.moreWarnings)...)
		wrong := one.finish(one.errors, one.moreErrors)
		if !d.strict && len(wrong) > 0 { // a project of 0.4.x may have files of its own in a folder of that name
			warnings = append(append(warnings, wrong...), src.at(1, 1, "this file is not read as a client", "with version: 1 it would be an error"))
			continue
		}
		p.Clients = append(p.Clients, client)
		errs = append(errs, wrong...)
	}
	return errs, warnings, sources
}

// checkClients finds what is only wrong when overlays lie over the project. sources have the lines to show.
func checkClients(p *Project, sources []*source) (errs Errors) {
	fail := func(at Pos, message, hint string) {
		for _, src := range sources {
			if src.file == at.File {
				errs = append(errs, src.at(at.Line, at.Column, message, hint))
			}
		}
	}
	seen := map[string]Pos{}
	for _, c := range p.Clients {
		if other, twice := seen[c.Name]; twice {
			fail(c.Pos, fmt.Sprintf("there is a client %s already: %s", quote(c.Name), other), "")
		}
		seen[c.Name] = c.Pos
	}
	told := map[Pos]bool{} // an overlay lies over many
	once := func(at Pos, message, hint string) {
		if !told[at] {
			fail(at, message, hint)
		}
		told[at] = true
	}
	clients := append([]string{""}, p.ClientNames()...)
	for _, client := range clients {
		for _, stage := range p.stageNames(client) {
			at, _ := p.For(client, stage)
			for _, v := range at.Vars {
				if _, err := v.typed(); err != nil {
					once(v.Pos, fmt.Sprintf("variable %s: %v", quote(v.Key), err), "its type is that of vars of the project")
				}
			}
			for _, s := range at.Schedules {
				if strings.TrimSpace(s.Cron) == "" {
					once(s.Pos, fmt.Sprintf("no \"cron\", and the project has no schedule with the target_id %s", quote(s.TargetID)), "")
				}
			}
		}
	}
	return errs
}

// stageNames returns the env stages that the project or a client of it names, and "" for all others.
func (p *Project) stageNames(client string) []string {
	names := []string{""}
	add := func(list []Overlay) {
		for _, o := range list {
			names = append(names, o.Name)
		}
	}
	add(p.Stages)
	for _, c := range p.Clients {
		if c.Name == client {
			add(c.Stages)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ClientNames returns the names of the clients, sorted.
func (p *Project) ClientNames() []string {
	names := make([]string, len(p.Clients))
	for i, c := range p.Clients {
		names[i] = c.Name
	}
	slices.Sort(names)
	return names
}

// DecodeClient reads the file of a client of p, as Load does for all of a folder; shown is its name in messages.
func DecodeClient(p *Project, shown, name string, text []byte) (Client, []Diagnostic, error) {
	d := &decoder{strict: p.Strict}
	with := *p
	with.Clients = nil
	errs, warnings, sources := d.clientsOf(&with, []clientFile{{shown, name, text}}, newCatalog(nil))
	if len(errs) == 0 {
		errs = checkClients(&with, sources)
	}
	if len(errs) > 0 {
		return Client{}, warnings, Errors(errs)
	}
	return with.Clients[0], warnings, nil
}
