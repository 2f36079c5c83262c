package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/container"
	"github.com/handoff-run/handoff/internal/project"
	"github.com/handoff-run/handoff/internal/release"
	"github.com/handoff-run/handoff/internal/workspace"
)

// defaultBase is on what an image is built where the project does not say.
const defaultBase = "docker.io/library/python:3.13-slim-trixie"

// labelContent is the label of our images that says what is in them, but for the names that change from build to build.
const labelContent = "run.handoff.content"

// ImageOptions names the image of a project.
type ImageOptions struct {
	Target
	Version string // of the image; "": the next one, or the newest
	Login   container.Login
}

// BuildOptions says what image to build.
type BuildOptions struct {
	ImageOptions
	Base    string            // "": that of the project, or a current slim Debian with Python
	Arch    string            // "amd64", "arm64"; "": that of this machine
	Program string            // handoff for that architecture and Linux; "": this program
	DryRun  bool              // say what would be built
	Output  func(line string) // masked; may be nil
}

// ImageResult is an image that was built, or would be.
type ImageResult struct {
	Status   string       `json:"status"` // success, unchanged, planned
	Image    string       `json:"image"`  // name with version
	Version  string       `json:"version"`
	Digest   string       `json:"digest,omitempty"`
	Platform string       `json:"platform"`
	Base     string       `json:"base"`
	Bytes    int64        `json:"bytes,omitempty"` // compressed, the base included
	Layers   []ImageLayer `json:"layers"`
}

// ImageLayer is what was put on the base.
type ImageLayer struct {
	Name   string `json:"name"`
	Status string `json:"status"`          // built, cached
	Bytes  int64  `json:"bytes,omitempty"` // compressed
}

// imageBuild is a build that goes on.
type imageBuild struct {
	app     *App
	o       BuildOptions
	cache   string // folder
	scratch string // folder, which goes at the end
	session *session
	store   *container.Store
	name    string // without version
	base    container.Image
	parts   []container.Part
	tail    []string // the last lines of the installs
	result  ImageResult
}

// ContainerBuild builds the image of a project without an engine, and keeps it on this machine. The image has the base, handoff, and a
// layer for each virtual environment; project files and secrets are not in it. One that would be as the newest is not built again.
func (a *App) ContainerBuild(ctx context.Context, o BuildOptions) (res ImageResult, err error) {
	cache, err := a.imageCache()
	if err != nil {
		return ImageResult{}, err
	}
	scratch, err := container.NewScratch(cache)
	if err != nil {
		return ImageResult{}, err
	}
	defer scratch.Close()
	o.WorkspaceDir = filepath.Join(scratch.Dir, "workspace")
	b := &imageBuild{app: a, o: o, cache: cache, scratch: scratch.Dir}
	if b.session, err = a.open(o.Target); err != nil {
		return ImageResult{}, err
	}
	defer b.session.hideSecrets(&err)
	for _, step := range []func(context.Context) error{b.check, b.openStore, b.fetchBase, b.addProgram, b.addVenvs, b.finish} {
		if err := step(ctx); err != nil {
			return b.result, err
		}
	}
	return b.result, nil
}

// check finds out what to build.
func (b *imageBuild) check(context.Context) error {
	p := b.session.project
	var err error
	if b.name, err = imageName(p); err != nil {
		return err
	}
	if b.o.Version != "" {
		if err := container.ValidTag(b.o.Version); err != nil {
			return &UsageError{Message: err.Error(), Hint: "such as 1.0; leave it out for the next one"}
		}
	}
	b.o.Arch = first(b.o.Arch, runtime.GOARCH)
	if !slices.Contains([]string{"amd64", "arm64"}, b.o.Arch) {
		return &UsageError{Message: fmt.Sprintf("no images are built for %q", b.o.Arch), Hint: "use amd64 or arm64"}
	}
	b.result = ImageResult{Platform: "linux/" + b.o.Arch, Base: first(b.o.Base, p.Container.BaseImage, defaultBase), Layers: []ImageLayer{}}
	ours := runtime.GOOS == "linux" && b.o.Arch == runtime.GOARCH
	switch {
	case !ours && len(p.Installs) > 0:
		return &UsageError{
			Message: fmt.Sprintf("the installs for %s cannot run on %s/%s", b.result.Platform, runtime.GOOS, runtime.GOARCH),
			Hint:    "build on a machine of that kind",
		}
	case !ours && b.o.Program == "":
		return &UsageError{
			Message: fmt.Sprintf("this handoff is for %s/%s, and the image for %s", runtime.GOOS, runtime.GOARCH, b.result.Platform),
			Hint:    "name the handoff for it with --program FILE",
		}
	case b.o.Program == "" && len(b.app.Box) == 0:
		return errors.New("the program file of handoff cannot be found: it is a part of the image")
	case b.o.Program == "":
		b.o.Program = b.app.Box[0]
	}
	return checkInstalls(p)
}

