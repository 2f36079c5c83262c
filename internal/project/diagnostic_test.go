package project

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiagnosticString(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 200) + "X" + strings.Repeat("b", 200)
	tests := []struct {
		name string
		d    Diagnostic
		want string
	}{
		{"everything", Diagnostic{Pos{"project.yml", 14, 7}, "tasks[0].pipeline[1]", `unknown key "arg"`, `did you mean "args"?`, `      arg: x`},
			"project.yml:14:7: tasks[0].pipeline[1]: unknown key \"arg\" (did you mean \"args\"?)\n      arg: x\n      ^"},
		{"no source", Diagnostic{Pos: Pos{"a", 1, 2}, Path: "p", Message: "m"}, "a:1:2: p: m"},
		{"no column", Diagnostic{Pos: Pos{File: "a", Line: 3}, Message: "m", Source: "x"}, "a:3: m"},
		{"no line", Diagnostic{Pos: Pos{File: "a"}, Message: "m"}, "a: m"},
		{"no place", Diagnostic{Message: "m"}, "m"},
		{"tab before", Diagnostic{Pos: Pos{"a", 1, 3}, Message: "m", Source: "\tab"}, "a:1:3: m\n\tab\n\t ^"},
		{"wide letters before", Diagnostic{Pos: Pos{"a", 1, 3}, Message: "m", Source: "日本x"}, "a:1:3: m\n日本x\n    ^"},
		{"column behind the line", Diagnostic{Pos: Pos{"a", 1, 9}, Message: "m", Source: "ab"}, "a:1:9: m\nab\n  ^"},
		{"escape sequence", Diagnostic{Pos: Pos{"a", 1, 1}, Message: "m", Source: "\x1b[31m"}, "a:1:1: m\n\ufffd[31m\n^"},
		{"long line", Diagnostic{Pos: Pos{"a", 1, 201}, Message: "m", Source: long},
			"a:1:201: m\n" + long[140:260] + "\n" + strings.Repeat(" ", 60) + "^"},
		{"end of a long line", Diagnostic{Pos: Pos{"a", 1, 401}, Message: "m", Source: long},
			"a:1:401: m\n" + long[281:401] + "\n" + strings.Repeat(" ", 119) + "^"},
		{"start of a long line", Diagnostic{Pos: Pos{"a", 1, 1}, Message: "m", Source: long}, "a:1:1: m\n" + long[:120] + "\n^"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, tt.d.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestErrorsAreSorted(t *testing.T) {
	t.Parallel()
	e := Errors{
		{Pos: Pos{File: "a"}, Message: "last"}, {Pos: Pos{"a", 2, 1}, Message: "third"},
		{Pos: Pos{"a", 1, 5}, Message: "second"}, {Pos: Pos{"a", 1, 1}, Message: "first"}, {Pos: Pos{"a", 2, 1}, Message: "fourth"},
	}
	want := "a:1:1: first\na:1:5: second\na:2:1: third\na:2:1: fourth\na: last"
	if diff := cmp.Diff(want, e.Error()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if e[0].Message != "last" {
		t.Error("Error changed the list")
	}
}
