package cloud

import (
	"context"
	"io"
	"iter"
)

// Complete puts, for every ability that c lacks (a nil field), one whose methods return ErrUnsupported, and makes Parallel
// at least 1.
func Complete(c Cloud) *Cloud {
	c.Parallel = max(c.Parallel, 1)
	no := without(c.Provider)
	if c.Account == nil {
		c.Account = noAccount{no}
	}
	if c.Files == nil {
		c.Files = noFiles{no}
	}
	if c.Secrets == nil {
		c.Secrets = noSecrets{no}
	}
	if c.Infra == nil {
		c.Infra = noInfra{no}
	}
	if c.Jobs == nil {
		c.Jobs = noJobs{no}
	}
	if c.Schedules == nil {
		c.Schedules = noSchedules{no}
	}
	if c.Logs == nil {
		c.Logs = noLogs{no}
	}
	return &c
}

// without is the name of a provider that lacks an ability.
type without string

func (w without) err(what string) error {
	return Unsupported(string(w), what, "use another cloud provider: --cloud-provider, or deploy.cloud_provider in project.yml")
}

// seq yields an error.
func seq[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		yield(zero, err)
	}
}

type noAccount struct{ without }

func (n noAccount) Check(context.Context) (Identity, error) {
	return Identity{}, n.err("check the account")
}
func (n noAccount) Groups(context.Context) ([]Scope, error) {
	return nil, n.err("list the resource groups")
}

type noFiles struct{ without }

func (n noFiles) Get(context.Context, string, GetOptions) (io.ReadCloser, Object, error) {
	return nil, Object{}, n.err("get an object")
}
func (n noFiles) Put(context.Context, string, Body, PutOptions) (Object, error) {
	return Object{}, n.err("put an object")
}
func (n noFiles) List(context.Context, string) iter.Seq2[Object, error] {
	return seq[Object](n.err("list objects"))
}
func (n noFiles) Delete(context.Context, ...string) error { return n.err("delete objects") }

type noSecrets struct{ without }

func (n noSecrets) Put(context.Context, ...Secret) error { return n.err("put secrets") }
func (n noSecrets) All(context.Context) ([]Secret, error) {
	return nil, n.err("get secrets")
}
func (n noSecrets) List(context.Context) ([]SecretInfo, error) {
	return nil, n.err("list secrets")
}
func (n noSecrets) Delete(context.Context, Level, ...string) error { return n.err("delete secrets") }

type noInfra struct{ without }

func (n noInfra) Plan(_ context.Context, w Want) (Plan, error) {
	return Plan{}, n.err("plan " + string(w.Kind))
}
func (n noInfra) Apply(_ context.Context, p Plan, _ func(Step)) error {
	return n.err("apply " + string(p.Want.Kind))
}
func (n noInfra) Status(_ context.Context, k Kind) ([]Resource, error) {
	return nil, n.err("status of " + string(k))
}

type noJobs struct{ without }

func (n noJobs) Run(context.Context, Start) (Job, error) { return Job{}, n.err("run a job") }
func (n noJobs) Status(context.Context, string) (Job, error) {
	return Job{}, n.err("status of a job")
}
func (n noJobs) List(context.Context, JobQuery) iter.Seq2[Job, error] {
	return seq[Job](n.err("list jobs"))
}
func (n noJobs) Stop(context.Context, string, StopOptions) (Job, error) {
	return Job{}, n.err("stop a job")
}

type noSchedules struct{ without }

func (n noSchedules) Put(context.Context, Schedule) error { return n.err("put a schedule") }
func (n noSchedules) List(context.Context) ([]Schedule, error) {
	return nil, n.err("list schedules")
}
func (n noSchedules) Delete(context.Context, ...string) error { return n.err("delete schedules") }

type noLogs struct{ without }

func (n noLogs) Read(context.Context, Query) iter.Seq2[Line, error] {
	return seq[Line](n.err("read logs"))
}
