package local

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
	"github.com/handoff-run/handoff/internal/secret"
)

var scope = cloud.Scope{Stage: "prod", ResourceGroup: "etl", Task: "rates"}

// help plays another process. It says on stdout what it was told is stored, line by line; name tells it from others.
func help(role, home, name string) {
	h, err := Open(home)
	if err != nil {
		panic(err)
	}
	switch role {
	case "busy":
		helpBusy(h, name)
	case "full":
		helpFull(h)
	}
}

// say writes one line with one call, so that a kill leaves a whole one or none.
func say(words ...any) { _, _ = os.Stdout.WriteString(fmt.Sprintln(words...)) }

// text is the content of version n of a helper's object; every 10th one is larger than the buffer of a Put.
func text(name string, n int) string {
	size := 100
	if n%10 == 0 {
		size = bufferSize * 2
	}
	return strings.Repeat(fmt.Sprintf("%s %d\n", name, n), size/8)
}

// helpBusy changes all that a home has, until it is killed.
func helpBusy(h *Home, name string) {
	f, s, l := h.Files(scope), h.Secrets(scope), h.Logs(scope)
	var group sync.WaitGroup
	for _, work := range []func(n int) error{
		func(n int) error { return busyObject(f, name, n) },
		func(n int) error { return busyCount(f) },
		func(n int) error { return busyLease(f, name, n) },
		func(n int) error { return busySecret(s, name, n) },
		func(n int) error { return busyLog(l, name, n) },
	} {
		group.Go(func() {
			for n := 1; ; n++ {
				if err := work(n); err != nil && !errors.Is(err, cloud.ErrConflict) {
					say("broken", err)
					os.Exit(1)
				}
			}
		})
	}
	group.Wait()
}

func busyObject(f *Files, name string, n int) error {
	key := fmt.Sprintf("objects/%s/%d", name, n%7)
	if n%29 == 0 {
		err := f.Delete(context.Background(), key)
		if err == nil {
			say("saved", key, 0)
		}
		return err
	}
	_, err := f.Put(context.Background(), key, cloud.Text(text(name, n)), cloud.PutOptions{})
	if err == nil {
		say("saved", key, n)
	}
	return err
}

func busyCount(f *Files) error {
	body, o, err := f.Get(context.Background(), "count", cloud.GetOptions{})
	if err != nil {
		return err
	}
	defer body.Close()
	old, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	_, err = f.Put(context.Background(), "count", cloud.Text(string(old)+"x"), cloud.PutOptions{IfMatch: o.ETag})
	if err == nil {
		say("counted")
	}
	return err
}

func busyLease(f *Files, name string, n int) error {
	key := fmt.Sprintf("lease/%05d", n)
	_, err := f.Put(context.Background(), key, cloud.Text(name), cloud.PutOptions{IfAbsent: true})
	if err == nil {
		say("leased", key, name)
	}
	return err
}

func busySecret(s *Secrets, name string, n int) error {
	key := fmt.Sprintf("%s.%d", name, n%3)
	err := s.Put(context.Background(), cloud.Secret{Key: key, Level: cloud.LevelGroup, Value: secret.NewValue(strconv.Itoa(n))})
	if err == nil {
		say("hidden", key, n)
	}
	return err
}

func busyLog(l *Logs, name string, n int) error {
	err := l.Append(context.Background(), cloud.Line{Time: time.Now(), JobID: "job", RunID: "run", Text: fmt.Sprintf("%s %d %s end", name, n, strings.Repeat("-", 1000))})
	if err == nil {
		say("logged", name, n)
	}
	return err
}

// record is what helpers said.
type record struct {
	saved, hidden map[string]int
	leased        map[string][]string
	logged        map[string]int
	counted       int
}

func (r *record) note(t *testing.T, words []string) {
	number := func(i int) int {
		n, err := strconv.Atoi(words[i])
		if err != nil {
			t.Errorf("%q: %v", words, err)
		}
		return n
	}
	switch words[0] {
	case "saved":
		r.saved[words[1]] = number(2)
	case "hidden":
		r.hidden[words[1]] = number(2)
	case "leased":
		r.leased[words[1]] = append(r.leased[words[1]], words[2])
	case "logged":
		r.logged[words[1]] = number(2)
	case "counted":
		r.counted++
	default:
		t.Errorf("helper: %q", words)
	}
}

