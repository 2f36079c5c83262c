//go:build e2e

package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// attempt is one run of a quick-start project and what it must leave in artifacts/.
type attempt struct {
	args []string
	code int
	want map[string]string
}

func TestQuickStart(t *testing.T) {
	t.Parallel()
	projects := t.TempDir()
	mustSucceed(t, "quick_start", "make", projects)

	note := "12 crates of oranges\n3 crates of lemons\n"
	mac := hmac.New(sha256.New, []byte("not-a-real-key-7f3a"))
	mac.Write([]byte(note))
	signed := note + "signature: " + hex.EncodeToString(mac.Sum(nil)) + "\n"

	tests := []struct {
		project  string
		install  bool
		attempts []attempt
	}{
		{"01_word_count", false, []attempt{{want: map[string]string{
			"count_stdout.log": "     19 the\n      3 and\n      3 book\n      2 a\n      2 agree\n",
		}}}},
		{"02_commands_and_vars", false, []attempt{
			{want: map[string]string{
				"letters/dev_Grace.txt": letter("Grace", "Arlington (a rehearsal: stage dev)"),
				"letter_stdout.log":     letter("Grace", "Arlington (a rehearsal: stage dev)"),
				"index_stdout.log":      "dev_Grace.txt\none letter to Arlington\n",
			}},
			{args: []string{"-s", "prod", "-v", "name=007", "city=Turin"}, want: map[string]string{
				"letters/007.txt":  letter("007", "Turin"),
				"index_stdout.log": "007.txt\ndev_Grace.txt\none letter to Turin\n",
			}},
		}},
		{"03_secrets", false, []attempt{{want: map[string]string{
			"sign_stdout.log": signed,
		}}}},
		{"04_install", true, []attempt{{want: map[string]string{
			"table_stdout.log": "| fruit   |   crates |   weight |\n|---------|----------|----------|\n" +
				"| oranges |       12 |   240.5  |\n| lemons  |        3 |    61    |\n| dates   |        7 |    98.25 |\n",
		}}}},
		{"05_foreach", false, []attempt{{want: map[string]string{
			"greet_Genoa_stdout.log":    "Genoa\n",
			"greet_Le_Havre_stdout.log": "Le Havre\n",
			"greet_Porto_stdout.log":    "Porto\n",
			"greet_Gdynia_stdout.log":   "Gdynia\n",
			"port_Le_Havre.txt":         "Le Havre\n",
			"total_stdout.log":          "5 Genoa\n8 Le Havre\n5 Porto\n6 Gdynia\n24 letters in all\n",
		}}}},
		{"06_fork", false, []attempt{{want: map[string]string{
			"sum_stdout.log":  "500500\n",
			"even_stdout.log": "500\n",
			"all_stdout.log":  "998\n999\n1000\n",
		}}}},
		{"07_failures", false, []attempt{
			{args: []string{"-v", "fail=1"}, code: 1, want: map[string]string{
				"report_stdout.log": "nothing is loaded\n",
				"load_stdout.log":   "",
			}},
			{want: map[string]string{
				"flaky_stdout.log":  "worked at try 3\n",
				"load_stdout.log":   "committed\n",
				"loaded.txt":        "crate 1\ncrate 2\ncrate 3\ncrate 4\ncrate 5\n",
				"report_stdout.log": "loaded: 5 lines\n",
			}},
			{args: []string{"-v", "fail=1"}, code: 1, want: map[string]string{
				"load_stdout.log":   "",
				"loaded.txt":        "crate 1\ncrate 2\ncrate 3\ncrate 4\ncrate 5\n",
				"report_stdout.log": "loaded: 5 lines\n",
			}},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.project, func(t *testing.T) {
			t.Parallel()
			where := []string{"-p", filepath.Join(projects, tt.project), "-w", t.TempDir()}
			if tt.install {
				mustSucceed(t, append([]string{"workspace", "install"}, where...)...)
			}
			for _, a := range tt.attempts {
				a.check(t, where)
			}
		})
	}
}

func letter(name, city string) string {
	return "Dear " + name + ",\n\nyour crate leaves for " + city + ".\n\nSigned, the harbour office\n"
}

func (a attempt) check(t *testing.T, where []string) {
	t.Helper()
	result := handoff(t, append(append([]string{"run", "local"}, where...), a.args...)...)
	if result.Code != a.code {
		t.Fatalf("%q: exit code %d, want %d: %s", a.args, result.Code, a.code, result)
	}
	artifacts := filepath.Join(where[3], "artifacts")
	all := filesBelow(t, artifacts)
	got := map[string]string{}
	for name := range a.want {
		if content, ok := all[name]; ok {
			got[name] = content
		}
	}
	if diff := cmp.Diff(a.want, got); diff != "" {
		t.Errorf("%q: %s", a.args, diff)
	}
	if all["run.json"] == "" {
		t.Error("there is no run record")
	}
	for name, content := range all {
		if strings.Contains(content, "not-a-real-key") {
			t.Errorf("the secret is in %s", name)
		}
	}
	if strings.Contains(result.String(), "not-a-real-key") {
		t.Errorf("the secret is shown: %s", result)
	}
}
