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
)

// Logs runs the tests of cloud.Logs. Where Append is ErrUnsupported, World has to return a Logs whose Append stands for
// the platform that collects the lines.
func Logs(t *testing.T, open func(t *testing.T) World) {
	for name, test := range map[string]func(*testing.T, World){
		"none":               testNoLogs,
		"text":               testLogText,
		"equal times":        testEqualTimes,
		"queries":            testQueries,
		"bad queries":        testBadQueries,
		"merged runs":        testMergedRuns,
		"a clock steps back": testClockBack,
		"many lines":         testManyLines,
		"writers at once":    testLogWriters,
		"follow":             testFollow,
		"follow any run":     testFollowAny,
		"follow ends":        testFollowEnds,
		"a cancelled call":   testCancelLogs,
		"other tasks":        testLogScopes,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// noon is the time of the first line of most tests.
func noon(seconds int) time.Time {
	return time.Date(2026, 1, 30, 12, 0, seconds, 123_000_000, time.UTC)
}

func line(second int, text string) cloud.Line {
	return cloud.Line{Time: noon(second), Job: "job-1", Run: "run-1", Text: text}
}

func appendLines(t *testing.T, l cloud.Logs, lines ...cloud.Line) {
	t.Helper()
	if err := l.Append(t.Context(), lines...); err != nil {
		t.Fatal(err)
	}
}

func readLines(t *testing.T, l cloud.Logs, q cloud.Query) []cloud.Line {
	t.Helper()
	var all []cloud.Line
	for x, err := range l.Read(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, x)
	}
	return all
}

func texts(lines []cloud.Line) []string {
	var all []string
	for _, x := range lines {
		all = append(all, x.Text)
	}
	return all
}

func testNoLogs(t *testing.T, w World) {
	l := w(scope).Logs
	if err := l.Append(t.Context()); err != nil {
		t.Errorf("append nothing: %v", err)
	}
	for _, q := range []cloud.Query{{}, {Job: "none"}, {Run: "none"}, {Job: "none", Run: "none"}} {
		if got := readLines(t, l, q); len(got) > 0 {
			t.Errorf("%+v: %v", q, got)
		}
	}
}

func testLogText(t *testing.T, w World) {
	want := []cloud.Line{
		line(0, "first"), line(1, ""), line(1, "  blanks  "), line(2, "größe 日本語 🙂"), line(2, `{"a": "b\n"}`), line(3, "tab\tand \x1b[31mred\x1b[0m"),
		line(3, strings.Repeat("long ", 30_000)), line(4, "last"),
	}
	appendLines(t, w(scope).Logs, want[:3]...)
	appendLines(t, w(scope).Logs, want[3:]...)
	if diff := cmp.Diff(want, readLines(t, w(scope).Logs, cloud.Query{})); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	appendLines(t, w(scope).Logs, line(5, "one\ntwo\n"))
	if got := texts(readLines(t, w(scope).Logs, cloud.Query{Start: noon(5)})); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("a text with line ends: %q", got)
	}
}

func testEqualTimes(t *testing.T, w World) {
	var want []string
	l := w(scope).Logs
	for batch := range 25 {
		var lines []cloud.Line
		for i := range 101 { // more than a page of any provider, all in one millisecond
			lines = append(lines, line(0, fmt.Sprintf("%03d.%03d", batch, i)))
		}
		appendLines(t, l, lines...)
		want = append(want, texts(lines)...)
	}
	if diff := cmp.Diff(want, texts(readLines(t, w(scope).Logs, cloud.Query{}))); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	got := texts(readLines(t, w(scope).Logs, cloud.Query{Start: noon(0), End: noon(1)}))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read from their time on (-want +got):\n%s", diff)
	}
}

