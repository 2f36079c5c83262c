package workspace

import (
	"regexp"
	"strings"
	"testing"
)

func TestGlob(t *testing.T) {
	t.Parallel()
	tests := []struct {
		pattern  string
		yes, not []string
	}{
		{"a.sql", []string{"a.sql"}, []string{"x/a.sql", "a.sqlx", "A.sql"}},
		{"*.sql", []string{"a.sql", ".sql"}, []string{"x/a.sql", "a.sql/b"}},
		{"**", []string{"a", "a/b/c"}, nil},
		{"**/*.sql", []string{"a.sql", "x/a.sql", "x/y/a.sql"}, []string{"a.txt", "a.sql/b"}},
		{"dbt/**", []string{"dbt/a", "dbt/a/b"}, []string{"dbt", "dbtx/a", "x/dbt/a"}},
		{"dbt/", []string{"dbt/a", "dbt/a/b"}, []string{"dbt", "a"}},
		{"./dbt/*", []string{"dbt/a"}, []string{"dbt/a/b"}},
		{"a/**/z", []string{"a/z", "a/b/z", "a/b/z/z"}, []string{"a/b", "z", "a/z/b"}},
		{"a/**/b/**/c", []string{"a/b/c", "a/x/b/y/c", "a/b/b/c/c"}, []string{"a/c", "a/b", "a/x/c"}},
		{"**/a/*", []string{"a/b", "a/a/b", "x/a/b"}, []string{"a", "b", "a/b/c"}},
		{"a?c", []string{"abc", "aüc"}, []string{"ac", "abbc"}},
		{"[a-c]*", []string{"a", "cx"}, []string{"d"}},
		{`a\*`, []string{"a*"}, []string{"ab"}},
		{"a**b", []string{"ab", "axb"}, []string{"a/b"}},
	}
	for _, tt := range tests {
		t.Run(tt.pattern, func(t *testing.T) {
			t.Parallel()
			g, err := parseGlob(tt.pattern)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range tt.yes {
				if !g.match(name) {
					t.Errorf("does not match %q", name)
				}
			}
			for _, name := range tt.not {
				if g.match(name) {
					t.Errorf("matches %q", name)
				}
			}
		})
	}
}

func TestGlobErrors(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"", "[", "a/[b", "[a/b]", "/a", "a//b", "../a", "a/../b", `\`} {
		if _, err := parseGlob(pattern); err == nil || !strings.Contains(err.Error(), "files: raw:") {
			t.Errorf("%q: got %v", pattern, err)
		}
	}
}

// FuzzGlob compares patterns of letters and stars with the regular expression that means the same.
func FuzzGlob(f *testing.F) {
	for _, s := range []string{"a/**/b a/x/b", "** a", "**/** a/b", "*/b a/b", "**/a/**/a a/a/a", "a*/** ab/c"} {
		pattern, name, _ := strings.Cut(s, " ")
		f.Add(pattern, name)
	}
	simple := regexp.MustCompile(`^[a-c*]+(/[a-c*]+)*$`)
	plain := regexp.MustCompile(`^[a-c]+(/[a-c]+)*$`)
	f.Fuzz(func(t *testing.T, pattern, name string) {
		g, err := parseGlob(pattern)
		if err != nil {
			return
		}
		got := g.match(name)
		if !simple.MatchString(pattern) || !plain.MatchString(name) {
			return
		}
		if want := glob2regexp(pattern).MatchString(name); got != want {
			t.Errorf("match(%q, %q) = %v", pattern, name, got)
		}
	})
}

func glob2regexp(pattern string) *regexp.Regexp {
	var b strings.Builder
	parts := strings.Split(pattern, "/")
	for i, p := range parts {
		last := i == len(parts)-1
		switch {
		case p == "**" && last:
			b.WriteString(".+")
		case p == "**":
			b.WriteString("([^/]+/)*")
		default:
			b.WriteString(strings.ReplaceAll(p, "*", "[^/]*"))
			if !last {
				b.WriteString("/")
			}
		}
	}
	return regexp.MustCompile("^(" + b.String() + ")$")
}
