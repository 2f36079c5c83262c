package providers

import (
	"context"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/local"
	"github.com/handoff-run/handoff/internal/server"
)

func openLocal(_ context.Context, s Setup, o Options) (*cloud.Cloud, error) {
	home, err := localHome(s)
	if err != nil {
		return nil, err
	}
	c, err := home.Cloud(o.Scope)
	if err != nil {
		return nil, err
	}
	c.Account = home.Account()
	c.Infra = home.Infra(o.Scope)
	c.Jobs = home.Jobs(o.Scope)
	c.Schedules = home.Schedules(o.Scope)
	c.Scheduler = home.Scheduler()
	return c, nil
}

func serveLocal(s Setup) (server.Home, error) {
	home, err := localHome(s)
	if err != nil {
		return nil, err
	}
	return home, nil
}

func rotateLocal(ctx context.Context, s Setup) (cloud.Rotation, error) {
	home, err := localHome(s)
	if err != nil {
		return cloud.Rotation{}, err
	}
	return home.RotateSecrets(ctx)
}

// served is a home with what it needs to start jobs.
type served struct {
	*local.Home
	jobs local.JobOptions
}

func localHome(s Setup) (*served, error) {
	dir, err := s.Home()
	if err != nil {
		return nil, err
	}
	home, err := local.Open(dir)
	if err != nil {
		return nil, err
	}
	return &served{home, local.JobOptions{Command: s.JobCommand, Environ: s.JobEnviron, Place: s.jobPlace}}, nil
}

// Jobs implements server.Home.
func (h *served) Jobs(s cloud.Scope) cloud.Jobs { return h.Home.Jobs(s, h.jobs) }

// OpenStore implements server.Home.
func (h *served) OpenStore(ctx context.Context) (server.Store, func() error, error) {
	table, err := h.Timetable(ctx)
	if err != nil {
		return nil, nil, err
	}
	return table, table.Close, nil
}

func enterLocal(s Setup) (Inside, error) {
	dir := s.Getenv(local.EnvJobDir)
	if dir == "" {
		return nil, nil // nothing has to be done
	}
	home, err := s.Home()
	if err != nil {
		return nil, err
	}
	job, err := local.Enter(home, dir, s.Getenv("HANDOFF_CGROUP"))
	if err != nil {
		return nil, err
	}
	return job, nil
}
