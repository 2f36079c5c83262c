//go:build e2e

package e2e

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/ledger"
	"github.com/handoff-run/handoff/test/binary"
)

const plantedSecret = "planted-secret-93b1c7"

// TestEarthquakes runs the example of examples/usgs-earthquakes: the same workspace, one part after the other, because
// making its virtual environments takes longest.
func TestEarthquakes(t *testing.T) {
	t.Parallel()
	feed := feedFile(t)
	project := copyOfExample(t)
	artifacts := make(chan map[string]string, 1) // of the first run
	t.Run("in an image", func(t *testing.T) {
		t.Parallel()
		inAnImage(t, feed, project, artifacts)
	})
	t.Run("here", func(t *testing.T) {
		t.Parallel()
		defer close(artifacts)
		here(t, feed, project, artifacts)
	})
}

func here(t *testing.T, feed, project string, artifacts chan<- map[string]string) {
	ws := t.TempDir()
	mustSucceed(t, "workspace", "install", "-p", project, "-w", ws)
	t.Run("rows equal the feed", func(t *testing.T) { rowsEqualTheFeed(t, feed, project, ws) })
	artifacts <- filesBelow(t, filepath.Join(ws, "artifacts"))
	t.Run("a breach of contract leaves the published file alone", func(t *testing.T) { breachOfContract(t, feed, project, ws) })
	t.Run("a tap that dies leaves the published file alone", func(t *testing.T) { tapDies(t, feed, project, ws) })
	t.Run("killed in the middle", func(t *testing.T) { killedInTheMiddle(t, feed, project, ws) })
	t.Run("interrupted in the middle", func(t *testing.T) { interruptedInTheMiddle(t, feed, project, ws) })
	t.Run("cut short", func(t *testing.T) { cutShort(t, feed, project, ws) })
	t.Run("a job is stopped", func(t *testing.T) { jobStopped(t, feed, project, ws) })
	t.Run("states of the target", func(t *testing.T) { statesOfTheTarget(t, ws) })
	t.Run("states of lines", func(t *testing.T) { statesOfLines(t, ws) })
	t.Run("the secret is nowhere", func(t *testing.T) { secretIsNowhere(t, feed, project, ws) })
}

// feedFile returns the recorded feed, fetched by the function of test/lib.sh.
func feedFile(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euc", ". test/lib.sh; feed_file")
	cmd.Dir = programs.root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("fetch the feed: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// copyOfExample is the example without its retries, so that a failing test does not wait for them.
func copyOfExample(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "quakes")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(programs.root, "examples/usgs-earthquakes"))); err != nil {
		t.Fatal(err)
	}
	replaceIn(t, filepath.Join(dir, "project.yml"), "  retries: {max: 2, delay: 10, backoff: 3}\n", "")
	return dir
}

