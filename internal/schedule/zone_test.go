package schedule

import (
	"strings"
	"testing"
	"time"
)

func TestZone(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"": "UTC", "UTC": "UTC", "Europe/Paris": "Europe/Paris", "Etc/GMT-2": "Etc/GMT-2", "CET": "CET"} {
		loc, err := Zone(name)
		if err != nil || loc.String() != want {
			t.Errorf("%q: got %v, %v", name, loc, err)
		}
	}
}

func TestZoneAdvice(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Europe/Pari":        `did you mean "Europe/Paris"?`,
		"Asia/Katmand":       `did you mean "Asia/Katmandu"?`,
		"paris":              `did you mean "Europe/Paris"?`,
		"New York":           `did you mean "America/New_York"?`,
		"Amerika/New_York":   `did you mean "America/New_York"?`,
		"Buenos_Aires":       `did you mean "America/Argentina/Buenos_Aires"?`,
		"+02:00":             "Etc/GMT-2",
		"UTC+2":              "",
		"Local":              "IANA names look like",
		"local":              "IANA names look like",
		"Middle-earth/Shire": "unknown time zone",
		"../../etc/passwd":   "unknown time zone",
		"/etc/passwd":        "unknown time zone",
		"a\nb":               `unknown time zone "a b"`,
	} {
		loc, err := Zone(name)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v, want %q", name, loc, err, want)
		}
	}
}

// TestZoneNames guards the list against typing errors, and the embedded data against being left out.
func TestZoneNames(t *testing.T) {
	t.Parallel()
	names := strings.Fields(zoneNames)
	if len(names) < 500 {
		t.Fatalf("only %d names", len(names))
	}
	for _, name := range names {
		if _, err := time.LoadLocation(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
