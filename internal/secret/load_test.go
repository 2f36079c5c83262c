package secret

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// folder makes a private folder with these files.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), ".secrets")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The line end that an editor leaves at the end of a file would cut a command in two.
func TestFileLosesItsFinalLineEnd(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"hunter22": "hunter22", "hunter22\n": "hunter22", "hunter22\r\n": "hunter22", "hunter22\n\n": "hunter22\n",
		"hunter22\r": "hunter22\r", "hunter22 \n": "hunter22 ", "\n": "", "": "", "a\r\nb\r\n": "a\r\nb",
		"\x00\n\xff": "\x00\n\xff",
	} {
		dir := folder(t, map[string]string{"secrets.yml": "- {key: a, file: it}\n- {key: b, value: \"v\\n\"}", "it": text})
		entries, _, err := Load(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]string{"a": want, "b": "v\n"}, values(entries)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func values(entries []Entry) map[string]string {
	got := map[string]string{}
	for _, e := range entries {
		got[e.Key] = e.Value.Reveal()
	}
	return got
}

func TestLoadValues(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		yaml string
		want map[string]string
	}{
		{"plain", "- key: a\n  value: text", map[string]string{"a": "text"}},
		{"as typed", "- {key: a, value: 00123}\n- {key: b, value: 1e5}\n- {key: c, value: yes}\n- {key: d, value: 2026-01-02}\n- {key: e, value: 1_000}",
			map[string]string{"a": "00123", "b": "1e5", "c": "yes", "d": "2026-01-02", "e": "1_000"}},
		{"block", "- key: a\n  value: |\n    one\n    two\n", map[string]string{"a": "one\ntwo\n"}},
		{"quoted", `- {key: a, value: "x\ty"}`, map[string]string{"a": "x\ty"}},
		{"empty text", `- {key: a, value: ""}`, map[string]string{"a": ""}},
		{"file", "- {key: a, file: k.pem}\n- {key: b, file: sub/../k.pem}", map[string]string{"a": "x\x00\xff", "b": "x\x00\xff"}},
		{"null value and a file", "- {key: a, value: , file: k.pem}", map[string]string{"a": "x\x00\xff"}},
		{"value wins", "- {key: a, value: v, file: nowhere}", map[string]string{"a": "v"}},
		{"alias", "- {key: a, value: &v text}\n- {key: b, value: *v}", map[string]string{"a": "text", "b": "text"}},
		{"comments only", "# nothing\n", map[string]string{}},
		{"empty", "", map[string]string{}},
		{"null", "~\n", map[string]string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t, map[string]string{"secrets.yml": tt.yaml, "k.pem": "x\x00\xff\n", "sub/empty": ""})
			got, _, err := Load(dir, "prod")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, values(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLoadEntry(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"secrets.yml": "- key: a\n  value: x\n" +
		"- {key: b, value: y, level: Resource Group, push: no}\n- {key: c, value: z, level: task, push: true}\n"})
	got, warnings, err := Load(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{Key: "a", Value: NewValue("x"), Level: LevelTask, Push: true, Source: "secrets.yml:1"},
		{Key: "b", Value: NewValue("y"), Level: LevelResourceGroup, Push: false, Source: "secrets.yml:3"},
		{Key: "c", Value: NewValue("z"), Level: LevelTask, Push: true, Source: "secrets.yml:4"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(warnings) > 0 {
		t.Errorf("warnings: %q", warnings)
	}
}

func TestLoadEnvStage(t *testing.T) {
	t.Parallel()
	both := map[string]string{"secrets.yml": "[{key: k, value: plain}]", "dev_secrets.yml": "[{key: k, value: dev}]"}
	plain := map[string]string{"secrets.yml": "[{key: k, value: plain}]"}
	tests := []struct {
		name  string
		files map[string]string
		stage string
		want  map[string]string
	}{
		{"own file", both, "dev", map[string]string{"k": "dev"}},
		{"fall back", plain, "dev", map[string]string{"k": "plain"}},
		{"prod", both, "prod", map[string]string{"k": "plain"}},
		{"none given", both, "", map[string]string{"k": "plain"}},
		{"only another stage", map[string]string{"dev_secrets.yml": "[{key: k, value: dev}]"}, "prod", map[string]string{}},
		{"no file", nil, "dev", map[string]string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, _, err := Load(folder(t, tt.files), tt.stage)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, values(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got, _, err := Load(filepath.Join(t.TempDir(), "none"), "dev"); err != nil || got != nil {
		t.Errorf("no folder: %v, %v", got, err)
	}
	if _, _, err := Load(folder(t, both), "../x"); err == nil {
		t.Error("an env stage with a slash passes")
	}
}

// One key file for several projects is usual: it may lie outside of the secrets folder, however it is named.
func TestLoadOutside(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"secrets.yml": ""})
	outside := filepath.Join(t.TempDir(), "keys", "key.json")
	if err := os.Mkdir(filepath.Dir(outside), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(outside, []byte("p4ssw0rd"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"link": outside, "up": filepath.Dir(outside)} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	relative, err := filepath.Rel(dir, outside)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{outside, relative, "./" + relative, "link", "up/key.json", "up/../keys/key.json"} {
		if err := os.WriteFile(filepath.Join(dir, "secrets.yml"), []byte("- {key: a, file: "+name+"}"), 0o600); err != nil {
			t.Fatal(err)
		}
		got, warnings, err := Load(dir, "")
		if err != nil || len(got) != 1 || got[0].Value.Reveal() != "p4ssw0rd" || len(warnings) > 0 {
			t.Errorf("%s: %v, %v, %v", name, values(got), warnings, err)
		}
	}
	if err := os.Chmod(outside, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, warnings, _ := Load(dir, ""); len(warnings) != 1 || !strings.Contains(warnings[0], "key.json (mode 0644)") {
		t.Errorf("others can read it, and the warnings are %v", warnings)
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		yaml string
		want []string
	}{
		{"duplicate key", "- {key: a, value: p4ssw0rd}\n- {key: a, value: p4ssw0rd}", []string{`:2:9: secret "a" is already in line 1`}},
		{"no key", "- value: p4ssw0rd", []string{":1:3: a secret needs a key"}},
		{"empty key", "- {key: '', value: p4ssw0rd}", []string{":1:3: a secret needs a key"}},
		{"neither", "- key: a\n  level: task", []string{`:1:3: secret "a" has neither value nor file`}},
		{"null value", "- key: a\n  value:", []string{`secret "a" has neither value nor file`}},
		{"a map", "a: p4ssw0rd", []string{":1:1: want a list"}},
		{"a text", "p4ssw0rd", []string{":1:1: want a list"}},
		{"list of texts", "- p4ssw0rd", []string{":1:3: want {key, value}"}},
		{"value is a map", "- key: a\n  value: {p: p4ssw0rd}", []string{`:2:10: the value of secret "a" is a list or a map`}},
		{"twice in one entry", "- key: a\n  value: x\n  value: p4ssw0rd", []string{`:3:3: "value" twice in one entry`}},
		{"bad push", "- {key: a, value: p4ssw0rd, push: maybe}", []string{":1:35: push is true or false"}},
		{"bad level", "- {key: a, value: p4ssw0rd, level: team}", []string{":1:36: unknown level"}},
		{"all at once", "- value: p4ssw0rd\n- key: b", []string{":1:3:", ":2:3:"}},
		{"two documents", "- {key: a, value: x}\n---\n- {key: b, value: p4ssw0rd}", []string{"second YAML document"}},
		{"bad yaml", "- key: a\n  value: p4ssw0rd: b: c", []string{":2:18: mapping values are not allowed"}},
		{"anchor", "- key: a\n  value: *p4ssw0rd", []string{":2:10: unknown anchor"}},
		{"tag", "- key: a\n  value: !p4ssw0rd^p4ssw0rd x", []string{":2:"}},
		{"percent", "- key: a\n  value: %p4ssw0rd", []string{":2:10: found character"}},
		{"control character", "- key: a\n  value: p4ssw0rd\x01", []string{"not a valid YAML file"}},
		{"no such file", "- {key: a, file: none}", []string{`:1:18: secret "a": `, "none: no such file"}},
		{"file is a folder", "- {key: a, file: .}", []string{"not a regular file"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t, map[string]string{"secrets.yml": tt.yaml})
			got, _, err := Load(dir, "")
			if err == nil {
				t.Fatalf("no error, but %v", values(got))
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "p4ssw0rd") || len(got) > 0 {
				t.Errorf("shows a value, or answers one: %v, %v", err, got)
			}
			if !strings.Contains(err.Error(), filepath.Join(dir, "secrets.yml")) {
				t.Errorf("does not name the file: %v", err)
			}
		})
	}
}

func TestLoadWarnings(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		yaml string
		mode os.FileMode
		want []string
	}{
		{"unknown key", "- {key: a, value: p4ssw0rd, levle: task}", 0o600, []string{`:1:29: unknown key "levle"`}},
		{"stray word", "- {key: a, value: x, p4ssw0rd}", 0o600, []string{":1:22: unknown key"}},
		{"description", "- {key: a, value: x, description: d}", 0o600, nil},
		{"resource group without value", "- {key: a, level: resource group}", 0o600, []string{`:1:3: secret "a" of the resource group has no value here`}},
		{"value and file", "- {key: a, value: p4ssw0rd, file: f}", 0o600, []string{"the value is used"}},
		{"file others can read", "- {key: a, value: p4ssw0rd}", 0o640, []string{"secrets.yml (mode 0640) can be read by other users of this machine: chmod -R go="}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t, map[string]string{"secrets.yml": tt.yaml})
			if err := os.Chmod(filepath.Join(dir, "secrets.yml"), tt.mode); err != nil {
				t.Fatal(err)
			}
			_, warnings, err := Load(dir, "")
			if err != nil {
				t.Fatal(err)
			}
			if len(warnings) != len(tt.want) {
				t.Fatalf("warnings: %q", warnings)
			}
			for i, want := range tt.want {
				if !strings.Contains(warnings[i], want) || strings.Contains(warnings[i], "p4ssw0rd") {
					t.Errorf("%q is not in %q, or it shows the value", want, warnings[i])
				}
			}
		})
	}
}

func TestLoadWarnsOfOpenFolderAndFile(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"secrets.yml": "- {key: a, file: k.pem}", "k.pem": "x"})
	for name, mode := range map[string]os.FileMode{".": 0o755, "k.pem": 0o604} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	_, warnings, err := Load(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{dir + " (mode 0755), " + filepath.Join(dir, "k.pem") +
		" (mode 0604) can be read by other users of this machine: chmod -R go= " + dir}
	if diff := cmp.Diff(want, warnings); diff != "" {
		t.Error(diff)
	}
}

func TestLoadAbsoluteFileInside(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"k.pem": "x"})
	yml := "- {key: a, file: " + filepath.Join(dir, "k.pem") + "}"
	if err := os.WriteFile(filepath.Join(dir, "secrets.yml"), []byte(yml), 0o600); err != nil {
		t.Fatal(err)
	}
	got, _, err := Load(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "x"}, values(got)); diff != "" {
		t.Error(diff)
	}
}

