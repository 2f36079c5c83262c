package project

import (
	"math"
	"strconv"
	"strings"
)

// resolve gives a plain scalar the type that projects written for 0.4.x expect (YAML 1.1 as PyYAML reads it):
// nil, bool, int64, float64, or the text itself. Dates, times such as 12:30, numbers with leading zeros and
// numbers too large for an int64 stay the text that was typed.
func resolve(s string) any {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return nil
	case "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON":
		return true
	case "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF":
		return false
	}
	sign, digits := splitSign(s)
	if n, ok := resolveInt(sign, digits); ok {
		return n
	}
	if f, ok := resolveFloat(sign, digits); ok {
		return f
	}
	return s
}

func splitSign(s string) (sign, rest string) {
	if s[0] == '+' || s[0] == '-' {
		return s[:1], s[1:]
	}
	return "", s
}

func resolveInt(sign, s string) (int64, bool) {
	base := 10
	switch {
	case strings.HasPrefix(s, "0b"):
		base, s = 2, s[2:]
	case strings.HasPrefix(s, "0x"):
		base, s = 16, s[2:]
	case s == "" || !isDigit(s[0]) || leadingZero(s):
		return 0, false
	}
	s = strings.ReplaceAll(s, "_", "")
	if s == "" || s[0] == '+' || s[0] == '-' {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(sign, "+")+s, base, 64)
	return n, err == nil
}

// resolveFloat takes digits with a point, and an exponent only if its sign is written: 1e3 and 1.0e3 are text.
func resolveFloat(sign, s string) (float64, bool) {
	switch s {
	case ".inf", ".Inf", ".INF":
		if sign == "-" {
			return math.Inf(-1), true
		}
		return math.Inf(1), true
	case ".nan", ".NaN", ".NAN":
		return math.NaN(), sign == ""
	}
	whole, rest, point := strings.Cut(s, ".")
	fraction, exponent, hasExponent := cutExponent(rest)
	switch {
	case !point, !digitsOrBars(whole), !digitsOrBars(fraction), leadingZero(whole):
		return 0, false
	case whole == "" && (sign != "" || fraction == "" || fraction[0] == '_'):
		return 0, false
	case whole != "" && whole[0] == '_':
		return 0, false
	case hasExponent && !signedDigits(exponent):
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(sign+"0"+s, "_", ""), 64)
	return f, err == nil || math.IsInf(f, 0)
}

func cutExponent(s string) (before, after string, found bool) {
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

func signedDigits(s string) bool {
	if len(s) < 2 || (s[0] != '+' && s[0] != '-') {
		return false
	}
	return strings.Trim(s[1:], "0123456789") == ""
}

func digitsOrBars(s string) bool { return strings.Trim(s, "0123456789_") == "" }

// leadingZero finds numbers such as 007 and 0_7, which are codes more often than numbers.
func leadingZero(s string) bool {
	return len(s) > 1 && s[0] == '0' && digitsOrBars(s)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
