package jinja

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// Every filter, method and operator, on a long text and on a long list: an error, or a result that is counted. It is
// not parallel, since it measures memory.
func TestEveryResultIsCounted(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	texts := []string{"',\\n' * 1050000"}
	lists := []string{"range(20000) | list", "dict((range(20000) | list) | batch(2))"}
	arguments := map[string]string{
		"center": "(2000000)", "ljust": "(2000000)", "rjust": "(2000000)", "zfill": "(2000000)", "replace": "('a', 'bbbb')", "wordwrap": "(1)",
		"truncate": "(2000000)", "batch": "(1)", "slice": "(100000)", "map": "('list')", "join": "('aaaa')", "groupby": "(0)", "split": "(',')",
		"rsplit": "(',')", "partition": "(',')", "rpartition": "(',')", "format": "(1)", "attr": "('x')", "count": "('a')", "find": "('z', 5)",
		"rfind": "('z', 5)", "index": "('a', 1)", "rindex": "('a', 1)", "startswith": "('a', 1)", "endswith": "('a', 1)", "removeprefix": "('a')",
		"removesuffix": "('a')", "format_map": "({})", "extend": "(x)", "append": "(x)", "insert": "(0, x)", "pop": "(0)", "remove": "('z')",
		"get": "('a')", "setdefault": "('a')", "update": "(x)", "dictsort": "()", "selectattr": "('x')", "rejectattr": "('x')",
	}
	lib := standard()
	var sources []string
	for name := range lib.filters {
		sources = append(sources, fmt.Sprintf("x | %s%s", name, arguments[name]))
	}
	for _, methods := range []map[string]*builtin{lib.text, lib.list, lib.dict} {
		for name := range methods {
			args := arguments[name]
			if args == "" {
				args = "()"
			}
			sources = append(sources, fmt.Sprintf("x.%s%s", name, args))
		}
	}
	sources = append(sources, "x + x", "x * 8", "x ~ x", "x[::2]", "x[5:9]", "x[::-1]", "x.split()", "x.split(none, 5000000)", "x.rsplit(',', 5000000)",
		"x.splitlines(true)", "'%s' % x", "'%.5s' % x", "'{:>2000000}'.format(x)", "[x, x] | string", "(x, x) in [x]", "x | map('string') | list", "x == x")
	slices.Sort(sources)
	for _, v := range slices.Concat(texts, lists) {
		for _, source := range slices.Compact(slices.Clone(sources)) {
			checkMemory(t, fmt.Sprintf("{%% set x = %s %%}{%% set y = %s %%}", v, source))
		}
	}
}

// checkMemory renders a template and fails if it takes far more memory than its text and its items are allowed.
func checkMemory(t *testing.T, source string) {
	t.Helper()
	tpl, err := Parse("t", source)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err = tpl.Render(Vars{})
	runtime.ReadMemStats(&after)
	if err != nil && strings.Contains(err.Error(), "internal error") {
		t.Errorf("%s: %v", source, err)
	}
	if made := (after.TotalAlloc - before.TotalAlloc) >> 20; made > 64 {
		t.Errorf("%s: made %d MiB (%v)", source, made, err)
	}
}

func TestManyLines(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for source, want := range map[string]string{
		`{{ ("\n" * 60000000).splitlines() }}`:                                     "more than 1000000 items",
		`{{ ("a " * 2000000).split() }}`:                                           "more than 1000000 items",
		`{{ ("a" * 2000000) | list }}`:                                             "more than 1000000 items",
		`{% set l = [1] * 900000 %}{{ l + l }}`:                                    "more than 1000000 items",
		`{% for i in range(100) %}{% set l = [1] * 900000 %}{% endfor %}`:          "MiB of lists and text|too much work",
		`{{ ("a" * 3000000)[:3] }}{{ ("a b " * 3000000) | truncate(5) | length }}`: "",
	} {
		tpl, err := Parse("t", source)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = tpl.Render(Vars{})
		ok := (err == nil) == (want == "")
		for alternative := range strings.SplitSeq(want, "|") {
			ok = ok && (err == nil || strings.Contains(err.Error(), alternative) || strings.Contains(want, "|"))
		}
		if !ok {
			t.Errorf("%s: %v, want %q", source, err, want)
		}
	}
}
