package project

import (
	"strings"
	"testing"
)

func TestSuggest(t *testing.T) {
	t.Parallel()
	keys := []string{"tasks", "task", "args", "command", "commands", "pipeline", "name", "foreach", "on_upstream_failure"}
	tests := []struct{ name, word, want string }{
		{"dropped letter", "arg", "args"},
		{"added letter", "nname", "name"},
		{"wrong letter", "comnand", "command"},
		{"swapped letters", "nmae", "name"},
		{"the first of two equally near", "taks", "tasks"},
		{"the nearest wins", "comands", "commands"},
		{"capitals", "Pipeline", "pipeline"},
		{"dash for bar", "on-upstream-failure", "on_upstream_failure"},
		{"the word itself", "name", "name"},
		{"the beginning", "pipe", "pipeline"},
		{"too short a beginning", "pi", ""},
		{"nothing near", "wibble", ""},
		{"too short to tell", "x", ""},
		{"empty", "", ""},
		{"far too long", strings.Repeat("command", 1000), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := Suggest(tt.word, keys); got != tt.want {
				t.Errorf("Suggest(%q) = %q, want %q", tt.word, got, tt.want)
			}
		})
	}
	if got := Suggest("a", []string{"b"}); got != "" {
		t.Errorf("a word of one other letter is near: %q", got)
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	tests := []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"ca", "abc", 3}, {"kitten", "sitting", 3}}
	for _, tt := range tests {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}