func testQueries(t *testing.T, w World) {
	l := w(scope).Logs
	for job := range 2 {
		for run := range 2 {
			for s := range 5 {
				appendLines(t, l, cloud.Line{Time: noon(s), Job: fmt.Sprintf("j%d", job), Run: fmt.Sprintf("r%d", run), Text: fmt.Sprintf("j%d r%d s%d", job, run, s)})
			}
		}
	}
	for name, test := range map[string]struct {
		query cloud.Query
		want  []string
	}{
		"run":             {cloud.Query{Job: "j0", Run: "r1"}, []string{"j0 r1 s0", "j0 r1 s1", "j0 r1 s2", "j0 r1 s3", "j0 r1 s4"}},
		"start":           {cloud.Query{Job: "j0", Run: "r1", Start: noon(3)}, []string{"j0 r1 s3", "j0 r1 s4"}},
		"start between":   {cloud.Query{Job: "j0", Run: "r1", Start: noon(3).Add(time.Millisecond)}, []string{"j0 r1 s4"}},
		"end":             {cloud.Query{Job: "j0", Run: "r1", End: noon(2)}, []string{"j0 r1 s0", "j0 r1 s1"}},
		"start and end":   {cloud.Query{Job: "j0", Run: "r1", Start: noon(1), End: noon(3)}, []string{"j0 r1 s1", "j0 r1 s2"}},
		"another zone":    {cloud.Query{Job: "j0", Run: "r1", Start: noon(4).In(time.FixedZone("x", 3600))}, []string{"j0 r1 s4"}},
		"limit":           {cloud.Query{Job: "j1", Run: "r0", Limit: 2}, []string{"j1 r0 s0", "j1 r0 s1"}},
		"filter":          {cloud.Query{Filter: "r0 s2"}, []string{"j0 r0 s2", "j1 r0 s2"}},
		"filter is text":  {cloud.Query{Filter: "r. s"}, nil},
		"filter by case":  {cloud.Query{Filter: "R0"}, nil},
		"filter, limit":   {cloud.Query{Job: "j0", Filter: "s3", Limit: 1}, []string{"j0 r0 s3"}},
		"job":             {cloud.Query{Job: "j1", Start: noon(4)}, []string{"j1 r0 s4", "j1 r1 s4"}},
		"run of any job":  {cloud.Query{Run: "r0", Start: noon(4)}, []string{"j0 r0 s4", "j1 r0 s4"}},
		"all, by time":    {cloud.Query{Start: noon(3), Limit: 5}, []string{"j0 r0 s3", "j0 r1 s3", "j1 r0 s3", "j1 r1 s3", "j0 r0 s4"}},
		"after the end":   {cloud.Query{Start: noon(9)}, nil},
		"before it began": {cloud.Query{End: noon(0)}, nil},
	} {
		if diff := cmp.Diff(test.want, texts(readLines(t, l, test.query))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func testBadQueries(t *testing.T, w World) {
	for _, q := range []cloud.Query{{Limit: -1}, {Start: noon(1), End: noon(1)}, {Start: noon(2), End: noon(1)}} {
		n := 0
		for _, err := range w(scope).Logs.Read(t.Context(), q) {
			n++
			if !errors.Is(err, cloud.ErrInvalid) {
				t.Errorf("%+v: %v, want ErrInvalid", q, err)
			}
		}
		if n != 1 {
			t.Errorf("%+v yields %d times", q, n)
		}
	}
	if err := w(scope).Logs.Append(t.Context(), cloud.Line{Time: noon(0), Text: "no job"}); !errors.Is(err, cloud.ErrInvalid) {
		t.Errorf("a line of no job: %v, want ErrInvalid", err)
	}
}

func testMergedRuns(t *testing.T, w World) {
	l := w(scope).Logs
	for run := range 3 {
		for i := range 100 {
			x := line(0, fmt.Sprintf("%d %d", run, i))
			x.Run = fmt.Sprintf("r%d", run)
			x.Time = noon(0).Add(time.Duration(i*3+run) * time.Second)
			appendLines(t, l, x)
		}
	}
	got := readLines(t, l, cloud.Query{})
	if len(got) != 300 || !slices.IsSortedFunc(got, func(a, b cloud.Line) int { return a.Time.Compare(b.Time) }) {
		t.Errorf("%d lines, want 300 that are sorted by time", len(got))
	}
}

func testClockBack(t *testing.T, w World) {
	l := w(scope).Logs
	appendLines(t, l, line(10, "a"), line(20, "b"))
	appendLines(t, w(scope).Logs, line(5, "c"), line(6, "d"), line(30, "e"))
	want := []cloud.Line{line(10, "a"), line(20, "b"), line(20, "c"), line(20, "d"), line(30, "e")}
	if diff := cmp.Diff(want, readLines(t, l, cloud.Query{})); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	if got := texts(readLines(t, l, cloud.Query{Start: noon(20), End: noon(21)})); !slices.Equal(got, []string{"b", "c", "d"}) {
		t.Errorf("around the step: %q", got)
	}
}

func testManyLines(t *testing.T, w World) {
	l := w(scope).Logs
	const total, batch = 30_000, 1000
	padding := strings.Repeat(".", 100)
	for i := 0; i < total; i += batch {
		var lines []cloud.Line
		for n := i; n < i+batch; n++ {
			lines = append(lines, cloud.Line{Time: noon(0).Add(time.Duration(n/7) * time.Millisecond), Job: "j", Run: "r", Text: fmt.Sprintf("%06d%s", n, padding)})
		}
		appendLines(t, l, lines...)
	}
	n := 0
	for x, err := range l.Read(t.Context(), cloud.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("%06d", n); x.Text[:6] != want {
			t.Fatalf("line %s in the place of %s", x.Text[:6], want)
		}
		n++
	}
	if n != total {
		t.Errorf("%d lines, want %d", n, total)
	}
	for _, at := range []int{0, 6, 7, 9999, 14_000, 21_000, total - 1} {
		start := noon(0).Add(time.Duration(at/7) * time.Millisecond)
		got := readLines(t, l, cloud.Query{Start: start, Limit: 1})
		if want := fmt.Sprintf("%06d", at/7*7); len(got) != 1 || got[0].Text[:6] != want {
			t.Errorf("from the time of line %d on: %.10q, want %s", at, texts(got), want)
		}
	}
}

func testLogWriters(t *testing.T, w World) {
	var group sync.WaitGroup
	for writer := range 8 {
		l := w(scope).Logs
		group.Go(func() {
			for i := range 50 {
				if err := l.Append(t.Context(), line(i, fmt.Sprintf("%d %02d", writer, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	got := readLines(t, w(scope).Logs, cloud.Query{})
	if !slices.IsSortedFunc(got, func(a, b cloud.Line) int { return a.Time.Compare(b.Time) }) {
		t.Error("not sorted by time")
	}
	seen := map[string]int{}
	for _, x := range got {
		seen[x.Text]++
		var writer, i int
		if _, err := fmt.Sscanf(x.Text, "%d %d", &writer, &i); err != nil {
			t.Errorf("mixed line %q", x.Text)
		}
	}
	if len(got) != 400 || len(seen) != 400 {
		t.Errorf("%d lines, %d different ones, want 400", len(got), len(seen))
	}
}

// follow reads in the background; the channel gets each text and is closed at the end.
func follow(ctx context.Context, t *testing.T, l cloud.Logs, q cloud.Query) <-chan string {
	q.Follow = true
	out := make(chan string)
	go func() {
		defer close(out)
		for x, err := range l.Read(ctx, q) {
			if err != nil {
				t.Errorf("follow: %v", err)
				return
			}
			out <- x.Text
		}
	}()
	return out
}

func next(t *testing.T, out <-chan string) string {
	t.Helper()
	select {
	case text, ok := <-out:
		if !ok {
			return "(end)"
		}
		return text
	case <-time.After(time.Minute):
		t.Fatal("nothing comes")
		return ""
	}
}

func testFollow(t *testing.T, w World) {
	appendLines(t, w(scope).Logs, line(0, "before"))
	done := make(chan struct{})
	out := follow(t.Context(), t, w(scope).Logs, cloud.Query{Job: "job-1", Done: done})
	if got := next(t, out); got != "before" {
		t.Errorf("got %q", got)
	}
	writer := w(scope).Logs
	for i := range 20 {
		text := fmt.Sprint("line ", i)
		appendLines(t, writer, line(1, text), line(1, text+"b"))
		if got, second := next(t, out), next(t, out); got != text || second != text+"b" {
			t.Errorf("got %q and %q, want %q twice", got, second, text)
		}
	}
	appendLines(t, writer, line(2, "the last words"))
	close(done)
	if got, end := next(t, out), next(t, out); got != "the last words" || end != "(end)" {
		t.Errorf("after the end: %q, %q", got, end)
	}
}

func testFollowAny(t *testing.T, w World) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := follow(ctx, t, w(scope).Logs, cloud.Query{Filter: "yes"})
	for i := range 5 {
		x := line(i, fmt.Sprint("yes ", i))
		x.Job, x.Run = fmt.Sprint("job ", i), ""
		no := x
		no.Text = "no"
		appendLines(t, w(scope).Logs, no, x)
		if got := next(t, out); got != x.Text {
			t.Errorf("got %q, want %q", got, x.Text)
		}
	}
	stop()
	if got := next(t, out); got != "(end)" {
		t.Errorf("after its context: %q", got)
	}
}

func testFollowEnds(t *testing.T, w World) {
	l := w(scope).Logs
	appendLines(t, l, line(0, "a"), line(1, "b"), line(2, "c"))
	for name, test := range map[string]struct {
		query cloud.Query
		want  []string
	}{
		"limit": {cloud.Query{Limit: 2}, []string{"a", "b"}},
		"end":   {cloud.Query{End: noon(2)}, []string{"a", "b"}},
	} {
		out := follow(t.Context(), t, l, test.query)
		for _, want := range append(test.want, "(end)") {
			if got := next(t, out); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
	}
}

func testCancelLogs(t *testing.T, w World) {
	l := w(scope).Logs
	ctx, stop := context.WithCancel(t.Context())
	stop()
	wantStopped(t, "append", l.Append(ctx, line(0, "a")), context.Canceled)
	n := 0
	for _, err := range l.Read(ctx, cloud.Query{}) {
		wantStopped(t, "read", err, context.Canceled)
		n++
	}
	if n != 1 {
		t.Errorf("a read that was cancelled before yielded %d times", n)
	}
}

func testLogScopes(t *testing.T, w World) {
	appendLines(t, w(scope).Logs, line(0, "mine"))
	for _, other := range []cloud.Scope{
		{Stage: "prod", ResourceGroup: "etl", Task: "orders"}, {Stage: "dev", ResourceGroup: "etl", Task: "rates"},
		{Stage: "prod", ResourceGroup: "etl", Task: "Rates"}, {Stage: "prod", ResourceGroup: "etl"},
	} {
		if got := readLines(t, w(other).Logs, cloud.Query{}); len(got) > 0 {
			t.Errorf("%+v sees %q", other, texts(got))
		}
	}
}
