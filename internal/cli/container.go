package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/handoff-run/handoff/internal/app"
	"github.com/handoff-run/handoff/internal/container"
	"github.com/handoff-run/handoff/internal/release"
)

func (c *cli) containerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "container",
		Short:   "Build the image of the project, and push it",
		Example: "  handoff container build -p my_project\n  handoff container push -p my_project",
	}
	for _, sub := range []*cobra.Command{c.containerBuildCommand(), c.containerPushCommand(), c.containerListCommand(), c.containerGCCommand()} {
		cmd.AddCommand(takes(clientsShared, sub))
	}
	return cmd
}

// The environment from which a login is taken; what is no argument is in no list of processes.
const (
	envRegistryUser     = "HANDOFF_REGISTRY_USER"
	envRegistryPassword = "HANDOFF_REGISTRY_PASSWORD"
)

// imageOptions is what all verbs of images take. As in 0.4.x, -v version=0.2 says the version.
func (c *cli) imageOptions(version string) (app.ImageOptions, error) {
	t, err := c.target()
	if err != nil {
		return app.ImageOptions{}, err
	}
	for _, v := range t.Vars {
		if v.Key == "version" && version == "" {
			version = v.Value
		}
	}
	return app.ImageOptions{
		Target: t, Version: version,
		Login: container.Login{User: c.getenv(envRegistryUser), Password: c.getenv(envRegistryPassword)},
	}, nil
}

func (c *cli) containerBuildCommand() *cobra.Command {
	var o app.BuildOptions
	var version string
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build the image of the project, without a Dockerfile and without an engine",
		Long: `Make an image of a base (container: {base_image: ...}), this handoff, and a layer for
each virtual environment of "installs". The installs run among the files of the base, so
no engine is needed: Linux with user namespaces, or root, will do. A virtual environment
whose installs have not changed is not made again, and the same input makes the same
image, byte for byte. files/ and secrets are not in it: a job fetches them when it begins.
The image has no user but one without rights, and starts "handoff run --job".

The version is the one after the last (0.1, 0.2, ...), here or in the registry; an image
that would be as the last one keeps its version.`,
		Example: `  handoff container build -p my_project
  handoff container build -p my_project -v version=1.0
  handoff container build -p my_project --dry-run -o json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.ImageOptions, err = c.imageOptions(version); err != nil {
				return err
			}
			verbs := c.app()
			o.Output = func(line string) { verbs.Log.Info(line) }
			res, err := verbs.ContainerBuild(cmd.Context(), o)
			if e, failed := errors.AsType[*app.InstallFailedError](err); failed {
				if verbs.Log.Enabled(cmd.Context(), slog.LevelInfo) {
					e.Tail = nil // it has been logged as it came
				}
				return &codedError{error: err, code: app.ExitFailed}
			}
			if err != nil {
				return err
			}
			return c.print(res, c.builtText(res))
		},
	}
	f := cmd.Flags()
	f.StringVar(&version, "version", "", "version of the image, its tag")
	f.StringVar(&o.Base, "base-image", "", "image to build on")
	f.StringVar(&o.Arch, "arch", "", "amd64 or arm64; that of this machine")
	f.StringVar(&o.Program, "program", "", "handoff for Linux and the architecture; this program")
	f.BoolVar(&o.DryRun, "dry-run", false, "say what would be built, and keep nothing but what later builds use again")
	return cmd
}

func (c *cli) builtText(r app.ImageResult) string {
	t := c.table("LAYER", "=STATUS", ">SIZE")
	for _, l := range r.Layers {
		t.add(l.Name, l.Status, app.Bytes(l.Bytes))
	}
	text := t.String() + fmt.Sprintf("%s: %s, %s on %s", r.Image, r.Status, r.Platform, r.Base)
	if r.Digest != "" {
		text += fmt.Sprintf("\n%s, %s", r.Digest, app.Bytes(r.Bytes))
	}
	return text
}

func (c *cli) containerPushCommand() *cobra.Command {
	var o app.PushImageOptions
	var version string
	cmd := &cobra.Command{
		Use:   "push",
		Short: "Push the image of the project to its registry",
		Long: `Push the newest image that was built here, or the one of --version. What the registry
has is not sent again, and a version that it has is never overwritten. The login is that of
"docker login", or ` + envRegistryUser + ` and ` + envRegistryPassword + `.`,
		Example: `  handoff container push -p my_project
  handoff container push -p my_project --version 0.2 --dry-run`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.ImageOptions, err = c.imageOptions(version); err != nil {
				return err
			}
			say, done := c.meter()
			if say != nil {
				o.Progress = func(sent, total int64) {
					say(func() string { return fmt.Sprintf("pushed %s of %s", app.Bytes(sent), app.Bytes(total)) })
				}
			}
			res, err := c.app().ContainerPush(cmd.Context(), o)
			done()
			if err != nil {
				return err
			}
			return c.print(res, fmt.Sprintf("%s: %s\n%s, %s", res.Image, res.Status, res.Digest, app.Bytes(res.Bytes)))
		},
	}
	f := cmd.Flags()
	f.StringVar(&version, "version", "", "version of the image; the newest")
	f.BoolVar(&o.DryRun, "dry-run", false, "say what would be pushed, and push nothing")
	return cmd
}

func (c *cli) containerListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the versions of the image, here and in its registry",
		Example: "  handoff container list -p my_project -o json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := c.imageOptions("")
			if err != nil {
				return err
			}
			res, err := c.app().ContainerList(cmd.Context(), o)
			if err != nil {
				return err
			}
			return c.print(res, c.imagesText(res))
		},
	}
}

func (c *cli) containerGCCommand() *cobra.Command {
	keep, dryRun := app.KeepImages, false
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Remove old images from this machine",
		Long: `Remove the images of the project that were built here, but for the newest ones, and what no
build has used for a month: layers, unpacked base images. What is in a registry stays.`,
		Example: `  handoff container gc -p my_project --dry-run
  handoff container gc -p my_project --keep 2`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if keep < 0 {
				return &app.UsageError{Message: fmt.Sprintf("--keep %d: it cannot be less than 0", keep)}
			}
			o, err := c.imageOptions("")
			if err != nil {
				return err
			}
			res, err := c.app().ContainerGC(cmd.Context(), o, keep, dryRun)
			if err != nil {
				return err
			}
			text := strings.Join(append(res.Images, app.Count(len(res.Images), "image")+" "+map[bool]string{true: "would be removed", false: "removed"}[dryRun]), "\n")
			if !dryRun {
				text += ", " + app.Bytes(res.Bytes)
			}
			return c.print(res, text)
		},
	}
	cmd.Flags().IntVar(&keep, "keep", keep, "how many images stay")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be removed, and remove nothing")
	return cmd
}

func (c *cli) imagesText(r app.ImageList) string {
	if len(r.Images) == 0 {
		return r.Image + ": no image yet"
	}
	t := c.table("VERSION", "HERE", "REGISTRY", ">SIZE", "-DIGEST")
	for _, i := range r.Images {
		size := ""
		if i.Here {
			size = app.Bytes(i.Bytes)
		}
		t.add(i.Version, yes(i.Here), yes(i.There), size, release.Short(i.Digest))
	}
	return r.Image + "\n" + t.String()
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "-"
}
