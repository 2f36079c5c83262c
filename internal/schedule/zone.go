package schedule

import (
	_ "embed"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // containers without zone files
)

// zoneNames has all IANA names, one a line.
//
//go:embed zones.txt
var zoneNames string

// Zone returns the time zone of an IANA name; "" is UTC. The error of an unknown name suggests a near one. It reads a file:
// keep the result.
func Zone(name string) (*time.Location, error) {
	if name == "" || name == "UTC" {
		return time.UTC, nil
	}
	if name != "Local" { // this would be the zone of the machine
		if loc, err := time.LoadLocation(name); err == nil {
			return loc, nil
		}
	}
	advice := "IANA names look like Europe/Paris"
	if near := nearZone(name); near != "" {
		advice = fmt.Sprintf("did you mean %q?", near)
	} else if strings.ContainsAny(name, "+-0123456789") {
		advice = "a fixed offset from UTC has a name such as Etc/GMT-2, which is two hours ahead"
	}
	return nil, fmt.Errorf("unknown time zone %q (%s)", printable(name), advice)
}

// nearZone finds the name that was meant: in other case, the city alone, or with a few letters wrong.
func nearZone(name string) string {
	wanted := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(name), " ", "_"))
	if len(wanted) < 3 || len(wanted) > 40 {
		return ""
	}
	best, least := "", 1+min(3, len(wanted)/4)
	for known := range strings.Lines(zoneNames) {
		known = strings.TrimSpace(known)
		lower := strings.ToLower(known)
		_, city, _ := strings.Cut(lower, "/")
		if wanted == lower || wanted == city || strings.HasSuffix(city, "/"+wanted) {
			return known
		}
		if d := min(distance(wanted, lower), distance(wanted, city)); d < least {
			best, least = known, d
		}
	}
	return best
}

// distance counts the letters to change, add or drop.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
