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
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/handoff-run/handoff/internal/cloud"
)

// LogsBench is a World into whose logs a test can write.
type LogsBench struct {
	World

	// Writer returns what stands for the platform that collects the lines of the jobs of a scope, each time a new one, as of
	// another machine. The lines can be read when it has returned.
	Writer func(cloud.Scope) func(context.Context, ...cloud.Line) error

	// Late is a Writer whose lines arrive as late as those of the provider may; nil: they are never late.
	Late func(cloud.Scope) func(context.Context, ...cloud.Line) error
}

// Logs runs the tests of cloud.Logs.
func Logs(t *testing.T, open func(t *testing.T) LogsBench) {
	for name, test := range map[string]func(*testing.T, LogsBench){
		"none":             testNoLogs,
		"text":             testLogText,
		"equal times":      testEqualTimes,
		"queries":          testQueries,
		"bad queries":      testBadQueries,
		"the last lines":   testTail,
		"follow the last":  testFollowTail,
		"late lines":       testLateLines,
		"merged runs":      testMergedRuns,
		"many lines":       testManyLines,
		"writers at once":  testLogWriters,
		"follow":           testFollow,
		"follow any run":   testFollowAny,
		"follow ends":      testFollowEnds,
		"a cancelled call": testCancelLogs,
		"other tasks":      testLogScopes,
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
	return cloud.Line{Time: noon(second), JobID: "job-1", RunID: "run-1", Text: text}
}

// write adds lines as one that is new.
func (b LogsBench) write(t *testing.T, lines ...cloud.Line) {
	t.Helper()
	if err := b.Writer(scope)(t.Context(), lines...); err != nil {
		t.Fatal(err)
	}
}

func (b LogsBench) logs() cloud.Logs { return b.World(scope).Logs }

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

func testNoLogs(t *testing.T, b LogsBench) {
	l := b.logs()
	for _, q := range []cloud.Query{{}, {JobID: "none"}, {RunID: "none"}, {JobID: "none", RunID: "none"}} {
		if got := readLines(t, l, q); len(got) > 0 {
			t.Errorf("%+v: %v", q, got)
		}
	}
}

func testLogText(t *testing.T, b LogsBench) {
	want := []cloud.Line{
		line(0, "first"), line(1, ""), line(1, "  blanks  "), line(2, "größe 日本語 🙂"), line(2, `{"a": "b\n"}`), line(3, "tab\tand \x1b[31mred\x1b[0m"),
		line(3, strings.Repeat("long ", 30_000)), line(4, "last"),
	}
	b.write(t, want[:3]...)
	b.write(t, want[3:]...)
	if diff := cmp.Diff(want, readLines(t, b.logs(), cloud.Query{})); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
}

func testEqualTimes(t *testing.T, b LogsBench) {
	var want []string
	for batch := range 25 {
		var lines []cloud.Line
		for i := range 101 { // more than a page of any provider, all in one millisecond
			lines = append(lines, line(0, fmt.Sprintf("%03d.%03d", batch, i)))
		}
		b.write(t, lines...)
		want = append(want, texts(lines)...)
	}
	if diff := cmp.Diff(want, texts(readLines(t, b.logs(), cloud.Query{}))); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	got := texts(readLines(t, b.logs(), cloud.Query{Start: noon(0), End: noon(1)}))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read from their time on (-want +got):\n%s", diff)
	}
}

