package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/cloud/memory"
	"github.com/handoff-run/handoff/internal/release"
)

const deployed = `version: 1
deploy: {resource_group: g, task: t, memory: 512}
secrets: [{key: TOKEN}]
tasks: [{name: a, commands: [{command: "true"}]}]
schedules: [{target_id: 1, cron: "0 2 * * ? *"}, {target_id: 2, cron: "0 3 * * ? *"}]
clients: [{name: acme, deploy: {memory: 256}}, {name: Acme, schedules: [{target_id: 3, cron: "0 4 * * ? *"}]}, {name: t, schedules: []}]
`

// account is a cloud in memory in which a call that writes can be cut.
type account struct {
	*App
	t         *testing.T
	world     *memory.World
	cut       cutFiles // only its count
	overtaken bool     // as in cutInfra
	target    Target
	clients   []string
}

func newAccount(t *testing.T) *account {
	t.Helper()
	a, _ := newApp(t)
	a.Log = slog.New(slog.DiscardHandler)
	d := &account{
		App: a, t: t, world: memory.Open(memory.Options{Run: untilAsked}), cut: cutFiles{done: true, dead: true},
		target: Target{ProjectDir: t.TempDir(), EnvStage: "dev"}, clients: []string{"", "acme", "Acme", "t"},
	}
	t.Cleanup(d.world.Close)
	files := map[string]string{"project.yml": deployed, "files/a.txt": "a", ".secrets/secrets.yml": "- {key: TOKEN, value: sesame-of-nobody}\n"}
	for _, client := range d.clients[1:] {
		files[".secrets/clients/"+client+"/secrets.yml"] = "- {key: TOKEN, value: sesame-of-" + client + "}\n"
	}
	write(t, d.target.ProjectDir, files)
	a.Now = time.Now
	a.OpenCloud = func(_ context.Context, o CloudOptions) (*cloud.Cloud, error) {
		c, err := d.world.Cloud(o.Scope)
		if err == nil {
			c.Files, c.Infra, c.Secrets = &cutBucket{c.Files, &d.cut}, &cutInfra{c.Infra, &d.cut, d.overtaken}, &cutSecrets{c.Secrets, &d.cut}
			c.Schedules = &cutSchedules{c.Schedules, &d.cut}
		}
		return c, err
	}
	return d
}

// The parts of a cloud whose writes are counted and cut, all by one count.
type (
	cutBucket struct {
		cloud.Files
		cut *cutFiles
	}
	cutInfra struct {
		cloud.Infra
		cut       *cutFiles
		overtaken bool // somebody else applies each plan a moment before
	}
	cutSecrets struct {
		cloud.Secrets
		cut *cutFiles
	}
	cutSchedules struct {
		cloud.Schedules
		cut *cutFiles
	}
)

func (c *cutFiles) write(do func() error) error {
	work, cut := c.enter(true)
	if work {
		return errors.Join(cut, do())
	}
	return cut
}

func (c *cutBucket) Get(ctx context.Context, key string, part cloud.GetOptions) (io.ReadCloser, cloud.Object, error) {
	if _, cut := c.cut.enter(false); cut != nil {
		return nil, cloud.Object{}, cut
	}
	return c.Files.Get(ctx, key, part)
}

func (c *cutBucket) Put(ctx context.Context, key string, body cloud.Body, o cloud.PutOptions) (stored cloud.Object, err error) {
	err = c.cut.write(func() (err error) { stored, err = c.Files.Put(ctx, key, body, o); return err })
	return stored, err
}

func (c *cutBucket) Delete(ctx context.Context, keys ...string) error {
	return c.cut.write(func() error { return c.Files.Delete(ctx, keys...) })
}

func (c *cutInfra) Apply(ctx context.Context, p cloud.Plan, step func(cloud.Step)) error {
	if c.overtaken {
		if err := c.Infra.Apply(ctx, p, nil); err != nil {
			return err
		}
	}
	return c.cut.write(func() error { return c.Infra.Apply(ctx, p, step) })
}

func (c *cutSecrets) Put(ctx context.Context, list ...cloud.Secret) error {
	return c.cut.write(func() error { return c.Secrets.Put(ctx, list...) })
}

func (c *cutSecrets) Delete(ctx context.Context, level cloud.Level, keys ...string) error {
	return c.cut.write(func() error { return c.Secrets.Delete(ctx, level, keys...) })
}

func (c *cutSchedules) Put(ctx context.Context, s cloud.Schedule) error {
	return c.cut.write(func() error { return c.Schedules.Put(ctx, s) })
}

func (c *cutSchedules) Delete(ctx context.Context, targets ...string) error {
	return c.cut.write(func() error { return c.Schedules.Delete(ctx, targets...) })
}

func (d *account) deploy(ctx context.Context) (DeployResult, error) {
	return d.Deploy(ctx, DeployOptions{Target: d.target, Clients: d.clients, AtOnce: 1})
}