// password is one that is written out in a URL.
var password = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`://[^/\s:@'"]*:[^/\s@'"$]+@`) })

// checkInstalls refuses installs that an image cannot have, or that would have it tell what it is not to tell: a virtual environment
// knows the commands that have made it.
func checkInstalls(p *project.Project) error {
	for _, in := range p.Installs {
		d := project.Diagnostic{Pos: in.Pos, Path: "installs"}
		switch {
		case in.Venv == "":
			d.Message = "an install without a venv would change the base image"
			d.Hint = "give it a venv, or put what it installs into an image of your own: container: {base_image: …}"
		case password().MatchString(in.Command):
			d.Message = "the image would have the password that is written into this command"
			d.Hint = "put it into PIP_INDEX_URL, pip.conf or .netrc of the machine that builds"
		default:
			continue
		}
		return project.Errors{d}
	}
	return nil
}

// imageName returns the name of the image of a project.
func imageName(p *project.Project) (string, error) {
	if p.Deploy.ContainerImage == "" {
		return "", &UsageError{Message: "the project does not name its image", Hint: "write deploy: {container_image: registry.example/team/name} into project.yml"}
	}
	if _, err := container.ParseRepository(p.Deploy.ContainerImage, container.Login{}); err != nil {
		return "", project.Errors{{Pos: p.Deploy.Pos, Path: "deploy.container_image", Message: err.Error(), Hint: "write a name such as registry.example/team/name, without a tag"}}
	}
	return p.Deploy.ContainerImage, nil
}

// imageCache is the folder for images and what they are made of.
func (a *App) imageCache() (string, error) {
	if a.Images == "" {
		return "", &UsageError{Message: "there is no cache folder to keep images in", Hint: "set HOME or XDG_CACHE_HOME"}
	}
	return a.Images, nil
}

func (a *App) imageStore() (*container.Store, error) {
	dir, err := a.imageCache()
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, "layout")
	store, err := container.OpenStore(dir)
	if errors.Is(err, container.ErrDamaged) {
		err = cloud.WithHint(err, "remove the folder "+dir+", and build anew: handoff container build")
	}
	return store, err
}

func (b *imageBuild) openStore(context.Context) (err error) {
	b.store, err = b.app.imageStore()
	return err
}

func (b *imageBuild) fetchBase(ctx context.Context) (err error) {
	b.app.Log.Info("base image " + b.result.Base)
	var old bool
	if b.base, old, err = b.store.Base(ctx, b.result.Base, b.o.Arch, b.baseLogin()); old {
		b.app.Log.Warn("its registry cannot be reached: building on the one of the last build")
	}
	return imageError(err)
}

// baseLogin returns the login for the base: the one that was given is for the registry of the image, and goes to no other one.
func (b *imageBuild) baseLogin() container.Login {
	if container.Named(b.name) && container.RegistryOf(b.result.Base) == container.RegistryOf(b.name) {
		return b.o.Login
	}
	return container.Login{}
}

func (b *imageBuild) addProgram(context.Context) error {
	layer, err := b.store.File(b.o.Program, container.Program)
	if err != nil {
		return err
	}
	return b.add("handoff "+b.app.Version, layer, false)
}

func (b *imageBuild) add(name string, layer container.Layer, cached bool) error {
	size, err := layer.Size()
	if err != nil {
		return err
	}
	status := "built"
	if cached {
		status = "cached"
	}
	b.parts = append(b.parts, container.Part{Name: name, Layer: layer})
	b.result.Layers = append(b.result.Layers, ImageLayer{Name: name, Status: status, Bytes: size})
	return nil
}

