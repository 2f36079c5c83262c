package cloud

import (
	"context"
	"errors"
	"io"
	"iter"
)

// CallError is a call to a provider that failed.
type CallError struct{ err error }

// Error implements error.
func (e *CallError) Error() string { return e.err.Error() }

// Unwrap returns what the provider said.
func (e *CallError) Unwrap() error { return e.err }

// IsFailure reports whether err is of a call to a provider, or of what was found there.
func IsFailure(err error) bool {
	if _, ok := errors.AsType[*CallError](err); ok {
		return true
	}
	for _, known := range []error{ErrNotFound, ErrConflict, ErrUnsupported, ErrDenied, ErrCorrupt} {
		if errors.Is(err, known) {
			return true
		}
	}
	return IsTemporary(err)
}

// Failed marks err as the failure of a call to a provider. nil stays nil.
func Failed(err error) error {
	if err == nil {
		return nil
	}
	return &CallError{err}
}

// withMark is Failed for a call that also returns a value.
func withMark[T any](v T, err error) (T, error) { return v, Failed(err) }

func marked[T any](all iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for v, err := range all {
			if !yield(v, Failed(err)) {
				return
			}
		}
	}
}

// Mark returns c with each error of its calls as a CallError: what failed there is told from what failed here.
func Mark(c *Cloud) *Cloud {
	m := *c
	m.Account, m.Files, m.Secrets = markAccount{c.Account}, markFiles{c.Files}, markSecrets{c.Secrets}
	m.Infra, m.Jobs, m.Schedules, m.Logs = markInfra{c.Infra}, markJobs{c.Jobs}, markSchedules{c.Schedules}, markLogs{c.Logs}
	return &m
}

type markAccount struct{ Account }

func (m markAccount) Check(ctx context.Context) (Identity, error) {
	return withMark(m.Account.Check(ctx))
}
func (m markAccount) Groups(ctx context.Context) ([]Scope, error) {
	return withMark(m.Account.Groups(ctx))
}

type markFiles struct{ Files }

func (m markFiles) Get(ctx context.Context, key string, opts GetOptions) (io.ReadCloser, Object, error) {
	body, o, err := m.Files.Get(ctx, key, opts)
	if err != nil {
		return nil, o, Failed(err)
	}
	return markBody{body}, o, nil
}

func (m markFiles) Put(ctx context.Context, key string, body Body, opts PutOptions) (Object, error) {
	o, err := m.Files.Put(ctx, key, body, opts)
	if errors.Is(err, ErrChanged) { // here
		return o, err
	}
	return withMark(o, err)
}

// Copy implements Copier, whatever the Files are.
func (m markFiles) Copy(ctx context.Context, from, to string) (Object, error) {
	return withMark(Copy(ctx, m.Files, from, to))
}

func (m markFiles) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return marked(m.Files.List(ctx, prefix))
}

func (m markFiles) Delete(ctx context.Context, keys ...string) error {
	return Failed(m.Files.Delete(ctx, keys...))
}

// markBody is the content of an object. io.EOF is no failure.
type markBody struct{ io.ReadCloser }

// WriteTo implements io.WriterTo: the content may know how to be copied best. What w says is not the provider's.
func (m markBody) WriteTo(w io.Writer) (int64, error) {
	to := &noting{Writer: w}
	n, err := io.Copy(to, m.ReadCloser)
	if to.err == nil {
		err = Failed(err)
	}
	return n, err
}

// noting keeps the error of a writer.
type noting struct {
	io.Writer
	err error
}

func (n *noting) Write(p []byte) (int, error) {
	m, err := n.Writer.Write(p)
	n.err = err
	return m, err
}

func (m markBody) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = Failed(err)
	}
	return n, err
}

type markSecrets struct{ Secrets }

func (m markSecrets) Put(ctx context.Context, secrets ...Secret) error {
	return Failed(m.Secrets.Put(ctx, secrets...))
}

func (m markSecrets) All(ctx context.Context) ([]Secret, error) { return withMark(m.Secrets.All(ctx)) }

func (m markSecrets) List(ctx context.Context) ([]SecretInfo, error) {
	return withMark(m.Secrets.List(ctx))
}

func (m markSecrets) Delete(ctx context.Context, level Level, keys ...string) error {
	return Failed(m.Secrets.Delete(ctx, level, keys...))
}

type markInfra struct{ Infra }

func (m markInfra) Plan(ctx context.Context, w Want) (Plan, error) {
	return withMark(m.Infra.Plan(ctx, w))
}

func (m markInfra) Apply(ctx context.Context, p Plan, step func(Step)) error {
	return Failed(m.Infra.Apply(ctx, p, step))
}

func (m markInfra) Status(ctx context.Context, kind Kind) ([]Resource, error) {
	return withMark(m.Infra.Status(ctx, kind))
}

type markJobs struct{ Jobs }

func (m markJobs) Run(ctx context.Context, s Start) (Job, error) { return withMark(m.Jobs.Run(ctx, s)) }

func (m markJobs) Status(ctx context.Context, id string) (Job, error) {
	return withMark(m.Jobs.Status(ctx, id))
}

func (m markJobs) List(ctx context.Context, q JobQuery) iter.Seq2[Job, error] {
	return marked(m.Jobs.List(ctx, q))
}

func (m markJobs) Stop(ctx context.Context, id string, o StopOptions) (Job, error) {
	return withMark(m.Jobs.Stop(ctx, id, o))
}

type markSchedules struct{ Schedules }

func (m markSchedules) Put(ctx context.Context, s Schedule) error {
	return Failed(m.Schedules.Put(ctx, s))
}

func (m markSchedules) List(ctx context.Context) ([]Schedule, error) {
	return withMark(m.Schedules.List(ctx))
}

func (m markSchedules) Delete(ctx context.Context, targetIDs ...string) error {
	return Failed(m.Schedules.Delete(ctx, targetIDs...))
}

type markLogs struct{ Logs }

func (m markLogs) Read(ctx context.Context, q Query) iter.Seq2[Line, error] {
	return marked(m.Logs.Read(ctx, q))
}