// killed runs a helper, kills it after a while and returns what it said.
func killed(t *testing.T, home, name string, after time.Duration) [][]string {
	cmd := exec.Command(os.Args[0], home, name)
	cmd.Env = append(os.Environ(), "HANDOFF_LOCAL_HELPER=busy")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Error(err)
		return nil
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return nil
	}
	var said [][]string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if said == nil { // it is at work now
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		said = append(said, strings.Fields(lines.Text()))
	}
	_ = cmd.Wait()
	return said
}

// TestKill kills processes at random points, two at a time on one home, and compares what is there with what they were
// told is stored.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	home := t.TempDir()
	h, err := Open(home)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Files(scope).Put(t.Context(), "count", cloud.Text(""), cloud.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	const rounds = 10
	for round := range rounds {
		said := make([][][]string, 2)
		var group sync.WaitGroup
		for i := range said {
			after := time.Duration(rand.IntN(150)) * time.Millisecond
			group.Go(func() { said[i] = killed(t, home, fmt.Sprintf("r%d-h%d", round, i), after) })
		}
		group.Wait()
		r := &record{saved: map[string]int{}, hidden: map[string]int{}, leased: map[string][]string{}, logged: map[string]int{}}
		for _, words := range append(said[0], said[1]...) {
			r.note(t, words)
		}
		checkObjects(t, h, r)
		checkLeases(t, h, r)
		checkCount(t, h, r)
		checkSecrets(t, h, r)
		checkLog(t, h, r)
		if t.Failed() {
			t.Fatalf("after round %d", round)
		}
	}
	checkLeftovers(t, h, home)
}

func content(t *testing.T, f *Files, key string) (string, cloud.Object, error) {
	body, o, err := f.Get(t.Context(), key, cloud.GetOptions{})
	if err != nil {
		return "", o, err
	}
	defer body.Close()
	all, err := io.ReadAll(body)
	return string(all), o, err
}

// checkObjects: each object is whole, and the version that was reported last or, killed before the report, a later one.
func checkObjects(t *testing.T, h *Home, r *record) {
	f := h.Files(scope)
	for key, least := range r.saved {
		got, _, err := content(t, f, key)
		if errors.Is(err, cloud.ErrNotFound) {
			continue // its deletion may have come after the last report
		}
		name, n := strings.Split(key, "/")[1], 0
		if _, scan := fmt.Sscanf(got, name+" %d\n", &n); scan != nil || err != nil || got != text(name, n) || n < least {
			t.Errorf("%s: reported %d, holds %d in %d bytes, %v %v", key, least, n, len(got), err, scan)
		}
	}
	for o, err := range f.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		top, _, _ := strings.Cut(o.Key, "/")
		if o.SHA256 == "" || top != "objects" && top != "lease" && top != "count" {
			t.Errorf("listed: %+v", o)
		}
	}
}

func checkLeases(t *testing.T, h *Home, r *record) {
	for key, names := range r.leased {
		got, _, err := content(t, h.Files(scope), key)
		if len(names) != 1 || err != nil || got != names[0] {
			t.Errorf("%s: %q were told that they have it, it holds %q, %v", key, names, got, err)
		}
	}
	if err := h.Files(scope).Delete(t.Context(), leases(t, h)...); err != nil {
		t.Error(err)
	}
}

func leases(t *testing.T, h *Home) []string {
	var all []string
	for o, err := range h.Files(scope).List(t.Context(), "lease") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o.Key)
	}
	return all
}

// checkCount: no increment is lost or doubled; one for each helper may have been made and not reported.
func checkCount(t *testing.T, h *Home, r *record) {
	got, o, err := content(t, h.Files(scope), "count")
	if err != nil || len(got) < r.counted || len(got) > r.counted+2 {
		t.Errorf("count is %d, %d were reported, %v", len(got), r.counted, err)
	}
	if _, err := h.Files(scope).Put(t.Context(), "count", cloud.Text(""), cloud.PutOptions{IfMatch: o.ETag}); err != nil {
		t.Error(err)
	}
}

func checkSecrets(t *testing.T, h *Home, r *record) {
	all, err := h.Secrets(scope).All(t.Context())
	if err != nil {
		t.Error(err)
	}
	values := map[string]int{}
	for _, x := range all {
		values[x.Key], _ = strconv.Atoi(x.Value.Reveal())
	}
	for key, least := range r.hidden {
		if values[key] < least {
			t.Errorf("secret %s: reported %d, holds %d", key, least, values[key])
		}
	}
}

