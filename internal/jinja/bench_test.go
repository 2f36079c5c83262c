package jinja

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