// addVenvs makes the virtual environments, in the order of project.yml.
func (b *imageBuild) addVenvs(ctx context.Context) error {
	s := b.session
	lock, err := b.app.lock(ctx, s)
	if err != nil {
		return err
	}
	defer lock.Release()
	if err := b.app.render(ctx, s.lenient()); err != nil {
		return err
	}
	v := container.Venvs{
		Base: b.base, Scratch: b.scratch, Cache: b.cache, Enter: b.app.Box, Program: b.o.Program, Fill: b.app.Fill, Files: s.ws.Dir(), Environ: b.app.Environ,
		Output: func(line string) {
			line = s.clean(line)
			if b.tail = append(b.tail, line); len(b.tail) > tailOfInstall {
				b.tail = b.tail[1:]
			}
			if b.o.Output != nil {
				b.o.Output(line)
			}
		},
	}
	o := b.app.installOptions(s)
	for _, name := range venvNames(o.Installs) {
		if err := b.addVenv(ctx, v, o, name); err != nil {
			return err
		}
	}
	return nil
}

func venvNames(installs []workspace.Install) []string {
	var names []string
	for _, in := range installs {
		if !slices.Contains(names, in.Venv) {
			names = append(names, in.Venv)
		}
	}
	return names
}

func (b *imageBuild) addVenv(ctx context.Context, v container.Venvs, o workspace.InstallOptions, name string) error {
	key, err := b.session.ws.LayerKey(o, name)
	if err != nil {
		return project.Errors{b.session.installError(name, err)}
	}
	input, err := json.Marshal(FillInput{Venv: name, Installs: slices.DeleteFunc(slices.Clone(o.Installs), func(in workspace.Install) bool { return in.Venv != name })})
	if err != nil {
		return err
	}
	b.app.Log.Info(fmt.Sprintf("venv %s", name))
	layer, cached, err := v.Layer(ctx, name, key, strings.NewReader(string(input)))
	switch {
	case errors.Is(err, container.ErrNoBox):
		return &UsageError{
			Message: err.Error(),
			Hint:    "it needs Linux 5.12 or newer, and user namespaces or root: build where there is one of these",
		}
	case errors.Is(err, container.ErrNoPython):
		return &UsageError{Message: fmt.Sprintf("%s: %v, which venv %q needs", b.result.Base, err, name), Hint: "name another one: container: {base_image: …}"}
	case err != nil:
		return &InstallFailedError{Venv: name, Err: err, Tail: b.tail}
	}
	return b.add("venv "+name, layer, cached)
}

// tailOfInstall is how many lines of an install that failed are shown with the error.
const tailOfInstall = 20

// InstallFailedError is a virtual environment of an image that could not be made.
type InstallFailedError struct {
	Venv string
	Err  error
	Tail []string // the last lines that its installs have written
}

// Error implements error.
func (e *InstallFailedError) Error() string {
	return strings.Join(append([]string{fmt.Sprintf("venv %q of the image: %v", e.Venv, e.Err)}, e.Tail...), "\n  | ")
}

// Unwrap returns the reason.
func (e *InstallFailedError) Unwrap() error { return e.Err }

func (s *session) installError(venv string, err error) project.Diagnostic {
	for _, in := range s.project.Installs {
		if in.Venv == venv {
			return project.Diagnostic{Pos: in.Pos, Path: "installs", Message: fmt.Sprintf("venv %q: %v", venv, err), Hint: "install it without -e"}
		}
	}
	return project.Diagnostic{Message: err.Error()}
}