// checkLog: lines are whole, in order, and none that was reported is missing.
func checkLog(t *testing.T, h *Home, r *record) {
	last := map[string]int{}
	var before time.Time
	for x, err := range h.Logs(scope).Read(t.Context(), cloud.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Fields(x.Text)
		if len(words) != 4 || words[3] != "end" || x.Time.Before(before) {
			t.Fatalf("line %q at %v, after %v", x.Text, x.Time, before)
		}
		before = x.Time
		n, err := strconv.Atoi(words[1])
		if err != nil || n != last[words[0]]+1 {
			t.Errorf("line %d of %s after line %d", n, words[0], last[words[0]])
		}
		last[words[0]] = n
	}
	for name, least := range r.logged {
		if last[name] < least {
			t.Errorf("log of %s: reported %d lines, holds %d", name, least, last[name])
		}
	}
}

// checkLeftovers: what the killed ones have left in tmp/ is old enough one day, and then goes.
func checkLeftovers(t *testing.T, h *Home, home string) {
	tmp := filepath.Join(h.BucketDir(scope), "tmp")
	list, err := os.ReadDir(tmp)
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	for _, e := range list {
		if err := os.Chtimes(filepath.Join(tmp, e.Name()), old, old); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d leftovers", len(list))
	again, err := Open(home)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Files(scope).Put(t.Context(), "count", cloud.Text(""), cloud.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if list, err = os.ReadDir(tmp); err != nil || len(list) > 0 {
		t.Errorf("left in tmp: %v %v", list, err)
	}
}

// helpFull meets a disk with no room: a limit on the size of files stands for it.
func helpFull(h *Home) {
	f, s := h.Files(scope), h.Secrets(scope)
	signal.Ignore(unix.SIGXFSZ)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 4096, Max: 4096}); err != nil {
		say("no limit:", err)
	}
	_, err := f.Put(context.Background(), "a", cloud.Text(text("new", 10)), cloud.PutOptions{})
	say("large put failed:", errors.Is(err, unix.EFBIG))
	_, err = f.Put(context.Background(), "a", cloud.Text(strings.Repeat("new", 3000)), cloud.PutOptions{})
	say("put failed:", errors.Is(err, unix.EFBIG))
	err = s.Put(context.Background(), cloud.Secret{Key: "big", Level: cloud.LevelTask, Value: secret.NewValue(strings.Repeat("s", 9000))})
	say("secret failed:", errors.Is(err, unix.EFBIG))
	err = h.Logs(scope).Append(context.Background(), cloud.Line{Time: time.Now(), JobID: "j", Text: strings.Repeat("l", 9000)})
	say("log failed:", errors.Is(err, unix.EFBIG))
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	h, err := Open(home)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Files(scope).Put(t.Context(), "a", cloud.Text("old"), cloud.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := h.Secrets(scope).Put(t.Context(), cloud.Secret{Key: "small", Level: cloud.LevelTask, Value: secret.NewValue("old")}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], home, "x")
	cmd.Env = append(os.Environ(), "HANDOFF_LOCAL_HELPER=full")
	out, err := cmd.CombinedOutput()
	if want := "large put failed: true\nput failed: true\nsecret failed: true\nlog failed: true\n"; string(out) != want || err != nil {
		t.Errorf("%v, helper says\n%s", err, out)
	}
	if got, _, err := content(t, h.Files(scope), "a"); got != "old" {
		t.Errorf("object: %.20q, %v", got, err)
	}
	if left, err := os.ReadDir(filepath.Join(h.BucketDir(scope), "tmp")); err != nil || len(left) > 0 {
		t.Errorf("left in tmp: %v, %v", left, err)
	}
	if all, err := h.Secrets(scope).All(t.Context()); err != nil || len(all) != 1 || all[0].Value.Reveal() != "old" {
		t.Errorf("secrets: %d, %v", len(all), err)
	}
	if err := h.Logs(scope).Append(t.Context(), cloud.Line{Time: time.Now(), JobID: "j", Text: "after"}); err != nil {
		t.Error(err)
	}
	for x, err := range h.Logs(scope).Read(t.Context(), cloud.Query{}) {
		if err != nil || x.Text != "after" {
			t.Errorf("log: %.20q, %v", x.Text, err)
		}
	}
}
