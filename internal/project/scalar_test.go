package project

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestResolve(t *testing.T) {
	t.Parallel()
	tests := map[string]any{
		"": nil, "~": nil, "null": nil, "Null": nil, "NULL": nil, "nUll": "nUll",
		"yes": true, "Yes": true, "YES": true, "on": true, "On": true, "ON": true, "true": true, "True": true, "TRUE": true,
		"no": false, "No": false, "NO": false, "off": false, "Off": false, "OFF": false, "false": false, "False": false, "FALSE": false,
		"yEs": "yEs", "tRUE": "tRUE", "y": "y", "n": "n", "t": "t", "f": "f",

		"0": int64(0), "-0": int64(0), "+0": int64(0), "+1": int64(1), "-17": int64(-17), "1_000": int64(1000), "1__0": int64(10),
		"0x1F": int64(31), "-0x1f": int64(-31), "0b101": int64(5), "-0b1": int64(-1), "0x1_0": int64(16),
		"0X1F": "0X1F", "0x": "0x", "0x_": "0x_", "0b_": "0b_", "0b2": "0b2", "0x-1": "0x-1", "0b+1": "0b+1", "_1": "_1", "__": "__",
		"-": "-", "+": "+", "1-2": "1-2", "--1": "--1",
		"9223372036854775807": int64(math.MaxInt64), "123456789012345678901234": "123456789012345678901234",

		"1.5": 1.5, "-1.5": -1.5, "+1.5": 1.5, "0.5": 0.5, "-0.5": -0.5, ".5": 0.5, "1.": 1.0, "1._": 1.0, "0.": 0.0,
		"1_0.5_0": 10.5, "1.0e+3": 1000.0, "1.0E-3": 0.001, ".5e-1": 0.05, "1.5e+400": math.Inf(1),
		".inf": math.Inf(1), "-.INF": math.Inf(-1), "+.Inf": math.Inf(1), ".nan": math.NaN(), ".NaN": math.NaN(), ".NAN": math.NaN(),
		"1e3": "1e3", "1.0e3": "1.0e3", "+.5": "+.5", "-.5": "-.5", "._5": "._5", ".": ".", "-.nan": "-.nan", "NaN": "NaN", "inf": "inf",
		"1.2.3": "1.2.3", "1.5x": "1.5x", "1.5e": "1.5e", "1.5e+": "1.5e+", "_1.5": "_1.5",

		// what PyYAML makes numbers or dates of, and what stays the text that was typed
		"00123": "00123", "017": "017", "08": "08", "-017": "-017", "00.5": "00.5", "0_1": "0_1", "0o17": "0o17",
		"12:30": "12:30", "9:5.5": "9:5.5", "1:00:00": "1:00:00",
		"2021-03-20": "2021-03-20", "2021-03-20T10:00:00Z": "2021-03-20T10:00:00Z",
		"=": "=", "<<": "<<", "text": "text", "1 2": "1 2",
	}
	for in, want := range tests {
		if diff := cmp.Diff(want, resolve(in), cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("resolve(%q) (-want +got):\n%s", in, diff)
		}
	}
}
