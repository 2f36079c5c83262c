package jinja

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// secretsIn renders a source and returns what it says comes from secrets.
func secretsIn(t *testing.T, source string, vars Vars) (Rendered, []string) {
	t.Helper()
	tpl, err := Parse("t", source)
	if err != nil {
		t.Fatal(err)
	}
	r, err := tpl.RenderMarked(vars)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	var got []string
	for _, p := range r.Secrets {
		got = append(got, r.Text[p[0]:p[1]])
	}
	return r, got
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	vars := Vars{"k": Secret("s3c-ret"), "n": Secret("1234567"), "l": []any{Secret("one"), "two"}, "_line": Data("a b"), "c": "plain", "p": 8080}
	for _, c := range []struct {
		source string
		want   []string
	}{
		{"a {{ k }} b", []string{"s3c-ret"}},
		{"{{ c }}{{ p }}{{ _line }}{{ k | length }}{{ k == 'x' }}", nil},
		{"{{ k }}{{ k }}", []string{"s3c-ret", "s3c-ret"}},
		{"{{ k | upper }} {{ k.split('-')[1] }} {{ k[1:3] }} {{ k[0] }}", []string{"S3C-RET", "ret", "3c", "s"}},
		{"{{ 'x ' ~ k ~ ' y' }} {{ 'x ' + k }}", []string{"s3c-ret", "s3c-ret"}},
		{"{{ 'x %s' % k }} {{ '{} y'.format(k) }}", []string{"x s3c-ret", "s3c-ret y"}},
		{"{{ k * 2 }} {{ k | tojson }}", []string{"s3c-rets3c-ret", `"s3c-ret"`}},
		{"{{ l }} {{ l | join('+') }} {% for x in l %}{{ x }} {% endfor %}", []string{"['one', 'two']", "one+two", "one"}},
		{"{% set b %}user: {{ c }}\npassword: {{ k }}\n{% endset %}{{ b }}", []string{"s3c-ret"}},
		{"{% set b %}user {{ k }}{% endset %}{{ b | upper }}", []string{"USER S3C-RET"}},
		{"{% macro m(x) %}<{{ x }}> {{ c }}{% endmacro %}{{ m(k | upper) }}{{ m(c) }}", []string{"S3C-RET"}},
		{"{% call(x) m() %}{{ x }}{% endcall %}{% macro n() %}{% endmacro %}{% filter upper %}{{ k }}{% endfilter %}", []string{"S3C-RET"}},
		{"{% for x in k %}{{ x }}{% endfor %}", []string{"s", "3", "c", "-", "r", "e", "t"}},
		{"{{ n | int + 1 }} {{ '%x' % n | int }} {{ (n | float) / 2 }}", []string{"1234568", "12d687", "617283.5"}},
		{"{{ k | raw }} {{ (k ~ _line) | raw }}", []string{"s3c-ret", "s3c-ret"}},
		{"{{ k | string }} {{ k | default('x') }} {{ none_such | default(k) }}", []string{"s3c-ret", "s3c-ret", "s3c-ret"}},
		{"{{ '' ~ k[99:] }}", nil},
	} {
		source := strings.Replace(c.source, "{% call(x) m() %}", "{% macro m() %}{{ caller(c) }}{% endmacro %}{% call(x) m() %}", 1)
		_, got := secretsIn(t, source, vars)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.source, diff)
		}
	}
}