func replaceIn(t *testing.T, file, old, new string) {
	t.Helper()
	text := readFile(t, file)
	if strings.Count(text, old) != 1 {
		t.Fatalf("%q is not once in %s", old, file)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(text, old, new, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// serve starts the local service and returns its base URL. It ends with the test.
func serve(t *testing.T, feed string, args ...string) string {
	t.Helper()
	cmd := exec.Command(programs.server, append([]string{"-data", feed, "-until-stdin-closes"}, args...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the server did not start: %v", err)
	}
	return strings.TrimSpace(line) + "/fdsnws/event/1"
}

func runArgs(project, ws, baseURL string, vars ...string) []string {
	return append([]string{"run", "local", "-p", project, "-w", ws, "-v", "base_url=" + baseURL}, vars...)
}

func rowsEqualTheFeed(t *testing.T, feed, project, ws string) {
	base := serve(t, feed)
	mustSucceed(t, runArgs(project, ws, base, "page_size=100")...)
	want := eventsOf(t, feed)
	if len(want) < 900 {
		t.Fatalf("the feed has only %d events", len(want))
	}
	if diff := cmp.Diff(want, rowsOf(t, filepath.Join(ws, "artifacts", "earthquakes.csv"))); diff != "" {
		t.Error(diff)
	}
	if state := readFile(t, ws, "artifacts", "load_stdout.log"); !strings.Contains(state, `"last_update"`) {
		t.Errorf("the state of the target is not in load_stdout.log: %q", state)
	}
	if got := outcome(t, ws); got != "success" {
		t.Errorf("the record says %q", got)
	}
	rowsInTheRecord(t, ws, int64(len(want)))
}

// breachOfContract expects fewer events than there are of a real tap: its target, which commits when it is asked to end, must not.
func breachOfContract(t *testing.T, feed, project, ws string) {
	base := serve(t, feed)
	published := readFile(t, ws, "artifacts", "earthquakes.csv")
	strict := filepath.Join(t.TempDir(), "strict")
	if err := os.CopyFS(strict, os.DirFS(project)); err != nil {
		t.Fatal(err)
	}
	replaceIn(t, filepath.Join(strict, "project.yml"), "files/tap.json --catalog files/catalog.json\n",
		"files/tap.json --catalog files/catalog.json\n    expect: {format: singer, rows: {max: 500}, streams: {earthquakes: {unique: [id], columns: [properties]}}}\n")
	result := handoff(t, runArgs(strict, ws, base, "page_size=100", "-o", "json")...)
	if want := "record 501 is one more than the 500 that may come"; result.Code != 1 || !strings.Contains(result.Stdout, want) {
		t.Fatalf("no word of %q: %s", want, result)
	}
	if readFile(t, ws, "artifacts", "earthquakes.csv") != published {
		t.Error("the published file has changed")
	}
}

// rowsInTheRecord checks the rows that the tap logs in the form of singer-python, and the target in that of the Meltano SDK.
func rowsInTheRecord(t *testing.T, ws string, want int64) {
	t.Helper()
	var run ledger.Run
	if err := json.Unmarshal([]byte(readFile(t, ws, "artifacts", "run.json")), &run); err != nil {
		t.Fatal(err)
	}
	if run.Rows == nil || *run.Rows != want {
		t.Fatalf("the run has %v rows, want %d", run.Rows, want)
	}
	for _, s := range run.Tasks[0].Stages {
		if diff := cmp.Diff(ledger.Streams{"earthquakes": want}, s.Streams); diff != "" {
			t.Errorf("%s: %s", s.Name, diff)
		}
	}
}

// eventsOf returns id, magnitude and place of the events of the feed that the example asks for, oldest first.
func eventsOf(t *testing.T, feed string) [][3]string {
	t.Helper()
	var doc struct {
		Features []struct {
			ID         string
			Properties struct {
				Mag   *json.Number
				Place string
				Time  int64
			}
		}
	}
	if err := json.Unmarshal([]byte(readFile(t, feed)), &doc); err != nil {
		t.Fatal(err)
	}
	start := time.Date(2018, 1, 31, 0, 0, 0, 0, time.UTC).UnixMilli()
	end := time.Date(2018, 2, 7, 0, 0, 0, 0, time.UTC).UnixMilli()
	features := doc.Features
	slices.Reverse(features)
	var events [][3]string
	for _, f := range features {
		p := f.Properties
		if p.Mag == nil || p.Time < start || p.Time >= end {
			continue
		}
		if m, err := p.Mag.Float64(); err != nil || m < 1 {
			continue
		}
		events = append(events, [3]string{f.ID, number(p.Mag.String()), p.Place})
	}
	return events
}

// rowsOf is the same of a CSV file.
func rowsOf(t *testing.T, file string) [][3]string {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(readFile(t, file))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range records[0] {
		column[name] = i
	}
	var rows [][3]string
	for _, r := range records[1:] {
		rows = append(rows, [3]string{r[column["id"]], number(r[column["properties__mag"]]), r[column["properties__place"]]})
	}
	return rows
}

// number makes 2, 2.0 and 2.00 the same text.
func number(text string) string {
	if strings.Contains(text, ".") {
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	return text
}

func outcome(t *testing.T, ws string) string {
	t.Helper()
	var record struct{ Outcome string }
	if err := json.Unmarshal([]byte(readFile(t, ws, "artifacts", "run.json")), &record); err != nil {
		t.Fatal(err)
	}
	return record.Outcome
}

// start begins a run that takes about ten seconds, and waits until the tap has read some pages.
func start(t *testing.T, feed, project, ws string) (run *exec.Cmd, ended chan binary.Result) {
	t.Helper()
	run, ended = launch(t, feed, project, ws)
	eventually(t, "the tap has read some pages", func() bool { return hasRead(ws) })
	return run, ended
}

func launch(t *testing.T, feed, project, ws string) (run *exec.Cmd, ended chan binary.Result) {
	t.Helper()
	_ = os.Remove(stderrOfLoad(ws))
	base := serve(t, feed, "-delay", "300ms")
	run = binary.Command(t.Context(), t.TempDir(), programs.handoff, runArgs(project, ws, base, "page_size=25")...)
	ended = make(chan binary.Result, 1)
	go func() {
		result, err := binary.Run(run)
		if err != nil {
			result.Stderr = err.Error()
		}
		ended <- result
	}()
	return run, ended
}

func stderrOfLoad(ws string) string { return filepath.Join(ws, "artifacts", "load_stderr.log") }

// hasRead reports whether the tap has read some pages.
func hasRead(ws string) bool {
	text, err := os.ReadFile(stderrOfLoad(ws))
	return err == nil && strings.Contains(string(text), "Current page 5")
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within a minute: %s", what)
}

// processesIn returns the ids of the processes whose working folder is the workspace and whose command line has the word.
func processesIn(t *testing.T, ws, word string) []string {
	t.Helper()
	ws, err := filepath.EvalSymlinks(ws)
	if err != nil {
		t.Fatal(err)
	}
	folders, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, link := range folders {
		dir, err := os.Readlink(link)
		if err != nil || dir != ws && !strings.HasPrefix(dir, ws+"/") {
			continue
		}
		pid := filepath.Base(filepath.Dir(link))
		line, err := os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
		if err == nil && len(line) > 0 && strings.Contains(string(line), word) {
			found = append(found, pid+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

func tapDies(t *testing.T, feed, project, ws string) {
	published := readFile(t, ws, "artifacts", "earthquakes.csv")
	_, ended := start(t, feed, project, ws)
	signalProcess(t, processesIn(t, ws, "bin/tap-rest-api")[0], syscall.SIGKILL)
	result := <-ended
	if result.Code != 1 {
		t.Errorf("%s", result)
	}
	if got := readFile(t, ws, "artifacts", "earthquakes.csv"); got != published {
		t.Error("the published file has changed")
	}
	if got := outcome(t, ws); got != "failed" {
		t.Errorf("the record says %q", got)
	}
	if left := processesIn(t, ws, ""); len(left) > 0 {
		t.Errorf("still there: %q", left)
	}
}

// signalProcess sends a signal to a process that processesIn has found.
func signalProcess(t *testing.T, found string, sig syscall.Signal) {
	t.Helper()
	text, _, _ := strings.Cut(found, " ")
	pid, err := strconv.Atoi(text)
	if err == nil {
		err = syscall.Kill(pid, sig)
	}
	if err != nil {
		t.Fatalf("signal %s: %v", found, err)
	}
}

func killedInTheMiddle(t *testing.T, feed, project, ws string) {
	run, ended := start(t, feed, project, ws)
	if err := run.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	eventually(t, "no process of the run is left", func() bool { return len(processesIn(t, ws, "")) == 0 })
	eventually(t, "the record says that the run died", func() bool { return outcome(t, ws) != "running" && outcome(t, ws) != "success" })
}

func interruptedInTheMiddle(t *testing.T, feed, project, ws string) {
	run, ended := start(t, feed, project, ws)
	if err := run.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if result := <-ended; result.Code != 143 {
		t.Errorf("want exit code 143: %s", result)
	}
	if left := processesIn(t, ws, ""); len(left) > 0 {
		t.Errorf("still there: %q", left)
	}
	if got := outcome(t, ws); got != "interrupted" {
		t.Errorf("the record says %q", got)
	}
}

// secretIsNowhere plants a secret in the environment, in a file and in a command, prints it to standard error in two
// ways, and looks for it everywhere but in the file that asks for it.
func secretIsNowhere(t *testing.T, feed, project, ws string) {
	folder := filepath.Join(project, ".secrets")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	text := "- key: API_KEY\n  value: " + plantedSecret + "\n"
	if err := os.WriteFile(filepath.Join(folder, "secrets.yml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	replaceIn(t, filepath.Join(project, "project.yml"), "\ntasks:\n", `
secrets:
- key: API_KEY

tasks:
- name: leak
  commands:
  - command: echo "the key is $API_KEY" >&2; sleep 0.5
  - command: echo {{ API_KEY }} >&2; sleep 0.5
  - command: printf %s "$API_KEY" | base64 >&2
`)
	replaceIn(t, filepath.Join(project, "project.yml"), "envs:\n", "envs:\n- key: API_KEY\n")
	replaceIn(t, filepath.Join(project, "files", "tap.json"), `"auth_method"`, `"http_headers": "{\"X-Key\": \"{{ API_KEY }}\"}",
  "auth_method"`)

	base := serve(t, feed)
	run := binary.Command(t.Context(), t.TempDir(), programs.handoff, runArgs(project, ws, base)...)
	stop, seen := make(chan struct{}), make(chan []string, 1)
	go func() { seen <- watchArguments(stop) }()
	result, err := binary.Run(run)
	close(stop)
	if err != nil || result.Code != 0 {
		t.Fatalf("%v %s", err, result)
	}
	if found := <-seen; len(found) > 0 {
		t.Errorf("the secret is an argument of %q", found)
	}
	if strings.Contains(result.String(), plantedSecret) {
		t.Errorf("the secret is shown: %s", result)
	}
	if !strings.Contains(result.Stderr, "the key is [redacted]") {
		t.Errorf("the command did not print the key: %s", result)
	}
	for name, content := range filesBelow(t, filepath.Join(ws, "artifacts")) {
		if strings.Contains(content, plantedSecret) {
			t.Errorf("the secret is in artifacts/%s", name)
		}
	}
	info, err := os.Stat(filepath.Join(ws, "files", "tap.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("files/tap.json holds a secret and has mode %v (%v)", info.Mode(), err)
	}
}

// watchArguments returns the command lines in which it saw the secret until stop is closed.
func watchArguments(stop chan struct{}) []string {
	var found []string
	for {
		select {
		case <-stop:
			return found
		case <-time.After(20 * time.Millisecond):
		}
		lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, name := range lines {
			line, err := os.ReadFile(name)
			if err == nil && strings.Contains(string(line), plantedSecret) {
				found = append(found, string(line))
			}
		}
	}
}
