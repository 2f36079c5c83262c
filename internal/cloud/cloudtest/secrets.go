package cloudtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/secret"
)

// Secrets runs the tests of cloud.Secrets.
func Secrets(t *testing.T, open func(t *testing.T) World) {
	for name, test := range map[string]func(*testing.T, World){
		"none":                  testNoSecrets,
		"any value":             testSecretValues,
		"60 secrets":            testManySecrets,
		"the task wins":         testTaskWins,
		"levels":                testLevels,
		"delete":                testDeleteSecrets,
		"refused":               testBadSecrets,
		"concurrent writers":    testSecretWriters,
		"a cancelled call":      testCancelSecrets,
		"times of modification": testSecretTimes,
		"clients":               testClientSecrets,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func mustSecret(t *testing.T, s cloud.Secrets, level cloud.Level, key, value string) {
	t.Helper()
	if err := s.Put(t.Context(), cloud.Secret{Key: key, Level: level, Value: secret.NewValue(value)}); err != nil {
		t.Fatal(err)
	}
}

// revealed returns what All does as "level:value" by key.
func revealed(t *testing.T, s cloud.Secrets) map[string]string {
	t.Helper()
	all, err := s.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(all, func(a, b cloud.Secret) int { return strings.Compare(a.Key, b.Key) }) {
		t.Errorf("not sorted: %v", all)
	}
	got := map[string]string{}
	for _, x := range all {
		got[x.Key] = string(x.Level) + ":" + x.Value.Reveal()
	}
	if len(got) != len(all) {
		t.Errorf("a key is there twice: %v", all)
	}
	return got
}

func testNoSecrets(t *testing.T, w World) {
	s := w(scope).Secrets
	if got := revealed(t, s); len(got) > 0 {
		t.Errorf("secrets %v", got)
	}
	if list, err := s.List(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("list %v, %v", list, err)
	}
	if err := s.Put(t.Context()); err != nil {
		t.Errorf("put none: %v", err)
	}
	if err := s.Delete(t.Context(), cloud.LevelTask, "missing"); err != nil {
		t.Errorf("delete a missing one: %v", err)
	}
}

func testSecretValues(t *testing.T, w World) {
	binary := make([]byte, 256)
	for i := range binary {
		binary[i] = byte(i)
	}
	want := map[string]string{}
	for key, value := range map[string]string{
		"empty": "", "unicode": "pässwörd 日本語 🙂", "binary": string(binary), "over_4KB": strings.Repeat("0123456789", 420),
		"64.KiB": strings.Repeat("s", 64<<10), "newlines": "-----BEGIN-----\nabc\r\n-----END-----\n", "quotes": `{"a": "b'c"} $x`,
		"blanks": "  x  ", "number": "00123", "KEY": "upper", "key": "lower", "k-e.y_1": "all signs", strings.Repeat("k", 255): "long key",
	} {
		mustSecret(t, w(scope).Secrets, cloud.LevelTask, key, value)
		want[key] = "task:" + value
	}
	if diff := cmp.Diff(want, revealed(t, w(scope).Secrets)); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	mustSecret(t, w(scope).Secrets, cloud.LevelTask, "number", "")
	if got := revealed(t, w(scope).Secrets)["number"]; got != "task:" {
		t.Errorf("replaced by the empty value: %q", got)
	}
}

func testManySecrets(t *testing.T, w World) {
	var secrets []cloud.Secret
	want := map[string]string{}
	for _, key := range numbered("key_", 60) {
		secrets = append(secrets, cloud.Secret{Key: key, Level: cloud.LevelGroup, Value: secret.NewValue("of " + key)})
		want[key] = "resource group:of " + key
	}
	if err := w(scope).Secrets.Put(t.Context(), secrets...); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, revealed(t, w(scope).Secrets)); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	list, err := w(scope).Secrets.List(t.Context())
	if err != nil || len(list) != 60 {
		t.Errorf("list has %d, %v", len(list), err)
	}
	if err := w(scope).Secrets.Delete(t.Context(), cloud.LevelGroup, numbered("key_", 59)...); err != nil {
		t.Fatal(err)
	}
	if got := revealed(t, w(scope).Secrets); len(got) != 1 {
		t.Errorf("%d are left after 59 were deleted", len(got))
	}
}

func testTaskWins(t *testing.T, w World) {
	s := w(scope).Secrets
	mustSecret(t, s, cloud.LevelTask, "both", "of the task")
	mustSecret(t, s, cloud.LevelGroup, "both", "of the group")
	mustSecret(t, s, cloud.LevelGroup, "shared", "of the group")
	want := map[string]string{"both": "task:of the task", "shared": "resource group:of the group"}
	if diff := cmp.Diff(want, revealed(t, s)); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	other := scope
	other.Task = "orders"
	want = map[string]string{"both": "resource group:of the group", "shared": "resource group:of the group"}
	if diff := cmp.Diff(want, revealed(t, w(other).Secrets)); diff != "" {
		t.Errorf("another task (-want +got):\n%s", diff)
	}
	if err := s.Delete(t.Context(), cloud.LevelTask, "both"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, revealed(t, s)); diff != "" {
		t.Errorf("after deletion of the task's (-want +got):\n%s", diff)
	}
}

func testLevels(t *testing.T, w World) {
	mustSecret(t, w(scope).Secrets, cloud.LevelTask, "b", "1")
	mustSecret(t, w(scope).Secrets, cloud.LevelGroup, "b", "2")
	mustSecret(t, w(scope).Secrets, cloud.LevelGroup, "a", "3")
	list, err := w(scope).Secrets.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range list {
		got = append(got, x.Key+" "+string(x.Level))
	}
	if diff := cmp.Diff([]string{"a resource group", "b task", "b resource group"}, got); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	group := scope
	group.Task = ""
	if got := revealed(t, w(group).Secrets); len(got) != 2 || got["b"] != "resource group:2" {
		t.Errorf("of the group: %v", got)
	}
	err = w(group).Secrets.Put(t.Context(), cloud.Secret{Key: "a", Level: cloud.LevelTask, Value: secret.NewValue("x")})
	if !errors.Is(err, cloud.ErrInvalid) {
		t.Errorf("a secret of no task: %v, want ErrInvalid", err)
	}
}

func testDeleteSecrets(t *testing.T, w World) {
	s := w(scope).Secrets
	for _, key := range []string{"a", "b", "c"} {
		mustSecret(t, s, cloud.LevelTask, key, key)
		mustSecret(t, s, cloud.LevelGroup, key, key)
	}
	if err := s.Delete(t.Context(), cloud.LevelGroup, "a", "missing", "c"); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), cloud.LevelTask, "a", "b"); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"b": "resource group:b", "c": "task:c"}
	if diff := cmp.Diff(want, revealed(t, s)); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
}

