package shell

import "testing"

func TestUnseenFailure(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]string{
		"(seq 1 50; exit 3) | cat > t":     "(seq 1 50; exit 3)",
		"tap --config c | target":          "tap --config c",
		"a; b | c":                         "b",
		"if true; then a | b; fi":          "a",
		"x=$(a | b)":                       "a",
		"echo x | a | b":                   "echo x | a",
		"a |& b":                           "a",
		"cat f |\n  sort":                  "cat f",
		"bash -c 'a | b'":                  "a",
		"/bin/bash -euc \"a | b\"":         "a",
		"echo x | a":                       "",
		"printf '%s' x | a":                "",
		"a || b":                           "",
		"echo 'a | b'":                     "",
		"set -o pipefail; a | b":           "",
		"set -euo pipefail\na | b":         "",
		"bash -o pipefail -c 'a | b'":      "",
		"bash -c 'set -o pipefail; a | b'": "",
		"a > f":                            "",
		"a | b |":                          "",
		"python3 -c 'print(1 | 2)'":        "",
		"jq '.a | .b' f":                   "",
	} {
		line, got, found := UnseenFailure("/bin/sh", script)
		if got != want || found != (want != "") || found && line != 1 {
			t.Errorf("%s: line %d, %q, %v; want %q", script, line, got, found, want)
		}
	}
	if line, _, _ := UnseenFailure("bash", "a\n\nbash -c '\nb | c'"); line != 4 {
		t.Errorf("line %d", line)
	}
	if _, _, found := UnseenFailure("python3", "print(1 | 2)"); found {
		t.Error("python has no pipes")
	}
}
