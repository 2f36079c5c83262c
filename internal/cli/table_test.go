package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTableFits(t *testing.T) {
	t.Parallel()
	const reason = "load: stage \"target\" exited with code 1: the connection to the warehouse was reset by its peer after 3 tries"
	make := func(width int) *table {
		x := &table{head: []string{"=RUN", "CLIENT", "-START", ">TIME", "EMPTY", "+NOTE"}, width: width}
		x.add("20261127T013902.252Z-9ff033", "acme-international-gmbh", "01:39", "4.5s", "", "short")
		x.add("20261127T013903.252Z-9ff034", "顧客", "01:40", "14.5s", "", reason)
		return x
	}
	for _, c := range []struct {
		name  string
		width int
		want  []string
	}{
		{"no screen", 0, []string{
			"RUN                          CLIENT                   START   TIME  NOTE",
			"20261127T013902.252Z-9ff033  acme-international-gmbh  01:39   4.5s  short",
			"20261127T013903.252Z-9ff034  顧客                     01:40  14.5s  " + reason,
		}},
		{"the long text below its row", 80, []string{
			"RUN                          CLIENT                   START   TIME  NOTE",
			"20261127T013902.252Z-9ff033  acme-international-gmbh  01:39   4.5s  short",
			"20261127T013903.252Z-9ff034  顧客                     01:40  14.5s",
			`    load: stage "target" exited with code 1: the connection to the warehouse was`,
			"    reset by its peer after 3 tries",
		}},
		{"a column left out, another cut", 60, []string{
			"RUN                          CLIENT               TIME  NOTE",
			"20261127T013902.252Z-9ff033  acme-internationa…   4.5s",
			"    short",
			"20261127T013903.252Z-9ff034  顧客                14.5s",
			`    load: stage "target" exited with code 1: the connection`,
			"    to the warehouse was reset by its peer after 3 tries",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(strings.Join(c.want, "\n")+"\n", make(c.width).String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTableIsSafe(t *testing.T) {
	t.Parallel()
	x := &table{head: []string{"A", "B"}, width: 80, bare: true}
	x.add("\x1b[2Ja\tb", "c\nd")
	if got, want := x.String(), "A    B\na b  c d\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
