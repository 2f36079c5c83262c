package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/handoff-run/handoff/internal/cloud"
)

func at(second int) time.Time { return time.Date(2026, 1, 30, 12, 0, second, 0, time.UTC) }

func write(t *testing.T, l *Logs, lines ...cloud.Line) {
	t.Helper()
	for i := range lines {
		if lines[i].JobID == "" {
			lines[i].JobID, lines[i].RunID = "job", "run"
		}
	}
	if err := l.Append(t.Context(), lines...); err != nil {
		t.Fatal(err)
	}
}

func texts(t *testing.T, l *Logs, q cloud.Query) []string {
	t.Helper()
	var all []string
	for x, err := range l.Read(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, x.Text)
	}
	return all
}

// small returns logs whose segments end after a few lines; closed at the end of the test.
func small(t *testing.T, h *Home) *Logs {
	l := h.Logs(scope)
	l.segment = 150
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// What is appended becomes lines whose times do not go back.
func TestAppend(t *testing.T) {
	t.Parallel()
	h := openHome(t)
	l := small(t, h)
	line := func(second int, text string) cloud.Line {
		return cloud.Line{Time: at(second), JobID: "job", RunID: "run", Text: text}
	}
	write(t, l, line(10, "a"), line(20, "b"))
	write(t, small(t, h), line(5, "c"), line(6, "d\ne\n"), line(30, "f"))
	var got []cloud.Line
	for x, err := range l.Read(t.Context(), cloud.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, x)
	}
	want := []cloud.Line{line(10, "a"), line(20, "b"), line(20, "c"), line(20, "d"), line(20, "e"), line(30, "f")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	if got := texts(t, l, cloud.Query{Start: at(20), End: at(21)}); !slices.Equal(got, []string{"b", "c", "d", "e"}) {
		t.Errorf("around the step: %q", got)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for name, test := range map[string]struct{ got, want error }{
		"nothing":   {l.Append(t.Context()), nil},
		"no job":    {l.Append(t.Context(), cloud.Line{Time: at(0), Text: "x"}), cloud.ErrInvalid},
		"cancelled": {l.Append(ctx, line(40, "x")), context.Canceled},
	} {
		if !errors.Is(test.got, test.want) {
			t.Errorf("%s: %v, want %v", name, test.got, test.want)
		}
	}
}

// The last lines, whatever the segments are: those that a reading of all of them ends with.
func TestTailOfSegments(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		l := newLogs(filepath.Join(t.TempDir(), "logs"))
		defer l.Close() // of a folder that goes
		l.segment = int64(rapid.IntRange(1, 400).Draw(rt, "segment"))
		ids := rapid.SampledFrom([]string{"a", "b", "c"})
		for n := range rapid.IntRange(0, 40).Draw(rt, "lines") {
			x := cloud.Line{Time: at(rapid.IntRange(0, 9).Draw(rt, "second")), JobID: ids.Draw(rt, "job"), RunID: ids.Draw(rt, "run"), Text: fmt.Sprint("line ", n)}
			if err := l.Append(t.Context(), x); err != nil {
				rt.Fatal(err)
			}
		}
		q := cloud.Query{Filter: rapid.SampledFrom([]string{"", "1", "none"}).Draw(rt, "filter")}
		if rapid.Bool().Draw(rt, "from") {
			q.Start = at(rapid.IntRange(0, 9).Draw(rt, "start"))
		}
		if rapid.Bool().Draw(rt, "to") {
			q.End = at(rapid.IntRange(10, 12).Draw(rt, "end"))
		}
		if rapid.Bool().Draw(rt, "one") {
			q.JobID = "a"
		}
		all := texts(t, l, q)
		q.Tail = rapid.IntRange(1, 12).Draw(rt, "tail")
		if got := texts(t, l, q); !slices.Equal(got, all[max(0, len(all)-q.Tail):]) {
			rt.Fatalf("%+v: %q, all are %q", q, got, all)
		}
	})
}