// finish assembles the image and stores it, unless the newest one is the same.
func (b *imageBuild) finish(ctx context.Context) error {
	content, err := b.content()
	if err != nil {
		return err
	}
	tags, err := b.store.Tags(b.name)
	if err != nil {
		return err
	}
	if tag := first(append([]string{b.o.Version}, container.Newest(tags)...)...); slices.Contains(tags, tag) {
		if done, err := b.sameAs(tag, content); done || err != nil {
			return err
		}
	}
	if b.result.Version = b.o.Version; b.result.Version == "" {
		if b.result.Version, err = b.app.nextVersion(ctx, b.name, tags, b.o.Login); err != nil {
			return err
		}
	}
	b.result.Image, b.result.Status = b.name+":"+b.result.Version, "planned"
	img, err := b.assemble(content)
	if err != nil || b.o.DryRun {
		return err
	}
	err = b.store.Add(img, b.result.Image)
	if errors.Is(err, container.ErrHas) {
		return &UsageError{Message: fmt.Sprintf("there is an image %s already, with another content", b.result.Image), Hint: "leave out the version: the next one is taken"}
	}
	if err != nil {
		return err
	}
	b.result.Status = "success"
	return b.describe(img)
}

// content names what is in the image.
func (b *imageBuild) content() (string, error) {
	h := sha256.New()
	id, err := b.base.ConfigName()
	if err != nil {
		return "", err
	}
	fmt.Fprintln(h, id)
	for _, p := range b.parts {
		digest, err := p.Layer.DiffID()
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, digest)
	}
	text, err := json.Marshal(b.session.project.Container.Labels)
	h.Write(text)
	return hex.EncodeToString(h.Sum(nil)), err
}

// sameAs takes over the image with a tag where its content is the same.
func (b *imageBuild) sameAs(tag, content string) (bool, error) {
	img, err := b.store.Image(b.name + ":" + tag)
	if errors.Is(err, container.ErrDamaged) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	config, err := img.ConfigFile()
	if err != nil || config.Config.Labels[labelContent] != content {
		return false, err
	}
	b.result.Version, b.result.Image, b.result.Status = tag, b.name+":"+tag, "unchanged"
	return true, b.describe(img)
}

func (b *imageBuild) assemble(content string) (container.Image, error) {
	s := b.session
	hash, err := release.Hash(s.project.Dir)
	if err != nil {
		return nil, err
	}
	labels := map[string]string{
		"org.opencontainers.image.title": filepath.Base(s.project.Dir), "org.opencontainers.image.version": b.result.Version,
		"org.opencontainers.image.revision": hash, "org.opencontainers.image.base.name": b.result.Base, labelContent: content,
		"run.handoff.version": b.app.Version,
	}
	if s.project.Description != "" {
		labels["org.opencontainers.image.description"] = s.project.Description
	}
	for key, value := range s.project.Container.Labels {
		labels[key] = value
	}
	return container.Assemble(b.base, b.parts, container.Settings{
		Command: []string{"run", "--job"}, Labels: labels,
		Env: map[string]string{cloud.EnvVenvs: container.VenvDir, cloud.EnvWorkspace: container.Home + "/workspace", "HOME": container.Home},
	})
}

func (b *imageBuild) describe(img container.Image) error {
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	b.result.Digest = digest.String()
	b.result.Bytes, err = container.Bytes(img)
	return err
}

// nextVersion returns the version after all that this machine and the registry know.
func (a *App) nextVersion(ctx context.Context, name string, here []string, l container.Login) (string, error) {
	if !container.Named(name) {
		return container.Next(here), nil
	}
	repo, err := container.ParseRepository(name, l)
	if err != nil {
		return "", err
	}
	there, err := repo.Tags(ctx)
	if err != nil {
		return "", cloud.WithHint(imageError(err), "or say the version: -v version=0.2")
	}
	return container.Next(append(there, here...)), nil
}

// imageError gives an error of a registry its exit code, and a way out.
func imageError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, container.ErrName):
		return &UsageError{Message: err.Error(), Hint: "write a name such as registry.example:5000/team/name"}
	case errors.Is(err, container.ErrLogin):
		return cloud.WithHint(fmt.Errorf("%w: %w", cloud.ErrDenied, err), "log in with `docker login`, or set HANDOFF_REGISTRY_USER and HANDOFF_REGISTRY_PASSWORD")
	case errors.Is(err, container.ErrNotThere):
		return fmt.Errorf("%w: %w", cloud.ErrNotFound, err)
	case errors.Is(err, container.ErrTaken):
		return cloud.WithHint(fmt.Errorf("%w: %w", cloud.ErrConflict, err), "a version is never overwritten: build anew, which takes the next one")
	case errors.Is(err, container.ErrRegistry):
		return cloud.Failed(err)
	}
	return err
}
