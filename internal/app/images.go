package app

import (
	"context"
	"errors"
	"slices"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/container"
)

// PushImageOptions says what image to push.
type PushImageOptions struct {
	ImageOptions
	DryRun   bool
	Progress func(done, total int64) // bytes; may be nil
}

// PushedImage is an image in a registry.
type PushedImage struct {
	Status  string `json:"status"` // success, unchanged, planned
	Image   string `json:"image"`
	Version string `json:"version"`
	Digest  string `json:"digest"`
	Bytes   int64  `json:"bytes"` // compressed, the base included
}

// image is one of the project on this machine.
type image struct {
	name, version string
	repo          container.Repository
	image         container.Image
}

// openImage returns the image that o means, which is on this machine and whose name has a registry.
func (a *App) openImage(o ImageOptions) (image, error) {
	i := image{version: o.Version}
	p, err := a.load(o.Target)
	if err != nil {
		return i, err
	}
	if i.name, err = imageName(p); err != nil {
		return i, err
	}
	if !container.Named(i.name) {
		return i, &UsageError{Message: "the image " + i.name + " has no registry in its name", Hint: "write deploy: {container_image: registry.example/team/" + i.name + "}"}
	}
	if i.repo, err = container.ParseRepository(i.name, o.Login); err != nil {
		return i, imageError(err)
	}
	store, err := a.imageStore()
	if err != nil {
		return i, err
	}
	tags, err := store.Tags(i.name)
	if err != nil {
		return i, err
	}
	if i.version == "" && len(tags) > 0 {
		i.version = container.Newest(tags)[0]
	}
	if !slices.Contains(tags, i.version) {
		return i, &UsageError{Message: "there is no image " + i.name + tagged(i.version) + " on this machine", Hint: "build it: handoff container build"}
	}
	if i.image, err = store.Image(i.name + tagged(i.version)); err != nil {
		err = cloud.WithHint(err, "build it anew: handoff container build")
	}
	return i, err
}

func tagged(version string) string {
	if version == "" {
		return ""
	}
	return ":" + version
}

// ContainerPush stores an image of this machine in its registry. What the registry has is not sent again; a version that it has with
// another content is an ErrConflict.
func (a *App) ContainerPush(ctx context.Context, o PushImageOptions) (res PushedImage, err error) {
	i, err := a.openImage(o.ImageOptions)
	if err != nil {
		return res, err
	}
	digest, err := i.image.Digest()
	if err != nil {
		return res, err
	}
	res = PushedImage{Status: "planned", Image: i.name + tagged(i.version), Version: i.version, Digest: digest.String()}
	if res.Bytes, err = container.Bytes(i.image); err != nil {
		return res, err
	}
	has, err := i.repo.Digest(ctx, i.version)
	switch {
	case err == nil && has == res.Digest:
		res.Status = "unchanged"
		return res, nil
	case err != nil && !errors.Is(err, container.ErrNotThere):
		return res, imageError(err)
	case o.DryRun:
		return res, nil
	}
	if res.Digest, err = i.repo.Push(ctx, i.image, i.version, o.Progress); err != nil {
		return res, imageError(err)
	}
	res.Status = "success"
	return res, nil
}

// ImageList is the images of a project, here and in its registry.
type ImageList struct {
	Status string        `json:"status"`
	Image  string        `json:"image"`
	Images []ListedImage `json:"images"` // the newest first
}

// ListedImage is one version.
type ListedImage struct {
	Version string `json:"version"`
	Here    bool   `json:"here"`             // on this machine
	There   bool   `json:"in_registry"`      //
	Digest  string `json:"digest,omitempty"` // of the one on this machine
	Bytes   int64  `json:"bytes,omitempty"`  // of the one on this machine, compressed
}

// ContainerList returns the versions of the image of a project.
func (a *App) ContainerList(ctx context.Context, o ImageOptions) (res ImageList, err error) {
	p, err := a.load(o.Target)
	if err != nil {
		return res, err
	}
	res = ImageList{Status: "success", Images: []ListedImage{}}
	if res.Image, err = imageName(p); err != nil {
		return res, err
	}
	store, err := a.imageStore()
	if err != nil {
		return res, err
	}
	here, err := store.Tags(res.Image)
	if err != nil {
		return res, err
	}
	var there []string
	if container.Named(res.Image) {
		repo, err := container.ParseRepository(res.Image, o.Login)
		if err != nil {
			return res, imageError(err)
		}
		if there, err = repo.Tags(ctx); err != nil {
			return res, imageError(err)
		}
	}
	for _, tag := range container.Newest(append(slices.Clone(here), there...)) {
		one := ListedImage{Version: tag, Here: slices.Contains(here, tag), There: slices.Contains(there, tag)}
		if one.Here {
			if err := one.read(store, res.Image+":"+tag); err != nil {
				return res, cloud.WithHint(err, "build it anew: handoff container build")
			}
		}
		res.Images = append(res.Images, one)
	}
	return res, nil
}

func (l *ListedImage) read(store *container.Store, name string) error {
	img, err := store.Image(name)
	if err != nil {
		return err
	}
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	l.Digest = digest.String()
	l.Bytes, err = container.Bytes(img)
	return err
}

// SweptImages is what ContainerGC has removed, or would.
type SweptImages struct {
	Status string   `json:"status"` // success, planned
	Images []string `json:"images"` // with version
	Bytes  int64    `json:"bytes"`  // of the disk; 0 where it is only planned
}

// KeepImages is how many images of a project stay on this machine where nobody says.
const KeepImages = 5

// ContainerGC removes from this machine the images of a project but for the newest ones, and what no image needs any more. Registries stay
// as they are.
func (a *App) ContainerGC(_ context.Context, o ImageOptions, keep int, dryRun bool) (res SweptImages, err error) {
	p, err := a.load(o.Target)
	if err != nil {
		return res, err
	}
	name, err := imageName(p)
	if err != nil {
		return res, err
	}
	store, err := a.imageStore()
	if err != nil {
		return res, err
	}
	tags, err := store.Tags(name)
	if err != nil {
		return res, err
	}
	res = SweptImages{Status: "planned", Images: []string{}}
	for i, tag := range container.Newest(tags) {
		if i >= keep {
			res.Images = append(res.Images, name+":"+tag)
		}
	}
	if dryRun {
		return res, nil
	}
	res.Status = "success"
	res.Bytes, err = store.Sweep(res.Images, a.Now())
	return res, err
}
