package shell

import (
	"testing"

	"github.com/handoff-run/handoff/internal/jinja"
)

func BenchmarkScript(b *testing.B) {
	tpl, err := jinja.Parse("bench", `curl -s "https://x/{{ _line }}?a={{ _line | urlencode }}" > files/{{ _line }}.json && echo {{ schema }}`)
	if err != nil {
		b.Fatal(err)
	}
	vars := jinja.Vars{"_line": jinja.Data("AAPL; touch x"), "schema": "raw"}
	q := For("/bin/sh")
	b.ReportAllocs()
	for b.Loop() {
		r, err := tpl.RenderMarked(vars)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := q.Script(r.Text, convert(r.Data)); err != nil {
			b.Fatal(err)
		}
	}
}
