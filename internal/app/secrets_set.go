package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/secret"
)

// SecretsSetOptions names one secret and its value.
type SecretsSetOptions struct {
	Target
	Level cloud.Level
	Key   string
	Value string // one line end at its end is no part of it
}

// SecretsSet stores one secret in the cloud, or replaces it.
func (a *App) SecretsSet(ctx context.Context, o SecretsSetOptions) (SecretsResult, error) {
	c, err := a.openSecrets(ctx, o.Target, o.Level, o.Key)
	if err != nil {
		return SecretsResult{}, err
	}
	e := secret.Entry{Key: o.Key, Level: string(o.Level), Value: secret.NewValue(secret.WithoutLineEnd(o.Value))}
	if e.Value.Reveal() == "" {
		return SecretsResult{}, &UsageError{
			Message: fmt.Sprintf("secret %q: no value", o.Key),
			Hint:    "the value is what is typed, or what comes on stdin; `handoff secrets delete` removes a secret",
		}
	}
	return a.setSecrets(ctx, c, []secret.Entry{e}, false)
}

// openSecrets opens the cloud in which a secret of this level can be set. Only one on the level of the task needs a task.
func (a *App) openSecrets(ctx context.Context, t Target, level cloud.Level, keys ...string) (*cloud.Cloud, error) {
	open := a.openTask
	if level == cloud.LevelGroup {
		open = a.openScope
	}
	c, _, err := open(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if err := c.Scope.CheckSecret(level, key); err != nil {
			return nil, &UsageError{Message: err.Error(), Hint: cloud.Hint(err)}
		}
	}
	return c, nil
}

// setSecrets stores secrets of one level.
func (a *App) setSecrets(ctx context.Context, c *cloud.Cloud, entries []secret.Entry, dryRun bool) (SecretsResult, error) {
	for _, w := range secret.Unmasked(entries) {
		a.Log.Warn(w)
	}
	have, err := c.Secrets.List(ctx)
	if err != nil {
		return SecretsResult{}, err
	}
	res := SecretsResult{Status: status(dryRun), Place: placeOf(c), Secrets: []SecretStatus{}}
	var put []cloud.Secret
	for _, e := range entries {
		s := SecretStatus{Key: e.Key, Level: cloud.Level(e.Level), Done: "set"}
		for _, h := range have {
			switch {
			case h.Key == s.Key && h.Level == s.Level:
				s.Done = "replaced"
			case h.Key == s.Key && h.Level == cloud.LevelTask:
				a.Log.Warn(fmt.Sprintf("secret %q: task %s has its own, which it gets in the place of this one", s.Key, c.Scope.Prefix()))
			}
		}
		if dryRun {
			s.Done = map[string]string{"set": "to set", "replaced": "to replace"}[s.Done]
		}
		res.Secrets = append(res.Secrets, s)
		put = append(put, cloud.Secret{Key: s.Key, Level: s.Level, Value: e.Value})
	}
	if dryRun || len(put) == 0 {
		return res, nil
	}
	return res, c.Secrets.Put(ctx, put...)
}

// SecretsImportOptions say what to take of a .env file.
type SecretsImportOptions struct {
	Target
	Level  cloud.Level
	Name   string   // of the file, for messages
	Text   string   // of it
	Keys   []string // to take; none: all
	DryRun bool
}

// SecretsImport stores the secrets of a .env file in the cloud: all that are asked for, or, where the file has an error, none.
func (a *App) SecretsImport(ctx context.Context, o SecretsImportOptions) (SecretsResult, error) {
	entries, left, err := secret.Dotenv(o.Text)
	if err != nil {
		return SecretsResult{}, &UsageError{
			Message: fmt.Sprintf("%s: %s", o.Name, strings.ReplaceAll(err.Error(), "\n", "\n"+o.Name+": ")),
			Hint:    "nothing was imported; lines are KEY=value, 'as it is' and \"with \\n\" may have several lines, # begins a comment",
		}
	}
	for _, key := range o.Keys {
		if !slices.ContainsFunc(entries, func(e secret.Entry) bool { return e.Key == key }) {
			return SecretsResult{}, notThere(fmt.Sprintf("%s has no value for %q; nothing was imported", o.Name, key), key, keysOf(entries))
		}
	}
	var take []secret.Entry
	for _, e := range entries {
		e.Level = string(o.Level)
		if len(o.Keys) > 0 && !slices.Contains(o.Keys, e.Key) {
			left = append(left, secret.Left{Key: e.Key, Why: "not asked for"})
			continue
		}
		if why := secret.Misplaced(e.Key); why != "" && len(o.Keys) == 0 {
			left = append(left, secret.Left{Key: e.Key, Why: why + "; name it to import it all the same"})
			continue
		}
		take = append(take, e)
	}
	c, err := a.openSecrets(ctx, o.Target, o.Level, keysOf(take)...)
	if err != nil {
		return SecretsResult{}, err
	}
	res, err := a.setSecrets(ctx, c, take, o.DryRun)
	for _, l := range left {
		res.Secrets = append(res.Secrets, SecretStatus{Key: l.Key, Level: o.Level, Done: "left out", Why: l.Why})
	}
	if len(take) == 0 && err == nil {
		return res, &UsageError{Message: fmt.Sprintf("%s has no secret", o.Name), Hint: "write lines KEY=value"}
	}
	return res, err
}