func TestSegments(t *testing.T) {
	t.Parallel()
	h := openHome(t)
	l := small(t, h)
	var want []string
	for i := range 100 {
		text := fmt.Sprintf("line %02d", i)
		want = append(want, text)
		write(t, l, cloud.Line{Time: at(i / 4), Text: text}) // lines of one second lie in two segments, too
	}
	seqs, err := segments(l.runDir(runID{"job", "run"}))
	if err != nil || len(seqs) < 20 || !slices.Equal(seqs[:3], []int{1, 2, 3}) {
		t.Fatalf("segments %v, %v", seqs, err)
	}
	if diff := cmp.Diff(want, texts(t, h.Logs(scope), cloud.Query{})); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	for second := range 25 {
		got := texts(t, l, cloud.Query{Start: at(second), End: at(second + 1)})
		if diff := cmp.Diff(want[4*second:4*second+4], got); diff != "" {
			t.Errorf("second %d (-want +got):\n%s", second, diff)
		}
	}
	var batch []cloud.Line
	for i := range 50 {
		batch = append(batch, cloud.Line{Time: at(30), Text: fmt.Sprint("batch ", i)})
		want = append(want, batch[i].Text)
	}
	write(t, l, batch...)
	if diff := cmp.Diff(want, texts(t, l, cloud.Query{})); diff != "" {
		t.Errorf("with a batch (-want +got):\n%s", diff)
	}
}

