package cli

import (
	"context"
	"fmt"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/local"
)

// openLocal opens the provider that needs no account.
func (c *cli) openLocal(_ context.Context, o app.CloudOptions) (*cloud.Cloud, error) {
	if o.Platform != "" && o.Platform != "process" {
		return nil, &app.UsageError{
			Message: fmt.Sprintf("cloud provider local has no platform %q", o.Platform),
			Hint:    "add --cloud-platform process",
		}
	}
	dir, err := c.home()
	if err != nil {
		return nil, err
	}
	home, err := local.Open(dir)
	if err != nil {
		return nil, err
	}
	p, err := home.Cloud(o.Scope)
	if err != nil {
		return nil, err
	}
	p.Account = home.Account()
	p.Infra = home.Infra(o.Scope)
	p.Jobs = home.Jobs(o.Scope, c.jobOptions())
	p.Schedules = home.Schedules(o.Scope)
	p.Scheduler = home.Scheduler()
	return cloud.Complete(*p), nil
}