func TestMasked(t *testing.T) {
	t.Parallel()
	vars := Vars{"k": Secret("s3c-ret"), "_line": Data("a b"), "c": "plain"}
	r, _ := secretsIn(t, "{{ _line }} {{ k }}{{ k | upper }} {{ _line }}{{ k ~ _line }}\n{% for x in k %}{{ x }}{% endfor %} {{ _line | upper }}.", vars)
	got := r.Masked("#")
	want := "a b # a b#a b\n# A B."
	if got.Text != want || len(got.Secrets) > 0 {
		t.Errorf("%q, want %q", got.Text, want)
	}
	var data []string
	for _, p := range got.Data {
		data = append(data, got.Text[p.Start:p.End])
	}
	if diff := cmp.Diff([]string{"a b", "a b#a b", "A B"}, data); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsShowNoSecret(t *testing.T) {
	t.Parallel()
	for _, source := range []string{
		"{{ ['a'].index(k | upper) }}", "{{ {}.pop(k) }}", "{{ k | filesizeformat }}", "{{ 'a' | map(k) | list }}",
		"{{ ('{' ~ k ~ '}').format() }}", "{{ ('%(' ~ k ~ ')s') % {} }}", "{{ ('%' ~ k) % 1 }}", "{{ {k: 1} | xmlattr }}", "{{ dict(**{k: 1}) }}",
		"{{ {}[k].x }}", "{{ (c | attr(k)).x }}", "{{ [] | map(attribute=k) | list + 1 }}", "{{ '{0[zz]}'.format({k: 1}) }}",
	} {
		tpl, err := Parse("t", source)
		if err != nil {
			t.Fatal(err)
		}
		r, err := tpl.RenderMarked(Vars{"k": Secret("zap y-SECRET"), "c": "x"})
		if err == nil {
			t.Errorf("%s: no error: %q", source, r.Text)
		}
		for _, text := range append([]string{errorText(err)}, names(r.Undefined)...) {
			if strings.Contains(strings.ToLower(text), "secret") && !strings.Contains(text, "nor a secret can") || strings.Contains(text, "zap") {
				t.Errorf("%s: %q", source, text)
			}
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func names(missing []Undefined) []string {
	var out []string
	for _, u := range missing {
		out = append(out, u.Name)
	}
	return out
}

// A secret of the same shape as another: each letter and digit is replaced by another one, the rest stays. Whatever a
// template makes of the two, all in which the results differ must be marked: that is what "derived" means.
func TestWhatDiffersIsMarked(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		source := templates().Draw(t, "template")
		a := Vars{"k": Secret("abcd-EFgh\n1234,i j<k>&l'm\"-noPQ\nr_s 567\n"), "n": Secret("4234564"), "_line": Data("x; y"), "c": "plain", "l": []any{"u", "v"}}
		b := Vars{"k": Secret("qrst-UVwx\n8976,y z<a>&b'c\"-deFG\nh_i 543\n"), "n": Secret("4234566"), "_line": Data("x; y"), "c": "plain", "l": []any{"u", "v"}}
		tpl, err := Parse("t", source)
		if err != nil && strings.Contains(err.Error(), "defined twice") {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		ra, errA := tpl.RenderMarked(a)
		rb, errB := tpl.RenderMarked(b)
		if errorText(errA) != errorText(errB) || strings.Contains(errorText(errA), "internal error") {
			t.Fatalf("%s:\n%v\n%v", source, errA, errB)
		}
		if x, y := ra.Masked("#").Text, rb.Masked("#").Text; x != y {
			t.Fatalf("%s:\n%q\n%q\nwithout what is marked:\n%q\n%q", source, ra.Text, rb.Text, x, y)
		}
		if !slices.Equal(ra.Undefined, rb.Undefined) || len(ra.Data) != len(rb.Data) {
			t.Fatalf("%s:\n%v %v\n%v %v", source, ra.Undefined, ra.Data, rb.Undefined, rb.Data)
		}
	})
}

// templates makes templates that work on the secrets k and n. None decides anything by what the secret says, but only
// by its shape.
func templates() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		text := func() string { return texts(4).Draw(t, "text") }
		var b strings.Builder
		for range rapid.IntRange(1, 3).Draw(t, "statements") {
			form := rapid.SampledFrom([]string{
				"a {{ X }} b", "{% set v = X %}{{ v }}{{ c }}", "{% set v %}[{{ X }}]{% endset %}{{ v }}{{ v | upper }}", "{% filter upper %}c {{ X }}{% endfilter %}",
				"{% macro m(x, y='d') %}<{{ x }}{{ y }}>{% endmacro %}{{ m(X) }}{{ m(y=X, x=c) }}", "{% for x in X %}{{ x }},{% endfor %}",
				"{% macro w() %}{{ caller(X) }}!{% endmacro %}{% call(x) w() %}{{ x | lower }}{% endcall %}", "{% with x=X %}{{ x }}{% endwith %}",
				"{% set ns = namespace(x='') %}{% set ns.x = ns.x ~ X %}{{ ns.x }}{{ ns }}", "{{ X if c else Y }}", "{{ [c, X] }}{{ {'a~': X, X: 1} }}{{ (X, Y) }}",
				"{% set q = [] %}{% set _ = q.append(X) %}{{ q }}{{ q[0] }}", "{% set d = {} %}{% set _ = d.update(a=X) %}{{ d.a }}{{ d.values() | list }}",
				"{% set j = joiner(X) %}{{ j() }}{{ j() }}", "{% set y = cycler(X, Y) %}{{ y.next() }}{{ y.current }}", "{{ loop }}{% for x in [X] %}{{ '{0.previtem}{0.nextitem}'.format(loop) }}{% endfor %}",
				"{% block b %}{{ X }}{% endblock %}{{ self.b() }}", "{% if X %}{{ X }}{% endif %}", "{{ 7 }}{{ n | int }}{{ N }}{{ [N, 1.5] }}{{ N ~ c }}{{ range(n | int, (n | int) + 2) }}",
				"{% for x in [X, Y] recursive %}{{ x }}{{ loop([]) if loop.first }}{% endfor %}", "{% macro a() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ a(X, z=Y) }}",
			}).Draw(t, "form")
			form = strings.ReplaceAll(form, "N", numbers(2).Draw(t, "number"))
			b.WriteString(strings.NewReplacer("X", text(), "Y", text()).Replace(form))
		}
		return b.String()
	})
}

