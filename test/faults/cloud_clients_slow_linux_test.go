//go:build e2e

package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// numbering writes, in each run, the number behind that of its state, with a variable and the end of a secret of its client.
const numbering = `read state <"$1"
n=${state#*:}
n=${n%\}}
case $n in *[!0-9]*) n=0 ;; esac
echo "$((n + 1)) $2 ${TOKEN#token-of-client-}" >>artifacts/runs
echo "{\"n\":$((n + 1))}"
`

// 50 clients of one project have 20 runs each, several clients at a time, one run after the other of each: every one has its own
// variable, secret, state, artifact and records, and nothing of another's; nothing is left at work, no lease is held.
func TestSlowCloud50ClientsOf20Runs(t *testing.T) {
	t.Parallel()
	const clients, runs = 50, 20
	l := fleet(t, clients)
	l.limit = 10 * time.Minute
	l.handoff(0, "deploy", "-p", "prj", "--all-clients", "-y")
	l.handoff(0, "backfill", "-p", "prj", "--all-clients", "--every", "day", "--from", "2026-01-01", "--to", fmt.Sprintf("2026-01-%02d", runs))
	l.nothingLeft()

	states := ofClients[struct {
		Version struct {
			State struct{ N int }
		}
	}](l, "state", "show")
	records := ofClients[struct {
		Runs []struct{ ID, Outcome, Job string }
	}](l, "runs", "list", "--limit", "0")
	l.handoff(0, "artifacts", "get", "-p", "prj", "--all-clients", "-w", "got")
	seen := map[string]bool{}
	for i := range clients {
		name := client(i)
		var want strings.Builder
		for n := range runs {
			fmt.Fprintf(&want, "%d account-%d %d\n", n+1, i, i)
		}
		if got := l.read(filepath.Join("got", "clients", name, "artifacts", "runs")); got != want.String() {
			t.Errorf("artifact of %s: %q", name, got)
		}
		if n := states[name].Version.State.N; n != runs {
			t.Errorf("state of %s: %d", name, n)
		}
		for _, r := range records[name].Runs {
			if r.Outcome != "success" || seen[r.ID] {
				t.Errorf("run of %s: %+v; one of another client: %v", name, r, seen[r.ID])
			}
			seen[r.ID] = true
		}
		if n := len(records[name].Runs); n != runs {
			t.Errorf("%s has %d runs", name, n)
		}
		if lease := l.read(filepath.Join("home", "buckets", "dev", "etl", "objects", ".clients", name, "load", "lease.json@")); !strings.Contains(lease, `"released": true`) {
			t.Errorf("lease of %s: %s", name, lease)
		}
	}
	l.allRan(clients)
}

func client(i int) string { return fmt.Sprintf("client-%02d", i) }

// fleet is a lab with a project for so many clients, in memory where that can be: what is at stake is who has what, and a disk takes
// twice as long for it.
func fleet(t *testing.T, clients int) *lab {
	t.Helper()
	l := newCloud(t, nil)
	if dir, err := os.MkdirTemp("/dev/shm", "handoff-clients"); err == nil {
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		l.dir, l.home = dir, filepath.Join(dir, "home")
	}
	var list strings.Builder
	for i := range clients {
		fmt.Fprintf(&list, "- {name: %s, vars: [{key: account, value: account-%d}]}\n", client(i), i)
		name := filepath.Join("prj", ".secrets", "clients", client(i), "secrets.yml")
		l.write(name, fmt.Sprintf("- {key: TOKEN, value: token-of-client-%d}\n", i))
		if err := os.Chmod(l.path(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l.write("prj/files/load.sh", numbering)
	l.write("prj/project.yml", "version: 1\n"+place+`vars: [{key: account, value: none}]
envs: [{key: TOKEN}]
secrets: [{key: TOKEN}]
tasks:
- name: load
  state: {backfill: use}
  pipeline: [{command: 'sh files/load.sh {{ _state_file }} {{ account }}'}]
artifacts: {backfill: use}
clients:
`+list.String())
	return l
}

// ofClients decodes what a command that succeeds prints for each client, by its name.
func ofClients[T any](l *lab, args ...string) map[string]T {
	l.Helper()
	var list []struct {
		Client string
		Result T
	}
	l.result(&list, append(args, "-p", "prj", "--all-clients")...)
	found := map[string]T{}
	for _, c := range list {
		found[c.Client] = c.Result
	}
	return found
}

// allRan wants status to show each client, and none red. What a backfill has made is no run of last night: it shows no last one.
func (l *lab) allRan(clients int) {
	l.Helper()
	var res struct {
		Red   int
		Tasks []struct{ Client, State string }
	}
	l.result(&res, "status", "-p", "prj")
	var names []string
	for _, s := range res.Tasks {
		if s.Client != "" {
			names = append(names, s.Client)
		}
	}
	slices.Sort(names)
	if res.Red != 0 || len(slices.Compact(names)) != clients {
		text, _ := json.Marshal(res)
		l.Errorf("status: %s", text)
	}
}
