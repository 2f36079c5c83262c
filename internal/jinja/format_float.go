package jinja

import (
	"math"
	"strconv"
	"strings"
)

// formatFloat is C's %e, %f and %g (and their upper-case forms) as Python prints them.
func formatFloat(f float64, verb byte, precision int, alt bool) string {
	lowerVerb := verb | 0x20
	var t string
	switch {
	case math.IsInf(f, 0) || math.IsNaN(f):
		t = floatRepr(f)
	case lowerVerb == 'g':
		t = formatGeneral(f, max(precision, 1), alt)
	default:
		t = strconv.FormatFloat(f, lowerVerb, precision, 64)
		if alt && precision == 0 {
			t = addPoint(t)
		}
	}
	if verb < 'a' {
		t = strings.ToUpper(t)
	}
	return t
}

// formatGeneral is %g; alt keeps the trailing zeros.
func formatGeneral(f float64, precision int, alt bool) string {
	e := strconv.FormatFloat(f, 'e', precision-1, 64)
	at := strings.IndexByte(e, 'e')
	exp, _ := strconv.Atoi(e[at+1:])
	if exp < -4 || exp >= precision {
		if alt {
			return e
		}
		return trimZeros(e[:at]) + e[at:]
	}
	t := strconv.FormatFloat(f, 'f', precision-1-exp, 64)
	if alt {
		return addPoint(t)
	}
	return trimZeros(t)
}

func trimZeros(t string) string {
	if !strings.Contains(t, ".") {
		return t
	}
	return strings.TrimSuffix(strings.TrimRight(t, "0"), ".")
}

// addPoint puts a point after the digits before the exponent, if there is none.
func addPoint(t string) string {
	if strings.Contains(t, ".") {
		return t
	}
	if at := strings.IndexByte(t, 'e'); at >= 0 {
		return t[:at] + "." + t[at:]
	}
	return t + "."
}

// padZeros fills a number up to width, after its sign and prefix.
func (s *state) padZeros(sign, prefix, digits string, width int) string {
	return sign + prefix + s.repeat("0", int64(width-len(sign)-len(prefix)-len(digits))) + digits
}
