package cli

import (
	"strings"
	"testing"
)

// TestSpellings looks for the command and the flag of every old spelling.
func TestSpellings(t *testing.T) {
	t.Parallel()
	root := (&cli{}).root()
	for path, words := range spellings() {
		cmd, rest, err := root.Find(strings.Fields(path))
		if err != nil || len(rest) > 0 {
			t.Errorf("there is no command %q: %v", path, err)
			continue
		}
		for key, flag := range words {
			if name, _, _ := strings.Cut(flag, "="); name != "" && cmd.Flags().Lookup(name) == nil {
				t.Errorf("%s: -v %s stands for --%s, which is not there", path, key, name)
			}
		}
	}
}

func TestParseBool(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"True": true, "t": true, "yes": true, "ON": true, "1": true, "false": false, "No": false, "off": false} {
		if got, err := parseBool(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if _, err := parseBool("maybe"); err == nil {
		t.Error("maybe is a truth value")
	}
}