func (d *account) destroy(ctx context.Context) (DeployResult, error) {
	return d.Destroy(ctx, DestroyOptions{Target: d.target, Clients: d.clients, AtOnce: 1, Data: true, Bucket: true, Force: true})
}

// failure is what a walk has met, whichever way it says so.
func failure(res DeployResult, err error) error {
	for _, s := range res.Steps {
		if s.Error != "" {
			err = errors.Join(err, errors.New(s.Step+" "+s.Client+": "+s.Error))
		}
	}
	if err == nil && res.ExitCode != 0 {
		err = fmt.Errorf("exit code %d", res.ExitCode)
	}
	return err
}

// inPlace tells all that an account holds, without the times.
func (d *account) inPlace() map[string]string {
	d.t.Helper()
	all := map[string]string{}
	for _, client := range d.clients {
		c, err := d.world.Cloud(cloud.Scope{Stage: "dev", ResourceGroup: "g", Task: "t", Client: client})
		if err != nil {
			d.t.Fatal(err)
		}
		for _, kind := range []cloud.Kind{cloud.KindBucket, cloud.KindResources, cloud.KindTask} {
			list, err := c.Infra.Status(d.t.Context(), kind)
			if err != nil {
				d.t.Fatal(err)
			}
			for _, r := range list {
				all[client+" "+string(kind)] += r.Name + "/" + r.Client + "/" + r.State + " "
			}
		}
		schedules, err := c.Schedules.List(d.t.Context())
		for _, s := range schedules {
			all[client+" schedules"] += s.TargetID + " " + s.Cron + " "
		}
		secrets, err2 := c.Secrets.All(d.t.Context())
		for _, s := range secrets {
			all[client+" secrets"] += s.Key + "=" + s.Value.Reveal() + " "
		}
		store := release.Open(c)
		pushes, err3 := store.List(d.t.Context())
		if err := errors.Join(err, err2, err3); err != nil {
			d.t.Fatal(err)
		}
		if len(pushes) > 0 {
			m, err := store.Manifest(d.t.Context(), "")
			if err != nil {
				d.t.Fatal(err)
			}
			all[client+" release"] = fmt.Sprintf("%d of %d files", len(pushes), len(m.Entries))
		}
	}
	return all
}

// TestDeployAndDestroyThatAreCut: killed at any of its writes, whether that one took place or not, either goes on when it is said again
// and comes to what one that was not cut comes to.
func TestDeployAndDestroyThatAreCut(t *testing.T) {
	t.Parallel()
	whole := newAccount(t)
	if err := failure(whole.deploy(t.Context())); err != nil {
		t.Fatal(err)
	}
	want := whole.inPlace()
	writes := whole.cut.set(0)
	if err := failure(whole.destroy(t.Context())); err != nil {
		t.Fatal(err)
	}
	if left := whole.inPlace(); len(left) != 0 || writes < 12 {
		t.Fatalf("%d writes; left: %v", writes, left)
	}
	deletes := whole.cut.set(0)
	for at := range max(writes, deletes) {
		for _, done := range []bool{true, false} {
			d := newAccount(t)
			d.cut.done = done
			check := func(what string, n int, do func(context.Context) (DeployResult, error), want map[string]string) {
				d.cut.set(min(at+1, n))
				if err := failure(do(t.Context())); !errors.Is(err, errBroken) && (err == nil || !strings.Contains(err.Error(), errBroken.Error())) {
					t.Errorf("%s cut at %d: %v", what, at+1, err)
				}
				d.cut.set(0)
				if err := failure(do(t.Context())); err != nil {
					t.Errorf("%s after a cut at %d (done: %v): %v", what, at+1, done, err)
				}
				if diff := cmp.Diff(want, d.inPlace()); diff != "" {
					t.Errorf("%s after a cut at %d (done: %v):\n%s", what, at+1, done, diff)
				}
				d.cut.set(0)
				res, err := do(t.Context())
				if n := d.cut.set(0); failure(res, err) != nil || res.Status != DeployUnchanged || n != 0 {
					t.Errorf("%s a third time: %s, %d writes, %v", what, res.Status, n, failure(res, err))
				}
			}
			check("deploy", writes, d.deploy, want)
			check("destroy", deletes, d.destroy, map[string]string{})
		}
	}
}

