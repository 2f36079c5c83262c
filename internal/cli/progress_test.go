package cli

import (
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/pipeline"
)

func TestLay(t *testing.T) {
	t.Parallel()
	start := time.Unix(0, 0)
	rows := []*row{
		{label: "load/tap", start: start, bytes: 54_270_000, rate: 30_150_000, waits: "waits for the next stage"},
		{label: "load/each", start: start, lines: &pipeline.Lines{Total: 127, Succeeded: 122, Failed: 1}},
		{label: "load/more", start: start, lines: &pipeline.Lines{Succeeded: 1}, waits: "waits for input"},
		{label: "load_of_the_earthquakes_of_the_year_2026_ä/target", start: start},
	}
	for _, c := range []struct {
		name        string
		most, width int
		want        []string
	}{
		{"wide", 12, 120, []string{
			"  load/tap                                             9s   54.27 MB  30.15 MB/s  waits for the next stage",
			"  load/each                                            9s  123 lines, 1 failed, 4 running",
			"  load/more                                            9s     1 line  waits for input",
			"  load_of_the_earthquakes_of_the_year_2026_ä/target    9s        0 B       0 B/s",
		}},
		{"narrow", 12, 39, []string{
			"  load/tap               9s   54.27 MB",
			"  load/each              9s  123 lines",
			"  load/more              9s     1 line",
			"  …year_2026_ä/target    9s        0 B",
		}},
		{"no half sentence", 2, 60, []string{
			"  load/tap     9s   54.27 MB  30.15 MB/s",
			"  load/each    9s  123 lines, 1 failed, 4 running",
			"  and 2 more",
		}},
		{"low", 1, 80, []string{"  load/tap    9s   54.27 MB  30.15 MB/s  waits for the next stage", "  and 3 more"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := layOut(rows, c.most, c.width, start.Add(9*time.Second))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, l := range got {
				if n := utf8.RuneCountInString(l); n > c.width {
					t.Errorf("%q has %d columns, more than %d", l, n, c.width)
				}
			}
		})
	}
}
