package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/plan"
)

// noted notes what it is told of states.
type noted struct {
	dir  string // of the artifacts
	fail string // what is refused
	mu   sync.Mutex
	told []string
}

func (n *noted) note(format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, text)
	if n.fail != "" && strings.HasPrefix(text, n.fail) {
		return errors.New("the bucket is gone")
	}
	return nil
}

func nameOf(p *Stateful) string { return p.Task[len(p.Task)-1] + fmt.Sprint(p.Lines) }

func (n *noted) Begin(_ context.Context, p *Stateful) error { return n.note("begin %s", nameOf(p)) }
func (n *noted) Emptied(p *Stateful) {
	text, _ := os.ReadFile(filepath.Join(n.dir, p.Stdout))
	_ = n.note("emptied %s%s", nameOf(p), text)
}

func (n *noted) Ended(_ context.Context, body []*Stateful, success bool) error {
	var all []string
	for _, p := range body {
		text, _ := os.ReadFile(filepath.Join(n.dir, p.Stdout))
		all = append(all, fmt.Sprintf("%s %v %q", nameOf(p), p.Succeeded, text))
	}
	slices.Sort(all)
	return n.note("ended %v: %s", success, strings.Join(all, ", "))
}

// withState is a pipeline that prints what format makes of its line, and has a state.
func withState(name, format string) plan.Task {
	x := pipelineTask(name, forLine("s", format))
	x.State = &plan.State{}
	return x
}

