// Package providers is the list of the clouds that handoff knows. It alone imports them: whoever wants to know of a provider
// by its name asks this list, so that a provider is added by one value of it.
package providers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/server"
)

// Provider is a cloud that handoff knows.
type Provider struct {
	Name      string
	About     string                // what it is, in a few words for help
	Platforms []string              // where its jobs run, the default first; none: this handoff does not have the provider yet
	Planned   []string              // further platforms that project.yml may name already
	Notes     map[cloud.Kind]string // what a person should know of a kind at this provider, as half a sentence

	// Open opens the provider for o.Scope. What it cannot do it leaves out. Nil where there are no Platforms.
	Open func(ctx context.Context, s Setup, o Options) (*cloud.Cloud, error)

	// Server returns what `handoff server` serves. Nil: the provider fires schedules by itself.
	Server func(s Setup) (server.Home, error)

	// Rotate replaces the key with which the secrets of this user are encrypted. A run that has begun is not touched by it. Nil: the
	// provider keeps its keys itself.
	Rotate func(ctx context.Context, s Setup) (cloud.Rotation, error)

	// JobID returns the id of the job that this process is, where its environment does not say it but its machine does, such
	// as the metadata of a container. Nil: every job finds it in HANDOFF_JOB_ID.
	JobID func(ctx context.Context, s Setup) (string, error)

	// Inside is called in the process of a job, before all else. It returns nil where nothing has to be done there, as in
	// one that somebody has started by hand. Nil: nothing ever has to.
	Inside func(s Setup) (Inside, error)
}

// Setup is what a provider may know of this process.
type Setup struct {
	Getenv     func(string) string
	Home       func() (string, error) // the folder in which this user's handoff keeps what belongs to no project
	JobCommand []string               // argv of a job that runs on this machine: `handoff run --job`
	JobEnviron []string               // "K=V" that such a job inherits
	jobPlace   []string               // "K=V" that tell it its provider
}

// Options say how to open a provider, and for what.
type Options struct {
	Platform string // one of its Platforms; "" is the default
	Profile  string // of the credentials; "" is the provider's default
	Scope    cloud.Scope
	Settings map[string]any // deploy.platform_config
}

// Inside is a job as its own process knows it, at a provider that collects no output and sends no signals by itself.
type Inside interface {
	Output() *os.File // takes what is to be in the log
	Held() []*os.File // what outlives the process keeps these open
	Environ(env []string) []string
	Workspace() string
	Waits(run string)         // the job waits for the end of another run
	Begins()                  // it waits for nothing any more
	Ends()                    // its tasks have ended, and what they have left is stored now
	Watch(stop, kill func())  // calls stop when the job is to end, and kill when it has to
	End(cloud.LastWord) error // the first call counts
}

// Find returns the provider of this name, the first of the list for "". The error is for the one who has named it.
func Find(name string) (Provider, error) {
	all := List()
	if name == "" {
		return all[0], nil
	}
	yet := ""
	for _, p := range all {
		switch {
		case p.Name != name:
		case p.available():
			return p, nil
		default:
			yet = " yet"
		}
	}
	return Provider{}, cloud.WithHint(fmt.Errorf("cloud provider %q is not part of this handoff%s", name, yet), fmt.Sprintf(
		"it has: %s; to use another one than project.yml says: --cloud-provider %s", strings.Join(Names(), ", "), all[0].Name))
}

// Served is Find for a provider that needs `handoff server`.
func Served(name string) (Provider, error) {
	served := ServedNames()
	if name == "" {
		name = served[0]
	}
	p, err := Find(name)
	if err == nil && p.Server == nil {
		err = cloud.WithHint(fmt.Errorf("cloud provider %s fires schedules by itself", name), "the server is for the provider "+strings.Join(served, ", "))
	}
	return p, err
}

// Available returns those of the list that this handoff has.
func Available() []Provider {
	return slices.DeleteFunc(List(), func(p Provider) bool { return !p.available() })
}

// Names returns the names of those that are Available.
func Names() []string {
	var names []string
	for _, p := range Available() {
		names = append(names, p.Name)
	}
	return names
}

// ServedNames returns the names of those that need `handoff server`.
func ServedNames() []string {
	var names []string
	for _, p := range Available() {
		if p.Server != nil {
			names = append(names, p.Name)
		}
	}
	return names
}

// Platforms returns the platforms of all that are Available.
func Platforms() []string {
	var names []string
	for _, p := range Available() {
		names = append(names, p.Platforms...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (p Provider) available() bool { return len(p.Platforms) > 0 }

// Platform returns the platform of this name, the default for "".
func (p Provider) Platform(name string) (string, error) {
	if name == "" {
		return p.Platforms[0], nil
	}
	if !slices.Contains(p.Platforms, name) {
		return "", cloud.WithHint(fmt.Errorf("cloud provider %s has no platform %q", p.Name, name), "add --cloud-platform "+strings.Join(p.Platforms, " or "))
	}
	return name, nil
}

// Cloud opens the provider; o.Platform is one that it has. Every field of the Cloud is set.
func (p Provider) Cloud(ctx context.Context, s Setup, o Options) (*cloud.Cloud, error) {
	c, err := p.Open(ctx, s.at(p.Name, o.Platform), o)
	if err != nil {
		return nil, err
	}
	c.Provider, c.Platform, c.Scope, c.Notes = p.Name, o.Platform, o.Scope, p.Notes
	return cloud.Complete(*c), nil
}

// Serve returns what `handoff server` serves. The provider is one of Served.
func (p Provider) Serve(s Setup) (server.Home, error) { return p.Server(s.at(p.Name, p.Platforms[0])) }

// RotateKey is Rotate, or an ErrUnsupported.
func (p Provider) RotateKey(ctx context.Context, s Setup) (cloud.Rotation, error) {
	if p.Rotate == nil {
		return cloud.Rotation{}, cloud.Unsupported(p.Name, "rotate the key of secrets", "it keeps its keys itself: rotate them there")
	}
	return p.Rotate(ctx, s)
}

// JobEnviron returns env, which is that of the process of a job, with the id of the job in it. With the error env is as it was.
func (p Provider) JobEnviron(ctx context.Context, s Setup, env []string) ([]string, error) {
	if p.JobID == nil || s.Getenv(cloud.EnvJob) != "" {
		return env, nil
	}
	id, err := p.JobID(ctx, s)
	if err == nil && id == "" {
		err = errors.New("there is none")
	}
	if err != nil {
		return env, fmt.Errorf("ask for the id of this job: %w", err)
	}
	return append(slices.Clone(env), cloud.EnvJob+"="+id), nil
}

// at returns the Setup for jobs that find in their environment where they are.
func (s Setup) at(provider, platform string) Setup {
	s.jobPlace = []string{cloud.EnvProvider + "=" + provider, cloud.EnvPlatform + "=" + platform}
	return s
}