// TestWritersInTurn: a server and a job append to one run, each with files that it opened before the other wrote.
func TestWritersInTurn(t *testing.T) {
	t.Parallel()
	h := openHome(t)
	writers := []*Logs{small(t, h), small(t, h), small(t, h)}
	var want []string
	for i := range 60 {
		text := fmt.Sprintf("line %02d", i)
		want = append(want, text)
		// The clock of the second one goes wrong.
		write(t, writers[i%3], cloud.Line{Time: at(100 + i - 50*(i%3)), Text: text})
	}
	var got []string
	last := time.Time{}
	for x, err := range writers[0].Read(t.Context(), cloud.Query{}) {
		if err != nil || x.Time.Before(last) {
			t.Errorf("%v after %v, %v", x.Time, last, err)
		}
		last = x.Time
		got = append(got, x.Text)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
}

// tear appends a part of a line, as a process does that is killed while it writes.
func tear(t *testing.T, l *Logs, part string) {
	t.Helper()
	dir := l.runDir(runID{"job", "run"})
	seqs, err := segments(dir)
	if err != nil || len(seqs) == 0 {
		t.Fatal(seqs, err)
	}
	f, err := os.OpenFile(segmentPath(dir, seqs[len(seqs)-1]), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(part)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestTornLine(t *testing.T) {
	t.Parallel()
	for name, part := range map[string]string{
		"in the text": "2026-01-30T12:00:09.000000000Z half a li", "in the time": "2026-01-3", "before the line end": "2026-01-30T12:00:09.000000000Z whole text",
	} {
		for _, cached := range []bool{true, false} {
			t.Run(fmt.Sprint(name, cached), func(t *testing.T) {
				t.Parallel()
				h := openHome(t)
				l := h.Logs(scope)
				defer l.Close()
				write(t, l, cloud.Line{Time: at(1), Text: "one"}, cloud.Line{Time: at(2), Text: "two"})
				tear(t, l, part)
				if got := texts(t, l, cloud.Query{}); !slices.Equal(got, []string{"one", "two"}) {
					t.Errorf("with a torn line: %q", got)
				}
				if !cached {
					if err := l.Close(); err != nil {
						t.Fatal(err)
					}
				}
				write(t, l, cloud.Line{Time: at(3), Text: "three"})
				if got := texts(t, l, cloud.Query{}); !slices.Equal(got, []string{"one", "two", "three"}) {
					t.Errorf("after the next line: %q", got)
				}
			})
		}
	}
}

// TestTornFirstLine: nothing but a part of a line is there.
func TestTornFirstLine(t *testing.T) {
	t.Parallel()
	l := openHome(t).Logs(scope)
	defer l.Close()
	dir := l.runDir(runID{"job", "run"})
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(segmentPath(dir, 1), []byte("2026-01-30T12:00:09.000000000Z half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := texts(t, l, cloud.Query{}); len(got) > 0 {
		t.Errorf("shown: %q", got)
	}
	write(t, l, cloud.Line{Time: at(1), Text: "one"})
	if got := texts(t, l, cloud.Query{}); !slices.Equal(got, []string{"one"}) {
		t.Errorf("after the first line: %q", got)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	h := openHome(t)
	l := small(t, h)
	for run := range 5 {
		for i := range 20 {
			write(t, l, cloud.Line{Time: at(run*20 + i), JobID: fmt.Sprint("job", run/2), RunID: fmt.Sprint("run", run), Text: fmt.Sprint("r", run)})
		}
	}
	n, err := l.Prune(t.Context(), at(59)) // the last line of run 2 is just at 59
	if err != nil || n != 2 {
		t.Errorf("removed %d, %v, want 2", n, err)
	}
	got := slices.Compact(texts(t, l, cloud.Query{}))
	if !slices.Equal(got, []string{"r2", "r3", "r4"}) {
		t.Errorf("left: %q", got)
	}
	if _, err := os.Stat(filepath.Dir(l.runDir(runID{"job0", "run0"}))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of a job without runs: %v", err)
	}
	write(t, l, cloud.Line{Time: at(200), JobID: "job0", RunID: "run0", Text: "again"})
	if got := texts(t, l, cloud.Query{RunID: "run0"}); !slices.Equal(got, []string{"again"}) {
		t.Errorf("after its removal a run has %q", got)
	}
}

func TestManyRuns(t *testing.T) {
	t.Parallel()
	l := openHome(t).Logs(scope)
	defer l.Close()
	for round := range 2 {
		for run := range 3 * maxWriters {
			write(t, l, cloud.Line{Time: at(round), JobID: "job", RunID: fmt.Sprintf("%04d", run), Text: fmt.Sprint(round)})
		}
	}
	if len(l.writers) > maxWriters {
		t.Errorf("%d runs have open files", len(l.writers))
	}
	if got := texts(t, l, cloud.Query{}); len(got) != 6*maxWriters || !slices.IsSorted(got) {
		t.Errorf("%d lines, sorted %t", len(got), slices.IsSorted(got))
	}
}

func BenchmarkAppend(b *testing.B) {
	h, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	l := h.Logs(scope)
	defer l.Close()
	for b.Loop() {
		if err := l.Append(b.Context(), cloud.Line{Time: time.Now(), JobID: "job", RunID: "run", Text: "a line of a usual length, as taps and targets write it"}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestFollowSegments: a follower reads while segments end and begin.
func TestFollowSegments(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	h := openHome(t)
	l := small(t, h)
	const total = 3000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range total {
			x := cloud.Line{Time: at(0), JobID: "job", RunID: "run", Text: fmt.Sprint(i)}
			if err := l.Append(t.Context(), x); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			n := 0
			for x, err := range h.Logs(scope).Read(t.Context(), cloud.Query{Follow: true, Done: done}) {
				if err != nil || x.Text != fmt.Sprint(n) {
					t.Errorf("line %q in the place of %d, %v", x.Text, n, err)
					return
				}
				n++
			}
			if n != total {
				t.Errorf("%d lines, want %d", n, total)
			}
		})
	}
	readers.Wait()
}

// TestFollowSilentJobs: a job that was silent for long is looked at less often, and what it then says is not lost.
func TestFollowSilentJobs(t *testing.T) {
	t.Parallel()
	h := openHome(t)
	l := h.Logs(scope)
	defer l.Close()
	for _, job := range []string{"old", "new"} {
		if err := l.Append(t.Context(), cloud.Line{Time: at(0), JobID: job, RunID: "run", Text: "first of " + job}); err != nil {
			t.Fatal(err)
		}
	}
	silent := time.Now().Add(-time.Hour)
	if err := os.Chtimes(segmentPath(l.runDir(runID{"old", "run"}), 1), silent, silent); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var got []string
	for x, err := range h.Logs(scope).Read(t.Context(), cloud.Query{Follow: true, Done: done}) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, x.Text); len(got) != 2 {
			continue
		}
		if err := l.Append(t.Context(), cloud.Line{Time: at(1), JobID: "old", RunID: "run", Text: "again"}); err != nil {
			t.Fatal(err)
		}
		close(done)
	}
	if len(got) != 3 || got[2] != "again" {
		t.Errorf("got %q", got)
	}
	if p := patience(time.Hour); p != 5*time.Second {
		t.Errorf("after an hour it is looked at after %v", p)
	}
	if p := patience(time.Second); p > pollInterval {
		t.Errorf("after a second it is looked at after %v", p)
	}
}
