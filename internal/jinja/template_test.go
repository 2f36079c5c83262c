package jinja

import (
	"errors"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestUndefined(t *testing.T) {
	t.Parallel()
	vars := Vars{"cfg": map[string]any{"host": "h"}, "list": []any{}, "yes": true}
	for _, c := range []struct {
		name, source, want string
		missing            []Undefined
	}{
		{"printed", "a{{ x }}b\n{{ y }}", "ab\n", []Undefined{{"x", 1}, {"y", 2}}},
		{"attribute", "\n{{ cfg.prot }}{{ cfg['a'].b is defined }}", "", nil},
		{"attribute printed", "\n\n{{ cfg.prot }}", "\n\n", []Undefined{{"cfg.prot", 3}}},
		{"iterated", "{% for a in xs %}{% endfor %}", "", []Undefined{{"xs", 1}}},
		{"filtered", "{{ x | upper }}", "", []Undefined{{"x", 1}}},
		{"counted", "{{ x | length }}", "0", []Undefined{{"x", 1}}},
		{"joined", "{{ 'a' ~ x }}", "a", []Undefined{{"x", 1}}},
		{"compared", "{% if x == 'prod' %}p{% endif %}", "", []Undefined{{"x", 1}}},
		{"in a list", "{{ [x] }}", "[Undefined]", []Undefined{{"x", 1}}},
		{"parameter", "{% macro m(a) %}{{ a }}{% endmacro %}\n{{ m() }}", "\n", []Undefined{{"a", 1}}},
		{"first of none", "{{ list | first }}", "", []Undefined{{"first item of an empty sequence", 1}}},
		{"defined test", "{{ x is defined }}{{ x is undefined }}", "FalseTrue", nil},
		{"default", "{{ x | default('d') }}{{ x.y | d if x else 1 }}", "d1", nil},
		{"truth", "{% if x %}a{% endif %}{{ x or 'b' }}{{ 'c' if not x }}{{ x and 1 and none }}", "bc", []Undefined{{"x", 1}}},
		{"inline if without else", "[{{ 'a' if not yes }}]", "[]", nil},
		{"in a macro called twice", "{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{{ m() }}", "", []Undefined{{"x", 1}, {"x", 1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tpl, err := Parse("t", c.source)
			if err != nil {
				t.Fatal(err)
			}
			got, missing, err := tpl.Render(vars)
			if c.name == "attribute" { // an attribute of an undefined attribute is an error, as in Python
				if err == nil {
					t.Fatal("no error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.missing, missing); diff != "" {
				t.Errorf("undefined (-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, source, want, hint string }{
		{"undefined attribute", "a\n{{ a.b }}", "p:2: 'a' is undefined", ""},
		{"end of template", "{{ name ", "p:1: unexpected end of template, expected 'end of print statement'", ""},
		{"unclosed if", "{% if 1 %}\nx\n", "p:3: unexpected end of template: expected 'elif' or 'else' or 'endif'", ""},
		{"unknown tag", "\n{% do x %}", "p:2: Encountered unknown tag 'do'.", ""},
		{"unknown filter", "x{{ 1 | nosuch }}", "p:1: No filter named 'nosuch'.", ""},
		{"unknown test", "{{ 1 is nosuch }}", "p:1: No test named 'nosuch'.", ""},
		{"include", "{% include 'a' %}", "p:1: 'include' is not available: a template cannot use other files", "write the text here, or define a macro in this template"},
		{"division", "1\n2\n{{ 1 / 0 }}", "p:3: division by zero", ""},
		{"types", "{{ 'a' + 1 }}", `p:1: can only concatenate str (not "int") to str`, ""},
		{"arguments", "{{ 'a' | replace('b') }}", "p:1: replace() missing required argument: 'new'", ""},
		{"keyword", "{{ 'a' | trim(x=1) }}", "p:1: trim() got an unexpected keyword argument 'x'", ""},
		{"dash in name", "{{ a-b }}", "p:1: 'a' is undefined", ""},
		{"quote", "{{ 'a }}", `p:1: unexpected char "'" (a string that does not end)`, ""},
		{"line in a loop", "{% for i in [1] %}\n{{ 1 + 'a' }}{% endfor %}", "p:2: unsupported operand type(s) for +: 'int' and 'str'", ""},
		{"value", "{{ odd }}", "p:1: a variable has a value of type chan int, which a template cannot use", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tpl, err := Parse("p", c.source)
			if err == nil {
				_, _, err = tpl.Render(Vars{"odd": make(chan int)})
			}
			e, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("got %v, want an *Error", err)
			}
			if diff := cmp.Diff([2]string{c.want, c.hint}, [2]string{e.Error(), e.Hint}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]*Error{
		"a:1: m":    {Name: "a", Line: 1, Message: "m"},
		"line 2: m": {Line: 2, Message: "m"},
		"a: m":      {Name: "a", Message: "m"},
		"m":         {Message: "m"},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	deep := strings.Repeat("(", 10_000)
	for name, source := range map[string]string{
		"range":              "{{ range(100001) | list | length }}",
		"range ends":         "{{ range(-9000000000000000000, 9000000000000000000) }}",
		"loops":              "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
		"string":             "{{ 'a' * 10000000000 }}",
		"strings":            "{% for i in range(100000) %}{% set x = 'a' * 60000000 %}{% endfor %}",
		"doubling":           "{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
		"list":               "{{ ([1] * 100000 * 100000) | length }}",
		"doubling list":      "{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
		"shared lists":       "{% set ns = namespace(l=[1]) %}{% for i in range(100) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
		"compare shared":     "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(100) %}{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}",
		"power":              "{{ 2 ** 100000 }}",
		"power tower":        "{{ 9 ** 9 ** 9 ** 9 ** 9 }}",
		"product":            "{% set ns = namespace(n=10) %}{% for i in range(100) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
		"macro":              "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
		"block":              "{% block a %}{{ self.a() }}{% endblock %}",
		"recursive loop":     "{% set l = [] %}{% set _ = l.append(l) %}{% for i in l recursive %}{{ loop(i) }}{% endfor %}",
		"width":              "{{ '%1000000000d' % 1 }}",
		"width of format":    "{{ '{:1000000000}'.format(1) }}",
		"star width":         "{{ '%*d' % (1000000000, 1) }}",
		"center":             "{{ 'a' | center(10000000000) }}",
		"ljust":              "{{ 'a'.ljust(10000000000) }}",
		"zfill":              "{{ 'a'.zfill(10000000000) }}",
		"indent":             "{{ 'a\nb' | indent(10000000000) }}",
		"json indent":        "{{ [1] | tojson(indent=10000000000) }}",
		"tabs":               "{{ ('\t' * 1000).expandtabs(10000000) }}",
		"replace":            "{{ ('a' * 1000000) | replace('a', 'b' * 1000000) }}",
		"replace nothing":    "{{ ('a' * 1000000).replace('', 'b' * 1000000) }}",
		"join":               "{{ range(100000) | join('a' * 1000000) }}",
		"batch":              "{{ [1] | batch(10000000000, 'x') }}",
		"slice":              "{{ [1] | slice(10000000000) }}",
		"wrap":               "{{ ('a ' * 100000) | wordwrap(1, wrapstring='x' * 1000000) }}",
		"brackets":           "{{ " + deep + " }}",
		"minus":              "{{ " + strings.Repeat("-", 100_000) + "1 }}",
		"not":                "{{ " + strings.Repeat("not ", 100_000) + "1 }}",
		"filters":            "{{ 1 " + strings.Repeat("| abs ", 200_000) + "}}",
		"tags":               strings.Repeat("{% if 1 %}", 10_000),
		"output":             "{% set x = 'a' * 60000000 %}{{ x }}{{ x }}",
		"self in itself":     "{% set l = [] %}{% set _ = l.append(l) %}{{ l | tojson }}",
		"compare itself":     "{% set l = [] %}{% set _ = l.append(l) %}{% set m = [] %}{% set _ = m.append(m) %}{{ l == m }}",
		"nested format":      "{{ '{:{:{}}}'.format(1, 2, 3) }}",
		"integer text":       "{{ ('9' * 5000) | int / 3 * 'a' }}",
		"step":               "{{ [1][::0] }}",
		"call of a constant": "{{ 5() }}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := render(source, nil)
			if err == nil {
				t.Fatalf("no error, %d bytes", len(got))
			}
			if strings.Contains(err.Error(), "internal error") {
				t.Error(err)
			}
		})
	}
}

func TestListInItself(t *testing.T) {
	t.Parallel()
	got, err := render("{% set l = [1] %}{% set _ = l.append(l) %}{{ l }}{% set d = {} %}{% set _ = d.update(d=d) %}{{ d }}", nil)
	if want := "[1, [...]]{'d': {...}}"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestFinalNewline(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ source, want, keep string }{
		{"a\n", "a", "a\n"},
		{"a\n\n", "a\n", "a\n\n"},
		{"a", "a", "a"},
		{"{{ x }}\n", "1", "1\n"},
		{"{{ x -}}\n", "1", "1"},
		{"{{ x }}", "1", "1"},
		{"\n", "", "\n"},
		{"", "", ""},
		{"a\r\n", "a", "a\n"},
		{"{% raw %}a\n{% endraw %}", "a\n", "a\n"},
		{"{% if x %}\n{% endif %}\n", "\n", "\n\n"},
	} {
		tpl, err := Parse("t", c.source)
		if err != nil {
			t.Fatal(err)
		}
		got, _, _ := tpl.Render(Vars{"x": 1})
		file, _ := tpl.RenderFile(Vars{"x": 1})
		if diff := cmp.Diff([]string{c.want, c.keep}, []string{got, file.Text}); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.source, diff)
		}
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	d := &Dict{}
	d.Set("z", 1)
	d.Set("a", []any{true, nil, 2.0})
	d.Set("z", 3)
	huge, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	vars := Vars{"d": d, "m": map[string]any{"b": 1, "a": 2}, "i": 5, "huge": huge, "data": Data("x y")}
	for source, want := range map[string]string{
		"{{ d }}":                "{'z': 3, 'a': [True, None, 2.0]}",
		"{{ m }}":                "{'a': 2, 'b': 1}",
		"{{ i }}{{ huge + 1 }}":  "5123456789012345678901234567891",
		"{{ data }}{{ [data] }}": "x y['x y']",
	} {
		got, err := render(source, vars)
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", source, got, err, want)
		}
	}
	if v, ok := d.Get("z"); !ok || v != 3 || d.Len() != 2 {
		t.Errorf("Get: %v, %v, length %d", v, ok, d.Len())
	}
}

func TestVarsAreNotChanged(t *testing.T) {
	t.Parallel()
	vars := Vars{"l": []any{1}, "m": map[string]any{"a": []any{1}}}
	tpl, err := Parse("t", "{% set _ = l.append(2) %}{% set _ = m.update(b=1) %}{% set _ = m.a.append(2) %}{{ l }}{{ m }}")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, _, err := tpl.Render(vars)
		if want := "[1, 2]{'a': [1, 2], 'b': 1}"; err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}

func TestStageName(t *testing.T) {
	t.Parallel()
	vars := Reserved("dev", time.Now(), "r", "/w")
	for source, want := range map[string]string{
		"x{{ _stage- }}y":             "xdev-y",
		"{{ _stage-  }}":              "dev-",
		"{{ _stage- -}}  y":           "dev-y",
		"{{ _stage -}}  y":            "devy",
		"{{ _stage_ }}{{_stage}}":     "dev_dev",
		"{{ __stage }}{{ __stage_ }}": "_dev_dev_",
	} {
		got, err := render(source, vars)
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", source, got, err, want)
		}
	}
	if _, err := render("{{ _stage- 1 }}", vars); err == nil {
		t.Error("a subtraction was read as the name")
	}
}

func TestReserved(t *testing.T) {
	t.Parallel()
	now := time.Date(2024, 3, 1, 0, 30, 0, 0, time.FixedZone("x", 3600))
	want := Vars{
		"_stage": "", "_stage_": "", "_stage-": "", "__stage": "", "__stage_": "",
		"_today": "2024-03-01", "_yesterday": "2024-02-29", "_tomorrow": "2024-03-02", "_run_id": "id", "work_dir": "/w",
	}
	if diff := cmp.Diff(want, Reserved("prod", now, "id", "/w")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLineSafe(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"AAPL":                    "AAPL",
		"a b/c":                   "a_b_c",
		"a ;;; b":                 "a_b",
		"../é":                    ".._",
		"a__b":                    "a__b",
		"_ a":                     "__a",
		"":                        "",
		strings.Repeat("x", 300):  strings.Repeat("x", 100),
		strings.Repeat("x ", 300): strings.Repeat("x_", 50),
	} {
		if got := LineSafe(line); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func TestUses(t *testing.T) {
	t.Parallel()
	tpl, err := Parse("t", "{{ a.b | default(c) }}{% for x in d if e %}{{ f[g] }}{% endfor %}{% macro m(p=h) %}{% endmacro %}'{{ 'i' }}' j")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields("a c d e f g h") {
		if !tpl.Uses(name) {
			t.Errorf("does not use %q", name)
		}
	}
	for _, name := range strings.Fields("b i j m default") {
		if tpl.Uses(name) {
			t.Errorf("uses %q", name)
		}
	}
}

func TestPreview(t *testing.T) {
	t.Parallel()
	vars := Vars{"env": "dev", "tables": []any{"a", "b"}, "no": false}
	for _, c := range []struct{ name, source, want string }{
		{"output", "run {{ env }} {{ _line }} {{ _line | upper }}", "run dev {{ _line }} {{ _line | upper }}"},
		{"nothing late", "{{ env }}\n", "dev"},
		{"loop over known", "{% for t in tables %}{{ t }}={{ _line }} {% endfor %}", "a={{ _line }} b={{ _line }} "},
		{"loop over late", "x {% for c in _line %}{{ c }}{{ env }}{% endfor %} y{{ env }}", "x {% for c in _line %}{{ c }}{{ env }}{% endfor %} ydev"},
		{"known condition", "{% if no %}{{ _line }}{% else %}{{ env }}{% endif %}", "dev"},
		{"late condition", "{% if _line == 'x' %}{{ env }}{% endif %}", "{% if _line == 'x' %}{{ env }}{% endif %}"},
		{"set", "{% set x = _line ~ env %}{{ x }}{{ env }}", "{% set x = _line ~ env %}{{ x }}dev"},
		{"known set", "{% set x = env %}{{ x }}{{ _line }}", "dev{{ _line }}"},
		{"macro", "{% macro m() %}{{ _line }}{% endmacro %}{{ m() }}", "{% macro m() %}{{ _line }}{% endmacro %}{{ m() }}"},
		{"block set", "{% set x %}{{ _line }}{% endset %}{{ x }}", "{% set x %}{{ _line }}{% endset %}{{ x }}"},
		{"error", "{{ env }} {{ 1 / 0 }} {{ nope.x }}", "dev {{ 1 / 0 }} {{ nope.x }}"},
		{"error in a loop", "{% for t in tables %}{{ t }}{{ 1 + t }} {% endfor %}", "a{{ 1 + t }} b{{ 1 + t }} "},
		{"undefined", "[{{ nope }}]", "[]"},
		{"space control", "a  {{- _line -}}  b", "a{{- _line -}}b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tpl, err := Parse("t", c.source)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, tpl.Preview(vars, "_line", "_line_safe").Text); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRenderMarked(t *testing.T) {
	t.Parallel()
	tpl, err := Parse("t", "{% set x = l + [_line] %}echo {{ _line }}\n{{ x | length }} {{ _line }}{{ _line | upper }} {{ _line | raw }}")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			got, err := tpl.RenderMarked(Vars{"_line": Data("a b"), "l": []any{i}})
			if want := "echo a b\n2 a bA B a b"; err != nil || got.Text != want {
				t.Errorf("got %q, %v, want %q", got.Text, err, want)
			}
			if diff := cmp.Diff([]Piece{{5, 8, 1}, {11, 17, 2}}, got.Data); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	wg.Wait()
}