func TestStatesAreTold(t *testing.T) {
	t.Parallel()
	lines := func(text string, n int, tasks ...plan.Task) plan.Task {
		return pipelineTask("t", sh("lines", "printf '%s\\n' "+text), foreachStage("each", n, tasks...))
	}
	retried := withState("load", "echo {line}; test -e $DIR/{line} || { touch $DIR/{line}; exit 1; }")
	retried.Retries.Max = 1
	allowed := withState("may", "exit 1")
	allowed.AllowFailure = true
	top := pipelineTask("top", sh("s", "echo 1"))
	top.State = &plan.State{}
	branch := pipelineTask("branch", sh("s", "cat"))
	branch.State = &plan.State{}
	again := lines("a b", 1, withState("load", "test {line} = a || test -e $DIR/again || { touch $DIR/again; exit 1; }"))
	again.Retries.Max = 1
	for _, tc := range []struct {
		name, fail string
		task       plan.Task
		want       []string
		outcome    Outcome
		reason     string
	}{
		{"each body by itself", "", lines("a b", 1, withState("load", "echo {line}"), withState("more", "echo {line}{line}")), []string{
			"begin load[a]", "emptied load[a]", "begin more[a]", "emptied more[a]", `ended true: load[a] true "a\n", more[a] true "aa\n"`,
			"begin load[b]", "emptied load[b]", "begin more[b]", "emptied more[b]", `ended true: load[b] true "b\n", more[b] true "bb\n"`,
		}, Success, ""},
		{"what came before succeeded, the body has not", "", lines("a", 1, withState("load", "echo {line}"), bodyTask("b", "exit 3")), []string{
			"begin load[a]", "emptied load[a]", `ended false: load[a] true "a\n"`,
		}, Failed, "exited with code 3"},
		{"a failure that is allowed", "", lines("a", 1, allowed, withState("load", "echo {line}")), []string{
			"begin may[a]", "emptied may[a]", "begin load[a]", "emptied load[a]", `ended true: load[a] true "a\n", may[a] false ""`,
		}, Success, ""},
		{"a further try", "", lines("a", 1, retried), []string{
			"begin load[a]", "emptied load[a]", "begin load[a]", "emptied load[a]", `ended true: load[a] true "a\n"`,
		}, Success, ""},
		{"no state to begin with", "begin load[b]", lines("a b c", 1, withState("load", "echo {line}")), []string{
			"begin load[a]", "emptied load[a]", `ended true: load[a] true "a\n"`, "begin load[b]", `ended false: load[b] false ""`,
		}, Failed, `line 2 ("b"): the bucket is gone`},
		{"not committed", "ended true: load[a]", lines("a b", 1, withState("load", "echo {line}")), []string{
			"begin load[a]", "emptied load[a]", `ended true: load[a] true "a\n"`,
		}, Failed, `line 1 ("a"): the bucket is gone`},
		{"a line that comes twice", "", lines("a b a c", 1, withState("load", "echo {line}")), []string{
			"begin load[a]", "emptied load[a]", `ended true: load[a] true "a\n"`, "begin load[b]", "emptied load[b]", `ended true: load[b] true "b\n"`,
		}, Failed, `line 3 ("a"): it has come before, as line 1`},
		{"no state, so it may come twice", "", lines("a a", 1, bodyTask("load", "echo {line}")), nil, Success, ""},
		{"all lines once more", "", again, []string{
			"begin load[a]", "emptied load[a]", `ended true: load[a] true ""`, "begin load[b]", "emptied load[b]", `ended false: load[b] false ""`,
			"begin load[a]", "emptied load[a]", `ended true: load[a] true ""`, "begin load[b]", "emptied load[b]", `ended true: load[b] true ""`,
		}, Success, ""},
		{"nested", "", lines("a b", 1, lines("x y", 1, withState("load", "echo {line}"))), []string{
			"begin load[a x]", "emptied load[a x]", `ended true: load[a x] true "x\n"`, "begin load[a y]", "emptied load[a y]", `ended true: load[a y] true "y\n"`,
			"begin load[b x]", "emptied load[b x]", `ended true: load[b x] true "x\n"`, "begin load[b y]", "emptied load[b y]", `ended true: load[b y] true "y\n"`,
		}, Success, ""},
		{"one artifact name for two lines", "", lines("a/b 'a b'", 1, withState("load", "echo {line}")), []string{
			"begin load[a/b]", "emptied load[a/b]", `ended true: load[a/b] true "a/b\n"`, "begin load[a b]", "emptied load[a b]", `ended true: load[a b] true "a b\n"`,
		}, Success, ""},
		{"a branch in a body", "", lines("a", 1, pipelineTask("p", forLine("s", "echo {line}"), forkStage("fork", branch))), []string{
			"begin branch[a]", "emptied branch[a]", `ended true: branch[a] true "a\n"`,
		}, Success, ""},
		{"a foreach in a branch", "", pipelineTask("p", sh("s", "echo a"), forkStage("fork", pipelineTask("q", foreachStage("each", 1, withState("load", "echo {line}"))))), []string{
			"begin load[a]", "emptied load[a]", `ended true: load[a] true "a\n"`,
		}, Success, ""},
		{"outside of a foreach", "", top, []string{"begin top[]", "emptied top[]", `ended true: top[] true "1\n"`}, Success, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tc.task)
			n := &noted{dir: w.arts, fail: tc.fail}
			w.opts.States = n
			res := w.run()
			if res.Outcome != tc.outcome || !strings.Contains(res.Reason, tc.reason) {
				t.Errorf("%s: %s", res.Outcome, res.Reason)
			}
			if diff := cmp.Diff(tc.want, n.told); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What one body waits for keeps no other one waiting, and no event.
func TestStatesWaitAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pipelineTask("t", sh("lines", "seq 8"), foreachStage("each", 4, withState("load", "echo {line} >&2"))))
	const together = 4
	n := &meeting{want: together, met: make(chan struct{})}
	w.opts.States = n
	w.want(w.run(), Success)
}

// meeting lets the first bodies end only when so many of them have come to their end.
type meeting struct {
	noted
	want, came int
	met        chan struct{}
}

func (m *meeting) Ended(ctx context.Context, body []*Stateful, success bool) error {
	m.mu.Lock()
	if m.came++; m.came == m.want {
		close(m.met)
	}
	m.mu.Unlock()
	select {
	case <-m.met:
	case <-ctx.Done():
	}
	return nil
}