// texts makes expressions of text, some with a secret in them.
func texts(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		if depth == 0 {
			return rapid.SampledFrom([]string{"k", "k", "k", "c", "_line", "'-'", "n"}).Draw(t, "leaf")
		}
		form := rapid.SampledFrom([]string{
			"(T|upper)", "(T|lower)", "(T|title)", "(T|capitalize)", "T.swapcase()", "(T|tojson)", "(T|indent(2))", "(T|indent(3, true))", "(T|urlencode)",
			"(T|replace('-', '/'))", "T.replace(',', T)", "(T|trim)", "T.strip()", "(T|escape)", "(T|forceescape)", "(T|safe)", "(T|string)", "(T|pprint)", "(T|striptags)",
			"(T|truncate(9))", "(T|truncate(9, true, '~', 0))", "(T|wordwrap(5))", "(T|center(60))", "T.ljust(50, '.')", "T.zfill(50)", "T.expandtabs(4)", "(T|reverse)", "T[::-1]", "T[1:]",
			"T[2:9]", "T[-4:]", "T[0]", "(T|first|default(c))", "(T|last|default(c))", "(T ~ T)", "(T + T)", "(c + T)", "(T * 2)", "('%s/%5s' % (T, c))", "('%(a)r' % {'a': T})",
			"('{} {x}'.format(T, x=T))", "'{0[0]:>9}'.format([T])", "'{a!r}'.format_map({'a': T})", "(T|format)", "(T|raw)", "(T|default(c))", "(none_such|default(T))", "(T if c else c)",
			"(T or c)", "(c and T)", "(L|join(','))", "'-'.join(L|map('string'))", "(L|string)", "(L|first|string)", "L|map('upper')|join", "(L|tojson)", "(L|list|pprint)",
			"(L|sort|join)", "(L|batch(3)|list|string)", "(L|slice(2)|map('join')|join('|'))", "(L|reverse|join)", "({'a': T}.a)", "({'a': T}['a'])", "({'a': T}|xmlattr)",
			"({'a': T}|urlencode)", "({'a': T, 'b': c}|dictsort|string)", "({'a': T}.get('a'))", "({T: c}|items|list|string)", "({T: c}|tojson)", "([{'x': T}]|map(attribute='x')|join)",
			"([{'x': T}]|groupby('x')|map('first')|join)", "([T, T]|select|join)", "(T|wordcount ~ T)", "(N ~ '')", "('%d' % N)", "(N|string)", "('%05.1f' % N)", "(N|filesizeformat)", "'{:x}'.format(N)",
			"(T|e|e)", "dict(a=T).a", "[T, c].pop(0)", "(T|list)[0:4]|join", "(T|max|default(c))", "(T.removeprefix('-'))",
		}).Draw(t, "form")
		for strings.Contains(form, "T") {
			form = strings.Replace(form, "T", texts(rapid.IntRange(0, depth-1).Draw(t, "depth")).Draw(t, "T"), 1)
		}
		for strings.Contains(form, "L") {
			form = strings.Replace(form, "L", lists(depth-1).Draw(t, "L"), 1)
		}
		return "(" + strings.ReplaceAll(form, "N", numbers(1).Draw(t, "N")) + ")"
	})
}

func lists(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		form := rapid.SampledFrom([]string{
			"[T, c]", "(T|list)", "T.split('-')", "T.split()", "T.rsplit(',', 1)", "T.splitlines()", "T.splitlines(true)", "T.partition('-')", "T.rpartition(',')", "(l + [T])", "([T] * 2)", "(T, T)",
			"{'a': T}.values()|list", "{T: 1}.keys()|list", "[T]|map('upper')|list", "[T, T][1:]", "[T]|map('replace', '-', c)|list",
		}).Draw(t, "list")
		for strings.Contains(form, "T") {
			form = strings.Replace(form, "T", texts(rapid.IntRange(0, depth).Draw(t, "depth")).Draw(t, "T"), 1)
		}
		return "(" + form + ")"
	})
}

func numbers(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		if depth == 0 {
			return rapid.SampledFrom([]string{"(n|int)", "(n|float)", "3"}).Draw(t, "number")
		}
		form := rapid.SampledFrom([]string{"(N + 1)", "(N * N)", "(-N)", "(N|abs)", "(N|round(1))", "([N, N]|sum)", "(N // 3)", "N", "([N]|first)", "(N|int)"}).Draw(t, "number")
		for strings.Contains(form, "N") {
			form = strings.Replace(form, "N", numbers(depth-1).Draw(t, "N"), 1)
		}
		return form
	})
}