func keysOf(entries []secret.Entry) []string {
	keys := []string{}
	for _, e := range entries {
		keys = append(keys, e.Key)
	}
	return keys
}

// notThere is the error for a key that does not exist among those that do.
func notThere(message, key string, known []string) error {
	slices.Sort(known)
	hint := "there are: " + strings.Join(slices.Compact(known), ", ")
	if len(known) == 0 {
		hint = "there are none"
	}
	return &UsageError{Message: message, Hint: meant(key, known, hint)}
}

// ListedSecret is a secret of the cloud without its value.
type ListedSecret struct {
	Key    string      `json:"key"`
	Level  cloud.Level `json:"level"`
	Client string      `json:"client,omitempty"` // whose it is; "": nobody's in particular, or, on the level of the group, everybody's
	Set    time.Time   `json:"set"`              // when
	Wins   bool        `json:"wins"`             // a run gets it; of one key on both levels that of the task
}

// SecretsListResult is what the cloud holds for a task, or for a resource group.
type SecretsListResult struct {
	Status  string         `json:"status"`
	Place   Place          `json:"place"`
	Secrets []ListedSecret `json:"secrets"`
	Missing []string       `json:"missing"` // keys that project.yml names under secrets, and that nobody has set
}

// SecretsList lists the secrets that the scope of t can see, sorted by key, and of one key the one that wins first.
func (a *App) SecretsList(ctx context.Context, t Target) (SecretsListResult, error) {
	c, p, err := a.openScope(ctx, t)
	if err != nil {
		return SecretsListResult{}, err
	}
	infos, err := c.Secrets.List(ctx)
	if err != nil {
		return SecretsListResult{}, err
	}
	res := SecretsListResult{Status: "success", Place: placeOf(c), Secrets: []ListedSecret{}, Missing: []string{}}
	has := map[string]bool{}
	for _, s := range infos {
		l := ListedSecret{Key: s.Key, Level: s.Level, Set: s.Modified, Wins: !has[s.Key]}
		if s.Level == cloud.LevelTask {
			l.Client = c.Scope.Client
		}
		res.Secrets, has[s.Key] = append(res.Secrets, l), true
	}
	if p != nil {
		for _, s := range p.Secrets {
			if !has[s.Key] {
				res.Missing = append(res.Missing, s.Key)
			}
		}
	}
	a.sayNone(c, nil, "secrets", len(res.Secrets))
	if len(res.Missing) > 0 {
		a.Log.Warn(fmt.Sprintf("not set, and named in %s: %s", project.FileName, strings.Join(res.Missing, ", ")))
	}
	return res, nil
}

// wantSecrets returns an error unless each key is there, on the level that is meant.
func wantSecrets(ctx context.Context, c *cloud.Cloud, level cloud.Level, keys []string) error {
	infos, err := c.Secrets.List(ctx)
	if err != nil {
		return err
	}
	for _, key := range keys {
		var known []string
		other := cloud.Level("")
		for _, s := range infos {
			switch {
			case s.Level == level:
				known = append(known, s.Key)
			case s.Key == key:
				other = s.Level
			}
		}
		if slices.Contains(known, key) {
			continue
		}
		if other != "" {
			return &UsageError{
				Message: fmt.Sprintf("there is no secret %q on the level %s; nothing is deleted", key, level),
				Hint:    fmt.Sprintf("there is one on level %q: add --level %q", other, other),
			}
		}
		return notThere(fmt.Sprintf("there is no secret %q on the level %s of %s; nothing is deleted", key, level, cmp.Or(c.Scope.Prefix(), c.Scope.ResourceGroup)), key, known)
	}
	return nil
}
