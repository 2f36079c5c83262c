package app

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/secret"
)

// SecretsOptions says which secrets are meant.
type SecretsOptions struct {
	Target
	DryRun bool
	Keys   []string    // of Delete; none: those of the project's .secrets
	Level  cloud.Level // of Keys
	Show   bool        // of Print: with values
}

// SecretStatus is what happened to a secret, or would happen.
type SecretStatus struct {
	Key   string      `json:"key"`
	Level cloud.Level `json:"level"`
	Done  string      `json:"done"`          // pushed, unchanged, set, replaced, deleted, skipped, left out; to push, to set, to replace, to delete
	Why   string      `json:"why,omitempty"` // it was left out
}

// SecretsResult is what happened to secrets. It holds no value.
type SecretsResult struct {
	Status  string         `json:"status"` // success; planned
	Place   Place          `json:"place"`
	Secrets []SecretStatus `json:"secrets"`
}

// SecretsPush stores the secrets of .secrets in the cloud, each on its level, but those with push: false.
func (a *App) SecretsPush(ctx context.Context, o SecretsOptions) (res SecretsResult, err error) {
	s, c, err := a.openWithCloud(ctx, o.Target)
	if err != nil {
		return SecretsResult{}, err
	}
	defer s.hideSecrets(&err)
	if len(s.secrets) == 0 {
		return SecretsResult{}, s.noSecrets()
	}
	list, err := a.pushSecrets(ctx, s, c, PushOptions{DryRun: o.DryRun})
	return SecretsResult{Status: status(o.DryRun), Place: placeOf(c), Secrets: list}, err
}

func status(dryRun bool) string {
	if dryRun {
		return "planned"
	}
	return "success"
}

// noSecrets says where none was found.
func (s *session) noSecrets() error {
	dir := s.target.secretsDir()
	if s.target.Client != "" {
		dir = s.target.clientSecrets()
	}
	return &UsageError{
		Message: fmt.Sprintf("no secrets are defined in %s for env stage %s", dir, s.target.EnvStage),
		Hint:    fmt.Sprintf("write %s with a list of {key, value} or {key, file}", filepath.Join(dir, "secrets.yml")),
	}
}

// pushSecrets stores what the project has.
func (a *App) pushSecrets(ctx context.Context, from *session, to *cloud.Cloud, o PushOptions) ([]SecretStatus, error) {
	list := []SecretStatus{}
	var same func(cloud.Secret) bool
	if o.OnlyNew && len(from.secrets) > 0 {
		same = sameSecret(ctx, to)
	}
	var put []cloud.Secret
	for _, e := range from.secrets {
		s := SecretStatus{Key: e.Key, Level: cloud.Level(e.Level), Done: "skipped"}
		if err := cloud.CheckSecret(s.Level, s.Key); err != nil {
			return nil, &UsageError{Message: fmt.Sprintf("%s: %v", e.Source, err), Hint: cloud.Hint(err)}
		}
		own := cloud.Secret{Key: e.Key, Level: s.Level, Value: e.Value}
		switch {
		case e.Push && same != nil && same(own):
			s.Done = "unchanged"
		case e.Push:
			s.Done = "to push"
			put = append(put, own)
		}
		list = append(list, s)
	}
	if o.DryRun || len(put) == 0 {
		return list, nil
	}
	if err := to.Secrets.Put(ctx, put...); err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Done == "to push" {
			list[i].Done = "pushed"
		}
	}
	return list, nil
}

// sameSecret returns what tells whether a secret is at the provider as it is. Where secrets may only be written, none is.
func sameSecret(ctx context.Context, c *cloud.Cloud) func(cloud.Secret) bool {
	there, err := c.Secrets.All(ctx)
	return func(s cloud.Secret) bool {
		return err == nil && slices.ContainsFunc(there, func(o cloud.Secret) bool {
			return o.Key == s.Key && o.Level == s.Level && o.Value.Equal(s.Value)
		})
	}
}

