package app

import (
	"context"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/project"
)

// CloudFlags name a cloud on the command line. What is empty is taken from -e, the project or the environment.
type CloudFlags struct{ Provider, Platform, Profile string }

// CloudOptions says which cloud to open, and for what.
type CloudOptions struct {
	Provider string // empty: the default one
	Platform string // empty: the provider's default
	Profile  string // of the credentials; empty: the provider's default
	Scope    cloud.Scope
	Settings map[string]any // deploy.platform_config
}

// openCloud opens the cloud that t and p name; p may be nil. -e and flags win over the project, and that over HO_... in
// the environment. The error of a wrong name is a UsageError.
func (a *App) openCloud(ctx context.Context, t Target, p *project.Project) (*cloud.Cloud, error) {
	o, err := a.cloudOptions(t, p)
	if err != nil {
		return nil, err
	}
	return a.connect(ctx, o)
}

// connect opens a cloud, and marks the errors of its calls.
func (a *App) connect(ctx context.Context, o CloudOptions) (*cloud.Cloud, error) {
	c, err := a.OpenCloud(ctx, o)
	if err != nil {
		return nil, cloud.Failed(err)
	}
	return cloud.Mark(c), nil
}

func (a *App) cloudOptions(t Target, p *project.Project) (CloudOptions, error) {
	var d project.Deploy
	if p != nil {
		d = p.Deploy
	}
	o := CloudOptions{
		Provider: first(t.Cloud.Provider, t.env("cloud_provider"), d.CloudProvider, a.env("HO_CLOUD_PROVIDER")),
		Platform: first(t.Cloud.Platform, t.env("cloud_platform")),
		Profile:  t.Cloud.Profile,
		Scope: cloud.Scope{
			Stage:         first(t.EnvStage, "dev"),
			ResourceGroup: first(t.env("resource_group"), d.ResourceGroup),
			Task:          first(t.env("task"), d.Task),
			Client:        t.Client,
		},
	}
	if o.Provider == first(d.CloudProvider, o.Provider) { // else they are those of another provider
		o.Platform = first(o.Platform, d.CloudPlatform, a.env("HO_CLOUD_PLATFORM"))
		o.Settings = d.PlatformConfig
	}
	return o, checkScope(o.Scope)
}

func checkScope(s cloud.Scope) error {
	if s.ResourceGroup == "" {
		return &UsageError{
			Message: "no resource group given",
			Hint:    "write deploy: {resource_group: ..., task: ...} in project.yml, or add -e resource_group=... task=...",
		}
	}
	if err := s.Check(); err != nil {
		return &UsageError{Message: err.Error(), Hint: cloud.Hint(err)}
	}
	return nil
}

// needTask is the error of a verb that works on one task, where the scope is a whole resource group.
func needTask(c *cloud.Cloud) error {
	if c.Scope.Task == "" {
		return &UsageError{
			Message: "no task given",
			Hint:    "write deploy: {task: ...} in project.yml, or add -e task=...",
		}
	}
	return nil
}

// env returns the value of -e key=value, "" where there is none. The last one wins.
func (t Target) env(key string) string {
	value := ""
	for _, kv := range t.Envs {
		if kv.Key == key {
			value = kv.Value
		}
	}
	return value
}

// env returns a variable of the environment.
func (a *App) env(key string) string {
	value := ""
	for _, kv := range a.Environ {
		if len(kv) > len(key) && kv[len(key)] == '=' && kv[:len(key)] == key {
			value = kv[len(key)+1:]
		}
	}
	return value
}

// first returns the first text that is not empty.
func first(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

// openWithCloud opens the project of t and the cloud that it names. needTask is checked.
func (a *App) openWithCloud(ctx context.Context, t Target) (*session, *cloud.Cloud, error) {
	s, err := a.open(t)
	if err != nil {
		return nil, nil, err
	}
	c, err := a.openCloud(ctx, t, s.project)
	if err == nil {
		err = needTask(c)
	}
	if err != nil {
		s.hideSecrets(&err)
		return nil, nil, err
	}
	return s, c, nil
}

// openScope opens the cloud for a verb that needs no project: where t names a folder, only its project.yml is read, for
// what it says under deploy. The project is nil where there is none.
func (a *App) openScope(ctx context.Context, t Target) (*cloud.Cloud, *project.Project, error) {
	var p *project.Project
	if t.ProjectDir != "" {
		var err error
		if p, err = a.load(t); err != nil {
			return nil, nil, err
		}
	}
	c, err := a.openCloud(ctx, t, p)
	return c, p, err
}

// openTask is openScope for a verb that works on one task.
func (a *App) openTask(ctx context.Context, t Target) (*cloud.Cloud, *project.Project, error) {
	c, p, err := a.openScope(ctx, t)
	if err == nil {
		err = needTask(c)
	}
	return c, p, err
}
