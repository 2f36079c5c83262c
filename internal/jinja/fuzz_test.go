package jinja

import (
	"strings"
	"testing"
)

// seeds are sources that reach most of the engine.
func seeds() []string {
	return []string{
		"{{ a }}", "{{ a.b[0].c | default('x') | upper ~ 1 }}", "{% for i in range(3) if i is odd %}{{ loop.index }}{% else %}x{% endfor %}",
		"{% macro m(a, b=1, *c) %}{{ varargs }}{{ kwargs }}{{ caller() }}{% endmacro %}{% call(x) m(1) %}{{ x }}{% endcall %}",
		"{% set a, b = 1, [2] %}{% set ns = namespace(x=1) %}{% set ns.x = 2 %}{% set c | upper %}t{% endset %}",
		"{% if a == 1 and not b or c in d %}{% elif x is not none %}{% else %}{% endif %}", "{% raw %}{{ x }}{% endraw %}{# c #}",
		"{{ '%s %05.2f %(a)s' % (1, 2.5) }}{{ '{0:>{1}} {x!r:^9}'.format('a', 3, x=1) }}", "{{ 2 ** 70 // -3 % 7 / 2.5 }}",
		"{{ l | sort(attribute='a,b') | groupby('c') | map('first') | list | tojson(indent=2) }}", "{{ s[::-1] }}{{ s.split(',', 1) }}",
		"{% block a %}{{ self.a }}{% endblock %}{% filter indent(2) %}x{% endfilter %}{% with x=1 %}{{ x }}{% endwith %}",
		"{{ _stage- }}{%- if 1 -%} x {%+ endif +%}", "{{ 'é' | title | wordwrap(3) | truncate(2) | urlencode | striptags }}", "{{ {1: 2, (1, 2): [3]}[(1, 2)] }}",
		"{{ 1 if 2 }}{{ -1 }}{{ not 1 }}{{ 0x1f + 1_0 + 1e5 }}{{ 'a\\x41\\u00e9' }}", "{{", "{%", "{#", "{{ (", "{{ '", "{% for", "{% raw %}",
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		tpl, err := Parse("t", source)
		if err == nil {
			tpl.Uses("a")
		} else if strings.Contains(err.Error(), "internal error") {
			t.Fatalf("%q: %v", source, err)
		}
	})
}

func FuzzRender(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s, "a b; c")
	}
	f.Fuzz(func(t *testing.T, source, data string) {
		tpl, err := Parse("t", source)
		if err != nil {
			return
		}
		vars := Vars{
			"a": map[string]any{"b": []any{int64(1), nil, 2.5}}, "l": []any{map[string]any{"a": 1, "b": "x", "c": true}},
			"s": Secret("some, text"), "n": 7, "x": Data(data), "d": Data(data), "_stage-": "dev-",
		}
		r, marked := tpl.RenderMarked(vars)
		for _, p := range r.Masked("#").Data {
			_ = r.Masked("#").Text[p.Start:p.End]
		}
		_, file := tpl.RenderFile(vars)
		for _, err := range []error{second(tpl.Render(vars)), file, marked} {
			if err != nil && strings.Contains(err.Error(), "internal error") {
				t.Fatalf("%q: %v", source, err)
			}
		}
		tpl.Preview(vars, "x")
	})
}

func second(_ string, _ []Undefined, err error) error { return err }
