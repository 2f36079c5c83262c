package server

import (
	"context"
	"errors"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Home is what a provider that has no scheduler of its own keeps for one: the schedules of every scope, and their jobs.
type Home interface {
	// Scheduler tells of the process that serves the home.
	Scheduler() cloud.Scheduler

	// AllSchedules returns what is to be served. It needs no lock.
	AllSchedules() ([]Entry, error)

	// LockServer makes this process the only one that serves the home, until release is called or it dies. While there is
	// another one it is a cloud.ErrConflict, or, with wait, waits for its end.
	LockServer(ctx context.Context, wait bool) (release func(), err error)

	// OpenStore opens the schedules for the one who has the lock.
	OpenStore(ctx context.Context) (s Store, closes func() error, err error)

	// Jobs returns the jobs of a scope.
	Jobs(s cloud.Scope) cloud.Jobs
}

// Serve is Run for a home, of whose options it sets Store and Jobs. standby waits for the end of the server that is there.
func Serve(ctx context.Context, home Home, standby bool, o Options) (Summary, error) {
	if standby {
		if st, err := home.Scheduler().Status(ctx); err == nil {
			o.Log.Info("waiting for the lock of " + st.Serves)
		}
	}
	release, err := home.LockServer(ctx, standby)
	if err != nil {
		return Summary{}, err
	}
	defer release()
	store, closes, err := home.OpenStore(ctx)
	if err != nil {
		return Summary{}, err
	}
	o.Store, o.Jobs = store, home.Jobs
	sum, err := Run(ctx, o)
	return sum, errors.Join(err, closes())
}
