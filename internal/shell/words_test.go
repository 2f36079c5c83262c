package shell

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLook(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]Uses{
		"tap --config files/tap.json":              {[]string{"tap"}, []string{"--config", "files/tap.json"}},
		"A=1 tap 'files/a b' < files/in > files/o": {[]string{"tap"}, []string{"files/a b", "files/in"}},
		"cd x && ./run; /bin/ls":                   {nil, []string{"x"}},
		"f() { tap; }; f a":                        {[]string{"tap"}, []string{"a"}},
		" ./tap 'a b' c\n":                         {nil, []string{"a b", "c"}},
		"$X a":                                     {nil, []string{"a"}},
		"if test -f a; then b; fi":                 {[]string{"b"}, []string{"-f", "a"}},
		"a (":                                      {},
	} {
		for _, shell := range []string{"sh", "/bin/sh"} { // the second one has a way without a parser
			got := Look(shell, script)
			if len(got.Programs) == 0 {
				got.Programs = nil
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s: %s", shell, script, diff)
			}
		}
	}
	if got := Look("python3", "import os"); got.Programs != nil {
		t.Errorf("python: %v", got)
	}
}
