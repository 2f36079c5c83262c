package cli

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/handoff-run/handoff/internal/pipeline"
)

func TestLay(t *testing.T) {
	t.Parallel()
	start := time.Unix(0, 0)
	loop := func(all, total, ok, failed int64, now ...string) *pipeline.Loop {
		return &pipeline.Loop{Lines: pipeline.Lines{Total: total, Succeeded: ok, Failed: failed}, All: all, Now: now}
	}
	rows := []*row{
		{label: "load/tap", start: start, bytes: 54_270_000, rate: 30_150_000, waits: "waits for the next stage"},
		{label: "load/each", start: start, loop: loop(0, 127, 122, 1, "orders", "顧客の注文", "a line\x1b[2J\tthat takes much more room than there is")},
		{label: "load/more", start: start, loop: loop(0, 1, 1, 0), waits: "waits for input"},
		{label: "load/known", start: start, loop: loop(30, 13, 12, 0, "customers")},
		{label: "load_of_the_earthquakes_of_the_year_2026_ä/target", start: start},
	}
	for _, c := range []struct {
		name        string
		most, width int
		want        []string
	}{
		{"wide", 12, 128, []string{
			"  load/tap                                             9s   54.27 MB  30.15 MB/s  waits for the next stage",
			"  load/each                                            9s  123 lines, 1 failed, 4 running  14/s  orders, 顧客の注文, a line tha…",
			"  load/more                                            9s     1 line  6.7/min  waits for input",
			"  load/known                                           9s      12/30, 1 running  1.3/s  customers",
			"  load_of_the_earthquakes_of_the_year_2026_ä/target    9s        0 B       0 B/s",
		}},
		{"narrow", 12, 39, []string{
			"  load/tap           9s   54.27 MB",
			"  load/each          9s  123 lines",
			"  load/more          9s     1 line",
			"  load/known         9s      12/30",
			"  …_2026_ä/target    9s        0 B",
		}},
		{"no half sentence", 2, 60, []string{
			"  load/tap     9s   54.27 MB  30.15 MB/s",
			"  load/each    9s  123 lines, 1 failed, 4 running  14/s",
			"  and 3 more",
		}},
		{"low", 1, 80, []string{"  load/tap    9s   54.27 MB  30.15 MB/s  waits for the next stage", "  and 4 more"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := layOut(rows, c.most, c.width, start.Add(9*time.Second))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, l := range got {
				if n := columns(l); n > c.width {
					t.Errorf("%q has %d columns, more than %d", l, n, c.width)
				}
			}
		})
	}
}
