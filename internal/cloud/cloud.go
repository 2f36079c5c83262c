// Package cloud is the portable layer: what handoff needs of a place where projects run, as small interfaces and plain
// types. A provider (cloud/local, later one package for each vendor) implements them; app and server use nothing else.
// It must not import an SDK, print, read the environment or know of any single provider.
//
// Rules for every method, unless its own comment says otherwise:
//   - Safe for concurrent use. A method that takes a context returns soon after the context is done, with an error for
//     which errors.Is(err, context.Cause(ctx)) or errors.Is(err, ctx.Err()) holds.
//   - Errors are one of the sentinels of this package where one fits (errors.Is), may carry a hint (Hint) and are marked
//     where another try may help (IsTemporary).
//   - A provider tries again what may work the next time, as its SDK does: with the body rewound, after the wait that the
//     service asked for (Retry-After), for some seconds to a minute. What it gave up on is returned as Temporary; nobody
//     above it tries again, but for loops that wait for something anyway. So a call may be made more than once:
//     Files.Put and Jobs.Run say what that means for them.
//   - A method that returns nil has made its change durable: it outlives a crash of the machine.
//   - An iterator may be left early; after it has yielded an error it yields nothing more.
package cloud

import "fmt"

// Cloud is one provider, opened for one scope. No field is nil after Complete.
type Cloud struct {
	Provider string // its name in the list of providers
	Platform string // "process", "fargate", ...
	Scope    Scope
	Here     bool // what it holds and runs is on this machine: no call of it crosses a network
	Parallel int  // how many calls of Files at a time serve this provider best; at least 1. Callers keep to it (Each)

	Account   Account
	Files     Files
	Secrets   Secrets
	Infra     Infra
	Jobs      Jobs
	Schedules Schedules
	Logs      Logs

	Notes map[Kind]string // what a person should know of a kind at this provider, as half a sentence

	// Scheduler is what fires the schedules of a provider that does not do so by itself; nil: it does.
	Scheduler Scheduler
}

// Scope says what a Cloud is opened for. Two scopes that differ in Stage or ResourceGroup share nothing: no bucket, no
// secret, no job, no schedule, no log. Two tasks of one resource group share the bucket and the secrets of the group; so do
// two clients of one task, which else are as two tasks. What has no client is not of each client: it is one more.
type Scope struct {
	Stage         string `json:"env_stage"` // env stage: prod, dev, ...
	ResourceGroup string `json:"resource_group"`
	Task          string `json:"task,omitempty"`   // empty: the group itself; then task-level secrets, jobs and schedules are ErrInvalid
	Client        string `json:"client,omitempty"` // for whom the task runs; empty: for nobody in particular
}

// ClientsFolder is where the clients of a resource group are in its bucket. No name of a task is that of it.
const ClientsFolder = ".clients"

// Prefix returns the folder of the scope in the bucket of its group: "<task>", or ".clients/<client>/<task>", so that a rule for
// one folder lets somebody see one client, or one task of it, and no more. Whatever is stored of a task is below it, by the one
// who stores it. It is "" without a task.
func (s Scope) Prefix() string {
	if s.Client == "" {
		return s.Task
	}
	return ClientsFolder + "/" + s.Client + "/" + s.Task
}

// String returns "<env stage>/<resource group>/<prefix>", which is different for each scope.
func (s Scope) String() string { return s.Stage + "/" + s.ResourceGroup + "/" + s.Prefix() }

// maxName is what every vendor takes as part of a name.
const maxName = 100

// Check returns an error that is ErrInvalid unless Stage and ResourceGroup are names, and Task and Client are, or are empty. There
// is no client without a task. A name has 1 to 100 ASCII letters, digits, "_", "-" and ".", and does not begin with a dot.
func (s Scope) Check() error {
	if err := checkName("env stage", s.Stage); err != nil {
		return err
	}
	if err := checkName("resource group", s.ResourceGroup); err != nil {
		return err
	}
	if s.Task == "" && s.Client == "" {
		return nil
	}
	if err := checkName("task", s.Task); err != nil || s.Client == "" {
		return err
	}
	return checkName("client", s.Client)
}

// checkName returns an error that names what the name is of.
func checkName(what, name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%s: %w: no name", what, ErrInvalid)
	case len(name) > maxName:
		return fmt.Errorf("%s %.20q...: %w: longer than %d characters", what, name, ErrInvalid, maxName)
	case name[0] == '.' || !plain(name):
		return WithHint(fmt.Errorf("%s %q: %w name", what, name, ErrInvalid),
			"use letters, digits, \"_\", \"-\" and \".\", with no dot in front")
	}
	return nil
}

// plain reports whether s has only what every vendor takes in a name.
func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}