func FuzzLoad(f *testing.F) {
	for _, s := range []string{"- {key: a, value: b}", "- &a {key: *a}", "- key: a\n  value: *b", "? - a\n: b", "<<: x", "- {<<: {key: x}, value: y}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		dir := folder(t, map[string]string{"secrets.yml": text})
		if got, _, err := Load(dir, ""); err != nil && got != nil {
			t.Errorf("entries beside an error: %v", got)
		}
	})
}

// TestLoadFor: a client has its own secrets, and those that the whole resource group shares; never one of somebody else.
func TestLoadFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"secrets.yml":                     "- {key: A, value: of-nobody}\n- {key: G, value: of-all, level: resource group}\n- {key: H, value: of-all, level: resource group}\n",
		"clients/acme/secrets.yml":        "- {key: A, value: of-acme}\n- {key: H, value: of-acme}\n",
		"clients/acme/prod_secrets.yml":   "- {key: A, value: of-acme-in-prod}\n",
		"clients/globex/secrets.yml":      "- {key: G, value: x, level: resource group}\n",
		"clients/acme/secrets/ignored":    "",
		"clients/initech/dev_secrets.yml": "- {key: A, value: of-initech-in-dev}\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ client, stage, want string }{
		{"", "dev", "A=of-nobody push G=of-all push H=of-all push"},
		{"acme", "dev", "A=of-acme push H=of-acme push G=of-all"},
		{"acme", "prod", "A=of-acme-in-prod push G=of-all H=of-all"},
		{"initech", "prod", "G=of-all H=of-all"},
		{"nobody", "dev", "G=of-all H=of-all"},
		{"globex", "dev", `secret "G": a client has none on the level of the resource group`},
		{"../acme", "dev", "cannot be part of a file name"},
	} {
		list, _, err := LoadFor(dir, tt.client, tt.stage)
		var got []string
		for _, e := range list {
			got = append(got, e.Key+"="+e.Value.Reveal())
			if e.Push {
				got = append(got, "push")
			}
		}
		if text := strings.Join(got, " "); err == nil && text != tt.want || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s in %s: %s, %v", tt.client, tt.stage, text, err)
		}
	}
}
