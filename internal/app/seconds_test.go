package app

import (
	"encoding/json"
	"testing"
	"time"
)

// Every number of milliseconds prints with three digits at most.
func TestSecondsAreShort(t *testing.T) {
	t.Parallel()
	for ms := range 100_000 {
		text, err := json.Marshal(seconds(time.Duration(ms)*time.Millisecond + 499*time.Microsecond))
		if err != nil || len(text) > len("99.999") {
			t.Fatalf("%d ms: %s, %v", ms, text, err)
		}
	}
}