// TestDeployAtOnce: several deployments at once come to what one comes to, and so do those that take it away; also where each change is
// made by somebody else between the look and the write.
func TestDeployAtOnce(t *testing.T) {
	t.Parallel()
	d := newAccount(t)
	atOnce := func(n int, do func(context.Context) (DeployResult, error)) {
		t.Helper()
		var all sync.WaitGroup
		for range n {
			all.Go(func() {
				if err := failure(do(t.Context())); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	for _, n := range []int{4, 1} {
		d.overtaken = n == 1
		atOnce(n, d.deploy)
		if got := d.inPlace(); len(got) != 23 || got["Acme schedules"] != "1 0 2 * * ? * 2 0 3 * * ? * 3 0 4 * * ? * " {
			t.Errorf("%d: %v", len(got), slices.Sorted(maps.Keys(got)))
		}
		atOnce(n, d.destroy)
		if got := d.inPlace(); len(got) != 0 {
			t.Errorf("left: %v", got)
		}
	}
}

// TestDeployBesideDestroy: whichever comes between at whatever write of the other, what fails says why, and the one that is said again comes
// to what it comes to alone.
func TestDeployBesideDestroy(t *testing.T) {
	t.Parallel()
	whole := newAccount(t)
	if err := failure(whole.deploy(t.Context())); err != nil {
		t.Fatal(err)
	}
	want := whole.inPlace()
	for what, destroys := range map[string]bool{"destroy beside deploy": false, "deploy beside destroy": true} {
		for at, more := 1, true; more && !t.Failed(); at++ {
			d := newAccount(t)
			do, other, ends := d.deploy, d.destroy, want
			if destroys {
				do, other, ends = d.destroy, d.deploy, map[string]string{}
				if err := failure(d.deploy(t.Context())); err != nil {
					t.Fatal(err)
				}
			}
			more = false
			d.cut.set(at)
			d.cut.beside = func() {
				more = true
				clear(t, what, at)(other(t.Context()))
			}
			clear(t, what, at)(do(t.Context()))
			if err := failure(do(t.Context())); err != nil {
				t.Errorf("%s at %d, again: %v", what, at, err)
			}
			if diff := cmp.Diff(ends, d.inPlace()); diff != "" {
				t.Errorf("%s at %d:\n%s", what, at, diff)
			}
			if !more && at < 12 {
				t.Errorf("%s: only %d writes", what, at-1)
			}
		}
	}
}

// clear checks that each step that has failed says what to do.
func clear(t *testing.T, what string, at int) func(DeployResult, error) {
	return func(res DeployResult, err error) {
		t.Helper()
		for _, s := range res.Steps {
			if s.Error != "" && s.Hint == "" {
				t.Errorf("%s at %d: step %s %s: %s", what, at, s.Step, s.Client, s.Error)
			}
		}
		if err != nil {
			t.Errorf("%s at %d: %v", what, at, err)
		}
	}
}

// TestDeployBesideAJob: a deployment does not touch a job that runs, and nothing of its client is taken away but the schedules until it
// has ended; the others go.
func TestDeployBesideAJob(t *testing.T) {
	t.Parallel()
	d := newAccount(t)
	if err := failure(d.deploy(t.Context())); err != nil {
		t.Fatal(err)
	}
	c, err := d.world.Cloud(cloud.Scope{Stage: "dev", ResourceGroup: "g", Task: "t", Client: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	job, err := c.Jobs.Run(t.Context(), cloud.Start{RunID: cloud.NewRunID(time.Now())})
	if err != nil {
		t.Fatal(err)
	}
	write(t, d.target.ProjectDir, map[string]string{"project.yml": strings.ReplaceAll(deployed, "memory: 256", "memory: 300"), "files/a.txt": "b"})
	res, err := d.deploy(t.Context())
	if failure(res, err) != nil || res.Status != "success" {
		t.Errorf("%+v, %v", res, err)
	}
	before := d.inPlace()
	res, err = d.destroy(t.Context())
	if err != nil || res.ExitCode != ExitCloud {
		t.Errorf("%+v, %v", res, err)
	}
	for _, s := range res.Steps {
		if (s.Error != "") != (s.Client == "acme" && s.Step == "task") || s.Error != "" && !strings.Contains(s.Hint, "job stop") {
			t.Errorf("step %+v", s)
		}
	}
	for _, what := range []string{"acme secrets", "acme task", " bucket", " release"} {
		if got := d.inPlace()[what]; got == "" || got != before[what] {
			t.Errorf("%s: %q, was %q", what, got, before[what])
		}
	}
	if now, err := c.Jobs.Stop(t.Context(), job.ID, cloud.StopOptions{}); err != nil {
		t.Errorf("%+v, %v", now, err)
	}
	d.world.Wait()
	if err := failure(d.destroy(t.Context())); err != nil || len(d.inPlace()) != 0 {
		t.Errorf("%v; left: %v", err, d.inPlace())
	}
}

// TestRemembering: what calls many verbs in one go reads a project once, also for several clients; what does not reads it each time.
func TestRemembering(t *testing.T) {
	t.Parallel()
	d := newAccount(t)
	once := d.remembering()
	acme := d.target
	acme.Client = "acme"
	before, err := once.load(acme)
	if err != nil {
		t.Fatal(err)
	}
	write(t, d.target.ProjectDir, map[string]string{"project.yml": "?"})
	after, err := once.load(acme)
	nobodys, err2 := once.load(d.target)
	if err != nil || err2 != nil || before.Deploy.Memory != 256 || after.Deploy.Memory != 256 || nobodys.Deploy.Memory != 512 {
		t.Errorf("%+v, %v; %+v, %v", after, err, nobodys, err2)
	}
	if _, err := d.load(acme); err == nil {
		t.Error("it was not read again")
	}
}
