package secret

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDerived(t *testing.T) {
	t.Parallel()
	const text = "a HUNTER22 b h,u,n,t,e,r,2,2 c hunter22HUNTER22 d x    y"
	for _, tt := range []struct {
		name  string
		spans [][2]int
		want  []string
	}{
		{"none", nil, nil},
		{"one", [][2]int{{2, 10}}, []string{"HUNTER22"}},
		{"characters", [][2]int{{13, 14}, {15, 16}, {17, 18}, {19, 20}, {21, 22}, {23, 24}, {25, 26}, {27, 28}}, []string{"h,u,n,t,e,r,2,2"}},
		{"neighbours", [][2]int{{31, 39}, {39, 47}}, []string{"hunter22", "HUNTER22"}},
		{"far apart", [][2]int{{50, 51}, {55, 56}}, []string{"x", "y"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, Derived(text, tt.spans)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLearn(t *testing.T) {
	t.Parallel()
	r := redactor("hunter22")
	r.Learn("HUNTER22", "HUNTE", "line one\nabcde\nline two", " ", "hunter22")
	for in, want := range map[string]string{
		"HUNTER22 hunter22 SFVOVEVSMjI=": "[redacted] [redacted] [redacted]",
		"HUNTE abcde":                    "HUNTE abcde", // too short: see minDerived
		"line one, line two":             "[redacted], [redacted]",
	} {
		if got := r.String(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if r.Contains("HUNTER22") {
		t.Error("what is derived counts as a secret that was given")
	}
}

func TestLearnForNowForgets(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	r := redactor("hunter22")
	text := func(i int) string { return fmt.Sprintf("HUNTER22-%05d", i) }
	for i := range 3 * maxRecent {
		r.LearnForNow(text(i), text(i))
		if got := r.String(text(i)); got != Mask {
			t.Fatalf("%d: %q", i, got)
		}
	}
	if got := r.String(text(2*maxRecent) + " " + text(0)); got != Mask+" "+text(0) {
		t.Errorf("%q", got)
	}
	if len(r.forms) > 200 {
		t.Errorf("%d forms are kept", len(r.forms))
	}
}
