// Package container makes container images without an engine and keeps them in registries. Virtual environments are made in a Box: among
// the unpacked files of the base, by a program that sees nothing else. It knows no cloud and no project.
package container

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// Image is a container image, and Layer one of its layers. What is not needed of them is not read.
type (
	Image = v1.Image
	Layer = v1.Layer
)

// The places in an image.
const (
	Folder  = "/opt/handoff"          // of all that we add
	VenvDir = Folder + "/venvs"       // of the virtual environments
	Program = Folder + "/bin/handoff" //
	Home    = "/home/handoff"         // what a job may write, unless it is given another place
)

// Part is something that is added to a base image as a layer of its own.
type Part struct {
	Name  string // as the history of the image has it
	Layer v1.Layer
}

// Settings are how a container of an image begins.
type Settings struct {
	Env     map[string]string
	Labels  map[string]string
	Command []string // arguments of Program
}

// Assemble returns base with parts on top of it. The same input makes the same image, byte for byte: its time is that of the base.
func Assemble(base v1.Image, parts []Part, s Settings) (v1.Image, error) {
	from, err := base.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("base image: %w", err)
	}
	var adds []mutate.Addendum
	for _, p := range parts {
		adds = append(adds, mutate.Addendum{Layer: p.Layer, History: v1.History{Created: from.Created, CreatedBy: "handoff: " + p.Name}})
	}
	img, err := mutate.Append(base, adds...)
	if err != nil {
		return nil, fmt.Errorf("assemble image: %w", err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("assemble image: %w", err)
	}
	config = config.DeepCopy()
	c := &config.Config
	c.User, c.WorkingDir = fmt.Sprintf("%d:%d", owner, owner), Home
	c.Entrypoint, c.Cmd, c.Healthcheck = []string{Program}, s.Command, nil
	c.Labels = merged(c.Labels, s.Labels)
	c.Env = withEnv(c.Env, s.Env)
	return mutate.ConfigFile(img, config)
}

func merged(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, b)
	return out
}

// withEnv sets what env says in a list of K=V, and puts the folder of Program at the end of PATH.
func withEnv(list []string, env map[string]string) []string {
	out := slices.Clone(list)
	set := func(key, value string) {
		out = slices.DeleteFunc(out, func(kv string) bool { return strings.HasPrefix(kv, key+"=") })
		out = append(out, key+"="+value)
	}
	search := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for _, kv := range list {
		if value, ok := strings.CutPrefix(kv, "PATH="); ok {
			search = value
		}
	}
	set("PATH", search+":"+path.Dir(Program))
	for _, key := range slices.Sorted(maps.Keys(env)) {
		set(key, env[key])
	}
	return out
}

// Bytes returns how large an image is for a registry: its layers are compressed.
func Bytes(img Image) (int64, error) {
	m, err := img.Manifest()
	if err != nil {
		return 0, fmt.Errorf("image: %w", err)
	}
	n := m.Config.Size
	for _, l := range m.Layers {
		n += l.Size
	}
	return n, nil
}
