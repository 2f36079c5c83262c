package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/providers"
	"github.com/handoff-run/handoff/internal/project"
)

// openCloud is app.App.OpenCloud.
func (c *cli) openCloud(ctx context.Context, o app.CloudOptions) (*cloud.Cloud, error) {
	p, err := providers.Find(o.Provider)
	if err != nil {
		return nil, usage(err)
	}
	platform, err := p.Platform(o.Platform)
	if err != nil {
		return nil, usage(err)
	}
	return p.Cloud(ctx, c.setup(), providers.Options{Platform: platform, Profile: o.Profile, Scope: o.Scope, Settings: o.Settings})
}

// usage makes an error one of the caller.
func usage(err error) error { return &app.UsageError{Message: err.Error(), Hint: cloud.Hint(err)} }

// projectProviders are the names that project.yml may say.
func projectProviders() []project.Provider {
	var list []project.Provider
	for _, p := range providers.List() {
		list = append(list, project.Provider{Name: p.Name, Platforms: slices.Concat(p.Platforms, p.Planned)})
	}
	return list
}

// home returns the folder in which the local provider keeps everything: HANDOFF_HOME, else "handoff" in the data folder
// of the user.
func (c *cli) home() (string, error) {
	if dir := c.getenv("HANDOFF_HOME"); dir != "" {
		if !filepath.IsAbs(dir) { // it would be another home in every folder, and for jobs
			return "", &app.UsageError{Message: fmt.Sprintf("HANDOFF_HOME=%s is not an absolute path", dir), Hint: `write HANDOFF_HOME="$PWD/` + dir + `"`}
		}
		return dir, nil
	}
	if dir := c.getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) { // by its standard, any other value is to be ignored
		return filepath.Join(dir, "handoff"), nil
	}
	if dir := c.getenv("HOME"); dir != "" {
		return filepath.Join(dir, ".local", "share", "handoff"), nil
	}
	return "", &app.UsageError{Message: "neither HANDOFF_HOME nor HOME is set", Hint: "name a folder in HANDOFF_HOME"}
}

func (c *cli) cloudCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cloud",
		Short: "Make what a task needs, run it there, see how it goes",
		Example: `  handoff cloud task create -p my_project
  handoff cloud run -p my_project --wait --logs`,
	}
	cmd.AddCommand(c.loginCommand())
	cmd.AddCommand(c.infraCommands()...)
	cmd.AddCommand(c.cloudScheduleCommand(), c.cloudRunCommand(), c.cloudJobCommand(), c.cloudLogsCommand())
	return cmd
}

func (c *cli) loginCommand() *cobra.Command {
	login := &cobra.Command{
		Use:     "login",
		Short:   "See who you are for the cloud provider",
		Example: "  handoff cloud login test",
	}
	login.AddCommand(&cobra.Command{
		Use:     "test",
		Short:   "Make the smallest call that proves the credentials",
		Example: "  handoff cloud login test -p my_project\n  handoff cloud login test --cloud-provider " + providers.Names()[0],
		Args:    noArgs,
		RunE: show(c, c.anyTarget, (*app.App).LoginTest, func(r app.LoginResult) string {
			return strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Provider, r.Account, r.User))
		}),
	})
	return login
}
