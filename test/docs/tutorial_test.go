//go:build e2e

package docs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/test/binary"
	"github.com/handoff-run/handoff/test/registry"
)

// programs is what TestMain has built: bin holds handoff.
var programs struct{ root, bin string }

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "handoff-docs")
	if err == nil {
		defer os.RemoveAll(dir)
		programs.bin = dir
		_, err = binary.Build(dir, "cmd/handoff")
	}
	if err == nil {
		programs.root, err = binary.Root()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// TestSessions types what the pages tell people to type, in one folder for each page, and compares what they show.
func TestSessions(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"docs/tutorial.md", "docs/guide.md", "docs/deploy.md", "docs/night.md", "docs/clients.md", "docs/backfill.md", "docs/tables.md", "docs/expect.md", "docs/secrets.md", "docs/notifications.md", "docs/status.md", "docs/images.md"} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			s := newSession(t)
			page := readPage(t, name)
			if strings.Contains(page, exampleRegistry) {
				page = strings.ReplaceAll(page, exampleRegistry, registry.Serve(t))
			}
			for _, b := range blocks(page) {
				if file, ok := b.project(); ok && len(b.args) > 1 {
					s.write(t, file, b.text)
				}
				if b.lang == "console" {
					s.play(t, name, b)
				}
			}
			if s.count == 0 {
				t.Error("the page has no session")
			}
		})
	}
}

// exampleRegistry is the registry that pages name.
const exampleRegistry = "registry.example"

func readPage(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(programs.root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// session is a terminal in the folder home. What one command exports the next one has.
type session struct {
	home    string
	exports string // file of what was exported
	code    int    // of the last command, for $?
	count   int
}

// serverPID is where a page keeps the process id of a server that it has started.
const serverPID = "server.pid"

// newSession opens a terminal. A server that a page has started and not stopped is stopped at the end.
func newSession(t *testing.T) *session {
	t.Helper()
	s := &session{home: t.TempDir(), exports: filepath.Join(t.TempDir(), "exports")}
	if err := os.WriteFile(s.exports, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := os.Stat(filepath.Join(s.home, serverPID)); err == nil {
			_ = exec.Command("sh", "-c", `kill -9 "$(cat "$0")" 2>/dev/null`, filepath.Join(s.home, serverPID)).Run() // the test's is over
		}
	})
	return s
}

func (s *session) write(t *testing.T, name string, lines []string) {
	t.Helper()
	file := filepath.Join(s.home, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (s *session) play(t *testing.T, name string, b block) {
	t.Helper()
	list, err := b.steps()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for _, st := range list {
		s.count++
		got := s.shell(t, st.command)
		if !st.pattern().MatchString(got) {
			want := strings.Join(append(st.output, ""), "\n")
			t.Errorf("%s:%d: $ %s\n(- the page, + the program) %s", name, st.line, st.command, cmp.Diff(want, got))
		}
	}
}

// shell runs one command and returns all that it prints, as a terminal would show it.
func (s *session) shell(t *testing.T, command string) string {
	t.Helper()
	script := fmt.Sprintf(". \"$0\"; trap 'export -p >\"$0\"' EXIT; exec 2>&1; (exit %d)\n%s", s.code, command)
	cmd := binary.Command(t.Context(), s.home, "bash", "-c", script, s.exports)
	cmd.Env = append(cmd.Env, "PATH="+programs.bin+string(os.PathListSeparator)+os.Getenv("PATH"), "LC_ALL=C.UTF-8")
	stop := time.AfterFunc(5*time.Minute, func() { _ = cmd.Process.Kill() })
	defer stop.Stop()
	result, err := binary.Run(cmd)
	if err != nil {
		t.Fatal(err)
	}
	s.code = result.Code
	if result.Stdout != "" && !strings.HasSuffix(result.Stdout, "\n") {
		result.Stdout += "\n"
	}
	return result.Stdout
}

// TestProjects checks every project that a page shows. Pages show no values of secrets, and not every file; that these are
// missing is no fault.
func TestProjects(t *testing.T) {
	t.Parallel()
	for _, name := range pages(t) {
		for _, b := range blocks(readPage(t, name)) {
			if _, ok := b.project(); !ok {
				continue
			}
			t.Run(fmt.Sprintf("%s:%d", name, b.line), func(t *testing.T) {
				t.Parallel()
				s := newSession(t)
				s.write(t, "shown/project.yml", b.text)
				got := s.shell(t, "handoff config validate local -p shown -l warning -o text")
				said := slices.DeleteFunc(strings.Split(got, "\n"), func(line string) bool {
					return strings.Contains(line, "has no value") || strings.HasSuffix(line, "is not in the project")
				})
				if s.code != 0 || len(said) != 2 || said[1] != "" || !strings.HasPrefix(said[0], "shown/project.yml is valid") {
					t.Errorf("exit code %d\n%s", s.code, got)
				}
			})
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)#\s]*)(#[^)\s]*)?\)`)

// TestLinks follows the links of every page to files of the checkout, and to headings in them.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, name := range pages(t) {
		for _, found := range link.FindAllStringSubmatch(readPage(t, name), -1) {
			file, heading := found[1], found[2]
			if strings.Contains(file, "://") {
				continue
			}
			target := name
			if file != "" {
				target = filepath.Join(filepath.Dir(name), file)
			}
			if _, err := os.Stat(filepath.Join(programs.root, target)); err != nil {
				t.Errorf("%s: the link %s leads nowhere", name, file)
			} else if heading != "" && !slices.Contains(anchors(readPage(t, target)), heading) {
				t.Errorf("%s: there is no heading %s in %s", name, heading, target)
			}
		}
	}
}

// pages returns the Markdown pages that git knows of.
func pages(t *testing.T) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md")
	cmd.Dir = programs.root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(string(out))
	if len(names) < 3 {
		t.Fatalf("only %q", names)
	}
	return names
}
