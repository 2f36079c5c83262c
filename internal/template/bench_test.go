package template

import "testing"

const benchSource = `tap-csv --config {{ work_dir }}/{{ table | lower }}.json | target-pg --schema {{ _stage_ }}{{ schema }}{% if full %} --full{% endif %}`

func BenchmarkParseRender(b *testing.B) {
	vars := Vars{"work_dir": "/tmp/ws", "table": "Orders", "_stage_": "dev_", "schema": "raw", "full": true}
	b.ReportAllocs()
	for b.Loop() {
		tpl, err := Parse("bench", benchSource)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := tpl.Render(vars); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRenderShell(b *testing.B) {
	tpl, err := Parse("bench", `curl -s "https://x/{{ _line }}?a={{ _line | urlencode }}" > files/{{ _line }}.json && echo {{ schema }}`)
	if err != nil {
		b.Fatal(err)
	}
	vars := Vars{"_line": Data("AAPL; touch x"), "schema": "raw"}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := tpl.RenderShell(vars, "/bin/sh"); err != nil {
			b.Fatal(err)
		}
	}
}
