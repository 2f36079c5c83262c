//go:build e2e

package e2e

import (
	"encoding/csv"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/handoff-run/handoff/test/binary"
)

// A load that is cut short, in whatever way, is not committed: the target of the Meltano SDK would write what it has, and
// exit with 0, if it was asked to end or saw the end of its input.
func cutShort(t *testing.T, feed, project, ws string) {
	send := func(sig syscall.Signal) func(*testing.T, *exec.Cmd) {
		return func(t *testing.T, run *exec.Cmd) {
			if err := run.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
		}
	}
	tap := func(sig syscall.Signal) func(*testing.T, *exec.Cmd) {
		return func(t *testing.T, _ *exec.Cmd) { signalProcess(t, processesIn(t, ws, "bin/tap-rest-api")[0], sig) }
	}
	for _, tt := range []struct {
		name, task, command, whole string                      // keys that are added to the task load, its last command, the project
		cut                        func(*testing.T, *exec.Cmd) // nil: a time limit
		code                       int
		halved                     bool
	}{
		{name: "the tap is killed", cut: tap(syscall.SIGKILL), code: 1},
		{name: "the tap is terminated", cut: tap(syscall.SIGTERM), code: 1},
		{name: "the tap is interrupted", cut: tap(syscall.SIGINT), code: 1},
		{name: "the task times out", task: "  timeout: %d\n", code: 1},
		{name: "the target times out", command: "    timeout: %d\n", code: 1},
		{name: "the run times out", whole: "timeout: %d\n", code: 124},
		{name: "SIGINT", cut: send(syscall.SIGINT), code: 130},
		{name: "SIGTERM", cut: send(syscall.SIGTERM), code: 143},
		{name: "SIGHUP", cut: send(syscall.SIGHUP), code: 129},
		{name: "killed", cut: send(syscall.SIGKILL), code: -1},
		{name: "who has targets asked gets the half", task: "  on_upstream_failure: terminate\n", cut: send(syscall.SIGTERM), code: 143, halved: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			removeAll(t, filepath.Join(ws, "artifacts", "new"))
			var result binary.Result
			if tt.cut == nil {
				result = timedOut(t, feed, ws, func(limit int) string {
					in := func(keys string) string { return strings.Replace(keys, "%d", strconv.Itoa(limit), 1) }
					return withKeys(t, project, in(tt.task), in(tt.command), in(tt.whole))
				})
			} else {
				run, ended := start(t, feed, withKeys(t, project, tt.task, tt.command, tt.whole), ws)
				tt.cut(t, run)
				result = <-ended
			}
			if result.Code != tt.code {
				t.Errorf("want exit code %d: %s", tt.code, result)
			}
			eventually(t, "no process of the run is left", func() bool { return len(processesIn(t, ws, "")) == 0 })
			if rows := rowsBelow(t, filepath.Join(ws, "artifacts", "new")); rows > 0 != tt.halved {
				t.Errorf("%d rows are committed", rows)
			}
		})
	}
}

// timedOut runs the project with a time limit, in seconds, that ends it while the tap reads, however busy the machine is.
func timedOut(t *testing.T, feed, ws string, limited func(seconds int) string) binary.Result {
	t.Helper()
	for limit := 8; limit < 100; limit *= 2 {
		_, ended := launch(t, feed, limited(limit), ws)
		if result := <-ended; hasRead(ws) {
			return result
		}
	}
	t.Fatal("the tap never read")
	return binary.Result{}
}

// withKeys returns a copy of the project with further keys.
func withKeys(t *testing.T, project, task, command, whole string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "quakes")
	if err := os.CopyFS(dir, os.DirFS(project)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "project.yml")
	replaceIn(t, file, "- name: load\n", "- name: load\n"+task)
	replaceIn(t, file, "    venv: target\n", "    venv: target\n"+command)
	if whole != "" {
		replaceIn(t, file, "\ntimeout: 1800\n", "\n"+whole)
	}
	return dir
}

func removeAll(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
}

// rowsBelow counts the rows of the CSV files below dir, without their headers.
func rowsBelow(t *testing.T, dir string) (rows int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, ".csv") {
			return err
		}
		records, err := csv.NewReader(strings.NewReader(readFile(t, file))).ReadAll()
		rows += max(len(records)-1, 0)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return rows
}

// jobStopped stops a job of the local provider in the middle of its load. The job takes its programs from the workspace:
// that a job installs them is tested elsewhere.
func jobStopped(t *testing.T, feed, project, ws string) {
	home := t.TempDir()
	project = withKeys(t, project, "", "", "")
	file := filepath.Join(project, "project.yml")
	text := strings.NewReplacer(
		"\ntasks:\n", "\ndeploy: {cloud_provider: local, cloud_platform: process, resource_group: e2e, task: quakes}\n\ntasks:\n",
		"- command: tap-rest-api\n", "- command: "+filepath.Join(ws, "tap", "bin", "tap-rest-api")+"\n",
		"- command: target-csv\n", "- command: "+filepath.Join(ws, "target", "bin", "target-csv")+"\n",
		"installs:\n- venv: tap\n  command: pip install tap-rest-api==0.2.22\n- venv: target\n  command: pip install meltanolabs-target-csv==0.5.0\n", "",
		"    venv: tap\n", "", "    venv: target\n", "",
	).Replace(readFile(t, file))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	verb := func(args ...string) binary.Result {
		t.Helper()
		cmd := binary.Command(t.Context(), home, programs.handoff, append(args, "-p", project)...)
		cmd.Env = append(cmd.Env, "HANDOFF_HOME="+filepath.Join(home, "handoff"))
		result, err := binary.Run(cmd)
		if err != nil || result.Code != 0 {
			t.Fatalf("handoff %q: %v %s", args, err, result)
		}
		return result
	}
	verb("project", "push")
	verb("cloud", "resources", "create")
	verb("cloud", "task", "create")
	base := serve(t, feed, "-delay", "300ms")
	verb("cloud", "run", "-v", "base_url="+base, "page_size=25")
	eventually(t, "the tap of the job has read some pages", func() bool {
		return strings.Contains(verb("cloud", "logs").Stdout, "Current page 5")
	})
	verb("cloud", "job", "stop", "--wait")
	if rows := rowsBelow(t, home); rows > 0 {
		t.Errorf("%d rows are committed", rows)
	}
}
