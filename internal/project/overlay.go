package project

import (
	"maps"
	"reflect"
	"slices"
)

// For returns the project as it is for a client in an env stage; "" is nobody in particular. What is further to the right wins:
//
//	project.yml < its stages < the client < stages of the client
//
// Lists are laid over one another by the key of their elements: vars, envs, secrets by key, schedules by target_id. p does not
// change. It is false where there is no such client.
func (p *Project) For(client, stage string) (*Project, bool) {
	out := *p
	over := stagesOf(p.Stages, stage)
	if client != "" {
		i := slices.IndexFunc(p.Clients, func(c Client) bool { return c.Name == client })
		if i < 0 {
			return nil, false
		}
		over = append(append(over, p.Clients[i].Overlay), stagesOf(p.Clients[i].Stages, stage)...)
	}
	for _, o := range over {
		out.lay(o)
	}
	return &out, true
}

// stagesOf returns what an env stage has of its own; at most one element.
func stagesOf(list []Overlay, stage string) []Overlay {
	var found []Overlay
	for _, o := range list {
		if o.Name == stage {
			found = append(found, o)
		}
	}
	return found
}

// lay changes p to what it is with o over it.
func (p *Project) lay(o Overlay) {
	p.Vars = layList(p.Vars, o.Vars, func(v Var) string { return v.Key }, layVar)
	p.Envs = layList(p.Envs, o.Envs, func(e Env) string { return e.Key }, whole)
	p.Secrets = layList(p.Secrets, o.Secrets, func(s Secret) string { return s.Key }, whole)
	env := merged(p.Deploy.Env, o.Deploy.Env)
	p.Deploy = laid(p.Deploy, o.Deploy)
	p.Deploy.Env = env
	if o.NoSchedules {
		p.Schedules = nil
	}
	p.Schedules = layList(p.Schedules, o.Schedules, func(s Schedule) string { return s.TargetID }, laySchedule)
	if len(o.Schedules) > 0 { // then the list is our own
		for i := range p.Schedules {
			defaultZone(&p.Schedules[i])
		}
	}
}

// layVar gives a variable another value, which is read as its type wants it.
func layVar(under, over Var) Var {
	v := laid(under, over)
	if over.Value == nil { // it says nothing
		v.Value, v.Text, v.Pos = under.Value, under.Text, under.Pos
	} else {
		v.Text = over.Text
	}
	v, _ = v.typed() // what is wrong with it was found when the file was read
	return v
}

func laySchedule(under, over Schedule) Schedule {
	envs := layList(under.Envs, over.Envs, func(e Env) string { return e.Key }, whole)
	under = laid(under, over)
	under.Envs = envs
	return under
}

// layList returns under with the elements of over, each in the place of that with the same key or behind all others.
func layList[T any](under, over []T, key func(T) string, lay func(under, over T) T) []T {
	if len(over) == 0 {
		return under
	}
	out := slices.Clone(under)
	for _, o := range over {
		if i := slices.IndexFunc(out, func(u T) bool { return key(u) == key(o) }); i >= 0 {
			out[i] = lay(out[i], o)
			continue
		}
		out = append(out, o)
	}
	return out
}

// whole lets an element replace the one below it.
func whole[T any](_, over T) T { return over }

// laid returns under with those fields of over that are set.
func laid[T any](under, over T) T {
	to, from := reflect.ValueOf(&under).Elem(), reflect.ValueOf(over)
	for i := range from.NumField() {
		if !from.Field(i).IsZero() {
			to.Field(i).Set(from.Field(i))
		}
	}
	return under
}

func merged(under, over map[string]string) map[string]string {
	if len(over) == 0 {
		return under
	}
	out := maps.Clone(under)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, over)
	return out
}
