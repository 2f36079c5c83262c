// Package cloudtest states the contract of the interfaces of package cloud as tests. Every provider passes it unchanged.
// The package must not know any provider.
package cloudtest

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"testing"

	"github.com/handoff-run/handoff/internal/cloud"
)

// World returns a Cloud for a scope, of an account that is empty when a test begins. Two calls with the same scope
// return two Clouds that see the same things, as two processes would.
type World func(cloud.Scope) *cloud.Cloud

// Provider opens what the suites need of a provider. Each call makes a new account, and removes it when the test ends.
type Provider struct {
	World     func(t *testing.T) World // with every ability; its jobs are those of JobsBench
	Logs      func(t *testing.T) LogsBench
	Jobs      func(t *testing.T) JobsBench
	Schedules func(t *testing.T) SchedulesBench
}

// Run runs all suites but Streams.
func Run(t *testing.T, p Provider) {
	t.Run("account", func(t *testing.T) { Account(t, p.World) })
	t.Run("files", func(t *testing.T) { Files(t, p.World) })
	t.Run("secrets", func(t *testing.T) { Secrets(t, p.World) })
	t.Run("scopes", func(t *testing.T) { Scopes(t, p.World) })
	t.Run("infra", func(t *testing.T) { Infra(t, p.World) })
	t.Run("logs", func(t *testing.T) { Logs(t, p.Logs) })
	t.Run("jobs", func(t *testing.T) { Jobs(t, p.Jobs) })
	t.Run("starts", func(t *testing.T) { Starts(t, p.World) })
	t.Run("schedules", func(t *testing.T) { Schedules(t, p.Schedules) })
	t.Run("isolation", func(t *testing.T) { Isolation(t, p.Logs) })
}

// Account runs the tests of cloud.Account. The account of open is one that may be used.
func Account(t *testing.T, open func(t *testing.T) World) {
	t.Parallel()
	world := open(t)
	who, err := world(scope).Account.Check(t.Context())
	if err != nil || who.Provider != world(scope).Provider || who.Account == "" || who.User == "" {
		t.Errorf("%+v, %v", who, err)
	}
	other := scope
	other.Stage, other.Task = "dev", ""
	if again, err := world(other).Account.Check(t.Context()); err != nil || again != who {
		t.Errorf("%+v in another scope, %v; want %+v", again, err, who)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err = world(scope).Account.Check(ctx)
	wantStopped(t, "check", err, context.Canceled)
	_, err = world(scope).Account.Groups(ctx)
	wantStopped(t, "groups", err, context.Canceled)
	groups(t, world)
}

// groups registers tasks, and takes them away: a group is there as long as a task of it is.
func groups(t *testing.T, world World) {
	t.Helper()
	task := func(stage, group, client string, absent bool) {
		t.Helper()
		c := world(cloud.Scope{Stage: stage, ResourceGroup: group, Task: "t", Client: client})
		p, err := c.Infra.Plan(t.Context(), cloud.Want{Kind: cloud.KindTask, Absent: absent})
		if err == nil {
			err = c.Infra.Apply(t.Context(), p, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(list ...cloud.Scope) {
		t.Helper()
		got, err := world(scope).Account.Groups(t.Context())
		if err != nil || !slices.Equal(got, list) {
			t.Errorf("groups %v, %v; want %v", got, err, list)
		}
	}
	want()
	task("prod", "Z.1", "", false)
	task("prod", "a", "acme", false)
	task("prod", "a", "globex", false)
	task("dev", "Z.1", "", false)
	all := []cloud.Scope{{Stage: "dev", ResourceGroup: "Z.1"}, {Stage: "prod", ResourceGroup: "Z.1"}, {Stage: "prod", ResourceGroup: "a"}}
	want(all...)
	task("dev", "Z.1", "", true)
	task("prod", "a", "acme", true)
	want(all[1:]...)
}

// scope is the one that most tests use.
var scope = cloud.Scope{Stage: "prod", ResourceGroup: "etl", Task: "rates"}

// Scopes runs the tests of what scopes share and what they do not.
func Scopes(t *testing.T, open func(t *testing.T) World) {
	t.Parallel()
	ctx := t.Context()
	world := open(t)
	put(t, world(scope).Files, "files/a", "prod")
	mustSecret(t, world(scope).Secrets, cloud.LevelGroup, "key", "prod")

	other := scope
	other.Task = "orders"
	if got := get(t, world(other).Files, "files/a"); got != "prod" {
		t.Errorf("another task of the group reads %q in its bucket, want %q", got, "prod")
	}
	for _, far := range []cloud.Scope{
		{Stage: "dev", ResourceGroup: "etl", Task: "rates"},
		{Stage: "prod", ResourceGroup: "etl2", Task: "rates"},
		{Stage: "prod", ResourceGroup: "ETL", Task: "rates"},
		{Stage: "prod", ResourceGroup: "dev-etl", Task: "rates"},
	} {
		c := world(far)
		if got := keys(t, c.Files.List(ctx, "")); len(got) > 0 {
			t.Errorf("%+v sees the objects %q of %+v", far, got, scope)
		}
		put(t, c.Files, "files/a", "theirs")
		if all, err := c.Secrets.All(ctx); err != nil || len(all) > 0 {
			t.Errorf("%+v sees secrets of %+v: %v %v", far, scope, all, err)
		}
		if err := c.Files.Delete(ctx, "files/a"); err != nil {
			t.Error(err)
		}
		if err := c.Secrets.Delete(ctx, cloud.LevelGroup, "key"); err != nil {
			t.Error(err)
		}
	}
	if got := get(t, world(scope).Files, "files/a"); got != "prod" {
		t.Errorf("after what others did: %q, want %q", got, "prod")
	}
	if all, err := world(scope).Secrets.All(ctx); err != nil || len(all) != 1 {
		t.Errorf("after what others did: secrets %v, %v", all, err)
	}
}

// put stores text, or ends the test.
func put(t *testing.T, f cloud.Files, key, text string) cloud.Object {
	t.Helper()
	o, err := f.Put(t.Context(), key, cloud.Text(text), cloud.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// get returns the content of an object, or ends the test.
func get(t *testing.T, f cloud.Files, key string) string {
	t.Helper()
	text, _, err := read(t.Context(), f, key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func read(ctx context.Context, f cloud.Files, key string) (string, cloud.Object, error) {
	body, o, err := f.Get(ctx, key, cloud.GetOptions{})
	if err != nil {
		return "", o, err
	}
	text, err := io.ReadAll(body)
	if closed := body.Close(); err == nil {
		err = closed
	}
	return string(text), o, err
}

// keys returns the keys of a listing, or ends the test.
func keys(t *testing.T, list iter.Seq2[cloud.Object, error]) []string {
	t.Helper()
	var all []string
	for o, err := range list {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o.Key)
	}
	return all
}

// numbered returns n keys, sorted.
func numbered(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s%05d", prefix, i)
	}
	return all
}