func testQueries(t *testing.T, b LogsBench) {
	l := b.logs()
	for job := range 2 {
		for run := range 2 {
			for s := range 5 {
				b.write(t, cloud.Line{Time: noon(s), JobID: fmt.Sprintf("j%d", job), RunID: fmt.Sprintf("r%d", run), Text: fmt.Sprintf("j%d r%d s%d", job, run, s)})
			}
		}
	}
	for name, test := range map[string]struct {
		query cloud.Query
		want  []string
	}{
		"run":             {cloud.Query{JobID: "j0", RunID: "r1"}, []string{"j0 r1 s0", "j0 r1 s1", "j0 r1 s2", "j0 r1 s3", "j0 r1 s4"}},
		"start":           {cloud.Query{JobID: "j0", RunID: "r1", Start: noon(3)}, []string{"j0 r1 s3", "j0 r1 s4"}},
		"start between":   {cloud.Query{JobID: "j0", RunID: "r1", Start: noon(3).Add(time.Millisecond)}, []string{"j0 r1 s4"}},
		"end":             {cloud.Query{JobID: "j0", RunID: "r1", End: noon(2)}, []string{"j0 r1 s0", "j0 r1 s1"}},
		"start and end":   {cloud.Query{JobID: "j0", RunID: "r1", Start: noon(1), End: noon(3)}, []string{"j0 r1 s1", "j0 r1 s2"}},
		"another zone":    {cloud.Query{JobID: "j0", RunID: "r1", Start: noon(4).In(time.FixedZone("x", 3600))}, []string{"j0 r1 s4"}},
		"tail":            {cloud.Query{JobID: "j1", RunID: "r0", Tail: 2}, []string{"j1 r0 s3", "j1 r0 s4"}},
		"filter":          {cloud.Query{Filter: "r0 s2"}, []string{"j0 r0 s2", "j1 r0 s2"}},
		"filter is text":  {cloud.Query{Filter: "r. s"}, nil},
		"filter by case":  {cloud.Query{Filter: "R0"}, nil},
		"filter, tail":    {cloud.Query{JobID: "j0", Filter: "s3", Tail: 1}, []string{"j0 r1 s3"}},
		"tail of a time":  {cloud.Query{Start: noon(1), End: noon(3), Tail: 3}, []string{"j0 r1 s2", "j1 r0 s2", "j1 r1 s2"}},
		"tail of a start": {cloud.Query{JobID: "j0", Start: noon(4), Tail: 5}, []string{"j0 r0 s4", "j0 r1 s4"}},
		"tail of nothing": {cloud.Query{Filter: "none", Tail: 5}, nil},
		"job":             {cloud.Query{JobID: "j1", Start: noon(4)}, []string{"j1 r0 s4", "j1 r1 s4"}},
		"run of any job":  {cloud.Query{RunID: "r0", Start: noon(4)}, []string{"j0 r0 s4", "j1 r0 s4"}},
		"all, by time":    {cloud.Query{Start: noon(3), Filter: "r0"}, []string{"j0 r0 s3", "j1 r0 s3", "j0 r0 s4", "j1 r0 s4"}},
		"after the end":   {cloud.Query{Start: noon(9)}, nil},
		"before it began": {cloud.Query{End: noon(0)}, nil},
	} {
		if diff := cmp.Diff(test.want, texts(readLines(t, l, test.query))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func testBadQueries(t *testing.T, b LogsBench) {
	for _, q := range []cloud.Query{{Tail: -1}, {Start: noon(1), End: noon(1)}, {Start: noon(2), End: noon(1)}} {
		n := 0
		for _, err := range b.logs().Read(t.Context(), q) {
			n++
			if !errors.Is(err, cloud.ErrInvalid) {
				t.Errorf("%+v: %v, want ErrInvalid", q, err)
			}
		}
		if n != 1 {
			t.Errorf("%+v yields %d times", q, n)
		}
	}
}

func testMergedRuns(t *testing.T, b LogsBench) {
	write := b.Writer(scope)
	for run := range 3 {
		for i := range 100 {
			x := line(0, fmt.Sprintf("%d %d", run, i))
			x.RunID = fmt.Sprintf("r%d", run)
			x.Time = noon(0).Add(time.Duration(i*3+run) * time.Second)
			if err := write(t.Context(), x); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := readLines(t, b.logs(), cloud.Query{})
	if len(got) != 300 || !slices.IsSortedFunc(got, func(a, b cloud.Line) int { return a.Time.Compare(b.Time) }) {
		t.Errorf("%d lines, want 300 that are sorted by time", len(got))
	}
}

func testManyLines(t *testing.T, b LogsBench) {
	l := b.logs()
	const total, batch = 30_000, 1000
	padding := strings.Repeat(".", 100)
	for i := 0; i < total; i += batch {
		var lines []cloud.Line
		for n := i; n < i+batch; n++ {
			lines = append(lines, cloud.Line{Time: noon(0).Add(time.Duration(n/7) * time.Millisecond), JobID: "j", RunID: "r", Text: fmt.Sprintf("%06d%s", n, padding)})
		}
		b.write(t, lines...)
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
		want := fmt.Sprintf("%06d", at/7*7)
		for x, err := range l.Read(t.Context(), cloud.Query{Start: start}) { // who leaves early does not pay for the rest
			if err != nil || x.Text[:6] != want {
				t.Errorf("from the time of line %d on: %.10q, %v, want %s", at, x.Text, err, want)
			}
			break
		}
	}
}

func testLogWriters(t *testing.T, b LogsBench) {
	var group sync.WaitGroup
	for writer := range 8 {
		write := b.Writer(scope)
		group.Go(func() {
			for i := range 50 {
				if err := write(t.Context(), line(i, fmt.Sprintf("%d %02d", writer, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	got := readLines(t, b.logs(), cloud.Query{})
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

func testFollow(t *testing.T, b LogsBench) {
	b.write(t, line(0, "before"))
	done := make(chan struct{})
	out := follow(t.Context(), t, b.logs(), cloud.Query{JobID: "job-1", Done: done})
	if got := next(t, out); got != "before" {
		t.Errorf("got %q", got)
	}
	for i := range 20 {
		text := fmt.Sprint("line ", i)
		b.write(t, line(1, text), line(1, text+"b"))
		if got, second := next(t, out), next(t, out); got != text || second != text+"b" {
			t.Errorf("got %q and %q, want %q twice", got, second, text)
		}
	}
	b.write(t, line(2, "the last words"))
	close(done)
	if got, end := next(t, out), next(t, out); got != "the last words" || end != "(end)" {
		t.Errorf("after the end: %q, %q", got, end)
	}
}

func testFollowAny(t *testing.T, b LogsBench) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := follow(ctx, t, b.logs(), cloud.Query{Filter: "yes"})
	for i := range 5 {
		x := line(i, fmt.Sprint("yes ", i))
		x.JobID, x.RunID = fmt.Sprint("job ", i), ""
		no := x
		no.Text = "no"
		b.write(t, no, x)
		if got := next(t, out); got != x.Text {
			t.Errorf("got %q, want %q", got, x.Text)
		}
	}
	stop()
	if got := next(t, out); got != "(end)" {
		t.Errorf("after its context: %q", got)
	}
}

func testFollowEnds(t *testing.T, b LogsBench) {
	b.write(t, line(0, "a"), line(1, "b"), line(2, "c"))
	out := follow(t.Context(), t, b.logs(), cloud.Query{End: noon(2)})
	for _, want := range []string{"a", "b", "(end)"} {
		if got := next(t, out); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// The last lines are those of a reading that goes through all of them, however many there are and whatever is asked for beside.
func testTail(t *testing.T, b LogsBench) {
	writers := []func(context.Context, ...cloud.Line) error{b.Writer(scope), b.Writer(scope)}
	for batch := range 40 {
		var lines []cloud.Line
		for i := range 50 {
			n := batch*50 + i
			lines = append(lines, cloud.Line{
				Time: noon(n / 20), JobID: fmt.Sprintf("j%d", batch%2), RunID: fmt.Sprintf("r%d", batch%6), Text: fmt.Sprintf("%04d%s", n, strings.Repeat(".", 1000)),
			})
		}
		if err := writers[batch%2](t.Context(), lines...); err != nil {
			t.Fatal(err)
		}
	}
	for _, q := range []cloud.Query{
		{}, {JobID: "j1"}, {RunID: "r4"}, {JobID: "j0", RunID: "r2"}, {Filter: "7."}, {Filter: "none"}, {Start: noon(70)}, {End: noon(33)}, {Start: noon(10), End: noon(20), Filter: "1."},
	} {
		all := readLines(t, b.logs(), q)
		for _, q.Tail = range []int{1, 7, 333, 5000} {
			want := all[max(0, len(all)-q.Tail):]
			if diff := cmp.Diff(want, readLines(t, b.logs(), q), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%+v (-want +got):\n%.2000s", q, diff)
			}
		}
	}
}

func testFollowTail(t *testing.T, b LogsBench) {
	b.write(t, line(0, "a"), line(1, "b"), line(2, "c"))
	other := line(0, "earlier")
	other.JobID = "job-0"
	b.write(t, other)
	done := make(chan struct{})
	out := follow(t.Context(), t, b.logs(), cloud.Query{Tail: 2, Done: done})
	first, second := next(t, out), next(t, out)
	third := line(3, "of one whose lines were left out")
	third.JobID = "job-0"
	b.write(t, line(3, "d"))
	got := []string{first, second, next(t, out)}
	b.write(t, third)
	got = append(got, next(t, out))
	fourth := line(4, "of a new one")
	fourth.JobID = "job-2"
	b.write(t, fourth)
	close(done)
	got = append(got, next(t, out), next(t, out))
	if diff := cmp.Diff([]string{"b", "c", "d", third.Text, fourth.Text, "(end)"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What a job wrote at its end is read, though it arrives when the end is known.
func testLateLines(t *testing.T, b LogsBench) {
	late := b.Late
	if late == nil {
		late = b.Writer
	}
	b.write(t, line(0, "a"))
	done := make(chan struct{})
	out := follow(t.Context(), t, b.logs(), cloud.Query{JobID: "job-1", Done: done})
	if got := next(t, out); got != "a" {
		t.Errorf("got %q", got)
	}
	if err := late(scope)(t.Context(), line(1, "b"), line(2, "c")); err != nil {
		t.Fatal(err)
	}
	close(done)
	for _, want := range []string{"b", "c", "(end)"} {
		if got := next(t, out); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func testCancelLogs(t *testing.T, b LogsBench) {
	l := b.logs()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	n := 0
	for _, err := range l.Read(ctx, cloud.Query{}) {
		wantStopped(t, "read", err, context.Canceled)
		n++
	}
	if n != 1 {
		t.Errorf("a read that was cancelled before yielded %d times", n)
	}
}

func testLogScopes(t *testing.T, b LogsBench) {
	b.write(t, line(0, "mine"))
	for _, other := range []cloud.Scope{
		{Stage: "prod", ResourceGroup: "etl", Task: "orders"}, {Stage: "dev", ResourceGroup: "etl", Task: "rates"},
		{Stage: "prod", ResourceGroup: "etl", Task: "Rates"}, {Stage: "prod", ResourceGroup: "etl"},
	} {
		if got := readLines(t, b.World(other).Logs, cloud.Query{}); len(got) > 0 {
			t.Errorf("%+v sees %q", other, texts(got))
		}
	}
}
