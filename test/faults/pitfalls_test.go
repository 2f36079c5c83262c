package faults

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/handoff-run/handoff/test/binary"
)

// pitfalls are what handoff 0.4.x gets wrong, in our own words, and what here keeps us from it: names of tests, "folder.Test"
// or a session of testdata/script.
var pitfalls = []struct {
	wrong string
	tests []string
}{
	// Correctness of runs.
	{"a failed run exits with 0", []string{"exit_codes.txtar", "faults.TestStageThatDiesBySignal"}},
	{"project and workspace may be one folder, whose files are then removed", []string{"faults.TestOverlapTouchesNothing"}},
	{"yes | head hangs: nobody tells yes that its reader has gone", []string{"faults.TestReaderThatNeedsNoMore", "pipeline.TestYesHead"}},
	{"only the shell of a failed pipeline is ended, its target lives on and commits", []string{"faults.TestTargetOfAFailedTapDoesNotCommit", "pipeline.TestNoTruncatedLoad"}},
	{"a timeout waits a minute and leaves the program running", []string{"faults.TestTimeoutEndsGrandchildren", "faults.TestStageThatIgnoresEverySignal"}},
	{"waiting for a stage with a timeout takes the data of the next one", []string{"faults.TestTimeoutTakesNoData"}},
	{"death by a signal counts as success", []string{"faults.TestStageThatDiesBySignal"}},
	{"the stdout log is not complete when the task is", []string{"faults.TestStdoutLogIsComplete", "pipeline.TestStdoutLogComplete"}},
	{"a branch of a fork that ends early ends the others", []string{"faults.TestForkBranches"}},
	{"a failed stage before a loop or a fork crashes a thread", []string{"faults.TestProducerOfForkAndForeachFails"}},
	{"stdout_to_file: false hangs behind 64 KiB", []string{"faults.TestStdoutNotToFile"}},
	{"a failed branch of several stages leaves the other branches behind", []string{"faults.TestForkBranchFails"}},
	{"a command that is not active breaks its pipeline", []string{"inactive.txtar"}},
	{"a task without active commands, and a nested one that is not active, crash", []string{"inactive.txtar"}},
	{"quotes are lost and $ is expanded once more when a venv is set", []string{"faults.TestQuotesArriveAsWritten"}},
	{"a line of data runs as a command", []string{"foreach.txtar"}},
	{"a line with a slash fails its task; names of logs are doubled", []string{"foreach.txtar", "faults.TestNestedForeachAndFork"}},
	{"no loop in a loop, nothing behind a loop, one line at a time, blank lines run", []string{"faults.TestNestedForeachAndFork", "foreach.txtar"}},
	{"a variable that is not defined is empty, and nobody hears of it", []string{"vars.txtar"}},
	{"SIGTERM crashes instead of stopping", []string{"faults.TestSignals", "faults.TestSecondSignal"}},
	{"every text of files/ is a template; final newlines and modes are lost; nothing can be left out", []string{"files.txtar", "faults.TestBrokenTemplates"}},
	{"values of the command line change: 00123 to 123, t to True; empty= and a bare word crash", []string{"vars.txtar", "faults.TestBareWordAsVariable"}},
	{"0, an empty text and false count as not set", []string{"faults.TestEmptyAndFalseValues"}},
	{"_today is what the clock of a container says, also for a late run", []string{"places.txtar", "faults.TestDayCanBeGiven"}},
	// Validation, installs, command line.
	{"mistyped keys are valid", []string{"faults.TestBadProjectFiles", "config.txtar", "project.TestSchemaAgreesWithDecoder"}},
	{"what is wrong with a project is cut out of a stack trace", []string{"faults.TestBadProjectFiles", "faults.TestUnreadableProjects"}},
	{"what is missing is found out and then ignored", []string{"exit_codes.txtar", "secrets.txtar", "faults.TestStagesThatCannotStart"}},
	{"a failed install is a success", []string{"install.txtar", "workspace.TestInstallFails"}},
	{"a venv runs scripts of the year 2013 from the internet", []string{"faults.TestSlowVenvWithoutNetwork"}},
	{"a command that worked says error because it has nothing to say", []string{"faults.TestEveryVerbWithoutNetwork"}},
	{"an update calls a function that does not take its arguments", []string{"faults.TestEveryListedCommandExists"}},
	{"a command of the help is not in the package", []string{"faults.TestEveryListedCommandExists"}},
	{"flags that change nothing, settings without a flag", []string{"exit_codes.txtar", "vars.txtar", "cli.TestReferenceIsUpToDate"}},
	{"a local run logs in to a cloud", []string{"faults.TestEveryVerbWithoutNetwork"}},
	{"every command asks the internet for news, and waits for it", []string{"faults.TestEveryVerbWithoutNetwork"}},
	{"the log and the result share stdout; there is no JSON", []string{"run.txtar", "faults.TestEveryVerbWithoutNetwork"}},
}

// A pitfall is covered only as long as its tests are there.
func TestPitfallsHaveTests(t *testing.T) {
	t.Parallel()
	root, err := binary.Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pitfalls {
		if len(p.tests) == 0 {
			t.Errorf("nothing covers: %s", p.wrong)
		}
		for _, name := range p.tests {
			if !testExists(t, root, name) {
				t.Errorf("there is no %s, which is to cover: %s", name, p.wrong)
			}
		}
	}
	if testExists(t, root, "faults.TestNoSuchThing") || testExists(t, root, "nosuch.txtar") {
		t.Error("tests that do not exist are found")
	}
}

func testExists(t *testing.T, root, name string) bool {
	t.Helper()
	if strings.HasSuffix(name, ".txtar") {
		_, err := os.Stat(filepath.Join(root, "testdata", "script", name))
		return err == nil
	}
	folder, test, _ := strings.Cut(name, ".")
	declared := regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(test) + `\(t \*testing\.T\)`)
	for _, top := range []string{"internal", "test"} {
		files, err := filepath.Glob(filepath.Join(root, top, folder, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if declared.Match(text) {
				return true
			}
		}
	}
	return false
}
