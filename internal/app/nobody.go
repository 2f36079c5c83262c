package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/project"
)

// meantForClients is the error where nobody named a client, the project has some, and it lacks what they have: that tells more than what is
// lacking, which is for each of them to give. nil where a client is named, there are none, or nothing lacks.
func meantForClients(p *project.Project, client, lacking string) error {
	if lacking == "" || client != "" || len(p.Clients) == 0 {
		return nil
	}
	const most = 10 // names
	names := p.ClientNames()
	hint := fmt.Sprintf("name one, --client %s, or all of them, --all-clients: %s", names[0], strings.Join(names[:min(len(names), most)], ", "))
	if more := len(names) - most; more > 0 {
		hint += fmt.Sprintf(" and %d more", more)
	}
	what, _, _ := strings.Cut(lacking, ":")
	return &UsageError{Message: "the project is run for clients, and none is named: without one, " + what, Hint: hint}
}

// lackingHere is what a run of this session lacks, as far as it is known before anything is read.
func (s *session) lackingHere() string {
	if what := lacks(s.project, s.input.Vars); what != "" {
		return what
	}
	return lacksSecret(s.project, s.has)
}

// lacksSecret says which secret of a project is not there; "": all are.
func lacksSecret(p *project.Project, has func(key string) bool) string {
	for _, d := range p.Secrets {
		if !has(d.Key) {
			return fmt.Sprintf("secret %q has no value", d.Key)
		}
	}
	return ""
}

// checkStartOfNobody fails at once where a job for nobody in particular could not get a secret that the project declares, and the project has
// clients.
func checkStartOfNobody(ctx context.Context, c *cloud.Cloud, p *project.Project) error {
	if p == nil || len(p.Clients) == 0 || len(p.Secrets) == 0 {
		return nil
	}
	list, err := c.Secrets.List(ctx)
	if err != nil {
		return nil // the job finds out
	}
	return meantForClients(p, nobody, lacksSecret(p, func(key string) bool {
		return slices.ContainsFunc(list, func(has cloud.SecretInfo) bool { return has.Key == key })
	}))
}

// checkNobody fails at once where a deployment for nobody in particular could not be complete, and the project has clients.
func (a *App) checkNobody(ctx context.Context, o DeployOptions) error {
	if len(o.Clients) != 1 || o.Clients[0] != nobody || o.Force {
		return nil
	}
	s, c, err := a.openWithCloud(ctx, o.Target)
	if err != nil || len(s.project.Clients) == 0 {
		return err
	}
	there, err := s.secretsThere(ctx, c)
	if err != nil {
		there = s.needs() // the push finds out
	}
	lacking := ""
	for _, d := range append(schedulesLack(s.project, a.Now()), s.missingSecrets(there)...) {
		lacking = d.Message
		break
	}
	return meantForClients(s.project, nobody, lacking)
}
