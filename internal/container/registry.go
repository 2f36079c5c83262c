package container

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// The ways in which a registry says no.
var (
	ErrName     = errors.New("not a name of an image")
	ErrLogin    = errors.New("the registry refuses the login")
	ErrNotThere = errors.New("not in the registry")
	ErrTaken    = errors.New("this version is in the registry already, with another content")
	ErrRegistry = errors.New("the registry")
)

// Repository is a place for the images of one name in a registry.
type Repository struct {
	name name.Repository
	auth authn.Authenticator // nil: what the configuration of Docker says
}

// Login is what a registry asks for; the zero Login takes what the configuration of Docker says, credential helpers included.
type Login struct {
	User, Password string
}

// ParseRepository returns the repository with a name such as registry.example:5000/team/image. A name without a registry is one of
// Docker Hub.
func ParseRepository(text string, l Login) (Repository, error) {
	repo, err := name.NewRepository(text)
	if err != nil {
		return Repository{}, fmt.Errorf("%q is %w: %w", text, ErrName, err)
	}
	r := Repository{name: repo}
	if l.User != "" || l.Password != "" {
		r.auth = &authn.Basic{Username: l.User, Password: l.Password}
	}
	return r, nil
}

// String is the name with its registry.
func (r Repository) String() string { return r.name.Name() }

// Registry is the host.
func (r Repository) Registry() string { return r.name.RegistryStr() }

// Named reports whether a name has a registry in it: one without means Docker Hub to an engine, and nothing that one may push to.
func Named(text string) bool {
	first, _, more := strings.Cut(text, "/")
	return more && (strings.ContainsAny(first, ".:") || first == "localhost")
}

// RegistryOf returns the host of the registry that a reference of an image means, "" where it is none.
func RegistryOf(reference string) string {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return ""
	}
	return ref.Context().RegistryStr()
}

var errTag = errors.New("it may have letters, digits and _ . - only, and begins with neither . nor -")

var tagForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`) })

// ValidTag returns an error for what no registry takes as a tag.
func ValidTag(tag string) error {
	if !tagForm().MatchString(tag) {
		return fmt.Errorf("version %q: %w", tag, errTag)
	}
	return nil
}

// silence is after how long a registry that has all that it asked for, and does not answer, is given up.
const silence = time.Minute

// patient is how registries are called: as the library does, which would wait for ever.
var patient = sync.OnceValue(func() http.RoundTripper {
	t, ok := remote.DefaultTransport.(*http.Transport)
	if !ok {
		return remote.DefaultTransport
	}
	t = t.Clone()
	t.ResponseHeaderTimeout = silence
	return t
})

func (r Repository) options(ctx context.Context) []remote.Option {
	o := []remote.Option{remote.WithContext(ctx), remote.WithUserAgent("handoff"), remote.WithTransport(patient())}
	if r.auth != nil {
		return append(o, remote.WithAuth(r.auth))
	}
	return append(o, remote.WithAuthFromKeychain(authn.DefaultKeychain))
}

// Tags returns all tags of the repository; none where there is no repository yet.
func (r Repository) Tags(ctx context.Context) ([]string, error) {
	tags, err := remote.List(r.name, r.options(ctx)...)
	if err = r.kind(err); errors.Is(err, ErrNotThere) {
		return nil, nil
	}
	return tags, err
}

// Digest returns the digest of the image with a tag, "sha256:...". ErrNotThere: there is none.
func (r Repository) Digest(ctx context.Context, tag string) (string, error) {
	d, err := remote.Head(r.name.Tag(tag), r.options(ctx)...)
	if err != nil {
		return "", r.kind(err)
	}
	return d.Digest.String(), nil
}

// Push stores an image under a tag that is not taken; what the registry has is not sent again. progress is told how many bytes there
// are to send and how many are sent; it may be nil. ErrTaken: the tag is that of another image. Where it is that of this one, there is
// nothing to do. A registry knows no condition, so another push of the same version at the same moment may win.
func (r Repository) Push(ctx context.Context, img v1.Image, tag string, progress func(done, total int64)) (digest string, err error) {
	want, err := img.Digest()
	if err != nil {
		return "", err
	}
	switch has, err := r.Digest(ctx, tag); {
	case err == nil && has == want.String():
		return has, nil
	case err == nil:
		return "", fmt.Errorf("%s:%s: %w", r, tag, ErrTaken)
	case !errors.Is(err, ErrNotThere):
		return "", err
	}
	o := r.options(ctx)
	if progress != nil {
		updates, told := make(chan v1.Update), make(chan struct{})
		go func() {
			defer close(told)
			for u := range updates {
				progress(u.Complete, u.Total)
			}
		}()
		defer func() { <-told }()
		o = append(o, remote.WithProgress(updates))
	}
	if err := remote.Write(r.name.Tag(tag), img, o...); err != nil {
		return "", r.kind(err)
	}
	return want.String(), nil
}

// Pull returns the image that a reference names, for linux and an architecture, its layers not yet read. The reference is a name with a
// tag or a digest.
func Pull(ctx context.Context, reference, arch string, l Login) (v1.Image, error) {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return nil, fmt.Errorf("%q is %w: %w", reference, ErrName, err)
	}
	r, err := ParseRepository(ref.Context().Name(), l)
	if err != nil {
		return nil, err
	}
	img, err := remote.Image(ref, append(r.options(ctx), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: arch}))...)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", reference, r.kind(err))
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", reference, r.kind(err))
	}
	if config.Architecture != arch {
		return nil, fmt.Errorf("image %s is for %s, not for %s: %w", reference, config.Architecture, arch, ErrNotThere)
	}
	return img, nil
}

// kind says what an error of a registry means, in its words.
func (r Repository) kind(err error) error {
	if err == nil {
		return nil
	}
	t, ok := errors.AsType[*transport.Error](err)
	switch {
	case !ok:
		return fmt.Errorf("%w %s: %w", ErrRegistry, r.Registry(), err)
	case t.StatusCode == http.StatusUnauthorized || t.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%s: %w: %s", r, ErrLogin, said(t))
	case t.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s: %w", r, ErrNotThere)
	}
	return fmt.Errorf("%w %s: %s", ErrRegistry, r.Registry(), said(t))
}

// said is what a registry has answered, without the address of the call, which may carry a token.
func said(t *transport.Error) string {
	if len(t.Errors) == 0 {
		return fmt.Sprintf("status %d %s", t.StatusCode, http.StatusText(t.StatusCode))
	}
	var parts []string
	for _, e := range t.Errors {
		parts = append(parts, e.String())
	}
	return strings.Join(parts, "; ")
}