// SecretsDelete deletes secrets in the cloud: those with the keys of o, or those that SecretsPush would push.
func (a *App) SecretsDelete(ctx context.Context, o SecretsOptions) (res SecretsResult, err error) {
	c, list, err := a.toDelete(ctx, o)
	if err != nil {
		return SecretsResult{}, err
	}
	keys := map[cloud.Level][]string{}
	for _, s := range list {
		if s.Done != "skipped" {
			keys[s.Level] = append(keys[s.Level], s.Key)
		}
	}
	res = SecretsResult{Status: status(o.DryRun), Place: placeOf(c), Secrets: list}
	for _, level := range []cloud.Level{cloud.LevelTask, cloud.LevelGroup} {
		if len(keys[level]) == 0 || o.DryRun {
			continue
		}
		if err := c.Secrets.Delete(ctx, level, keys[level]...); err != nil {
			return SecretsResult{}, err
		}
	}
	for i := range list {
		if list[i].Done == "to delete" && !o.DryRun {
			list[i].Done = "deleted"
		}
	}
	return res, nil
}

// toDelete returns what SecretsDelete deletes.
func (a *App) toDelete(ctx context.Context, o SecretsOptions) (*cloud.Cloud, []SecretStatus, error) {
	list := []SecretStatus{}
	if len(o.Keys) > 0 {
		c, err := a.openSecrets(ctx, o.Target, o.Level, o.Keys...)
		if err != nil {
			return nil, nil, err
		}
		for _, key := range o.Keys {
			list = append(list, SecretStatus{Key: key, Level: o.Level, Done: "to delete"})
		}
		return c, list, wantSecrets(ctx, c, o.Level, o.Keys)
	}
	p, c, err := a.openWithCloud(ctx, o.Target)
	if err != nil {
		return nil, nil, err
	}
	if len(p.secrets) == 0 {
		return nil, nil, p.noSecrets()
	}
	for _, e := range p.secrets {
		done := "to delete"
		if !e.Push {
			done = "skipped"
		}
		list = append(list, SecretStatus{Key: e.Key, Level: cloud.Level(e.Level), Done: done})
	}
	return c, list, nil
}

// PrintedSecret is a secret of the cloud. It has its value only where that was asked for: it is not masked.
type PrintedSecret struct {
	Key      string      `json:"key"`
	Level    cloud.Level `json:"level"`
	Modified time.Time   `json:"modified"`
	Shadowed bool        `json:"shadowed,omitempty"` // by the secret of the task
	Value    *string     `json:"value,omitempty"`
}

// SecretsPrintResult is what the cloud holds.
type SecretsPrintResult struct {
	Status  string          `json:"status"`
	Place   Place           `json:"place"`
	Secrets []PrintedSecret `json:"secrets"`
}

// SecretsPrint lists the secrets that the task can see, sorted by key.
func (a *App) SecretsPrint(ctx context.Context, o SecretsOptions) (res SecretsPrintResult, err error) {
	c, _, err := a.openTask(ctx, o.Target)
	if err != nil {
		return SecretsPrintResult{}, err
	}
	infos, err := c.Secrets.List(ctx)
	if err != nil {
		return SecretsPrintResult{}, err
	}
	var all []cloud.Secret
	if o.Show {
		if all, err = c.Secrets.All(ctx); err != nil {
			return SecretsPrintResult{}, err
		}
	}
	res = SecretsPrintResult{Status: "success", Place: placeOf(c), Secrets: []PrintedSecret{}}
	for i, s := range infos {
		p := PrintedSecret{Key: s.Key, Level: s.Level, Modified: s.Modified, Shadowed: i > 0 && infos[i-1].Key == s.Key}
		at, found := slices.BinarySearchFunc(all, s.Key, func(x cloud.Secret, key string) int { return strings.Compare(x.Key, key) })
		if found && all[at].Level == s.Level {
			p.Value = reveal(all[at].Value)
		}
		res.Secrets = append(res.Secrets, p)
	}
	a.sayNone(c, nil, "secrets", len(res.Secrets))
	return res, nil
}

func reveal(v secret.Value) *string {
	text := v.Reveal()
	return &text
}