func testBadSecrets(t *testing.T, w World) {
	s := w(scope).Secrets
	for name, x := range map[string]cloud.Secret{
		"no key": {Level: cloud.LevelTask}, "slash": {Key: "a/b", Level: cloud.LevelTask}, "blank": {Key: "a b", Level: cloud.LevelTask},
		"unicode": {Key: "schlüssel", Level: cloud.LevelTask}, "too long": {Key: strings.Repeat("k", 256), Level: cloud.LevelTask},
		"no level": {Key: "a"}, "unknown level": {Key: "a", Level: "project"},
	} {
		x.Value = secret.NewValue("planted")
		err := s.Put(t.Context(), cloud.Secret{Key: "fine", Level: cloud.LevelTask, Value: x.Value}, x)
		if !errors.Is(err, cloud.ErrInvalid) || strings.Contains(err.Error()+cloud.Hint(err), "planted") {
			t.Errorf("put with %s: %v, want ErrInvalid without the value", name, err)
		}
		if err := s.Delete(t.Context(), x.Level, x.Key); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("delete with %s: %v, want ErrInvalid", name, err)
		}
	}
	if got := revealed(t, s); len(got) > 0 {
		t.Errorf("refused, but stored: %v", got)
	}
}

func testSecretWriters(t *testing.T, w World) {
	var group sync.WaitGroup
	want := map[string]string{}
	for i := range 20 {
		key := fmt.Sprintf("k%02d", i)
		level := []cloud.Level{cloud.LevelTask, cloud.LevelGroup}[i%2]
		want[key] = string(level) + ":" + key
		s := w(scope).Secrets
		group.Go(func() {
			if err := s.Put(t.Context(), cloud.Secret{Key: key, Level: level, Value: secret.NewValue(key)}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if diff := cmp.Diff(want, revealed(t, w(scope).Secrets)); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
}

func testCancelSecrets(t *testing.T, w World) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	s := w(scope).Secrets
	wantStopped(t, "put", s.Put(ctx, cloud.Secret{Key: "a", Level: cloud.LevelTask}), context.Canceled)
	wantStopped(t, "delete", s.Delete(ctx, cloud.LevelTask, "a"), context.Canceled)
	_, err := s.All(ctx)
	wantStopped(t, "all", err, context.Canceled)
	_, err = s.List(ctx)
	wantStopped(t, "list", err, context.Canceled)
}

func testSecretTimes(t *testing.T, w World) {
	before := time.Now().Add(-time.Minute)
	mustSecret(t, w(scope).Secrets, cloud.LevelTask, "a", "1")
	list, err := w(scope).Secrets.List(t.Context())
	if err != nil || len(list) != 1 || list[0].Modified.Before(before) || list[0].Modified.After(time.Now().Add(time.Minute)) {
		t.Errorf("list %+v, %v", list, err)
	}
}

// Clients read what is for all of their group, and change none of it.
func testClientSecrets(t *testing.T, world World) {
	client := scope
	client.Client = "acme"
	mustSecret(t, world(scope).Secrets, cloud.LevelGroup, "key", "of the group")
	s := world(client).Secrets
	if diff := cmp.Diff(map[string]string{"key": "resource group:of the group"}, revealed(t, s)); diff != "" {
		t.Error(diff)
	}
	if err := s.Put(t.Context(), cloud.Secret{Key: "key", Level: cloud.LevelGroup}); !errors.Is(err, cloud.ErrInvalid) {
		t.Errorf("a client changes a secret of the group: %v", err)
	}
	if err := s.Delete(t.Context(), cloud.LevelGroup, "key"); !errors.Is(err, cloud.ErrInvalid) {
		t.Errorf("a client deletes a secret of the group: %v", err)
	}
	mustSecret(t, s, cloud.LevelTask, "key", "of the client")
	if diff := cmp.Diff(map[string]string{"key": "task:of the client"}, revealed(t, s)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"key": "resource group:of the group"}, revealed(t, world(scope).Secrets)); diff != "" {
		t.Error(diff)
	}
}
