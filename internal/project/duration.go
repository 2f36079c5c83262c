package project

import (
	"regexp"
	"strconv"
	"sync"
	"time"

	"go.yaml.in/yaml/v4"
)

// durationPattern is what a time span may be as a text: seconds, the form of Go, or ISO 8601 up to weeks. Months and years
// have no fixed length. The schema has it too.
const durationPattern = `^([0-9]+(\.[0-9]*)?|([0-9]+(\.[0-9]+)?(ms|s|m|h))+|P(` + num + `W|` + num + `D|(` + num + `D)?T(` +
	num + `H(` + num + `M)?(` + num + `S)?|` + num + `M(` + num + `S)?|` + num + `S)))$`

const (
	num           = `[0-9]+(\.[0-9]+)?`
	durationWords = "a number of seconds or a duration such as 10m, 1h30m or PT10M"
)

var (
	durations = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(durationPattern) })
	isoPart   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`([0-9.]+)([WDHMS])`) })
)

// parseDuration reads a time span with units; false: it has none, or is no time span.
func parseDuration(s string) (seconds float64, ok bool) {
	if !durations().MatchString(s) {
		return 0, false
	}
	if s[0] != 'P' {
		d, err := time.ParseDuration(s)
		return d.Seconds(), err == nil
	}
	units := map[string]float64{"W": 7 * 24 * 3600, "D": 24 * 3600, "H": 3600, "M": 60, "S": 1}
	for _, part := range isoPart().FindAllStringSubmatch(s, -1) {
		n, err := strconv.ParseFloat(part[1], 64)
		if err != nil {
			return 0, false
		}
		seconds += n * units[part[2]]
	}
	return seconds, true
}

// duration returns a time span.
func (d *decoder) duration(v value) (time.Duration, bool) {
	n, ok := 0.0, false
	if v.node.Kind == yaml.ScalarNode && d.tagged(v, "!!str") {
		n, ok = parseDuration(v.node.Value)
	}
	if !ok {
		n, ok = d.number(v, 0, durationWords)
	}
	if n > maxNumber {
		d.fail(v, quote(v.node.Value)+" is too large", "")
		return 0, false
	}
	return time.Duration(n * float64(time.Second)), ok
}
