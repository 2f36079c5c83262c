package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/secret"
)

// checkPush finds what `plan` would, before a project.yml is pushed with which no job can start. What only a job is given, its
// variables and the values of secrets that are at the provider alone, is no problem here. With o.Force problems are warnings.
func (a *App) checkPush(ctx context.Context, s *session, c *cloud.Cloud, o PushOptions) error {
	if !o.Parts.Config {
		return nil
	}
	there, err := s.secretsThere(ctx, c)
	switch {
	case errors.Is(err, cloud.ErrDenied), err != nil && o.Force: // a machine that only pushes need not be allowed to look
		a.Log.Warn(fmt.Sprintf("cannot see whether the secrets of the project are at the provider: %v", err))
		there = s.needs()
	case err != nil:
		return err
	}
	errs := s.missingSecrets(there)
	if len(errs) > 0 && !o.Force {
		if err := meantForClients(s.project, s.target.Client, errs[0].Message); err != nil {
			return err
		}
	}
	if _, err := a.check(s.asPushed(there)); err != nil {
		found, ok := err.(project.Errors)
		if !ok {
			return inProject(err)
		}
		errs = append(errs, found...)
	}
	if len(errs) == 0 {
		return nil
	}
	if o.Force {
		a.warn(errs)
		return nil
	}
	return inProject(errs)
}

// needs returns the keys of the secrets that the project needs and does not bring.
func (s *session) needs() map[string]bool {
	keys := map[string]bool{}
	for _, d := range s.project.Secrets {
		keys[d.Key] = true
	}
	for _, e := range s.project.Envs {
		if e.Value == nil {
			keys[e.Key] = true
		}
	}
	maps.DeleteFunc(keys, func(key string, _ bool) bool { return s.brings(key) })
	return keys
}

// secretsThere returns the keys of the secrets at the provider, where the project needs others than it brings.
func (s *session) secretsThere(ctx context.Context, c *cloud.Cloud) (map[string]bool, error) {
	there := map[string]bool{}
	if len(s.needs()) == 0 {
		return there, nil
	}
	list, err := c.Secrets.List(ctx)
	if errors.Is(err, cloud.ErrUnsupported) {
		return there, nil
	}
	for _, info := range list {
		there[info.Key] = true
	}
	return there, err
}

// brings reports whether a secret is in .secrets, to be pushed.
func (s *session) brings(key string) bool {
	return slices.ContainsFunc(s.secrets, func(e secret.Entry) bool { return e.Key == key && e.Push })
}

// has reports whether a secret is in .secrets.
func (s *session) has(key string) bool {
	return slices.ContainsFunc(s.secrets, func(e secret.Entry) bool { return e.Key == key })
}

// missingSecrets returns those that the project declares and no job would find.
func (s *session) missingSecrets(there map[string]bool) (errs project.Errors) {
	for _, d := range s.project.Secrets {
		if s.brings(d.Key) || there[d.Key] {
			continue
		}
		add := "add it to .secrets/secrets.yml"
		switch {
		case s.target.Client != "" && s.has(d.Key):
			add = fmt.Sprintf("it is for all clients: push it once, without --client, `handoff secrets push -s %s`", s.target.EnvStage)
		case s.target.Client != "":
			add = addClientSecret(s.target.Client)
		}
		errs = append(errs, project.Diagnostic{
			Pos: d.Pos, Path: "secrets", Message: fmt.Sprintf("secret %q has no value, neither in .secrets nor at the provider: every job would fail", d.Key),
			Hint: fmt.Sprintf("%s; or `handoff secrets set %s -s %s%s`; --force pushes without it", add, d.Key, s.target.EnvStage, s.target.clientFlag()),
		})
	}
	return errs
}

// asPushed is the session as it is checked: each secret that the project needs has a value, and an undefined variable is a warning.
func (s *session) asPushed(there map[string]bool) *session {
	out := s.lenient()
	out.input.Project, out.input.CheckOnly = out.project, true
	out.input.Secrets = slices.Clone(s.secrets)
	add := func(key string) {
		if !slices.ContainsFunc(out.input.Secrets, func(e secret.Entry) bool { return e.Key == key }) {
			out.input.Secrets = append(out.input.Secrets, secret.Entry{Key: key, Value: secret.NewValue(secret.Mask)})
		}
	}
	for _, d := range s.project.Secrets {
		add(d.Key)
	}
	for key := range there {
		add(key)
	}
	return out
}
