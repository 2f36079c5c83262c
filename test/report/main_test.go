package main

import (
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		input       string
		passed, bad int
		shown       string
	}{
		{
			"all pass",
			`{"Action":"run","Package":"p","Test":"A"}
{"Action":"output","Package":"p","Test":"A","Output":"noise\n"}
{"Action":"pass","Package":"p","Test":"A"}
{"Action":"pass","Package":"p","Elapsed":1.5}`,
			1, 0, "ok   p (1.5s)\n",
		},
		{
			"a failure shows its output",
			`{"Action":"output","Package":"p","Test":"A","Output":"=== RUN   A\n"}
{"Action":"output","Package":"p","Test":"A","Output":"why\n"}
{"Action":"fail","Package":"p","Test":"A"}
{"Action":"fail","Package":"p"}`,
			0, 1, "FAIL p A\nwhy\nFAIL p (0.0s)\n",
		},
		{
			"a skipped test counts as failed",
			`{"Action":"output","Package":"p","Test":"A","Output":"not today\n"}
{"Action":"skip","Package":"p","Test":"A"}
{"Action":"pass","Package":"p"}`,
			0, 1, "SKIP p A\nnot today\nok   p (0.0s)\n",
		},
		{
			"a package without tests is not a skipped test",
			`{"Action":"skip","Package":"p"}`,
			0, 0, "",
		},
		{
			"a package that does not build",
			`{"Action":"build-output","ImportPath":"p","Output":"syntax error\n"}
{"Action":"build-fail","ImportPath":"p"}
{"Action":"fail","Package":"p","FailedBuild":"p"}`,
			0, 1, "syntax error\nFAIL p (0.0s)\n",
		},
		{
			"out of time",
			`{"Action":"output","Package":"p","Test":"A","Output":"waiting\n"}
{"Action":"output","Package":"p","Output":"panic: test timed out\n"}
{"Action":"fail","Package":"p"}`,
			0, 1, "FAIL p (0.0s)\npanic: test timed out\nUNFINISHED p A\nwaiting\n",
		},
		{
			"TestMain fails after a good test",
			`{"Action":"pass","Package":"p","Test":"A"}
{"Action":"fail","Package":"p"}`,
			1, 1, "FAIL p (0.0s)\n",
		},
		{
			"TestMain fails",
			`{"Action":"output","Package":"p","Output":"leak\n"}
{"Action":"fail","Package":"p"}`,
			0, 1, "FAIL p (0.0s)\nleak\n",
		},
		{"text of go itself", "go: no such module", 0, 0, "go: no such module\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &summary{output: map[string][]string{}, blamed: map[string]bool{}}
			var shown strings.Builder
			if err := s.read(strings.NewReader(tt.input), &shown); err != nil {
				t.Fatal(err)
			}
			if s.passed != tt.passed || s.bad() != tt.bad || shown.String() != tt.shown {
				t.Errorf("%d passed, %d bad, want %d, %d; shown:\n%s", s.passed, s.bad(), tt.passed, tt.bad, shown.String())
			}
		})
	}
}
